package journal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/logtile"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

// days ago, an event was recorded.
func ago(now time.Time, days float64, kind string) journal.Event {
	return at(now.Add(-time.Duration(days*24*float64(time.Hour))), kind)
}

// kept are the sequences that are left.
func (b bench) kept(t *testing.T) (left []int64) {
	t.Helper()
	for _, row := range b.db.Event.Query().Order(event.BySeq()).AllX(b.ctx) {
		left = append(left, row.Seq)
	}
	return left
}

// keeper has the keys of the notary.
func (b bench) keeper(t *testing.T, now *time.Time) *journal.Keeper {
	t.Helper()
	return journal.NewKeeper(journal.KeeperConfig{
		DB: b.db, Keys: newKeys(t), Now: func() time.Time { return *now }, Log: testenv.Logger(t)})
}

// cover signs a checkpoint of all that there is.
func (b bench) cover(t *testing.T) {
	t.Helper()
	now := schema.Now()
	b.sign(t, b.notary(t, &now))
}

func (b bench) prune(t *testing.T, k *journal.Keeper, want int) {
	t.Helper()
	if n, err := k.Prune(t.Context()); err != nil || n != want {
		t.Fatalf("pruned %d events, %v; want %d", n, err, want)
	}
}

func TestEachClassHasItsRetention(t *testing.T) {
	t.Parallel()
	b, now := setup(t), schema.Now()
	keeper := b.keeper(t, &now)
	const access, admin = "access.granted", "site.updated"
	b.append(t, ago(now, 366, admin), ago(now, 366, access), ago(now, 364.9, admin))
	b.prune(t, keeper, 0) // nothing was signed
	b.cover(t)
	b.append(t, ago(now, 90.1, access), ago(now, 89.9, access), ago(now, 89, admin), ago(now, 0, access))
	b.prune(t, keeper, 2)
	if left := b.kept(t); !slices.Equal(left, []int64{3, 4, 5, 6, 7}) {
		t.Fatalf("left are %v", left)
	}
	b.cover(t)
	b.prune(t, keeper, 1)
	if left := b.kept(t); !slices.Equal(left, []int64{3, 5, 6, 7}) {
		t.Fatalf("left are %v", left)
	}
	now = now.Add(6 * time.Hour) // 89.9 days are 90.15
	b.prune(t, keeper, 2)
	if left := b.kept(t); !slices.Equal(left, []int64{6, 7}) {
		t.Fatalf("left are %v", left)
	}
	b.db.Organization.UpdateOneID(b.org).SetAccessRetentionDays(3650).SetAdminRetentionDays(7).ExecX(b.ctx)
	b.prune(t, keeper, 1)
	if left := b.kept(t); !slices.Equal(left, []int64{7}) {
		t.Fatalf("left are %v", left)
	}
}

// TestPruningStaysInside prunes one organization and not the other, by its own retention.
func TestPruningStaysInside(t *testing.T) {
	t.Parallel()
	b, now := setup(t), schema.Now()
	other := bench{db: b.db, log: b.log, org: typeid.New[typeid.Organization]()}
	other.ctx = actor.NewContext(t.Context(), actor.System("test").Within(other.org))
	other.write(t, func(tx *ent.Tx) error {
		tx.Organization.Create().SetID(other.org).SetName("Yard").SetAccessRetentionDays(200).SaveX(other.ctx)
		return journal.Start(other.ctx, tx, other.org)
	})
	for _, one := range []bench{b, other} {
		one.append(t, ago(now, 100, "access.granted"), ago(now, 1, "access.granted"))
		one.cover(t)
	}
	b.prune(t, b.keeper(t, &now), 1)
	if left := other.kept(t); len(left) != 2 {
		t.Errorf("of the other, %v are left", left)
	}
}

