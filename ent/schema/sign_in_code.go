package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// SignInCode is a code that was asked for, whether or not the e-mail address is anybody's. It is of
// no organization: whoever asks for one has yet to say of which they are (docs/adr/0014).
type SignInCode struct{ ent.Schema }

// Fields of SignInCode.
func (SignInCode) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.SignInCode{}).Default(typeid.New[typeid.SignInCode]),
		field.Bytes("nonce_hash").Immutable().Sensitive().
			Comment("SHA-256 of what the browser keeps that asked"),
		field.Bytes("code_hash").Immutable().Sensitive().Comment("keyed, over nonce and code"),
		field.Bytes("email").Immutable().Sensitive().Comment("sealed"),
		field.Time("created_at").Immutable(),
		field.Time("expires_at").Immutable(),
		field.Int("tries").Default(0),
		field.Int("failures").Default(0).Comment("tries with another code"),
		field.Int("told").Default(0).Comment("failures that the journal knows of"),
		field.Time("verified_at").Optional().Nillable().Comment("when the code was shown"),
		field.Time("used_at").Optional().Nillable().Comment("when a session came of it"),
	}
}

// Indexes of SignInCode.
func (SignInCode) Indexes() []ent.Index {
	return []ent.Index{index.Fields("nonce_hash"), index.Fields("expires_at")}
}
