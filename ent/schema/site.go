package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Site is a physical premises with one time zone.
type Site struct{ ent.Schema }

// Mixin of Site.
func (Site) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Site.
func (Site) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Site{}).Default(typeid.New[typeid.Site]),
		field.String("name").NotEmpty().MaxLen(200),
		field.UUID("holiday_calendar_id", typeid.HolidayCalendar{}).Optional().Nillable(),
		field.String("time_zone").NotEmpty().Comment("IANA name, such as Europe/Rome"),
	}
}

// Indexes of Site.
func (Site) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "name").Unique()}
}
