package graph_test

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
)

const createSchedule = `mutation($in: CreateScheduleInput!) { createSchedule(input: $in) {
	schedule { id name revision windows { start end rule except extra holidays summary } } } }`

// weekdays is an input of a window from Monday to Friday.
func weekdays(start, end string) vars {
	return vars{"start": "2026-01-05T" + start, "end": "2026-01-05T" + end,
		"rule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"}
}

// schedule makes one that is open all day on weekdays.
func (w *world) schedule(p person, name string) *ent.Schedule {
	w.t.Helper()
	made, err := w.access.CreateSchedule(p.ctx, access.CreateScheduleInput{
		Name: name, Windows: []schema.Window{{Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00",
			Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"}}})
	must(w.t, err)
	return made.Schedule
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	w := setup(t)
	made := w.ask(w.admin, createSchedule, vars{"in": vars{"name": "Day shift",
		"windows": []any{weekdays("08:00", "18:00:30")}}}).ok()
	id := made.text("createSchedule.schedule.id")
	equal(t, made.text("createSchedule.schedule.windows.0.start"), "2026-01-05T08:00:00")
	equal(t, made.text("createSchedule.schedule.windows.0.end"), "2026-01-05T18:00:30")
	equal(t, made.text("createSchedule.schedule.windows.0.holidays"), "SKIP")
	equal(t, made.at("createSchedule.schedule.windows.0.summary"), nil)
	equal(t, made.at("createSchedule.schedule.revision"), any(1.0))
	w.ask(w.admin, createSchedule, vars{"in": vars{"name": "Day shift", "windows": []any{}}}).
		refused("CONFLICT name")
	w.ask(w.admin, createSchedule, vars{"in": vars{"name": "", "windows": []any{
		weekdays("08:00", "18:00"),
		vars{"start": "noon", "end": "2026-01-05T09:00", "rule": "FREQ=HOURLY"},
		vars{"start": "2026-01-05T08:00", "end": "2026-01-05T09:00", "rule": "FREQ=HOURLY"},
	}}}).refused("BAD_USER_INPUT name", "BAD_USER_INPUT windows.1.start", "BAD_USER_INPUT windows.2.rule")

	const update = `mutation($id: ID!, $w: [ScheduleWindowInput!]) { updateSchedule(input: {
		id: $id, name: "Early shift", windows: $w}) { schedule { name revision windows { start } } } }`
	changed := w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, changed.at("updateSchedule.schedule.revision"), any(1.0))
	equal(t, changed.text("updateSchedule.schedule.windows.0.start"), "2026-01-05T08:00:00")
	changed = w.ask(w.admin, update, vars{"id": id, "w": []any{weekdays("06:00", "14:00")}}).ok()
	equal(t, changed.at("updateSchedule.schedule.revision"), any(2.0))
	equal(t, changed.text("updateSchedule.schedule.name"), "Early shift")
	w.ask(w.admin, update, vars{"id": id, "w": []any{weekdays("14:00", "06:00")}}).
		refused("BAD_USER_INPUT windows.0.end")

	const read = `query($id: ID!) { schedule(id: $id) { name ical } node(id: $id) { id } }`
	text := w.ask(w.admin, read, vars{"id": id}).ok().text("schedule.ical")
	if !strings.Contains(text, "DTSTART:20260105T060000") {
		t.Errorf("exported:\n%s", text)
	}
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("schedule"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("node"), nil)

	const remove = `mutation($id: ID!) { deleteSchedule(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id, "w": []any{}}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id, "w": []any{}}).refused("FORBIDDEN")
	}
	w.ask(w.member, createSchedule, vars{"in": vars{"name": "Mine", "windows": []any{}}}).
		refused("FORBIDDEN")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteSchedule.deletedId"), id)
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().at("schedule"), nil)
	equal(t, w.types(4), "schedule.created schedule.updated schedule.updated schedule.deleted")
}

// types are the last events' types, the oldest first.
func (w *world) types(last int) string {
	w.t.Helper()
	log := w.ask(w.admin, `query($n: Int) { auditLog(first: $n) { nodes { type } } }`, vars{"n": last}).ok()
	types := make([]string, last)
	for i, node := range log.at("auditLog.nodes").([]any) {
		types[last-1-i] = node.(map[string]any)["type"].(string)
	}
	return strings.Join(types, " ")
}

func TestScheduleInUse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan, site := w.schedule(w.admin, "Day shift"), w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	key := w.key(w.admin, w.member.user, gate)
	must(t, w.db.Key.UpdateOne(key).SetScheduleID(plan.ID).Exec(w.admin.ctx))
	const read = `query($id: ID!) { schedule(id: $id) { keys { nodes { id } } doors { nodes { id } } }
		schedules(search: "DAY") { nodes { id } } }`
	for _, p := range []person{w.admin, w.member} {
		seen := w.ask(p, read, vars{"id": plan.ID}).ok()
		equal(t, seen.text("schedule.keys.nodes.0.id"), key.ID.String())
		equal(t, seen.text("schedules.nodes.0.id"), plan.ID.String())
	}
	const remove = `mutation($id: ID!) { deleteSchedule(input: {id: $id}) { deletedId } }`
	w.ask(w.admin, remove, vars{"id": plan.ID}).refused("CONFLICT")
	_, err := w.access.RevokeKey(w.admin.ctx, access.RevokeKeyInput{ID: key.ID})
	must(t, err)
	equal(t, w.ask(w.member, read, vars{"id": plan.ID}).ok().at("schedule"), nil)
	must(t, w.db.Door.UpdateOne(gate).SetUnlockScheduleID(plan.ID).Exec(w.admin.ctx))
	equal(t, w.ask(w.admin, read, vars{"id": plan.ID}).ok().text("schedule.doors.nodes.0.id"),
		gate.ID.String())
	w.ask(w.admin, remove, vars{"id": plan.ID}).refused("CONFLICT")
	must(t, w.db.Door.UpdateOne(gate).ClearUnlockScheduleID().Exec(w.admin.ctx))
	w.ask(w.admin, remove, vars{"id": plan.ID}).ok()
}

func TestScheduleAtSites(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan := w.schedule(w.admin, "Day shift")
	rome := w.site(w.admin, "Harbour")
	days, err := w.access.CreateHolidayCalendar(w.admin.ctx, access.CreateHolidayCalendarInput{
		Name: "Italy", Holidays: []schema.Holiday{{Name: "Feast", First: "2026-03-30"}}})
	must(t, err)
	_, err = w.access.UpdateSite(w.admin.ctx, access.UpdateSiteInput{
		ID: rome.ID, HolidayCalendarID: &days.HolidayCalendar.ID})
	must(t, err)
	const read = `query($id: ID!, $s: ID!, $a: DateTime, $n: Int! = 3) { schedule(id: $id) {
		isOpen(siteId: $s, at: $a)
		next(siteId: $s, after: $a, first: $n) { startsAt endsAt localStartsAt localEndsAt } } }`
	// The clock was put forward on the 29th, a Sunday, and the 30th is a holiday.
	seen := w.ask(w.admin, read, vars{"id": plan.ID, "s": rome.ID, "a": "2026-03-27T12:00:00Z"}).ok()
	equal(t, seen.at("schedule.isOpen"), any(true))
	equal(t, seen.text("schedule.next.0.startsAt"), "2026-03-27T07:00:00.000000Z")
	equal(t, seen.text("schedule.next.0.localEndsAt"), "2026-03-27T18:00:00")
	equal(t, seen.text("schedule.next.1.startsAt"), "2026-03-31T06:00:00.000000Z")
	equal(t, seen.text("schedule.next.1.localStartsAt"), "2026-03-31T08:00:00")
	equal(t, len(seen.at("schedule.next").([]any)), 3)
	equal(t, w.ask(w.admin, read, vars{"id": plan.ID, "s": rome.ID, "a": "2026-03-30T12:00:00Z"}).ok().
		at("schedule.isOpen"), any(false))
	w.ask(w.admin, read, vars{"id": plan.ID, "s": w.site(w.stranger, "Far").ID}).
		refused("NOT_FOUND siteId", "NOT_FOUND siteId")
	w.ask(w.admin, read, vars{"id": plan.ID, "s": rome.ID, "n": 51}).refused("BAD_USER_INPUT first")
	w.ask(w.admin, read, vars{"id": plan.ID, "s": rome.ID, "a": "2500-01-01T00:00:00Z"}).
		refused("BAD_USER_INPUT at", "BAD_USER_INPUT after")
}

func TestImportSchedule(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan, site := w.schedule(w.admin, "Day shift"), w.site(w.admin, "Harbour")
	const load = `mutation($in: ImportScheduleInput!) { importSchedule(input: $in) {
		schedule { id name revision ical windows { start } } } }`
	const text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260301T220000\r\nDTEND:20260302T060000\r\n" +
		"RRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	made := w.ask(w.admin, load, vars{"in": vars{"name": "Night shift", "siteId": site.ID, "ical": text}}).ok()
	equal(t, made.text("importSchedule.schedule.windows.0.start"), "2026-03-01T22:00:00")
	again := w.ask(w.admin, load, vars{"in": vars{"scheduleId": plan.ID, "siteId": site.ID,
		"ical": made.text("importSchedule.schedule.ical")}}).ok()
	equal(t, again.text("importSchedule.schedule.id"), plan.ID.String())
	equal(t, again.text("importSchedule.schedule.name"), "Day shift")
	equal(t, again.at("importSchedule.schedule.revision"), any(2.0))
	equal(t, again.text("importSchedule.schedule.windows.0.start"), "2026-03-01T22:00:00")

	bad := strings.Replace(text, "DAILY", "HOURLY", 1)
	w.ask(w.admin, load, vars{"in": vars{"siteId": site.ID, "ical": bad}}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT ical.events.0.rrule")
	w.ask(w.admin, load, vars{"in": vars{"name": "x", "siteId": site.ID, "ical": "hello"}}).
		refused("BAD_USER_INPUT ical")
	padded := func(length int) string {
		fill := strings.Repeat("X-NOTE:"+strings.Repeat("x", 40)+"\r\n", 1000)[:length-len(text)-2] + "\r\n"
		return strings.Replace(text, "BEGIN:VEVENT", fill+"BEGIN:VEVENT", 1)
	}
	longest := vars{"name": "x", "siteId": site.ID, "ical": padded(24 << 10)}
	w.ask(w.admin, load, vars{"in": longest}).ok()
	longest["ical"] = padded(24<<10 + 1)
	w.ask(w.admin, load, vars{"in": longest}).refused("BAD_USER_INPUT ical")
	in := vars{"scheduleId": plan.ID, "siteId": w.site(w.stranger, "Far").ID, "ical": text}
	w.ask(w.stranger, load, vars{"in": in}).refused("NOT_FOUND scheduleId")
	w.ask(w.admin, load, vars{"in": in}).refused("NOT_FOUND siteId")
	w.ask(w.member, load, vars{"in": in}).refused("FORBIDDEN")
}
