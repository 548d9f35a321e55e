package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// maxPasses is how many passes a presence remembers: more than anybody has commands under way.
	maxPasses = 8
	// noEntryWindow is how long after a pass its device may say that nobody went through. It is longer
	// than any lock stays unlocked.
	noEntryWindow = 5 * time.Minute
)

// passage is what moves a person into or out of areas. Whoever changes where people are in an area
// holds it locked until the commit, so that counts and limits are exact.
type passage struct {
	user    typeid.User
	door    *ent.Door // nil: an operator says where they are
	at      time.Time
	late    bool // something newer may be known
	command typeid.Command
	told    journal.Event // what its events have in common
}

// through takes a person through a door: they leave the one area and come into the other.
func (p passage) through(ctx context.Context, tx *ent.Tx) ([]journal.Event, error) {
	from, to := orZero(p.door.OutOfAreaID), orZero(p.door.IntoAreaID)
	areas, err := holdAreas(ctx, tx, appendID(appendID(nil, from), to))
	if err != nil {
		return nil, err
	}
	var events []journal.Event
	for _, a := range areas {
		state := presence.StateIN
		if a.ID == from {
			state = presence.StateOUT
		}
		told, err := p.move(ctx, tx, a, state)
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
	}
	return events, nil
}

// move records a person's pass in its place among those that are known.
func (p passage) move(
	ctx context.Context, tx *ent.Tx, a *ent.Area, state presence.State,
) ([]journal.Event, error) {
	if p.late && a.ResetAt != nil && p.at.Before(*a.ResetAt) {
		return nil, nil
	}
	seen, err := tx.Presence.Query().
		Where(presence.AreaID(a.ID), presence.UserID(p.user)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("load presence: %w", err)
	}
	pass := schema.Pass{State: string(state), Since: p.at, Command: p.command}
	if p.door != nil {
		pass.Door = p.door.ID
	}
	passes, place := withPass(seen, pass, p.late)
	events, err := p.settle(ctx, tx, a, seen, passes[:min(len(passes), maxPasses)], place == 0)
	if p.door != nil && a.AntiPassback != area.AntiPassbackOFF &&
		place+1 < len(passes) && passes[place+1].State == pass.State {
		events = append(events, p.violated(a.SiteID, a.ID, area.AntiPassbackALERT))
	}
	return events, err
}

// withPass puts a pass where it belongs, newest first. One that is not late is the newest, whatever
// clocks say.
func withPass(
	seen *ent.Presence, pass schema.Pass, late bool,
) (passes []schema.Pass, place int) {
	if seen != nil {
		passes = seen.Passes
	}
	for late && place < len(passes) && passes[place].Since.After(pass.Since) {
		place++
	}
	if !late && len(passes) > 0 && passes[0].Since.After(pass.Since) {
		pass.Since = passes[0].Since
	}
	return slices.Insert(slices.Clone(passes), place, pass), place
}

// settle stores what is known of a person in an area, and tells if it changed who is in. Moved says
// whether the newest pass is another than before.
func (p passage) settle(
	ctx context.Context, tx *ent.Tx, a *ent.Area, seen *ent.Presence, passes []schema.Pass, moved bool,
) ([]journal.Event, error) {
	if !moved {
		return nil, tx.Presence.UpdateOne(seen).SetPasses(passes).Exec(ctx)
	}
	was := seen != nil && seen.State == presence.StateIN
	is := len(passes) > 0 && passes[0].State == string(presence.StateIN)
	if err := p.store(ctx, tx, a, seen, passes); err != nil {
		return nil, fmt.Errorf("store presence: %w", err)
	}
	if was == is {
		return nil, nil
	}
	return p.counted(ctx, tx, a, is)
}

func (p passage) store(
	ctx context.Context, tx *ent.Tx, a *ent.Area, seen *ent.Presence, passes []schema.Pass,
) error {
	if len(passes) == 0 {
		return tx.Presence.DeleteOne(seen).Exec(ctx)
	}
	state, since, by := presence.State(passes[0].State), passes[0].Since, orNil(passes[0].Door)
	if seen == nil {
		return tx.Presence.Create().SetAreaID(a.ID).SetUserID(p.user).SetState(state).
			SetSince(since).SetNillableDoorID(by).SetPasses(passes).Exec(ctx)
	}
	update := tx.Presence.UpdateOne(seen).SetState(state).SetSince(since).SetPasses(passes)
	if by == nil {
		update.ClearDoorID()
	}
	return update.SetNillableDoorID(by).Exec(ctx)
}

// counted tells how many are in an area now.
func (p passage) counted(
	ctx context.Context, tx *ent.Tx, a *ent.Area, more bool,
) ([]journal.Event, error) {
	count, err := tx.Presence.Query().
		Where(presence.AreaID(a.ID), presence.StateEQ(presence.StateIN)).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count who is in: %w", err)
	}
	events := []journal.Event{
		p.event("occupancy.changed", a.SiteID, map[string]any{"areaId": a.ID, "count": count}),
	}
	limit := orZero(a.OccupancyLimit)
	if more && limit > 0 && count >= limit && a.LimitMode != area.LimitModeOFF {
		events = append(events, p.event("occupancy.limit_reached", a.SiteID,
			map[string]any{"areaId": a.ID, "count": count, "limit": limit}))
	}
	return events, nil
}

