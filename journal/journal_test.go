package journal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

type bench struct {
	db  *ent.Client
	log *journal.Log
	org typeid.Organization
	ctx context.Context //nolint:containedctx // the actor that the test acts as
}

func setup(t *testing.T) bench {
	t.Helper()
	b := bench{db: testenv.Client(t), org: typeid.New[typeid.Organization]()}
	b.log = journal.Open(b.db)
	b.ctx = actor.NewContext(t.Context(), actor.System("test").Within(b.org))
	b.write(t, func(tx *ent.Tx) error {
		tx.Organization.Create().SetID(b.org).SetName("Harbour").SaveX(b.ctx)
		return journal.Start(b.ctx, tx, b.org)
	})
	return b
}

func (b bench) write(t *testing.T, change func(*ent.Tx) error) {
	t.Helper()
	tx, err := b.db.Tx(b.ctx)
	if err == nil {
		if err = change(tx); err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b bench) append(t *testing.T, events ...journal.Event) (recorded []journal.Event) {
	t.Helper()
	b.write(t, func(tx *ent.Tx) (err error) {
		recorded, err = journal.Append(b.ctx, tx, b.org, events...)
		return err
	})
	return recorded
}

func TestAppendFillsAndNumbers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.append(t, journal.Event{Type: "site.created"}, journal.Event{Type: "device.tampered"})
	second := b.append(t, journal.Event{Type: "site.deleted"})
	if first[0].Sequence != 1 || first[1].Sequence != 2 || second[0].Sequence != 3 {
		t.Fatalf("sequences %d, %d, %d", first[0].Sequence, first[1].Sequence, second[0].Sequence)
	}
	e := first[1]
	if e.Severity != event.SeverityCRITICAL || e.Actor != (journal.Actor{Kind: actor.KindSystem, ID: "test"}) ||
		e.Delivery != event.DeliveryLIVE || e.OccurredAt.IsZero() || e.ID.IsZero() ||
		string(e.Data) != "{}" || e.Organization != b.org {
		t.Fatalf("not filled: %+v", e)
	}
	head, err := b.log.Head(t.Context(), b.org)
	if err != nil || head != 3 {
		t.Fatalf("head %d, %v", head, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, e := range map[string]journal.Event{
		"unknown type": {Type: "site.exploded"},
		"no object":    {Type: "site.created", Data: json.RawMessage(`[1]`)},
		"null":         {Type: "site.created", Data: json.RawMessage(`null`)},
		"broken JSON":  {Type: "site.created", Data: json.RawMessage(`{`)},
		"NUL":          {Type: "site.created", Data: json.RawMessage(`{"a":"\u0000"}`)},
		"too large once canonical": {Type: "site.created", Data: json.RawMessage(
			`{"a":[1e20` + strings.Repeat(",1e20", 1000) + `]}`)},
		"too large": {Type: "site.created",
			Data: json.RawMessage(`{"a":"` + string(bytes.Repeat([]byte("x"), journal.MaxData)) + `"}`)},
	} {
		tx, err := b.db.Tx(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = journal.Append(b.ctx, tx, b.org, e); !errors.Is(err, journal.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	if head, _ := b.log.Head(t.Context(), b.org); head != 0 {
		t.Fatalf("refused events moved the head to %d", head)
	}
}

// TestConcurrentAppendsAreGapless appends from many transactions, of which some roll back, while a
// reader polls: the reader never meets a number smaller than one it saw, and none is missing.
func TestConcurrentAppendsAreGapless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const writers, rounds = 8, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for r := range rounds {
				tx, err := b.db.Tx(b.ctx)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = journal.Append(b.ctx, tx, b.org,
					journal.Event{Type: "site.updated"}, journal.Event{Type: "site.updated"})
				if err != nil {
					t.Error(err)
				}
				end := tx.Commit
				if (w+r)%5 == 0 {
					end = tx.Rollback
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	var seen int64
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		events, err := b.log.Read(t.Context(), b.org, seen, 1000)
		if err != nil {
			t.Fatal(err) // ErrCursorExpired would be a gap
		}
		for _, e := range events {
			if e.Sequence != seen+1 {
				t.Fatalf("after %d came %d", seen, e.Sequence)
			}
			seen = e.Sequence
		}
	}
	if want := int64(writers * rounds * 2 * 4 / 5); seen != want {
		t.Fatalf("read %d events, want %d", seen, want)
	}
}

// TestTreeIsRFC6962 rebuilds the tree from what Postgres gives back, with the plain recursive
// definition of the RFC, and compares the root.
func TestTreeIsRFC6962(t *testing.T) {
	t.Parallel()
	b := setup(t)
	door := typeid.New[typeid.Door]()
	for n := range 21 {
		b.append(t, journal.Event{
			Type: "lock.unlocked", Door: door, Reason: schema.ReasonGrantedRemote,
			OccurredAt: time.Date(2026, 3, 29, 1, 59, 59, 123456789, time.FixedZone("x", 3600)),
			Data:       json.RawMessage(fmt.Sprintf(`{"b": %d.50, "a": "\u00e9<&\u2028", "n": 1e3}`, n)),
		})
	}
	rows := b.db.Event.Query().Order(event.BySeq()).AllX(b.ctx)
	leaves := make([][]byte, len(rows))
	for i, row := range rows {
		canonical, err := journal.FromRow(row).Encode()
		if err != nil {
			t.Fatal(err)
		}
		leaves[i] = rfc6962.DefaultHasher.HashLeaf(canonical)
		if !bytes.Equal(leaves[i], row.LeafHash) {
			t.Fatalf("row %d does not read back to its leaf:\n%s", row.Seq, canonical)
		}
	}
	head := b.db.JournalHead.GetX(b.ctx, b.org)
	chain, err := journal.Resume(b.org, head.Seq, head.CompactRange)
	if err != nil {
		t.Fatal(err)
	}
	root, err := chain.Root()
	if err != nil || !bytes.Equal(root, rootOf(leaves)) {
		t.Fatalf("root %x, want %x, %v", root, rootOf(leaves), err)
	}
}

// rootOf is MTH of RFC 6962, section 2.1, over leaf hashes.
func rootOf(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

func TestReadReportsExpiredCursor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.append(t, journal.Event{Type: "site.updated"})
	}
	b.db.Event.Delete().Where(event.SeqLTE(2)).ExecX(b.ctx)
	if _, err := b.log.Read(t.Context(), b.org, 1, 10); !errors.Is(err, journal.ErrCursorExpired) {
		t.Fatalf("cursor 1: %v", err)
	}
	events, err := b.log.Read(t.Context(), b.org, 2, 10)
	if err != nil || len(events) != 3 {
		t.Fatalf("cursor 2: %d events, %v", len(events), err)
	}
}

func TestCanonicalBytesAreGolden(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/event.json")
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.TrimSpace(golden)
	e, err := journal.Decode(golden)
	if err != nil {
		t.Fatal(err)
	}
	back, err := e.Encode()
	if err != nil || !bytes.Equal(back, golden) {
		t.Fatalf("got\n%s\nwant\n%s\n%v", back, golden, err)
	}
}

func TestDecodeInvertsEncode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")).UTC()
		e := journal.Event{
			ID: typeid.New[typeid.Event](), Organization: typeid.New[typeid.Organization](),
			Sequence: rapid.Int64Range(1, 1<<53).Draw(t, "sequence"), Type: "lock.locked",
			OccurredAt: at, ReceivedAt: at, Delivery: event.DeliveryBUFFERED,
			Actor:    journal.Actor{Kind: actor.KindSystem, ID: rapid.String().Draw(t, "actor")},
			Severity: event.SeverityINFO, Data: json.RawMessage(`{}`),
		}
		if rapid.Bool().Draw(t, "door") {
			e.Door = typeid.New[typeid.Door]()
		}
		encoded, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := journal.Decode(encoded)
		if err != nil {
			t.Fatal(err)
		}
		again, err := back.Encode()
		if err != nil || !bytes.Equal(encoded, again) {
			t.Fatalf("%s\n%s\n%v", encoded, again, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"event_01h455vb4pex5vsknk084sn02q","data":{}}`))
	f.Fuzz(func(t *testing.T, bytes []byte) {
		e, err := journal.Decode(bytes)
		if err != nil {
			return
		}
		if _, err := e.Encode(); err != nil && e.Data != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
	})
}
