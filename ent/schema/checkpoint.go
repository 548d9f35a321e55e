package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// Checkpoint is a signed statement of how large an organization's journal was and of its tree's root.
// It is written by journal.Notary alone; Postgres lets nobody change or delete one.
type Checkpoint struct{ ent.Schema }

// Mixin of Checkpoint.
func (Checkpoint) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of Checkpoint.
func (Checkpoint) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Checkpoint{}).Default(typeid.New[typeid.Checkpoint]),
		field.Int64("size").Positive().Immutable().Comment("of the tree: the sequence of its last event"),
		field.Text("note").NotEmpty().Immutable().Comment("the checkpoint as a C2SP signed note"),
		field.Time("signed_at").Immutable().Default(Now),
	}
}

// Indexes of Checkpoint.
func (Checkpoint) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "size").Unique()}
}
