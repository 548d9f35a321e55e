package graph_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

const watch = `subscription($ids: [ID!], $site: ID, $after: Cursor) { doors(ids: $ids, siteId: $site, after: $after) {
	cursor doorId door { name lockState connectivity site { name } } event { type sequence } } }`

// update reads an item of the subscription "doors" as "door: event".
func (c *client) update(id string) (text, cursor string) {
	c.t.Helper()
	data := c.next(id)
	name, kind := "gone", "present"
	if dig(c.t, data, "doors.door") != nil {
		name = dig(c.t, data, "doors.door.name").(string)
	}
	if dig(c.t, data, "doors.event") != nil {
		kind = dig(c.t, data, "doors.event.type").(string)
	}
	return name + ": " + kind, dig(c.t, data, "doors.cursor").(string)
}

func (c *client) expect(id string, wanted ...string) (cursor string) {
	c.t.Helper()
	for _, want := range wanted {
		var got string
		got, cursor = c.update(id)
		equal(c.t, got, want)
	}
	return cursor
}

func TestDoorsSubscription(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, hill := w.site(w.admin, "Harbour"), w.site(w.admin, "Hill")
	dev := w.device(w.admin, harbour)
	gate, cellar := w.door(w.admin, harbour, "Gate"), w.door(w.admin, harbour, "Cellar")
	hut := w.door(w.admin, hill, "Hut")
	w.bind(w.admin, gate, dev, 1)
	w.bind(w.admin, cellar, dev, 2)
	c := w.connectAs(w.admin)
	c.start("one", watch, vars{"ids": []any{gate.ID}})
	c.expect("one", "Gate: present")
	bySite := w.connectAs(w.admin)
	bySite.start("site", watch, vars{"site": harbour.ID})
	start := bySite.expect("site", "Cellar: present", "Gate: present")

	l := w.connect(w.admin, dev.ID)
	c.expect("one", "Gate: device.connected")
	first, middle := bySite.update("site")
	second, _ := bySite.update("site")
	equal(t, first != second && first != "" && second != "", true)

	w.report(l, access.Report{Port: 2, Type: "lock.unlocked", LockState: "UNLOCKED"})
	w.rename(hut, "Shed")
	w.report(l, access.Report{Port: 1, Type: "lock.locked", LockState: "LOCKED"})
	c.expect("one", "Gate: lock.locked")
	bySite.expect("site", "Cellar: lock.unlocked", "Gate: lock.locked")
	attic := w.door(w.admin, harbour, "Attic")
	_, err := w.access.DeleteDoor(w.admin.ctx, access.DeleteDoorInput{ID: attic.ID})
	must(t, err)
	text, _ := bySite.update("site")
	if text != "Attic: door.created" && text != "gone: door.created" {
		t.Errorf("of a new door: %s", text)
	}
	end := bySite.expect("site", "gone: door.deleted")
	c.quiet()

	// Resumed: what was missed and nothing else, even from between two updates of one event.
	again := w.connectAs(w.admin)
	again.start("middle", watch, vars{"site": harbour.ID, "after": middle})
	again.expect("middle", second, "Cellar: lock.unlocked", "Gate: lock.locked",
		text, "gone: door.deleted")
	again.start("end", watch, vars{"site": harbour.ID, "after": end})
	again.quiet()
	again.send(frame{ID: "end", Type: "complete"})
	again.send(frame{ID: "middle", Type: "complete"})
	again.start("start", watch, vars{"site": harbour.ID, "after": start})
	again.expect("start", first, second, "Cellar: lock.unlocked")
}

func (w *world) rename(d *ent.Door, name string) {
	w.t.Helper()
	_, err := w.access.UpdateDoor(w.admin.ctx, access.UpdateDoorInput{ID: d.ID, Name: &name})
	must(w.t, err)
}

func TestDoorsSubscriptionIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	far := w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	c := w.connectAs(w.admin)
	foreign := w.now(w.stranger)
	for name, v := range map[string]vars{
		"NOT_FOUND ids":         {"ids": []any{gate.ID, far.ID}},
		"BAD_USER_INPUT ids.0":  {"ids": []any{site.ID}},
		"BAD_USER_INPUT siteId": {"site": gate.ID},
		"BAD_USER_INPUT after":  {"after": foreign},
	} {
		c.start("s", watch, v)
		equal(t, c.failed("s"), name)
	}
	m := w.connectAs(w.member)
	m.start("s", watch, vars{"ids": []any{gate.ID}})
	equal(t, m.failed("s"), "NOT_FOUND ids")
	m.start("s", `subscription { events { cursor } }`)
	equal(t, m.failed("s"), "FORBIDDEN")
}

// A member watches the doors of their keys, as the keys come and go.
func TestMemberWatchesOwnDoors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, site, "Gate"), w.door(w.admin, site, "Cellar")
	key := w.key(w.admin, w.member.user, gate)
	c := w.connectAs(w.member)
	c.start("all", watch)
	c.expect("all", "Gate: present")
	named := w.connectAs(w.member)
	named.start("one", watch, vars{"ids": []any{gate.ID}})
	named.expect("one", "Gate: present")
	w.rename(cellar, "Vault")
	w.rename(gate, "Main gate")
	c.expect("all", "Main gate: door.updated")
	named.expect("one", "Main gate: door.updated")
	w.key(w.admin, w.member.user, cellar)
	c.expect("all", "Vault: key.created")
	w.rename(cellar, "Cellar")
	c.expect("all", "Cellar: door.updated")
	start := time.Now()
	_, err := w.access.RevokeKey(w.admin.ctx, access.RevokeKeyInput{ID: key.ID})
	must(t, err)
	equal(t, named.failed("one"), "FORBIDDEN")
	c.expect("all", "gone: key.revoked")
	if time.Since(start) > time.Second {
		t.Errorf("the subscription lived on for %s", time.Since(start))
	}
	w.rename(gate, "Gate")
	w.rename(cellar, "Vault")
	c.expect("all", "Vault: door.updated")
}

func TestEventsSubscription(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const query = `subscription($after: Cursor, $filter: EventFilter) { events(after: $after, filter: $filter) {
		cursor event { id sequence type site { name } door { name } } } }`
	c := w.connectAs(w.admin)
	start := w.now(w.admin)
	c.start("all", query, vars{"after": start})
	c.start("some", query, vars{"after": start, "filter": vars{"types": []any{"door.created"}}})
	site := w.site(w.admin, "Harbour")
	first := c.next("all")
	equal(t, dig(t, first, "events.event.site.name").(string), "Harbour")
	for i := range 20 {
		w.door(w.admin, site, fmt.Sprintf("Door %d", i))
	}
	var sequence, filtered float64
	for range 40 {
		f := c.read()
		data := decode(t, f)
		at := dig(t, data, "events.event.sequence").(float64)
		switch {
		case f.ID == "all" && sequence != 0 && at != sequence+1, f.ID == "some" && at <= filtered:
			t.Fatalf("event %v on %s after %v", at, f.ID, sequence)
		case f.ID == "all":
			sequence = at
		default:
			filtered = at
		}
	}
	// The cursors of the log and of subscriptions are the same.
	log := w.ask(w.admin, `{ auditLog(first: 5) { edges { cursor node { id } } } }`).ok()
	again := w.connectAs(w.admin)
	again.start("s", query, vars{"after": log.text("auditLog.edges.4.cursor")})
	for i := 3; i >= 0; i-- {
		data := again.next("s")
		equal(t, dig(t, data, "events.event.id").(string), log.text(fmt.Sprintf("auditLog.edges.%d.node.id", i)))
		equal(t, dig(t, data, "events.cursor").(string), log.text(fmt.Sprintf("auditLog.edges.%d.cursor", i)))
	}
	again.quiet()
	foreign := w.connectAs(w.stranger)
	foreign.start("s", query, vars{"after": log.text("auditLog.edges.4.cursor")})
	equal(t, foreign.failed("s"), "BAD_USER_INPUT after")
	foreign.start("s", query, vars{"after": w.now(w.stranger)})
	w.door(w.admin, site, "Unheard")
	foreign.quiet()
}

