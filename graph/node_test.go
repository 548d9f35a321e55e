package graph_test

import (
	"testing"

	"github.com/cardea/cardea/typeid"
)

func TestNodes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	door, dev := w.door(w.admin, site, "Gate"), w.device(w.admin, site)
	key := w.key(w.admin, w.member.user, door)
	last := w.ask(w.admin, `{ auditLog(first: 1) { nodes { id } } }`).ok().text("auditLog.nodes.0.id")
	ids := []any{w.org, site.ID, door.ID, dev.ID, key.ID, w.member.user.ID, w.member.token.ID, last,
		typeid.New[typeid.Door](), door.ID}
	const read = `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`
	seen := w.ask(w.admin, read, vars{"ids": ids}).ok()
	for i, kind := range []string{"Organization", "Site", "Door", "Device", "Key", "User", "ApiToken", "Event"} {
		node := seen.at("nodes").([]any)[i].(map[string]any)
		equal(t, node["__typename"].(string), kind)
	}
	equal(t, seen.at("nodes").([]any)[8], nil)
	equal(t, dig(t, seen.at("nodes").([]any)[9], "id").(string), door.ID.String())
	for _, node := range w.ask(w.stranger, read, vars{"ids": []any{w.org, site.ID, door.ID, dev.ID, key.ID,
		w.member.user.ID, w.member.token.ID, last}}).ok().at("nodes").([]any) {
		equal(t, node, nil)
	}
	mine := w.ask(w.member, read, vars{"ids": []any{door.ID, key.ID, w.admin.user.ID}}).ok()
	equal(t, mine.text("nodes.0.__typename"), "Door")
	equal(t, mine.at("nodes.2"), nil)
	w.ask(w.admin, read, vars{"ids": []any{typeid.New[typeid.KeyTarget]()}}).refused("BAD_USER_INPUT ids")
	equal(t, w.ask(w.admin, `query($id: ID!) { node(id: $id) { ... on Door { name site { name } } } }`,
		vars{"id": door.ID}).ok().text("node.site.name"), "Harbour")
}
