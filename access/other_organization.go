package access

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// account is the e-mail address of a user, as the proof of it is kept: so that an administrator who
// gives a user another address gives them none of its users elsewhere.
func (s *Service) account(u *ent.User) []byte {
	return s.secrets.Indexes(nowhereYet, domainAccount, []byte(orZero(u.Email)))[0]
}

// OtherOrganizations returns where else whoever is signed in may go on without proving anything again:
// where they are an active user by the e-mail address that they proved to have when they signed in.
func (s *Service) OtherOrganizations(ctx context.Context) ([]*ent.Organization, error) {
	others, _, err := s.others(ctx)
	if err != nil || len(others) == 0 {
		return nil, err
	}
	orgs := make([]typeid.Organization, len(others))
	for i, one := range others {
		orgs[i] = one.OrgID
	}
	all, err := s.db.Organization.Query().
		Where(whose(organization.FieldID, orgs)).
		Order(organization.ByName(), organization.ByID()).
		All(actor.NewContext(ctx, actor.System("sign-in")))
	if err != nil {
		return nil, fmt.Errorf("load organizations: %w", err)
	}
	return all, nil
}

// others are the users elsewhere that a session's person is too, and the session.
func (s *Service) others(ctx context.Context) ([]*ent.User, *ent.Session, error) {
	by, err := inSession(ctx)
	if err != nil {
		return nil, nil, err
	}
	running, err := s.db.Session.Query().Where(session.ID(by.Session), s.Running()).Only(ctx)
	if err != nil {
		return nil, nil, found(err, "session", "")
	}
	me, err := s.db.User.Query().Where(user.ID(by.User)).Only(ctx)
	if err != nil {
		return nil, nil, found(err, "user", "")
	}
	accounts := s.secrets.Indexes(nowhereYet, domainAccount, []byte(orZero(me.Email)))
	proved := func(one []byte) bool { return bytes.Equal(one, running.Account) }
	if me.Email == nil || running.Account == nil || !slices.ContainsFunc(accounts, proved) {
		return nil, running, nil
	}
	people, err := s.admitted(actor.NewContext(ctx, actor.System("sign-in")), *me.Email)
	isMe := func(u *ent.User) bool { return u.ID == me.ID }
	return slices.DeleteFunc(people, isMe), running, err
}

// SwitchOrganization begins a session in another organization, for the same person and no longer than
// the one that they have, which whoever calls may end. It fails with NOT_FOUND unless
// OtherOrganizations has it.
func (s *Service) SwitchOrganization(
	ctx context.Context, to typeid.Organization, from Client,
) (in *SignedIn, err error) {
	others, running, err := s.others(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(others, func(u *ent.User) bool { return u.OrgID == to })
	if i < 0 {
		return nil, notFound("organization", "organizationId")
	}
	u := others[i]
	shown := proof{method: running.Method, account: running.Account, until: running.ExpiresAt}
	ctx = actor.NewContext(ctx, actor.User(u.OrgID, u.ID, u.Role))
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		in, events, err = s.startSession(ctx, tx, u.ID, shown, from)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}
