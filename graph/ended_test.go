package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/user"
)

// TestWhoIsEndedIsEndedEverywhere: whatever takes somebody's rights away, and by whatever they came, on
// each of three nodes their subscriptions end within two seconds, and their requests are refused.
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
			if by, _ := actor.FromContext(p.ctx); !by.Session.IsZero() {
				_, err := w.access.EndSession(as, access.EndSessionInput{ID: by.Session})
				return err
			}
			_, err := w.access.RevokeAPIToken(as, access.RevokeAPITokenInput{ID: p.token.ID})
			return err
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
	for _, n := range nodes {
		c := n.connectAs(p)
		c.start("doors", watch)
		c.expect("doors", "Gate: present")
		sockets = append(sockets, c)
	}
	start := time.Now()
	must(t, end(p))
	for _, c := range sockets {
		equal(t, c.failed("doors"), code)
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
