package access_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// with makes a user of the role a token, and returns who it stands for.
func (e *estate) with(who typeid.User, in access.CreateAPITokenInput) context.Context {
	e.t.Helper()
	in.Name, in.UserID = "narrow", &who
	made, err := e.access.CreateAPIToken(e.admin, in)
	must(e.t, err)
	by, err := e.access.Authenticate(e.t.Context(), made.Secret)
	must(e.t, err)
	return actor.NewContext(e.t.Context(), by)
}

// scopeOf is the scope that a permission names for each action.
func scopeOf(ctx context.Context) map[access.Action]actor.Scope {
	scopes := map[access.Action]actor.Scope{}
	for _, p := range access.Permissions(ctx) {
		scopes[access.Action(p.Action)] = p.Scope
	}
	return scopes
}

// TestScopes tries every action with a token that has the action's scope alone, and with one that has
// all others.
func TestScopes(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	_, o := e.somebody(actor.RoleOwner)
	scopes := scopeOf(e.admin)
	for _, action := range actions(t) {
		scope := scopes[action]
		if scope == "" {
			t.Fatalf("%s: an owner may not", action)
		}
		alone := e.with(o.user, access.CreateAPITokenInput{Scopes: []actor.Scope{scope}})
		if got := e.reached(alone, action, o); got != reaches[action][0] {
			t.Errorf("%s with %s alone reaches %q", action, scope, got)
		}
		others := slices.DeleteFunc(access.Scopes(), func(s actor.Scope) bool { return s == scope })
		without := e.with(o.user, access.CreateAPITokenInput{Scopes: others})
		if got := e.reached(without, action, o); got != "" {
			t.Errorf("%s without %s reaches %q", action, scope, got)
		}
		err := access.Authorize(without, action)
		if !access.IsCode(err, access.CodeForbidden) || !strings.Contains(err.Error(), string(scope)) {
			t.Errorf("%s without %s: %v", action, scope, err)
		}
	}
}

// TestConfinedTokens: with sites, a token acts as a manager of those at most, and not on what is its
// user's own elsewhere.
func TestConfinedTokens(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	here := []typeid.Site{e.here.site.ID}
	for i, role := range roles {
		if role == actor.RoleGuest {
			continue // by links alone, whose sessions are never confined
		}
		_, o := e.somebody(role)
		ctx := e.with(o.user, access.CreateAPITokenInput{SiteIDs: here})
		elsewhere := e.with(o.user, access.CreateAPITokenInput{SiteIDs: []typeid.Site{e.site.ID}})
		for _, action := range actions(t) {
			want := min(rank[reaches[action][i]], rank[reaches[action][2]])
			if probes[action].at != nil && want == rank["OWN"] {
				want = 0 // it is elsewhere
			}
			if got := e.reached(ctx, action, o); rank[got] != want {
				t.Errorf("%s by a token of %s at a site reaches %q", action, role, got)
			}
			if got := e.reached(elsewhere, action, own{user: o.user, door: o.door, key: o.key,
				command: o.command, visit: o.visit, plan: o.plan, token: o.token, card: o.card,
				session: o.session, schedule: o.schedule, group: o.group}); role == actor.RoleManager &&
				probes[action].at != nil && got != "" {
				t.Errorf("%s by a token of a manager at a site that is not theirs reaches %q", action, got)
			}
		}
	}
}

var rank = map[string]int{"": 0, "OWN": 1, "SITES": 2, "ALL": 3}

// TestTokensMakeNoneThatMayMore: whoever has a narrow token gets no wider one with it.
func TestTokensMakeNoneThatMayMore(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	write, read := actor.Scope("tokens:write"), actor.Scope("doors:read")
	here := []typeid.Site{e.here.site.ID}
	both := []typeid.Site{e.here.site.ID, e.there.site.ID}
	_, o := e.somebody(actor.RoleOwner)
	narrow := access.CreateAPITokenInput{Scopes: []actor.Scope{write, read}, SiteIDs: here,
		Addresses: []string{"203.0.113.0/24"}}
	narrow.Name, narrow.UserID = "narrow", &o.user
	made, err := e.access.CreateAPIToken(e.admin, narrow)
	must(t, err)
	from := actor.WithAddress(t.Context(), netip.MustParseAddr("203.0.113.9"))
	by, err := e.access.Authenticate(from, made.Secret)
	must(t, err)
	ctx := actor.NewContext(from, by)
	inherited, err := e.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "inherits"})
	must(t, err)
	got := inherited.Token
	if !slices.Equal(got.Scopes, narrow.Scopes) || !slices.Equal(got.SiteIds, here) ||
		len(got.Addresses) != 1 || got.Addresses[0].String() != "203.0.113.0/24" {
		t.Errorf("got %+v", got)
	}
	_, err = e.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "less",
		Scopes: []actor.Scope{read}, Addresses: []string{"203.0.113.9"}})
	must(t, err)
	for name, in := range map[string]access.CreateAPITokenInput{
		"scopes":    {Scopes: []actor.Scope{read, "users:write"}},
		"sites":     {SiteIDs: both},
		"addresses": {Addresses: []string{"203.0.0.0/16"}},
	} {
		in.Name = "more"
		_, err := e.access.CreateAPIToken(ctx, in)
		if !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("more %s: %v", name, err)
		}
	}
	wide := e.with(o.user, access.CreateAPITokenInput{})
	other, _ := actor.FromContext(wide)
	_, err = e.access.RotateAPIToken(ctx, access.RotateAPITokenInput{ID: other.Token})
	wantCode(t, err, access.CodeForbidden)
	_, err = e.access.RotateAPIToken(ctx, access.RotateAPITokenInput{ID: made.Token.ID})
	must(t, err)
}

