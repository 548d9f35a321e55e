package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// RefreshToken is what an application gets the next tokens of a grant for, once. One that was used is
// kept for as long as it would have been good, to know who uses it again.
type RefreshToken struct{ ent.Schema }

// Mixin of RefreshToken.
func (RefreshToken) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of RefreshToken.
func (RefreshToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.RefreshToken{}).Default(typeid.New[typeid.RefreshToken]),
		field.UUID("grant_id", typeid.Grant{}).Immutable(),
		field.Bytes("hash").Immutable().Sensitive().Comment("SHA-256 of the secret"),
		field.Time("expires_at").Immutable(),
		field.Time("used_at").Optional().Nillable(),
	}
}

// Indexes of RefreshToken. The secret is looked up before the organization is known.
func (RefreshToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash"), index.Fields("org_id", "grant_id"), index.Fields("expires_at"),
	}
}
