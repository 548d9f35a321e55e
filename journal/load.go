package journal

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

// loadBytes is how many bytes of events Load holds at once.
const loadBytes = 1 << 20

// Load fills the journal of an organization that has just been started with events of another
// installation, in the transaction that makes the organization. Each line is an event's canonical
// bytes: its leaf is the one that it had. Gaps are what was pruned between them. It makes the tiles of
// the tree too, and returns the chain as it ends, on which Append goes on.
//
// It fails with ErrInvalid, and the line's number, for one that is not canonical, of another
// organization, out of order, or not of the catalogue: then nothing may be committed.
func Load(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, lines iter.Seq2[[]byte, error],
	gaps iter.Seq2[Gap, error],
) (*Chain, error) {
	chain, err := Resume(org, 0, nil)
	if err != nil {
		return nil, err
	}
	gap, stop := iter.Pull2(gaps)
	defer stop()
	l := &loading{Chain: chain, gap: func() (Gap, error, bool) { g, err, more := gap(); return g, err, more }}
	if err := l.load(ctx, tx, lines); err != nil {
		return nil, err
	}
	err = tx.JournalHead.UpdateOneID(org).
		SetSeq(chain.Sequence()).SetCompactRange(chain.CompactRange()).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("move journal head: %w", err)
	}
	return chain, nil
}

func (l *loading) load(ctx context.Context, tx *ent.Tx, lines iter.Seq2[[]byte, error]) error {
	var rows []*ent.EventCreate
	size, number := 0, 0
	for line, err := range lines {
		if err != nil {
			return err
		}
		number++
		row, err := l.event(ctx, tx, line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		rows, size = append(rows, row), size+len(line)
		if len(rows) < maxRows && size < loadBytes {
			continue
		}
		if err := tx.Event.CreateBulk(rows...).Exec(ctx); err != nil {
			return fmt.Errorf("up to line %d: %w", number, err)
		}
		rows, size = rows[:0], 0
	}
	if len(rows) > 0 {
		if err := tx.Event.CreateBulk(rows...).Exec(ctx); err != nil {
			return fmt.Errorf("up to line %d: %w", number, err)
		}
	}
	if err := l.skip(ctx, tx, 0); err != nil {
		return err
	}
	return l.edge.write(ctx, tx)
}

// event makes the row of the next event that was not pruned.
func (l *loading) event(ctx context.Context, tx *ent.Tx, line []byte) (*ent.EventCreate, error) {
	e, err := Decode(line)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := l.skip(ctx, tx, e.Sequence); err != nil {
		return nil, err
	}
	row, leaf, err := l.Chain.load(tx, e, line)
	if err != nil {
		return nil, err
	}
	return row, l.leaf(ctx, tx, leaf)
}

// load makes the row of the chain's next event, of its line.
func (c *Chain) load(tx *ent.Tx, e Event, line []byte) (*ent.EventCreate, []byte, error) {
	switch _, known := Lookup(e.Type); {
	case !known:
		return nil, nil, fmt.Errorf("%w: unknown type %q", ErrInvalid, e.Type)
	case e.Organization != c.org:
		return nil, nil, fmt.Errorf("%w: of another organization", ErrInvalid)
	case e.Sequence != c.count+1:
		return nil, nil, fmt.Errorf("%w: out of order", ErrInvalid)
	}
	if err := e.checkData(); err != nil {
		return nil, nil, err
	}
	sealed, leaf, err := c.Seal(e)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !bytes.Equal(leaf, hasher.HashLeaf(line)) {
		return nil, nil, fmt.Errorf("%w: not in canonical form", ErrInvalid)
	}
	return sealed.row(tx.Event.Create(), leaf), leaf, nil
}
