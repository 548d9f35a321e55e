package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// KeyDoor is one door of a key.
type KeyDoor struct{ ent.Schema }

// Mixin of KeyDoor.
func (KeyDoor) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of KeyDoor.
func (KeyDoor) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.KeyDoor{}).Default(typeid.New[typeid.KeyDoor]),
		field.UUID("key_id", typeid.Key{}).Immutable(),
		field.UUID("door_id", typeid.Door{}).Immutable(),
	}
}

// Indexes of KeyDoor.
func (KeyDoor) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "key_id", "door_id").Unique(),
		index.Fields("org_id", "door_id", "key_id"),
	}
}
