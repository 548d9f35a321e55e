package access

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxOverride bounds an override that is given in seconds: 30 days.
const maxOverride = 30 * 24 * 60 * 60

// OverrideDoorModeInput puts a mode over a door's own and over its unlock schedule: until an instant,
// for some seconds, or until it is cancelled.
type OverrideDoorModeInput struct {
	DoorID  typeid.Door
	Mode    door.OverrideMode
	Until   *time.Time
	Seconds *int // 1 to 2,592,000
}

// OverrideDoorModePayload holds the door as it is now.
type OverrideDoorModePayload struct{ Door *ent.Door }

// OverrideDoorMode overrides the mode of a door, in place of an override that it has, and tells its
// device. The same override again changes nothing. A lockdown, and the door's own LOCKDOWN or
// DISABLED, are stronger: then the override waits beneath them.
func (s *Service) OverrideDoorMode(
	ctx context.Context, in OverrideDoorModeInput,
) (*OverrideDoorModePayload, error) {
	if err := Authorize(ctx, OperateDoors); err != nil {
		return nil, err
	}
	until, err := in.check(s.now())
	if err != nil {
		return nil, err
	}
	d, err := s.changeMode(ctx, in.DoorID, func(tx *ent.Tx, d *ent.Door) ([]journal.Event, error) {
		if d.OverrideMode != nil && *d.OverrideMode == in.Mode &&
			orZero(d.OverrideUntil).Equal(orZero(until)) {
			return nil, nil
		}
		update := tx.Door.UpdateOneID(d.ID).SetOverrideMode(in.Mode).SetNillableOverrideUntil(until)
		if until == nil {
			update.ClearOverrideUntil()
		}
		if err := update.Exec(ctx); err != nil {
			return nil, err
		}
		d.OverrideMode, d.OverrideUntil = &in.Mode, until
		return []journal.Event{in.told(d)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &OverrideDoorModePayload{d}, nil
}

// check returns when the override ends; nil for never.
func (in OverrideDoorModeInput) check(now time.Time) (*time.Time, error) {
	var f faults
	f.enum("mode", door.OverrideModeValidator(in.Mode) == nil)
	f.within("seconds", in.Seconds, 1, maxOverride)
	switch {
	case in.Until != nil && in.Seconds != nil:
		f.add("until", "give either until or seconds")
	case in.Until != nil && !in.Until.After(now):
		f.add("until", "must be in the future")
	}
	if err := f.err(); err != nil || in.Seconds == nil {
		return in.Until, err
	}
	until := now.Add(time.Duration(*in.Seconds) * time.Second)
	return &until, nil
}

func (in OverrideDoorModeInput) told(d *ent.Door) journal.Event {
	facts, _ := json.Marshal(struct {
		Mode  door.OverrideMode `json:"mode"`
		Until *time.Time        `json:"until,omitempty"`
	}{in.Mode, d.OverrideUntil})
	return journal.Event{Type: "override.applied", Site: d.SiteID, Door: d.ID, Data: facts}
}

// CancelDoorOverrideInput names a door.
type CancelDoorOverrideInput struct{ DoorID typeid.Door }

// CancelDoorOverridePayload holds the door as it is now.
type CancelDoorOverridePayload struct{ Door *ent.Door }

// CancelDoorOverride ends the override of a door before its time, and tells its device. A door
// without one stays as it is.
func (s *Service) CancelDoorOverride(
	ctx context.Context, in CancelDoorOverrideInput,
) (*CancelDoorOverridePayload, error) {
	if err := Authorize(ctx, OperateDoors); err != nil {
		return nil, err
	}
	d, err := s.changeMode(ctx, in.DoorID, func(tx *ent.Tx, d *ent.Door) ([]journal.Event, error) {
		if d.OverrideMode == nil {
			return nil, nil
		}
		err := tx.Door.UpdateOneID(d.ID).ClearOverrideMode().ClearOverrideUntil().Exec(ctx)
		if err != nil {
			return nil, err
		}
		d.OverrideMode, d.OverrideUntil = nil, nil
		return []journal.Event{{Type: "override.cancelled", Site: d.SiteID, Door: d.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CancelDoorOverridePayload{d}, nil
}

// changeMode changes a door that the actor may operate, and locks it, with what follows for the mode
// in force, and tells its device.
func (s *Service) changeMode(
	ctx context.Context, id typeid.Door, change func(*ent.Tx, *ent.Door) ([]journal.Event, error),
) (d *ent.Door, err error) {
	at, err := doorsAt(ctx, OperateDoors)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if d, err = tx.Door.Query().Where(door.ID(id), at, forChange).Only(ctx); err != nil {
			return nil, found(err, "door", "doorId")
		}
		events, err := s.settleModes(ctx, tx, []*ent.Door{d}) // what was to happen by now comes first
		if err != nil {
			return nil, err
		}
		changed, err := change(tx, d)
		if err != nil || changed == nil {
			return events, err
		}
		modes, err := s.settleModes(ctx, tx, []*ent.Door{d})
		return slices.Concat(events, changed, modes), err
	})
	if err != nil {
		return nil, err
	}
	s.configure(ctx, d.DeviceID)
	return d, nil
}
