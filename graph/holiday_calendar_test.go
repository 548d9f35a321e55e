package graph_test

import (
	"strings"
	"testing"
)

func TestHolidayCalendar(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	const create = `mutation($in: CreateHolidayCalendarInput!) { createHolidayCalendar(input: $in) {
		holidayCalendar { id revision holidays { name first last yearly } } } }`
	made := w.ask(w.admin, create, vars{"in": vars{"name": "Italy", "holidays": []any{
		vars{"name": "Christmas", "first": "2026-12-25", "last": "2026-12-26", "yearly": true},
		vars{"name": "Move", "first": "2026-05-04"}}}}).ok()
	id := made.text("createHolidayCalendar.holidayCalendar.id")
	equal(t, made.text("createHolidayCalendar.holidayCalendar.holidays.0.last"), "2026-12-26")
	equal(t, made.at("createHolidayCalendar.holidayCalendar.holidays.1.last"), nil)
	w.ask(w.admin, create, vars{"in": vars{"name": " ", "holidays": []any{
		vars{"name": "x", "first": "tomorrow"}, vars{"name": "", "first": "2026-05-04"}}}}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT holidays.0.first", "BAD_USER_INPUT holidays.1.name")
	w.ask(w.admin, create, vars{"in": vars{"name": "Italy", "holidays": []any{}}}).refused("CONFLICT name")

	const update = `mutation($id: ID!) { updateHolidayCalendar(input: {id: $id, name: "Rome",
		holidays: [{name: "Feast", first: "2026-06-29", yearly: true}]}) {
		holidayCalendar { name revision ical } } }`
	changed := w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, changed.at("updateHolidayCalendar.holidayCalendar.revision"), any(2.0))
	text := changed.text("updateHolidayCalendar.holidayCalendar.ical")
	if !strings.Contains(text, "FREQ=YEARLY") {
		t.Errorf("exported:\n%s", text)
	}

	const use = `mutation($s: ID!, $c: ID, $no: Boolean! = false) { updateSite(input: {
		id: $s, holidayCalendarId: $c, clearHolidayCalendar: $no}) { site { holidayCalendar { name
		sites { nodes { name } } } } } }`
	used := w.ask(w.admin, use, vars{"s": site.ID, "c": id}).ok()
	equal(t, used.text("updateSite.site.holidayCalendar.sites.nodes.0.name"), "Harbour")
	w.ask(w.admin, use, vars{"s": site.ID, "c": id, "no": true}).refused("BAD_USER_INPUT holidayCalendarId")
	w.ask(w.stranger, use, vars{"s": w.site(w.stranger, "Far").ID, "c": id}).
		refused("NOT_FOUND holidayCalendarId")

	const read = `query($id: ID!) { holidayCalendar(id: $id) { name }
		holidayCalendars(search: "rom") { nodes { name } } node(id: $id) { id } }`
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("holidayCalendars.nodes.0.name"), "Rome")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("node"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("holidayCalendar"), nil)
	w.key(w.admin, w.member.user, w.door(w.admin, site, "Gate"))
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().text("holidayCalendar.name"), "Rome")

	const load = `mutation($in: ImportHolidayCalendarInput!) { importHolidayCalendar(input: $in) {
		holidayCalendar { id name revision holidays { name } } } }`
	read2 := w.ask(w.admin, load, vars{"in": vars{"holidayCalendarId": id, "ical": text}}).ok()
	equal(t, read2.at("importHolidayCalendar.holidayCalendar.revision"), any(3.0))
	w.ask(w.admin, load, vars{"in": vars{"name": "Copy", "ical": text}}).ok()
	w.ask(w.admin, load, vars{"in": vars{"ical": "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" +
		"DTSTART:20260301T220000\r\nDTEND:20260301T230000\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"}}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT ical.events.0.dtstart")

	const remove = `mutation($id: ID!) { deleteHolidayCalendar(input: {id: $id}) { deletedId } }`
	w.ask(w.admin, remove, vars{"id": id}).refused("CONFLICT")
	w.ask(w.admin, use, vars{"s": site.ID, "no": true}).ok()
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id}).refused("FORBIDDEN")
	}
	in := vars{"in": vars{"holidayCalendarId": id, "name": "x", "ical": text}}
	w.ask(w.stranger, load, in).refused("NOT_FOUND holidayCalendarId")
	w.ask(w.member, load, in).refused("FORBIDDEN")
	w.ask(w.member, create, vars{"in": vars{"name": "x", "holidays": []any{}}}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteHolidayCalendar.deletedId"), id)
}
