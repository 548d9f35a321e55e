package graph_test

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

func TestShareKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	w.door(w.admin, site, "Cellar")
	const grant = `mutation($user: ID!, $site: ID!) { grantKey(input: {userId: $user, siteId: $site,
		shares: 2, uses: 5}) { key { id uses usesLeft remote sharesLeft } } }`
	made := w.ask(w.admin, grant, vars{"user": w.member.user.ID, "site": site.ID}).ok()
	id := made.text("grantKey.key.id")
	equal(t, made.at("grantKey.key.usesLeft"), any(5.0))
	equal(t, made.at("grantKey.key.remote"), any(true))

	const share = `mutation($key: ID!, $to: String!, $door: ID!) { shareKey(input: {keyId: $key,
		recipient: $to, doorIds: [$door], shares: 1}) { link key { id status user { id } recipient usesLeft
		sharesLeft sharedFrom { id } sharedBy { name } redeemedAt doors { nodes { name } } } } }`
	asked := vars{"key": id, "to": "Guest@Example.com", "door": gate.ID}
	w.ask(w.stranger, share, asked).refused("NOT_FOUND keyId")
	w.ask(w.member, share, vars{"key": id, "to": "nobody", "door": gate.ID}).
		refused("BAD_USER_INPUT recipient")
	shared := w.ask(w.member, share, asked).ok()
	child := shared.text("shareKey.key.id")
	for path, want := range map[string]any{
		"status": "PENDING", "user": nil, "recipient": "g…@example.com", "usesLeft": 5.0,
		"sharesLeft": 1.0, "sharedFrom.id": id, "sharedBy.name": "Night shift", "redeemedAt": nil,
		"doors.nodes.0.name": "Gate",
	} {
		equal(t, shared.at("shareKey.key."+path), want)
	}
	equal(t, len(shared.at("shareKey.key.doors.nodes").([]any)), 1)

	const renew = `mutation($key: ID!) { renewKeyLink(input: {keyId: $key}) { link } }`
	w.ask(w.stranger, renew, vars{"key": child}).refused("NOT_FOUND keyId")
	w.ask(w.member, renew, vars{"key": id}).refused("FORBIDDEN")
	link := w.ask(w.member, renew, vars{"key": child}).ok().text("renewKeyLink.link")
	if link == shared.text("shareKey.link") || !strings.HasPrefix(link, access.LinkPath+"cardeakey_") {
		t.Errorf("link %s", link)
	}
	redeemed, err := w.access.RedeemLink(t.Context(), strings.TrimPrefix(link, access.LinkPath))
	must(t, err)
	const below = `query($key: ID!) { key(id: $key) { sharesLeft shares { nodes { id status
		user { name } redeemedAt } } } }`
	seen := w.ask(w.admin, below, vars{"key": id}).ok()
	equal(t, seen.text("key.shares.nodes.0.id"), child)
	equal(t, seen.text("key.shares.nodes.0.user.name"), "g…@example.com")
	equal(t, seen.at("key.sharesLeft"), any(1.0))
	equal(t, w.ask(w.member, below, vars{"key": id}).ok().text("key.shares.nodes.0.id"), child)
	equal(t, w.ask(w.stranger, below, vars{"key": id}).ok().at("key"), nil)

	guest := person{user: redeemed.Guest, secret: redeemed.Secret}
	equal(t, w.ask(guest, `{ doors { nodes { name site { name } } } }`).ok().
		text("doors.nodes.0.name"), "Gate")
	w.ask(guest, share, vars{"key": child, "to": "x@example.com", "door": gate.ID}).refused("FORBIDDEN")

	const revoke = `mutation($id: ID!) { revokeKey(input: {id: $id}) { key { status } } }`
	equal(t, w.ask(w.member, revoke, vars{"id": child}).ok().text("revokeKey.key.status"), "REVOKED")
}

func TestUpdateSuspendAndResumeKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	k := w.key(w.admin, w.member.user, w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"))
	for mutation, want := range map[string]struct{ path, is string }{
		`mutation($id: ID!) { updateKey(input: {id: $id, uses: 3, validUntil: "2040-01-01T00:00:00Z"}) {
			key { usesLeft validUntil } } }`: {"updateKey.key.validUntil", "2040-01-01T00:00:00.000000Z"},
		`mutation($id: ID!) { suspendKey(input: {id: $id}) { key { status suspendedAt } } }`: {
			"suspendKey.key.status", "SUSPENDED"},
	} {
		w.ask(w.stranger, mutation, vars{"id": k.ID}).refused("NOT_FOUND id")
		w.ask(w.member, mutation, vars{"id": k.ID}).refused("FORBIDDEN")
		equal(t, w.ask(w.admin, mutation, vars{"id": k.ID}).ok().text(want.path), want.is)
	}
	const resume = `mutation($id: ID!) { resumeKey(input: {id: $id}) { key { status suspendedAt } } }`
	w.ask(w.stranger, resume, vars{"id": k.ID}).refused("NOT_FOUND id")
	w.ask(w.member, resume, vars{"id": k.ID}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, resume, vars{"id": k.ID}).ok().text("resumeKey.key.status"), "ACTIVE")
	w.ask(w.admin, `mutation($id: ID!) { updateKey(input: {id: $id, uses: 0, clearUses: true}) {
		key { id } } }`, vars{"id": k.ID}).refused("BAD_USER_INPUT uses", "BAD_USER_INPUT uses")
}

func TestGrantKeyToAGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	group := w.db.UserGroup.Create().SetName("Night shift").SaveX(w.admin.ctx)
	w.db.UserGroupMember.Create().SetUserGroupID(group.ID).SetUserID(w.member.user.ID).
		SaveX(w.admin.ctx)
	const grant = `mutation($group: ID!, $site: ID!) { grantKey(input: {userGroupId: $group,
		siteId: $site}) { key { id user { id } } } }`
	asked := vars{"group": group.ID, "site": site.ID}
	w.ask(w.stranger, grant, asked).refused("NOT_FOUND userGroupId")
	id := w.ask(w.admin, grant, asked).ok().text("grantKey.key.id")
	equal(t, w.ask(w.member, `{ keys { nodes { id } } }`).ok().text("keys.nodes.0.id"), id)
	w.ask(w.admin, grant, vars{"group": typeid.New[typeid.UserGroup](), "site": site.ID}).
		refused("NOT_FOUND userGroupId")
}

// A guest's token is refused by every mutation but those of a door that their key opens.
func TestGuestsAreRefusedByTheGraph(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.member.user = w.db.User.UpdateOne(w.member.user).SetRole(actor.RoleGuest).SaveX(w.admin.ctx)
	for mutation, input := range map[string]string{
		"createSite":            `{name: "Quay", timeZone: "UTC"}`,
		"createUser":            `{name: "Night shift", email: "x@example.com"}`,
		"createApiToken":        `{name: "laptop"}`,
		"revokeApiToken":        `{id: "` + w.member.token.ID.String() + `"}`,
		"deleteUser":            `{id: "` + w.member.user.ID.String() + `"}`,
		"updateUser":            `{id: "` + w.member.user.ID.String() + `", role: ADMIN}`,
		"grantKey":              `{userId: "` + w.member.user.ID.String() + `"}`,
		"createDevice":          `{name: "Panel", siteId: "` + typeid.New[typeid.Site]().String() + `"}`,
		"createWebhookEndpoint": `{url: "https://hooks.example.com/"}`,
	} {
		w.ask(w.member, "mutation { "+mutation+"(input: "+input+") { __typename } }").refused("FORBIDDEN")
	}
	for _, list := range []string{"users", "devices", "auditLog", "webhookEndpoints"} {
		w.ask(w.member, "{ "+list+" { nodes { __typename } } }").refused("FORBIDDEN")
	}
}
