package access

import (
	"context"
	"net/mail"
	"strings"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateUserInput describes a new user.
type CreateUserInput struct {
	Name    string
	Email   string
	Role    *actor.Role   // nil: MEMBER
	SiteIDs []typeid.Site // those that a MANAGER manages
}

// CreateUserPayload holds the new user.
type CreateUserPayload struct{ User *ent.User }

// CreateUser makes a user. E-mail addresses are unique in the organization. Owners make owners.
func (s *Service) CreateUser(ctx context.Context, in CreateUserInput) (*CreateUserPayload, error) {
	return s.createUser(ctx, in)
}

// createUser makes a user, and journals what also happened to them.
func (s *Service) createUser(
	ctx context.Context, in CreateUserInput, also ...string,
) (*CreateUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.email("email", in.Email)
	f.managed(in.Role, in.SiteIDs)
	if in.SiteIDs != nil && in.Role == nil {
		f.add("siteIds", "only a MANAGER manages sites")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if err := mayGive(ctx, in.Role); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		u, err = tx.User.Create().SetName(in.Name).SetEmail(normalEmail(in.Email)).
			SetNillableRole(in.Role).Save(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := manage(ctx, tx, u, in.SiteIDs); err != nil {
			return nil, err
		}
		events := []journal.Event{{Type: "user.created", User: u.ID}}
		for _, kind := range also {
			events = append(events, journal.Event{Type: kind, User: u.ID})
		}
		return events, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateUserPayload{u}, nil
}

// UpdateUserInput changes what it holds and leaves the rest.
type UpdateUserInput struct {
	ID      typeid.User
	Name    *string
	Email   *string
	Role    *actor.Role
	SiteIDs []typeid.Site // those that a MANAGER manages from now on; nil: as they are
	Status  *user.Status

	ConfirmationToken *string `json:"-"`
}

// UpdateUserPayload holds the user as they are now.
type UpdateUserPayload struct{ User *ent.User }

// UpdateUser changes a user. Suspending them ends their sessions, and what they let applications do, for
// good. Only owners change owners,
// and make them. The last active one can be neither suspended nor given another role.
func (s *Service) UpdateUser(ctx context.Context, in UpdateUserInput) (*UpdateUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if err := mayChangeUser(ctx, tx.Client(), in.ID, in.Role); err != nil {
			return nil, err
		}
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		u, events, err = s.updateUser(ctx, tx, in)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return &UpdateUserPayload{u}, nil
}

func (s *Service) updateUser(
	ctx context.Context, tx *ent.Tx, in UpdateUserInput,
) (*ent.User, []journal.Event, error) {
	if in.Role != nil {
		if err := signInRules(ctx, tx, shared); err != nil {
			return nil, nil, err
		}
	}
	if in.Role != nil || in.Status != nil {
		if _, err := lockOwners(ctx, tx); err != nil {
			return nil, nil, err
		}
	}
	before, err := tx.User.Query().Where(user.ID(in.ID), forChange).Only(ctx)
	if err != nil {
		return nil, nil, found(err, "user", "id")
	}
	if before.Role == actor.RoleOwner { // as it is now that nobody else changes it
		if err := Authorize(ctx, WriteOwners); err != nil {
			return nil, nil, err
		}
	}
	update := tx.User.UpdateOne(before).SetNillableName(in.Name).SetNillableRole(in.Role).
		SetNillableStatus(in.Status)
	if in.Email != nil {
		update.SetEmail(normalEmail(*in.Email))
	}
	if in.Name != nil && *in.Name != before.Name { // these were the parts of another
		replace(before.GivenName, nil, update.SetGivenName, update.ClearGivenName)
		replace(before.FamilyName, nil, update.SetFamilyName, update.ClearFamilyName)
	}
	change := changes(update.Mutation())
	after, err := update.Save(ctx)
	if err != nil {
		return nil, nil, err
	}
	moved, err := manage(ctx, tx, after, in.SiteIDs)
	if err != nil {
		return nil, nil, err
	}
	var events []journal.Event
	if len(change) > 0 || !moved {
		events = append(events,
			journal.Event{Type: "user.updated", User: after.ID, Data: data("changed", change)})
	}
	if after.Role != before.Role || moved {
		events = append(events, roleChanged(before, after, in.SiteIDs))
	}
	if before.Role == actor.RoleOwner && after.Role != actor.RoleOwner {
		ended, err := s.endBarred(ctx, tx)
		if err != nil {
			return nil, nil, err
		}
		events = append(events, ended...)
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

func roleChanged(before, after *ent.User, manages []typeid.Site) journal.Event {
	facts := map[string]any{"from": before.Role, "to": after.Role}
	if manages != nil {
		facts["siteIds"] = manages
	}
	return journal.Event{Type: "user.role_changed", User: after.ID, Data: dataOf(facts)}
}

func (in UpdateUserInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	if in.Email != nil {
		f.email("email", *in.Email)
	}
	f.managed(in.Role, in.SiteIDs)
	return f.err()
}

// DeleteUserInput names a user.
type DeleteUserInput struct {
	ID                typeid.User
	ConfirmationToken *string `json:"-"`
}

// DeleteUserPayload names the user that was.
type DeleteUserPayload struct{ DeletedID typeid.User }

// DeleteUser deletes a user with their keys, with those that they shared, and with their tokens.
// Unlocks by those keys that are still on their way are cancelled. Only owners delete owners, and the
// last active one stays.
func (s *Service) DeleteUser(ctx context.Context, in DeleteUserInput) (*DeleteUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		u, err := s.holdForEnd(ctx, tx, in)
		if err != nil {
			return nil, err
		}
		return s.deleteUser(ctx, tx, u)
	})
	if err != nil {
		return nil, err
	}
	return &DeleteUserPayload{in.ID}, nil
}

// holdForEnd locks a person whom the actor may delete and, if it has to be, has confirmed so.
func (s *Service) holdForEnd(
	ctx context.Context, tx *ent.Tx, in DeleteUserInput,
) (*ent.User, error) {
	if err := mayChangeUser(ctx, tx.Client(), in.ID, nil); err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
		return nil, err
	}
	if _, err := lockOwners(ctx, tx); err != nil {
		return nil, err
	}
	u, err := tx.User.Query().Where(user.ID(in.ID)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, found(err, "user", "id")
	}
	if u.Role == actor.RoleOwner { // perhaps only since it was looked at
		err = Authorize(ctx, WriteOwners)
	}
	return u, err
}

// email checks an address such as front-desk@example.com.
func (f *faults) email(field, address string) {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > 254 {
		f.add(field, "must be an e-mail address")
	}
}

func normalEmail(address string) string { return strings.ToLower(address) }
