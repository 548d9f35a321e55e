package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/cardea/cardea/typeid"
)

// Organization is a tenant: the boundary of isolation. Its own id is its org_id.
type Organization struct{ ent.Schema }

// Mixin of Organization.
func (Organization) Mixin() []ent.Mixin { return []ent.Mixin{stamped{}} }

// Fields of Organization.
func (Organization) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Organization{}).Default(typeid.New[typeid.Organization]),
		field.String("name").NotEmpty().MaxLen(200),
		field.Int("access_retention_days").Default(90).Range(7, 3650).
			Comment("how long events of passing doors are kept, in days"),
		field.Int("admin_retention_days").Default(365).Range(7, 3650).
			Comment("how long all other events are kept, in days"),
	}
}
