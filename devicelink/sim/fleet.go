package sim

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/typeid"
)

// Fleet is simulated devices with people at their doors.
type Fleet struct {
	BaseURL string
	Devices []client.Identity
	// People are who comes and goes; the devices let them in, but for a few.
	People []typeid.User
	// Pace is the mean time between two visits at a door; zero means a minute.
	Pace time.Duration
	// Seed decides who comes where and does what; the same seed, the same choices.
	Seed uint64
	// Keep, if it is set, stores what the identity of a device, by its place in Devices, has become.
	Keep func(place int, now client.Identity) error
	Log  *slog.Logger
}

// Run keeps the devices under power until ctx ends. A device that is told to go away is left out;
// the others go on.
func (f *Fleet) Run(ctx context.Context) error {
	var parts errgroup.Group
	for i, identity := range f.Devices {
		cfg := DeviceConfig{BaseURL: f.BaseURL, Identity: identity, Log: f.Log}
		if f.Keep != nil {
			cfg.Keep = func(now client.Identity) error { return f.Keep(i, now) }
		}
		d := NewDevice(cfg)
		choices := rand.New(rand.NewPCG(f.Seed, uint64(i))) //nolint:gosec // a simulation
		parts.Go(func() error { return f.run(ctx, d, choices) })
	}
	return parts.Wait()
}

func (f *Fleet) run(ctx context.Context, d *Device, choices *rand.Rand) error {
	ctx, cancel := context.WithCancel(ctx)
	var parts errgroup.Group
	parts.Go(func() error {
		f.visit(ctx, d, choices)
		return nil
	})
	parts.Go(func() error {
		defer cancel()
		return d.Run(ctx)
	})
	err := parts.Wait()
	if away, told := errors.AsType[client.GoneAwayError](err); told {
		f.Log.WarnContext(ctx, "simulated device ended", "device",
			d.config.Identity.Device.String(), "error", away)
		return nil
	}
	return err
}

// visit sends people to the device's doors, on average one per door and Pace, until ctx ends; then
// it waits for them to be gone.
func (f *Fleet) visit(ctx context.Context, d *Device, choices *rand.Rand) {
	var people errgroup.Group
	defer people.Wait() //nolint:errcheck // nobody fails
	pace := f.Pace
	if pace == 0 {
		pace = time.Minute
	}
	for {
		if _, err := d.Until(ctx, func(s State) bool { return len(s.Doors) > 0 }); err != nil {
			return
		}
		var ports []int
		for port := range d.State().Doors {
			ports = append(ports, port)
		}
		slices.Sort(ports)
		gap := time.Duration(choices.ExpFloat64() * float64(pace) / float64(max(len(ports), 1)))
		if !pause(ctx, min(gap, 5*pace)) {
			return
		}
		if len(ports) == 0 {
			continue
		}
		port, v := ports[choices.IntN(len(ports))], f.someone(choices)
		people.Go(func() error {
			d.Visit(ctx, port, v)
			return nil
		})
	}
}

// someone is a visit such as most are: a person lets themselves in. Some leave, some are refused,
// and now and then a door is propped open.
func (f *Fleet) someone(choices *rand.Rand) Visit {
	v := Visit{
		Reach: time.Duration(600+choices.IntN(900)) * time.Millisecond,
		Stay:  time.Duration(1500+choices.IntN(3500)) * time.Millisecond,
	}
	if len(f.People) > 0 {
		v.User = f.People[choices.IntN(len(f.People))]
	}
	switch roll := choices.IntN(100); {
	case roll < 25:
		v.Leaving = true
	case roll < 31:
		v.Refused = true
	case roll < 33:
		v.User = typeid.User{}
	case roll < 35:
		v.Stay += time.Duration(30+choices.IntN(30)) * time.Second
	}
	return v
}
