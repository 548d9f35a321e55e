package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/presence"
)

func (w *world) area(p person, s *ent.Site, name string) *ent.Area {
	w.t.Helper()
	made, err := w.access.CreateArea(p.ctx, access.CreateAreaInput{SiteID: s.ID, Name: name})
	must(w.t, err)
	return made.Area
}

func (w *world) put(u *ent.User, a *ent.Area) {
	w.t.Helper()
	_, err := w.access.RecordPresence(w.admin.ctx, access.RecordPresenceInput{
		AreaID: a.ID, UserID: u.ID, State: presence.StateIN})
	must(w.t, err)
}

func (w *world) guest() person {
	w.t.Helper()
	role := actor.RoleGuest
	made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{
		Name: "Guest", Email: "guest@example.com", Role: &role})
	must(w.t, err)
	return person{user: made.User,
		ctx: actor.NewContext(w.t.Context(), actor.User(w.org, made.User.ID, role))}
}

func TestArea(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, other := w.site(w.admin, "Harbour"), w.site(w.admin, "Mill")
	gate := w.door(w.admin, site, "Gate")
	dev := w.device(w.admin, site)
	w.bind(w.admin, gate, dev, 1)
	w.connect(w.admin, dev.ID)
	w.key(w.admin, w.member.user, gate)

	const create = `mutation($site: ID!, $name: String!, $limit: Int) {
		createArea(input: {siteId: $site, name: $name, occupancyLimit: $limit}) {
			area { id name site { name } occupancyLimit limitMode antiPassback occupancy } } }`
	made := w.ask(w.admin, create, vars{"site": site.ID, "name": "Hall", "limit": 2}).ok()
	hall := made.text("createArea.area.id")
	equal(t, made.text("createArea.area.limitMode"), "ALERT")
	equal(t, made.text("createArea.area.antiPassback"), "OFF")
	equal(t, made.text("createArea.area.site.name"), "Harbour")
	yard := w.ask(w.admin, create, vars{"site": site.ID, "name": "Yard"}).ok()
	equal(t, yard.text("createArea.area.limitMode"), "OFF")
	w.ask(w.admin, create, vars{"site": site.ID, "name": "Hall"}).refused("CONFLICT name")
	w.ask(w.admin, create, vars{"site": site.ID, "name": " ", "limit": 0}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT occupancyLimit")

	const update = `mutation($id: ID!, $clear: Boolean, $limit: Int, $mode: AntiPassback) { updateArea(input:
		{id: $id, clearOccupancyLimit: $clear, occupancyLimit: $limit, antiPassback: $mode}) {
			area { name occupancyLimit antiPassback } } }`
	changed := w.ask(w.admin, update, vars{"id": hall, "mode": "ENFORCE"}).ok()
	equal(t, changed.at("updateArea.area.occupancyLimit"), any(2.0))
	equal(t, changed.text("updateArea.area.antiPassback"), "ENFORCE")
	w.ask(w.admin, update, vars{"id": hall, "clear": true, "limit": 3}).
		refused("BAD_USER_INPUT clearOccupancyLimit")
	changed = w.ask(w.admin, update, vars{"id": hall, "clear": true}).ok()
	equal(t, changed.at("updateArea.area.occupancyLimit"), nil)
	told := w.ask(w.admin, `{ auditLog(first: 1) { nodes { type data } } }`).ok()
	equal(t, told.text("auditLog.nodes.0.data.changed.0"), "occupancy_limit")

	const lead = `mutation($door: ID!, $into: ID, $out: ID) { setDoorAreas(input: {
		doorId: $door, intoAreaId: $into, outOfAreaId: $out}) {
			door { intoArea { name } outOfArea { name } } } }`
	yardID, far := yard.text("createArea.area.id"), w.area(w.admin, other, "Far")
	led := w.ask(w.admin, lead, vars{"door": gate.ID, "into": hall, "out": yardID}).ok()
	equal(t, led.text("setDoorAreas.door.intoArea.name"), "Hall")
	equal(t, led.text("setDoorAreas.door.outOfArea.name"), "Yard")
	w.ask(w.admin, lead, vars{"door": gate.ID, "into": hall, "out": hall}).
		refused("BAD_USER_INPUT outOfAreaId")
	w.ask(w.admin, lead, vars{"door": gate.ID, "into": far.ID}).refused("BAD_USER_INPUT intoAreaId")
	w.ask(w.admin, lead, vars{"door": gate.ID, "into": w.area(w.stranger,
		w.site(w.stranger, "Quay"), "Hall").ID}).refused("NOT_FOUND intoAreaId")
	led = w.ask(w.admin, lead, vars{"door": gate.ID, "into": hall}).ok()
	equal(t, led.at("setDoorAreas.door.outOfArea"), nil)

	// The member walks in, by their own hand; a second time is refused, until it is forgotten.
	const unlock = `mutation($door: ID!) { unlockDoor(input: {doorId: $door}) {
		command { stage reason } } }`
	equal(t, w.ask(w.member, unlock, vars{"door": gate.ID}).ok().text("unlockDoor.command.stage"),
		"CONFIRMED")
	equal(t, w.ask(w.member, unlock, vars{"door": gate.ID}).ok().text("unlockDoor.command.reason"),
		"ANTI_PASSBACK")
	const read = `query($id: ID!) { area(id: $id) { occupancy entrances { nodes { name } } exits { nodes { name } }
		present { nodes { state since user { name } area { name } door { name } } } } }`
	seen := w.ask(w.admin, read, vars{"id": hall}).ok()
	equal(t, seen.at("area.occupancy"), any(1.0))
	equal(t, seen.text("area.entrances.nodes.0.name"), "Gate")
	equal(t, len(seen.at("area.exits.nodes").([]any)), 0)
	equal(t, seen.text("area.present.nodes.0.user.name"), w.member.user.Name)
	equal(t, seen.text("area.present.nodes.0.door.name"), "Gate")
	equal(t, seen.text("area.present.nodes.0.area.name"), "Hall")

	const reset = `mutation($id: ID!, $user: ID) { resetAntiPassback(input: {areaId: $id, userId: $user}) {
		area { occupancy } } }`
	const record = `mutation($id: ID!, $user: ID!, $state: PresenceState = IN) { recordPresence(input: {
		areaId: $id, userId: $user, state: $state}) { area { occupancy } } }`
	equal(t, w.ask(w.admin, reset, vars{"id": hall}).ok().at("resetAntiPassback.area.occupancy"),
		any(0.0))
	who := w.member.user.ID
	recorded := w.ask(w.admin, record, vars{"id": hall, "user": who}).ok()
	equal(t, recorded.at("recordPresence.area.occupancy"), any(1.0))
	w.ask(w.admin, record, vars{"id": hall, "user": who, "state": "UNKNOWN"}).
		refused("BAD_USER_INPUT state")
	w.ask(w.admin, reset, vars{"id": hall, "user": who}).ok()
	equal(t, w.ask(w.member, unlock, vars{"door": gate.ID}).ok().text("unlockDoor.command.stage"),
		"CONFIRMED")

	guest := w.guest()
	const remove = `mutation($id: ID!) { deleteArea(input: {id: $id}) { deletedId } }`
	for change, field := range map[string]string{
		update: "id", remove: "id", reset: "areaId", lead: "doorId", record: "userId",
	} {
		in := vars{"id": hall, "door": gate.ID, "user": w.stranger.user.ID}
		if !strings.Contains(change, "$door") {
			delete(in, "door")
		}
		if !strings.Contains(change, "$id") {
			delete(in, "id")
		}
		if !strings.Contains(change, "$user") || change == reset {
			delete(in, "user")
		}
		w.ask(w.member, change, in).refused("FORBIDDEN")
		w.asActor(guest, change, in).refused("FORBIDDEN")
		if change == record {
			w.ask(w.admin, change, in).refused("NOT_FOUND userId")
			field = "areaId"
		}
		w.ask(w.stranger, change, in).refused("NOT_FOUND " + field)
	}
	w.ask(w.member, create, vars{"site": site.ID, "name": "Mine"}).refused("FORBIDDEN")
	w.asActor(guest, create, vars{"site": site.ID, "name": "Mine"}).refused("FORBIDDEN")
	w.ask(w.stranger, create, vars{"site": site.ID, "name": "Mine"}).refused("NOT_FOUND siteId")
	equal(t, w.ask(w.stranger, read, vars{"id": hall}).ok().at("area"), nil)
	w.ask(w.member, read, vars{"id": hall}).refused("FORBIDDEN")
	const node = `query($id: ID!) { node(id: $id) { __typename } }`
	equal(t, w.ask(w.admin, node, vars{"id": hall}).ok().text("node.__typename"), "Area")
	equal(t, w.ask(w.stranger, node, vars{"id": hall}).ok().at("node"), nil)
	w.ask(w.member, `query($id: ID!) { door(id: $id) { intoArea { name } } }`, vars{"id": gate.ID}).
		refused("FORBIDDEN")
	for _, list := range []string{"areas", "muster"} {
		w.ask(w.member, fmt.Sprintf(`{ sites { nodes { %s { pageInfo { hasNextPage } } } } }`, list)).
			refused("FORBIDDEN")
		w.asActor(guest, `{ sites { nodes { name } } }`).ok()
	}

	equal(t, w.ask(w.admin, remove, vars{"id": hall}).ok().text("deleteArea.deletedId"), hall)
	equal(t, w.ask(w.admin, `query($id: ID!) { door(id: $id) { intoArea { name } } }`,
		vars{"id": gate.ID}).ok().at("door.intoArea"), nil)
}

func TestMuster(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, other := w.site(w.admin, "Harbour"), w.site(w.admin, "Mill")
	hall, vault, far := w.area(w.admin, site, "Hall"), w.area(w.admin, site, "Vault"),
		w.area(w.admin, other, "Far")
	var people []*ent.User
	for i := range 5 {
		made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{
			Name: fmt.Sprintf("Guest %d", 5-i), Email: fmt.Sprintf("guest%d@example.com", i)})
		must(t, err)
		people = append(people, made.User)
		w.put(made.User, hall)
	}
	w.put(people[0], vault) // in both: counts once, where they came into last
	w.put(people[1], far)
	_, err := w.access.RecordPresence(w.admin.ctx, access.RecordPresenceInput{
		AreaID: hall.ID, UserID: people[2].ID, State: presence.StateOUT})
	must(t, err)

	const muster = `query($site: ID!, $after: Cursor) { site(id: $site) { areas { nodes { name occupancy } }
		muster(first: 3, after: $after) { pageInfo { hasNextPage endCursor }
			edges { node { user { name } area { name } door { name } since state } } } } }`
	first := w.ask(w.admin, muster, vars{"site": site.ID}).ok()
	for i, want := range []string{"Guest 1 Hall", "Guest 2 Hall", "Guest 4 Hall"} {
		at := fmt.Sprintf("site.muster.edges.%d.node.", i)
		equal(t, first.text(at+"user.name")+" "+first.text(at+"area.name"), want)
	}
	equal(t, first.at("site.muster.pageInfo.hasNextPage"), any(true))
	equal(t, first.text("site.areas.nodes.0.name"), "Hall")
	equal(t, first.at("site.areas.nodes.0.occupancy"), any(4.0))
	equal(t, first.at("site.areas.nodes.1.occupancy"), any(1.0))
	rest := w.ask(w.admin, muster, vars{"site": site.ID,
		"after": first.text("site.muster.pageInfo.endCursor")}).ok()
	equal(t, len(rest.at("site.muster.edges").([]any)), 1)
	equal(t, rest.text("site.muster.edges.0.node.user.name"), "Guest 5")
	equal(t, rest.text("site.muster.edges.0.node.area.name"), "Vault")
	equal(t, w.ask(w.stranger, muster, vars{"site": site.ID}).ok().at("site"), nil)
	both := w.ask(w.admin, `{ sites(first: 9) { nodes { name
		muster { nodes { user { name } area { name } } } } } }`).ok()
	equal(t, both.text("sites.nodes.1.muster.nodes.0.area.name"), "Far")
}

