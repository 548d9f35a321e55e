package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// KeyTarget is something that a key opens: one door, the doors of a group, or every door of a site,
// now and in future. It repeats whose the key is, so that one index leads from a door to people.
type KeyTarget struct{ ent.Schema }

// Mixin of KeyTarget.
func (KeyTarget) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of KeyTarget.
func (KeyTarget) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.KeyTarget{}).Default(typeid.New[typeid.KeyTarget]),
		field.UUID("key_id", typeid.Key{}).Immutable(),
		field.UUID("user_id", typeid.User{}).Optional().Nillable().Comment("the key's"),
		field.UUID("user_group_id", typeid.UserGroup{}).Optional().Nillable().Immutable().Comment("the key's"),
		field.UUID("door_id", typeid.Door{}).Optional().Nillable().Immutable(),
		field.UUID("door_group_id", typeid.DoorGroup{}).Optional().Nillable().Immutable(),
		field.UUID("site_id", typeid.Site{}).Optional().Nillable().Immutable(),
	}
}

// Indexes of KeyTarget.
func (KeyTarget) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "key_id", "door_id").Unique(),
		index.Fields("org_id", "door_id", "key_id"),
	}
}
