package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// LockdownDoor is one door of a lockdown, and whether its device has taken it on.
type LockdownDoor struct{ ent.Schema }

// Mixin of LockdownDoor.
func (LockdownDoor) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of LockdownDoor.
func (LockdownDoor) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.LockdownDoor{}).Default(typeid.New[typeid.LockdownDoor]),
		field.UUID("lockdown_id", typeid.Lockdown{}).Immutable(),
		field.UUID("door_id", typeid.Door{}).Immutable(),
		field.Enum("outcome").Values("PENDING", "APPLIED", "UNREACHED").Default("PENDING"),
		field.Time("released_at").Optional().Nillable().Comment("null while the door is in lockdown"),
	}
}

// Indexes of LockdownDoor.
func (LockdownDoor) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "lockdown_id", "door_id").Unique(),
		index.Fields("org_id", "door_id").
			Annotations(entsql.IndexWhere("released_at IS NULL")).StorageKey("lockdown_door_in_force"),
	}
}
