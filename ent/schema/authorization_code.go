package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// AuthorizationCode is what the browser of a user hands to an application, which gets the first tokens
// of a grant for it. One that was used is kept until it would have expired anyhow, and longer, to know a
// replay.
type AuthorizationCode struct{ ent.Schema }

// Mixin of AuthorizationCode.
func (AuthorizationCode) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of AuthorizationCode.
func (AuthorizationCode) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.AuthorizationCode{}).Default(typeid.New[typeid.AuthorizationCode]),
		field.UUID("grant_id", typeid.Grant{}).Immutable(),
		field.Bytes("hash").Immutable().Sensitive().Comment("SHA-256 of the code"),
		field.String("redirect_uri").Immutable().Comment("where it was sent"),
		field.String("challenge").Immutable().Comment("of PKCE: SHA-256 of the verifier, base64url"),
		field.Time("expires_at").Immutable(),
		field.Time("used_at").Optional().Nillable(),
	}
}

// Indexes of AuthorizationCode. The code is looked up before the organization is known.
func (AuthorizationCode) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash"), index.Fields("org_id", "grant_id"), index.Fields("expires_at"),
	}
}
