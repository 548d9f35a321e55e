package transfer_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/logtile"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

var (
	tampers    = flag.Int("tampers", 200, "edits of TestTampering")
	tamperSeed = flag.Uint64("tamper-seed", 0, "decides the edits; 0: another each time")
)

// safe is a small log that is edited and put back, with whoever could do that: the owner of the tables,
// whom no trigger stops and no row is hidden from.
type safe struct {
	t      *testing.T
	url    string
	sql    *sql.DB
	db     *ent.Client
	notary *journal.Notary
	org    typeid.Organization
	in     context.Context //nolint:containedctx // the system within the organization
	all    context.Context //nolint:containedctx // the system everywhere
	kept   []*ent.Checkpoint
	left   []int64 // the sequences of the events that retention left
}

const (
	safeSize = 300
	safeKept = 280 // the newest checkpoint that somebody kept
)

var logTables = []string{"events", "journal_heads", "log_tiles", "checkpoints"}

func newSafe(t *testing.T, pruned bool) *safe {
	t.Helper()
	s := &safe{t: t, url: testenv.Postgres(t), org: typeid.New[typeid.Organization]()}
	s.sql = testenv.OpenSQL(t, s.url)
	s.db = testenv.OpenClient(t, s.url)
	s.notary = journal.NewNotary(journal.NotaryConfig{DB: s.db, Keys: logKeys(t), Log: slog.New(slog.DiscardHandler)})
	s.all = actor.NewContext(t.Context(), actor.System("test"))
	s.in = actor.NewContext(t.Context(), actor.System("test").Within(s.org))
	tx, err := s.db.Tx(s.in)
	must(t, err)
	tx.Organization.Create().SetID(s.org).SetName("Harbour").SaveX(s.in)
	must(t, journal.Start(s.in, tx, s.org))
	must(t, tx.Commit())
	for done, size := range []int{100, 256, safeKept, safeSize} {
		s.happen(size - []int{0, 100, 256, safeKept}[done])
		made, err := s.notary.Sign(t.Context(), s.org)
		must(t, err)
		s.kept = append(s.kept, made)
	}
	s.kept = s.kept[:3]
	if pruned {
		keeper := journal.NewKeeper(journal.KeeperConfig{DB: s.db, Keys: logKeys(t), Log: slog.New(slog.DiscardHandler),
			Now: func() time.Time { return schema.Now().AddDate(0, 0, 91) }})
		if n, err := keeper.Prune(t.Context()); err != nil || n < safeSize/4 {
			t.Fatalf("pruned %d, %v", n, err)
		}
	}
	for _, row := range s.db.Event.Query().Order(event.BySeq()).AllX(s.in) {
		s.left = append(s.left, row.Seq)
	}
	for _, table := range logTables {
		s.do("ALTER TABLE " + table + " DISABLE TRIGGER USER")
		s.do("CREATE TABLE saved_" + table + " AS TABLE " + table)
	}
	return s
}

