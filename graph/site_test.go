package graph_test

import "testing"

func TestSite(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($name: String!) {
		createSite(input: {name: $name, timeZone: "Europe/Rome"}) { site { id name timeZone } } }`
	made := w.ask(w.admin, create, vars{"name": "Harbour"}).ok()
	id := made.text("createSite.site.id")
	equal(t, made.text("createSite.site.timeZone"), "Europe/Rome")
	w.ask(w.admin, create, vars{"name": "Harbour"}).refused("CONFLICT name")
	w.ask(w.admin, `mutation { createSite(input: {name: "", timeZone: "Mars"}) { site { id } } }`).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT timeZone")

	const update = `mutation($id: ID!) {
		updateSite(input: {id: $id, name: "Quay"}) { site { name timeZone } } }`
	changed := w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, changed.text("updateSite.site.name"), "Quay")
	equal(t, changed.text("updateSite.site.timeZone"), "Europe/Rome")

	const read = `query($id: ID!) { site(id: $id) { name } }`
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().text("site.name"), "Quay")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("site"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("site"), nil)

	const remove = `mutation($id: ID!) { deleteSite(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id}).refused("FORBIDDEN")
	}
	w.ask(w.member, create, vars{"name": "Mine"}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteSite.deletedId"), id)
	equal(t, w.ask(w.admin, read, vars{"id": id}).ok().at("site"), nil)
}