func TestTokenInput(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for field, in := range map[string]access.CreateAPITokenInput{
		"scopes":      {Scopes: []actor.Scope{}},
		"scopes.0":    {Scopes: []actor.Scope{"doors:explode"}},
		"siteIds":     {SiteIDs: []typeid.Site{}},
		"addresses":   {Addresses: []string{}},
		"addresses.1": {Addresses: []string{"::1", "quay"}},
		"addresses.0": {Addresses: []string{"203.0.113.0/33"}},
	} {
		in.Name = "phone"
		_, err := e.access.CreateAPIToken(e.admin, in)
		if !access.IsCode(err, access.CodeBadUserInput) || !strings.HasPrefix(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := e.access.CreateAPIToken(e.admin, access.CreateAPITokenInput{Name: "phone",
		SiteIDs: []typeid.Site{typeid.New[typeid.Site]()}})
	wantCode(t, err, access.CodeNotFound)
}

func TestTokenAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone",
		Addresses: []string{"203.0.113.0/24", "2001:db8::7"}})
	must(t, err)
	for from, want := range map[string]bool{
		"203.0.113.1": true, "203.0.114.1": false, "2001:db8::7": true, "2001:db8::8": false, "": false,
	} {
		ctx := t.Context()
		if from != "" {
			ctx = actor.WithAddress(ctx, netip.MustParseAddr(from))
		}
		_, err := b.access.Authenticate(ctx, made.Secret)
		if (err == nil) != want {
			t.Errorf("from %q: %v", from, err)
		}
		if err != nil {
			wantCode(t, err, access.CodeUnauthenticated)
		}
	}
}

func TestNewAddressesAreTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone"})
	must(t, err)
	for i, c := range []struct {
		from string
		told int
	}{
		{"203.0.113.1", 0}, {"203.0.113.1", 0}, {"203.0.113.2", 1}, {"203.0.113.1", 1},
		{"2001:db8::1", 2}, {"2001:db8::2", 2}, {"2001:db8:0:1::1", 3},
	} {
		b.clock.Advance(time.Hour)
		ctx := actor.WithAddress(t.Context(), netip.MustParseAddr(c.from))
		by, err := b.access.Authenticate(ctx, made.Secret)
		must(t, err)
		told := b.db.Event.Query().Where(event.Type("api_token.used_from_new_address")).AllX(b.system)
		if len(told) != c.told {
			t.Fatalf("use %d: told %d times", i, len(told))
		}
		if c.told > 0 && (told[0].ActorID != by.ID() || strings.Contains(string(told[0].Data), "203.")) {
			t.Errorf("told %+v", told[0])
		}
		if at := b.db.APIToken.GetX(b.system, made.Token.ID).LastUsedAddress; at == nil || *at != c.from {
			t.Errorf("use %d: last used from %v", i, at)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	made, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone"})
	must(t, err)
	secrets := []string{made.Secret}
	rotate := func(overlap int) {
		t.Helper()
		p, err := b.access.RotateAPIToken(b.member,
			access.RotateAPITokenInput{ID: made.Token.ID, OverlapSeconds: &overlap})
		must(t, err)
		if p.Token.ID != made.Token.ID {
			t.Error("it is another token")
		}
		secrets = append(secrets, p.Secret)
	}
	good := func(when string, want ...bool) {
		t.Helper()
		for i, secret := range secrets {
			_, err := b.access.Authenticate(t.Context(), secret)
			if (err == nil) != want[i] {
				t.Errorf("%s: secret %d: %v", when, i, err)
			}
		}
	}
	rotate(60)
	good("within the overlap", true, true)
	b.clock.Advance(time.Minute)
	good("after it", false, true)
	rotate(60)
	rotate(60)
	good("rotated twice", false, false, true, true)
	rotate(0)
	good("at once", false, false, false, false, true)
	rotate(60)
	suspended, active := user.StatusSUSPENDED, user.StatusACTIVE
	for _, status := range []user.Status{suspended, active} {
		_, err = b.access.UpdateUser(b.admin, access.UpdateUserInput{ID: b.memberID, Status: &status})
		must(t, err)
		want := status == active
		good(string(status), false, false, false, false, want, want)
	}
	_, err = b.access.RevokeAPIToken(b.member, access.RevokeAPITokenInput{ID: made.Token.ID})
	must(t, err)
	good("revoked", false, false, false, false, false, false)
	_, err = b.access.RotateAPIToken(b.member, access.RotateAPITokenInput{ID: made.Token.ID})
	wantCode(t, err, access.CodeConflict)
	long := 7*24*60*60 + 1
	_, err = b.access.RotateAPIToken(b.member,
		access.RotateAPITokenInput{ID: made.Token.ID, OverlapSeconds: &long})
	wantCode(t, err, access.CodeBadUserInput)
	brief, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "brief",
		ExpiresAt: new(b.clock.Now().Add(time.Minute))})
	must(t, err)
	_, err = b.access.RotateAPIToken(b.admin, access.RotateAPITokenInput{ID: brief.Token.ID,
		OverlapSeconds: new(3600)})
	must(t, err)
	b.clock.Advance(time.Minute)
	_, err = b.access.Authenticate(t.Context(), brief.Secret)
	wantCode(t, err, access.CodeUnauthenticated)
}

