package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// waitsForFirst says that somebody who is let in may be whom the door's unlock schedule waits for.
func waitsForFirst(d *ent.Door) bool { return d.FirstPersonIn && d.UnlockScheduleID != nil }

// letIn is told that somebody was let in at a door, which is locked against change. If its unlock
// schedule waits for that, the door stands unlocked from now on.
func (s *Service) letIn(
	ctx context.Context, tx *ent.Tx, d *ent.Door, who typeid.User, at time.Time,
) ([]journal.Event, error) {
	modes, err := s.Modes(ctx, tx.Client(), []*ent.Door{d})
	if err != nil || !modes[d.ID].Pending {
		return nil, err
	}
	d.FirstInAt = &at
	if modes, err = s.Modes(ctx, tx.Client(), []*ent.Door{d}); err != nil || modes[d.ID].Pending {
		return nil, err // it was in another window
	}
	if err := tx.Door.UpdateOneID(d.ID).SetFirstInAt(at).Exec(ctx); err != nil {
		return nil, fmt.Errorf("record first person: %w", err)
	}
	first := journal.Event{
		Type: "schedule.first_in_satisfied", Site: d.SiteID, Door: d.ID, User: who,
		Data: data("scheduleId", d.UnlockScheduleID),
	}
	turned, err := s.settleModes(ctx, tx, []*ent.Door{d})
	return append([]journal.Event{first}, turned...), err
}

// doorLock loads a door, if more is true of it too, and locks it for somebody who asks to be let in.
type doorLock func(context.Context, *ent.Tx, typeid.Door, ...predicate.Door) (*ent.Door, error)

// errWaitsForFirst says that whoever is let in may turn the door's mode, which takes lockForOne.
var errWaitsForFirst = errors.New("the door waits for a first person")

// lockForMany keeps a door as it is, while any number are let in at once.
func lockForMany(
	ctx context.Context, tx *ent.Tx, id typeid.Door, also ...predicate.Door,
) (*ent.Door, error) {
	d, err := tx.Door.Query().Where(door.ID(id), behindLockdowns).Where(also...).ForShare().Only(ctx)
	if err == nil && waitsForFirst(d) {
		return nil, errWaitsForFirst
	}
	return d, err
}

// lockForOne locks a door so that its mode can be turned.
func lockForOne(
	ctx context.Context, tx *ent.Tx, id typeid.Door, also ...predicate.Door,
) (*ent.Door, error) {
	return tx.Door.Query().Where(door.ID(id), forChange).Where(also...).Only(ctx)
}

// entry is somebody who was let in at a door, as its device says.
type entry struct {
	door typeid.Door
	who  typeid.User
	at   time.Time
}

// entered remembers an entry that a door may have waited for.
func (in *intake) entered(r Report) {
	d := in.doors[r.Port]
	if r.Type != "access.granted" || d == nil || !waitsForFirst(d) || !in.users[r.User] {
		return
	}
	in.let = append(in.let, entry{d.ID, r.User, in.instant(r)})
}

// letIn turns the modes of doors that waited for somebody, and returns the device if one has.
func (in *intake) letIn(ctx context.Context) (turned *typeid.Device, err error) {
	for _, e := range in.let {
		d, err := lockForOne(ctx, in.tx, e.door)
		if err != nil {
			return nil, fmt.Errorf("lock door: %w", err)
		}
		before := d.EffectiveMode
		events, err := in.s.letIn(ctx, in.tx, d, e.who, e.at)
		if err != nil {
			return nil, err
		}
		if d.EffectiveMode != before {
			turned = &in.dev.ID
		}
		in.events = append(in.events, events...)
	}
	return turned, nil
}
