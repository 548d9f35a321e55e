package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// WebhookDelivery is one event on its way to one endpoint.
type WebhookDelivery struct{ ent.Schema }

// Mixin of WebhookDelivery.
func (WebhookDelivery) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of WebhookDelivery.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.WebhookDelivery{}).Default(typeid.New[typeid.WebhookDelivery]),
		field.UUID("endpoint_id", typeid.WebhookEndpoint{}).Immutable(),
		field.UUID("event_id", typeid.Event{}).Immutable().Comment("the webhook-id header"),
		field.Int64("event_seq").Immutable(),
		field.Enum("state").Values("PENDING", "DELIVERED", "FAILED").Default("PENDING"),
		field.Int("attempts").Default(0),
		field.Time("next_at").Optional().Nillable().Comment("when it is due; null once it has ended"),
		field.Time("leased_until").Optional().Nillable(),
		field.Time("created_at").Immutable().Default(Now),
		field.Time("ended_at").Optional().Nillable(),
	}
}

// Indexes of WebhookDelivery.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "endpoint_id", "event_seq").Unique(),
		// A claim takes the first few that are due of each endpoint.
		index.Fields("endpoint_id", "next_at", "event_seq").
			Annotations(entsql.IndexWhere("state = 'PENDING'")).StorageKey("webhookdelivery_due"),
	}
}
