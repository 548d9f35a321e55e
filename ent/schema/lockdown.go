package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Lockdown is one use of a plan, from the first request to its release.
type Lockdown struct{ ent.Schema }

// Mixin of Lockdown.
func (Lockdown) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Lockdown.
func (Lockdown) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Lockdown{}).Default(typeid.New[typeid.Lockdown]),
		field.UUID("plan_id", typeid.LockdownPlan{}).Immutable(),
		field.JSON("site_ids", []typeid.Site{}).
			Comment("those that it touches: what its plan closed when it was asked for, and since"),
		field.Enum("state").Values("REQUESTED", "ACTIVE", "RELEASED", "LAPSED").
			Comment("REQUESTED until a second person confirms, where the plan asks for two"),
		field.String("requested_by").Immutable().Comment("an actor"),
		field.Time("requested_at").Immutable(),
		field.String("activated_by").Optional().Nillable(),
		field.Time("activated_at").Optional().Nillable(),
		field.Time("reverts_at").Optional().Nillable(),
		field.String("release_requested_by").Optional().Nillable(),
		field.Time("release_requested_at").Optional().Nillable(),
		field.String("released_by").Optional().Nillable(),
		field.Time("released_at").Optional().Nillable(),
		field.String("note").Optional().Nillable().MaxLen(500),
	}
}

// Indexes of Lockdown.
func (Lockdown) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "plan_id", "id"),
		index.Fields("org_id", "state", "id"),
		index.Fields("reverts_at").
			Annotations(entsql.IndexWhere("state = 'ACTIVE'")).StorageKey("lockdown_reverts"),
	}
}
