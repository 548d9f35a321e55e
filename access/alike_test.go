package access_test

import (
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// TestAlike: only those whom nothing narrows are alike, and who stands for them is nobody, and may do no
// more than they.
func TestAlike(t *testing.T) {
	t.Parallel()
	org := typeid.New[typeid.Organization]()
	made := func(role actor.Role) actor.Actor {
		return actor.Token(org, typeid.New[typeid.APIToken](), typeid.New[typeid.User](), role)
	}
	site := []typeid.Site{typeid.New[typeid.Site]()}
	for _, role := range []actor.Role{actor.RoleOwner, actor.RoleAdmin, actor.RoleAuditor} {
		one, other := made(role), actor.User(org, typeid.New[typeid.User](), role)
		like := access.Alike(one)
		if !like.Equal(access.Alike(other)) {
			t.Errorf("%s: who sees everything is not like another who does", role)
		}
		if !like.User.IsZero() || !like.Token.IsZero() || like.Role != role || like.Organization != org {
			t.Errorf("%s: %v stands for all", role, like)
		}
		narrow := one.WithScopes([]actor.Scope{"doors:read", "events:read"})
		same := other.WithScopes([]actor.Scope{"events:read", "doors:read", "doors:read"})
		if !access.Alike(narrow).Equal(access.Alike(same)) {
			t.Errorf("%s: equal scopes", role)
		}
		nothing := access.Alike(one.WithScopes([]actor.Scope{}))
		for name, unlike := range map[string]actor.Actor{
			"scopes": access.Alike(narrow), "other scopes": access.Alike(one.WithScopes([]actor.Scope{"doors:read"})),
			"no scopes": nothing, "confined": access.Alike(one.ConfinedTo(site)),
			"sites": access.Alike(one.WithSites(site)),
		} {
			if like.Equal(unlike) {
				t.Errorf("%s: with %s they are like without", role, name)
			}
		}
		if nothing.Scopes == nil {
			t.Errorf("%s: no scopes became all", role)
		}
	}
	if access.Alike(made(actor.RoleOwner)).Equal(access.Alike(made(actor.RoleAuditor))) {
		t.Error("roles are alike")
	}
	for _, role := range []actor.Role{actor.RoleManager, actor.RoleMember, actor.RoleGuest} {
		if by := made(role); !access.Alike(by).Equal(by) {
			t.Errorf("%s: like somebody else", role)
		}
	}
	if far := actor.User(typeid.New[typeid.Organization](), typeid.User{}, actor.RoleAdmin); access.Alike(
		far).Equal(access.Alike(made(actor.RoleAdmin))) {
		t.Error("organizations are alike")
	}
}
