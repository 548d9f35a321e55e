package devicelink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/schema"
)

var (
	// errExpired says that a command's deadline passed before it could be written.
	errExpired = errors.New("expired before delivery")
	// errLockdown says that the device has been told that the command's door is in lockdown.
	errLockdown = errors.New("the door is in lockdown")
	// errClock says that an unlock was for a device whose clock is far off.
	errClock = errors.New("the device's clock is far off")
)

// dispatch writes a command unless its deadline has passed, its door is in lockdown or its device's
// clock is far off, and records which. It returns errExpired, errLockdown or errClock after recording
// that, and access.ErrDeviceOffline, with nothing recorded, if the link ended first.
func (l *link) dispatch(ctx context.Context, d access.Dispatch) error {
	err := l.write(&Command{
		CommandID: d.Command, OrganizationID: d.Organization, DeviceID: d.Device, DoorID: d.Door,
		Port: d.Port, Verb: d.Verb, Seconds: d.Seconds, IssuedAt: d.IssuedAt, NotAfter: d.NotAfter,
	}, d.NotAfter)
	at := schema.Now()
	ctx, cancel := recording(ctx, d)
	defer cancel()
	switch {
	case err == nil:
		if err = l.handler.access.RecordDispatched(ctx, d.Command, at); err != nil {
			return fmt.Errorf("record dispatch: %w", err)
		}
		return nil
	case errors.Is(err, errExpired):
		return l.undelivered(ctx, d, schema.ReasonExpiredBeforeDelivery, err)
	case errors.Is(err, errLockdown):
		return l.undelivered(ctx, d, schema.ReasonLockdown, err)
	case errors.Is(err, errClock):
		return l.undelivered(ctx, d, schema.ReasonHardwareFault, err)
	}
	return access.ErrDeviceOffline
}

// undelivered records why a command was not written, and returns why.
func (l *link) undelivered(
	ctx context.Context, d access.Dispatch, reason schema.Reason, why error,
) error {
	if err := l.handler.access.RecordUndelivered(ctx, d.Command, reason); err != nil {
		return fmt.Errorf("record that a command was not written: %w", err)
	}
	return why
}

// recording is the context in which the outcome of a dispatch is recorded, come what may of the
// request that asked for it.
func recording(
	ctx context.Context, d access.Dispatch,
) (context.Context, context.CancelFunc) {
	by := actor.System("devicelink").Within(d.Organization)
	return context.WithTimeout(
		actor.NewContext(context.WithoutCancel(ctx), by), recordTimeout)
}

// configure tells the device what its doors are now. One at a time: what is told last was read last.
// It returns access.ErrDeviceOffline if the link has ended: then the next welcome tells.
func (l *link) configure(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.Device(l.Organization, l.Device))
	select {
	case l.telling <- struct{}{}:
		defer func() { <-l.telling }()
	case <-l.done:
		return access.ErrDeviceOffline
	case <-ctx.Done():
		return fmt.Errorf("configure device: %w", context.Cause(ctx))
	}
	doors, err := l.handler.access.DoorsOf(ctx)
	if err != nil {
		return fmt.Errorf("configure device: %w", err)
	}
	if err := l.write(&Config{Doors: frameDoors(doors)}, time.Time{}); err != nil {
		return access.ErrDeviceOffline
	}
	return l.handler.access.RecordConfigured(ctx, doors)
}
