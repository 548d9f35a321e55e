package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Presence is where a person is with respect to an area. No row: nobody knows. State, since and door
// are those of the newest pass.
type Presence struct{ ent.Schema }

// Mixin of Presence.
func (Presence) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Presence.
func (Presence) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Presence{}).Default(typeid.New[typeid.Presence]),
		field.UUID("area_id", typeid.Area{}).Immutable(),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.Enum("state").Values("IN", "OUT", "UNKNOWN").Comment("UNKNOWN: it was forgotten"),
		field.Time("since"),
		field.UUID("door_id", typeid.Door{}).Optional().Nillable().Comment("the door that they came or left by"),
		field.JSON("passes", []Pass{}).
			Comment("the last few, newest first: one that never happened is taken back"),
	}
}

// Indexes of Presence.
func (Presence) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "area_id", "user_id").Unique(),
		index.Fields("org_id", "area_id", "state", "user_id"),
		index.Fields("org_id", "user_id"),
	}
}