// TestReadersMeetNoHole reads from every number after events in the middle and at the end are gone.
func TestReadersMeetNoHole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := make([]journal.Event, 12)
	for i := range events {
		events[i] = journal.Event{Type: "site.updated"}
	}
	b.append(t, events...)
	b.db.Event.Delete().Where(event.SeqIn(1, 2, 5, 6, 9, 12)).ExecX(b.ctx) // 3 4 7 8 10 11 are left
	for after, want := range map[int64][]int64{
		0: nil, 1: nil, 2: {3, 4}, 3: {4}, 4: nil, 5: nil, 6: {7, 8}, 7: {8}, 8: nil, 9: {10, 11}, 10: {11}, 11: nil,
	} {
		read, err := b.log.Read(t.Context(), b.org, after, 10)
		var got []int64
		for _, e := range read {
			got = append(got, e.Sequence)
		}
		if expired := errors.Is(err, journal.ErrCursorExpired); !slices.Equal(got, want) ||
			expired != (want == nil) || err != nil && !expired {
			t.Errorf("after %d: %v, %v", after, got, err)
		}
	}
	if read, err := b.log.Read(t.Context(), b.org, 12, 10); err != nil || len(read) != 0 {
		t.Errorf("at the head: %v, %v", read, err)
	}
}

