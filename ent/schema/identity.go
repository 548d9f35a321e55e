package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Identity is a user as a provider knows them, for good: an e-mail address may become another's.
type Identity struct{ ent.Schema }

// Mixin of Identity.
func (Identity) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Identity.
func (Identity) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Identity{}).Default(typeid.New[typeid.Identity]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.UUID("provider_id", typeid.IdentityProvider{}).Immutable(),
		field.String("issuer").Immutable(),
		field.String("subject").Immutable().MaxLen(255),
		field.Time("created_at").Immutable(),
	}
}

// Indexes of Identity. Within a provider a user is one subject, and a subject is one user.
func (Identity) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "provider_id", "subject").Unique(),
		index.Fields("org_id", "user_id", "provider_id").Unique(),
	}
}
