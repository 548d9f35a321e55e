package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
)

// always makes a schedule that is open at all times.
func (w *world) always(p person) *ent.Schedule {
	w.t.Helper()
	made, err := w.access.CreateSchedule(p.ctx, access.CreateScheduleInput{Name: "Always",
		Windows: []schema.Window{{Start: "2026-01-01T00:00:00", End: "2026-01-02T00:00:00", Rule: "FREQ=DAILY"}}})
	must(w.t, err)
	return made.Schedule
}

const readMode = `query($id: ID!) { door(id: $id) { effectiveMode { mode cause until pending holiday }
	override { mode until } unlockSchedule { name } firstPersonIn } }`

func TestDoorUnlockSchedule(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d, plan := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"), w.always(w.admin)
	const update = `mutation($id: ID!, $plan: ID, $no: Boolean! = false, $first: Boolean) {
		updateDoor(input: {id: $id, unlockScheduleId: $plan, clearUnlockSchedule: $no, firstPersonIn: $first}) {
			door { effectiveMode { mode cause pending } firstPersonIn } } }`
	a := w.ask(w.admin, update, vars{"id": d.ID, "plan": plan.ID}).ok()
	equal(t, a.text("updateDoor.door.effectiveMode.mode"), "UNLOCKED")
	equal(t, a.text("updateDoor.door.effectiveMode.cause"), "SCHEDULE")
	a = w.ask(w.admin, update, vars{"id": d.ID, "first": true}).ok()
	equal(t, a.text("updateDoor.door.effectiveMode.mode"), "CONTROLLED")
	equal(t, a.at("updateDoor.door.effectiveMode.pending"), any(true))
	seen := w.ask(w.admin, readMode, vars{"id": d.ID}).ok()
	equal(t, seen.text("door.unlockSchedule.name"), "Always")
	equal(t, seen.at("door.firstPersonIn"), any(true))
	w.ask(w.admin, update, vars{"id": d.ID, "plan": plan.ID, "no": true}).
		refused("BAD_USER_INPUT unlockScheduleId")
	far := w.always(w.stranger)
	w.ask(w.admin, update, vars{"id": d.ID, "plan": far.ID}).refused("NOT_FOUND unlockScheduleId")
	w.ask(w.member, update, vars{"id": d.ID, "plan": plan.ID}).refused("FORBIDDEN")
	w.ask(w.stranger, update, vars{"id": d.ID, "plan": far.ID}).refused("NOT_FOUND id")
	w.ask(w.admin, update, vars{"id": d.ID, "no": true}).ok()
	equal(t, w.ask(w.admin, readMode, vars{"id": d.ID}).ok().at("door.unlockSchedule"), nil)
}

func TestOverrideDoorMode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	const override = `mutation($id: ID!, $mode: OverrideMode! = UNLOCKED, $until: DateTime, $s: Int) {
		overrideDoorMode(input: {doorId: $id, mode: $mode, until: $until, seconds: $s}) {
			door { mode effectiveMode { mode cause until } } } }`
	a := w.ask(w.admin, override, vars{"id": d.ID, "s": 60}).ok()
	equal(t, a.text("overrideDoorMode.door.mode"), "CONTROLLED")
	equal(t, a.text("overrideDoorMode.door.effectiveMode.mode"), "UNLOCKED")
	equal(t, a.text("overrideDoorMode.door.effectiveMode.cause"), "OVERRIDE")
	until, err := time.Parse(time.RFC3339Nano, a.text("overrideDoorMode.door.effectiveMode.until"))
	must(t, err)
	if left := time.Until(until); left > time.Minute || left < 50*time.Second {
		t.Errorf("ends in %s", left)
	}
	seen := w.ask(w.admin, readMode, vars{"id": d.ID}).ok()
	equal(t, seen.text("door.override.mode"), "UNLOCKED")
	w.ask(w.admin, override, vars{"id": d.ID, "s": 60, "until": "2099-01-01T00:00:00Z"}).
		refused("BAD_USER_INPUT until")
	w.ask(w.admin, override, vars{"id": d.ID, "s": 2_592_001}).refused("BAD_USER_INPUT seconds")
	w.ask(w.admin, override, vars{"id": d.ID, "until": "2020-01-01T00:00:00Z"}).
		refused("BAD_USER_INPUT until")
	w.ask(w.admin, override, vars{"id": d.ID, "mode": "LOCKED", "until": "2099-01-01T00:00:00Z"}).ok()

	const cancel = `mutation($id: ID!) { cancelDoorOverride(input: {doorId: $id}) {
		door { override { mode } effectiveMode { mode cause } } } }`
	for _, change := range []string{override, cancel} {
		w.ask(w.stranger, change, vars{"id": d.ID}).refused("NOT_FOUND doorId")
		w.ask(w.member, change, vars{"id": d.ID}).refused("FORBIDDEN")
	}
	for range 2 {
		a = w.ask(w.admin, cancel, vars{"id": d.ID}).ok()
		equal(t, a.at("cancelDoorOverride.door.override"), nil)
		equal(t, a.text("cancelDoorOverride.door.effectiveMode.cause"), "STANDING")
	}
	equal(t, w.types(6), "override.applied door.mode_changed override.applied door.mode_changed "+
		"override.cancelled door.mode_changed")
}

