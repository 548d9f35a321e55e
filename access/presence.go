package access

import (
	"context"
	"fmt"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// RecordPresenceInput says where a person is, whatever the doors have seen.
type RecordPresenceInput struct {
	AreaID typeid.Area
	UserID typeid.User
	State  presence.State // IN or OUT
}

// RecordPresencePayload holds the area.
type RecordPresencePayload struct{ Area *ent.Area }

// RecordPresence says that a person is in an area or out of it: somebody saw them. What is recorded
// already is no error and no change.
func (s *Service) RecordPresence(
	ctx context.Context, in RecordPresenceInput,
) (*RecordPresencePayload, error) {
	if err := Authorize(ctx, OperateDoors); err != nil {
		return nil, err
	}
	if in.State != presence.StateIN && in.State != presence.StateOUT {
		return nil, Error{CodeBadUserInput, "must be IN or OUT", "state"}
	}
	var a *ent.Area
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if a, err = holdArea(ctx, tx, in.AreaID, &in.UserID); err != nil {
			return nil, err
		}
		known, err := tx.Presence.Query().Where(presence.AreaID(a.ID),
			presence.UserID(in.UserID), presence.StateEQ(in.State)).Count(ctx)
		if err != nil || known > 0 {
			return nil, err
		}
		p := passage{user: in.UserID, at: s.now()}
		moved, err := p.move(ctx, tx, a, in.State)
		return append([]journal.Event{p.event("presence.recorded", a.SiteID,
			map[string]any{"areaId": a.ID, "state": in.State})}, moved...), err
	})
	if err != nil {
		return nil, err
	}
	return &RecordPresencePayload{a}, nil
}

// ResetAntiPassbackInput says whose place to forget.
type ResetAntiPassbackInput struct {
	AreaID typeid.Area
	UserID *typeid.User // nil: everybody's
}

// ResetAntiPassbackPayload holds the area.
type ResetAntiPassbackPayload struct{ Area *ent.Area }

// ResetAntiPassback forgets who is in an area and who is out: their next pass is free, in and out.
// Nor do reports count that come late of what was before.
func (s *Service) ResetAntiPassback(
	ctx context.Context, in ResetAntiPassbackInput,
) (*ResetAntiPassbackPayload, error) {
	if err := Authorize(ctx, OperateDoors); err != nil {
		return nil, err
	}
	var a *ent.Area
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if a, err = holdArea(ctx, tx, in.AreaID, in.UserID); err != nil {
			return nil, err
		}
		p := passage{user: orZero(in.UserID), at: s.now()}
		if in.UserID != nil {
			events, err = p.move(ctx, tx, a, presence.StateUNKNOWN)
		} else {
			a, events, err = p.empty(ctx, tx, a)
		}
		return append([]journal.Event{p.event("antipassback.reset", a.SiteID,
			map[string]any{"areaId": a.ID})}, events...), err
	})
	if err != nil {
		return nil, err
	}
	return &ResetAntiPassbackPayload{a}, nil
}

// empty forgets everybody in and out of an area.
func (p passage) empty(
	ctx context.Context, tx *ent.Tx, a *ent.Area,
) (*ent.Area, []journal.Event, error) {
	in, err := tx.Presence.Query().
		Where(presence.AreaID(a.ID), presence.StateEQ(presence.StateIN)).Count(ctx)
	if err != nil {
		return a, nil, fmt.Errorf("load presences: %w", err)
	}
	if _, err := tx.Presence.Delete().Where(presence.AreaID(a.ID)).Exec(ctx); err != nil {
		return a, nil, fmt.Errorf("forget presences: %w", err)
	}
	reset, err := tx.Area.UpdateOne(a).SetResetAt(p.at).Save(ctx)
	if err != nil || in == 0 {
		return reset, nil, err
	}
	events, err := p.counted(ctx, tx, reset, false)
	return reset, events, err
}

// holdArea locks an area that the actor may operate, and a person of the organization before it, if one is named.
func holdArea(
	ctx context.Context, tx *ent.Tx, id typeid.Area, who *typeid.User,
) (*ent.Area, error) {
	if who != nil {
		if _, err := tx.User.Query().Where(user.ID(*who)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "user", "userId")
		}
	}
	at, err := areasAt(ctx, OperateDoors)
	if err != nil {
		return nil, err
	}
	a, err := tx.Area.Query().Where(area.ID(id), at, forChange).Only(ctx)
	return a, found(err, "area", "areaId")
}
