// Package uhppote is an agent on site: it links controllers of UHPPOTE's make, which speak a protocol
// of their own in the local network and know nothing of Cardea. Each controller is a device with a
// link of its own; its doors are the device's ports 1 to 4.
//
//   - What the controller records is told to Cardea once, in its order, over any number of ends of the
//     agent, of the controller and of either link. What it has overwritten is told as a hole.
//   - A remote unlock is CONFIRMED only when the relay was seen energised. If nothing shows what came
//     of it, nothing is said, and Cardea finds it UNCONFIRMED.
//   - The link is up only while the controller answers: Cardea shows it OFFLINE otherwise, and an
//     unlock fails at once.
//   - Controllers run in UTC, so no hour of theirs comes twice.
//
// The controllers' protocol has neither encryption nor authentication: the agent belongs in a network
// with them alone. docs/uhppote.md is for who installs it.
//
// The package imports devicelink for the frames, devicelink/client for the link, access/verdict for
// what lists say, Ent's enumerations and typeid.
package uhppote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/typeid"
)

// Firmware is what an agent says of itself when it links.
const Firmware = "uhppote-agent-1"

// Config is what an Agent needs.
type Config struct {
	BaseURL  string // of the server
	Identity client.Identity
	Serial   uint32         // of the controller
	Address  netip.AddrPort // of the controller
	LogPath  string         // the file that keeps what is not acknowledged
	// Listener hears that something happened; nil: it is found by asking.
	Listener *Listener
	// Poll is how often the controller is asked how it is; zero means 5 s.
	Poll    time.Duration
	Longest time.Duration               // of client.Config
	Keep    func(client.Identity) error // of client.Config
	Logger  *slog.Logger                // nil discards
}

// Agent links one controller.
type Agent struct {
	config     Config
	controller controller
	log        *client.Log
	link       *client.Link
	nudge      chan struct{} // something is to do now
	orders     sync.WaitGroup

	mu     sync.Mutex
	linked bool
	doors  map[int]*opening // by port
	past   [ports + 1]past  // by port
	seen   map[typeid.Command]time.Time
	opens  []*remote
	deals  dealing
	skew   time.Duration // the controller's clock minus ours
	timed  time.Time     // when that was measured
	loaded bool          // the past was
	told   bool          // Cardea has said which doors there are
	began  time.Time
}

// New opens the agent's log and returns an agent that does nothing yet.
func New(cfg Config) (*Agent, error) {
	if cfg.Poll == 0 {
		cfg.Poll = 5 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = cfg.Logger.With("controller", cfg.Serial)
	log, err := client.OpenLog(cfg.LogPath)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		config: cfg, controller: controller{cfg.Serial, cfg.Address}, log: log,
		nudge: make(chan struct{}, 1), doors: map[int]*opening{},
		seen: map[typeid.Command]time.Time{}, began: time.Now(),
	}
	a.link = client.New(client.Config{
		BaseURL: cfg.BaseURL, Identity: cfg.Identity, Firmware: Firmware, Log: log, Device: device{a},
		Clock: a.clock, Longest: cfg.Longest, Keep: cfg.Keep, Logger: cfg.Logger,
	})
	return a, nil
}

// again is the pause before a controller that did not answer is asked again.
const again = 2 * time.Second

// Run links the controller whenever it answers, until ctx ends (nil) or the server tells it to go
// away (client.GoneAwayError).
func (a *Agent) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.log.Close()) }()
	for {
		err := a.reach(ctx)
		if err == nil {
			a.config.Logger.InfoContext(ctx, "controller answers", "clock_skew", a.skew)
			err = a.serve(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if away, told := errors.AsType[client.GoneAwayError](err); told {
			return away
		}
		a.config.Logger.WarnContext(ctx, "controller not linked", "error", err)
		if !pause(ctx, again) {
			return nil
		}
	}
}

// reach finds the controller and has it tell us what happens.
func (a *Agent) reach(ctx context.Context) error {
	if err := a.measure(ctx); err != nil {
		return err
	}
	if err := a.controller.recordAll(ctx); err != nil {
		return fmt.Errorf("record all events: %w", err)
	}
	if a.config.Listener == nil {
		return nil
	}
	to, err := a.config.Listener.reachedFrom(ctx, a.config.Address)
	if err != nil {
		return err
	}
	if err := a.controller.agree(ctx, setListener(a.config.Serial, to)); err != nil {
		return fmt.Errorf("set listener: %w", err)
	}
	return nil
}

// serve keeps the link while the controller answers.
func (a *Agent) serve(ctx context.Context) error {
	if a.config.Listener != nil {
		defer a.config.Listener.hear(a.config.Serial, a.wake)()
	}
	a.mu.Lock()
	for _, o := range a.doors { // it may have forgotten them
		o.applied = control{}
	}
	a.mu.Unlock()
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return a.link.Run(ctx) })
	parts.Go(func() error { return a.work(ctx) })
	err := parts.Wait()
	a.orders.Wait()
	return err
}

// soon is how often the controller is asked while a lock is unlocked or a command is under way.
const soon = 250 * time.Millisecond

// work does what is to be done at the controller, again and again, until ctx ends or the controller
// does not answer.
func (a *Agent) work(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := a.round(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		wait := a.config.Poll
		if a.busy() {
			wait = min(wait, soon)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-a.nudge:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// round is in the order of what must not wait: how doors are controlled comes before all.
func (a *Agent) round(ctx context.Context) error {
	for _, do := range []func(context.Context) error{
		a.settle, a.catchUp, a.look, a.keepTime, a.deal,
	} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) wake() {
	select {
	case a.nudge <- struct{}{}:
	default:
	}
}

// device is the agent as its link knows it: client.Device.
type device struct{ a *Agent }

func (d device) Linked(w *devicelink.Welcome) {
	d.a.mu.Lock()
	d.a.linked, d.a.told = true, true
	d.a.adopt(w.Doors)
	d.a.mu.Unlock()
	d.a.wake()
}

func (d device) Heard(f devicelink.Frame) {
	switch f := f.(type) {
	case *devicelink.Command:
		d.a.order(f)
	case *devicelink.Config:
		d.a.mu.Lock()
		d.a.adopt(f.Doors)
		d.a.mu.Unlock()
		d.a.wake()
	}
}

func (d device) Unlinked(devicelink.CloseCode) {
	d.a.mu.Lock()
	defer d.a.mu.Unlock()
	d.a.linked = false
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
