package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// IdentityProvider is who an organization lets say who its people are, by OpenID Connect.
type IdentityProvider struct{ ent.Schema }

// Mixin of IdentityProvider.
func (IdentityProvider) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of IdentityProvider. Identities are of an issuer: another one is another provider.
func (IdentityProvider) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.IdentityProvider{}).Default(typeid.New[typeid.IdentityProvider]),
		field.String("name").NotEmpty().MaxLen(100),
		field.String("issuer").Immutable().MaxLen(2048),
		field.String("client").MaxLen(255).Comment("as the provider calls us"),
		field.Bytes("client_secret").Sensitive().Comment("sealed"),
		field.JSON("domains", []string{}).Comment("of e-mail addresses that it may vouch for"),
		field.Bool("required").Comment("whether nobody but owners may sign in otherwise"),
		field.Bool("create_users").Comment("whether whoever comes from it and is unknown becomes a user"),
		field.Time("disabled_at").Optional().Nillable(),
	}
}

// Indexes of IdentityProvider. A domain is looked up before the organization is known.
func (IdentityProvider) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "issuer", "client").Unique(),
		index.Fields("domains").Annotations(entsql.IndexType("GIN")),
	}
}
