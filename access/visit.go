package access

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxVisit is how long a visit lasts at most.
const maxVisit = 30 * 24 * time.Hour

// InviteVisitorInput says who comes, when, to which doors, and to whom.
type InviteVisitorInput struct {
	Name         string
	Recipient    *string // an e-mail address or a phone number; nil: somebody hands over the link
	SiteID       typeid.Site
	DoorIDs      []typeid.Door
	DoorGroupIDs []typeid.DoorGroup
	StartsAt     time.Time
	EndsAt       time.Time
	HostID       *typeid.User // nil: the actor
}

// InviteVisitorPayload holds the visit, and the link to its key, which is shown this once.
type InviteVisitorPayload struct {
	Visit *ent.Visit
	Link  string
}

// InviteVisitor makes a visit with a key that is its guest's once they redeem the link. Other than
// administrators host only themselves, and only at doors that a key of theirs opens now.
func (s *Service) InviteVisitor(
	ctx context.Context, in InviteVisitorInput,
) (*InviteVisitorPayload, error) {
	reached, err := reach(ctx, WriteVisits)
	if err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	host := by.User
	if in.HostID != nil {
		host = *in.HostID
	}
	if host != by.User && !governs(ctx, reached, in.SiteID) {
		return nil, Error{CodeForbidden, "host yourself", "hostId"}
	}
	opens, f := visitTargets(in.DoorIDs, in.DoorGroupIDs)
	f.text("name", in.Name, 200)
	if in.Recipient != nil && !phone.MatchString(*in.Recipient) {
		f.recipient("recipient", *in.Recipient)
	}
	f.visit(in.StartsAt, in.EndsAt, s.now())
	if err := f.err(); err != nil {
		return nil, err
	}
	secret := newSecret(linkPrefix)
	var v *ent.Visit
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if _, err := tx.Site.Query().Where(site.ID(in.SiteID)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "site", "siteId")
		}
		if err := s.mayHost(ctx, tx, in.SiteID, opens); err != nil {
			return nil, err
		}
		if _, err := tx.User.Query().Where(user.ID(host)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "user", "hostId")
		}
		k, err := tx.Key.Create().SetSharedByID(host).SetNillableRecipient(in.Recipient).
			SetRecipientName(in.Name).SetLinkHash(hashSecret(secret)).
			SetValidFrom(in.StartsAt).SetValidUntil(in.EndsAt).Save(ctx)
		if err != nil {
			return nil, err
		}
		if err := opens.save(ctx, tx, k); err != nil {
			return nil, err
		}
		v, err = tx.Visit.Create().SetHostID(host).SetSiteID(in.SiteID).SetKeyID(k.ID).
			SetName(in.Name).SetStartsAt(in.StartsAt).SetEndsAt(in.EndsAt).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{
			opens.told("key.created", k), visitEvent("visitor.invited", v),
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return &InviteVisitorPayload{v, s.link(secret)}, nil
}

// visitTargets returns what a visit's key opens, each once, and what is wrong with it.
func visitTargets(doors []typeid.Door, groups []typeid.DoorGroup) (t targets, f faults) {
	t = targets{doors: unique(doors), groups: unique(groups)}
	t.check(&f)
	return t, f
}

// mayHost fails unless the actor may invite to these doors of the site: an administrator to all, a
// manager to those of their sites, others to those that a key of theirs opens now. Groups of doors
// change, so they are for the former.
func (s *Service) mayHost(
	ctx context.Context, tx *ent.Tx, at typeid.Site, t targets,
) error {
	reached, err := reach(ctx, WriteVisits)
	if err != nil {
		return err
	}
	inCharge := governs(ctx, reached, at)
	if !inCharge && len(t.groups) > 0 {
		return Error{CodeForbidden, "only administrators invite to groups of doors", "doorGroupIds"}
	}
	visible, err := s.doorsFor(ctx, WriteVisits)
	if err != nil {
		return err
	}
	if inCharge {
		if err := t.exist(ctx, tx, WriteVisits); err != nil {
			return err
		}
	}
	doors, err := tx.Door.Query().Where(door.IDIn(t.doors...), door.SiteID(at), visible).
		Order(door.ByID()).ForShare().All(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("load doors: %w", err)
	case len(doors) != len(t.doors):
		return Error{CodeNotFound, "no such door of the site", "doorIds"}
	case inCharge:
		return nil
	}
	return s.mayOpen(ctx, tx, doors)
}

