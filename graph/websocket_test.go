package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/stream"
)

func TestSocketCloseCodes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		say  func(*client)
		code websocket.StatusCode
	}{
		"subscribe before init": {func(c *client) { c.start("1", `{ __typename }`) }, 4401},
		"bad token": {func(c *client) {
			c.send(frame{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer x"}`)})
		}, 4403},
		"no token": {func(c *client) { c.send(frame{Type: "connection_init"}) }, 4403},
		"payload of a list": {func(c *client) {
			c.send(frame{Type: "connection_init", Payload: json.RawMessage(`[]`)})
		}, 4400},
		"no JSON":        {func(c *client) { c.sendRaw(`{`) }, 4400},
		"no object":      {func(c *client) { c.sendRaw(`"hello"`) }, 4400},
		"unknown type":   {func(c *client) { c.send(frame{Type: "start"}) }, 4400},
		"nothing at all": {func(*client) {}, 4408},
		"too long":       {func(c *client) { c.sendRaw(strings.Repeat("x", 65<<10)) }, 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := w.dial()
			socket.t = t
			c.say(socket)
			equal(t, socket.closed(), c.code)
		})
	}
	for name, c := range map[string]struct {
		say  func(*client)
		code websocket.StatusCode
	}{
		"second init": {func(c *client) { c.send(frame{Type: "connection_init"}) }, 4429},
		"empty id":    {func(c *client) { c.start("", `{ __typename }`) }, 4400},
		"no query":    {func(c *client) { c.send(frame{ID: "1", Type: "subscribe"}) }, 4400},
		"same id": {func(c *client) {
			c.start("1", `subscription { events { cursor } }`)
			c.start("1", `subscription { events { cursor } }`)
		}, 4409},
		"chatter": {func(c *client) {
			for range 101 {
				c.send(frame{Type: "pong"})
			}
		}, 1008},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			socket := w.connectAs(w.admin)
			socket.t = t
			c.say(socket)
			equal(t, socket.closed(), c.code)
		})
	}
	t.Run("subprotocol", func(t *testing.T) {
		t.Parallel()
		equal(t, w.dial("graphql-ws").closed(), 4406)
	})
}

func TestSocketOrigin(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *graph.Config, _ *stream.HubConfig) { c.Origins = []string{"portal.example.com"} })
	for origin, allowed := range map[string]bool{
		"https://portal.example.com": true, "": true,
		"https://evil.example.com": false, "https://portal.example.com.evil.com": false,
		"https://xportal.example.com": false, "null": false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		conn, response, err := websocket.Dial(t.Context(), strings.Replace(w.url, "http", "ws", 1),
			&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header})
		if (err == nil) != allowed {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			_ = conn.CloseNow()
		} else {
			equal(t, response.StatusCode, http.StatusForbidden)
		}
	}
}

func TestOperationsOnASocket(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.connectAs(w.admin)
	c.quiet()
	c.start("q", `{ viewer { user { name } } }`)
	equal(t, dig(t, c.next("q"), "viewer.user.name").(string), "Front desk")
	c.complete("q")
	c.start("q", `{ nothing }`) // the ID is free again
	equal(t, c.failed("q"), "GRAPHQL_VALIDATION_FAILED")
	c.start("m", `mutation { createSite(input: {name: "Harbour", timeZone: "UTC"}) { site { name } } }`)
	equal(t, dig(t, c.next("m"), "createSite.site.name").(string), "Harbour")
	c.complete("m")
	c.start("s", `subscription { events(after: "x") { cursor } }`)
	equal(t, c.failed("s"), "BAD_USER_INPUT after")

	c.start("s", `subscription { events { event { type } } }`)
	c.send(frame{ID: "s", Type: "complete"})
	c.quiet()
	w.site(w.admin, "Hill")
	c.quiet()
	c.start("s", `subscription { command(id: "x") { stage } }`)
	equal(t, c.failed("s"), "BAD_USER_INPUT id")
}

func TestSocketLimitsOperations(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.connectAs(w.admin)
	for i := range 50 {
		c.start(string(rune('A'+i)), `subscription { events { cursor } }`)
	}
	c.start("one more", `subscription { events { cursor } }`)
	equal(t, c.failed("one more"), "TOO_MANY_OPERATIONS")
	c.quiet()
}

func TestSocketAuthenticatedByHeader(t *testing.T) {
	t.Parallel()
	w := setup(t)
	header := http.Header{"Authorization": {"Bearer " + w.member.secret}}
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(w.url, "http", "ws", 1),
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header})
	must(t, err)
	defer func() { _ = conn.CloseNow() }()
	c := &client{t: t, conn: conn}
	c.send(frame{Type: "connection_init"})
	equal(t, c.read().Type, "connection_ack")
	c.start("q", `{ viewer { user { name } } }`)
	equal(t, dig(t, c.next("q"), "viewer.user.name").(string), "Night shift")
}

func TestRunEndsSocketsWithReconnect(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *graph.Config, _ *stream.HubConfig) { c.Drain = 20 * time.Millisecond })
	idle, busy := w.connectAs(w.admin), w.connectAs(w.admin)
	busy.start("s", `subscription { events { cursor } }`)
	busy.quiet()
	w.stop()
	equal(t, idle.closed(), websocket.StatusServiceRestart)
	equal(t, busy.closed(), websocket.StatusServiceRestart)
	err := <-w.stopped
	must(t, err)
	equal(t, w.dial().closed(), websocket.StatusServiceRestart)
	w.stopped <- nil
}

