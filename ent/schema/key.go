package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Key lets a person or a group open what its targets name. A key that was shared from another one
// never opens more than that one does.
type Key struct{ ent.Schema }

// Mixin of Key.
func (Key) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}, stamped{}} }

// Fields of Key.
func (Key) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Key{}).Default(typeid.New[typeid.Key]),
		field.UUID("user_id", typeid.User{}).Optional().Nillable().
			Comment("null if for a group, or shared and not yet redeemed"),
		field.UUID("user_group_id", typeid.UserGroup{}).Optional().Nillable().Immutable(),
		field.UUID("schedule_id", typeid.Schedule{}).Optional().Nillable(),
		field.Time("valid_from").Optional().Nillable().Comment("inclusive"),
		field.Time("valid_until").Optional().Nillable().Comment("exclusive"),
		field.Int("uses").Optional().Nillable().Positive().Comment("how often it opens; null: any number"),
		field.Int("uses_left").Optional().Nillable().NonNegative(),
		field.Bool("remote").Default(true).Comment("opens from afar too, not only at the door"),
		field.Int("shares_left").Default(0).NonNegative().Comment("how many more keys may be shared from it"),
		field.UUID("parent_id", typeid.Key{}).Optional().Nillable().Immutable().
			Comment("the key that it was shared from"),
		field.Int("depth").Default(0).Range(0, 3).Immutable().Comment("how many shares lie above it"),
		field.UUID("shared_by_id", typeid.User{}).Optional().Nillable().Immutable(),
		field.String("recipient").Optional().Nillable().Sensitive().MaxLen(254).Immutable().
			Comment("e-mail address or phone number that it was shared to"),
		field.String("recipient_name").Optional().Nillable().Sensitive().MaxLen(200).Immutable().
			Comment("what to call whoever redeems it"),
		field.Bytes("link_hash").Optional().Nillable().Sensitive().MaxLen(32).
			Comment("SHA-256 of the secret in its link"),
		field.Time("redeemed_at").Optional().Nillable(),
		field.Time("suspended_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
	}
}

// Indexes of Key.
func (Key) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_id", "id"),
		index.Fields("org_id", "user_group_id", "id"),
		index.Fields("org_id", "parent_id", "id"),
		index.Fields("org_id", "shared_by_id", "id"),
		index.Fields("org_id", "schedule_id"),
		index.Fields("org_id", "link_hash").Unique(),
	}
}
