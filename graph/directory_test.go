package graph_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/scim"
)

// Whoever a directory deactivates or deletes is out within two seconds, on every node: their sessions,
// their tokens, their sockets, and what their keys open.
func TestDirectoryDeactivates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ method, body string }{
		"by PATCH": {http.MethodPatch, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
			"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
		"by PUT": {http.MethodPut, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],
			"userName":"night.shift@example.com","displayName":"Night shift","active":false}`},
		"by DELETE": {http.MethodDelete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			there := w.another()
			site := w.site(w.admin, "Harbour")
			door, dev := w.door(w.admin, site, "Gate"), w.device(w.admin, site)
			w.bind(w.admin, door, dev, 1)
			w.connect(w.admin, dev.ID)
			w.key(w.admin, w.member.user, door)
			p := w.signIn(w.member)
			const unlock = `mutation($id: ID!) { unlockDoor(input: {doorId: $id}) { command { stage reason } } }`
			w.ask(p, unlock, vars{"id": door.ID}).ok()
			token, here, far, idle := w.connectAs(w.member), w.connectAs(p), there.connectAs(p), there.connectAs(p)
			for _, one := range []*client{token, here, far} {
				one.start("s", watch)
				one.expect("s", "Gate: present")
			}
			start := time.Now()
			w.provision(c.method, "/Users/"+w.member.user.ID.String(), c.body)
			for _, one := range []*client{token, here, far} {
				equal(t, one.failed("s"), "UNAUTHENTICATED")
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it lived on for %s", took)
			}
			idle.start("q", `{ viewer { role } }`)
			equal(t, idle.closed(), 4403)
			for _, at := range []*world{w, there} {
				equal(t, at.ask(p, `{ viewer { role } }`).status, http.StatusUnauthorized)
				equal(t, at.ask(w.member, `{ viewer { role } }`).status, http.StatusUnauthorized)
			}
			const whoCan = `query($d: ID!) { whoCanOpen(doorId: $d) { nodes { user { id } } } }`
			equal(t, len(w.ask(w.admin, whoCan, vars{"d": door.ID}).ok().at("whoCanOpen.nodes").([]any)), 0)
		})
	}
}

// Who is activated again begins anew: neither sessions nor what applications were given comes back.
func TestDirectoryActivatesAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.signIn(w.member)
	app, c := w.voice("doors:read")
	through, got := w.through(app, c, w.member)
	for _, active := range []string{"False", "True"} {
		w.provision(http.MethodPatch, "/Users/"+w.member.user.ID.String(),
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
			"Operations":[{"op":"Replace","path":"active","value":"`+active+`"}]}`)
	}
	const who = `{ viewer { role } }`
	w.ask(w.member, who).ok()
	equal(t, w.ask(p, who).status, http.StatusUnauthorized)
	equal(t, w.ask(through, who).status, http.StatusUnauthorized)
	if _, err := w.access.RefreshTokens(t.Context(), c, got.Refresh, nil); !errors.Is(err, access.ErrInvalidGrant) {
		t.Errorf("got %v", err)
	}
}

// provision sends a request of the directory, which the administrator's token stands for.
func (w *world) provision(method, path, body string) {
	w.t.Helper()
	made, err := w.access.CreateAPIToken(w.admin.ctx, access.CreateAPITokenInput{
		Name: "directory", Scopes: []actor.Scope{"users:write"}})
	must(w.t, err)
	by, err := w.access.Authenticate(w.t.Context(), made.Secret)
	must(w.t, err)
	r := httptest.NewRequestWithContext(actor.NewContext(w.t.Context(), by), method, scim.Path+path,
		strings.NewReader(body))
	r.Header.Set("Content-Type", "application/scim+json")
	got := httptest.NewRecorder()
	scim.New(scim.Config{Access: w.access, DB: w.db, Log: testenv.Logger(w.t),
		PublicURL: func() string { return "" }}).ServeHTTP(got, r)
	if got.Code >= http.StatusMultipleChoices {
		w.t.Fatalf("%d %s", got.Code, got.Body)
	}
}
