package access

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Directories provision: they tell of people and groups, as they are to be. What a directory says is
// decided there, by people who see other screens than ours, so none of it asks for a confirmation;
// and it never touches roles.

// Provisioned is a person as their organization's directory describes them.
type Provisioned struct {
	ExternalID *string // what the directory calls them; unique in the organization
	Email      string
	Name       string
	GivenName  *string // parts of the name, as far as they are known
	FamilyName *string
	Active     bool
}

func (p Provisioned) check() error {
	var f faults
	f.text("name", p.Name, 200)
	f.email("email", p.Email)
	f.optionalText("givenName", p.GivenName, 200)
	f.optionalText("familyName", p.FamilyName, 200)
	f.optionalText("externalId", p.ExternalID, 200)
	return f.err()
}

func (p Provisioned) status() user.Status {
	if p.Active {
		return user.StatusACTIVE
	}
	return user.StatusSUSPENDED
}

// ProvisionUser makes a MEMBER.
func (s *Service) ProvisionUser(ctx context.Context, p Provisioned) (*ent.User, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		u, err = tx.User.Create().SetName(p.Name).SetEmail(normalEmail(p.Email)).
			SetNillableGivenName(p.GivenName).SetNillableFamilyName(p.FamilyName).
			SetNillableExternalID(p.ExternalID).SetStatus(p.status()).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "user.created", User: u.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// ReprovisionUser has a person be as edit says, which is given them as they are: nobody changes them
// meanwhile, and nothing has happened if it fails. It may be called again. What is the same already
// is not told of. As with UpdateUser, suspending ends sessions, only owners change owners, and the last
// active one is not suspended.
func (s *Service) ReprovisionUser(
	ctx context.Context, id typeid.User, edit func(*ent.User) (Provisioned, error),
) (*ent.User, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if u, err = holdProvisioned(ctx, tx, id, forChange); err != nil {
			return nil, err
		}
		p, err := edit(u)
		if err != nil {
			return nil, err
		}
		if err := p.check(); err != nil {
			return nil, err
		}
		u, events, err = s.reprovision(ctx, tx, u, p)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// holdProvisioned locks a person whom the actor may change; before them the owners, if they are one.
func holdProvisioned(
	ctx context.Context, tx *ent.Tx, id typeid.User, lock predicate.User,
) (*ent.User, error) {
	if err := mayChangeUser(ctx, tx.Client(), id, nil); err != nil {
		return nil, err
	}
	u, err := tx.User.Query().Where(user.ID(id)).Only(ctx)
	if err != nil {
		return nil, found(err, "user", "id")
	}
	if u.Role == actor.RoleOwner {
		if _, err := lockOwners(ctx, tx); err != nil {
			return nil, err
		}
	}
	u, err = tx.User.Query().Where(user.ID(id), user.EmailNotNil(), lock).Only(ctx)
	if err != nil {
		return nil, found(err, "user", "id")
	}
	if u.Role == actor.RoleOwner { // perhaps only since it was looked at
		err = Authorize(ctx, WriteOwners)
	}
	return u, err
}

func (s *Service) reprovision(
	ctx context.Context, tx *ent.Tx, before *ent.User, p Provisioned,
) (*ent.User, []journal.Event, error) {
	update := tx.User.UpdateOne(before)
	p.set(update, before)
	change := changes(update.Mutation())
	if len(change) == 0 {
		return before, nil, nil
	}
	after, err := update.Save(ctx)
	if err != nil {
		return nil, nil, err
	}
	events := []journal.Event{{Type: "user.updated", User: after.ID, Data: data("changed", change)}}
	if after.Status == before.Status {
		return after, events, nil
	}
	if after.Status == user.StatusSUSPENDED {
		ended, err := s.endUse(ctx, tx, after.ID)
		if err != nil {
			return nil, nil, err
		}
		events = append(events, ended...)
	}
	return after, events, keepOwner(ctx, tx)
}

// set records what differs.
func (p Provisioned) set(update *ent.UserUpdateOne, before *ent.User) {
	if p.Name != before.Name {
		update.SetName(p.Name)
	}
	if email := normalEmail(p.Email); email != orZero(before.Email) {
		update.SetEmail(email)
	}
	if p.status() != before.Status {
		update.SetStatus(p.status())
	}
	replace(before.GivenName, p.GivenName, update.SetGivenName, update.ClearGivenName)
	replace(before.FamilyName, p.FamilyName, update.SetFamilyName, update.ClearFamilyName)
	replace(before.ExternalID, p.ExternalID, update.SetExternalID, update.ClearExternalID)
}

// replace sets or clears an optional column of an update U, if that changes it.
func replace[U any](before, after *string, set func(string) U, unset func() U) {
	switch {
	case after == nil && before != nil:
		unset()
	case after != nil && (before == nil || *before != *after):
		set(*after)
	}
}

// DeprovisionUser deletes a person as DeleteUser does, if check has nothing against it, which is given
// them as they are.
func (s *Service) DeprovisionUser(
	ctx context.Context, id typeid.User, check func(*ent.User) error,
) error {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return err
	}
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		u, err := holdProvisioned(ctx, tx, id, func(q *sql.Selector) { q.ForUpdate() })
		if err != nil {
			return nil, err
		}
		if err := check(u); err != nil {
			return nil, err
		}
		return s.deleteUser(ctx, tx, u)
	})
}

// deleteUser deletes a person who is locked.
func (s *Service) deleteUser(
	ctx context.Context, tx *ent.Tx, u *ent.User,
) ([]journal.Event, error) {
	events, err := s.endAll(ctx, tx, key.Or(key.UserID(u.ID), key.SharedByID(u.ID)))
	if err != nil {
		return nil, err
	}
	if err := tx.User.DeleteOne(u).Exec(ctx); err != nil {
		return nil, fmt.Errorf("delete user: %w", err)
	}
	if err := keepOwner(ctx, tx); err != nil {
		return nil, err
	}
	return append(events, journal.Event{Type: "user.deleted", User: u.ID}), nil
}
