package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// User is a person: who walks through doors, and perhaps also who administers them.
type User struct{ ent.Schema }

// Mixin of User.
func (User) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.User{}).Default(typeid.New[typeid.User]),
		field.String("name").NotEmpty().MaxLen(200),
		field.String("email").Optional().Nillable().MaxLen(254).
			Comment("lower case; null for a guest"),
		field.String("given_name").Optional().Nillable().MaxLen(200).
			Comment("of name, where a directory tells its parts"),
		field.String("family_name").Optional().Nillable().MaxLen(200).Comment("likewise"),
		field.String("external_id").Optional().Nillable().MaxLen(200).
			Comment("what the organization's directory calls the person"),
		field.Enum("role").GoType(actor.Role("")).Default(string(actor.RoleMember)),
		field.Enum("status").Values("ACTIVE", "SUSPENDED").Default("ACTIVE"),
	}
}

// Indexes of User. Whoever signs in gives an address before their organization is known.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("email"),
		index.Fields("org_id", "email").Unique(),
		index.Fields("org_id", "external_id").Unique(),
		index.Fields("org_id", "name", "id"),
		index.Fields("org_id", "status", "name", "id"),
	}
}
