package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Visit is a guest with a host, a window and a key that ends with it.
type Visit struct{ ent.Schema }

// Mixin of Visit.
func (Visit) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Visit.
func (Visit) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Visit{}).Default(typeid.New[typeid.Visit]),
		field.UUID("host_id", typeid.User{}).Immutable(),
		field.UUID("site_id", typeid.Site{}).Immutable(),
		field.UUID("key_id", typeid.Key{}).Immutable(),
		field.String("name").NotEmpty().MaxLen(200).Comment("the guest's"),
		field.Enum("state").Values("INVITED", "ARRIVED", "DEPARTED", "CANCELLED", "NO_SHOW").
			Default("INVITED"),
		field.Time("starts_at"),
		field.Time("ends_at"),
		field.Time("arrived_at").Optional().Nillable(),
		field.Time("ended_at").Optional().Nillable().Comment("whichever way"),
	}
}

// Indexes of Visit.
func (Visit) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "state", "starts_at", "id"),
		index.Fields("org_id", "host_id", "starts_at", "id"),
		index.Fields("org_id", "site_id", "starts_at", "id"),
		index.Fields("org_id", "key_id").Unique(),
		index.Fields("ends_at").
			Annotations(entsql.IndexWhere("ended_at IS NULL")).StorageKey("visit_open"),
	}
}
