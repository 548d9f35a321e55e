package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/checkpoint"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/logtile"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

// LogRange says which part of an organization's log an export is of. The zero value: all of it.
type LogRange struct {
	First, Last int64 // sequences; 0: the log's own
	// From and To cut by the time at which events reached us, instead of First and Last: from the first
	// event that came at From or later, to the last that came before To.
	From, To time.Time
	// Size is that of the checkpoint to export under; 0: of one that is signed now.
	Size int64
	// After goes on with an export that broke off after this entry: the file's lines that follow it.
	After int64
	// Previous is the size of a checkpoint that the reader has: the file shows that it extends that one.
	Previous int64
}

// LogSource is what an export of a log reads.
type LogSource struct {
	// DB is asked as the actor of the context, who names the organization.
	DB           *ent.Client
	Notary       *journal.Notary
	Organization typeid.Organization
}

// logPlan is what an export will write.
type logPlan struct {
	source LogSource
	header extract.Header
	after  int64 // the entry that was written last
	until  int64 // no entry after this is looked for
	tail   bool  // what should not be there is looked for after the end
}

// errUnknownSize refuses to go on under a checkpoint that there is not.
var errUnknownSize = access.Error{
	Code: access.CodeBadUserInput, Field: "size", Message: "is that of no checkpoint"}

// plan finds the entries and the hashes that lead to the root.
func (s LogSource) plan(ctx context.Context, want LogRange) (*logPlan, error) {
	p := &logPlan{source: s, after: want.After}
	h := &p.header
	if err := p.sign(ctx, want.Size); err != nil {
		return nil, err
	}
	if err := p.cut(ctx, want); err != nil {
		return nil, err
	}
	p.tail = want.Last == 0 && want.To.IsZero() && want.First <= h.Last+1
	var err error
	if h.Before, err = kept(journal.Span(ctx, s.DB, 0, h.First-1)); err != nil {
		return nil, err
	}
	if h.After, err = kept(journal.Span(ctx, s.DB, h.Last, h.Size)); err != nil {
		return nil, err
	}
	if m := want.Previous; m > 0 && m <= h.Size && (m < h.First-1 || m > h.Last) {
		hashes, err := kept(journal.Consistency(ctx, s.DB, m, h.Size))
		if err != nil {
			return nil, err
		}
		h.Consistency = &extract.Consistency{From: m, Hashes: hashes}
	}
	return p, nil
}

// kept makes nothing of hashes that should be there and are not: the file is then written all the same, and
// does not verify.
func kept(hashes [][]byte, err error) ([][]byte, error) {
	if errors.Is(err, journal.ErrNotKept) {
		return nil, nil
	}
	return hashes, err
}

// sign finds the checkpoint, or has one signed. Of a journal that was edited the newest is taken, and the
// file says why there is no newer one.
func (p *logPlan) sign(ctx context.Context, size int64) (err error) {
	var found *ent.Checkpoint
	if size > 0 {
		found, err = p.source.DB.Checkpoint.Query().Where(checkpoint.Size(size)).Only(ctx)
		if ent.IsNotFound(err) {
			err = errUnknownSize
		}
	} else {
		found, err = p.source.Notary.Sign(ctx, p.source.Organization)
		if errors.Is(err, journal.ErrBroken) {
			p.header.Refused = err.Error()
			found, err = journal.Covering(ctx, p.source.DB, 0)
		}
	}
	if err != nil {
		return fmt.Errorf("find checkpoint: %w", err)
	}
	p.header.Origin = signed.Origin(p.source.Organization)
	if found != nil {
		p.header.Size, p.header.Checkpoint = found.Size, found.Note
	}
	p.until, err = p.source.end(ctx)
	return err
}

// end is after the last event that there may be: a forged checkpoint shall not make a file endless.
func (s LogSource) end(ctx context.Context) (int64, error) {
	head, err := s.DB.JournalHead.Query().Only(ctx)
	if err != nil {
		return 0, fmt.Errorf("read journal head: %w", err)
	}
	return max(head.Seq, 0) + margin, nil
}

// margin is how many entries after the journal's head are looked for, to name the first that is missing
// where the end was cut off.
const margin = 1 << 20

// cut finds the first and the last entry.
func (p *logPlan) cut(ctx context.Context, want LogRange) error {
	h := &p.header
	h.First, h.Last = max(want.First, 1), min(h.Size, p.until)
	if want.Last > 0 {
		h.Last = min(want.Last, h.Last)
	}
	end := h.Last
	if !want.From.IsZero() {
		before, err := p.source.before(ctx, want.From, end)
		if err != nil {
			return err
		}
		h.First = before + 1
	}
	if !want.To.IsZero() {
		before, err := p.source.before(ctx, want.To, end)
		if err != nil {
			return err
		}
		h.Last = before
	}
	h.First = min(h.First, end+1)
	h.Last = max(h.Last, h.First-1)
	return nil
}

// before is the sequence of the last event that reached us before an instant, of so many: times rise
// with sequences, but for the differences of the nodes' clocks.
func (s LogSource) before(ctx context.Context, at time.Time, size int64) (int64, error) {
	low, high := int64(0), size
	for low < high {
		middle := (low + high + 1) / 2
		row, err := s.DB.Event.Query().Where(event.SeqGTE(middle), event.SeqLTE(high)).
			Order(event.BySeq()).Limit(1).Select(event.FieldSeq, event.FieldReceivedAt).All(ctx)
		if err != nil {
			return 0, fmt.Errorf("look for %s in the log: %w", at, err)
		}
		switch {
		case len(row) == 0: // none of the later ones is kept
			high = middle - 1
		case row[0].ReceivedAt.Before(at):
			low = row[0].Seq
		default:
			high = middle - 1
		}
	}
	return low, nil
}

