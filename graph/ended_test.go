package graph_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/user"
)

// TestWhoIsEndedIsEndedEverywhere: whatever takes somebody's rights away, and by whatever they came, on
// each of three nodes their subscriptions end within two seconds, over WebSockets and as streams, and
// their requests are refused.
func TestWhoIsEndedIsEndedEverywhere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nodes := []*world{w, w.another(), node(t, "yonder", w.database, w.redis)}
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	as := w.admin.ctx
	suspended, member := user.StatusSUSPENDED, actor.RoleMember
	ways := map[string]struct {
		code string
		end  func(person) error
	}{
		"suspended": {"UNAUTHENTICATED", func(p person) error {
			_, err := w.access.UpdateUser(as, access.UpdateUserInput{ID: p.user.ID, Status: &suspended})
			return err
		}},
		"deleted": {"UNAUTHENTICATED", func(p person) error {
			_, err := w.access.DeleteUser(as, access.DeleteUserInput{ID: p.user.ID})
			return err
		}},
		"of a lesser role": {"FORBIDDEN", func(p person) error {
			_, err := w.access.UpdateUser(as, access.UpdateUserInput{ID: p.user.ID, Role: &member})
			return err
		}},
		"signed out, or revoked": {"UNAUTHENTICATED", func(p person) error {
			return w.takeAway(p)
		}},
	}
	overlap := 3600
	callers := map[string]func(person) person{
		"by a session": w.signIn, // a cookie is one, by the time that it gets here
		"by a token":   func(p person) person { return p },
		"by an old secret": func(p person) person {
			done(w.access.RotateAPIToken(as,
				access.RotateAPITokenInput{ID: p.token.ID, OverlapSeconds: &overlap}))
			return p
		},
		"by an application": func(p person) person {
			p, _, _ = w.byApplication(p)
			return p
		},
	}
	made := 0
	for way, of := range ways {
		for come, by := range callers {
			made++
			p := by(w.administrator(made))
			t.Run(come+", "+way, func(t *testing.T) { endsEverywhere(t, nodes, p, of.code, of.end) })
		}
	}
}

// TestApplicationsAreEndedEverywhere: an access token lives no longer than what it came of, on any node.
func TestApplicationsAreEndedEverywhere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nodes := []*world{w, w.another(), node(t, "yonder", w.database, w.redis)}
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	number, yes := 0, true
	for way, end := range map[string]func(person, credentials, *tokens) error{
		"application deleted": func(p person, _ credentials, _ *tokens) error {
			by, _ := actor.FromContext(p.ctx)
			_, err := w.access.DeleteApplication(w.admin.ctx, access.DeleteApplicationInput{ID: by.Application})
			return err
		},
		"application disabled": func(p person, _ credentials, _ *tokens) error {
			by, _ := actor.FromContext(p.ctx)
			_, err := w.access.UpdateApplication(w.admin.ctx,
				access.UpdateApplicationInput{ID: by.Application, Disabled: &yes})
			return err
		},
		"access token given back": func(_ person, c credentials, got *tokens) error {
			return w.access.RevokeIssued(t.Context(), c, got.Access)
		},
		"refresh token given back": func(_ person, c credentials, got *tokens) error {
			return w.access.RevokeIssued(t.Context(), c, got.Refresh)
		},
		"refresh token used again": func(_ person, c credentials, got *tokens) error {
			done(w.access.RefreshTokens(t.Context(), c, got.Refresh, nil))
			_, _ = w.access.RefreshTokens(t.Context(), c, got.Refresh, nil)
			return nil
		},
	} {
		number++
		p, c, got := w.byApplication(w.administrator(number))
		t.Run(way, func(t *testing.T) {
			endsEverywhere(t, nodes, p, "UNAUTHENTICATED", func(p person) error { return end(p, c, got) })
		})
	}
}

// byApplication is a person as an application of their own acts for them, and what it got.
func (w *world) byApplication(p person) (person, credentials, *tokens) {
	w.t.Helper()
	made := done(w.access.CreateApplication(w.admin.ctx, access.CreateApplicationInput{
		Name: "Voice of " + *p.user.Email, Type: application.TypeCONFIDENTIAL, RedirectURIs: []string{back},
		Scopes: access.ApplicationScopes()}))
	c := credentials{ID: made.Application.ID.String(), Secret: made.Secret}
	p, got := w.through(made.Application, c, p)
	p.ctx = actor.NewContext(w.t.Context(), done(w.access.Authenticate(w.t.Context(), p.secret)))
	return p, c, got
}

// takeAway ends what somebody came by, whatever that is.
func (w *world) takeAway(p person) (err error) {
	switch by, _ := actor.FromContext(p.ctx); {
	case !by.Session.IsZero():
		_, err = w.access.EndSession(w.admin.ctx, access.EndSessionInput{ID: by.Session})
	case !by.Grant.IsZero():
		_, err = w.access.RevokeGrant(w.admin.ctx, access.RevokeGrantInput{ID: by.Grant})
	default:
		_, err = w.access.RevokeAPIToken(w.admin.ctx, access.RevokeAPITokenInput{ID: p.token.ID})
	}
	return err
}

// administrator makes one with a token.
func (w *world) administrator(number int) person {
	w.t.Helper()
	role := actor.RoleAdmin
	u := done(w.access.CreateUser(w.admin.ctx, access.CreateUserInput{Name: "Day shift", Role: &role,
		Email: fmt.Sprintf("shift%d@example.com", number)})).User
	return w.person(w.t.Context(), w.org, u)
}

func endsEverywhere(
	t *testing.T, nodes []*world, p person, code string, end func(person) error,
) {
	t.Helper()
	var sockets []*client
	var streams []*listener
	for _, n := range nodes {
		c, l := n.connectAs(p), n.listen(p, http.MethodPost, watch, nil)
		c.start("doors", watch)
		c.expect("doors", "Gate: present")
		l.next().ok()
		sockets, streams = append(sockets, c), append(streams, l)
	}
	start := time.Now()
	must(t, end(p))
	for _, c := range sockets {
		equal(t, c.failed("doors"), code)
	}
	for _, l := range streams {
		l.next().refused(code)
		l.ended()
	}
	for _, n := range nodes {
		a := n.ask(p, `{ users { nodes { id } } webhookEndpoints { nodes { id } } }`)
		if a.status == 200 && !a.has("FORBIDDEN") {
			t.Errorf("answered: %s", a.raw)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("they lived on for %s", took)
	}
}
