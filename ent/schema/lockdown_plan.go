package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// LockdownPlan says which doors a lockdown closes, and who may trigger and release it.
type LockdownPlan struct{ ent.Schema }

// Mixin of LockdownPlan.
func (LockdownPlan) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of LockdownPlan.
func (LockdownPlan) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.LockdownPlan{}).Default(typeid.New[typeid.LockdownPlan]),
		field.String("name").NotEmpty().MaxLen(200),
		field.JSON("site_ids", []typeid.Site{}).Comment("every door of these, now and in future"),
		field.JSON("door_ids", []typeid.Door{}),
		field.UUID("trigger_group_id", typeid.UserGroup{}).Optional().Nillable().
			Comment("who may trigger it besides administrators"),
		field.UUID("release_group_id", typeid.UserGroup{}).Optional().Nillable().
			Comment("who may release it besides administrators"),
		field.Bool("two_person_trigger").Default(false),
		field.Bool("two_person_release").Default(false),
		field.Int("revert_seconds").Optional().Nillable().Positive().
			Comment("after how long it is released by itself; null: never"),
	}
}

// Indexes of LockdownPlan.
func (LockdownPlan) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
	}
}
