package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// IdentityRequest is a browser that was sent to a provider, and may come back once. What it asks with
// is derived from what the browser keeps, so nothing here helps whoever reads it.
type IdentityRequest struct{ ent.Schema }

// Mixin of IdentityRequest.
func (IdentityRequest) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of IdentityRequest.
func (IdentityRequest) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.IdentityRequest{}).Default(typeid.New[typeid.IdentityRequest]),
		field.UUID("provider_id", typeid.IdentityProvider{}).Immutable(),
		field.Bytes("state_hash").Immutable().Sensitive().Comment("SHA-256 of what goes to the provider and back"),
		field.Bytes("nonce_hash").Immutable().Sensitive().Comment("SHA-256 of what the browser keeps"),
		field.String("next").Immutable().MaxLen(2000).Comment("the path that the browser goes on to"),
		field.Time("expires_at").Immutable(),
	}
}

// Indexes of IdentityRequest. A browser comes back before its organization is known.
func (IdentityRequest) Indexes() []ent.Index {
	return []ent.Index{index.Fields("state_hash"), index.Fields("expires_at")}
}
