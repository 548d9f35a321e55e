package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// UserGroupMember is one person of a group, for a time.
type UserGroupMember struct{ ent.Schema }

// Mixin of UserGroupMember.
func (UserGroupMember) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of UserGroupMember.
func (UserGroupMember) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.UserGroupMember{}).Default(typeid.New[typeid.UserGroupMember]),
		field.UUID("user_group_id", typeid.UserGroup{}).Immutable(),
		field.UUID("user_id", typeid.User{}).Immutable(),
		field.Time("valid_from").Optional().Nillable().Comment("inclusive"),
		field.Time("valid_until").Optional().Nillable().Comment("exclusive"),
	}
}

// Indexes of UserGroupMember.
func (UserGroupMember) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("org_id", "user_group_id", "user_id").Unique(),
		index.Fields("org_id", "user_id", "user_group_id"),
	}
}
