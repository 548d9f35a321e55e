// Package client is a device's half of a link: it enrols, proves the device's key, keeps the log
// until it is acknowledged and sends it, and hands on what the server says. devicelink/sim and
// devicelink/uhppote are devices; each is a Device.
//
//   - No log entry that is not acknowledged is forgotten, across any number of links; a log with a
//     file keeps them without power.
//   - The server's clock is known by time that passed since the hello, never since the welcome, so
//     that our idea of it is never behind.
//   - What is not signed by the device's server, for the device and this connection, or is not new,
//     is not heeded, and not handed on.
//   - A device that is told to go away goes.
//
// The package imports devicelink for the frames and their encoding, typeid and the WebSocket library.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cardea/cardea/devicelink"
)

// Device is what a link is for. Its methods are called one at a time, in the order of what the
// server said, and must not wait for the link.
type Device interface {
	// Linked begins a link. The log has forgotten by then what the server has.
	Linked(w *devicelink.Welcome)
	// Heard is told of every frame that follows; of an Ack, after the log has heeded it.
	Heard(f devicelink.Frame)
	// Unlinked ends a try to link, or a link: with the server's close code, or 0 if it told none.
	Unlinked(code devicelink.CloseCode)
}

// Config is what a Link needs.
type Config struct {
	BaseURL  string // of the server, such as http://localhost:8080
	Identity Identity
	Firmware string
	Log      *Log
	Device   Device
	// Keep, if it is set, stores what the identity has become, and returns once it is safe. Without it the
	// device makes no new key.
	Keep func(Identity) error
	// Clock is the device's own, right or wrong; nil means this machine's.
	Clock func() time.Time
	// Longest is the longest pause between two tries to link; zero means 30 s.
	Longest time.Duration
	Client  *http.Client // nil means one of its own
	// Lossy, if it is set, makes frames that came as if they were lost on the way.
	Lossy  func(devicelink.Frame) bool
	Logger *slog.Logger // nil discards
}

// Link is a device's link, through all its connections.
type Link struct {
	config   Config
	identity Identity // as it is now; Run's alone
	orders   orders
	server   serverClock
	refused  bool // the next key was, at the last try
}

// New returns a link that is down.
func New(cfg Config) *Link {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Longest == 0 {
		cfg.Longest = backoffCap
	}
	if cfg.Client == nil {
		cfg.Client = standard
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Link{config: cfg, identity: cfg.Identity}
}

const (
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second // if Config does not say otherwise
	// settled is how long a link must have lasted for the next delay to be short again.
	settled = time.Minute
)

// GoneAwayError says that the server told the device to go away.
type GoneAwayError struct {
	Code   devicelink.CloseCode
	Reason string
}

func (e GoneAwayError) Error() string {
	return fmt.Sprintf("told to go away: %s: %s", e.Code, e.Reason)
}

// Run links, and links again with full jitter, until ctx ends (nil) or the server tells the device to
// go away (GoneAwayError).
func (l *Link) Run(ctx context.Context) error {
	ceiling := backoffBase
	for {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if away, told := errors.AsType[GoneAwayError](err); told {
			return away
		}
		if time.Since(began) > settled {
			ceiling = backoffBase
		}
		l.config.Logger.DebugContext(ctx, "device lost its link",
			"device", l.config.Identity.Device.String(), "error", err)
		if !pause(ctx, rand.N(ceiling)) { //nolint:gosec // a delay
			return nil
		}
		ceiling = min(2*ceiling, l.config.Longest)
	}
}

// ServerClock is the server's, as it has told: a wrong clock of our own does not matter.
func (l *Link) ServerClock() time.Time { return l.server.now() }

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
