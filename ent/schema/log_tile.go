package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/cardea/cardea/typeid"
)

// LogTile is up to 256 neighbouring hashes of a journal's Merkle tree, as C2SP tlog-tiles cuts it: of
// level 0 leaf hashes, of level n the roots of full tiles of level n-1. Proofs are made of them, after
// the events themselves were pruned too. They grow, note what was pruned, and never change otherwise.
type LogTile struct{ ent.Schema }

// Mixin of LogTile.
func (LogTile) Mixin() []ent.Mixin { return []ent.Mixin{tenant{}} }

// Fields of LogTile.
func (LogTile) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.LogTile{}).Default(typeid.New[typeid.LogTile]),
		field.Int64("level").NonNegative().Immutable(),
		field.Int64("position").NonNegative().Immutable().Comment("of the tile in its level, from 0"),
		field.Bytes("hashes").NotEmpty().MaxLen(256 * 32).Comment("32 bytes each"),
		field.JSON("pruned", []string{}).Optional().
			Comment("signed notes of which of its entries retention took; of level 0 alone"),
	}
}

// Indexes of LogTile.
func (LogTile) Indexes() []ent.Index {
	return []ent.Index{index.Fields("org_id", "level", "position").Unique()}
}
