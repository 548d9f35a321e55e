package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/cardea/cardea/typeid"
)

// WebhookCursor is how far an organization's journal has been planned into deliveries.
type WebhookCursor struct{ ent.Schema }

// Annotations of WebhookCursor.
func (WebhookCursor) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "webhook_cursors"}}
}

// Fields of WebhookCursor.
func (WebhookCursor) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Organization{}).StorageKey("org_id"),
		field.Int64("seq").Default(0),
	}
}
