package access

import (
	"context"
	"fmt"
	"net/mail"
	"strings"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateUserInput describes a new user.
type CreateUserInput struct {
	Name  string
	Email string
	Role  *actor.Role // nil: MEMBER
}

// CreateUserPayload holds the new user.
type CreateUserPayload struct{ User *ent.User }

// CreateUser makes a user. E-mail addresses are unique in the organization.
func (s *Service) CreateUser(ctx context.Context, in CreateUserInput) (*CreateUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.email("email", in.Email)
	if err := f.err(); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		u, err = tx.User.Create().SetName(in.Name).SetEmail(normalEmail(in.Email)).
			SetNillableRole(in.Role).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "user.created", User: u.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateUserPayload{u}, nil
}

// UpdateUserInput changes what it holds and leaves the rest.
type UpdateUserInput struct {
	ID     typeid.User
	Name   *string
	Email  *string
	Role   *actor.Role
	Status *user.Status

	ConfirmationToken *string `json:"-"`
}

// UpdateUserPayload holds the user as they are now.
type UpdateUserPayload struct{ User *ent.User }

// UpdateUser changes a user. The last active administrator can be neither demoted nor suspended.
func (s *Service) UpdateUser(ctx context.Context, in UpdateUserInput) (*UpdateUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	email := in.Email
	if email != nil {
		email = new(normalEmail(*email))
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if in.Role != nil || in.Status != nil {
			if _, err := lockAdmins(ctx, tx); err != nil {
				return nil, err
			}
		}
		update := tx.User.UpdateOneID(in.ID).SetNillableName(in.Name).SetNillableEmail(email).
			SetNillableRole(in.Role).SetNillableStatus(in.Status)
		change := changed(update.Mutation())
		if u, err = update.Save(ctx); err != nil {
			return nil, found(err, "user", "id")
		}
		if err := keepAdmin(ctx, tx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "user.updated", User: u.ID, Data: change}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateUserPayload{u}, nil
}

func (in UpdateUserInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	if in.Email != nil {
		f.email("email", *in.Email)
	}
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
// Unlocks by those keys that are still on their way are cancelled. The last active administrator
// stays.
func (s *Service) DeleteUser(ctx context.Context, in DeleteUserInput) (*DeleteUserPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if _, err := lockAdmins(ctx, tx); err != nil {
			return nil, err
		}
		u, err := tx.User.Query().Where(user.ID(in.ID)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "user", "id")
		}
		events, err := s.endAll(ctx, tx, key.Or(key.UserID(u.ID), key.SharedByID(u.ID)))
		if err != nil {
			return nil, err
		}
		if err := tx.User.DeleteOne(u).Exec(ctx); err != nil {
			return nil, fmt.Errorf("delete user: %w", err)
		}
		if err := keepAdmin(ctx, tx); err != nil {
			return nil, err
		}
		return append(events, journal.Event{Type: "user.deleted", User: u.ID}), nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteUserPayload{in.ID}, nil
}

// lockAdmins locks the active administrators, before any of them is changed: two cannot remove each
// other at once, nor wait for each other.
func lockAdmins(ctx context.Context, tx *ent.Tx) ([]*ent.User, error) {
	admins, err := tx.User.Query().
		Where(user.RoleEQ(actor.RoleAdmin), user.StatusEQ(user.StatusACTIVE), forChange).
		Order(user.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock administrators: %w", err)
	}
	return admins, nil
}

// keepAdmin fails if the change left no active administrator.
func keepAdmin(ctx context.Context, tx *ent.Tx) error {
	left, err := lockAdmins(ctx, tx)
	if err == nil && len(left) == 0 {
		err = Error{CodeConflict, "the organization would be left without an administrator", ""}
	}
	return err
}

// email checks an address such as front-desk@example.com.
func (f *faults) email(field, address string) {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > 254 {
		f.add(field, "must be an e-mail address")
	}
}

func normalEmail(address string) string { return strings.ToLower(address) }
