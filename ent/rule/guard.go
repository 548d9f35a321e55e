//go:build !norule

package rule

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/intercept"
	"github.com/cardea/cardea/typeid"
)

// unhoused are the nouns of no organization.
var unhoused = map[string]bool{
	ent.TypeSignInCode: true, ent.TypeSignInAttempt: true, ent.TypePasskeyChallenge: true,
}

// tenantColumn is where a table keeps its organization. Organization itself is its own.
func tenantColumn(noun string) string {
	if noun == ent.TypeOrganization {
		return "id"
	}
	return "org_id"
}

// Guard installs the rule on a client, and so on all its transactions. It returns the client.
func Guard(client *ent.Client) *ent.Client {
	client.Intercept(intercept.TraverseFunc(narrowQuery))
	client.Use(guardMutation)
	return client
}

func narrowQuery(ctx context.Context, q intercept.Query) error {
	a, ok := actor.FromContext(ctx)
	if !ok {
		return fmt.Errorf("read %s: %w", q.Type(), ErrNoActor)
	}
	if !a.Everywhere() {
		if unhoused[q.Type()] {
			return fmt.Errorf("read %s: %w", q.Type(), ErrForeign)
		}
		q.WhereP(sql.FieldEQ(tenantColumn(q.Type()), a.Organization))
	}
	return nil
}

func guardMutation(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		a, ok := actor.FromContext(ctx)
		if !ok {
			return nil, fmt.Errorf("write %s: %w", m.Type(), ErrNoActor)
		}
		guard := narrowMutation
		switch {
		case unhoused[m.Type()]:
			guard = keepOut
		case m.Op().Is(ent.OpCreate):
			guard = claimRow
		}
		if err := guard(a, m); err != nil {
			return nil, fmt.Errorf("write %s: %w", m.Type(), err)
		}
		return next.Mutate(ctx, m)
	})
}

// keepOut lets only whoever acts for all organizations touch what is of none.
func keepOut(a actor.Actor, _ ent.Mutation) error {
	if !a.Everywhere() {
		return ErrForeign
	}
	return nil
}

func narrowMutation(a actor.Actor, m ent.Mutation) error {
	if a.Everywhere() {
		return nil
	}
	m.(interface{ WhereP(...func(*sql.Selector)) }).
		WhereP(sql.FieldEQ(tenantColumn(m.Type()), a.Organization))
	return nil
}

// claimRow gives a new row the actor's organization, or refuses the one that it names.
func claimRow(a actor.Actor, m ent.Mutation) error {
	if root, ok := m.(interface {
		ID() (typeid.Organization, bool)
	}); ok {
		org, _ := root.ID()
		return ownRow(a, org)
	}
	row := m.(interface {
		OrgID() (typeid.Organization, bool)
		SetOrgID(typeid.Organization)
	})
	org, named := row.OrgID()
	if !named && !a.Everywhere() {
		row.SetOrgID(a.Organization)
		return nil
	}
	return ownRow(a, org)
}

func ownRow(a actor.Actor, org typeid.Organization) error {
	if org.IsZero() || !a.Everywhere() && org != a.Organization {
		return ErrForeign
	}
	return nil
}
