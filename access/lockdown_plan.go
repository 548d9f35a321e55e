package access

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdownplan"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// maxPlanSites and maxPlanDoors bound what a plan lists; a site has any number of doors.
	maxPlanSites = 100
	maxPlanDoors = 500
	// minRevert and maxRevert bound after how many seconds a lockdown may be released by itself.
	minRevert = 60
	maxRevert = 7 * 24 * 60 * 60
)

// CreateLockdownPlanInput says which doors a lockdown closes: some doors, all those of some sites,
// now and in future, or both. Administrators may trigger and release it, and members of the groups.
type CreateLockdownPlanInput struct {
	Name             string
	SiteIDs          []typeid.Site
	DoorIDs          []typeid.Door
	TriggerGroupID   *typeid.UserGroup
	ReleaseGroupID   *typeid.UserGroup
	TwoPersonTrigger *bool // nil: one is enough
	TwoPersonRelease *bool // likewise
	RevertSeconds    *int  // 60 to 7 days; nil: it is not released by itself
}

// CreateLockdownPlanPayload holds the new plan.
type CreateLockdownPlanPayload struct{ LockdownPlan *ent.LockdownPlan }

// CreateLockdownPlan makes a plan. Names are unique in the organization.
func (s *Service) CreateLockdownPlan(
	ctx context.Context, in CreateLockdownPlanInput,
) (*CreateLockdownPlanPayload, error) {
	if err := Authorize(ctx, WriteLockdowns); err != nil {
		return nil, err
	}
	sites, doors := onceEach(in.SiteIDs), onceEach(in.DoorIDs)
	var f faults
	f.text("name", in.Name, 200)
	f.covered(sites, doors)
	f.within("revertSeconds", in.RevertSeconds, minRevert, maxRevert)
	if err := f.err(); err != nil {
		return nil, err
	}
	var p *ent.LockdownPlan
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := placesExist(ctx, tx, sites, doors); err != nil {
			return nil, err
		}
		p, err = tx.LockdownPlan.Create().SetName(in.Name).SetSiteIds(sites).SetDoorIds(doors).
			SetNillableTriggerGroupID(in.TriggerGroupID).SetNillableReleaseGroupID(in.ReleaseGroupID).
			SetNillableTwoPersonTrigger(in.TwoPersonTrigger).
			SetNillableTwoPersonRelease(in.TwoPersonRelease).
			SetNillableRevertSeconds(in.RevertSeconds).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "lockdown_plan.created", Data: data("planId", p.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateLockdownPlanPayload{p}, nil
}

// UpdateLockdownPlanInput changes what it holds and leaves the rest.
type UpdateLockdownPlanInput struct {
	ID                typeid.LockdownPlan
	Name              *string
	SiteIDs           []typeid.Site // nil: as they are
	DoorIDs           []typeid.Door // likewise
	TriggerGroupID    *typeid.UserGroup
	ClearTriggerGroup *bool
	ReleaseGroupID    *typeid.UserGroup
	ClearReleaseGroup *bool
	TwoPersonTrigger  *bool
	TwoPersonRelease  *bool
	RevertSeconds     *int
	ClearRevert       *bool
}

// UpdateLockdownPlanPayload holds the plan as it is now.
type UpdateLockdownPlanPayload struct{ LockdownPlan *ent.LockdownPlan }

// UpdateLockdownPlan changes a plan. One that is in use, or asked for, stays as it is: nobody gets
// around a second person by changing the plan.
func (s *Service) UpdateLockdownPlan(
	ctx context.Context, in UpdateLockdownPlanInput,
) (*UpdateLockdownPlanPayload, error) {
	if err := Authorize(ctx, WriteLockdowns); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var p *ent.LockdownPlan
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if p, err = s.holdIdlePlan(ctx, tx, in.ID); err != nil {
			return nil, err
		}
		if err := in.stillCovers(ctx, tx, p); err != nil {
			return nil, err
		}
		update := in.apply(tx.LockdownPlan.UpdateOne(p))
		change := changes(update.Mutation())
		if p, err = update.Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "lockdown_plan.updated",
			Data: dataOf(map[string]any{"planId": p.ID, "changed": change})}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateLockdownPlanPayload{p}, nil
}

func (in UpdateLockdownPlanInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	f.atMost(len(onceEach(in.SiteIDs)), len(onceEach(in.DoorIDs)))
	f.within("revertSeconds", in.RevertSeconds, minRevert, maxRevert)
	for _, both := range []struct {
		field      string
		set, clear bool
	}{
		{"triggerGroupId", in.TriggerGroupID != nil, orZero(in.ClearTriggerGroup)},
		{"releaseGroupId", in.ReleaseGroupID != nil, orZero(in.ClearReleaseGroup)},
		{"revertSeconds", in.RevertSeconds != nil, orZero(in.ClearRevert)},
	} {
		if both.set && both.clear {
			f.add(both.field, "cannot be set and cleared at once")
		}
	}
	return f.err()
}

// stillCovers fails unless the plan, as it will be, closes something that exists.
func (in UpdateLockdownPlanInput) stillCovers(
	ctx context.Context, tx *ent.Tx, p *ent.LockdownPlan,
) error {
	sites, doors := p.SiteIds, p.DoorIds
	if in.SiteIDs != nil {
		sites = in.SiteIDs
	}
	if in.DoorIDs != nil {
		doors = in.DoorIDs
	}
	var f faults
	f.covered(sites, doors)
	if err := f.err(); err != nil {
		return err
	}
	return placesExist(ctx, tx, onceEach(in.SiteIDs), onceEach(in.DoorIDs))
}

