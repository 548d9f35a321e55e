package graph_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/typeid"
)

// watcher is a caller with subscriptions.
type watcher struct {
	caller
	*client
	running map[string]bool
	frames  chan frame // as they come: whoever does not read is left behind
	items   []frame
}

// receive takes what comes until the socket ends.
func (w *watcher) receive() {
	defer close(w.frames)
	for {
		var f frame
		_, data, err := w.conn.Read(context.Background())
		if err != nil || json.Unmarshal(data, &f) != nil {
			return
		}
		w.frames <- f
	}
}

// read returns what comes next.
func (w *watcher) read() frame {
	w.client.t.Helper()
	select {
	case f, ok := <-w.frames:
		if !ok {
			w.client.t.Fatalf("the socket of %s has ended", w.caller.name)
		}
		return f
	case <-time.After(patience):
		w.client.t.Fatalf("nothing comes for %s", w.caller.name)
	}
	return frame{}
}

// live lets everybody subscribe to everything, and the owner of the organization act: each is told of
// what they may see, and strangers of nothing.
func (m *matrix) live(t *testing.T) {
	start := m.now(m.a.owner)
	from := map[*realm]int{m.a: m.db.Event.Query().CountX(m.a.owner.ctx),
		m.b: m.db.Event.Query().CountX(m.b.owner.ctx)}
	var watchers []*watcher
	for _, c := range m.callers() {
		switch {
		case c.secret == "":
			m.isToldNothing(t, c)
		case c.dead:
			socket := m.dial()
			socket.send(frame{Type: "connection_init",
				Payload: json.RawMessage(`{"authorization":"Bearer ` + c.secret + `"}`)})
			equal(t, socket.closed(), websocket.StatusCode(4403))
		default:
			watchers = append(watchers, m.watch(t, c, start))
		}
	}
	m.a.acts()
	m.a.load()
	m.b.load()
	for _, w := range watchers {
		if w.running["events"] {
			w.hears(t, from[w.realm])
		}
		w.client.t = t
		w.drain()
		w.toldOnlyTheirs(t)
	}
}

// isToldNothing asks for all subscriptions, as streams and over a WebSocket, as somebody whom package
// server knows without a token, such as a device, or does not know.
func (m *matrix) isToldNothing(t *testing.T, c caller) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ctx := actor.WithRequestID(r.Context(), actor.NewRequestID())
		if c.by.Kind != "" {
			ctx = actor.NewContext(ctx, c.by)
		}
		m.handler.ServeHTTP(rw, r.WithContext(ctx))
	}))
	defer server.Close()
	there := &world{t: t, url: server.URL}
	socket := there.dial()
	defer func() { _ = socket.conn.CloseNow() }()
	socket.send(frame{Type: "connection_init"})
	if c.by.Kind == "" {
		equal(t, socket.closed(), websocket.StatusCode(4403))
	} else {
		equal(t, socket.read().Type, "connection_ack")
	}
	for _, r := range subscriptions {
		f, given := m.schema.Subscription.Fields.ForName(r.name), r.given(m.a)
		document := operation("subscription", f, given, "{ __typename }")
		l := there.listen(person{}, http.MethodPost, document, given)
		if c.by.Kind == "" {
			equal(t, l.status, http.StatusUnauthorized)
			continue
		}
		l.next().refused("FORBIDDEN")
		l.ended()
		socket.start(r.name, document, given)
		equal(t, socket.failed(r.name), "FORBIDDEN")
	}
}

// watch starts all subscriptions, and checks which of them begin.
func (m *matrix) watch(t *testing.T, c caller, start string) *watcher {
	t.Helper()
	w := &watcher{caller: c, client: m.connectAs(c.person), running: map[string]bool{},
		frames: make(chan frame, 1000)}
	w.client.t = t
	go w.receive()
	document := func(name, arguments, body string) string {
		return "subscription { " + name + arguments + " { " + body + " } }"
	}
	after := fmt.Sprintf("(after: %q)", start)
	if c.realm != m.a {
		w.start("theirs", document("events", after, "cursor"))
		w.refused(t, "theirs", "BAD_USER_INPUT after")
		after = ""
	}
	doors := "doorId door { " + m.fields(c, "Door", 1) + " } " +
		"event { __typename id sequence type outcome reason actor { __typename kind id } data }"
	gate := m.a.things[m.a.there.gate.ID.String()]
	command := m.a.things[m.a.there.command.ID.String()]
	for _, s := range []struct {
		id, document, refusal string
	}{
		{"events", document("events", after, "event { "+m.fields(c, "Event", 1)+" }"),
			forbiddenUnless(c.reach[access.ReadEvents] != "", "FORBIDDEN")},
		{"doors", document("doors", "", doors), forbiddenUnless(c.reach[access.ReadDoors] != "", "FORBIDDEN")},
		{"site", document("doors", fmt.Sprintf("(siteId: %q)", m.a.there.site.ID), doors),
			forbiddenUnless(c.reach[access.ReadDoors] != "", "FORBIDDEN")},
		{"gate", document("doors", fmt.Sprintf("(ids: [%q])", gate.id), doors),
			forbiddenUnless(c.sees(gate), "NOT_FOUND ids")},
		{"command", document("command", fmt.Sprintf("(id: %q)", command.id), m.fields(c, "Command", 1)),
			forbiddenUnless(c.sees(command), "NOT_FOUND id")},
	} {
		w.start(s.id, s.document)
		w.running[s.id] = s.refusal == ""
		if s.refusal != "" {
			w.refused(t, s.id, s.refusal)
		}
	}
	return w
}

