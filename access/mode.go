package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// settleModes brings the modes in force at doors, which are locked, up to date in their rows and in
// the database, and tells of those that are others than before. Doors that come to the same are one
// statement.
func (s *Service) settleModes(
	ctx context.Context, tx *ent.Tx, doors []*ent.Door,
) ([]journal.Event, error) {
	now := s.now()
	policy, err := s.policyFor(ctx, tx.Client(), nil, doors, now, free)
	if err != nil {
		return nil, err
	}
	var events []journal.Event
	moved := map[inForce][]typeid.Door{}
	for _, d := range doors {
		m, _ := policy.Mode(d.ID, now)
		is := inForce{m.Mode, m.Cause, m.Until}
		was := inForceAt(d)
		if is == was {
			continue
		}
		if is.mode != was.mode {
			events = append(events, modeChanged(d, was, is))
		}
		moved[is] = append(moved[is], d.ID)
		is.apply(d)
	}
	for is, ids := range moved {
		update := tx.Door.Update().
			Where(func(q *entsql.Selector) { q.Where(anyOf(q.C(door.FieldID), ids)) }).
			SetEffectiveMode(door.EffectiveMode(is.mode)).SetEffectiveCause(is.cause).
			SetNillableEffectiveUntil(is.end())
		if is.until.IsZero() {
			update.ClearEffectiveUntil()
		}
		if err := update.Exec(ctx); err != nil {
			return nil, fmt.Errorf("update modes: %w", err)
		}
	}
	return events, nil
}

// inForce is the mode in force at a door; until is zero if its end is not known.
type inForce struct {
	mode  door.Mode
	cause schema.ModeCause
	until time.Time
}

func inForceAt(d *ent.Door) inForce {
	is := inForce{mode: door.Mode(d.EffectiveMode), cause: d.EffectiveCause}
	if d.EffectiveUntil != nil {
		is.until = d.EffectiveUntil.UTC()
	}
	return is
}

func (is inForce) apply(d *ent.Door) {
	d.EffectiveMode, d.EffectiveCause = door.EffectiveMode(is.mode), is.cause
	d.EffectiveUntil = is.end()
}

func (is inForce) end() *time.Time {
	if is.until.IsZero() {
		return nil
	}
	return &is.until
}

func modeChanged(d *ent.Door, was, is inForce) journal.Event {
	facts, _ := json.Marshal(struct {
		From  door.Mode        `json:"from"`
		To    door.Mode        `json:"to"`
		Cause schema.ModeCause `json:"cause"`
		Until *time.Time       `json:"until,omitempty"`
	}{was.mode, is.mode, is.cause, is.end()})
	return journal.Event{Type: "door.mode_changed", Site: d.SiteID, Door: d.ID, Data: facts}
}
