package main

import (
	"bytes"
	"io"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
)

// TestBulkLoadKeepsTheJournalValid loads a small estate, checks every leaf from what Postgres gives
// back, and appends to the loaded chain.
// load loads in bulk as the seed command does, however long a statement takes.
func load(tb testing.TB, databaseURL string, size bulkSize) {
	tb.Helper()
	db, err := pool.OpenPatient(databaseURL, 1, pool.FenceAll)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := bulkLoad(tb.Context(), db, size, 1, io.Discard); err != nil {
		tb.Fatal(err)
	}
}

func TestBulkLoadKeepsTheJournalValid(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	size := bulkSize{organizations: 2, sites: 4, doors: 20, users: 10, keys: 40, events: 500}
	load(t, url, size)
	db := testenv.OpenClient(t, url)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	if n := db.Door.Query().CountX(everywhere); n != size.doors {
		t.Errorf("%d doors", n)
	}
	for _, org := range db.Organization.Query().AllX(everywhere) {
		ctx := actor.NewContext(t.Context(), actor.System("test").Within(org.ID))
		for i, row := range db.Event.Query().Order(event.BySeq()).AllX(ctx) {
			canonical, err := journal.FromRow(row).Encode()
			if err != nil {
				t.Fatal(err)
			}
			if row.Seq != int64(i+1) ||
				!bytes.Equal(rfc6962.DefaultHasher.HashLeaf(canonical), row.LeafHash) {
				t.Fatalf("row %d does not verify: %s", i, canonical)
			}
		}
		tx, err := db.Tx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		appended, err := journal.Append(ctx, tx, org.ID, journal.Event{Type: "site.updated"})
		if err != nil || appended[0].Sequence != 251 {
			t.Fatalf("appended %v, %v", appended, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}