func forbiddenUnless(may bool, code string) string {
	if may {
		return ""
	}
	return code
}

// refused reads on until a subscription ends, which it has to with a refusal.
func (w *watcher) refused(t *testing.T, id, refusal string) {
	t.Helper()
	for {
		f := w.read()
		if f.Type == "error" && f.ID == id {
			var faults []fault
			must(t, json.Unmarshal(f.Payload, &faults))
			code := faults[0].codeAndField()
			if code != refusal && code != string(access.CodeForbidden) {
				t.Errorf("%s may not watch %s for %s", w.caller.name, id, code)
			}
			return
		}
		if f.ID == id {
			t.Errorf("%s may watch %s: %s", w.caller.name, id, f.Payload)
			return
		}
		w.items = append(w.items, f)
	}
}

// acts does a bit of everything, and last what each watcher is told of.
func (e *realm) acts() {
	as := e.owner.ctx
	rename := func(id typeid.Door) {
		name := e.name("Gate")
		done(e.access.UpdateDoor(as, access.UpdateDoorInput{ID: id, Name: &name}))
	}
	rename(e.there.gate.ID)
	rename(e.attic.ID)
	reason := e.name("A parcel")
	done(e.access.UnlockDoor(as, access.UnlockDoorInput{DoorID: e.there.gate.ID, OperatorReason: &reason}))
	done(e.access.SuspendKey(as, access.SuspendKeyInput{ID: e.there.key.ID}))
	done(e.access.ResumeKey(as, access.ResumeKeyInput{ID: e.there.key.ID}))
	l := done(e.access.TriggerLockdown(as, access.TriggerLockdownInput{PlanID: e.there.spare.ID})).Lockdown
	done(e.access.ReleaseLockdown(as, access.ReleaseLockdownInput{LockdownID: l.ID}))
	e.reaches(e.there.site, l.ID)
	name := e.name("Shift")
	done(e.access.UpdateUser(as, access.UpdateUserInput{ID: e.idle.user.ID, Name: &name}))
	rename(e.porch.ID)
	shed := e.newDoor(e.here.site)
	k := done(e.access.GrantKey(as, access.GrantKeyInput{UserID: e.member.user.ID,
		DoorIDs: []typeid.Door{shed.ID}})).Key
	e.reaches(e.here.site, k.ID)
	e.owns(e.member, e.here.site.ID, shed.ID, e.calendar.ID)
	rename(shed.ID)
	e.devices.wait()
	other := e.matrix.b
	name = e.name("Gate")
	done(e.access.UpdateDoor(other.owner.ctx, access.UpdateDoorInput{ID: other.porch.ID, Name: &name}))
}

// hears reads until the newest event that the watcher may see, and fails unless they were told of each
// since the beginning.
func (w *watcher) hears(t *testing.T, from int) {
	t.Helper()
	want := map[string]bool{}
	rows := w.realm.db.Event.Query().Where(event.SeqGT(int64(from))).AllX(w.realm.owner.ctx)
	for _, row := range rows {
		if one := w.realm.things[row.ID.String()]; w.sees(one) {
			want[one.id] = true
		}
	}
	for len(want) > 0 {
		f := w.read()
		w.items = append(w.items, f)
		if f.ID == "events" {
			delete(want, dig(t, decode(t, f), "events.event.id").(string))
		}
	}
}

// drain reads whatever is there before the answer to a ping.
func (w *watcher) drain() {
	w.send(frame{Type: "ping"})
	for f := w.read(); f.Type != "pong"; f = w.read() {
		w.items = append(w.items, f)
	}
}

// toldOnlyTheirs inspects what the watcher was told.
func (w *watcher) toldOnlyTheirs(t *testing.T) {
	t.Helper()
	i := &inspection{matrix: w.realm.matrix, t: t, caller: w.caller, what: "subscriptions",
		found: map[string]bool{}}
	for _, f := range w.items {
		var payload struct {
			Data   map[string]any
			Errors []fault
		}
		if f.Type == "complete" { // a command that has ended
			continue
		}
		if f.Type != "next" || json.Unmarshal(f.Payload, &payload) != nil || len(payload.Errors) > 0 {
			t.Errorf("%s of %s: %s %s", f.ID, w.caller.name, f.Type, f.Payload)
			continue
		}
		if update, ok := payload.Data["doors"].(map[string]any); ok {
			update["__typename"] = "DoorUpdate"
		}
		i.look(payload.Data, "", nil)
	}
}
