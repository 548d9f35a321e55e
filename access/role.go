package access

import (
	"context"
	"fmt"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/managedsite"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// maxManagedSites is how many sites one person manages at most.
const maxManagedSites = 200

// managed checks the sites of somebody who gets a role, if any.
func (f *faults) managed(role *actor.Role, sites []typeid.Site) {
	switch {
	case role == nil || *role == actor.RoleManager:
	case sites != nil:
		f.add("siteIds", "only a MANAGER manages sites")
	}
	if orZero(role) == actor.RoleManager && sites == nil {
		f.add("siteIds", "name the sites that a MANAGER manages")
	}
	if len(sites) > maxManagedSites {
		f.add("siteIds", "at most %d sites", maxManagedSites)
	}
}

// mayGive fails if the role is one that the actor may not give.
func mayGive(ctx context.Context, role *actor.Role) error {
	if orZero(role) != actor.RoleOwner {
		return nil
	}
	return Authorize(ctx, WriteOwners)
}

// mayChangeUser fails if the actor may not change a person, or not to this role, if any.
func mayChangeUser(
	ctx context.Context, db *ent.Client, id typeid.User, to *actor.Role,
) error {
	if Authorize(ctx, WriteOwners) == nil {
		return nil
	}
	u, err := db.User.Query().Where(user.ID(id)).Only(ctx)
	if err != nil {
		return found(err, "user", "id")
	}
	return mayGive(ctx, set(&u.Role, to, false))
}

// mayActOn fails unless the user is the actor, or one whom they may change: an administrator neither
// acts for an owner nor keeps one out.
func mayActOn(ctx context.Context, tx *ent.Tx, id typeid.User) error {
	if by, _ := actor.FromContext(ctx); id == by.User {
		return nil
	}
	return mayChangeUser(ctx, tx.Client(), id, nil)
}

// manage has a manager manage sites, unless they are nil, and whoever is none manage none. It says
// whether that is a change.
func manage(
	ctx context.Context, tx *ent.Tx, u *ent.User, to []typeid.Site,
) (bool, error) {
	if to == nil && u.Role == actor.RoleManager {
		return false, nil
	}
	if to != nil && u.Role != actor.RoleManager {
		return false, Errors{{CodeBadUserInput, "only a MANAGER manages sites", "siteIds"}}
	}
	to = onceEach(to)
	if err := placesExist(ctx, tx, to, nil); err != nil {
		return false, err
	}
	were, err := managedBy(ctx, tx.Client(), u.ID)
	if err != nil || len(were) == len(to) && common(were, to) == len(to) {
		return false, err
	}
	_, err = tx.ManagedSite.Delete().Where(managedsite.UserID(u.ID)).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("clear managed sites: %w", err)
	}
	rows := make([]*ent.ManagedSiteCreate, len(to))
	for i, id := range to {
		rows[i] = tx.ManagedSite.Create().SetUserID(u.ID).SetSiteID(id)
	}
	return true, tx.ManagedSite.CreateBulk(rows...).Exec(ctx)
}

// managedBy is the sites that a person manages, by identifier.
func managedBy(
	ctx context.Context, db *ent.Client, id typeid.User,
) ([]typeid.Site, error) {
	rows, err := db.ManagedSite.Query().Where(managedsite.UserID(id)).
		Order(managedsite.BySiteID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load managed sites: %w", err)
	}
	ids := make([]typeid.Site, len(rows))
	for i, row := range rows {
		ids[i] = row.SiteID
	}
	return ids, nil
}

// as gives an actor who acts as, or for, a user what the user's role comes with.
func (s *Service) as(ctx context.Context, by actor.Actor) (actor.Actor, error) {
	if by.Role != actor.RoleManager {
		return by, nil
	}
	ids, err := managedBy(ctx, s.reserve, by.User)
	return by.WithSites(ids), err
}

// lockOwners locks the active owners, before any of them is changed: two cannot remove each other at
// once, nor wait for each other.
func lockOwners(ctx context.Context, tx *ent.Tx) ([]*ent.User, error) {
	owners, err := tx.User.Query().
		Where(user.RoleEQ(actor.RoleOwner), user.StatusEQ(user.StatusACTIVE), forChange).
		Order(user.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock owners: %w", err)
	}
	return owners, nil
}

// keepOwner fails if the change left no active owner.
func keepOwner(ctx context.Context, tx *ent.Tx) error {
	left, err := lockOwners(ctx, tx)
	if err == nil && len(left) == 0 {
		err = Error{CodeConflict, "the organization would be left without an owner", ""}
	}
	return err
}
