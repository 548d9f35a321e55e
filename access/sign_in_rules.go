package access

import (
	"context"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// Where a provider is required, nobody signs in but at one that is. Owners may sign in as before, or a
// provider that is set up wrong, or gone, would keep out whoever can put that right.

// signInRules locks how people may sign in: whoever begins a session, or makes an owner something
// else, shares it; whoever requires a provider does not. So a session is refused, or ended.
func signInRules(ctx context.Context, tx *ent.Tx, lock predicate.Organization) error {
	by, _ := actor.FromContext(ctx)
	_, err := tx.Organization.Query().Where(organization.ID(by.Organization), lock).Only(ctx)
	if err != nil {
		return fmt.Errorf("lock organization: %w", err)
	}
	return nil
}

func shared(q *sql.Selector) { q.ForShare() }

// required are the providers of organizations that are.
func required(
	ctx context.Context, db *ent.Client, of ...typeid.Organization,
) ([]*ent.IdentityProvider, error) {
	all, err := db.IdentityProvider.Query().
		Where(identityprovider.Required(true), identityprovider.DisabledAtIsNil(),
			whose(identityprovider.FieldOrgID, of)).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find identity providers: %w", err)
	}
	return all, nil
}

// barred says of users whether they may not sign in at a provider; zero: by what only they have.
func barred(
	ctx context.Context, db *ent.Client, at typeid.IdentityProvider, people ...*ent.User,
) (map[typeid.User]bool, error) {
	var orgs []typeid.Organization
	for _, u := range people {
		if u.Role != actor.RoleOwner {
			orgs = append(orgs, u.OrgID)
		}
	}
	if len(orgs) == 0 {
		return nil, nil
	}
	strict, err := required(ctx, db, orgs...)
	if err != nil {
		return nil, err
	}
	no := map[typeid.User]bool{}
	for _, u := range people {
		of := func(p *ent.IdentityProvider) bool { return p.OrgID == u.OrgID }
		is := func(p *ent.IdentityProvider) bool { return p.ID == at }
		no[u.ID] = u.Role != actor.RoleOwner && slices.ContainsFunc(strict, of) &&
			!slices.ContainsFunc(strict, is)
	}
	return no, nil
}

// admitted are those of an e-mail address who may sign in by what only they have: active, and not to
// be signed in by a provider.
func (s *Service) admitted(everywhere context.Context, email string) ([]*ent.User, error) {
	people, err := s.db.User.Query().Where(user.Email(email), user.StatusEQ(user.StatusACTIVE)).
		Order(user.ByID()).All(everywhere)
	if err != nil {
		return nil, fmt.Errorf("find users: %w", err)
	}
	no, err := barred(everywhere, s.db, typeid.IdentityProvider{}, people...)
	return slices.DeleteFunc(people, func(u *ent.User) bool { return no[u.ID] }), err
}

// endBarred ends the sessions that would not begin any more. The rules are locked.
func (s *Service) endBarred(ctx context.Context, tx *ent.Tx) ([]journal.Event, error) {
	by, _ := actor.FromContext(ctx)
	strict, err := required(ctx, tx.Client(), by.Organization)
	if err != nil || len(strict) == 0 {
		return nil, err
	}
	ids := make([]typeid.IdentityProvider, len(strict))
	for i, p := range strict {
		ids[i] = p.ID
	}
	_, ended, err := s.endSessions(ctx, tx, func(q *sql.Selector) {
		people, known := sql.Table(user.Table), sql.Table(identity.Table)
		owners := sql.Select(people.C(user.FieldID)).From(people).
			Where(sql.EQ(people.C(user.FieldRole), actor.RoleOwner))
		vouched := sql.Select(known.C(identity.FieldID)).From(known)
		whose(identity.FieldProviderID, ids)(vouched)
		q.Where(sql.And(sql.NotIn(q.C(session.FieldUserID), owners),
			sql.Or(sql.IsNull(q.C(session.FieldIdentityID)),
				sql.NotIn(q.C(session.FieldIdentityID), vouched))))
	})
	return ended, err
}
