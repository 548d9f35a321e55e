package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// ManagedSite is a site that a user with the role MANAGER manages.
type ManagedSite struct{ ent.Schema }

// Mixin of ManagedSite.
func (ManagedSite) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of ManagedSite.
func (ManagedSite) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.ManagedSite{}).Default(typeid.New[typeid.ManagedSite]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.UUID("site_id", typeid.Site{}).Immutable(),
	}
}

// Indexes of ManagedSite.
func (ManagedSite) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_id", "site_id").Unique(),
		index.Fields("org_id", "site_id"),
	}
}
