package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Passkey is a key pair of a user, whose private half never leaves their authenticator.
type Passkey struct{ ent.Schema }

// Mixin of Passkey.
func (Passkey) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Passkey.
func (Passkey) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Passkey{}).Default(typeid.New[typeid.Passkey]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.String("name").NotEmpty().MaxLen(100).Immutable(),
		field.Bytes("credential_id").Immutable().Sensitive().Comment("as the authenticator names it"),
		field.Bytes("public_key").Immutable().Sensitive().Comment("COSE"),
		field.Bytes("aaguid").Immutable().Comment("the authenticator's model, if it tells"),
		field.Int64("sign_count").Comment("as the authenticator last counted; 0 if it does not"),
		field.Bool("backup_eligible").Immutable().Comment("whether it may be on several devices"),
		field.Bool("backed_up").Comment("whether it is, as of its last use"),
		field.Time("created_at").Immutable(),
		field.Time("last_used_at").Optional().Nillable(),
	}
}

// Indexes of Passkey. Whoever signs in is known by their passkey, so its name is unique over all
// organizations (docs/adr/0017).
func (Passkey) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("credential_id").Unique(),
		index.Fields("org_id", "user_id", "id"),
	}
}
