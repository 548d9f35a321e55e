package graph_test

import (
	"testing"

	"github.com/cardea/cardea/access"
)

func TestUser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($email: String!) {
		createUser(input: {name: "Nils", email: $email}) { user { id email role status } } }`
	made := w.ask(w.admin, create, vars{"email": "Nils@Example.com"}).ok()
	id := made.text("createUser.user.id")
	equal(t, made.text("createUser.user.role"), "MEMBER")
	equal(t, made.text("createUser.user.email"), "nils@example.com")
	w.ask(w.admin, create, vars{"email": "NILS@example.com"}).refused("CONFLICT email")
	w.ask(w.admin, create, vars{"email": "nobody"}).refused("BAD_USER_INPUT email")
	w.ask(w.stranger, create, vars{"email": "nils@example.com"}).ok() // another organization's
	w.ask(w.member, create, vars{"email": "me@example.com"}).refused("FORBIDDEN")

	const read = `query($id: ID!) { user(id: $id) { name status } }`
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("user.name"), "Nils")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("user"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("user"), nil)
	equal(t, w.ask(w.member, read, vars{"id": w.member.user.ID}).ok().text("user.name"), "Night shift")
	mine := w.ask(w.member, `{ users { nodes { name } } }`).ok().at("users.nodes").([]any)
	equal(t, len(mine), 1)
	found := w.ask(w.admin, `{ users(search: "EXAMPLE", status: ACTIVE) { nodes { name } } }`).ok()
	equal(t, len(found.at("users.nodes").([]any)), 3)

	const update = `mutation($id: ID!) {
		updateUser(input: {id: $id, status: SUSPENDED}) { user { name status } } }`
	const remove = `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id}).refused("FORBIDDEN")
	}
	changed := w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, changed.text("updateUser.user.status"), "SUSPENDED")
	equal(t, changed.text("updateUser.user.name"), "Nils")
	w.ask(w.admin, update, vars{"id": w.admin.user.ID}).refused("CONFLICT")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteUser.deletedId"), id)
}

func TestEraseUser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const erase = `mutation($id: ID!, $name: String) { eraseUser(input: {id: $id, name: $name}) { erasedIds } }`
	_, err := w.access.EndOtherSessions(w.member.ctx, access.EndOtherSessionsInput{})
	must(t, err)
	_, err = w.access.CreateAPIToken(w.member.ctx, access.CreateAPITokenInput{Name: "phone"})
	must(t, err)
	who := vars{"id": w.member.user.ID, "name": "Night shift"}
	w.ask(w.stranger, erase, who).refused("NOT_FOUND id")
	w.ask(w.member, erase, who).refused("FORBIDDEN")
	w.ask(w.admin, erase, vars{"id": w.member.user.ID}).refused("CONFIRMATION_REQUIRED name")
	w.ask(w.admin, erase, vars{"id": w.member.user.ID, "name": "Mx"}).refused("CONFIRMATION_REQUIRED name")

	const read = `{ auditLog(filter: {types: ["api_token.created"]}) {
		nodes { user { name } actor { kind id name erased user { id } } } } }`
	before := w.ask(w.admin, read).ok()
	equal(t, before.text("auditLog.nodes.0.actor.name"), "Night shift")
	equal(t, before.at("auditLog.nodes.0.actor.erased"), false)
	done := w.ask(w.admin, erase, who).ok()
	equal(t, done.text("eraseUser.erasedIds.0"), w.member.user.ID.String())
	after := w.ask(w.admin, read).ok()
	equal(t, after.text("auditLog.nodes.0.actor.kind"), "USER")
	equal(t, after.text("auditLog.nodes.0.actor.id"), w.member.user.ID.String())
	equal(t, after.at("auditLog.nodes.0.actor.erased"), true)
	equal(t, after.at("auditLog.nodes.0.actor.name"), nil)
	equal(t, after.at("auditLog.nodes.0.actor.user"), nil)
	equal(t, after.at("auditLog.nodes.0.user"), nil)
	equal(t, after.at("auditLog.nodes.2.actor.erased"), false) // the desk's own
	w.ask(w.admin, erase, vars{"id": w.member.user.ID}).ok()
}