func (s *safe) do(statement string, args ...any) {
	s.t.Helper()
	if _, err := s.sql.ExecContext(s.all, statement, args...); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// happen records so many events of several kinds.
func (s *safe) happen(count int) {
	s.t.Helper()
	if err := s.tryHappen(count); err != nil {
		s.t.Fatal(err)
	}
}

func (s *safe) tryHappen(count int) error {
	events := make([]journal.Event, count)
	for i := range events {
		events[i] = journal.Event{Type: "site.updated", Site: typeid.New[typeid.Site](),
			Data: json.RawMessage(fmt.Sprintf(`{"changed":["name"],"n":%d}`, i))}
		if i%3 == 0 {
			events[i] = journal.Event{Type: "access.granted", Door: typeid.New[typeid.Door](),
				User: typeid.New[typeid.User](), Outcome: event.OutcomeGRANTED,
				Reason: schema.ReasonGranted, Method: event.MethodCARD}
		}
	}
	tx, err := s.db.Tx(s.in)
	if err != nil {
		return err
	}
	if _, err = journal.Append(s.in, tx, s.org, events...); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// restore puts everything back.
func (s *safe) restore() {
	s.t.Helper()
	for _, table := range logTables {
		id := "id"
		if table == "journal_heads" {
			id = "org_id"
		}
		s.do(fmt.Sprintf("DELETE FROM %s WHERE %s IN (SELECT %[2]s FROM (TABLE %[1]s EXCEPT TABLE saved_%[1]s) AS x)",
			table, id))
		s.do(fmt.Sprintf("INSERT INTO %s (TABLE saved_%[1]s EXCEPT TABLE %[1]s)", table))
	}
}

// edit is one way to edit the database. It returns what it did, and the entry that has to be named, or 0.
// "" means that it could not.
type edit struct {
	name string
	do   func(*safe, *rand.Rand) (did string, sequence int64)
}

var edits = []edit{
	{"flip a bit of an event", flipEvent},
	{"flip a bit of an event", flipEvent},
	{"flip a bit of an event", flipEvent},
	{"flip a bit of the head", flipHead},
	{"flip a bit of a tile", flipTile},
	{"flip a bit of a checkpoint", flipCheckpoint},
	{"swap events", swapEvents},
	{"delete events", deleteEvents},
	{"insert an event", insertEvent},
	{"delete a row beside the events", deleteBeside},
	{"cut the tail", cutTail},
	{"rewrite", rewrite},
	{"edit what was pruned", editPruned},
}

// some is an event that retention left, and next the one after it.
func (s *safe) some(random *rand.Rand) (one, next int64) {
	i := random.IntN(len(s.left) - 1)
	return s.left[i], s.left[i+1]
}

// try executes a statement that may run into a constraint, and says how many rows it changed.
func (s *safe) try(statement string, args ...any) int64 {
	result, err := s.sql.ExecContext(s.all, statement, args...)
	if err != nil {
		return 0
	}
	count, err := result.RowsAffected()
	must(s.t, err)
	return count
}

// flips are how to flip a bit of a column of a type: $1 is which, counted from 0.
var flips = map[string]string{
	"uuid": `encode(set_bit(decode(replace(%[1]s::text, '-', ''), 'hex'), $1 %% 128,
		1 - get_bit(decode(replace(%[1]s::text, '-', ''), 'hex'), $1 %% 128)), 'hex')::uuid`,
	"bytea": `set_bit(%[1]s, $1 %% (8 * length(%[1]s)), 1 - get_bit(%[1]s, $1 %% (8 * length(%[1]s))))`,
	"character varying": `overlay(%[1]s placing chr(ascii(substr(%[1]s, 1 + $1 %% length(%[1]s), 1)) # (1 << $1 %% 5))
		from 1 + $1 %% length(%[1]s) for 1)`,
	"bigint":                   `%[1]s # (1::bigint << $1 %% 50)`,
	"timestamp with time zone": `%[1]s + (1::bigint << $1 %% 45) * interval '1 microsecond'`,
	"jsonb":                    `%[1]s || jsonb_build_object('n', $1)`,
}

// columns are those of a table, each with its type.
func (s *safe) columns(table string) (all [][2]string) {
	rows, err := s.sql.QueryContext(s.all, `SELECT column_name, data_type FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER' ORDER BY 1`, table)
	must(s.t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var one [2]string
		must(s.t, rows.Scan(&one[0], &one[1]))
		all = append(all, one)
	}
	must(s.t, rows.Err())
	return all
}

// flip flips a bit of a column of the rows that a condition is true of.
func (s *safe) flip(table string, column [2]string, bit int, where string) (string, bool) {
	if column[1] == "text" {
		column[1] = "character varying"
	}
	flipped := fmt.Sprintf(flips[column[1]], column[0])
	count := s.try(fmt.Sprintf(`UPDATE %s SET %s = %s WHERE %s AND %[2]s IS NOT NULL`,
		table, column[0], flipped, where), bit)
	return fmt.Sprintf("bit %d of %s.%s where %s", bit, table, column[0], where), count > 0
}

func flipEvent(s *safe, random *rand.Rand) (string, int64) {
	columns := s.columns("events")
	column, sequence := columns[random.IntN(len(columns))], s.left[random.IntN(len(s.left))]
	bit := random.IntN(1 << 20)
	did, ok := s.flip("events", column, bit, fmt.Sprintf("seq = %d", sequence))
	if !ok {
		return "", 0
	}
	// It may now stand where retention left a gap, before the gap that it leaves itself.
	if to := sequence ^ 1<<(bit%50); column[0] == event.FieldSeq && to > 0 {
		sequence = min(sequence, to)
	}
	return did, sequence
}

func flipHead(s *safe, random *rand.Rand) (string, int64) {
	column := [][2]string{{"seq", "bigint"}, {"compact_range", "bytea"}}[random.IntN(2)]
	did, _ := s.flip("journal_heads", column, random.IntN(1<<20), "true")
	return did, 0
}

func flipTile(s *safe, random *rand.Rand) (string, int64) {
	column := [][2]string{{"hashes", "bytea"}, {"hashes", "bytea"}, {"level", "bigint"}, {"position", "bigint"},
		{"org_id", "uuid"}}[random.IntN(5)]
	where := fmt.Sprintf("(level, position) = %s", []string{"(0, 0)", "(0, 1)", "(1, 0)"}[random.IntN(3)])
	did, ok := s.flip("log_tiles", column, random.IntN(1<<20), where)
	if !ok {
		return "", 0
	}
	return did, 0
}

func flipCheckpoint(s *safe, random *rand.Rand) (string, int64) {
	column := [][2]string{{"note", "text"}, {"note", "text"}, {"size", "bigint"}, {"org_id", "uuid"}}[random.IntN(3)]
	where := fmt.Sprintf("size = %d", []int{100, 256, safeKept, safeSize}[random.IntN(4)])
	did, ok := s.flip("checkpoints", column, random.IntN(1<<20), where)
	if !ok {
		return "", 0
	}
	return did, 0
}

// renumber moves events out of the way of the unique index, and to where they shall be.
func (s *safe) renumber(expression, where string) {
	s.do("UPDATE events SET seq = -(" + expression + ") WHERE " + where)
	s.do("UPDATE events SET seq = -seq WHERE seq < 0")
}

func swapEvents(s *safe, random *rand.Rand) (string, int64) {
	one, other := s.some(random)
	for random.IntN(2) == 0 {
		if _, later := s.some(random); later > other {
			other = later
		}
	}
	s.renumber(fmt.Sprintf("CASE seq WHEN %d THEN %d ELSE %[1]d END", one, other),
		fmt.Sprintf("seq IN (%d, %d)", one, other))
	return fmt.Sprintf("%d and %d", one, other), one
}

func deleteEvents(s *safe, random *rand.Rand) (string, int64) {
	first := s.left[random.IntN(len(s.left))]
	switch random.IntN(4) {
	case 0:
		first = s.left[0]
	case 1:
		first = s.left[len(s.left)-1]
	}
	last := first + random.Int64N(3)
	s.do(`DELETE FROM events WHERE seq BETWEEN $1 AND $2`, first, last)
	did := fmt.Sprintf("%d to %d", first, last)
	if random.IntN(3) == 0 { // and close the gap
		s.renumber(fmt.Sprintf("seq - %d", last-first+1), fmt.Sprintf("seq > %d", last))
		did += ", and close the gap"
	}
	return did, first
}

func insertEvent(s *safe, random *rand.Rand) (string, int64) {
	at := random.Int64N(safeSize+1) + 1
	if random.IntN(4) == 0 {
		at = safeSize + 1
	}
	s.renumber("seq + 1", fmt.Sprintf("seq >= %d", at))
	s.do(`INSERT INTO events SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(),
		'seq', $1::bigint))).* FROM events AS e WHERE seq = $2`, at, s.left[random.IntN(len(s.left))])
	if random.IntN(2) == 0 {
		s.do(`UPDATE journal_heads SET seq = seq + 1`)
		return fmt.Sprintf("at %d, and move the head", at), 0
	}
	return fmt.Sprintf("at %d", at), 0
}

func deleteBeside(s *safe, random *rand.Rand) (string, int64) {
	statement := []string{
		`DELETE FROM log_tiles WHERE (level, position) = (0, 0)`,
		`DELETE FROM log_tiles WHERE (level, position) = (0, 1)`,
		`DELETE FROM log_tiles WHERE level = 1`, `DELETE FROM log_tiles`,
		`UPDATE journal_heads SET compact_range = NULL`, `UPDATE journal_heads SET seq = 0, compact_range = NULL`,
	}[random.IntN(6)]
	s.do(statement)
	return statement, 0
}

// cutTail deletes the last events, and hides it: more or less.
func cutTail(s *safe, random *rand.Rand) (string, int64) {
	size := random.Int64N(safeKept)
	effort := random.IntN(4)
	s.do(`DELETE FROM events WHERE seq > $1`, size)
	s.hide(size, effort)
	return fmt.Sprintf("after %d, with effort %d", size, effort), 0
}

// hide makes what is beside the events fit them, as far as effort goes: the head, then the tiles, then the
// checkpoints that contradict, then all of them.
func (s *safe) hide(size int64, effort int) {
	chain, err := journal.Resume(s.org, 0, nil)
	must(s.t, err)
	for _, row := range s.db.Event.Query().Order(event.BySeq()).AllX(s.in) {
		line, err := journal.FromRow(row).Encode()
		must(s.t, err)
		leaf := extract.LeafHash(line)
		must(s.t, chain.Add(leaf))
		if !bytes.Equal(leaf, row.LeafHash) {
			s.do(`UPDATE events SET leaf_hash = $1 WHERE id = $2`, leaf, row.ID)
		}
	}
	s.do(`UPDATE journal_heads SET seq = $1, compact_range = $2`, chain.Sequence(), chain.CompactRange())
	if effort > 0 {
		s.do(`DELETE FROM log_tiles`)
	}
	if effort > 1 {
		s.do(`DELETE FROM checkpoints WHERE size > $1`, size)
	}
	if effort > 2 {
		s.do(`DELETE FROM checkpoints`)
	}
}

// rewrite changes an event that a kept checkpoint covers, and computes everything anew; only the key is not
// there to sign with, and so, with the greatest effort, Cardea itself is made to sign.
func rewrite(s *safe, random *rand.Rand) (string, int64) {
	sequence, effort := int64(safeSize), random.IntN(4)
	for sequence > 100 {
		sequence, _ = s.some(random)
	}
	did := ""
	for did == "" {
		columns := s.columns("events")
		column := columns[random.IntN(len(columns))]
		if slices.Contains([]string{"seq", "org_id", "leaf_hash"}, column[0]) {
			continue
		}
		var ok bool
		if did, ok = s.flip("events", column, random.IntN(1<<20), fmt.Sprintf("seq = %d", sequence)); !ok {
			did = ""
		}
	}
	s.hide(sequence-1, effort)
	return fmt.Sprintf("%s, with effort %d", did, effort), 0
}

// editPruned edits the notes of what retention took, or hides a deletion behind them.
func editPruned(s *safe, random *rand.Rand) (string, int64) {
	if len(s.left) == safeSize {
		return "", 0
	}
	position := random.IntN(2)
	where := fmt.Sprintf(" WHERE level = 0 AND position = %d", position)
	switch random.IntN(4) {
	case 0:
		bit := random.IntN(1 << 20)
		s.do(`UPDATE log_tiles SET pruned = jsonb_build_array(`+
			fmt.Sprintf(flips["character varying"], "(pruned->>0)")+`)`+where, bit)
		return fmt.Sprintf("bit %d of the note of tile %d", bit, position), 0
	case 1:
		s.do(`UPDATE log_tiles SET pruned = NULL` + where)
		return fmt.Sprintf("forget the note of tile %d", position), 0
	case 2:
		s.do(`UPDATE log_tiles AS t SET pruned = o.pruned FROM log_tiles AS o
			WHERE (t.level, o.level) = (0, 0) AND o.position = 1 - t.position`)
		return "swap the notes", 0
	}
	gone, _ := s.some(random)
	row := s.db.LogTile.Query().Where(logtile.Level(0), logtile.Position((gone-1)/extract.TileSize)).OnlyX(s.in)
	said, err := signed.PeekPruned(row.Pruned[0])
	must(s.t, err)
	said.Add((gone - 1) % extract.TileSize)
	forger, err := signed.NewKeyring(bytes.Repeat([]byte{9}, 32))
	must(s.t, err)
	note, err := forger.SignPruned(said, schema.Now())
	must(s.t, err)
	s.do(`DELETE FROM events WHERE seq = $1`, gone)
	s.do(`UPDATE log_tiles SET pruned = pruned || jsonb_build_array($1::text) WHERE id = $2`, note, row.ID)
	return fmt.Sprintf("delete %d and forge its note", gone), gone
}

// export is the file of the log as it is now.
func (s *safe) export() (string, error) {
	var file bytes.Buffer
	source := transfer.LogSource{DB: s.db, Notary: s.notary, Organization: s.org}
	err := transfer.WriteLog(s.in, source, transfer.LogRange{}, &file)
	return file.String(), err
}

// TestTampering edits a log in the database at random, as one who may do anything there but has not the key,
// and finds each edit in the export, against an earlier checkpoint. Sometimes the log goes on in between.
//
//	make tamper
func TestTampering(t *testing.T) {
	t.Parallel()
	seed := *tamperSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-tampers=%d -tamper-seed=%d", *tampers, seed)
	const workers = 3
	for worker := range workers {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			s := newSafe(t, worker == 0)
			if clean := s.verify(s.kept[2].Note); clean.Wrong != nil {
				t.Fatalf("before any edit: %v", clean.Wrong)
			}
			done, named := make([]int, len(edits)), 0
			random := rand.New(rand.NewPCG(seed, uint64(worker)))
			for n := 0; n < (*tampers+workers-1)/workers && !t.Failed(); {
				which := random.IntN(len(edits))
				did, sequence := edits[which].do(s, random)
				if did == "" {
					continue // it could not be done
				}
				n, done[which] = n+1, done[which]+1
				did = fmt.Sprintf("edit %d, %s: %s", n, edits[which].name, did)
				if s.found(random, did, sequence) {
					named++
				}
				s.restore()
			}
			for i, e := range edits {
				t.Logf("%5d × %s", done[i], e.name)
			}
			t.Logf("%5d of them named the very entry", named)
		})
	}
}

// verify is what the file of the log proves now, against an earlier checkpoint.
func (s *safe) verify(previous string) *extract.Report {
	s.t.Helper()
	file, err := s.export()
	must(s.t, err)
	r, err := extract.Verify(strings.NewReader(file), extract.Options{
		Keys: logKeys(s.t).Public(), Previous: previous})
	must(s.t, err)
	return r
}

// found sees that an edit is found, and says whether the entry was named that had to be.
func (s *safe) found(random *rand.Rand, did string, sequence int64) bool {
	s.t.Helper()
	if random.IntN(3) == 0 {
		_ = s.tryHappen(1 + random.IntN(3)) // may run into what was done
	}
	kept := s.kept[random.IntN(len(s.kept))]
	if strings.Contains(did, "the tail") {
		kept = s.kept[2]
	}
	r := s.verify(kept.Note)
	switch {
	case r.Wrong == nil:
		s.t.Errorf("%s: not found against checkpoint %d", did, kept.Size)
	case sequence > 0 && r.Wrong.Sequence != sequence:
		s.t.Errorf("%s: named %v", did, r.Wrong)
	}
	return sequence > 0
}
