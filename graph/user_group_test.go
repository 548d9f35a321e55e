package graph_test

import (
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

func (w *world) userGroup(p person, name string, parent *ent.UserGroup) *ent.UserGroup {
	w.t.Helper()
	in := access.CreateUserGroupInput{Name: name}
	if parent != nil {
		in.ParentID = &parent.ID
	}
	made, err := w.access.CreateUserGroup(p.ctx, in)
	must(w.t, err)
	return made.UserGroup
}

func (w *world) join(g *ent.UserGroup, people ...*ent.User) {
	w.t.Helper()
	in := access.AddUserGroupMembersInput{UserGroupID: g.ID}
	for _, u := range people {
		in.UserIDs = append(in.UserIDs, u.ID)
	}
	_, err := w.access.AddUserGroupMembers(w.admin.ctx, in)
	must(w.t, err)
}

// groupKey is a key of a group, for doors or a group of doors.
func (w *world) groupKey(g *ent.UserGroup, of *ent.DoorGroup, doors ...*ent.Door) *ent.Key {
	w.t.Helper()
	k := w.db.Key.Create().SetUserGroupID(g.ID).SaveX(w.admin.ctx)
	target := w.db.KeyTarget.Create().SetKeyID(k.ID).SetUserGroupID(g.ID)
	if of != nil {
		target.SetDoorGroupID(of.ID).ExecX(w.admin.ctx)
	}
	for _, d := range doors {
		w.db.KeyTarget.Create().SetKeyID(k.ID).SetUserGroupID(g.ID).SetDoorID(d.ID).ExecX(w.admin.ctx)
	}
	return k
}

func TestUserGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($name: String!, $parent: ID) {
		createUserGroup(input: {name: $name, parentId: $parent}) { userGroup { id name parent { name } } } }`
	made := w.ask(w.admin, create, vars{"name": "Staff"}).ok()
	staff := made.text("createUserGroup.userGroup.id")
	equal(t, made.at("createUserGroup.userGroup.parent"), nil)
	part := w.ask(w.admin, create, vars{"name": "Night shift", "parent": staff}).ok()
	night := part.text("createUserGroup.userGroup.id")
	equal(t, part.text("createUserGroup.userGroup.parent.name"), "Staff")
	w.ask(w.admin, create, vars{"name": "Staff"}).refused("CONFLICT name")
	w.ask(w.admin, create, vars{"name": "Cleaners", "parent": night}).refused("CONFLICT parentId")
	w.ask(w.admin, create, vars{"name": " "}).refused("BAD_USER_INPUT name")
	w.ask(w.admin, create, vars{"name": "Cleaners", "parent": w.member.user.ID}).
		refused("BAD_USER_INPUT parentId")
	w.ask(w.stranger, create, vars{"name": "Staff"}).ok() // another organization's
	w.ask(w.stranger, create, vars{"name": "Cleaners", "parent": staff}).refused("NOT_FOUND parentId")
	w.ask(w.member, create, vars{"name": "Cleaners"}).refused("FORBIDDEN")

	const read = `query($id: ID!) { userGroup(id: $id) { name parent { name } createdAt
		parts { nodes { name } } members { nodes { user { name } validFrom validUntil } }
		keys { nodes { id } } } node(id: $id) { ... on UserGroup { name } } }`
	const add = `mutation($id: ID!, $users: [ID!]!, $from: DateTime, $until: DateTime) {
		addUserGroupMembers(input: {userGroupId: $id, userIds: $users, validFrom: $from, validUntil: $until}) {
			userGroup { members { nodes { user { name } validUntil } } } } }`
	who := []any{w.member.user.ID, w.admin.user.ID, w.member.user.ID}
	added := w.ask(w.admin, add, vars{"id": night, "users": who, "until": "2100-01-01T00:00:00Z"}).ok()
	equal(t, len(added.at("addUserGroupMembers.userGroup.members.nodes").([]any)), 2)
	added = w.ask(w.admin, add, vars{"id": night, "users": who[:1]}).ok()
	nodes := added.at("addUserGroupMembers.userGroup.members.nodes").([]any)
	equal(t, len(nodes), 2)
	equal(t, added.text("addUserGroupMembers.userGroup.members.nodes.0.validUntil"),
		"2100-01-01T00:00:00.000000Z") // the administrator is older
	equal(t, added.at("addUserGroupMembers.userGroup.members.nodes.1.validUntil"), nil)
	w.ask(w.admin, add, vars{"id": night, "users": []any{}, "from": "2030-01-01T00:00:00Z",
		"until": "2030-01-01T00:00:00Z"}).
		refused("BAD_USER_INPUT userIds", "BAD_USER_INPUT validUntil")
	many := make([]any, 501)
	for i := range many {
		many[i] = typeid.New[typeid.User]()
	}
	w.ask(w.admin, add, vars{"id": night, "users": many}).refused("BAD_USER_INPUT userIds")
	w.ask(w.admin, add, vars{"id": night, "users": []any{w.stranger.user.ID}}).
		refused("NOT_FOUND userIds")

	// A member sees the groups that they are in, the whole included, and themselves in them.
	seen := w.ask(w.admin, read, vars{"id": staff}).ok()
	equal(t, seen.text("userGroup.parts.nodes.0.name"), "Night shift")
	equal(t, seen.text("node.name"), "Staff")
	own := w.ask(w.member, read, vars{"id": night}).ok()
	equal(t, own.text("userGroup.parent.name"), "Staff")
	equal(t, len(own.at("userGroup.members.nodes").([]any)), 1)
	equal(t, own.text("userGroup.members.nodes.0.user.name"), "Night shift")
	w.userGroup(w.admin, "Cleaners", nil)
	const list = `query($s: String) { userGroups(search: $s) { nodes { name } } }`
	equal(t, len(w.ask(w.member, list).ok().at("userGroups.nodes").([]any)), 2)
	equal(t, len(w.ask(w.admin, list).ok().at("userGroups.nodes").([]any)), 3)
	found := w.ask(w.admin, list, vars{"s": "NIGHT"}).ok()
	equal(t, len(found.at("userGroups.nodes").([]any)), 1)
	equal(t, w.ask(w.stranger, read, vars{"id": night}).ok().at("userGroup"), nil)
	mine := w.ask(w.member, `{ viewer { user { groups { nodes { name } } } } }`).ok()
	equal(t, len(mine.at("viewer.user.groups.nodes").([]any)), 1)

	const rename = `mutation($id: ID!) { updateUserGroup(input: {id: $id, name: "Watch"}) { userGroup { name } } }`
	const remove = `mutation($id: ID!) { deleteUserGroup(input: {id: $id}) { deletedId } }`
	for _, change := range []string{rename, remove} {
		w.ask(w.stranger, change, vars{"id": night}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": night}).refused("FORBIDDEN")
	}
	const leaving = `mutation($id: ID!, $users: [ID!]!) {
		removeUserGroupMembers(input: {userGroupId: $id, userIds: $users}) {
			userGroup { members { nodes { user { name } } } } } }`
	for _, change := range []string{add, leaving} {
		w.ask(w.stranger, change, vars{"id": night, "users": []any{w.stranger.user.ID}}).
			refused("NOT_FOUND userGroupId")
		w.ask(w.member, change, vars{"id": night, "users": who}).refused("FORBIDDEN")
	}
	w.ask(w.admin, leaving, vars{"id": night, "users": []any{w.stranger.user.ID}}).
		refused("NOT_FOUND userIds")
	w.ask(w.admin, leaving, vars{"id": night, "users": []any{}}).refused("BAD_USER_INPUT userIds")
	left := w.ask(w.admin, leaving, vars{"id": night, "users": who[:1]}).ok()
	equal(t, len(left.at("removeUserGroupMembers.userGroup.members.nodes").([]any)), 1)
	w.ask(w.admin, leaving, vars{"id": night, "users": who[:1]}).ok() // again
	equal(t, w.ask(w.member, read, vars{"id": night}).ok().at("userGroup"), nil)

	equal(t, w.ask(w.admin, rename, vars{"id": night}).ok().text("updateUserGroup.userGroup.name"), "Watch")
	w.ask(w.admin, remove, vars{"id": staff}).refused("CONFLICT")
	equal(t, w.ask(w.admin, remove, vars{"id": night}).ok().text("deleteUserGroup.deletedId"), night)
	w.ask(w.admin, remove, vars{"id": staff}).ok()
}

func TestUserGroupParent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	staff := w.userGroup(w.admin, "Staff", nil)
	night := w.userGroup(w.admin, "Night shift", staff)
	crew := w.userGroup(w.admin, "Crew", nil)
	far := w.userGroup(w.stranger, "Far", nil)
	const update = `mutation($id: ID!, $parent: ID, $clear: Boolean, $name: String) {
		updateUserGroup(input: {id: $id, parentId: $parent, clearParent: $clear, name: $name}) {
			userGroup { name parent { name } } } }`
	for want, v := range map[string]vars{
		"CONFLICT parentId":          {"id": staff.ID, "parent": crew.ID},
		"BAD_USER_INPUT parentId":    {"id": staff.ID, "parent": staff.ID},
		"NOT_FOUND parentId":         {"id": crew.ID, "parent": far.ID},
		"NOT_FOUND id":               {"id": far.ID, "parent": staff.ID},
		"CONFLICT name":              {"id": night.ID, "name": "Crew"},
		"BAD_USER_INPUT clearParent": {"id": night.ID, "parent": crew.ID, "clear": true},
	} {
		w.ask(w.admin, update, v).refused(want)
	}
	w.ask(w.admin, update, vars{"id": crew.ID, "parent": night.ID}).refused("CONFLICT parentId")
	moved := w.ask(w.admin, update, vars{"id": night.ID, "parent": crew.ID}).ok()
	equal(t, moved.text("updateUserGroup.userGroup.parent.name"), "Crew")
	same := w.ask(w.admin, update, vars{"id": night.ID, "name": "Watch"}).ok()
	equal(t, same.text("updateUserGroup.userGroup.parent.name"), "Crew")
	freed := w.ask(w.admin, update, vars{"id": night.ID, "clear": true}).ok()
	equal(t, freed.at("updateUserGroup.userGroup.parent"), nil)
	w.ask(w.admin, update, vars{"id": staff.ID, "parent": crew.ID}).ok()
}