// WriteLog writes a log with its proof, as package extract says. It needs little memory, however long the
// log is. It does not record that it was read: RecordExport does.
func WriteLog(ctx context.Context, s LogSource, want LogRange, to io.Writer) error {
	p, err := s.plan(ctx, want)
	if err != nil {
		return err
	}
	return p.write(ctx, to)
}

// logPage is how many entries are read at once: some whole tiles.
const logPage = 8 * extract.TileSize

func (p *logPlan) write(ctx context.Context, to io.Writer) error {
	w, h := extract.NewWriter(to), p.header
	next := h.First
	if p.after == 0 {
		if err := w.WriteHeader(h); err != nil {
			return err
		}
	} else {
		next = min(max(p.after, h.First), h.Last+1) // again, for the lines that follow it
	}
	for next <= h.Last {
		end := min((next-1)/logPage*logPage+logPage, h.Last)
		if err := p.page(ctx, w, next, end); err != nil {
			return err
		}
		next = end + 1
	}
	if !p.tail {
		return nil
	}
	rows, err := p.source.DB.Event.Query().Where(func(s *entsql.Selector) {
		s.Where(entsql.ExprP("seq > (SELECT h.seq FROM journal_heads AS h WHERE h.org_id = events.org_id)"))
	}).Order(event.BySeq()).Limit(logPage).All(ctx)
	if err != nil {
		return fmt.Errorf("read after the log: %w", err)
	}
	return writeEntries(w, rows, false)
}

// page writes the entries of a range, each with what follows it.
func (p *logPlan) page(ctx context.Context, w *extract.Writer, first, last int64) error {
	db := p.source.DB
	rows, err := db.Event.Query().Where(event.SeqGTE(first), event.SeqLTE(last)).
		Order(event.BySeq()).All(ctx)
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	least := first
	if first == 1 {
		least = math.MinInt64 // one that says less than an entry was edited, and is to be seen
	}
	signed, err := db.Checkpoint.Query().Where(checkpoint.SizeGTE(least), checkpoint.SizeLTE(last)).
		Order(checkpoint.BySize()).All(ctx)
	if err != nil {
		return fmt.Errorf("read checkpoints: %w", err)
	}
	tiles, err := p.tiles(ctx, first, last)
	if err != nil {
		return err
	}
	for sequence := first; sequence <= last; sequence++ {
		there := 0
		for there < len(rows) && rows[there].Seq == sequence {
			there++
		}
		err := writeEntries(w, rows[:there], sequence == p.after)
		rows = rows[there:]
		for ; err == nil && len(signed) > 0 && signed[0].Size <= sequence; signed = signed[1:] {
			err = w.WriteCheckpoint(extract.Checkpoint{Size: signed[0].Size, Note: signed[0].Note})
		}
		for err == nil && len(tiles) > 0 && p.endOf(tiles[0].Level, tiles[0].Position) == sequence {
			err = w.WriteTile(extract.Tile{
				Level: tiles[0].Level, Position: tiles[0].Position, Hashes: tiles[0].Hashes,
				Pruned: tiles[0].Pruned})
			tiles = tiles[1:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endOf is the last entry of the file that a tile is about.
func (p *logPlan) endOf(level, position int64) int64 {
	return min((position+1)<<(8*(level+1)), p.header.Last)
}

// tiles are those that end in a range of entries, in that order, lower levels first.
func (p *logPlan) tiles(ctx context.Context, first, last int64) ([]*ent.LogTile, error) {
	var each []predicate.LogTile
	for level := range int64(maxLevel) {
		from, to := (first-1)>>(8*(level+1)), (last-1)>>(8*(level+1))
		if p.endOf(level, to) > last {
			to--
		}
		if from <= to {
			each = append(each, logtile.And(logtile.Level(level),
				logtile.PositionGTE(from), logtile.PositionLTE(to)))
		}
	}
	found, err := p.source.DB.LogTile.Query().Where(logtile.Or(each...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tiles: %w", err)
	}
	slices.SortFunc(found, func(a, b *ent.LogTile) int {
		return cmp.Or(cmp.Compare(p.endOf(a.Level, a.Position), p.endOf(b.Level, b.Position)),
			cmp.Compare(a.Level, b.Level), cmp.Compare(a.Position, b.Position))
	})
	return found, nil
}

// maxLevel bounds the levels of tiles: 256^7 events are more than a bigint of them.
const maxLevel = 7

// writeEntries writes events, unless they were before, and after each the leaf hash of its row if that is
// another than its own. What cannot be an event is missing.
func writeEntries(w *extract.Writer, rows []*ent.Event, again bool) error {
	for _, row := range rows {
		line, err := journal.FromRow(row).Encode()
		if err != nil {
			continue
		}
		if !again {
			err = w.WriteEntry(line)
		}
		if err := errors.Join(err, w.WriteLeaf(row.Seq, line, row.LeafHash)); err != nil {
			return err
		}
	}
	return nil
}
