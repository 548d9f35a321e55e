// Package sim simulates devices: each speaks the real protocol over a real WebSocket, keeps its log
// until it is acknowledged, obeys commands as a lock would, and can be told to misbehave. A Fleet is
// many of them with people coming and going.
//
// It is what `cardea sim` and the demo run; devicelink/linktest puts it under a test's control.
//
//   - A device never forgets a log entry that is not acknowledged, across any number of links.
//   - It acts on no command at or after its deadline, by the server's clock, and on none twice.
//   - What it reports is what its bolt and leaf did.
//
// The package imports devicelink for the frames and their encoding, access/verdict to decide as the
// server would, Ent's enumerations, typeid and the WebSocket library.
package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// DeviceConfig is what a Device needs.
type DeviceConfig struct {
	BaseURL  string // of the server, such as http://localhost:8080
	Identity Identity
	// LogEpoch counts the lives of the log. The log is in memory, so zero means the present instant.
	LogEpoch int64
	// Movement is how long a bolt takes to move; zero means 80 ms.
	Movement time.Duration
	// Longest is the longest pause between two tries to link; zero means 30 s.
	Longest time.Duration
	Client  *http.Client // nil means one of its own
	// Commanded, if it is set, is told of each command that comes, and whether the device acts on it. It
	// must not call the device.
	Commanded func(c devicelink.Command, acts bool)
	Log       *slog.Logger
}

// Device is a simulated controller. Its doors are those that the server binds to it.
type Device struct {
	config DeviceConfig

	mu      sync.Mutex
	faults  Faults
	state   State
	doors   map[int]*opening             // by port
	seen    map[typeid.Command]time.Time // until when a repetition could still be in time
	log     []devicelink.Frame           // what is not acknowledged, by sequence
	written int64                        // the last sequence that was ever logged
	offset  time.Duration                // server's clock minus ours
	changed chan struct{}                // closed and replaced at every change
	moves   map[*time.Timer]struct{}     // movements that are under way
}

// State is what a device knows of itself.
type State struct {
	Linked  bool
	Welcome devicelink.Welcome // the latest
	Links   int                // links so far
	Logged  int64              // the last sequence that was logged
	Acked   int64              // the last that was acknowledged
	Obeyed  []typeid.Command   // commands acted on, in order
	Late    []typeid.Command   // commands refused for their deadline
	Closed  devicelink.CloseCode
	Doors   map[int]DoorState // by port
}

// DoorState is a door as it is physically.
type DoorState struct {
	Door devicelink.Door
	Lock door.LockState
	Leaf door.Position
}

// GoneAwayError says that the server told the device to go away.
type GoneAwayError struct {
	Code   devicelink.CloseCode
	Reason string
}

func (e GoneAwayError) Error() string {
	return fmt.Sprintf("told to go away: %s: %s", e.Code, e.Reason)
}

// NewDevice returns a device that is switched off: locked, its doors closed.
func NewDevice(cfg DeviceConfig) *Device {
	if cfg.LogEpoch == 0 {
		cfg.LogEpoch = time.Now().UnixMilli()
	}
	if cfg.Movement == 0 {
		cfg.Movement = 80 * time.Millisecond
	}
	if cfg.Longest == 0 {
		cfg.Longest = backoffCap
	}
	if cfg.Client == nil {
		cfg.Client = client
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Device{
		config: cfg, doors: map[int]*opening{}, seen: map[typeid.Command]time.Time{},
		changed: make(chan struct{}), moves: map[*time.Timer]struct{}{},
	}
}

const (
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second // if DeviceConfig does not say otherwise
	// settled is how long a link must have lasted for the next delay to be short again.
	settled = time.Minute
)

// Run is the device's time under power: it links, and links again with full jitter, until ctx ends
// (nil) or the server tells it to go away (GoneAwayError).
func (d *Device) Run(ctx context.Context) error {
	defer d.halt()
	ceiling := backoffBase
	for {
		began := time.Now()
		err := d.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if away, told := errors.AsType[GoneAwayError](err); told {
			return away
		}
		if time.Since(began) > settled {
			ceiling = backoffBase
		}
		d.config.Log.DebugContext(ctx, "device lost its link",
			"device", d.config.Identity.Device.String(), "error", err)
		if !pause(ctx, rand.N(ceiling)) { //nolint:gosec // a delay
			return nil
		}
		ceiling = min(2*ceiling, d.config.Longest)
	}
}

// halt stops every movement.
func (d *Device) halt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for timer := range d.moves {
		timer.Stop()
	}
	clear(d.moves)
}

// State returns what the device knows of itself now.
func (d *Device) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := d.state
	state.Logged, state.Acked = d.written, d.acked()
	state.Doors = make(map[int]DoorState, len(d.doors))
	for port, o := range d.doors {
		state.Doors[port] = o.DoorState
	}
	return state
}

// Until waits until the device's state is as wanted, and returns it.
func (d *Device) Until(ctx context.Context, wanted func(State) bool) (State, error) {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		state := d.State()
		if wanted(state) {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, fmt.Errorf("wait for device: %w", ctx.Err())
		}
	}
}

// change wakes whoever waits; d.mu is held.
func (d *Device) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// after runs do, with d.mu held, when a movement has taken its time; d.mu is held.
func (d *Device) after(delay time.Duration, do func()) *time.Timer {
	var timer *time.Timer
	timer = time.AfterFunc(delay, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if _, running := d.moves[timer]; running {
			delete(d.moves, timer)
			do()
			d.change()
		}
	})
	d.moves[timer] = struct{}{}
	return timer
}

// cancel calls a movement off; d.mu is held.
func (d *Device) cancel(timer *time.Timer) {
	if timer != nil {
		timer.Stop()
		delete(d.moves, timer)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
