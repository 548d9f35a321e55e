package journal_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// at is an event that was recorded at an instant.
func at(when time.Time, kind string) journal.Event {
	return journal.Event{ID: typeid.At[typeid.Event](when), Type: kind, ReceivedAt: when}
}

// partitions counts the organization's events by partition.
func (b bench) partitions(t *testing.T) map[string]int {
	t.Helper()
	rows, err := b.db.QueryContext(b.ctx,
		`SELECT tableoid::regclass::text, count(*) FROM events WHERE org_id = $1 GROUP BY 1`, b.org)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		found[name] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMonthsAreMadeAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := time.Date(schema.Now().Year()+1, 5, 1, 0, 0, 0, 0, time.UTC)
	b.append(t, at(first.Add(-time.Millisecond), "site.created"), at(first, "site.created"),
		at(first.AddDate(0, 1, 0).Add(-time.Millisecond), "site.created"),
		at(first.AddDate(0, 1, 0), "site.created"), at(first.AddDate(0, 2, 0), "site.created"))
	if got := b.partitions(t); got["events_unplaced"] != 5 {
		t.Fatalf("without months, events are in %v", got)
	}
	now := first.AddDate(0, 0, 27)
	keeper := b.keeper(t, &now)
	for range 2 { // to make them again does nothing
		if err := keeper.MakeMonths(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	may, june := "events_"+first.Format("2006_01"), "events_"+first.AddDate(0, 1, 0).Format("2006_01")
	if got := b.partitions(t); got[may] != 2 || got[june] != 1 || got["events_unplaced"] != 2 || len(got) != 3 {
		t.Fatalf("events are in %v", got)
	}
	b.append(t, at(first, "site.deleted"))
	read, err := b.log.Read(t.Context(), b.org, 0, 10)
	if err != nil || len(read) != 6 {
		t.Fatalf("read %d events, %v", len(read), err)
	}
}

// TestNumbersAreThereOnceAMonth shows what each month holds by itself.
func TestNumbersAreThereOnceAMonth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(t, journal.Event{Type: "site.created"})
	_, err := b.db.ExecContext(b.ctx, `INSERT INTO events SELECT (jsonb_populate_record(e,
		jsonb_build_object('id', least_uuid(now())))).* FROM events e`)
	if err == nil || !strings.Contains(err.Error(), "org_id_seq") {
		t.Errorf("a number twice: %v", err)
	}
}

// TestMonthsWithRows brings a database with events to the migration that partitions them.
func TestMonthsWithRows(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	db := testenv.OpenSQL(t, url)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(everywhere, statement); err != nil {
			t.Fatal(err)
		}
	}
	run(`DROP SCHEMA public CASCADE`)
	run(`CREATE SCHEMA public`)
	files, err := filepath.Glob("../ent/migrate/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	months := slices.IndexFunc(files, func(f string) bool { return strings.HasSuffix(f, "_months.sql") })
	for _, file := range files[:months] {
		apply(everywhere, t, db, file)
	}
	run(`INSERT INTO organizations (id, created_at, updated_at, name)
		VALUES ('01937f2e-0000-7000-8000-000000000001', now(), now(), 'Harbour')`)
	run(`INSERT INTO events (id, org_id, seq, type, occurred_at, received_at, delivery, actor_kind, actor_id,
			severity, data, leaf_hash)
		SELECT (lpad(to_hex((extract(epoch FROM now() + n * interval '1 day') * 1000)::bigint), 12, '0')
			|| '7000800000000000' || lpad(n::text, 4, '0'))::uuid, '01937f2e-0000-7000-8000-000000000001', n,
			'site.updated', now(), now(), 'LIVE', 'SYSTEM', 'test', 'INFO', '{}', sha256(n::text::bytea)
		FROM generate_series(1, 200) AS n`) // some are of the future, as a clock that ran ahead has made them
	apply(everywhere, t, db, files[months])
	var count, unplaced int
	err = db.QueryRowContext(everywhere, `SELECT count(*), count(*) FILTER (
		WHERE tableoid = 'events_unplaced'::regclass) FROM events`).Scan(&count, &unplaced)
	if err != nil || count != 200 || unplaced != 0 {
		t.Errorf("%d events, %d of them in no month, %v", count, unplaced, err)
	}
	var stranger int
	other := actor.NewContext(t.Context(), actor.System("test").Within(typeid.New[typeid.Organization]()))
	err = db.QueryRowContext(other, `SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM events_before)`).
		Scan(&stranger)
	if err != nil || stranger != 0 {
		t.Errorf("a stranger sees %d events, %v", stranger, err)
	}
}

func apply(ctx context.Context, t *testing.T, db *sql.DB, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = db.ExecContext(ctx, string(text))
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestPagesOfManyMonths reads by each index over partitions, and each by an index.
func TestPagesOfManyMonths(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := schema.Now()
	keeper := b.keeper(t, &now)
	if err := keeper.MakeMonths(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	door := typeid.New[typeid.Door]()
	b.write(t, func(tx *ent.Tx) error {
		_, err := tx.ExecContext(b.ctx, `INSERT INTO events (id, org_id, seq, type, door_id, occurred_at,
				received_at, delivery, actor_kind, actor_id, severity, data, leaf_hash)
			SELECT overlay(least_uuid($2::timestamptz + n % 180 * interval '1 day')::text
				PLACING right(gen_random_uuid()::text, 22) FROM 15)::uuid, $1, n, 'type.' || n % 50,
				CASE WHEN n % 30 = 0 THEN $3 ELSE gen_random_uuid() END, now(), now(), 'LIVE', 'SYSTEM', 'test',
				'INFO', '{}', sha256(n::text::bytea)
			FROM generate_series(1, 6000) AS n`, b.org, now, door)
		return err
	})
	if _, err := b.db.ExecContext(b.ctx, `ANALYZE events`); err != nil {
		t.Fatal(err)
	}
	seen := b.db.Event.Query().Where(event.DoorID(door)).Order(event.BySeq()).Limit(9).AllX(b.ctx)
	for i, e := range seen {
		if e.Seq != int64(i+1)*30 {
			t.Errorf("event %d of the door is %d", i, e.Seq)
		}
	}
	for name, where := range map[string]string{
		"org_id_seq":         "seq > 3 ORDER BY seq LIMIT 5",
		"org_id_door_id_seq": "door_id = '" + uuidOf(door) + "' ORDER BY seq DESC LIMIT 5",
		"org_id_type_seq":    "type = 'type.7' ORDER BY seq DESC LIMIT 5",
	} {
		plan := b.plan(t, "SELECT * FROM events WHERE org_id = '"+uuidOf(b.org)+"' AND "+where)
		if !strings.Contains(plan, "Merge Append") || strings.Contains(plan, "Seq Scan") ||
			strings.Count(plan, name) < 6 {
			t.Errorf("%s: %s", where, plan)
		}
	}
	some := b.plan(t, "SELECT * FROM events WHERE org_id = '"+uuidOf(b.org)+"' AND id >= '"+
		uuidOf(typeid.At[typeid.Event](now.AddDate(0, 3, 0)))+"' AND type = 'type.7' ORDER BY seq LIMIT 5")
	if strings.Contains(some, "events_before") ||
		strings.Contains(some, "events_"+now.AddDate(0, 1, 0).Format("2006_01")) {
		t.Errorf("months that cannot have it are read: %s", some)
	}
}

// plan is how Postgres would read, if tables were not too small for their indexes.
func (b bench) plan(t *testing.T, query string) (plan string) {
	t.Helper()
	b.write(t, func(tx *ent.Tx) error {
		if _, err := tx.ExecContext(b.ctx, `SET LOCAL enable_seqscan = off`); err != nil {
			return err
		}
		rows, err := tx.QueryContext(b.ctx, "EXPLAIN (COSTS OFF) "+query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			plan += line + "\n"
		}
		return rows.Err()
	})
	return plan
}

func uuidOf(id interface{ UUID() [16]byte }) string { return fmt.Sprintf("%x", id.UUID()) }