// TestRevokedBeforeTheSubscriptionBegan takes the token away when the operation has begun and the
// subscription, which would be told of that, has not.
func TestRevokedBeforeTheSubscriptionBegan(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.key(w.admin, w.member.user, w.door(w.admin, site, "Gate"))
	log, c := w.connectAs(w.admin), w.connectAs(w.member)
	log.start("events", `subscription($after: Cursor) { events(after: $after) { event { type } } }`,
		vars{"after": w.now(w.admin)})
	told, revoked := make(chan struct{}), make(chan error, 1)
	w.door(w.admin, site, "Cellar")
	equal(t, dig(t, log.next("events"), "events.event.type"), any("door.created"))
	then := func() {
		_, err := w.access.RevokeAPIToken(w.admin.ctx,
			access.RevokeAPITokenInput{ID: w.member.token.ID})
		revoked <- err
		<-told
	}
	w.authenticated.Store(&then)
	c.start("s", watch)
	equal(t, dig(t, log.next("events"), "events.event.type"), any("api_token.revoked"))
	close(told)
	must(t, <-revoked)
	equal(t, c.failed("s"), "UNAUTHENTICATED")
}

// TestWatchersShareTheirReads counts statements: an event costs the same however many watch.
func TestWatchersShareTheirReads(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	dev := w.device(w.admin, site)
	gate := w.door(w.admin, site, "Gate")
	w.bind(w.admin, gate, dev, 1)
	l := w.connect(w.admin, dev.ID)
	reads := func(watchers int) int {
		clients := make([]*client, watchers)
		for i := range clients {
			clients[i] = w.connectAs(w.admin)
			clients[i].start("s", `subscription($ids: [ID!]) { doors(ids: $ids) {
				cursor door { name lockState } event { type } } }`, vars{"ids": []any{gate.ID}})
			clients[i].expect("s", "Gate: present")
		}
		return len(w.counter.during(func() {
			w.report(l, access.Report{Port: 1, Type: "door.opened"})
			for _, c := range clients {
				c.expect("s", "Gate: door.opened")
			}
		}))
	}
	one, many := reads(1), reads(20)
	equal(t, many, one)
}

// A member watches doors come and go as groups change, of people and of doors.
func TestMemberWatchesDoorsOfGroups(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, site, "Gate"), w.door(w.admin, site, "Cellar")
	w.key(w.admin, w.member.user, w.door(w.admin, site, "Hut"))
	staff, outside := w.userGroup(w.admin, "Staff", nil), w.doorGroup(w.admin, "Outside")
	w.groupKey(staff, outside)
	w.gather(outside, gate)
	part := w.doorGroup(w.admin, "Gates")
	w.gather(part, gate)
	c := w.connectAs(w.member)
	c.start("s", watch)
	c.expect("s", "Hut: present")
	w.join(staff, w.member.user)
	c.expect("s", "Gate: user_group.member_added")
	w.gather(outside, cellar)
	c.expect("s", "Cellar: door_group.door_added")
	_, err := w.access.RemoveDoorGroupDoors(w.admin.ctx, access.RemoveDoorGroupDoorsInput{
		DoorGroupID: outside.ID, DoorIDs: []typeid.Door{gate.ID}})
	must(t, err)
	c.expect("s", "gone: door_group.door_removed")
	_, err = w.access.UpdateDoorGroup(w.admin.ctx,
		access.UpdateDoorGroupInput{ID: part.ID, ParentID: &outside.ID})
	must(t, err)
	c.expect("s", "Gate: door_group.updated")
	yes := true
	_, err = w.access.UpdateDoorGroup(w.admin.ctx,
		access.UpdateDoorGroupInput{ID: part.ID, ClearParent: &yes})
	must(t, err)
	c.expect("s", "gone: door_group.updated")
	_, err = w.access.DeleteUserGroup(w.admin.ctx, access.DeleteUserGroupInput{ID: staff.ID})
	must(t, err)
	c.expect("s", "gone: key.revoked")
	w.rename(cellar, "Vault")
	c.quiet()
}