// TestTokensMakeNoneThatOutliveThem: nor does a secret from before a rotation, which is to end.
func TestTokensMakeNoneThatOutliveThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	end := b.clock.Now().Add(time.Hour)
	as := func(secret string) context.Context {
		t.Helper()
		by, err := b.access.Authenticate(t.Context(), secret)
		must(t, err)
		return actor.NewContext(t.Context(), by)
	}
	long, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "long"})
	must(t, err)
	brief, err := b.access.CreateAPIToken(b.member,
		access.CreateAPITokenInput{Name: "brief", ExpiresAt: &end})
	must(t, err)
	ends := func(secret string, want time.Time) {
		t.Helper()
		ctx := as(secret)
		made, err := b.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "inherits"})
		must(t, err)
		if !made.Token.ExpiresAt.Equal(want) {
			t.Errorf("it ends at %s, not %s", made.Token.ExpiresAt, want)
		}
		_, err = b.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "outlives",
			ExpiresAt: new(want.Add(time.Microsecond))})
		wantCode(t, err, access.CodeForbidden)
		_, err = b.access.RotateAPIToken(ctx, access.RotateAPITokenInput{ID: long.Token.ID})
		wantCode(t, err, access.CodeForbidden)
	}
	ends(brief.Secret, end)
	rotated, err := b.access.RotateAPIToken(b.member,
		access.RotateAPITokenInput{ID: brief.Token.ID, OverlapSeconds: new(60)})
	must(t, err)
	ends(brief.Secret, b.clock.Now().Add(time.Minute))
	_, err = b.access.RotateAPIToken(as(brief.Secret), access.RotateAPITokenInput{ID: brief.Token.ID})
	wantCode(t, err, access.CodeForbidden)
	ends(rotated.Secret, end)
	_, err = b.access.RotateAPIToken(as(rotated.Secret), access.RotateAPITokenInput{ID: brief.Token.ID})
	must(t, err)
}

// TestTokensFollowTheirUser: what a token may do ends with what its user may.
func TestTokensFollowTheirUser(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	_, o := e.somebody(actor.RoleAdmin)
	made, err := e.access.CreateAPIToken(e.admin, access.CreateAPITokenInput{Name: "phone",
		UserID: &o.user, Scopes: access.Scopes()})
	must(t, err)
	for i, role := range roles {
		in := access.UpdateUserInput{ID: o.user, Role: &role}
		if role == actor.RoleManager {
			in.SiteIDs = []typeid.Site{e.here.site.ID}
		}
		_, err := e.access.UpdateUser(e.admin, in)
		must(t, err)
		by, err := e.access.Authenticate(t.Context(), made.Secret)
		must(t, err)
		for _, action := range actions(t) {
			err := access.Authorize(actor.NewContext(t.Context(), by), action)
			if want := reaches[action][i] != ""; (err == nil) != want {
				t.Errorf("%s by %s: %v", action, role, err)
			}
		}
	}
}
