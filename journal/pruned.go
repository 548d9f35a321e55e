package journal

import (
	"context"
	"fmt"
	"iter"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal/signed"
)

// Gap is the leaf hashes of events that were pruned, one after the other.
type Gap struct {
	First  int64    `json:"first"`  // the sequence of the first of them
	Leaves [][]byte `json:"leaves"` // of one tile at most
	// Notes are what the tile says of its pruning, as it was signed. The tile's first gap has them.
	Notes []string `json:"notes,omitempty"`
}

// gapPage is how many sequences are read at once to find what was pruned.
const gapPage = 10_000

// Gaps are the leaves of the events of the actor's organization that were pruned, in order, out of the
// tiles that keep them: with these, what is left of a journal proves itself.
func Gaps(ctx context.Context, db *ent.Client) iter.Seq2[Gap, error] {
	return func(yield func(Gap, error) bool) {
		noted := int64(-1)
		head, err := db.JournalHead.Query().Only(ctx)
		if err != nil {
			yield(Gap{}, fmt.Errorf("read journal head: %w", err))
			return
		}
		for last := int64(0); last < head.Seq; {
			rows, err := db.Event.Query().Where(event.SeqGT(last)).Order(event.BySeq()).Limit(gapPage).
				Select(event.FieldSeq).All(ctx)
			if err != nil {
				yield(Gap{}, fmt.Errorf("read sequences: %w", err))
				return
			}
			if len(rows) < gapPage {
				rows = append(rows, &ent.Event{Seq: head.Seq + 1}) // behind the last
			}
			for _, row := range rows {
				if !yieldGaps(ctx, db, last+1, row.Seq-1, &noted, yield) {
					return
				}
				last = row.Seq
			}
		}
	}
}

// yieldGaps yields the leaves of some sequences, tile by tile. Noted is the tile whose notes were yielded last.
func yieldGaps(
	ctx context.Context, db *ent.Client, from, to int64, noted *int64, yield func(Gap, error) bool,
) bool {
	for from <= to {
		at := place{0, (from - 1) / tileSize}
		end := min(to, (at.position+1)*tileSize)
		tiles, err := readTiles(ctx, db, []place{at})
		begin, stop := (from-1)%tileSize*hashSize, (end-at.position*tileSize)*hashSize
		if tile := tiles[at]; err == nil && (tile == nil || int64(len(tile.Hashes)) < stop) {
			err = fmt.Errorf("%w: leaves from %d to %d", ErrNotKept, from, end)
		}
		if err != nil {
			yield(Gap{}, err)
			return false
		}
		gap := Gap{First: from, Leaves: split(tiles[at].Hashes[begin:stop])}
		if *noted != at.position {
			gap.Notes, *noted = tiles[at].Pruned, at.position
		}
		if !yield(gap, nil) {
			return false
		}
		from = end + 1
	}
	return true
}

// loading is a journal that is being loaded: its chain, the tiles that grow with it, and what was pruned.
type loading struct {
	*Chain
	edge edge
	gap  func() (Gap, error, bool)
}

// leaf takes the leaf of the next event. Tiles that are full are written now and then: each has 256.
func (l *loading) leaf(ctx context.Context, tx *ent.Tx, hash []byte) error {
	l.edge.add(0, hash)
	if len(l.edge.grown) < 100 {
		return nil
	}
	full := edge{grown: l.edge.grown}
	l.edge.grown = nil
	return full.write(ctx, tx)
}

// skip takes the leaves of what was pruned before a sequence, or of all that is left for 0.
func (l *loading) skip(ctx context.Context, tx *ent.Tx, before int64) error {
	for before == 0 || l.count+1 < before {
		gap, err, more := l.gap()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if gap.First != l.count+1 || len(gap.Leaves) == 0 || len(gap.Leaves) > tileSize {
			return fmt.Errorf("%w: what was pruned is out of order", ErrInvalid)
		}
		if err := l.take(gap); err != nil {
			return err
		}
		for _, hash := range gap.Leaves {
			if len(hash) != hashSize {
				return fmt.Errorf("%w: a leaf of %d bytes", ErrInvalid, len(hash))
			}
			if err := l.tree.Append(hash, nil); err != nil {
				return fmt.Errorf("append leaf: %w", err)
			}
			l.count++
			if err := l.leaf(ctx, tx, hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxNotes is how many notes a tile may have: one for each installation that pruned it.
const maxNotes = 8

// take takes the notes of a tile as they are, whoever signed them: whoever verifies has the key or has not.
func (l *loading) take(gap Gap) error {
	if len(gap.Notes) > maxNotes {
		return fmt.Errorf("%w: too many notes of what was pruned", ErrInvalid)
	}
	for _, text := range gap.Notes {
		said, err := signed.PeekPruned(text)
		if err != nil || said.Origin != signed.Origin(l.org) || said.Position != (gap.First-1)/tileSize {
			return fmt.Errorf("%w: a note of what was pruned is of another place", ErrInvalid)
		}
	}
	if len(gap.Notes) > 0 {
		l.edge.noted(gap.Notes)
	}
	return nil
}
