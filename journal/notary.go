package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/transparency-dev/merkle/compact"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

const (
	// signEvery is how old an organization's newest checkpoint is at least when the next is signed,
	// unless somebody asks for one.
	signEvery = 40 * time.Second
	// lookEvery is how often a node looks for organizations whose journal has grown. Together they stay
	// below a minute.
	lookEvery = 10 * time.Second
	// stretch is how many leaves one transaction puts into tiles.
	stretch = 64 * tileSize
)

// Notary signs checkpoints of the journals of all organizations, and keeps their trees in tiles. Any
// number of nodes may run one. They never sign two checkpoints that contradict each other: one works
// at a time for an organization, on what is committed, and its tree only grows.
//
// Before it signs it compares: the tiles with the newest checkpoint, whose signature it verifies, and
// what grew since with the journal's head. If they differ, then somebody has edited the
// database. It signs nothing more for that organization, and says so.
type Notary struct {
	db              *ent.Client
	keys            *signed.Keyring
	now             func() time.Time
	log             *slog.Logger
	signed, refused prometheus.Counter
}

// NotaryConfig is what a Notary needs.
type NotaryConfig struct {
	DB *ent.Client // carries the tenancy rule
	// Keys sign. For tests and tools only, nil means that nothing is signed.
	Keys       *signed.Keyring
	Now        func() time.Time // nil: the wall clock
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is counted
}

// ErrBroken says that a journal is not what was signed, or not what its head says.
var ErrBroken = errors.New("the journal was edited")

// NewNotary returns a notary that does not work yet.
func NewNotary(cfg NotaryConfig) *Notary {
	if cfg.Now == nil {
		cfg.Now = schema.Now
	}
	n := &Notary{
		db: cfg.DB, keys: cfg.Keys, now: cfg.Now, log: cfg.Log,
		signed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cardea_journal_checkpoints_total", Help: "Checkpoints that this node signed.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cardea_journal_refused_checkpoints_total",
			Help: "Checkpoints that this node refused to sign, as the journal was edited. Look at once.",
		}),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(n.signed, n.refused)
	}
	return n
}

// Keys returns the keys that sign or signed.
func (n *Notary) Keys() *signed.Keyring { return n.keys }

// Run signs what grew, until ctx ends.
func (n *Notary) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if _, err := n.Sweep(ctx); err != nil && ctx.Err() == nil {
			n.log.ErrorContext(ctx, "checkpoints failed", "error", err)
		}
	}
}

// Sweep signs a checkpoint for every organization whose newest is not new and does not cover its
// journal, and returns how many it signed.
func (n *Notary) Sweep(ctx context.Context) (count int, err error) {
	due, err := n.db.JournalHead.Query().Where(n.due).All(notary(ctx))
	if err != nil {
		return 0, fmt.Errorf("find journals that grew: %w", err)
	}
	var failed error
	for _, head := range due {
		made, err := n.sign(actor.NewContext(ctx, actor.System("notary").Within(head.ID)), head.ID, false)
		if made != nil {
			count++
		}
		failed = errors.Join(failed, err)
	}
	return count, failed
}

func notary(ctx context.Context) context.Context {
	return actor.NewContext(ctx, actor.System("notary"))
}

func (n *Notary) due(s *sql.Selector) {
	org, seq := s.C(journalhead.FieldID), s.C(journalhead.FieldSeq)
	s.Where(sql.P(func(b *sql.Builder) {
		b.Ident(seq).WriteString(` > 0 AND NOT EXISTS (SELECT FROM (
			SELECT c.size, c.signed_at FROM checkpoints AS c WHERE c.org_id = `).Ident(org).
			WriteString(` ORDER BY c.size DESC LIMIT 1) AS last WHERE last.size = `).Ident(seq).
			WriteString(` OR last.signed_at > `).Arg(n.now().Add(-signEvery)).WriteString(`)`)
	}))
}

