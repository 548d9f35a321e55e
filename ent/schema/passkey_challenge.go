package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// PasskeyChallenge is what an authenticator is asked to sign, once. It is of no organization: whoever
// signs in with a passkey has yet to say of which they are (docs/adr/0014).
type PasskeyChallenge struct{ ent.Schema }

// Fields of PasskeyChallenge.
func (PasskeyChallenge) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.PasskeyChallenge{}).Default(typeid.New[typeid.PasskeyChallenge]),
		field.Bytes("nonce_hash").Immutable().Sensitive().
			Comment("SHA-256 of what the browser keeps that asked"),
		field.String("challenge").Immutable().Sensitive(),
		field.UUID("adds_for", typeid.User{}).Optional().Nillable().Immutable().
			Comment("whom a passkey is added for; null: somebody signs in"),
		field.Time("expires_at").Immutable(),
	}
}

// Indexes of PasskeyChallenge.
func (PasskeyChallenge) Indexes() []ent.Index {
	return []ent.Index{index.Fields("nonce_hash"), index.Fields("expires_at")}
}
