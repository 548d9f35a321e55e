package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Start makes the organization's empty journal, in the transaction that makes the organization.
func Start(ctx context.Context, tx *ent.Tx, org typeid.Organization) error {
	if err := tx.JournalHead.Create().SetID(org).Exec(ctx); err != nil {
		return fmt.Errorf("start journal: %w", err)
	}
	return nil
}

// Append records events as the last statement of the transaction that makes them true, and returns
// them as recorded. It fills the identifier, the sequence, the times, the actor of ctx and the
// severity where they are not given. An event that the catalogue does not allow fails the
// transaction with ErrInvalid.
//
// Append waits for the organization's other appenders; whoever calls it must commit soon after.
func Append(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, events ...Event,
) ([]Event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	by, ok := actor.FromContext(ctx)
	if !ok {
		return nil, errors.New("append to journal: no actor")
	}
	head, err := tx.JournalHead.Query().Where(journalhead.ID(org)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock journal head: %w", err)
	}
	chain, err := Resume(org, head.Seq, head.CompactRange)
	if err != nil {
		return nil, err
	}
	now := schema.Now()
	creates := make([]*ent.EventCreate, len(events))
	for i, e := range events {
		e, err := e.prepare(Actor{by.Kind, by.ID(), by.Application}, now)
		if err != nil {
			return nil, err
		}
		sealed, leaf, err := chain.Seal(e)
		if err != nil {
			return nil, err
		}
		events[i], creates[i] = sealed, sealed.row(tx.Event.Create(), leaf)
	}
	for some := range slices.Chunk(creates, maxRows) {
		if err := tx.Event.CreateBulk(some...).Exec(ctx); err != nil {
			return nil, fmt.Errorf("append to journal: %w", err)
		}
	}
	// Not UpdateOne, which reads the row again.
	err = tx.JournalHead.Update().Where(journalhead.ID(org)).
		SetSeq(chain.Sequence()).SetCompactRange(chain.CompactRange()).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("move journal head: %w", err)
	}
	return events, nil
}

// maxRows is how many events one statement inserts: Postgres takes 65,535 arguments.
const maxRows = 1000

// Chain numbers and hashes the events of one organization. Append uses it, and so does whoever
// loads a journal in bulk.
type Chain struct {
	org   typeid.Organization
	tree  *compact.Range
	count int64
}

var (
	hasher = rfc6962.DefaultHasher
	ranges = compact.RangeFactory{Hash: hasher.HashChildren}
)

// hashSize is the length of SHA-256, in bytes.
const hashSize = 32

// Resume continues a chain from its head row; a new one has sequence 0 and no range.
func Resume(org typeid.Organization, sequence int64, compactRange []byte) (*Chain, error) {
	tree, err := ranges.NewRange(0, uint64(sequence), split(compactRange)) //nolint:gosec // never negative
	if err != nil {
		return nil, fmt.Errorf("resume journal of %s at %d: %w", org, sequence, err)
	}
	return &Chain{org: org, tree: tree, count: sequence}, nil
}

// Seal gives the event its organization and number, and adds it to the tree. It returns the leaf
// hash that belongs in the row.
func (c *Chain) Seal(e Event) (Event, []byte, error) {
	e.Organization, e.Sequence = c.org, c.count+1
	bytes, err := e.Encode()
	if err != nil {
		return e, nil, err
	}
	leaf := hasher.HashLeaf(bytes)
	return e, leaf, c.Add(leaf)
}

// Add adds the next event to the tree by its leaf hash alone.
func (c *Chain) Add(leaf []byte) error {
	if err := c.tree.Append(leaf, nil); err != nil {
		return fmt.Errorf("add leaf: %w", err)
	}
	c.count++
	return nil
}

// Sequence returns the number of the newest event, which is also the tree's size.
func (c *Chain) Sequence() int64 { return c.count }

// CompactRange returns the hashes of the tree's perfect subtrees, joined, largest first.
func (c *Chain) CompactRange() []byte {
	return join(c.tree.Hashes())
}

// Root returns the RFC 6962 root of the tree.
func (c *Chain) Root() ([]byte, error) {
	if c.count == 0 {
		return hasher.EmptyRoot(), nil
	}
	root, err := c.tree.GetRootHash(nil)
	if err != nil {
		return nil, fmt.Errorf("root of journal: %w", err)
	}
	return root, nil
}
