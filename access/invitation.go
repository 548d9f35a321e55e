package access

import (
	"context"
	"fmt"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// SignInPath is where people sign in.
const SignInPath = "/sign-in"

// InviteUserInput describes a new user.
type InviteUserInput CreateUserInput

// InviteUserPayload holds the new user.
type InviteUserPayload struct{ User *ent.User }

// InviteUser makes a user, and has a letter sent to them that says where to sign in. That it arrives
// is not known: ResendInvitation sends another.
func (s *Service) InviteUser(ctx context.Context, in InviteUserInput) (*InviteUserPayload, error) {
	made, err := s.createUser(ctx, CreateUserInput(in), "user.invited")
	if err != nil {
		return nil, err
	}
	return &InviteUserPayload{made.User}, s.invite(ctx, made.User)
}

// ResendInvitationInput names a user.
type ResendInvitationInput struct{ UserID typeid.User }

// ResendInvitationPayload holds the user.
type ResendInvitationPayload struct{ User *ent.User }

// ResendInvitation has the letter sent once more. Whoever is suspended, or has no e-mail address, is
// a CONFLICT.
func (s *Service) ResendInvitation(
	ctx context.Context, in ResendInvitationInput,
) (*ResendInvitationPayload, error) {
	if err := Authorize(ctx, WriteUsers); err != nil {
		return nil, err
	}
	var u *ent.User
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		u, err = tx.User.Query().Where(user.ID(in.UserID)).ForShare().Only(ctx)
		if err != nil {
			return nil, found(err, "user", "userId")
		}
		if u.Email == nil || u.Status != user.StatusACTIVE {
			return nil, Error{CodeConflict, "the user cannot sign in", "userId"}
		}
		return []journal.Event{{Type: "user.invited", User: u.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &ResendInvitationPayload{u}, s.invite(ctx, u)
}

func (s *Service) invite(ctx context.Context, u *ent.User) error {
	by, _ := actor.FromContext(ctx)
	org, err := s.db.Organization.Query().Where(organization.ID(by.Organization)).Only(ctx)
	if err != nil {
		return fmt.Errorf("load organization: %w", err)
	}
	s.send(Letter{Kind: LetterInvitation, To: orZero(u.Email), Organization: org.Name,
		Link: s.publicURL() + SignInPath})
	return nil
}
