package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
)

// byCode signs a person in with a code.
func (e *entrance) byCode(email string) (context.Context, *access.SignedIn) {
	e.t.Helper()
	nonce, code := e.ask(email, fromHere)
	p, err := e.nodes[0].ShowSignInCode(e.t.Context(), nonce, code, fromHere)
	must(e.t, err)
	return e.with(p.SignedIn), p.SignedIn
}

// with is who has a session.
func (e *entrance) with(in *access.SignedIn) context.Context {
	e.t.Helper()
	by, err := e.nodes[0].Authenticate(e.t.Context(), in.Secret)
	must(e.t, err)
	return actor.NewContext(e.t.Context(), by)
}

func TestSwitchOrganization(t *testing.T) {
	t.Parallel()
	suspended := user.StatusSUSPENDED
	readdress := func(e *entrance, to string) {
		_, err := e.access.UpdateUser(e.admin, access.UpdateUserInput{ID: e.memberID, Email: &to})
		must(e.t, err)
	}
	for name, is := range map[string]struct {
		spoil func(e *entrance, there context.Context, them *access.SignedIn) context.Context
		may   bool
	}{
		"by a code": {may: true},
		"begun by a passkey": {spoil: func(e *entrance, _ context.Context, _ *access.SignedIn) context.Context {
			in, err := e.nodes[0].StartSession(e.system, e.memberID, session.MethodPASSKEY, fromHere)
			must(e.t, err)
			return e.with(in)
		}},
		"the address was given to them since": {
			spoil: func(e *entrance, _ context.Context, _ *access.SignedIn) context.Context {
				readdress(e, "x@example.com")
				ctx, _ := e.byCode("x@example.com")
				readdress(e, "night@example.com")
				return ctx
			}},
		"ended": {spoil: func(e *entrance, _ context.Context, in *access.SignedIn) context.Context {
			ctx := e.with(in)
			_, err := e.access.EndSession(ctx, access.EndSessionInput{ID: in.Session.ID})
			must(e.t, err)
			return ctx
		}},
		"suspended there": {spoil: func(e *entrance, there context.Context, _ *access.SignedIn) context.Context {
			by, _ := actor.FromContext(there)
			system := actor.NewContext(e.t.Context(), actor.System("test").Within(by.Organization))
			e.db.User.UpdateOneID(by.User).SetStatus(suspended).ExecX(system)
			return nil
		}},
		"a provider is required": {spoil: func(e *entrance, there context.Context, _ *access.SignedIn) context.Context {
			_, err := e.access.CreateIdentityProvider(there, access.CreateIdentityProviderInput{Name: "Mill",
				Issuer: "https://id.example.com", Client: "c", ClientSecret: "s", Domains: []string{"example.com"},
				Required: new(true)})
			must(e.t, err)
			by, _ := actor.FromContext(there)
			e.db.User.UpdateOneID(by.User).SetRole(actor.RoleAdmin).ExecX(there)
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := setupEntrance(t)
			ctx, in := e.byCode("night@example.com")
			other, owner, err := e.access.CreateOrganization(
				actor.NewContext(t.Context(), actor.System("test")), access.CreateOrganizationInput{
					Name: "Mill", AdminName: "Night shift", AdminEmail: "night@example.com"})
			must(t, err)
			there := actor.NewContext(t.Context(), actor.User(other.ID, owner.ID, owner.Role))
			if is.spoil != nil {
				if spoilt := is.spoil(e, there, in); spoilt != nil {
					ctx = spoilt
				}
			}
			e.clock.Advance(time.Hour)
			offered, _ := e.nodes[1].OtherOrganizations(ctx)
			made, err := e.nodes[1].SwitchOrganization(ctx, other.ID, fromHere)
			if (len(offered) == 1) != is.may || (err == nil) != is.may {
				t.Fatalf("offered %v, %v", offered, err)
			}
			if !is.may {
				wantCode(t, err, access.CodeNotFound)
				return
			}
			by, _ := actor.FromContext(e.with(made))
			if by.User != owner.ID || made.Secret == in.Secret || !made.Session.ExpiresAt.Equal(in.Session.ExpiresAt) {
				t.Errorf("made %v as %+v", made.Session, by)
			}
		})
	}
	e := setupEntrance(t)
	_, err := e.nodes[0].SwitchOrganization(e.member, e.org, fromHere) // not in a session
	wantCode(t, err, access.CodeForbidden)
}
