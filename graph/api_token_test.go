package graph_test

import (
	"strings"
	"testing"
)

func TestAPIToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($user: ID) { createApiToken(input: {name: "CI", userId: $user}) {
		token { id name user { name } expiresAt revokedAt lastUsedAt } secret } }`
	made := w.ask(w.member, create).ok()
	id, secret := made.text("createApiToken.token.id"), made.text("createApiToken.secret")
	equal(t, strings.HasPrefix(secret, "cardea_"), true)
	equal(t, made.text("createApiToken.token.user.name"), "Night shift")
	w.ask(w.member, create, vars{"user": w.admin.user.ID}).refused("FORBIDDEN")
	w.ask(w.stranger, create, vars{"user": w.member.user.ID}).refused("NOT_FOUND userId")

	ci := person{secret: secret}
	seen := w.ask(ci, `{ viewer { role user { name } organization { name } apiToken { name }
		actor { kind id name user { name } } apiTokens { nodes { name } } } }`).ok()
	equal(t, seen.text("viewer.user.name"), "Night shift")
	equal(t, seen.text("viewer.organization.name"), "Hinges")
	equal(t, seen.text("viewer.apiToken.name"), "CI")
	equal(t, seen.text("viewer.actor.kind"), "API_TOKEN")
	equal(t, seen.text("viewer.actor.name"), "CI")
	equal(t, len(seen.at("viewer.apiTokens.nodes").([]any)), 2)
	equal(t, len(w.ask(w.admin, `{ organization { apiTokens { nodes { name } } } }`).ok().
		at("organization.apiTokens.nodes").([]any)), 3)
	if strings.Contains(string(seen.raw), secret) {
		t.Error("a secret can be read")
	}

	const revoke = `mutation($id: ID!) { revokeApiToken(input: {id: $id}) { token { revokedAt } } }`
	w.ask(w.stranger, revoke, vars{"id": id}).refused("NOT_FOUND id")
	// A member may revoke their own only.
	a := w.ask(w.member, revoke, vars{"id": w.admin.token.ID})
	equal(t, len(a.Errors), 1)
	w.ask(w.member, revoke, vars{"id": id}).ok()
	equal(t, w.ask(ci, `{ viewer { role } }`).status, 401)
}