// mayOpen fails unless a key of the actor opens each of the doors now.
func (s *Service) mayOpen(ctx context.Context, tx *ent.Tx, doors []*ent.Door) error {
	by, _ := actor.FromContext(ctx)
	now := s.now()
	policy, err := s.policyFor(ctx, tx.Client(), []typeid.User{by.User}, doors, now, held)
	if err != nil {
		return err
	}
	for _, d := range doors {
		v := policy.Decide(verdict.Question{Person: by.User, Door: d.ID, At: now})
		if !v.Granted || v.Key.IsZero() {
			return Error{CodeForbidden, "no key of yours opens the door now", "doorIds"}
		}
	}
	return nil
}

// visit checks when a visit is.
func (f *faults) visit(starts, ends, now time.Time) {
	switch {
	case !starts.Before(ends):
		f.add("endsAt", "must be after startsAt")
	case ends.Sub(starts) > maxVisit:
		f.add("endsAt", "must be at most 30 days after startsAt")
	case !now.Before(ends):
		f.add("endsAt", "must be in the future")
	}
}

// UpdateVisitInput changes what it holds and leaves the rest. The doors, if any are given, take the
// place of those before.
type UpdateVisitInput struct {
	ID           typeid.Visit
	StartsAt     *time.Time
	EndsAt       *time.Time
	DoorIDs      []typeid.Door
	DoorGroupIDs []typeid.DoorGroup
}

// UpdateVisitPayload holds the visit as it is now.
type UpdateVisitPayload struct{ Visit *ent.Visit }

// UpdateVisit changes when a visit is, and its doors, as far as it has not ended; and its key.
func (s *Service) UpdateVisit(
	ctx context.Context, in UpdateVisitInput,
) (*UpdateVisitPayload, error) {
	var opens *targets
	if len(in.DoorIDs)+len(in.DoorGroupIDs) > 0 {
		t, f := visitTargets(in.DoorIDs, in.DoorGroupIDs)
		if err := f.err(); err != nil {
			return nil, err
		}
		opens = &t
	}
	before := func(ctx context.Context, tx *ent.Tx, v *ent.Visit) error {
		if opens == nil {
			return nil
		}
		if err := s.mayHost(ctx, tx, v.SiteID, *opens); err != nil {
			return err
		}
		return holdTargets(ctx, tx, v.KeyID)
	}
	v, err := s.changeVisit(ctx, in.ID, "id", before, func(
		ctx context.Context, tx *ent.Tx, v *ent.Visit, family []*ent.Key,
	) (*ent.Visit, []journal.Event, error) {
		return s.reschedule(ctx, tx, v, family[0], in, opens)
	})
	if err != nil {
		return nil, err
	}
	return &UpdateVisitPayload{v}, nil
}

