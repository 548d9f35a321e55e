package graph_test

import (
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
)

// opened is a world with a door on a device that is online, and a member with its key.
func opened(t *testing.T) (*world, *ent.Door) {
	t.Helper()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	d, dev := w.door(w.admin, site, "Gate"), w.device(w.admin, site)
	w.bind(w.admin, d, dev, 1)
	w.key(w.admin, w.member.user, d)
	w.connect(w.admin, dev.ID)
	return w, d
}

const unlock = `mutation($door: ID!, $key: String, $wait: WaitFor! = CONFIRMED) {
	unlockDoor(input: {doorId: $door, idempotencyKey: $key, waitFor: $wait, clientContext: {app: "test"}}) {
		command { id verb stage reason confirmation clientContext requestedAt dispatchedAt acknowledgedAt endedAt
			expiresAt door { name } requestedBy { kind name user { name } } } } }`

func TestUnlockDoor(t *testing.T) {
	t.Parallel()
	w, d := opened(t)
	a := w.ask(w.member, unlock, vars{"door": d.ID, "key": "first"}).ok()
	equal(t, a.text("unlockDoor.command.stage"), "CONFIRMED")
	equal(t, a.text("unlockDoor.command.confirmation"), "LOCK_STATE")
	equal(t, a.text("unlockDoor.command.door.name"), "Gate")
	equal(t, a.text("unlockDoor.command.requestedBy.user.name"), "Night shift")
	equal(t, a.text("unlockDoor.command.requestedBy.name"), "laptop")
	equal(t, a.text("unlockDoor.command.clientContext.app"), "test")
	again := w.ask(w.member, unlock, vars{"door": d.ID, "key": "first"}).ok()
	id := a.text("unlockDoor.command.id")
	equal(t, again.text("unlockDoor.command.id"), id)

	const read = `query($id: ID!) { command(id: $id) { stage verb } }`
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().text("command.stage"), "CONFIRMED")
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("command.verb"), "UNLOCK")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("command"), nil)
	w.ask(w.stranger, unlock, vars{"door": d.ID}).refused("NOT_FOUND doorId")
	w.ask(w.member, unlock, vars{"door": d.ID, "key": ""}).refused("BAD_USER_INPUT idempotencyKey")
	w.ask(w.member, unlock, vars{"door": d.ID, "wait": nil}).refused("GRAPHQL_VALIDATION_FAILED wait")

	const lock = `mutation($door: ID!) { lockDoor(input: {doorId: $door}) { command { verb stage } } }`
	equal(t, w.ask(w.member, lock, vars{"door": d.ID}).ok().text("lockDoor.command.verb"), "LOCK")
	w.ask(w.stranger, lock, vars{"door": d.ID}).refused("NOT_FOUND doorId")
}

// A refusal by the rules and a device that is not there are outcomes, at once.
func TestUnlockDoorThatWillNotOpen(t *testing.T) {
	t.Parallel()
	w, d := opened(t)
	start := time.Now()
	refused := w.ask(w.admin, unlock, vars{"door": d.ID}).ok() // has no key
	equal(t, refused.text("unlockDoor.command.stage"), "REJECTED")
	equal(t, refused.text("unlockDoor.command.reason"), "NO_GRANT")
	w.devices.mu.Lock()
	w.devices.links = nil
	w.devices.mu.Unlock()
	offline := w.ask(w.member, unlock, vars{"door": d.ID}).ok()
	equal(t, offline.text("unlockDoor.command.stage"), "FAILED")
	equal(t, offline.text("unlockDoor.command.reason"), "DEVICE_OFFLINE")
	if time.Since(start) > 2*time.Second {
		t.Errorf("it took %s", time.Since(start))
	}
}

// The wait ends at the stage asked for, and after 3 s at whatever stage there is.
func TestUnlockDoorWaits(t *testing.T) {
	t.Parallel()
	w, d := opened(t)
	w.devices.act = func(d access.Dispatch, l *link) {
		w.devices.result(l, d, access.Result{Stage: "ACKNOWLEDGED"}) // and then nothing more
	}
	for wait, stage := range map[string]string{"DISPATCHED": "", "ACKNOWLEDGED": "ACKNOWLEDGED"} {
		start := time.Now()
		a := w.ask(w.member, unlock, vars{"door": d.ID, "wait": wait}).ok()
		got := a.text("unlockDoor.command.stage")
		if got != stage && (stage != "" || got != "DISPATCHED" && got != "ACKNOWLEDGED") {
			t.Errorf("waited for %s and got %s", wait, got)
		}
		if time.Since(start) > 2*time.Second {
			t.Errorf("waited %s for %s", time.Since(start), wait)
		}
	}
	start := time.Now()
	a := w.ask(w.member, unlock, vars{"door": d.ID}).ok()
	equal(t, a.text("unlockDoor.command.stage"), "ACKNOWLEDGED")
	if took := time.Since(start); took < 2900*time.Millisecond || took > 4*time.Second {
		t.Errorf("waited %s", took)
	}
}

func TestCommandSubscription(t *testing.T) {
	t.Parallel()
	w, d := opened(t)
	acknowledged, confirm := make(chan struct{}), make(chan struct{})
	w.devices.act = func(d access.Dispatch, l *link) {
		w.devices.result(l, d, access.Result{Stage: "ACKNOWLEDGED"})
		close(acknowledged)
		<-confirm
		w.devices.result(l, d, access.Result{Stage: "CONFIRMED", Confirmation: "RELAY"})
	}
	a := w.ask(w.member, unlock, vars{"door": d.ID, "wait": "ACKNOWLEDGED"}).ok()
	<-acknowledged
	id := a.text("unlockDoor.command.id")
	const query = `subscription($id: ID!) { command(id: $id) { stage confirmation } }`
	c := w.connectAs(w.member)
	c.start("c", query, vars{"id": id})
	equal(t, dig(t, c.next("c"), "command.stage").(string), "ACKNOWLEDGED")
	close(confirm)
	last := c.next("c")
	equal(t, dig(t, last, "command.stage").(string), "CONFIRMED")
	equal(t, dig(t, last, "command.confirmation").(string), "RELAY")
	c.complete("c")
	c.start("c", query, vars{"id": id}) // of one that has ended: as it is
	equal(t, dig(t, c.next("c"), "command.stage").(string), "CONFIRMED")
	c.complete("c")
	other := w.connectAs(w.stranger)
	other.start("c", query, vars{"id": id})
	equal(t, other.failed("c"), "NOT_FOUND id")
}