// TestEmptyMonthsAreDropped drops a partition when all that was in it is past retention, and none before.
func TestEmptyMonthsAreDropped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := time.Date(schema.Now().Year()+1, 3, 1, 0, 0, 0, 0, time.UTC)
	now := first
	keeper := b.keeper(t, &now)
	if err := keeper.MakeMonths(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	months := func() (all int) {
		t.Helper()
		rows, err := b.db.QueryContext(b.ctx, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := rows.Scan(&all); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := months()
	b.append(t, at(first.AddDate(0, 0, 3), "access.granted"), at(first.AddDate(0, 0, 3), "site.updated"))
	b.cover(t)
	now = first.AddDate(0, 5, 0)
	b.prune(t, keeper, 1) // and what was before the months is empty
	if n := months(); n != before-1 {
		t.Errorf("%d partitions of %d are left", n, before)
	}
	for range 9 {
		b.prune(t, keeper, 0)
	}
	if got := b.partitions(t); got["events_"+first.Format("2006_01")] != 1 {
		t.Errorf("events are in %v", got)
	}
	now = first.AddDate(1, 1, 0)
	b.prune(t, keeper, 1)
	for range 9 {
		b.prune(t, keeper, 0)
	}
	if n := months(); n != 1 { // but for events_unplaced
		t.Errorf("%d partitions are left", n)
	}
}

// TestPrunedEventsAreProved prunes most of a journal whose checkpoints a notary signs, and proves what
// is gone and what is left; a checkpoint of later goes on from there.
func TestPrunedEventsAreProved(t *testing.T) {
	t.Parallel()
	b, now := setup(t), schema.Now()
	keys := newKeys(t)
	notary := b.notary(t, &now)
	var leaves [][]byte
	for i := range 300 {
		kind := "access.granted"
		if i%50 == 0 {
			kind = "site.updated"
		}
		for _, e := range b.append(t, ago(now, 200, kind)) {
			leaf, err := journal.LeafHash(e)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leaf)
		}
	}
	prove := func() {
		t.Helper()
		made, err := notary.Sign(t.Context(), b.org)
		if err != nil || made.Size != int64(len(leaves)) {
			t.Fatalf("signed %+v, %v", made, err)
		}
		said, err := signed.Open(made.Note, keys.Public()...)
		if err != nil {
			t.Fatal(err)
		}
		for _, sequence := range []int64{1, 2, 77, 256, 257, made.Size} {
			leaf, siblings, err := journal.Inclusion(b.ctx, b.db, sequence, made.Size)
			if err == nil {
				err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(sequence-1), uint64(made.Size), leaf,
					siblings, said.Root)
			}
			if err != nil || !bytes.Equal(leaf, leaves[sequence-1]) {
				t.Errorf("event %d of %d: %v", sequence, made.Size, err)
			}
		}
	}
	prove()
	keeper := b.keeper(t, &now)
	b.prune(t, keeper, 294)
	prove()
	for _, e := range b.append(t, journal.Event{Type: "site.updated"}) {
		leaf, err := journal.LeafHash(e)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	prove()
}

// noted are the sequences that the notes of tiles say were pruned, and the instant of the newest note.
func (b bench) noted(t *testing.T) (all []int64, before time.Time) {
	t.Helper()
	for _, tile := range b.db.LogTile.Query().Where(logtile.Level(0)).Order(logtile.ByPosition()).AllX(b.ctx) {
		for _, text := range tile.Pruned {
			said, err := signed.OpenPruned(text, newKeys(t).Public()...)
			if err != nil || said.Position != tile.Position || said.Origin != signed.Origin(b.org) {
				t.Fatalf("tile %d: %+v, %v", tile.Position, said, err)
			}
			before = said.Before
			for i := range int64(256) {
				if said.Has(i) {
					all = append(all, tile.Position*256+i+1)
				}
			}
		}
	}
	return all, before
}

// TestWhatWasPrunedIsNoted prunes over two tiles, in two rounds, and beside events that stay.
func TestWhatWasPrunedIsNoted(t *testing.T) {
	t.Parallel()
	b, now := setup(t), schema.Now()
	for n := range 300 {
		kind, days := "access.granted", 100.0
		if n%10 == 0 {
			kind = "site.updated"
		}
		if n >= 290 {
			days = 89.5
		}
		b.append(t, ago(now, days, kind))
	}
	b.cover(t)
	keeper := b.keeper(t, &now)
	b.prune(t, keeper, 261)
	noted, before := b.noted(t)
	if len(noted) != 261 || !before.Equal(now.AddDate(0, 0, -90).Truncate(time.Microsecond)) {
		t.Fatalf("%d are noted, up to %s", len(noted), before)
	}
	now = now.Add(24 * time.Hour)
	b.prune(t, keeper, 9)
	noted, _ = b.noted(t)
	both := slices.Concat(noted, b.kept(t))
	slices.Sort(both)
	if len(both) != 300 || both[0] != 1 || both[299] != 300 || len(slices.Compact(both)) != 300 {
		t.Errorf("noted or left are %v", both)
	}
}

// TestWhatWasEditedIsNotPruned keeps an edit to be found, and does not sign notes that others made.
func TestWhatWasEditedIsNotPruned(t *testing.T) {
	t.Parallel()
	b, now := setup(t), schema.Now()
	for range 5 {
		b.append(t, ago(now, 100, "access.granted"))
	}
	b.cover(t)
	do := func(statement string) {
		t.Helper()
		if _, err := b.db.ExecContext(b.ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	do(`UPDATE events SET data = '{"by": "nobody"}' WHERE seq = 3`)
	do(`DELETE FROM events WHERE seq = 5`)
	do(`UPDATE log_tiles SET pruned = '["of nobody"]' WHERE level = 0`)
	keeper := b.keeper(t, &now)
	if n, err := keeper.Prune(t.Context()); n != 3 || !errors.Is(err, journal.ErrBroken) ||
		!strings.Contains(err.Error(), "event 3 of ") {
		t.Fatalf("pruned %d, %v", n, err)
	}
	tile := b.db.LogTile.Query().OnlyX(b.ctx)
	if len(tile.Pruned) != 2 || tile.Pruned[0] != "of nobody" {
		t.Fatalf("notes: %q", tile.Pruned)
	}
	said, err := signed.OpenPruned(tile.Pruned[1], newKeys(t).Public()...)
	if err != nil || said.Entries[0] != 0b1011 {
		t.Errorf("%+v, %v", said, err)
	}
}

// TestEveryTypeHasAClass keeps types from being kept for ever, or for no time.
func TestEveryTypeHasAClass(t *testing.T) {
	t.Parallel()
	for _, kind := range journal.Types {
		if kind.Class != journal.ClassAccess && kind.Class != journal.ClassAdministrative {
			t.Errorf("%s has the class %q", kind.Name, kind.Class)
		}
		if strings.HasPrefix(kind.Name, "access.") && kind.Class != journal.ClassAccess {
			t.Errorf("%s is not of access", kind.Name)
		}
	}
}

// TestEveryTypeIsRecorded looks for each type in the code of the program, as a text. Those of commands are
// put together from their stages, and what devices report is theirs to say.
func TestEveryTypeIsRecorded(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil || entry.IsDir() && (name == "ent" || name == "generated" || name == "node_modules"):
			if err == nil {
				err = fs.SkipDir
			}
			return err
		case entry.IsDir() || filepath.Ext(name) != ".go" || name == "catalogue.go" ||
			strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range journal.Types {
		if !kind.Reportable && !strings.HasPrefix(kind.Name, "command.") &&
			!strings.Contains(code.String(), `"`+kind.Name+`"`) {
			t.Errorf("nothing records %s", kind.Name)
		}
	}
}
