package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// Application is a program of somebody else's that people of the organization may let act for them. Only
// the SHA-256 of its secret is kept; one that cannot keep a secret has none.
type Application struct{ ent.Schema }

// Mixin of Application.
func (Application) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Application.
func (Application) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Application{}).Default(typeid.New[typeid.Application]),
		field.String("name").NotEmpty().MaxLen(100),
		field.Enum("type").Values("CONFIDENTIAL", "PUBLIC").Immutable(),
		field.String("homepage_url").Optional().Nillable().MaxLen(2048),
		field.Strings("redirect_uris"),
		field.JSON("scopes", []actor.Scope{}).Comment("what it may ask for"),
		field.Bytes("hash").Optional().Nillable().Sensitive().Comment("SHA-256 of the secret; null: PUBLIC"),
		field.Bytes("previous_hash").Optional().Nillable().Sensitive().
			Comment("of the secret before the last rotation"),
		field.Time("previous_until").Optional().Nillable().Comment("until when that one is good too"),
		field.UUID("created_by_id", typeid.User{}).Optional().Nillable().Comment("null once deleted"),
		field.Time("disabled_at").Optional().Nillable(),
	}
}

// Indexes of Application.
func (Application) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
		index.Fields("org_id", "created_by_id").
			Annotations(entsql.IndexWhere("created_by_id IS NOT NULL")),
	}
}
