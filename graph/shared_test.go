package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/typeid"
)

// TestEqualSubscriptionsAreOne: whoever may see the same and asks for the same shares one execution of
// each event, whichever user they are and by whatever they came; each hears of it once, by their own ID.
func TestEqualSubscriptionsAreOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	dev, gate := w.device(w.admin, site), w.door(w.admin, site, "Gate")
	w.bind(w.admin, gate, dev, 1)
	l := w.connect(w.admin, dev.ID)
	people := []person{w.administrator(1), w.signIn(w.administrator(2)), w.administrator(3)}
	var clients []*client
	for i := range 12 {
		c := w.connectAs(people[i%len(people)])
		for _, id := range []string{fmt.Sprint("s", i), `a "quoted" one`} {
			c.start(id, watch, vars{"ids": []any{gate.ID}})
			c.expect(id, "Gate: present")
		}
		clients = append(clients, c)
	}
	w.listening(24)
	equal(t, w.measured("cardea_graph_audiences"), 1)
	for round := range 3 {
		w.report(l, access.Report{Port: 1, Type: "door.opened"})
		for i, c := range clients {
			got := map[string]bool{}
			for range 2 {
				f := c.read()
				equal(t, dig(t, decode(t, f), "doors.event.type"), any("door.opened"))
				got[f.ID] = true
			}
			equal(t, got[fmt.Sprint("s", i)] && got[`a "quoted" one`], true)
		}
		equal(t, w.measured("cardea_graph_shared_executions_total"), float64(round+1))
		equal(t, w.measured("cardea_graph_shared_deliveries_total"), float64(24*(round+1)))
	}
}

