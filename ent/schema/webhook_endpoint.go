package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// WebhookEndpoint is a customer's URL that receives events.
type WebhookEndpoint struct{ ent.Schema }

// Mixin of WebhookEndpoint.
func (WebhookEndpoint) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of WebhookEndpoint.
func (WebhookEndpoint) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.WebhookEndpoint{}).Default(typeid.New[typeid.WebhookEndpoint]),
		field.String("url").NotEmpty().MaxLen(2048),
		field.String("description").Optional().MaxLen(200),
		field.Strings("event_types").Optional().Comment("empty: every type"),
		field.Bytes("secret").Sensitive().Comment("the key of the v1 signature, 32 bytes"),
		field.Bool("enabled").Default(true),
		field.String("disabled_reason").Optional(),
		field.Int64("from_seq").Default(0).
			Comment("the journal's head at creation; earlier events are not sent"),
	}
}

// Indexes of WebhookEndpoint.
func (WebhookEndpoint) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "url").Unique()}
}
