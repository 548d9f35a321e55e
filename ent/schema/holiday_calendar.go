package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// HolidayCalendar is the days on which windows of schedules are skipped, at the sites that use it.
type HolidayCalendar struct{ ent.Schema }

// Mixin of HolidayCalendar.
func (HolidayCalendar) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of HolidayCalendar.
func (HolidayCalendar) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.HolidayCalendar{}).Default(typeid.New[typeid.HolidayCalendar]),
		field.String("name").NotEmpty().MaxLen(200),
		field.JSON("holidays", []Holiday{}),
		field.Int("revision").Default(1).Positive().Comment("counts its versions"),
	}
}

// Indexes of HolidayCalendar.
func (HolidayCalendar) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "name").Unique(),
	}
}
