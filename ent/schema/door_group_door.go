package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// DoorGroupDoor is one door of a group, for a time.
type DoorGroupDoor struct{ ent.Schema }

// Mixin of DoorGroupDoor.
func (DoorGroupDoor) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of DoorGroupDoor.
func (DoorGroupDoor) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.DoorGroupDoor{}).Default(typeid.New[typeid.DoorGroupDoor]),
		field.UUID("door_group_id", typeid.DoorGroup{}).Immutable(),
		field.UUID("door_id", typeid.Door{}).Immutable(),
		field.Time("valid_from").Optional().Nillable().Comment("inclusive"),
		field.Time("valid_until").Optional().Nillable().Comment("exclusive"),
	}
}

// Indexes of DoorGroupDoor.
func (DoorGroupDoor) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "door_group_id", "door_id").Unique(),
		index.Fields("org_id", "door_id", "door_group_id"),
	}
}
