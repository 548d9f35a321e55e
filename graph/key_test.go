package graph_test

import (
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/key"
)

func TestKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, site, "Gate"), w.door(w.admin, site, "Cellar")
	far := w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	const grant = `mutation($user: ID!, $doors: [ID!]) {
		grantKey(input: {userId: $user, doorIds: $doors}) {
			key { id status validFrom validUntil site { id } user { name } doors { nodes { name } } } } }`
	made := w.ask(w.admin, grant, vars{"user": w.member.user.ID, "doors": []any{gate.ID}}).ok()
	id := made.text("grantKey.key.id")
	equal(t, made.text("grantKey.key.status"), "ACTIVE")
	equal(t, made.text("grantKey.key.doors.nodes.0.name"), "Gate")
	w.ask(w.admin, grant, vars{"user": w.member.user.ID, "doors": []any{far.ID}}).
		refused("NOT_FOUND doorIds")
	w.ask(w.stranger, grant, vars{"user": w.member.user.ID, "doors": []any{far.ID}}).
		refused("NOT_FOUND userId")
	w.ask(w.admin, grant, vars{"user": w.member.user.ID}).refused("BAD_USER_INPUT doorIds")
	w.ask(w.admin, grant, vars{"user": w.member.user.ID, "doors": []any{gate.ID, site.ID}}).
		refused("BAD_USER_INPUT doorIds.1")
	w.ask(w.member, grant, vars{"user": w.member.user.ID, "doors": []any{gate.ID}}).refused("FORBIDDEN")

	// Whoever has a key sees it, its door and its site, and no more.
	seen := w.ask(w.member, `{ keys(first: 10) { nodes { id doors(first: 10) { nodes { name site { name }
		keys(first: 1) { nodes { user { name } } } } } } } doors { nodes { name } } sites { nodes { name } } }`).ok()
	equal(t, seen.text("keys.nodes.0.id"), id)
	equal(t, len(seen.at("doors.nodes").([]any)), 1)
	equal(t, seen.text("keys.nodes.0.doors.nodes.0.site.name"), "Harbour")
	const read = `query($id: ID!) { key(id: $id) { status } }`
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("key"), nil)
	other := w.key(w.admin, w.admin.user, cellar)
	equal(t, w.ask(w.member, read, vars{"id": other.ID}).ok().at("key"), nil)
	w.ask(w.member, `query($id: ID!) { door(id: $id) { events { nodes { id } } } }`,
		vars{"id": gate.ID}).refused("FORBIDDEN")
	equal(t, w.ask(w.member, `query($id: ID!) { door(id: $id) { name } }`, vars{"id": cellar.ID}).
		ok().at("door"), nil)

	const revoke = `mutation($id: ID!) { revokeKey(input: {id: $id}) { key { status revokedAt } } }`
	w.ask(w.stranger, revoke, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, revoke, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, revoke, vars{"id": id}).ok().text("revokeKey.key.status"), "REVOKED")
	equal(t, len(w.ask(w.member, `{ doors { nodes { name } } }`).ok().at("doors.nodes").([]any)), 0)
}

func TestKeysOfADoorAndOfASite(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	w.door(w.admin, site, "Cellar")
	w.key(w.admin, w.admin.user, gate)
	_, err := w.access.GrantKey(w.admin.ctx, access.GrantKeyInput{
		UserID: w.member.user.ID, SiteID: &site.ID})
	must(t, err)
	seen := w.ask(w.admin, `query($d: ID!) { door(id: $d) { keys { nodes { user { name } site { name } } } }
		keys(doorId: $d) { nodes { user { name } doors { nodes { name } } } } }`, vars{"d": gate.ID}).ok()
	for _, list := range []string{"door.keys.nodes", "keys.nodes"} {
		equal(t, seen.text(list+".0.user.name"), "Front desk")
		equal(t, seen.text(list+".1.user.name"), "Night shift")
	}
	equal(t, seen.text("keys.nodes.1.doors.nodes.0.name"), "Cellar")
	equal(t, seen.text("keys.nodes.1.doors.nodes.1.name"), "Gate")
	equal(t, len(seen.at("keys.nodes.0.doors.nodes").([]any)), 1)
	equal(t, len(w.ask(w.member, `query($d: ID!) { door(id: $d) { keys { nodes { id } } } }`,
		vars{"d": gate.ID}).ok().at("door.keys.nodes").([]any)), 1)
}

// The filter over statuses says in SQL what access.StatusOf says in Go.
func TestKeyStatusFilter(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, from := range []*time.Time{nil, &past, &future} {
		for _, until := range []*time.Time{nil, &past, &future} {
			for _, revoked := range []*time.Time{nil, &past} {
				k := w.key(w.admin, w.member.user, gate)
				update := w.db.Key.UpdateOne(k).SetNillableRevokedAt(revoked)
				if from != nil {
					update.SetValidFrom(*from)
				}
				must(t, update.SetNillableValidUntil(until).Exec(w.admin.ctx))
			}
		}
	}
	for _, status := range []access.KeyStatus{"PENDING", "ACTIVE", "EXPIRED", "REVOKED"} {
		want := 0
		for _, k := range w.db.Key.Query().Where(key.UserID(w.member.user.ID)).AllX(w.admin.ctx) {
			if access.StatusOf(k, time.Now()) == status {
				want++
			}
		}
		seen := w.ask(w.admin, `query($s: KeyStatus, $u: ID!) { keys(status: $s) { nodes { status } }
			user(id: $u) { keys(status: $s) { nodes { status } } } }`,
			vars{"s": status, "u": w.member.user.ID}).ok()
		for _, list := range []string{"keys.nodes", "user.keys.nodes"} {
			equal(t, len(seen.at(list).([]any)), want)
			equal(t, seen.text(list+".0.status"), string(status))
		}
	}
}