func (in UpdateLockdownPlanInput) apply(u *ent.LockdownPlanUpdateOne) *ent.LockdownPlanUpdateOne {
	u.SetNillableName(in.Name).SetNillableTriggerGroupID(in.TriggerGroupID).
		SetNillableReleaseGroupID(in.ReleaseGroupID).
		SetNillableTwoPersonTrigger(in.TwoPersonTrigger).
		SetNillableTwoPersonRelease(in.TwoPersonRelease).SetNillableRevertSeconds(in.RevertSeconds)
	if in.SiteIDs != nil {
		u.SetSiteIds(onceEach(in.SiteIDs))
	}
	if in.DoorIDs != nil {
		u.SetDoorIds(onceEach(in.DoorIDs))
	}
	if orZero(in.ClearTriggerGroup) {
		u.ClearTriggerGroupID()
	}
	if orZero(in.ClearReleaseGroup) {
		u.ClearReleaseGroupID()
	}
	if orZero(in.ClearRevert) {
		u.ClearRevertSeconds()
	}
	return u
}

// DeleteLockdownPlanInput names a plan.
type DeleteLockdownPlanInput struct{ ID typeid.LockdownPlan }

// DeleteLockdownPlanPayload names the plan that was.
type DeleteLockdownPlanPayload struct{ DeletedID typeid.LockdownPlan }

// DeleteLockdownPlan deletes a plan that is not in use, with its past lockdowns; the journal keeps
// what happened.
func (s *Service) DeleteLockdownPlan(
	ctx context.Context, in DeleteLockdownPlanInput,
) (*DeleteLockdownPlanPayload, error) {
	if err := Authorize(ctx, WriteLockdowns); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		p, err := s.holdIdlePlan(ctx, tx, in.ID)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Lockdown.Delete().Where(lockdown.PlanID(p.ID)).Exec(ctx); err != nil {
			return nil, fmt.Errorf("delete lockdowns: %w", err)
		}
		if err := tx.LockdownPlan.DeleteOne(p).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "lockdown_plan.deleted", Data: data("planId", p.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteLockdownPlanPayload{in.ID}, nil
}

// holdIdlePlan locks a plan that no lockdown is using. Whatever changes a lockdown locks its plan
// first.
func (s *Service) holdIdlePlan(
	ctx context.Context, tx *ent.Tx, id typeid.LockdownPlan,
) (*ent.LockdownPlan, error) {
	p, err := tx.LockdownPlan.Query().Where(lockdownplan.ID(id), forChange).Only(ctx)
	if err != nil {
		return nil, found(err, "lockdown plan", "id")
	}
	used, err := tx.Lockdown.Query().Where(lockdown.PlanID(id), func(q *sql.Selector) {
		q.Where(sql.Or(sql.EQ(q.C(lockdown.FieldState), lockdown.StateACTIVE),
			sql.And(sql.EQ(q.C(lockdown.FieldState), lockdown.StateREQUESTED),
				sql.GT(q.C(lockdown.FieldRequestedAt), s.now().Add(-SecondPersonWindow)))))
	}).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for lockdowns: %w", err)
	}
	if used > 0 {
		return nil, Error{CodeConflict, "the plan is in use", "id"}
	}
	return p, nil
}

// covered checks what a plan closes.
func (f *faults) covered(sites []typeid.Site, doors []typeid.Door) {
	if len(sites)+len(doors) == 0 {
		f.add("siteIds", "give sites, doors or both")
	}
	f.atMost(len(sites), len(doors))
}

func (f *faults) atMost(sites, doors int) {
	if sites > maxPlanSites {
		f.add("siteIds", "at most %d sites", maxPlanSites)
	}
	if doors > maxPlanDoors {
		f.add("doorIds", "at most %d doors", maxPlanDoors)
	}
}

// placesExist fails with NOT_FOUND unless all sites and doors, each named once, are in the organization.
func placesExist(ctx context.Context, tx *ent.Tx, sites []typeid.Site, doors []typeid.Door) error {
	var missing Errors
	if len(sites) > 0 {
		count, err := tx.Site.Query().Where(site.IDIn(sites...)).Count(ctx)
		if err != nil {
			return fmt.Errorf("count sites: %w", err)
		}
		if count != len(sites) {
			missing = append(missing, Error{CodeNotFound, "no such site", "siteIds"})
		}
	}
	if len(doors) > 0 {
		count, err := tx.Door.Query().Where(door.IDIn(doors...)).Count(ctx)
		if err != nil {
			return fmt.Errorf("count doors: %w", err)
		}
		if count != len(doors) {
			missing = append(missing, Error{CodeNotFound, "no such door", "doorIds"})
		}
	}
	if len(missing) > 0 {
		return missing
	}
	return nil
}

// onceEach is the identifiers in their order, each once; it is never nil.
func onceEach[K comparable](ids []K) []K {
	seen := make(map[K]bool, len(ids))
	once := make([]K, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id], once = true, append(once, id)
		}
	}
	return once
}
