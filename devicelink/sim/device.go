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
// The package imports devicelink for the frames, devicelink/client for the link, access/verdict to
// decide as the server would, Ent's enumerations and typeid.
package sim

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// DeviceConfig is what a Device needs.
type DeviceConfig struct {
	BaseURL  string // of the server, such as http://localhost:8080
	Identity client.Identity
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
	// Keep, if it is set, is client.Config's.
	Keep func(client.Identity) error
	Log  *slog.Logger
}

// Device is a simulated controller. Its doors are those that the server binds to it.
type Device struct {
	config DeviceConfig
	link   *client.Link
	log    *client.Log

	mu      sync.Mutex
	faults  Faults
	state   State
	doors   map[int]*opening             // by port
	seen    map[typeid.Command]time.Time // until when a repetition could still be in time
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

// NewDevice returns a device that is switched off: locked, its doors closed.
func NewDevice(cfg DeviceConfig) *Device {
	if cfg.Movement == 0 {
		cfg.Movement = 80 * time.Millisecond
	}
	d := &Device{
		config: cfg, doors: map[int]*opening{}, seen: map[typeid.Command]time.Time{},
		log: client.NewLog(cfg.LogEpoch), changed: make(chan struct{}), moves: map[*time.Timer]struct{}{},
	}
	d.link = client.New(client.Config{
		BaseURL: cfg.BaseURL, Identity: cfg.Identity, Firmware: Firmware, Log: d.log,
		Device: panel{d}, Clock: d.Clock, Longest: cfg.Longest, Client: cfg.Client, Lossy: d.loses,
		Keep: cfg.Keep, Logger: cfg.Log,
	})
	return d
}

// Firmware is that of every simulated device.
const Firmware = "sim-1"

// Run is the device's time under power: it links, and links again with full jitter, until ctx ends
// (nil) or the server tells it to go away (client.GoneAwayError).
func (d *Device) Run(ctx context.Context) error {
	defer d.halt()
	return d.link.Run(ctx)
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
	state.Logged, state.Acked = d.log.Written(), d.log.Acked()
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