// Sign returns a checkpoint that covers all that was committed to an organization's journal when it
// was called: nil of an empty one. The error wraps ErrBroken if the journal was edited.
func (n *Notary) Sign(ctx context.Context, org typeid.Organization) (*ent.Checkpoint, error) {
	return n.sign(actor.NewContext(ctx, actor.System("notary").Within(org)), org, true)
}

// sign does it in steps. Unless it shall wait for another node that works for the organization, it
// leaves the work to that one and returns nil.
func (n *Notary) sign(
	ctx context.Context, org typeid.Organization, wait bool,
) (made *ent.Checkpoint, err error) {
	for done := false; err == nil && !done; {
		made, done, err = n.step(ctx, org, wait)
	}
	if errors.Is(err, ErrBroken) {
		n.refused.Inc()
		n.log.ErrorContext(ctx, "no checkpoint is signed", "organization", org, "error", err)
	}
	return made, err
}

// step puts a stretch of leaves into tiles, and signs if it came to the head.
func (n *Notary) step(
	ctx context.Context, org typeid.Organization, wait bool,
) (made *ent.Checkpoint, done bool, err error) {
	tx, err := n.db.Tx(ctx)
	if err != nil {
		return nil, true, fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if mine, err := alone(ctx, tx, org, wait); err != nil || !mine {
		return nil, true, errors.Join(err, tx.Rollback())
	}
	head, err := tx.JournalHead.Get(ctx, org)
	if err != nil {
		return nil, true, fmt.Errorf("read journal head: %w", err)
	}
	last, err := n.newest(ctx, tx.Client(), org)
	if err != nil {
		return nil, true, err
	}
	grown, err := grow(ctx, tx, last, head)
	if err != nil {
		return nil, true, err
	}
	if done = grown == nil || int64(grown.End()) == head.Seq; done { //nolint:gosec // of bigints
		made, err = n.conclude(ctx, tx, last, head, grown)
	}
	if err == nil {
		err = tx.Commit()
	}
	return made, done, err
}

// lockClass sets the notary's advisory locks apart from others: "note" in ASCII.
const lockClass = 0x6e6f7465

// alone keeps other notaries from an organization until the transaction ends.
func alone(ctx context.Context, tx *ent.Tx, org typeid.Organization, wait bool) (mine bool, err error) {
	statement := `SELECT pg_try_advisory_xact_lock($1, hashtext($2))`
	if wait {
		statement = `SELECT true FROM pg_advisory_xact_lock($1, hashtext($2))`
	}
	rows, err := tx.QueryContext(ctx, statement, lockClass, org.String())
	if err != nil {
		return false, fmt.Errorf("lock tree: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&mine); err != nil {
			return false, fmt.Errorf("lock tree: %w", err)
		}
	}
	return mine, rows.Err()
}

// newest is what the newest checkpoint says: nil if there is none.
func (n *Notary) newest(
	ctx context.Context, db *ent.Client, org typeid.Organization,
) (*signed.Checkpoint, error) {
	row, err := Covering(ctx, db, 0)
	if row == nil || err != nil {
		return nil, err
	}
	said, err := signed.Open(row.Note, n.keys.Public()...)
	if err != nil {
		return nil, fmt.Errorf("%w: checkpoint %d: %w", ErrBroken, row.Size, err)
	}
	if said.Size != row.Size || said.Origin != signed.Origin(org) {
		return nil, fmt.Errorf("%w: checkpoint %d is of %s at %d", ErrBroken, row.Size, said.Origin, said.Size)
	}
	return &said, nil
}

// grow compares the tiles with the newest checkpoint, and appends the next leaves to them. It returns
// the tree as far as it got: nil if there is none.
func grow(
	ctx context.Context, tx *ent.Tx, last *signed.Checkpoint, head *ent.JournalHead,
) (*compact.Range, error) {
	db := tx.Client()
	if last != nil {
		if root, err := rootAt(ctx, db, last.Size); err != nil {
			return nil, broken(err, "the tiles lack what checkpoint %d covers", last.Size)
		} else if !bytes.Equal(root, last.Root) {
			return nil, fmt.Errorf("%w: the tiles are not what checkpoint %d signed", ErrBroken, last.Size)
		}
	}
	e, err := openEdge(ctx, db)
	if err != nil {
		return nil, err
	}
	if last != nil && (e.size < uint64(last.Size) || head.Seq < last.Size) { //nolint:gosec // positive
		return nil, fmt.Errorf("%w: checkpoint %d covers more than there is", ErrBroken, last.Size)
	}
	if int64(e.size) > head.Seq { //nolint:gosec // below maxPosition tiles
		return nil, fmt.Errorf("%w: its head is at %d, and the tiles hold %d leaves", ErrBroken, head.Seq, e.size)
	}
	hashes, err := readNodes(ctx, db, compact.RangeNodes(0, e.size, nil))
	if err != nil {
		return nil, broken(err, "the tiles of %d leaves do not fit", e.size)
	}
	tree, err := ranges.NewRange(0, e.size, hashes)
	if err != nil {
		return nil, err
	}
	if err := appendLeaves(ctx, tx, e, tree, head.Seq); err != nil {
		return nil, err
	}
	return tree, e.write(ctx, tx)
}

// broken makes what is missing a sign of editing.
func broken(err error, format string, args ...any) error {
	if errors.Is(err, ErrNotKept) {
		return fmt.Errorf("%w: %s", ErrBroken, fmt.Sprintf(format, args...))
	}
	return err
}

// rootAt is the root of the tree of a size, by tiles.
func rootAt(ctx context.Context, db *ent.Client, size int64) ([]byte, error) {
	hashes, err := Span(ctx, db, 0, size)
	if err != nil {
		return nil, err
	}
	tree, err := ranges.NewRange(0, uint64(size), hashes) //nolint:gosec // positive
	if err != nil {
		return nil, err
	}
	return tree.GetRootHash(nil)
}

// appendLeaves appends a stretch of the leaves that the tiles lack, up to a sequence.
func appendLeaves(
	ctx context.Context, tx *ent.Tx, e *edge, tree *compact.Range, last int64,
) error {
	after := int64(e.size) //nolint:gosec // of bigints
	rows, err := tx.Event.Query().Where(event.SeqGT(after), event.SeqLTE(last)).
		Order(event.BySeq()).Limit(stretch).Select(event.FieldSeq, event.FieldLeafHash).All(ctx)
	if err != nil {
		return fmt.Errorf("read leaves: %w", err)
	}
	if want := min(last-after, stretch); int64(len(rows)) < want {
		return fmt.Errorf("%w: after event %d, %d are missing", ErrBroken, after, want-int64(len(rows)))
	}
	for _, row := range rows {
		if after++; row.Seq != after || len(row.LeafHash) != hashSize {
			return fmt.Errorf("%w: event %d is missing or has no leaf hash", ErrBroken, after)
		}
		e.add(0, row.LeafHash)
		if err := tree.Append(row.LeafHash, nil); err != nil {
			return fmt.Errorf("append leaf: %w", err)
		}
	}
	return nil
}

// conclude signs the tree if it is what the head says and not signed already.
func (n *Notary) conclude(
	ctx context.Context, tx *ent.Tx, last *signed.Checkpoint, head *ent.JournalHead, tree *compact.Range,
) (*ent.Checkpoint, error) {
	if !bytes.Equal(join(tree.Hashes()), head.CompactRange) {
		return nil, fmt.Errorf("%w: the head of %d is not that of its events", ErrBroken, head.Seq)
	}
	if head.Seq == 0 {
		return nil, nil
	}
	if last != nil && last.Size == head.Seq {
		return Covering(ctx, tx.Client(), 0)
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		return nil, fmt.Errorf("root of journal: %w", err)
	}
	now := n.now()
	note, err := n.keys.Sign(head.ID, head.Seq, root, now)
	if err != nil {
		return nil, err
	}
	made, err := tx.Checkpoint.Create().SetSize(head.Seq).SetNote(note).SetSignedAt(now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	n.signed.Inc()
	n.log.InfoContext(ctx, "checkpoint", "organization", head.ID, "size", head.Seq, "note", note)
	return made, nil
}
