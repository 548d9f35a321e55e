package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// APIToken lets a program act for a user. Only the SHA-256 of the secret is kept.
type APIToken struct{ ent.Schema }

// Mixin of APIToken.
func (APIToken) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of APIToken.
func (APIToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.APIToken{}).Default(typeid.New[typeid.APIToken]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.String("name").NotEmpty().MaxLen(200),
		field.Bytes("hash").Immutable().Sensitive().Comment("SHA-256 of the secret"),
		field.Time("expires_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
		field.Time("last_used_at").Optional().Nillable(),
	}
}

// Indexes of APIToken. The secret is looked up before the organization is known.
func (APIToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash"),
		index.Fields("org_id", "user_id", "id"),
	}
}
