package journal

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/checkpoint"
)

// ErrNotKept says that a proof was asked for of what no checkpoint covers, or not yet.
var ErrNotKept = errors.New("no checkpoint covers this")

// The functions below read the tree of the organization of the actor of ctx, from tiles alone: they
// answer alike whether the events are still kept or not. A proof takes one statement, whatever the
// tree's size.

// LeafHash returns the RFC 6962 leaf hash of an event: what proofs are about.
func LeafHash(e Event) ([]byte, error) {
	bytes, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return hasher.HashLeaf(bytes), nil
}

// Covering returns the oldest checkpoint of at least a size, or nil; of size 0, the newest.
func Covering(ctx context.Context, db *ent.Client, size int64) (*ent.Checkpoint, error) {
	q := db.Checkpoint.Query()
	if size > 0 {
		q.Where(checkpoint.SizeGTE(size)).Order(checkpoint.BySize())
	} else {
		q.Order(checkpoint.BySize(sql.OrderDesc()))
	}
	found, err := q.First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return found, nil
}

// Inclusion returns the hash of the leaf of an event and the RFC 6962 proof that it is in the tree of
// a size: the hashes of its siblings, lowest first.
func Inclusion(
	ctx context.Context, db *ent.Client, sequence, size int64,
) (leaf []byte, siblings [][]byte, err error) {
	if sequence < 1 || sequence > size {
		return nil, nil, fmt.Errorf("%w: event %d of %d", ErrNotKept, sequence, size)
	}
	index := uint64(sequence - 1) //nolint:gosec // positive
	nodes, err := proof.Inclusion(index, uint64(size))
	if err != nil {
		return nil, nil, err
	}
	ids := append([]compact.NodeID{{Level: 0, Index: index}}, nodes.IDs...)
	hashes, err := readNodes(ctx, db, ids)
	if err != nil {
		return nil, nil, err
	}
	siblings, err = nodes.Rehash(hashes[1:], hasher.HashChildren)
	return hashes[0], siblings, err
}

// Consistency returns the RFC 6962 proof that the tree of one size is the beginning of the tree of a
// larger one.
func Consistency(ctx context.Context, db *ent.Client, from, to int64) ([][]byte, error) {
	if from < 0 || from > to {
		return nil, fmt.Errorf("%w: from %d to %d", ErrNotKept, from, to)
	}
	nodes, err := proof.Consistency(uint64(from), uint64(to)) //nolint:gosec // G115: neither is negative
	if err != nil {
		return nil, err
	}
	hashes, err := readNodes(ctx, db, nodes.IDs)
	if err != nil {
		return nil, err
	}
	return nodes.Rehash(hashes, hasher.HashChildren)
}

// Span returns the roots of the perfect subtrees that cover the events after one sequence up to
// another: a compact range, largest first if it begins with the log.
func Span(ctx context.Context, db *ent.Client, after, last int64) ([][]byte, error) {
	if after < 0 || after > last {
		return nil, fmt.Errorf("%w: from %d to %d", ErrNotKept, after, last)
	}
	return readNodes(ctx, db, compact.RangeNodes(
		uint64(after), uint64(last), nil)) //nolint:gosec // G115: neither is negative
}