// listening waits until so many subscriptions need no goroutine of their own.
func (w *world) listening(count int) {
	w.t.Helper()
	deadline := time.After(patience)
	for int(w.measured("cardea_graph_listening")) != count {
		select {
		case <-deadline:
			w.t.Fatalf("%v listen, not %d", w.measured("cardea_graph_listening"), count)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestOneLeavesTheOthersStay: an audience goes on without somebody whose rights have changed.
func TestOneLeavesTheOthersStay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	one, other := w.administrator(1), w.administrator(2)
	leaves, stays := w.connectAs(one), w.connectAs(other)
	for _, c := range []*client{leaves, stays} {
		c.start("s", watch)
		c.expect("s", "Gate: present")
	}
	w.listening(2)
	equal(t, w.measured("cardea_graph_audiences"), 1)
	auditor := actor.RoleAuditor
	_, err := w.access.UpdateUser(w.admin.ctx, access.UpdateUserInput{ID: one.user.ID, Role: &auditor})
	must(t, err)
	w.rename(gate, "Main gate")
	equal(t, leaves.failed("s"), "FORBIDDEN")
	stays.expect("s", "Main gate: door.updated")
	leaves.quiet()
	leaves.start("s", watch)
	leaves.expect("s", "Main gate: present")
	w.listening(2)
	equal(t, w.measured("cardea_graph_audiences"), 2) // an auditor's rights are others
	w.rename(gate, "Gate")
	leaves.expect("s", "Gate: door.updated")
	stays.expect("s", "Gate: door.updated")
}

// TestLateJoinersMissNothing: whoever joins while much happens, from the present or from a cursor, hears
// every event from there on, once and in order, and listens with the others as soon as they are level.
func TestLateJoinersMissNothing(t *testing.T) {
	t.Parallel()
	const joiners, each = 12, 10
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	start := w.now(w.admin)
	const query = `subscription($after: Cursor) { events(after: $after) {
		cursor event { sequence type } } }`
	var all []chan frame
	for i := range joiners {
		c := w.connectAs(w.admin)
		all = append(all, c.receive())
		v := vars{}
		if i%3 > 0 {
			v["after"] = start
		}
		c.start("s", query, v)
		for n := range each {
			w.rename(gate, fmt.Sprint("Gate ", i, ".", n))
		}
	}
	w.listening(joiners)
	equal(t, w.measured("cardea_graph_audiences"), 1)
	w.rename(gate, "Last")
	last := w.ask(w.admin, `{ auditLog(first: 1) { nodes { sequence } } }`).ok().at("auditLog.nodes.0.sequence")
	for _, frames := range all {
		met := 0.0
		for met < last.(float64) {
			f := <-frames
			met = w.follows(met, decode(t, f))
		}
	}
}

// somebody makes a person with random rights: any role, and a token that may be narrowed in scope and to
// sites.
func (w *world) somebody(r *rand.Rand, number int, sites []*ent.Site, doors []*ent.Door) person {
	w.t.Helper()
	role := []actor.Role{actor.RoleOwner, actor.RoleAdmin, actor.RoleAuditor, actor.RoleManager,
		actor.RoleMember}[r.IntN(5)]
	in := access.CreateUserInput{Name: fmt.Sprint("Shift ", number), Role: &role,
		Email: fmt.Sprintf("shift%d@example.com", number)}
	if role == actor.RoleManager {
		in.SiteIDs = []typeid.Site{sites[r.IntN(len(sites))].ID}
	}
	u := done(w.access.CreateUser(w.admin.ctx, in)).User
	for _, d := range doors {
		if r.IntN(3) == 0 {
			w.key(w.admin, u, d)
		}
	}
	token := access.CreateAPITokenInput{Name: "phone", UserID: &u.ID}
	if r.IntN(2) == 0 {
		token.Scopes = []actor.Scope{}
		for _, s := range []actor.Scope{"doors:read", "events:read", "sites:read", "devices:read",
			"users:read"} {
			if r.IntN(4) > 0 {
				token.Scopes = append(token.Scopes, s)
			}
		}
	}
	if r.IntN(4) == 0 && role != actor.RoleMember {
		token.SiteIDs = []typeid.Site{sites[r.IntN(len(sites))].ID}
	}
	if token.Scopes != nil && len(token.Scopes) == 0 {
		token.Scopes = nil
	}
	made := done(w.access.CreateAPIToken(w.admin.ctx, token))
	return person{user: u, token: made.Token, secret: made.Secret}
}

// impersonal are the types that graph/rights.go takes to show the same to all who may read as much.
var impersonal = []string{"DoorUpdate", "EventUpdate", "Door", "Site", "Device", "Event", "Actor",
	"EffectiveMode", "DoorOverride"}

// fields selects every field of a type that takes no arguments and leads to impersonal types only, so
// many levels deep; personal are the others that take none, with the types that they lead to.
func fields(schema *ast.Schema, of string, depth int) (selection string, personal map[string]string) {
	var text strings.Builder
	personal = map[string]string{}
	for _, f := range schema.Types[of].Fields {
		def := schema.Types[f.Type.Name()]
		switch {
		case len(f.Arguments) > 0 || strings.HasPrefix(f.Name, "__"):
		case def.IsLeafType():
			text.WriteString(f.Name + " ")
		case !slices.Contains(impersonal, def.Name):
			personal[f.Name] = def.Name
		case depth > 1:
			inner, _ := fields(schema, def.Name, depth-1)
			text.WriteString(f.Name + " { " + inner + "} ")
		}
	}
	return text.String(), personal
}

// TestImpersonalTypes: two people of equal rights see the same in whatever the impersonal types have,
// whatever keys they hold, and listen together to it; and apart as soon as the document leads to any
// other type.
func TestImpersonalTypes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	people := []person{w.administrator(1), w.administrator(2)}
	site := w.site(w.admin, "Harbour")
	dev, gate := w.device(w.admin, site), w.door(w.admin, site, "Gate")
	w.bind(w.admin, gate, dev, 1)
	w.key(w.admin, people[0].user, gate)
	door, _ := fields(schema, "Door", 4)
	event, _ := fields(schema, "Event", 4)
	read := "{ doors { nodes { " + door + "} } auditLog { nodes { " + event + "} } }"
	equal(t, fmt.Sprint(w.ask(people[0], read).ok().Data), fmt.Sprint(w.ask(people[1], read).ok().Data))
	together := func(document string) bool {
		t.Helper()
		before := w.measured("cardea_graph_audiences")
		clients := []*client{w.connectAs(people[0]), w.connectAs(people[1])}
		for _, c := range clients {
			c.start("s", document)
		}
		w.listening(len(clients))
		audiences := w.measured("cardea_graph_audiences") - before
		for _, c := range clients {
			_ = c.conn.CloseNow()
		}
		w.listening(0)
		return audiences == 1
	}
	for root, item := range map[string]string{"doors": "DoorUpdate", "events": "EventUpdate"} {
		all, _ := fields(schema, item, 4)
		if !together("subscription { " + root + " { " + all + "} }") {
			t.Errorf("%s are not shared", root)
		}
	}
	paths := map[string]string{"Door": "door", "Event": "event", "Site": "door { site",
		"Device": "door { device", "Actor": "event { actor"}
	for of, path := range paths {
		_, personal := fields(schema, of, 1)
		for name, leadsTo := range personal {
			document := "subscription { doors { " + path + " { " + name + " { __typename } } " +
				strings.Repeat("} ", strings.Count(path, "{")) + "} }"
			if together(document) {
				t.Errorf("%s.%s leads to %s, and is shared", of, name, leadsTo)
			}
		}
	}
}

// The fields of subscriptions that are impersonal, and that not everybody may read.
const (
	doorFields = `cursor doorId door { name lockState position isStale effectiveMode { mode cause }
		site { name timeZone } device { name connectivity } }
		event { sequence type actor { kind id name } site { name } data }`
	eventFields = `cursor event { sequence type outcome severity actor { kind id name } data
		site { name } door { id } device { name } }`
)

// TestSharedIsWhatEachWouldSee: whatever somebody's rights are, what they hear together with others is,
// to the byte but for request IDs, what they hear of the same events alone, when they replay them.
func TestSharedIsWhatEachWouldSee(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	w := setup(t)
	sites := []*ent.Site{w.site(w.admin, "Harbour"), w.site(w.admin, "Hill")}
	dev := w.device(w.admin, sites[0])
	var doors []*ent.Door
	for i, name := range []string{"Gate", "Cellar", "Quay", "Hut"} {
		doors = append(doors, w.door(w.admin, sites[i%2], name))
	}
	w.bind(w.admin, doors[0], dev, 1)
	w.bind(w.admin, doors[2], dev, 2)
	l := w.connect(w.admin, dev.ID)
	var people []person
	for i := range 14 {
		people = append(people, w.somebody(r, i, sites, doors))
	}
	people = append(people, w.admin, w.signIn(w.admin))
	start := vars{"after": w.now(w.admin)}
	const asDoors = `subscription($after: Cursor) { doors(after: $after) { ` + doorFields + ` } }`
	const asEvents = `subscription($after: Cursor) { events(after: $after) { ` + eventFields + ` } }`
	sockets := make([]*client, len(people))
	heard := make([]chan frame, len(people))
	refused := map[string]bool{}
	for i, p := range people {
		sockets[i] = w.connectAs(p)
		for id, document := range map[string]string{"doors": asDoors, "events": asEvents} {
			sockets[i].start(id, document, start)
			// It listens or is refused before the answer to what is asked next.
			refused[fmt.Sprint(i, id)] = !w.may(p, id)
			if refused[fmt.Sprint(i, id)] {
				equal(t, sockets[i].failed(id), "FORBIDDEN")
			}
		}
	}
	w.listening(2*len(people) - count(refused))
	for i, c := range sockets {
		heard[i] = c.receive()
	}
	alone := int(w.measured("cardea_graph_listening"))
	together := int(w.measured("cardea_graph_audiences"))
	if together >= alone {
		t.Errorf("%d subscriptions share %d executions", alone, together)
	}
	for range 30 {
		switch d := doors[r.IntN(len(doors))]; r.IntN(3) {
		case 0:
			w.rename(d, fmt.Sprint("Door ", r.IntN(1000), d.ID))
		case 1:
			w.report(l, access.Report{Port: 1 + r.IntN(2), Type: "lock.unlocked", LockState: "UNLOCKED"})
		default:
			w.report(l, access.Report{Port: 1 + r.IntN(2), Type: "door.opened", Position: "OPEN"})
		}
	}
	for i, d := range doors {
		w.rename(d, fmt.Sprint("Last ", i))
	}
	for i, p := range people {
		want, got := map[string][]string{}, map[string][]string{}
		for _, id := range []string{"doors", "events"} {
			if refused[fmt.Sprint(i, id)] {
				continue
			}
			last := w.newest(p, id)
			c := w.connectAs(p)
			document := map[string]string{"doors": asDoors, "events": asEvents}[id]
			c.start(id, document, start)
			want[id] = c.until(id, last)
		}
		sockets[i].send(frame{Type: "ping"}) // after which all has come: it was there for who replays
		for more := true; more; {
			f := <-heard[i]
			more = f.Type != "pong" && f.Type != "" ||
				len(got["doors"]) < len(want["doors"]) || len(got["events"]) < len(want["events"])
			if f.Type == "" {
				t.Fatalf("the socket of %d has ended", i)
			}
			if f.Type == "next" {
				got[f.ID] = append(got[f.ID], bare(f))
			}
		}
		for id := range want {
			equal(t, len(got[id]), len(want[id]))
			for n := range want[id] {
				equal(t, got[id][n], want[id][n])
			}
		}
	}
}

// receive reads all that comes, so that the client is never slow.
func (c *client) receive() chan frame {
	all := make(chan frame, 1000)
	go func() {
		defer close(all)
		for {
			_, data, err := c.conn.Read(context.Background())
			var f frame
			if err != nil || json.Unmarshal(data, &f) != nil {
				return
			}
			all <- f
		}
	}()
	return all
}

func count(set map[string]bool) (n int) {
	for _, is := range set {
		if is {
			n++
		}
	}
	return n
}

// may says whether somebody may watch doors, or events.
func (w *world) may(p person, what string) bool {
	w.t.Helper()
	query := map[string]string{
		"doors": `{ doors(first: 1) { nodes { id } } }`, "events": `{ auditLog(first: 1) { nodes { id } } }`}
	return !w.ask(p, query[what]).has("FORBIDDEN")
}

// newest is the number of the newest event that a subscription of somebody's tells of, or 0.
func (w *world) newest(p person, what string) float64 {
	w.t.Helper()
	if what == "events" {
		found := w.ask(p, `{ auditLog(first: 1) { nodes { sequence } } }`).ok().at("auditLog.nodes").([]any)
		if len(found) == 0 {
			return 0
		}
		return dig(w.t, found[0].(map[string]any), "sequence").(float64)
	}
	own := map[string]bool{}
	for _, n := range w.ask(p, `{ doors { nodes { id } } }`).ok().at("doors.nodes").([]any) {
		own[dig(w.t, n.(map[string]any), "id").(string)] = true
	}
	log := w.ask(w.admin, `{ auditLog(first: 100) { nodes { sequence type door { id } } } }`).ok()
	for _, n := range log.at("auditLog.nodes").([]any) {
		event := n.(map[string]any)
		if d, ok := event["door"].(map[string]any); ok && own[d["id"].(string)] {
			return event["sequence"].(float64)
		}
	}
	return 0
}

// until reads items of a subscription to the one that tells of an event; none if that is 0.
func (c *client) until(id string, last float64) (items []string) {
	c.t.Helper()
	for at := 0.0; at < last; {
		f := c.read()
		equal(c.t, f.ID, id)
		data := decode(c.t, f)
		at = dig(c.t, data, id+".event.sequence").(float64)
		items = append(items, bare(f))
	}
	return items
}

var requestID = regexp.MustCompile(`"requestId":"[^"]*"`)

// bare is a payload without request IDs, its errors in an order that does not depend on timing.
func bare(f frame) string {
	var p struct {
		Errors []json.RawMessage
		Data   json.RawMessage
	}
	_ = json.Unmarshal(requestID.ReplaceAll(f.Payload, []byte(`"requestId":""`)), &p)
	slices.SortFunc(p.Errors, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	return fmt.Sprintf("%s %s", p.Errors, p.Data)
}
