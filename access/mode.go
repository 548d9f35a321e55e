package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Modes returns the modes in force at doors now. They are decided, not read: what a door's row holds
// is what was last told of. The number of statements does not depend on how many doors they are.
func (s *Service) Modes(
	ctx context.Context, db *ent.Client, doors []*ent.Door,
) (map[typeid.Door]verdict.Mode, error) {
	now := s.now()
	facts, err := s.doorFacts(ctx, db, doors, now)
	if err != nil {
		return nil, err
	}
	policy := verdict.Compile(facts)
	modes := make(map[typeid.Door]verdict.Mode, len(doors))
	for _, d := range doors {
		modes[d.ID], _ = policy.Mode(d.ID, now)
	}
	return modes, nil
}

// withModes puts the modes in force into rows that a device is about to be told of.
func (s *Service) withModes(
	ctx context.Context, db *ent.Client, doors []*ent.Door,
) ([]*ent.Door, error) {
	modes, err := s.Modes(ctx, db, doors)
	if err != nil {
		return nil, err
	}
	for _, d := range doors {
		d.EffectiveMode = door.EffectiveMode(modes[d.ID].Mode)
		d.EffectiveCause = modes[d.ID].Cause
	}
	return doors, nil
}

// settleModes brings the modes in force at doors, which are locked, up to date in their rows and in
// the database, and tells of what has happened to them since they were last looked at. Doors that
// come to the same are one statement.
func (s *Service) settleModes(
	ctx context.Context, tx *ent.Tx, doors []*ent.Door,
) ([]journal.Event, error) {
	now := s.now()
	facts, err := s.doorFacts(ctx, tx.Client(), doors, now)
	if err != nil {
		return nil, err
	}
	policy := verdict.Compile(facts)
	var events []journal.Event
	var over []typeid.Door
	moved := map[inForce][]typeid.Door{}
	for _, d := range doors {
		t := turn{door: d, now: now, was: inForceAt(d)}
		t.mode, _ = policy.Mode(d.ID, now)
		if d.Mode == door.ModeCONTROLLED {
			t.plan = facts.Timetables[verdict.Timing{Schedule: orZero(d.UnlockScheduleID), Site: d.SiteID}]
		}
		if t.expireOverride() {
			over = append(over, d.ID)
		}
		t.tellSchedule()
		is := inForce{t.mode.Mode, t.mode.Cause, t.nextLook()}
		if is.mode != t.was.mode {
			t.events = append(t.events, modeChanged(d, t.was.mode, t.mode))
		}
		events = append(events, t.events...)
		if is != t.was {
			moved[is] = append(moved[is], d.ID)
			is.apply(d)
		}
	}
	return events, saveModes(ctx, tx, moved, over)
}

// saveModes writes what settleModes came to, and forgets the overrides that are over.
func saveModes(
	ctx context.Context, tx *ent.Tx, moved map[inForce][]typeid.Door, over []typeid.Door,
) error {
	if len(over) > 0 {
		err := tx.Door.Update().
			Where(whose(door.FieldID, over)).
			ClearOverrideMode().ClearOverrideUntil().Exec(ctx)
		if err != nil {
			return fmt.Errorf("forget overrides: %w", err)
		}
	}
	for is, ids := range moved {
		update := tx.Door.Update().
			Where(whose(door.FieldID, ids)).
			SetEffectiveMode(door.EffectiveMode(is.mode)).SetEffectiveCause(is.cause).
			SetNillableEffectiveUntil(is.next())
		if is.look.IsZero() {
			update.ClearEffectiveUntil()
		}
		if err := update.Exec(ctx); err != nil {
			return fmt.Errorf("update modes: %w", err)
		}
	}
	return nil
}

// inForce is what a door's row holds of the mode in force: what was last told of, and when to look
// again. A zero look is none.
type inForce struct {
	mode  door.Mode
	cause schema.ModeCause
	look  time.Time
}

func inForceAt(d *ent.Door) inForce {
	is := inForce{mode: door.Mode(d.EffectiveMode), cause: d.EffectiveCause}
	if d.EffectiveUntil != nil {
		is.look = d.EffectiveUntil.UTC()
	}
	return is
}

func (is inForce) apply(d *ent.Door) {
	d.EffectiveMode, d.EffectiveCause = door.EffectiveMode(is.mode), is.cause
	d.EffectiveUntil = is.next()
}

func (is inForce) next() *time.Time {
	if is.look.IsZero() {
		return nil
	}
	return &is.look
}

// turn is a look at a door: what has happened since the last one.
type turn struct {
	door   *ent.Door
	now    time.Time
	was    inForce
	mode   verdict.Mode
	plan   *schedule.Timetable // of the unlock schedule; nil if it has no bearing
	events []journal.Event
}

func (t *turn) tell(kind string, reason schema.Reason, facts json.RawMessage) {
	t.events = append(t.events, journal.Event{
		Type: kind, Site: t.door.SiteID, Door: t.door.ID, Reason: reason, Data: facts,
	})
}

// expireOverride takes an override away that has come to its end.
func (t *turn) expireOverride() bool {
	if t.door.OverrideMode == nil || t.door.OverrideUntil == nil ||
		t.now.Before(*t.door.OverrideUntil) {
		return false
	}
	t.door.OverrideMode, t.door.OverrideUntil = nil, nil
	t.tell("override.expired", "", nil)
	return true
}

