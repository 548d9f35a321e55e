package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// UserGroup gathers people. It may be part of one parent, which has no parent itself; whoever is a
// member of a part is a member of the whole.
type UserGroup struct{ ent.Schema }

// Mixin of UserGroup.
func (UserGroup) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of UserGroup.
func (UserGroup) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.UserGroup{}).Default(typeid.New[typeid.UserGroup]),
		field.String("name").NotEmpty().MaxLen(200),
		field.String("external_id").Optional().Nillable().MaxLen(200).
			Comment("what the organization's directory calls the group"),
		field.UUID("parent_id", typeid.UserGroup{}).Optional().Nillable(),
	}
}

// Indexes of UserGroup.
func (UserGroup) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
		index.Fields("org_id", "external_id").Unique(),
		index.Fields("org_id", "parent_id"),
	}
}
