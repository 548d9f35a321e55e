package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/cardea/cardea/typeid"
)

// JournalHead is an organization's end of the journal: the lock that makes commit order equal
// number order, and the Merkle tree's state.
type JournalHead struct{ ent.Schema }

// Annotations of JournalHead.
func (JournalHead) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "journal_heads"}}
}

// Fields of JournalHead.
func (JournalHead) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", typeid.Organization{}).StorageKey("org_id"),
		field.Int64("seq").Default(0).Comment("of the newest event; also the tree's size"),
		field.Bytes("compact_range").Optional().
			Comment("hashes of the tree's perfect subtrees, largest first, 32 bytes each"),
	}
}
