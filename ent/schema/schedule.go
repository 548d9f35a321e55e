package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Schedule is recurring windows in a site's wall-clock time: when a key works, or when a door stands
// unlocked.
type Schedule struct{ ent.Schema }

// Mixin of Schedule.
func (Schedule) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Schedule.
func (Schedule) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Schedule{}).Default(typeid.New[typeid.Schedule]),
		field.String("name").NotEmpty().MaxLen(200),
		field.JSON("windows", []Window{}),
		field.Int("revision").Default(1).Positive().Comment("counts its versions"),
	}
}

// Indexes of Schedule.
func (Schedule) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
	}
}
