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

// errExpired says that a command's deadline passed before it could be written.
var errExpired = errors.New("expired before delivery")

// dispatch writes a command unless its deadline has passed, and records which. It returns errExpired
// after recording that, and access.ErrDeviceOffline, with nothing recorded, if the link ended first.
func (l *link) dispatch(ctx context.Context, d access.Dispatch) error {
	err := l.write(&Command{
		CommandID: d.Command, Verb: d.Verb, DoorID: d.Door, Port: d.Port, Seconds: d.Seconds,
		IssuedAt: d.IssuedAt, NotAfter: d.NotAfter,
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
		failed := l.handler.access.RecordUndelivered(
			ctx, d.Command, schema.ReasonExpiredBeforeDelivery)
		if failed != nil {
			return fmt.Errorf("record expiry: %w", failed)
		}
		return errExpired
	}
	return access.ErrDeviceOffline
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

// configure tells the device what its doors are now.
func (l *link) configure(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.Device(l.Organization, l.Device))
	doors, err := l.handler.access.DoorsOf(ctx)
	if err != nil {
		return fmt.Errorf("configure device: %w", err)
	}
	_ = l.write(&Config{Doors: frameDoors(doors)}, time.Time{}) // if it has ended, the next welcome tells
	return nil
}
