package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/cardea/cardea/typeid"
)

// SignInAttempt is a try to sign in, kept for as long as it counts. It is of no organization
// (docs/adr/0014).
type SignInAttempt struct{ ent.Schema }

// Fields of SignInAttempt.
func (SignInAttempt) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.SignInAttempt{}).Default(typeid.New[typeid.SignInAttempt]),
		field.Time("at").Immutable(),
		field.Bytes("account").Immutable().Sensitive().Comment("keyed hash of the e-mail address"),
		field.String("network").Immutable().Comment("a /24 or a /64"),
		field.UUID("code", uuid.UUID{}).Immutable().
			Comment("the code, or what else was asked, of which it is; all go if that is right"),
	}
}

// Indexes of SignInAttempt.
func (SignInAttempt) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("account", "at"), index.Fields("network", "at"), index.Fields("code"),
		index.Fields("at"),
	}
}
