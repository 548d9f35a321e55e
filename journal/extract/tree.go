package extract

import (
	"slices"

	"github.com/transparency-dev/merkle/compact"
)

// tree is a Merkle tree that grows by leaves, from a compact range on. It knows the hashes of the
// subtrees that tiles of higher levels hold.
type tree struct {
	grown *compact.Range
	nodes map[compact.NodeID][]byte // of levels 8, 16, …, until a tile was held against them
	err   error
}

func newTree(after int64, before [][]byte) (*tree, error) {
	grown, err := ranges.NewRange(0, uint64(after), slices.Clone(before)) //nolint:gosec // never negative
	return &tree{grown: grown, nodes: map[compact.NodeID][]byte{}}, err
}

func (t *tree) size() int64 { return int64(t.grown.End()) } //nolint:gosec // of bigints

// add appends a leaf. One that is nowhere is taken for an empty one: the tree is wrong by then.
func (t *tree) add(leaf []byte) {
	if leaf == nil {
		leaf = make([]byte, hashSize)
	}
	err := t.grown.Append(leaf, func(id compact.NodeID, hash []byte) {
		if id.Level > 0 && id.Level%8 == 0 {
			t.nodes[id] = hash
		}
	})
	if err != nil && t.err == nil {
		t.err = err
	}
}

// root is that of a larger tree, of which this is the beginning and after the rest; nil if that does
// not fit.
func (t *tree) root(after [][]byte, size int64) []byte {
	whole, err := ranges.NewRange(0, t.grown.End(), slices.Clone(t.grown.Hashes()))
	if err != nil || t.err != nil {
		return nil
	}
	rest, err := ranges.NewRange(t.grown.End(), uint64(size), after) //nolint:gosec // never negative
	if err != nil || whole.AppendRange(rest, nil) != nil {
		return nil
	}
	root, err := whole.GetRootHash(nil)
	if err != nil {
		return nil
	}
	return root
}

// node is a hash of a level of tiles, if the entries told it.
func (t *tree) node(level, index int64) (hash []byte, known bool) {
	hash, known = t.nodes[compact.NodeID{Level: uint(8 * level), Index: uint64(index)}] //nolint:gosec // checked
	return hash, known
}

// passed forgets what a tile was held against.
func (t *tree) passed(level, position, count int64) {
	for i := range count {
		delete(t.nodes, compact.NodeID{
			Level: uint(8 * level), Index: uint64(position*TileSize + i)}) //nolint:gosec // checked
	}
}

// lacking is a level of hashes that the file should hold and does not; 0 if none is.
func (t *tree) lacking() uint {
	for id := range t.nodes {
		return id.Level
	}
	return 0
}