// A client that stops reading loses its socket; the others hear everything meanwhile.
func TestStalledClientIsDropped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	stalled, other := w.connectAs(w.admin), w.connectAs(w.admin)
	const query = `subscription($after: Cursor) { events(after: $after) {
		event { id type data actor { name } site { name timeZone } } } }`
	start := vars{"after": w.now(w.admin)}
	stalled.start("s", query, start)
	other.start("s", query, start)
	began := time.Now()
	for i := range 200 {
		w.site(w.admin, strings.Repeat("x", 150)+fmt.Sprint(i))
		equal(t, dig(t, other.next("s"), "events.event.type").(string), "site.created")
	}
	if time.Since(began) > 20*time.Second {
		t.Errorf("the other client was held up: %s", time.Since(began))
	}
	deadline, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for w.sockets() > 1 {
		select {
		case <-deadline.Done():
			t.Fatal("the stalled client still has its socket")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A client that reads more slowly than it is sent is told so, in order and after whole messages, and
// resumes where it was.
func TestSlowConsumerIsToldAndResumes(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *graph.Config, _ *stream.HubConfig) { c.Backlog = 4 << 10 })
	c, other := w.connectAs(w.admin), w.connectAs(w.admin)
	const query = `subscription($after: Cursor) { events(after: $after) {
		cursor event { sequence type data actor { id kind name } site { id name timeZone } } } }`
	start := vars{"after": w.now(w.admin)}
	c.start("s", query, start)
	other.start("s", query, start)
	total := 0
	for ; w.measured("cardea_graph_sockets_closed_total") == 0; total++ {
		w.site(w.admin, strings.Repeat("x", 190)+fmt.Sprint(total))
		other.next("s") // nobody else waits for it
	}
	var last string
	var met float64
	for {
		f, err := c.tryRead()
		if err != nil {
			equal(t, websocket.CloseStatus(err), websocket.StatusTryAgainLater)
			break
		}
		data := decode(t, f)
		last = dig(t, data, "events.cursor").(string)
		met = w.follows(met, data)
	}
	again := w.connectAs(w.admin)
	again.start("again", query, vars{"after": last})
	for range total {
		data := again.next("again")
		met = w.follows(met, data)
		if dig(t, data, "events.event.site.name").(string) == strings.Repeat("x", 190)+fmt.Sprint(total-1) {
			return
		}
	}
	t.Fatal("the last event did not come")
}

// follows checks that an item is the next after the last that was met.
func (w *world) follows(met float64, data map[string]any) float64 {
	w.t.Helper()
	sequence := dig(w.t, data, "events.event.sequence").(float64)
	if met != 0 && sequence != met+1 {
		w.t.Fatalf("event %v after %v", sequence, met)
	}
	return sequence
}

func TestRevokedTokenEndsEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, other := w.connectAs(w.admin), w.connectAs(w.admin)
	c.start("s", `subscription($after: Cursor) { events(after: $after) { event { type } } }`,
		vars{"after": w.now(w.admin)})
	w.site(w.admin, "Harbour")
	c.next("s")
	start := time.Now()
	_, err := w.access.RevokeAPIToken(w.admin.ctx, access.RevokeAPITokenInput{ID: w.admin.token.ID})
	must(t, err)
	equal(t, c.failed("s"), "UNAUTHENTICATED")
	if time.Since(start) > time.Second {
		t.Errorf("the subscription lived on for %s", time.Since(start))
	}
	other.start("q", `{ viewer { role } }`)
	equal(t, other.closed(), 4403)
}

// Whoever has ended an operation hears nothing more of it, and may use its ID at once.
func TestAnEndedOperationIsSilent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	c := w.connectAs(w.admin)
	for range 40 {
		c.start("s", watch)
		c.expect("s", "Gate: present")
		c.send(frame{ID: "s", Type: "complete"})
	}
	c.quiet()
}

func TestExpiredTokenEndsTheSocket(t *testing.T) {
	t.Parallel()
	w := setup(t)
	expires := time.Now().Add(1500 * time.Millisecond)
	made, err := w.access.CreateAPIToken(w.admin.ctx, access.CreateAPITokenInput{
		Name: "short", ExpiresAt: &expires})
	must(t, err)
	c := w.connectAs(person{secret: made.Secret})
	c.start("s", `subscription { events { cursor } }`)
	equal(t, c.closed(), 4403)
	if late := time.Since(expires); late < 0 || late > time.Second {
		t.Errorf("closed %s after the end", late)
	}
}

func TestChangedRoleEndsSubscriptions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{
		Name: "Day shift", Email: "day@example.com", Role: new(w.admin.user.Role)})
	must(t, err)
	changed := w.person(t.Context(), w.org, made.User)
	c := w.connectAs(changed)
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	c.start("s", watch)
	c.expect("s", "Gate: present")
	_, err = w.access.UpdateUser(w.admin.ctx, access.UpdateUserInput{
		ID: changed.user.ID, Role: new(w.member.user.Role)})
	must(t, err)
	equal(t, c.failed("s"), "FORBIDDEN")
	c.start("s", `subscription { events { cursor } }`) // as who they are now
	equal(t, c.failed("s"), "FORBIDDEN")
}
