package schema

import (
	"net/netip"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// APIToken lets a program act for a user. Only the SHA-256 of the secret is kept. The access tokens of
// applications are API tokens too, of a grant, and live an hour at most (docs/adr/0022).
type APIToken struct{ ent.Schema }

// Mixin of APIToken.
func (APIToken) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of APIToken.
func (APIToken) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.APIToken{}).Default(typeid.New[typeid.APIToken]),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.UUID("grant_id", typeid.Grant{}).Optional().Nillable().Immutable().
			Comment("of an access token: what an application acts by; null: made by a person"),
		field.UUID("application_id", typeid.Application{}).Optional().Nillable().Immutable().
			Comment("of an access token: the grant's"),
		field.String("name").NotEmpty().MaxLen(200),
		field.Bytes("hash").Sensitive().Comment("SHA-256 of the secret"),
		field.Bytes("previous_hash").Optional().Nillable().Sensitive().
			Comment("of the secret before the last rotation"),
		field.Time("previous_until").Optional().Nillable().Comment("until when that one is good too"),
		field.JSON("scopes", []actor.Scope{}).Optional().Comment("null: whatever its user may do"),
		field.JSON("site_ids", []typeid.Site{}).Optional().Comment("null: not confined to sites"),
		field.JSON("addresses", []netip.Prefix{}).Optional().Comment("where it may come from; null: anywhere"),
		field.Time("expires_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
		field.Time("last_used_at").Optional().Nillable(),
		field.String("last_used_address").Optional().Nillable(),
		field.JSON("known_addresses", []netip.Prefix{}).Optional().
			Comment("the last that it came from, newest last"),
	}
}

// Indexes of APIToken. The secret is looked up before the organization is known.
func (APIToken) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("hash"),
		index.Fields("previous_hash").Annotations(entsql.IndexWhere("previous_hash IS NOT NULL")),
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "application_id").
			Annotations(entsql.IndexWhere("application_id IS NOT NULL")),
		index.Fields("org_id", "grant_id").Annotations(entsql.IndexWhere("grant_id IS NOT NULL")),
		index.Fields("expires_at").Annotations(entsql.IndexWhere("grant_id IS NOT NULL")),
	}
}