func TestUnlockDoorAsOperator(t *testing.T) {
	t.Parallel()
	w, d := opened(t)
	const operate = `mutation($door: ID!, $why: String) { unlockDoor(input: {doorId: $door, operatorReason: $why}) {
		command { id stage reason asOperator note } } }`
	a := w.ask(w.admin, operate, vars{"door": d.ID, "why": "Delivery"}).ok()
	equal(t, a.text("unlockDoor.command.stage"), "CONFIRMED")
	equal(t, a.at("unlockDoor.command.asOperator"), any(true))
	equal(t, a.text("unlockDoor.command.note"), "Delivery")
	log := w.ask(w.admin, `{ auditLog(first: 9, filter: {types: ["access.granted"]}) {
		nodes { reason method data } } }`).ok()
	equal(t, log.text("auditLog.nodes.0.reason"), "GRANTED_OVERRIDE")
	if strings.Contains(string(log.raw), "Delivery") {
		t.Error("the journal has the note")
	}
	w.ask(w.admin, operate, vars{"door": d.ID, "why": ""}).refused("BAD_USER_INPUT operatorReason")
	w.ask(w.admin, operate, vars{"door": d.ID, "why": strings.Repeat("x", 501)}).
		refused("BAD_USER_INPUT operatorReason")
	w.ask(w.member, operate, vars{"door": d.ID, "why": "Mine"}).refused("FORBIDDEN")
	w.ask(w.stranger, operate, vars{"door": d.ID, "why": "Mine"}).refused("NOT_FOUND doorId")
	own := w.ask(w.member, operate, vars{"door": d.ID}).ok()
	equal(t, own.at("unlockDoor.command.asOperator"), any(false))
	equal(t, own.at("unlockDoor.command.note"), nil)

	const set = `mutation($door: ID!, $mode: DoorMode!) { updateDoor(input: {id: $door, mode: $mode}) { door { id } } }`
	for mode, want := range map[string]string{
		"LOCKED": "CONFIRMED ", "LOCKDOWN": "REJECTED LOCKDOWN", "DISABLED": "REJECTED DOOR_DISABLED",
	} {
		w.ask(w.admin, set, vars{"door": d.ID, "mode": mode}).ok()
		a := w.ask(w.admin, operate, vars{"door": d.ID, "why": "Delivery"}).ok()
		reason, _ := a.at("unlockDoor.command.reason").(string)
		equal(t, a.text("unlockDoor.command.stage")+" "+reason, want)
	}
}

func TestModesAreDecidedTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan, site := w.always(w.admin), w.site(w.admin, "Harbour")
	for i := range 30 {
		d := w.door(w.admin, site, fmt.Sprintf("Door %02d", i))
		_, err := w.access.UpdateDoor(w.admin.ctx,
			access.UpdateDoorInput{ID: d.ID, UnlockScheduleID: &plan.ID})
		must(t, err)
	}
	const page = `query($n: Int) { doors(first: $n) { nodes { effectiveMode { mode cause } } } }`
	sent := w.statements(w.admin, page, vars{"n": 30})
	if len(sent) > 4 { // doors, lockdowns, schedules, sites
		t.Errorf("%d statements:\n%s", len(sent), strings.Join(sent, "\n"))
	}
	seen := w.ask(w.admin, page, vars{"n": 30}).ok()
	equal(t, seen.text("doors.nodes.9.effectiveMode.cause"), "SCHEDULE")
}

// What an event costs in Postgres does not grow with those who watch a door's mode.
func TestWatchersShareTheMode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	const watch = `subscription($ids: [ID!]) { doors(ids: $ids) {
		door { effectiveMode { mode cause } } event { type } } }`
	var watchers []*client
	for range 5 {
		c := w.connectAs(w.admin)
		c.start("one", watch, vars{"ids": []any{d.ID}})
		equal(t, dig(t, c.next("one"), "doors.door.effectiveMode.mode"), any("CONTROLLED"))
		watchers = append(watchers, c)
	}
	sent := w.counter.during(func() {
		_, err := w.access.OverrideDoorMode(w.admin.ctx,
			access.OverrideDoorModeInput{DoorID: d.ID, Mode: "UNLOCKED"})
		must(t, err)
		for _, c := range watchers {
			for _, kind := range []string{"override.applied", "door.mode_changed"} {
				item := c.next("one")
				equal(t, dig(t, item, "doors.event.type"), any(kind))
				equal(t, dig(t, item, "doors.door.effectiveMode.cause"), any("OVERRIDE"))
			}
		}
	})
	decided := 0
	for _, statement := range sent {
		if strings.Contains(statement, "lockdown_doors") {
			decided++
		}
	}
	equal(t, decided, 2) // once for each event
}
