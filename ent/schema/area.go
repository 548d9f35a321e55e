package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Area is a space of a site that doors lead into and out of.
type Area struct{ ent.Schema }

// Mixin of Area.
func (Area) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Area.
func (Area) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Area{}).Default(typeid.New[typeid.Area]),
		field.UUID("site_id", typeid.Site{}).Immutable(),
		field.String("name").NotEmpty().MaxLen(200),
		field.Int("occupancy_limit").Optional().Nillable().Positive(),
		field.Enum("limit_mode").Values("OFF", "ALERT", "ENFORCE").Default("OFF"),
		field.Enum("anti_passback").Values("OFF", "ALERT", "ENFORCE").Default("OFF"),
		field.Time("reset_at").Optional().Nillable().Comment("passes before it are forgotten"),
	}
}

// Indexes of Area.
func (Area) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "site_id", "name").Unique(),
	}
}
