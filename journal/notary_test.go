package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/checkpoint"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/signed"
)

func newKeys(t *testing.T) *signed.Keyring {
	t.Helper()
	keys, err := signed.NewKeyring(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (b bench) notary(t *testing.T, at *time.Time) *journal.Notary {
	t.Helper()
	return journal.NewNotary(journal.NotaryConfig{
		DB: b.db, Keys: newKeys(t), Log: testenv.Logger(t),
		Now: func() time.Time { return *at },
	})
}

// fill appends so many events, some at a time.
func (b bench) fill(t *testing.T, count int) {
	t.Helper()
	for ; count > 0; count -= 100 {
		events := make([]journal.Event, min(count, 100))
		for i := range events {
			events[i] = journal.Event{Type: "site.updated"}
		}
		b.append(t, events...)
	}
}

func (b bench) sign(t *testing.T, n *journal.Notary) *ent.Checkpoint {
	t.Helper()
	made, err := n.Sign(t.Context(), b.org)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestSweepSignsWhatGrew(t *testing.T) {
	t.Parallel()
	b, at := setup(t), schema.Now()
	n := b.notary(t, &at)
	sweep := func(want int) {
		t.Helper()
		if got, err := n.Sweep(t.Context()); err != nil || got != want {
			t.Fatalf("%d checkpoints, %v; want %d", got, err, want)
		}
	}
	sweep(0) // nothing was recorded yet
	b.fill(t, 3)
	sweep(1)
	sweep(0)
	b.fill(t, 1)
	at = at.Add(39 * time.Second)
	sweep(0)
	at = at.Add(time.Second)
	sweep(1)
	sizes := b.db.Checkpoint.Query().Order(checkpoint.BySize()).AllX(b.ctx)
	if len(sizes) != 2 || sizes[0].Size != 3 || sizes[1].Size != 4 || !sizes[1].SignedAt.Equal(at) {
		t.Fatalf("%+v", sizes)
	}
	said, err := signed.Open(sizes[1].Note, newKeys(t).Public()...)
	if err != nil || !bytes.Equal(said.Root, rootOf(b.leaves(t))) {
		t.Fatalf("%+v, %v", said, err)
	}
}

// leaves are the leaf hashes as the rows have them.
func (b bench) leaves(t *testing.T) (leaves [][]byte) {
	t.Helper()
	for _, row := range b.db.Event.Query().Order(event.BySeq()).AllX(b.ctx) {
		leaves = append(leaves, row.LeafHash)
	}
	return leaves
}

// TestProofsOutliveEvents proves events and growth at sizes around the borders of tiles, by another's
// verifier, and again when the events are gone.
func TestProofsOutliveEvents(t *testing.T) {
	t.Parallel()
	b, at := setup(t), schema.Now()
	n := b.notary(t, &at)
	sizes := []int64{1, 2, 255, 256, 257, 511, 512, 513, 770}
	for i, size := range sizes {
		b.fill(t, int(size-append([]int64{0}, sizes...)[i]))
		if made := b.sign(t, n); made.Size != size {
			t.Fatalf("signed %d of %d", made.Size, size)
		}
	}
	leaves := b.leaves(t)
	roots := map[int64][]byte{}
	for _, size := range sizes {
		roots[size] = rootOf(leaves[:size])
	}
	for range 2 {
		for _, size := range sizes {
			b.prove(t, leaves, size, roots[size])
			for _, from := range sizes {
				if from > size {
					continue
				}
				hashes, err := journal.Consistency(b.ctx, b.db, from, size)
				if err == nil {
					err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(from), uint64(size),
						hashes, roots[from], roots[size])
				}
				if err != nil {
					t.Fatalf("%d to %d: %v", from, size, err)
				}
			}
		}
		b.db.Event.Delete().Where(event.SeqLTE(700)).ExecX(b.ctx)
	}
	b.fill(t, 300)
	if made := b.sign(t, n); made.Size != 1070 {
		t.Fatalf("after pruning, signed %d", made.Size)
	}
}

func (b bench) prove(t *testing.T, leaves [][]byte, size int64, root []byte) {
	t.Helper()
	for _, sequence := range []int64{1, 2, size / 2, size - 1, size} {
		if sequence < 1 || sequence > size {
			continue
		}
		leaf, hashes, err := journal.Inclusion(b.ctx, b.db, sequence, size)
		if err == nil && !bytes.Equal(leaf, leaves[sequence-1]) {
			err = errors.New("another leaf")
		}
		if err == nil {
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(sequence-1), uint64(size), leaf, hashes, root)
		}
		if err != nil {
			t.Fatalf("%d of %d: %v", sequence, size, err)
		}
	}
}

// TestNotaryCatchesUp gives it more than it does in one transaction.
func TestNotaryCatchesUp(t *testing.T) {
	t.Parallel()
	b, at := setup(t), schema.Now()
	chain, err := journal.Resume(b.org, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	const size = 3*64*256 + 17
	b.write(t, func(tx *ent.Tx) error {
		_, err := tx.ExecContext(b.ctx, `INSERT INTO events (id, org_id, seq, type, occurred_at, received_at,
			delivery, actor_kind, actor_id, severity, data, leaf_hash) SELECT gen_random_uuid(), $1, n,
			'site.updated', now(), now(), 'LIVE', 'SYSTEM', 'test', 'INFO', '{}', sha256(n::text::bytea)
			FROM generate_series(1, $2::bigint) AS n`, b.org, size)
		return err
	})
	for _, leaf := range b.leaves(t) {
		if err := chain.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	b.db.JournalHead.UpdateOneID(b.org).SetSeq(size).SetCompactRange(chain.CompactRange()).ExecX(b.ctx)
	n := b.notary(t, &at)
	made := b.sign(t, n)
	said, err := signed.Open(made.Note, newKeys(t).Public()...)
	root, _ := chain.Root()
	if err != nil || said.Size != size || !bytes.Equal(said.Root, root) {
		t.Fatalf("%+v, %v", said, err)
	}
	b.prove(t, b.leaves(t), size, root)
}

// TestNotariesAgree has many sign while many append: for each size there is one checkpoint, and all
// are of one tree.
func TestNotariesAgree(t *testing.T) {
	t.Parallel()
	b, at := setup(t), schema.Now()
	n := b.notary(t, &at)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				b.append(t, journal.Event{Type: "site.updated"})
			}
		})
		group.Go(func() {
			for range 10 {
				if _, err := n.Sign(t.Context(), b.org); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if made := b.sign(t, n); made.Size != 80 {
		t.Fatalf("signed %d", made.Size)
	}
	leaves := b.leaves(t)
	for _, row := range b.db.Checkpoint.Query().AllX(b.ctx) {
		said, err := signed.Open(row.Note, newKeys(t).Public()...)
		if err != nil || said.Size != row.Size || !bytes.Equal(said.Root, rootOf(leaves[:row.Size])) {
			t.Errorf("checkpoint %d: %+v, %v", row.Size, said, err)
		}
	}
}

// TestNotaryRefusesWhatWasEdited edits in the ways that cannot be seen at one glance.
func TestNotaryRefusesWhatWasEdited(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]string{
		"a leaf since the last checkpoint": `UPDATE events SET leaf_hash = sha256('') WHERE org_id = $1 AND seq = 302`,
		"a missing event":                  `DELETE FROM events WHERE org_id = $1 AND seq = 301`,
		"the head's hash": `UPDATE journal_heads
			SET compact_range = set_byte(compact_range, 3, 9) WHERE org_id = $1`,
		"the head's end": `UPDATE journal_heads SET seq = 299 WHERE org_id = $1`,
		"a tile": `UPDATE log_tiles
			SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE org_id = $1 AND level = 1`,
		"no tiles": `DELETE FROM log_tiles WHERE org_id = $1 AND level = 0`,
		"a checkpoint": `UPDATE checkpoints
			SET note = replace(note, '300', '299') WHERE org_id = $1`,
		"a checkpoint's size": `UPDATE checkpoints SET size = 299 WHERE org_id = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, at := setup(t), schema.Now()
			n := b.notary(t, &at)
			b.fill(t, 300)
			b.sign(t, n)
			b.fill(t, 2)
			b.write(t, func(tx *ent.Tx) error {
				for _, table := range []string{"log_tiles", "checkpoints"} {
					_, err := tx.ExecContext(b.ctx, fmt.Sprintf("ALTER TABLE %s DISABLE TRIGGER USER", table))
					if err != nil {
						return err
					}
				}
				_, err := tx.ExecContext(b.ctx, edit, b.org)
				return err
			})
			if made, err := n.Sign(t.Context(), b.org); !errors.Is(err, journal.ErrBroken) {
				t.Fatalf("%+v, %v", made, err)
			}
			if count := b.db.Checkpoint.Query().CountX(b.ctx); count != 1 {
				t.Errorf("%d checkpoints", count)
			}
		})
	}
}

// TestSignedStays shows that not even the tables' owner changes what was signed by mistake.
func TestSignedStays(t *testing.T) {
	t.Parallel()
	b, at := setup(t), schema.Now()
	b.fill(t, 3)
	b.sign(t, b.notary(t, &at))
	for _, statement := range []string{
		`UPDATE checkpoints SET note = 'x'`, `DELETE FROM checkpoints`, `TRUNCATE checkpoints`,
		`UPDATE log_tiles SET hashes = sha256('')`, `DELETE FROM log_tiles`, `TRUNCATE log_tiles`,
	} {
		if _, err := b.db.ExecContext(b.ctx, statement); err == nil {
			t.Errorf("%s succeeds", statement)
		}
	}
}
