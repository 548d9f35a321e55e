package graph_test

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/actor"
)

func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($in: CreateIdentityProviderInput!) { createIdentityProvider(input: $in) {
		provider { id name issuer clientId redirectUrl domains required createUsers disabledAt } } }`
	good := vars{"name": "Harbour", "issuer": "https://id.example.com", "clientId": "doors",
		"clientSecret": "never shown", "domains": []string{"Example.com"}, "required": true}
	w.db.User.UpdateOne(w.admin.user).SetRole(actor.RoleAdmin).ExecX(w.admin.ctx)
	w.ask(w.admin, create, vars{"in": good}).refused("FORBIDDEN")
	w.db.User.UpdateOne(w.admin.user).SetRole(actor.RoleOwner).ExecX(w.admin.ctx)
	a := w.ask(w.admin, create, vars{"in": good}).ok()
	equal(t, a.text("createIdentityProvider.provider.domains.0"), "example.com")
	equal(t, a.at("createIdentityProvider.provider.required"), any(true))
	equal(t, a.at("createIdentityProvider.provider.disabledAt"), nil)
	id := a.text("createIdentityProvider.provider.id")
	if got := a.text("createIdentityProvider.provider.redirectUrl"); !strings.HasSuffix(got,
		"/sign-in/oidc/"+id+"/callback") || strings.Contains(string(a.raw), "never shown") {
		t.Errorf("got %s", a.raw)
	}
	w.ask(w.admin, create, vars{"in": good}).refused("CONFLICT issuer")
	w.ask(w.admin, create, vars{"in": vars{"name": " ", "issuer": "http://id.example.com", "clientId": "",
		"clientSecret": "", "domains": []string{"example"}}}).refused("BAD_USER_INPUT name",
		"BAD_USER_INPUT issuer", "BAD_USER_INPUT clientId", "BAD_USER_INPUT clientSecret", "BAD_USER_INPUT domains")

	const read = `{ identityProviders { nodes { id clientId } } }`
	equal(t, w.ask(w.admin, read).ok().text("identityProviders.nodes.0.id"), id)
	equal(t, len(w.ask(w.stranger, read).ok().at("identityProviders.nodes").([]any)), 0)
	w.ask(w.member, read).refused("FORBIDDEN")

	const update = `mutation($id: ID!) {
		updateIdentityProvider(input: {id: $id, enabled: false, domains: ["quay.example"]}) {
			provider { disabledAt domains } } }`
	w.ask(w.stranger, update, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, update, vars{"id": id}).refused("FORBIDDEN")
	a = w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, a.text("updateIdentityProvider.provider.domains.0"), "quay.example")

	const del = `mutation($id: ID!) { deleteIdentityProvider(input: {id: $id}) { deletedId } }`
	w.ask(w.stranger, del, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, del, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, del, vars{"id": id}).ok().text("deleteIdentityProvider.deletedId"), id)
	equal(t, len(w.ask(w.admin, read).ok().at("identityProviders.nodes").([]any)), 0)
}
