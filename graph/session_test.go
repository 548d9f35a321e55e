package graph_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
)

// signIn begins a session of a person's.
func (w *world) signIn(p person) person {
	w.t.Helper()
	by, _ := actor.FromContext(p.ctx)
	system := actor.NewContext(w.t.Context(), actor.System("test").Within(by.Organization))
	in, err := w.access.StartSession(system, p.user.ID, session.MethodEMAIL_CODE,
		access.Client{Address: "192.0.2.7", UserAgent: "Browser"})
	must(w.t, err)
	p.secret, p.ctx = in.Secret, actor.NewContext(w.t.Context(), by.WithSession(in.Session.ID))
	return p
}

func TestSession(t *testing.T) {
	t.Parallel()
	w := setup(t)
	here, there := w.signIn(w.member), w.signIn(w.member)
	const read = `{ viewer { actor { kind id } apiToken { id } session { id current method userAgent }
		sessions { nodes { id current address user { id } endedAt } } } }`
	a := w.ask(here, read).ok()
	equal(t, a.text("viewer.actor.kind"), "USER")
	equal(t, a.at("viewer.apiToken"), nil)
	equal(t, a.text("viewer.session.method"), "EMAIL_CODE")
	equal(t, a.at("viewer.session.current"), any(true))
	equal(t, len(a.at("viewer.sessions.nodes").([]any)), 2)
	equal(t, a.at("viewer.sessions.nodes.1.current"), any(false))
	equal(t, a.text("viewer.sessions.nodes.1.address"), "192.0.2.7")
	if strings.Contains(string(a.raw), here.secret) {
		t.Error("a secret can be read")
	}
	id, other := a.text("viewer.session.id"), a.text("viewer.sessions.nodes.1.id")
	equal(t, w.ask(w.member, read).ok().at("viewer.session"), nil)
	const node = `query($id: ID!) { node(id: $id) { ... on Session { current } } }`
	equal(t, w.ask(here, node, vars{"id": id}).ok().at("node.current"), any(true))
	equal(t, w.ask(w.stranger, node, vars{"id": id}).ok().at("node"), nil)

	const end = `mutation($id: ID!) { endSession(input: {id: $id}) { session { endedAt } } }`
	w.ask(w.stranger, end, vars{"id": id}).refused("NOT_FOUND id")
	theirs := w.signIn(w.admin)
	w.ask(here, end, vars{"id": w.ask(theirs, read).text("viewer.session.id")}).refused("NOT_FOUND id")
	w.ask(here, end, vars{"id": w.member.user.ID}).refused("BAD_USER_INPUT id")

	const endOthers = `mutation($user: ID) { endOtherSessions(input: {userId: $user}) { endedIds } }`
	w.ask(w.stranger, endOthers, vars{"user": w.member.user.ID}).refused("NOT_FOUND userId")
	w.ask(here, endOthers, vars{"user": w.admin.user.ID}).refused("NOT_FOUND userId")
	ended := w.ask(here, endOthers).ok()
	equal(t, ended.text("endOtherSessions.endedIds.0"), other)
	equal(t, len(ended.at("endOtherSessions.endedIds").([]any)), 1)
	equal(t, w.ask(there, read).status, http.StatusUnauthorized)
	equal(t, len(w.ask(here, read).ok().at("viewer.sessions.nodes").([]any)), 1)
	w.ask(w.admin, end, vars{"id": id}).ok()
	equal(t, w.ask(here, read).status, http.StatusUnauthorized)

	w.db.User.UpdateOne(w.member.user).SetRole(actor.RoleGuest).ExecX(w.admin.ctx)
	w.ask(w.member, end, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.member, endOthers).refused("FORBIDDEN")
}

// However a session ends, what lives by it ends within two seconds, and on every node.
func TestEndedSessionEndsEverything(t *testing.T) {
	t.Parallel()
	suspended := user.StatusSUSPENDED
	for name, end := range map[string]func(w *world, p person) error{
		"ended by an administrator": func(w *world, p person) error {
			by, _ := actor.FromContext(p.ctx)
			_, err := w.access.EndSession(w.admin.ctx, access.EndSessionInput{ID: by.Session})
			return err
		},
		"ended from elsewhere": func(w *world, _ person) error {
			_, err := w.access.EndOtherSessions(w.member.ctx, access.EndOtherSessionsInput{})
			return err
		},
		"user suspended": func(w *world, p person) error {
			_, err := w.access.UpdateUser(w.admin.ctx,
				access.UpdateUserInput{ID: p.user.ID, Status: &suspended})
			return err
		},
		"user deleted": func(w *world, p person) error {
			_, err := w.access.DeleteUser(w.admin.ctx, access.DeleteUserInput{ID: p.user.ID})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			there := w.another()
			w.key(w.admin, w.member.user, w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"))
			p := w.signIn(w.member)
			c, far, idle := w.connectAs(p), there.connectAs(p), there.connectAs(p)
			for _, one := range []*client{c, far} {
				one.start("s", watch)
				one.expect("s", "Gate: present")
			}
			start := time.Now()
			must(t, end(w, p))
			equal(t, c.failed("s"), "UNAUTHENTICATED")
			equal(t, far.failed("s"), "UNAUTHENTICATED")
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it lived on for %s", took)
			}
			idle.start("q", `{ viewer { role } }`)
			equal(t, idle.closed(), 4403)
		})
	}
}