func TestStatementsOfAreasDoNotGrow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for s := range 4 {
		site := w.site(w.admin, fmt.Sprintf("Site %d", s))
		for i := range 10 {
			a := w.area(w.admin, site, fmt.Sprintf("Area %d", i))
			d := w.door(w.admin, site, fmt.Sprintf("Door %d", i))
			_, err := w.access.SetDoorAreas(w.admin.ctx,
				access.SetDoorAreasInput{DoorID: d.ID, IntoAreaID: &a.ID})
			must(t, err)
			w.put(w.member.user, a)
			w.put(w.admin.user, a)
		}
	}
	for name, q := range map[string]struct {
		query string
		most  int
	}{
		"areas": {`query($n: Int) { sites(first: 4) { nodes { areas(first: $n) { nodes { name occupancy
			site { name } entrances(first: 3) { nodes { name intoArea { name } } } exits { nodes { name } }
			present(first: $n) { nodes { user { name } door { name } area { name } } } } } } } }`, 10},
		"muster": {`query($n: Int) { sites(first: $n) { nodes { muster { nodes {
			user { name } area { name } door { name } } } } } }`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			few := w.statements(w.admin, q.query, vars{"n": 2})
			many := w.statements(w.admin, q.query, vars{"n": 10})
			if len(few) > q.most || len(many) > q.most {
				t.Errorf("%d and %d statements, want at most %d:\n%s",
					len(few), len(many), q.most, strings.Join(many, "\n"))
			}
		})
	}
}
