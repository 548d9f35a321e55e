package access

import (
	"context"
	"math"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/journal"
)

// clockTolerance is how far a device's clock may be off without being called wrong.
const clockTolerance = 2 * time.Second

// ClockWrong says whether a clock that is so far ahead, or behind, is wrong.
func ClockWrong(offset time.Duration) bool { return offset.Abs() > clockTolerance }

// RecordClock records how far the clock of the device of ctx is ahead, and tells when it has become
// wrong, or right again. It fails with ErrStaleEpoch if the link is not the newest. The times that the
// device reports stay as they are, whatever its clock shows.
func (s *Service) RecordClock(ctx context.Context, epoch int64, offset time.Duration) error {
	by, _ := actor.FromContext(ctx)
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		dev, err := tx.Device.Query().Where(device.ID(by.Device), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "device", "deviceId")
		}
		if dev.Epoch != epoch {
			return nil, ErrStaleEpoch
		}
		update := tx.Device.UpdateOne(dev)
		events := setClock(update.Mutation(), dev, offset)
		return events, update.Exec(ctx)
	})
}

// setClock sets a device's clock offset, and returns the event of the change, if it is one.
func setClock(of *ent.DeviceMutation, dev *ent.Device, offset time.Duration) []journal.Event {
	milliseconds := min(max(offset.Milliseconds(), math.MinInt32), math.MaxInt32)
	of.SetClockOffset(int(milliseconds))
	before := dev.ClockOffset != nil &&
		ClockWrong(time.Duration(*dev.ClockOffset)*time.Millisecond)
	after := ClockWrong(time.Duration(milliseconds) * time.Millisecond)
	if before == after {
		return nil
	}
	kind := "device.clock_right"
	if after {
		kind = "device.clock_wrong"
	}
	return []journal.Event{{
		Type: kind, Site: dev.SiteID, Device: dev.ID, Data: data("offsetMilliseconds", milliseconds),
	}}
}
