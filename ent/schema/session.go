package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Session is a sign-in of a user: what a browser or an app may do until it signs out. Only the
// SHA-256 of the secret is kept.
type Session struct{ ent.Schema }

// Mixin of Session.
func (Session) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Session{}).Default(typeid.New[typeid.Session]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.Bytes("hash").Immutable().Sensitive().Comment("SHA-256 of the secret"),
		field.Enum("method").Values("EMAIL_CODE", "PASSKEY", "OIDC").Immutable(),
		field.Bytes("account").Optional().Immutable().Sensitive().
			Comment("keyed hash of the e-mail address that was proved to begin it; null: none was"),
		field.UUID("identity_id", typeid.Identity{}).Optional().Nillable().Immutable().
			Comment("as whom a provider said that they are; null: none did, or not any more"),
		field.Time("created_at").Immutable(),
		field.Time("last_seen_at").Comment("to the minute or so"),
		field.Time("expires_at").Immutable().Comment("whatever happens; unused, it ends sooner"),
		field.Time("ended_at").Optional().Nillable(),
		field.String("address").MaxLen(45).Immutable().Comment("where it was begun; may be empty"),
		field.String("user_agent").MaxLen(300).Immutable().Comment("as it named itself; may be empty"),
	}
}

// Indexes of Session. The secret is looked up before the organization is known.
func (Session) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash"),
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "identity_id"),
	}
}