// reschedule changes a visit and its key, both of them locked.
func (s *Service) reschedule(
	ctx context.Context, tx *ent.Tx, v *ent.Visit, k *ent.Key, in UpdateVisitInput,
	opens *targets,
) (*ent.Visit, []journal.Event, error) {
	if v.EndedAt != nil {
		return nil, nil, errVisitEnded
	}
	update := tx.Visit.UpdateOne(v).SetNillableStartsAt(in.StartsAt).SetNillableEndsAt(in.EndsAt)
	change := changes(update.Mutation())
	v, err := update.Save(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("update visit: %w", err)
	}
	var f faults
	f.visit(v.StartsAt, v.EndsAt, s.now())
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	err = tx.Key.UpdateOne(k).SetValidFrom(v.StartsAt).SetValidUntil(v.EndsAt).Exec(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("update key of visit: %w", err)
	}
	if opens != nil {
		change = append(change, "doors")
		if _, err := tx.KeyTarget.Delete().Where(keytarget.KeyID(k.ID)).Exec(ctx); err != nil {
			return nil, nil, fmt.Errorf("replace doors of visit: %w", err)
		}
		if err := opens.save(ctx, tx, k); err != nil {
			return nil, nil, err
		}
	}
	told := visitEvent("visitor.updated", v)
	told.Data = dataOf(map[string]any{"visitId": v.ID, "changed": change})
	return v, []journal.Event{{Type: "key.updated", Key: k.ID, User: orZero(k.UserID),
		Data: data("changed", change)}, told}, nil
}

// holdTargets locks the doors that a key is about to lose.
func holdTargets(ctx context.Context, tx *ent.Tx, id typeid.Key) error {
	targets, err := tx.KeyTarget.Query().Where(keytarget.KeyID(id)).All(ctx)
	if err != nil {
		return fmt.Errorf("load what a key opens: %w", err)
	}
	var doors []typeid.Door
	for _, t := range targets {
		switch {
		case t.DoorID != nil:
			doors = append(doors, *t.DoorID)
		case t.DoorGroupID != nil:
			if err := holdDoorsOf(ctx, tx, *t.DoorGroupID); err != nil {
				return err
			}
		}
	}
	_, err = tx.Door.Query().Where(forChange, door.IDIn(doors...)).Order(door.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock doors: %w", err)
	}
	return nil
}

// changeVisit changes a visit that the actor may, with its key and what was shared from that, which
// are locked before it.
func (s *Service) changeVisit(
	ctx context.Context, id typeid.Visit, field string,
	before func(context.Context, *ent.Tx, *ent.Visit) error,
	change func(
		context.Context, *ent.Tx, *ent.Visit, []*ent.Key,
	) (*ent.Visit, []journal.Event, error),
) (v *ent.Visit, err error) {
	visible, err := visitsFor(ctx, WriteVisits)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if v, err = tx.Visit.Query().Where(visit.ID(id), visible).Only(ctx); err != nil {
			return nil, found(err, "visit", field)
		}
		if before != nil {
			if err := before(ctx, tx, v); err != nil {
				return nil, err
			}
		}
		family, err := holdFamily(ctx, tx, v.KeyID)
		if err != nil {
			return nil, err
		}
		if v, err = tx.Visit.Query().Where(visit.ID(id), forChange).Only(ctx); err != nil {
			return nil, found(err, "visit", field)
		}
		v, events, err = change(ctx, tx, v, family)
		return events, err
	})
	return v, err
}

// VisibleVisits are those that the actor hosts.
func (s *Service) VisibleVisits(ctx context.Context) (predicate.Visit, error) {
	return visitsFor(ctx, ReadVisits)
}

// visitsFor are the visits that an action may find.
func visitsFor(ctx context.Context, action Action) (predicate.Visit, error) {
	return narrowTo(ctx, action, visit.HostID, visitAt)
}

// visitEvent tells of a visit: its host is the person that it is about.
func visitEvent(kind string, v *ent.Visit) journal.Event {
	return journal.Event{
		Type: kind, Site: v.SiteID, Key: v.KeyID, User: v.HostID, Data: data("visitId", v.ID),
	}
}

// VisitsBetween is true of visits that take place, if only in part, from one instant to before
// another; nil is no bound.
func VisitsBetween(from, to *time.Time) predicate.Visit {
	return func(q *sql.Selector) {
		if from != nil {
			q.Where(sql.GT(q.C(visit.FieldEndsAt), *from))
		}
		if to != nil {
			q.Where(sql.LT(q.C(visit.FieldStartsAt), *to))
		}
	}
}
