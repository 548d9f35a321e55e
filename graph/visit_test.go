package graph_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
)

func TestVisit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, harbour, "Gate"), w.door(w.admin, harbour, "Cellar")
	far := w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	w.key(w.admin, w.member.user, gate)
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	const invite = `mutation($site: ID!, $doors: [ID!], $name: String!, $to: String,
		$from: DateTime!, $until: DateTime!) {
		inviteVisitor(input: {name: $name, recipient: $to, siteId: $site, doorIds: $doors,
			startsAt: $from, endsAt: $until}) {
			link visit { id name state host { name } site { name } startsAt endsAt endedAt createdAt } } }`
	in := func(change vars) vars {
		v := vars{"site": harbour.ID, "doors": []any{gate.ID}, "name": "Guest", "from": at(0), "until": at(time.Hour)}
		maps.Copy(v, change)
		return v
	}
	made := w.ask(w.admin, invite, in(vars{"to": "+390612345678"})).ok()
	id := made.text("inviteVisitor.visit.id")
	equal(t, made.text("inviteVisitor.visit.state"), "INVITED")
	equal(t, made.text("inviteVisitor.visit.site.name"), "Harbour")
	mine := w.ask(w.member, invite, in(vars{"from": at(time.Minute)})).ok().text("inviteVisitor.visit.id")
	w.ask(w.admin, invite, in(vars{"name": "", "to": "nobody", "doors": []any{}, "until": at(-time.Hour)})).
		refused("BAD_USER_INPUT doorIds", "BAD_USER_INPUT name", "BAD_USER_INPUT recipient",
			"BAD_USER_INPUT endsAt")
	w.ask(w.admin, invite, in(vars{"until": at(31 * 24 * time.Hour)})).refused("BAD_USER_INPUT endsAt")
	w.ask(w.admin, invite, in(vars{"from": at(-2 * time.Hour), "until": at(-time.Hour)})).
		refused("BAD_USER_INPUT endsAt")
	w.ask(w.admin, invite, in(vars{"doors": []any{far.ID}})).refused("NOT_FOUND doorIds")
	w.ask(w.stranger, invite, in(vars{"doors": []any{far.ID}})).refused("NOT_FOUND siteId")
	w.ask(w.member, invite, in(vars{"doors": []any{cellar.ID}})).refused("NOT_FOUND doorIds")

	const read = `query($id: ID!) { visit(id: $id) { name } node(id: $id) { ... on Visit { state } } }`
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("node.state"), "INVITED")
	equal(t, w.ask(w.member, read, vars{"id": mine}).ok().text("visit.name"), "Guest")
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("visit"), nil)
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("visit"), nil)

	const list = `query($site: ID, $host: ID, $state: VisitState, $from: DateTime, $to: DateTime,
		$n: Int, $after: Cursor) {
		visits(siteId: $site, hostId: $host, state: $state, from: $from, to: $to,
			first: $n, after: $after) {
			nodes { id } pageInfo { endCursor } } }`
	for i, c := range []struct {
		by   person
		in   vars
		want int
	}{
		{w.admin, vars{}, 2}, {w.member, vars{}, 1}, {w.stranger, vars{}, 0},
		{w.admin, vars{"site": harbour.ID, "state": "INVITED"}, 2},
		{w.admin, vars{"host": w.member.user.ID}, 1}, {w.admin, vars{"state": "ARRIVED"}, 0},
		{w.admin, vars{"from": at(2 * time.Hour)}, 0}, {w.admin, vars{"to": at(-time.Minute)}, 0},
		{w.admin, vars{"from": at(0), "to": at(30 * time.Second)}, 1},
	} {
		got := len(w.ask(c.by, list, c.in).ok().at("visits.nodes").([]any))
		equal(t, fmt.Sprint(i, ": ", got), fmt.Sprint(i, ": ", c.want))
	}
	first := w.ask(w.admin, list, vars{"n": 1}).ok()
	equal(t, first.text("visits.nodes.0.id"), id)
	next := w.ask(w.admin, list, vars{"n": 1, "after": first.text("visits.pageInfo.endCursor")}).ok()
	equal(t, next.text("visits.nodes.0.id"), mine)

	guest := w.db.User.Create().SetName("Guest").SetRole("GUEST").SaveX(w.admin.ctx)
	visitor := person{
		ctx: actor.NewContext(t.Context(), actor.User(w.org, guest.ID, actor.RoleGuest)),
	}
	const update = `mutation($id: ID!, $until: DateTime) {
		updateVisit(input: {id: $id, endsAt: $until}) { visit { state endsAt } } }`
	const arrive = `mutation($id: ID!) { recordVisitorArrival(input: {visitId: $id}) { visit { state arrivedAt } } }`
	const depart = `mutation($id: ID!) { recordVisitorDeparture(input: {visitId: $id}) {
		visit { state endedAt key { status } } } }`
	const cancel = `mutation($id: ID!) { cancelVisit(input: {visitId: $id}) { visit { state endedAt } } }`
	for change, field := range map[string]string{
		update: "id", arrive: "visitId", depart: "visitId", cancel: "visitId",
	} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND " + field)
		w.ask(w.member, change, vars{"id": id}).refused("NOT_FOUND " + field)
		w.asActor(visitor, change, vars{"id": id}).refused("FORBIDDEN")
	}
	w.asActor(visitor, invite, in(nil)).refused("FORBIDDEN")
	w.ask(w.admin, update, vars{"id": id, "until": at(-time.Hour)}).refused("BAD_USER_INPUT endsAt")
	w.ask(w.admin, update, vars{"id": id, "until": at(2 * time.Hour)}).ok()
	equal(t, w.ask(w.admin, arrive, vars{"id": id}).ok().text("recordVisitorArrival.visit.state"), "ARRIVED")
	w.ask(w.admin, cancel, vars{"id": id}).refused("CONFLICT visitId")
	left := w.ask(w.admin, depart, vars{"id": id}).ok()
	equal(t, left.text("recordVisitorDeparture.visit.state"), "DEPARTED")
	equal(t, left.text("recordVisitorDeparture.visit.key.status"), "REVOKED")
	equal(t, w.ask(w.member, cancel, vars{"id": mine}).ok().text("cancelVisit.visit.state"), "CANCELLED")
}
