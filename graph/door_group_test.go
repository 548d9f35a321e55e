package graph_test

import (
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

func (w *world) doorGroup(p person, name string) *ent.DoorGroup {
	w.t.Helper()
	made, err := w.access.CreateDoorGroup(p.ctx, access.CreateDoorGroupInput{Name: name})
	must(w.t, err)
	return made.DoorGroup
}

func (w *world) gather(g *ent.DoorGroup, doors ...*ent.Door) {
	w.t.Helper()
	in := access.AddDoorGroupDoorsInput{DoorGroupID: g.ID}
	for _, d := range doors {
		in.DoorIDs = append(in.DoorIDs, d.ID)
	}
	_, err := w.access.AddDoorGroupDoors(w.admin.ctx, in)
	must(w.t, err)
}

func TestDoorGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	hut := w.door(w.admin, w.site(w.admin, "Hill"), "Hut")
	far := w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	const create = `mutation($name: String!, $parent: ID) {
		createDoorGroup(input: {name: $name, parentId: $parent}) { doorGroup { id parent { name } } } }`
	whole := w.ask(w.admin, create, vars{"name": "Outside"}).ok().text("createDoorGroup.doorGroup.id")
	made := w.ask(w.admin, create, vars{"name": "Gates", "parent": whole}).ok()
	gates := made.text("createDoorGroup.doorGroup.id")
	equal(t, made.text("createDoorGroup.doorGroup.parent.name"), "Outside")
	w.ask(w.admin, create, vars{"name": "Gates"}).refused("CONFLICT name")
	w.ask(w.admin, create, vars{"name": "Quay", "parent": gates}).refused("CONFLICT parentId")
	w.ask(w.admin, create, vars{"name": ""}).refused("BAD_USER_INPUT name")
	w.ask(w.stranger, create, vars{"name": "Quay", "parent": whole}).refused("NOT_FOUND parentId")
	w.ask(w.member, create, vars{"name": "Quay"}).refused("FORBIDDEN")

	const add = `mutation($id: ID!, $doors: [ID!]!, $from: DateTime, $until: DateTime) {
		addDoorGroupDoors(input: {doorGroupId: $id, doorIds: $doors, validFrom: $from, validUntil: $until}) {
			doorGroup { doors { nodes { door { name site { name } } validUntil } } } } }`
	both := []any{gate.ID, hut.ID}
	added := w.ask(w.admin, add, vars{"id": gates, "doors": both, "until": "2100-01-01T00:00:00Z"}).ok()
	equal(t, added.text("addDoorGroupDoors.doorGroup.doors.nodes.1.door.site.name"), "Hill")
	added = w.ask(w.admin, add, vars{"id": gates, "doors": both[:1]}).ok()
	equal(t, len(added.at("addDoorGroupDoors.doorGroup.doors.nodes").([]any)), 2)
	equal(t, added.at("addDoorGroupDoors.doorGroup.doors.nodes.0.validUntil"), nil)
	w.ask(w.admin, add, vars{"id": gates, "doors": []any{far.ID}}).refused("NOT_FOUND doorIds")
	w.ask(w.admin, add, vars{"id": gates, "doors": []any{}, "from": "2030-01-02T00:00:00Z",
		"until": "2030-01-01T00:00:00Z"}).
		refused("BAD_USER_INPUT doorIds", "BAD_USER_INPUT validUntil")

	const read = `query($id: ID!) { doorGroup(id: $id) { name parent { name } createdAt
		parts { nodes { name } } doors { nodes { door { name } } } keys { nodes { id } } }
		node(id: $id) { ... on DoorGroup { name } } }`
	seen := w.ask(w.admin, read, vars{"id": whole}).ok()
	equal(t, seen.text("doorGroup.parts.nodes.0.name"), "Gates")
	equal(t, seen.text("node.name"), "Outside")
	equal(t, w.ask(w.stranger, read, vars{"id": whole}).ok().at("doorGroup"), nil)
	equal(t, w.ask(w.member, read, vars{"id": whole}).ok().at("doorGroup"), nil)
	of := w.ask(w.admin, `query($id: ID!) { door(id: $id) { groups { nodes { name } } } }`,
		vars{"id": hut.ID}).ok()
	equal(t, of.text("door.groups.nodes.0.name"), "Gates")

	// A member sees a group that a key of theirs names, its parts, and the doors that it opens.
	staff := w.userGroup(w.admin, "Staff", nil)
	w.join(staff, w.member.user)
	key := w.groupKey(staff, w.db.DoorGroup.GetX(w.admin.ctx, doorGroupID(t, whole)))
	own := w.ask(w.member, read, vars{"id": whole}).ok()
	equal(t, own.text("doorGroup.parts.nodes.0.name"), "Gates")
	equal(t, len(w.ask(w.member, read, vars{"id": gates}).ok().at("doorGroup.doors.nodes").([]any)), 2)
	equal(t, w.ask(w.admin, read, vars{"id": whole}).ok().text("doorGroup.keys.nodes.0.id"),
		key.ID.String())
	const list = `query($s: String) { doorGroups(search: $s) { nodes { name } } }`
	w.doorGroup(w.admin, "Inside")
	equal(t, len(w.ask(w.member, list).ok().at("doorGroups.nodes").([]any)), 2)
	equal(t, len(w.ask(w.admin, list).ok().at("doorGroups.nodes").([]any)), 3)
	equal(t, len(w.ask(w.admin, list, vars{"s": "GAT"}).ok().at("doorGroups.nodes").([]any)), 1)

	const leaving = `mutation($id: ID!, $doors: [ID!]!) {
		removeDoorGroupDoors(input: {doorGroupId: $id, doorIds: $doors}) {
			doorGroup { doors { nodes { door { name } } } } } }`
	for _, change := range []string{add, leaving} {
		w.ask(w.stranger, change, vars{"id": gates, "doors": []any{far.ID}}).
			refused("NOT_FOUND doorGroupId")
		w.ask(w.member, change, vars{"id": gates, "doors": both}).refused("FORBIDDEN")
	}
	w.ask(w.admin, leaving, vars{"id": gates, "doors": []any{far.ID}}).refused("NOT_FOUND doorIds")
	left := w.ask(w.admin, leaving, vars{"id": gates, "doors": both[:1]}).ok()
	equal(t, left.text("removeDoorGroupDoors.doorGroup.doors.nodes.0.door.name"), "Hut")

	const update = `mutation($id: ID!, $parent: ID, $clear: Boolean) {
		updateDoorGroup(input: {id: $id, parentId: $parent, clearParent: $clear, name: "Doors"}) {
			doorGroup { name parent { name } } } }`
	const remove = `mutation($id: ID!) { deleteDoorGroup(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": gates}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": gates}).refused("FORBIDDEN")
	}
	w.ask(w.admin, update, vars{"id": whole, "parent": gates}).refused("CONFLICT parentId")
	w.ask(w.admin, update, vars{"id": gates, "parent": gates}).refused("BAD_USER_INPUT parentId")
	w.ask(w.admin, remove, vars{"id": whole}).refused("CONFLICT")
	freed := w.ask(w.admin, update, vars{"id": gates, "clear": true}).ok()
	equal(t, freed.at("updateDoorGroup.doorGroup.parent"), nil)
	equal(t, w.ask(w.admin, remove, vars{"id": whole}).ok().text("deleteDoorGroup.deletedId"), whole)
	equal(t, len(w.ask(w.member, `{ doors { nodes { name } } }`).ok().at("doors.nodes").([]any)), 0)
}

func doorGroupID(t *testing.T, id string) typeid.DoorGroup {
	t.Helper()
	parsed, err := typeid.Parse[typeid.DoorGroup](id)
	must(t, err)
	return parsed
}
