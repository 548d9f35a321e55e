package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Key lets a user open doors: those of KeyDoor, or every door of a site, now and in future.
type Key struct{ ent.Schema }

// Mixin of Key.
func (Key) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Key.
func (Key) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Key{}).Default(typeid.New[typeid.Key]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.UUID("site_id", typeid.Site{}).Optional().Nillable().Immutable(),
		field.Time("valid_from").Optional().Nillable().Comment("inclusive"),
		field.Time("valid_until").Optional().Nillable().Comment("exclusive"),
		field.Time("revoked_at").Optional().Nillable(),
	}
}

// Indexes of Key.
func (Key) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "site_id", "id"),
	}
}
