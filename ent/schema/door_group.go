package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// DoorGroup gathers doors, of any site. It may be part of one parent, which has no parent itself.
type DoorGroup struct{ ent.Schema }

// Mixin of DoorGroup.
func (DoorGroup) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of DoorGroup.
func (DoorGroup) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.DoorGroup{}).Default(typeid.New[typeid.DoorGroup]),
		field.String("name").NotEmpty().MaxLen(200),
		field.UUID("parent_id", typeid.DoorGroup{}).Optional().Nillable(),
	}
}

// Indexes of DoorGroup.
func (DoorGroup) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
		index.Fields("org_id", "parent_id"),
	}
}
