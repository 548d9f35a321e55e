package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/typeid"
)

func TestWebhookEndpoint(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($url: String!) {
		createWebhookEndpoint(input: {url: $url, eventTypes: ["lock.unlocked"]}) {
			endpoint { id url description enabled disabledReason eventTypes } secret } }`
	made := w.ask(w.admin, create, vars{"url": "https://example.com/hook"}).ok()
	id, secret := made.text("createWebhookEndpoint.endpoint.id"), made.text("createWebhookEndpoint.secret")
	equal(t, strings.HasPrefix(secret, "whsec_"), true)
	equal(t, made.at("createWebhookEndpoint.endpoint.description"), nil)
	w.ask(w.admin, create, vars{"url": "ftp://example.com"}).refused("BAD_USER_INPUT url")
	w.ask(w.member, create, vars{"url": "https://example.com/mine"}).refused("FORBIDDEN")

	const update = `mutation($id: ID!) {
		updateWebhookEndpoint(input: {id: $id, enabled: false, description: "Chat"}) {
			endpoint { enabled description eventTypes } } }`
	const remove = `mutation($id: ID!) { deleteWebhookEndpoint(input: {id: $id}) { deletedId } }`
	for _, change := range []string{update, remove} {
		w.ask(w.stranger, change, vars{"id": id}).refused("NOT_FOUND id")
		w.ask(w.member, change, vars{"id": id}).refused("FORBIDDEN")
	}
	changed := w.ask(w.admin, update, vars{"id": id}).ok()
	equal(t, changed.at("updateWebhookEndpoint.endpoint.enabled"), any(false))
	equal(t, changed.text("updateWebhookEndpoint.endpoint.eventTypes.0"), "lock.unlocked")

	w.delivery(id)
	const read = `query($id: ID!) { webhookEndpoint(id: $id) { url deliveries(state: DELIVERED) { nodes {
		id state event { type } attempts { number statusCode errorClass responseBody durationMs } } } } }`
	seen := w.ask(w.admin, read, vars{"id": id}).ok()
	delivery := "webhookEndpoint.deliveries.nodes.0."
	equal(t, seen.text(delivery+"event.type"), "organization.created")
	equal(t, seen.text(delivery+"attempts.0.errorClass"), "timeout")
	equal(t, seen.at(delivery+"attempts.0.statusCode"), nil)
	equal(t, seen.at(delivery+"attempts.1.statusCode"), any(200.0))
	equal(t, seen.at(delivery+"attempts.1.errorClass"), nil)
	if strings.Contains(string(seen.raw), secret) {
		t.Error("a secret can be read")
	}
	pending := w.ask(w.admin, `{ webhookEndpoints { nodes { deliveries(state: PENDING) { nodes { id } } } } }`)
	equal(t, len(pending.ok().at("webhookEndpoints.nodes.0.deliveries.nodes").([]any)), 0)
	w.ask(w.member, read, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.stranger, read, vars{"id": id}).ok().at("webhookEndpoint"), nil)
	node := w.ask(w.admin, `query($id: ID!) { node(id: $id) { id ... on WebhookDelivery { state } } }`,
		vars{"id": seen.text(delivery + "id")}).ok()
	equal(t, node.text("node.state"), "DELIVERED")

	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteWebhookEndpoint.deletedId"), id)
}

// delivery writes what package webhooks would have, for the first event.
func (w *world) delivery(endpoint string) {
	w.t.Helper()
	ctx := w.admin.ctx
	id, err := typeid.Parse[typeid.WebhookEndpoint](endpoint)
	must(w.t, err)
	first := w.db.Event.Query().Where(event.Seq(1)).OnlyX(ctx)
	d := w.db.WebhookDelivery.Create().SetEndpointID(id).SetEventID(first.ID).SetEventSeq(1).
		SetState("DELIVERED").SetAttempts(2).SaveX(ctx)
	attempt := w.db.WebhookAttempt.Create().SetDeliveryID(d.ID).SetStartedAt(time.Now()).SetDurationMs(9)
	attempt.SetNumber(1).SetErrorClass("timeout").ExecX(ctx)
	w.db.WebhookAttempt.Create().SetDeliveryID(d.ID).SetStartedAt(time.Now()).SetDurationMs(7).
		SetNumber(2).SetStatusCode(200).SetResponseBody("ok").ExecX(ctx)
}
