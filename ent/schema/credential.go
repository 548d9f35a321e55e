package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Credential is a thing that a person presents at a door. What it holds is never readable again.
type Credential struct{ ent.Schema }

// Mixin of Credential.
func (Credential) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Credential.
func (Credential) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Credential{}).Default(typeid.New[typeid.Credential]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.Enum("kind").Values("PIN", "CARD", "MOBILE").Immutable(),
		field.String("label").Optional().Nillable().MaxLen(100),
		field.String("hint").MaxLen(20).Immutable().Comment("what may be shown of it"),
		field.Bool("duress").Default(false).Immutable().
			Comment("opens like any other, and tells of duress silently"),
		field.String("pin_hash").Optional().Nillable().Sensitive().Immutable().Comment("Argon2id"),
		field.String("card_format").Optional().Nillable().MaxLen(20).Immutable(),
		field.Bytes("sealed").Optional().Nillable().Sensitive().Immutable().
			Comment("a card's numbers, encrypted"),
		field.Bytes("public_key").Optional().Nillable().Immutable().Comment("Ed25519, of a phone"),
		field.Bytes("lookup").Optional().Nillable().Sensitive().Immutable().
			Comment("keyed hash of what is presented"),
		field.Bytes("number_lookup").Optional().Nillable().Sensitive().Immutable().
			Comment("keyed hash of a card's number without its facility code"),
		field.Time("valid_from").Optional().Nillable().Comment("inclusive"),
		field.Time("valid_until").Optional().Nillable().Comment("exclusive"),
		field.Int("failures").Default(0).NonNegative().Comment("wrong tries since the last right one"),
		field.Time("blocked_until").Optional().Nillable(),
		field.Time("suspended_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
	}
}

// Indexes of Credential.
func (Credential) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "kind", "lookup").Unique().
			Annotations(entsql.IndexWhere("revoked_at IS NULL")).StorageKey("credential_in_force"),
		index.Fields("org_id", "kind", "lookup", "id").StorageKey("credential_presented"),
		index.Fields("org_id", "number_lookup").
			Annotations(entsql.IndexWhere("number_lookup IS NOT NULL")).StorageKey("credential_number"),
	}
}
