package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// Grant is what a user lets an application do for them. All tokens that come of it end with it.
type Grant struct{ ent.Schema }

// Mixin of Grant.
func (Grant) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Grant.
func (Grant) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Grant{}).Default(typeid.New[typeid.Grant]),
		field.UUID("user_id", typeid.User{}).Immutable().Comment("whom the application acts for"),
		field.UUID("application_id", typeid.Application{}).Immutable(),
		field.Bool("by_itself").Default(false).Immutable().
			Comment("given by the organization, for client credentials, rather than by the user"),
		field.JSON("scopes", []actor.Scope{}).Immutable(),
		field.JSON("site_ids", []typeid.Site{}).Optional().Immutable().
			Comment("null: not confined to sites"),
		field.Time("created_at").Immutable(),
		field.Time("expires_at").Optional().Nillable().Comment("unless it is used; null: never"),
		field.Time("last_used_at").Optional().Nillable().Comment("to the minute or so"),
		field.Time("revoked_at").Optional().Nillable(),
		field.Enum("revoked_reason").Optional().Nillable().Values("REQUESTED", "APPLICATION",
			"REUSED_CODE", "REUSED_TOKEN", "REPLACED", "APPLICATION_DELETED", "USER_SUSPENDED"),
	}
}

// Indexes of Grant.
func (Grant) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "application_id", "id"),
		index.Fields("org_id", "application_id").Unique().StorageKey("grant_by_itself").
			Annotations(entsql.IndexWhere("by_itself AND revoked_at IS NULL")),
	}
}
