package graph_test

import (
	"fmt"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
)

// passkey makes one of a person's.
func (w *world) passkey(of person, name string) *ent.Passkey {
	w.t.Helper()
	return w.db.Passkey.Create().SetUserID(of.user.ID).SetName(name).SetSignCount(1).
		SetCredentialID(fmt.Append(nil, of.user.ID, name)).SetPublicKey([]byte("secret")).
		SetAaguid(make([]byte, 16)).SetBackupEligible(true).SetBackedUp(true).
		SetCreatedAt(schema.Now()).SaveX(of.ctx)
}

func TestPasskey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	phone, theirs := w.passkey(w.member, "Phone"), w.passkey(w.admin, "Key ring")
	w.passkey(w.member, "Laptop")
	const read = `{ viewer { passkeys(first: 1) { nodes { id name backedUp backupEligible createdAt lastUsedAt }
		pageInfo { hasNextPage } } } }`
	a := w.ask(w.member, read).ok()
	equal(t, a.text("viewer.passkeys.nodes.0.name"), "Phone")
	equal(t, a.at("viewer.passkeys.nodes.0.backedUp"), any(true))
	equal(t, a.at("viewer.passkeys.nodes.0.lastUsedAt"), nil)
	equal(t, a.at("viewer.passkeys.pageInfo.hasNextPage"), any(true))
	const node = `query($id: ID!) { node(id: $id) { ... on Passkey { name } } }`
	equal(t, w.ask(w.member, node, vars{"id": phone.ID}).ok().text("node.name"), "Phone")
	equal(t, w.ask(w.member, node, vars{"id": theirs.ID}).ok().at("node"), nil)
	equal(t, w.ask(w.stranger, node, vars{"id": phone.ID}).ok().at("node"), nil)

	const del = `mutation($id: ID!) { deletePasskey(input: {id: $id}) { deletedId } }`
	w.ask(w.stranger, del, vars{"id": phone.ID}).refused("NOT_FOUND id")
	w.ask(w.member, del, vars{"id": theirs.ID}).refused("NOT_FOUND id")
	w.ask(w.member, del, vars{"id": w.member.user.ID}).refused("BAD_USER_INPUT id")
	equal(t, w.ask(w.member, del, vars{"id": phone.ID}).ok().text("deletePasskey.deletedId"), phone.ID.String())
	w.ask(w.member, del, vars{"id": phone.ID}).refused("NOT_FOUND id")
	equal(t, w.ask(w.member, read).ok().text("viewer.passkeys.nodes.0.name"), "Laptop")
	w.db.User.UpdateOne(w.member.user).SetRole(actor.RoleGuest).ExecX(w.admin.ctx)
	w.ask(w.member, del, vars{"id": theirs.ID}).refused("FORBIDDEN")
}
