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
// bytes: its leaf is the one that it had. It returns the chain as it ends, on which Append goes on.
//
// It fails with ErrInvalid, and the line's number, for one that is not canonical, of another
// organization, out of order, or not of the catalogue: then nothing may be committed.
func Load(
	ctx context.Context, tx *ent.Tx, org typeid.Organization, lines iter.Seq2[[]byte, error],
) (*Chain, error) {
	chain, err := Resume(org, 0, nil)
	if err != nil {
		return nil, err
	}
	var rows []*ent.EventCreate
	size := 0
	for line, err := range lines {
		if err != nil {
			return nil, err
		}
		row, err := chain.load(tx, line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", chain.Sequence()+1, err)
		}
		rows, size = append(rows, row), size+len(line)
		if len(rows) < maxRows && size < loadBytes {
			continue
		}
		if err := tx.Event.CreateBulk(rows...).Exec(ctx); err != nil {
			return nil, fmt.Errorf("line %d: %w", chain.Sequence(), err)
		}
		rows, size = rows[:0], 0
	}
	if len(rows) > 0 {
		if err := tx.Event.CreateBulk(rows...).Exec(ctx); err != nil {
			return nil, fmt.Errorf("line %d: %w", chain.Sequence(), err)
		}
	}
	err = tx.JournalHead.UpdateOneID(org).
		SetSeq(chain.Sequence()).SetCompactRange(chain.CompactRange()).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("move journal head: %w", err)
	}
	return chain, nil
}

// load makes the row of the chain's next event.
func (c *Chain) load(tx *ent.Tx, line []byte) (*ent.EventCreate, error) {
	e, err := Decode(line)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	switch _, known := Lookup(e.Type); {
	case !known:
		return nil, fmt.Errorf("%w: unknown type %q", ErrInvalid, e.Type)
	case e.Organization != c.org:
		return nil, fmt.Errorf("%w: of another organization", ErrInvalid)
	case e.Sequence != c.count+1:
		return nil, fmt.Errorf("%w: out of order", ErrInvalid)
	}
	if err := e.checkData(); err != nil {
		return nil, err
	}
	sealed, leaf, err := c.Seal(e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !bytes.Equal(leaf, hasher.HashLeaf(line)) {
		return nil, fmt.Errorf("%w: not in canonical form", ErrInvalid)
	}
	return sealed.row(tx.Event.Create(), leaf), nil
}
