package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// WebhookAttempt is one try of a delivery.
type WebhookAttempt struct{ ent.Schema }

// Mixin of WebhookAttempt.
func (WebhookAttempt) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of WebhookAttempt.
func (WebhookAttempt) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.WebhookAttempt{}).Default(typeid.New[typeid.WebhookAttempt]),
		field.UUID("delivery_id", typeid.WebhookDelivery{}).Immutable(),
		field.Int("number").Positive().Immutable().Comment("from 1"),
		field.Time("started_at").Immutable(),
		field.Int64("duration_ms").NonNegative().Immutable(),
		field.Int("status_code").Optional().Nillable().Immutable(),
		field.String("error_class").Optional().Immutable().
			Comment("dns, refused, reset, tls, timeout, unreachable, blocked_address, " +
				"protocol, redirect, http_4xx, http_5xx, event_gone"),
		field.Text("response_body").Optional().Immutable().Comment("the first 16 KiB"),
	}
}

// Indexes of WebhookAttempt.
func (WebhookAttempt) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "delivery_id", "number").Unique()}
}