// violated tells of a pass that anti-passback would not allow, or did not.
func (p passage) violated(
	at typeid.Site, where typeid.Area, mode area.AntiPassback,
) journal.Event {
	return p.event("antipassback.violated", at, map[string]any{"areaId": where, "mode": mode})
}

func (p passage) event(kind string, at typeid.Site, facts map[string]any) journal.Event {
	e := p.told
	e.Type, e.Site, e.User, e.Data = kind, at, p.user, dataOf(facts)
	return e
}

// holdAreas locks areas against all other passages.
func holdAreas(ctx context.Context, tx *ent.Tx, ids []typeid.Area) ([]*ent.Area, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	areas, err := tx.Area.Query().Where(area.IDIn(ids...), forChange).Order(area.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("hold areas: %w", err)
	}
	return areas, nil
}

// which finds, among passes, the one that is meant; -1 if there is none.
type which func([]schema.Pass) int

func byCommand(id typeid.Command) which {
	return func(passes []schema.Pass) int {
		return slices.IndexFunc(passes, func(p schema.Pass) bool { return p.Command == id })
	}
}

// lastBy is the last pass by a door that can have been what a device says of nobody's entry.
func lastBy(id typeid.Door, at time.Time) which {
	return func(passes []schema.Pass) int {
		return slices.IndexFunc(passes, func(p schema.Pass) bool {
			return p.Door == id && !p.Since.After(at) && at.Sub(p.Since) <= noEntryWindow
		})
	}
}

// holdPasses locks the areas of which a person has the pass that is meant.
func holdPasses(
	ctx context.Context, tx *ent.Tx, who typeid.User, meant which,
) ([]*ent.Area, error) {
	seen, err := tx.Presence.Query().Where(presence.UserID(who)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load presences: %w", err)
	}
	var ids []typeid.Area
	for _, row := range seen {
		if meant(row.Passes) >= 0 {
			ids = append(ids, row.AreaID)
		}
	}
	return holdAreas(ctx, tx, ids)
}

// takeBack undoes a pass that never happened: the person is where all others say.
func (p passage) takeBack(
	ctx context.Context, tx *ent.Tx, meant which,
) (events []journal.Event, err error) {
	areas, err := holdPasses(ctx, tx, p.user, meant)
	if err != nil {
		return nil, err
	}
	for _, a := range areas {
		seen, err := tx.Presence.Query().
			Where(presence.AreaID(a.ID), presence.UserID(p.user)).Only(ctx)
		if ent.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("load presence: %w", err)
		}
		place := meant(seen.Passes)
		if place < 0 {
			continue
		}
		passes := slices.Delete(slices.Clone(seen.Passes), place, place+1)
		if err := forgetDoor(ctx, tx, passes); err != nil {
			return nil, err
		}
		told, err := p.settle(ctx, tx, a, seen, passes, place == 0)
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
	}
	return events, nil
}

// forgetDoor clears the door of the newest pass if it was deleted since.
func forgetDoor(ctx context.Context, tx *ent.Tx, passes []schema.Pass) error {
	if len(passes) == 0 || passes[0].Door.IsZero() {
		return nil
	}
	there, err := tx.Door.Query().Where(door.ID(passes[0].Door), func(q *sql.Selector) {
		q.For("KEY SHARE")
	}).All(ctx)
	if err != nil {
		return fmt.Errorf("load door: %w", err)
	}
	if len(there) == 0 {
		passes[0].Door = typeid.Door{}
	}
	return nil
}

// passageOf is the passage that a command leads to: that of whoever asked for it for themselves. An
// operator is elsewhere.
func passageOf(c *ent.Command) (passage, bool) {
	if c.Verb != command.VerbUNLOCK || c.AsOperator || c.RequesterUserID == nil {
		return passage{}, false
	}
	return passage{
		user: *c.RequesterUserID, at: c.RequestedAt, command: c.ID,
		told: journal.Event{Door: c.DoorID, Device: orZero(c.DeviceID), Command: c.ID},
	}, true
}

// letThrough moves whoever an unlock was granted to, or tells that anti-passback refused it.
func letThrough(
	ctx context.Context, tx *ent.Tx, c *ent.Command, d *ent.Door, v verdict.Verdict,
) ([]journal.Event, error) {
	p, moves := passageOf(c)
	if p.door = d; !moves {
		return nil, nil
	}
	switch {
	case v.Reason == schema.ReasonAntiPassback:
		return []journal.Event{p.violated(d.SiteID, v.Area, area.AntiPassbackENFORCE)}, nil
	case c.Stage != command.StageCREATED:
		return nil, nil
	}
	return p.through(ctx, tx)
}

// holdPass locks the areas of a command that is about to end without an unlock, before the command
// itself is locked.
func holdPass(ctx context.Context, tx *ent.Tx, c *ent.Command) error {
	p, moved := passageOf(c)
	if !moved {
		return nil
	}
	_, err := holdPasses(ctx, tx, p.user, byCommand(c.ID))
	return err
}

// returnPass puts whoever a command would have let through back to where they were.
func returnPass(ctx context.Context, tx *ent.Tx, c *ent.Command) ([]journal.Event, error) {
	p, moved := passageOf(c)
	if !moved {
		return nil, nil
	}
	return p.takeBack(ctx, tx, byCommand(c.ID))
}