// tellSchedule tells which windows of the unlock schedule have begun and ended. The looks are never
// further apart than its edges, so what it was just before this one was due is what was told; what
// came and went between a due look and a late one is passed over.
func (t *turn) tellSchedule() {
	id := data("scheduleId", t.door.UnlockScheduleID)
	if t.plan == nil {
		if t.was.cause == schema.ModeCauseSchedule && t.door.UnlockScheduleID != nil {
			t.tell("schedule.ended", "", id)
		}
		return
	}
	before, after := t.planBefore(), t.plan.At(t.now)
	began := after.Open && !after.Since.Equal(before.Since)
	switch {
	case before.Open && !after.Since.Equal(before.Since) && !t.pends(before),
		t.was.cause == schema.ModeCauseSchedule && !after.Open:
		t.tell("schedule.ended", "", id)
	case t.was.cause == schema.ModeCauseStanding && t.mode.Cause == schema.ModeCauseSchedule &&
		!t.pends(after) && !t.door.FirstPersonIn:
		began = true // the schedule is the door's, or open, only since somebody changed something
	}
	switch {
	case began && t.pends(after):
		t.tell("schedule.skipped", schema.ReasonFirstPersonPending, id)
	case began:
		t.tell("schedule.started", "", id)
	case after.Holiday && !before.Holiday:
		t.tell("schedule.skipped", schema.ReasonHoliday, id)
	}
}

// planBefore is the unlock schedule as it was told: before this look was due, or as it is.
func (t *turn) planBefore() schedule.State {
	if t.was.look.IsZero() || t.now.Before(t.was.look) {
		return t.plan.At(t.now)
	}
	return t.plan.At(t.was.look.Add(-time.Microsecond))
}

// pends says that a window of the unlock schedule waits for a first person.
func (t *turn) pends(s schedule.State) bool {
	return s.Open && t.door.FirstPersonIn && orZero(t.door.FirstInAt).Before(s.Since)
}

// nextLook is when something happens next of which is to be told, if nobody changes anything.
func (t *turn) nextLook() time.Time {
	next := t.mode.Until
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if t.door.OverrideMode != nil {
		sooner(orZero(t.door.OverrideUntil).UTC())
	}
	if t.plan != nil {
		until := t.plan.At(t.now).Until
		if until.IsZero() {
			_, until = t.plan.Holds() // nothing is known to come; then more is known
		}
		sooner(until)
	}
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

func modeChanged(d *ent.Door, from door.Mode, is verdict.Mode) journal.Event {
	facts, _ := json.Marshal(struct {
		From  door.Mode        `json:"from"`
		To    door.Mode        `json:"to"`
		Cause schema.ModeCause `json:"cause"`
		Until *time.Time       `json:"until,omitempty"`
	}{from, is.Mode, is.Cause, orNil(is.Until)})
	return journal.Event{Type: "door.mode_changed", Site: d.SiteID, Door: d.ID, Data: facts}
}

const (
	// turnBatch is how many doors of one organization turn in one transaction.
	turnBatch = 200
	// dueBatch bounds how many due doors one round of TurnModes looks for organizations in.
	dueBatch = 1000
)

// TurnModes decides anew which modes are in force at the doors, of all organizations, at which
// something was to happen by now, tells of it and configures their devices. It returns how many. Many
// nodes may call it at once: they share the doors, and each change is told of once. However late it
// comes, it goes to the present in one step.
func (s *Service) TurnModes(ctx context.Context) (int, error) {
	sweeper := actor.System("sweeper")
	due, err := s.db.Door.Query().Where(door.EffectiveUntilLTE(s.now())).
		Order(door.ByEffectiveUntil()).Limit(dueBatch).All(actor.NewContext(ctx, sweeper))
	if err != nil {
		return 0, fmt.Errorf("find doors that turn: %w", err)
	}
	turned := 0
	seen := map[typeid.Organization]bool{}
	for _, d := range due {
		if seen[d.OrgID] {
			continue
		}
		seen[d.OrgID] = true
		n, err := s.turnModesOf(actor.NewContext(ctx, sweeper.Within(d.OrgID)))
		if err != nil {
			return turned, err
		}
		turned += n
	}
	return turned, nil
}

// turnModesOf turns the doors of one organization. Doors that somebody else has locked are left to
// them, or to the next round.
func (s *Service) turnModesOf(ctx context.Context) (turned int, err error) {
	for {
		var changed []*ent.Door
		count := 0
		err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
			doors, err := tx.Door.Query().Where(door.EffectiveUntilLTE(s.now())).
				Order(door.ByID()).Limit(turnBatch).
				Where(func(q *entsql.Selector) {
					q.For("NO KEY UPDATE", entsql.WithLockAction(entsql.SkipLocked))
				}).All(ctx)
			if err != nil {
				return nil, fmt.Errorf("lock doors that turn: %w", err)
			}
			before := make([]door.EffectiveMode, len(doors))
			for i, d := range doors {
				before[i] = d.EffectiveMode
			}
			events, err := s.settleModes(ctx, tx, doors)
			changed, count = nil, len(doors)
			for i, d := range doors {
				if d.EffectiveMode != before[i] {
					changed = append(changed, d)
				}
			}
			return events, err
		})
		if err != nil {
			return turned, err
		}
		telling, cancel := context.WithTimeout(ctx, tellingTime)
		s.tellDevices(telling, devicesOf(changed))
		cancel()
		if turned += count; count < turnBatch {
			return turned, nil
		}
	}
}
