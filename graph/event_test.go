package graph_test

import (
	"testing"

	"github.com/cardea/cardea/journal"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	w.door(w.admin, site, "Cellar")
	w.key(w.admin, w.member.user, gate)
	list := w.ask(w.admin, `{ auditLog(first: 2) { nodes { id sequence type severity delivery data occurredAt
		receivedAt outcome reason method actor { kind name } site { name } door { name } device { name }
		user { name } key { status } command { id } } pageInfo { endCursor hasNextPage } } }`).ok()
	equal(t, list.text("auditLog.nodes.0.type"), "key.created")
	equal(t, list.text("auditLog.nodes.0.user.name"), "Night shift")
	equal(t, list.text("auditLog.nodes.0.door.name"), "Gate")
	equal(t, list.text("auditLog.nodes.0.key.status"), "ACTIVE")
	equal(t, list.text("auditLog.nodes.0.actor.name"), "Front desk")
	equal(t, list.at("auditLog.nodes.0.outcome"), nil)
	equal(t, list.at("auditLog.nodes.0.reason"), nil)
	equal(t, list.text("auditLog.nodes.1.type"), "door.created")
	older := w.ask(w.admin, `query($c: Cursor) { auditLog(first: 1, after: $c) { nodes { sequence } } }`,
		vars{"c": list.text("auditLog.pageInfo.endCursor")}).ok()
	equal(t, older.at("auditLog.nodes.0.sequence").(float64), list.at("auditLog.nodes.1.sequence").(float64)-1)

	count := func(filter string) int {
		t.Helper()
		a := w.ask(w.admin, `{ auditLog(filter: {`+filter+`}) { nodes { id } } }`).ok()
		return len(a.at("auditLog.nodes").([]any))
	}
	equal(t, count(`types: ["door.created"]`), 2)
	equal(t, count(`types: []`), 0)
	equal(t, count(`doorIds: ["`+gate.ID.String()+`"]`), 2)
	equal(t, count(`siteIds: ["`+site.ID.String()+`"], types: ["site.created", "door.created"]`), 3)
	equal(t, count(`userIds: ["`+w.member.user.ID.String()+`"], types: ["key.created"]`), 1)
	equal(t, count(`actorIds: ["`+w.admin.user.ID.String()+`"], types: ["door.created"]`), 2)
	equal(t, count(`actorIds: ["sweeper"]`), 0)
	equal(t, count(`outcome: GRANTED`), 0)
	equal(t, count(`severity: NOTICE, types: ["organization.created"]`), 1)
	equal(t, count(`from: "2100-01-01T00:00:00Z"`), 0)
	equal(t, count(`to: "2000-01-01T00:00:00+02:00"`), 0)
	w.ask(w.admin, `{ auditLog(filter: {types: ["door.created", "x"], from: "now"}) { nodes { id } } }`).
		refused("BAD_USER_INPUT from")
	w.ask(w.admin, `{ auditLog(filter: {types: ["door.created", "x"]}) { nodes { id } } }`).
		refused("BAD_USER_INPUT types.1")
	door := w.ask(w.admin, `query($d: ID!) { door(id: $d) {
		all: events { nodes { type } } some: events(filter: {types: ["door.created"]}) { nodes { type } } } }`,
		vars{"d": gate.ID}).ok()
	equal(t, len(door.at("door.all.nodes").([]any)), 2)
	equal(t, door.text("door.some.nodes.0.type"), "door.created")

	w.ask(w.member, `{ auditLog { nodes { id } } }`).refused("FORBIDDEN")
	for _, node := range w.ask(w.stranger, `{ auditLog { nodes { type } } }`).ok().at("auditLog.nodes").([]any) {
		if dig(t, node, "type") == "door.created" {
			t.Error("a stranger reads the log")
		}
	}
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	types := w.ask(w.member, `{ eventTypes { name description severity reportable } }`).ok()
	equal(t, len(types.at("eventTypes").([]any)), len(journal.Types))
}
