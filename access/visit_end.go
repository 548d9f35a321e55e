package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

var errVisitEnded = Error{CodeConflict, "the visit has ended", ""}

// RecordVisitorArrivalInput names a visit.
type RecordVisitorArrivalInput struct{ VisitID typeid.Visit }

// RecordVisitorArrivalPayload holds the visit as it is now.
type RecordVisitorArrivalPayload struct{ Visit *ent.Visit }

// RecordVisitorArrival records that the guest is there. So does the first unlock that the visit's
// key grants. Once they are, it changes nothing.
func (s *Service) RecordVisitorArrival(
	ctx context.Context, in RecordVisitorArrivalInput,
) (*RecordVisitorArrivalPayload, error) {
	v, err := s.changeVisit(ctx, in.VisitID, "visitId", nil, func(
		ctx context.Context, tx *ent.Tx, v *ent.Visit, _ []*ent.Key,
	) (*ent.Visit, []journal.Event, error) {
		switch v.State {
		case visit.StateARRIVED:
			return v, nil, nil
		case visit.StateINVITED:
			return s.arrived(ctx, tx, v)
		case visit.StateDEPARTED, visit.StateCANCELLED, visit.StateNO_SHOW:
		}
		return nil, nil, errVisitEnded
	})
	if err != nil {
		return nil, err
	}
	return &RecordVisitorArrivalPayload{v}, nil
}

func (s *Service) arrived(
	ctx context.Context, tx *ent.Tx, v *ent.Visit,
) (*ent.Visit, []journal.Event, error) {
	v, err := tx.Visit.UpdateOne(v).SetState(visit.StateARRIVED).SetArrivedAt(s.now()).Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("record arrival: %w", err)
	}
	return v, []journal.Event{visitEvent("visitor.arrived", v)}, nil
}

// arrivedBy records the arrival of the guest whose unlock was granted, if that is by a visit's key.
// Guests alone have such keys, so nobody looks for one when others unlock.
func (s *Service) arrivedBy(
	ctx context.Context, tx *ent.Tx, c *ent.Command,
) ([]journal.Event, error) {
	by, _ := actor.FromContext(ctx)
	if by.Role != "" && by.Role != actor.RoleGuest || c.KeyID == nil {
		return nil, nil
	}
	v, err := tx.Visit.Query().
		Where(visit.KeyID(*c.KeyID), visit.StateEQ(visit.StateINVITED), forChange).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load visit: %w", err)
	}
	_, events, err := s.arrived(ctx, tx, v)
	return events, err
}

// RecordVisitorDepartureInput names a visit.
type RecordVisitorDepartureInput struct{ VisitID typeid.Visit }

// RecordVisitorDeparturePayload holds the visit as it is now.
type RecordVisitorDeparturePayload struct{ Visit *ent.Visit }

// RecordVisitorDeparture ends a visit, and its key with it. Again, it changes nothing.
func (s *Service) RecordVisitorDeparture(
	ctx context.Context, in RecordVisitorDepartureInput,
) (*RecordVisitorDeparturePayload, error) {
	v, err := s.endVisit(ctx, in.VisitID, visit.StateDEPARTED, "visitor.departed")
	if err != nil {
		return nil, err
	}
	return &RecordVisitorDeparturePayload{v}, nil
}

// CancelVisitInput names a visit.
type CancelVisitInput struct{ VisitID typeid.Visit }

// CancelVisitPayload holds the visit as it is now.
type CancelVisitPayload struct{ Visit *ent.Visit }

// CancelVisit ends a visit, and its key with it, before its guest has arrived. Again, it changes
// nothing.
func (s *Service) CancelVisit(
	ctx context.Context, in CancelVisitInput,
) (*CancelVisitPayload, error) {
	v, err := s.endVisit(ctx, in.VisitID, visit.StateCANCELLED, "visitor.cancelled")
	if err != nil {
		return nil, err
	}
	return &CancelVisitPayload{v}, nil
}

func (s *Service) endVisit(
	ctx context.Context, id typeid.Visit, state visit.State, kind string,
) (*ent.Visit, error) {
	return s.changeVisit(ctx, id, "visitId", nil, func(
		ctx context.Context, tx *ent.Tx, v *ent.Visit, family []*ent.Key,
	) (*ent.Visit, []journal.Event, error) {
		switch {
		case v.State == state:
			return v, nil, nil
		case v.EndedAt != nil:
			return nil, nil, errVisitEnded
		case state == visit.StateCANCELLED && v.State == visit.StateARRIVED:
			return nil, nil, Error{CodeConflict, "the guest has arrived", "visitId"}
		}
		return s.end(ctx, tx, v, family, state, kind)
	})
}

// end ends a visit. Its key, which is locked with its family, ends with it unless it has before.
func (s *Service) end(
	ctx context.Context, tx *ent.Tx, v *ent.Visit, family []*ent.Key, state visit.State,
	kind string,
) (*ent.Visit, []journal.Event, error) {
	v, err := tx.Visit.UpdateOne(v).SetState(state).SetEndedAt(s.now()).Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("end visit: %w", err)
	}
	events := []journal.Event{visitEvent(kind, v)}
	if status := StatusOf(family[0], s.now()); status == KeyRevoked || status == KeyExpired {
		return v, events, nil
	}
	revoked, err := s.revoke(ctx, tx, family)
	return v, append(revoked, events...), err
}

// EndVisits ends the visits of all organizations whose time is over: NO_SHOW if the guest did not
// come, DEPARTED if they did. It returns how many it found. Many nodes may call it at once.
func (s *Service) EndVisits(ctx context.Context) (int, error) {
	sweeper := actor.System("sweeper")
	due, err := s.db.Visit.Query().Where(visit.EndedAtIsNil(), visit.EndsAtLTE(s.now())).
		Order(visit.ByEndsAt()).Limit(expireBatch).All(actor.NewContext(ctx, sweeper))
	if err != nil {
		return 0, fmt.Errorf("find visits that are over: %w", err)
	}
	var failed error
	for _, v := range due {
		failed = errors.Join(failed, s.endOverdue(actor.NewContext(ctx, sweeper.Within(v.OrgID)), v))
	}
	return len(due), failed
}

// endOverdue ends a visit unless somebody has, or has moved its end, meanwhile.
func (s *Service) endOverdue(ctx context.Context, due *ent.Visit) error {
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		family, err := holdFamily(ctx, tx, due.KeyID)
		if err != nil {
			return nil, err
		}
		v, err := tx.Visit.Query().Where(visit.ID(due.ID), visit.EndedAtIsNil(),
			visit.EndsAtLTE(s.now()), forChange).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lock visit: %w", err)
		}
		state, kind := visit.StateNO_SHOW, "visitor.no_show"
		if v.State == visit.StateARRIVED {
			state, kind = visit.StateDEPARTED, "visitor.departed"
		}
		_, events, err := s.end(ctx, tx, v, family, state, kind)
		return events, err
	})
}
