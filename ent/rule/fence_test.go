package rule_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

func TestFenceIsTheActors(t *testing.T) {
	t.Parallel()
	org, user := typeid.New[typeid.Organization](), typeid.New[typeid.User]()
	forged := actor.User(typeid.Organization{}, user, actor.RoleOwner)
	forged.Part = "sweeper"
	for name, is := range map[string]struct {
		who  actor.Actor
		want rule.Fence
	}{
		"owner":  {actor.User(org, user, actor.RoleOwner), org.UUID()},
		"token":  {actor.Token(org, typeid.New[typeid.APIToken](), user, actor.RoleAdmin), org.UUID()},
		"device": {actor.Device(org, typeid.New[typeid.Device]()), org.UUID()},
		"system": {actor.System("sweeper").Within(org), org.UUID()},

		"system everywhere":        {actor.System("sweeper"), rule.Everywhere},
		"user of none":             {forged, rule.Fence{}},
		"device of none":           {actor.Device(typeid.Organization{}, typeid.Device{}), rule.Fence{}},
		"nobody that is an actor":  {actor.Actor{}, rule.Fence{}},
		"token of no organization": {actor.Token(typeid.Organization{}, typeid.APIToken{}, user, ""), rule.Fence{}},
	} {
		if got := rule.FenceOf(actor.NewContext(t.Context(), is.who)); got != is.want {
			t.Errorf("%s: %x, want %x", name, got, is.want)
		}
	}
	if got := rule.FenceOf(t.Context()); got != (rule.Fence{}) {
		t.Errorf("without an actor: %x", got)
	}
}

// fenced is a table with a policy, and the column of its organization.
type fenced struct{ table, organization string }

// TestEveryTableIsFenced reads Postgres' own catalogue: each table with an organization is held by the
// one policy, its owner too.
func TestEveryTableIsFenced(t *testing.T) {
	t.Parallel()
	db := testenv.OpenSQL(t, testenv.Postgres(t))
	for what, query := range map[string]string{
		"tables without FORCE ROW LEVEL SECURITY": `
			SELECT c.relname FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
			  AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND c.relname <> 'schema_migrations'`,
		"tables without the policy, which SELECT wall('…') in the migration makes": `
			SELECT c.relname FROM pg_class c
			WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
			  AND c.relname <> 'schema_migrations' AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid
				AND p.polcmd = '*' AND p.polpermissive AND p.polroles = '{0}' AND p.polwithcheck IS NULL
				AND pg_get_expr(p.polqual, p.polrelid) LIKE '%cardea.organization%'
				AND pg_get_expr(p.polqual, p.polrelid) LIKE
					'%WHEN ' || CASE WHEN c.relname = 'organizations' THEN 'id' WHEN EXISTS (
						SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'org_id'
					) THEN 'org_id' ELSE 'NULL::uuid' END || ' THEN true%')`,
		"more than one policy": `
			SELECT polrelid::regclass::text FROM pg_policy GROUP BY polrelid HAVING count(*) > 1`,
		"views, which would be read as their owner": `
			SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
			AND relkind IN ('v', 'm', 'f')`,
		"functions that run as their owner": `
			SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef`,
	} {
		if found := names(t, db, query); len(found) > 0 {
			t.Errorf("%s: %s", what, strings.Join(found, ", "))
		}
	}
}

func names(t *testing.T, db *sql.DB, query string, args ...any) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPostgresAloneKeepsOrganizationsApart sends what the Ent rule never sees, in a transaction and
// without: statements that name another organization, or none at all.
func TestPostgresAloneKeepsOrganizationsApart(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	c, db := testenv.OpenClient(t, url), testenv.OpenSQL(t, url)
	mine, theirs := populate(t, c), populate(t, c)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	for name, create := range unhoused {
		if err := create(everywhere, c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	walled := 0
	for _, f := range fencedTables(t, db) {
		t.Run(f.table, func(t *testing.T) {
			if n := count(everywhere, t, db, f.table); n != 2 && f.organization != "" || n == 0 {
				t.Fatalf("the system sees %d rows", n)
			}
			if n := count(t.Context(), t, db, f.table); n != 0 {
				t.Errorf("nobody sees %d rows", n)
			}
			if f.organization == "" {
				if n := count(mine.ctx, t, db, f.table); n != 0 {
					t.Errorf("an organization sees %d rows of none", n)
				}
				return
			}
			tx, err := db.BeginTx(mine.ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			f.trespass(t, tx, mine, theirs)
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			f.trespass(t, db, mine, theirs)
			if n := count(everywhere, t, db, f.table); n != 2 {
				t.Errorf("%d rows are left", n)
			}
		})
		walled++
	}
	if walled < len(nouns)+len(unhoused) {
		t.Errorf("%d tables, %d nouns", walled, len(nouns)+len(unhoused))
	}
}

// TestPartitionsAreFenced does the same to each partition of the events by its own name, where the policy
// of the whole table counts for nothing.
func TestPartitionsAreFenced(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	c, db := testenv.OpenClient(t, url), testenv.OpenSQL(t, url)
	mine, theirs := populate(t, c), populate(t, c)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	partitions := names(t, db, `SELECT inhrelid::regclass::text FROM pg_inherits
		JOIN pg_class p ON p.oid = inhparent WHERE p.relkind = 'p'`)
	if len(partitions) < 4 {
		t.Fatalf("partitions: %v", partitions)
	}
	for _, partition := range partitions {
		if count(everywhere, t, db, partition) == 0 {
			_, err := db.ExecContext(everywhere, `INSERT INTO events SELECT (jsonb_populate_record(e,
				jsonb_build_object('id', overlay(e.id::text PLACING left(coalesce(substring(pg_get_expr(c.relpartbound,
				c.oid) FROM $re$FROM \('([0-9a-f-]+)$re$), 'efffffff-ffff'), 13) FROM 1 FOR 13)))).*
				FROM events_before e, pg_class c WHERE c.oid = $1::regclass`, partition)
			if err != nil {
				t.Fatal(err)
			}
		}
		fenced{partition, "org_id"}.trespass(t, db, mine, theirs)
		if n := count(everywhere, t, db, partition); n != 2 {
			t.Errorf("%d rows of %s are left", n, partition)
		}
	}
}

// fencedTables are all but the history of the migrations.
func fencedTables(t *testing.T, db *sql.DB) (all []fenced) {
	t.Helper()
	for _, table := range names(t, db, `SELECT relname || CASE
			WHEN relname = 'organizations' THEN '.id'
			WHEN EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'org_id')
			THEN '.org_id' ELSE '.' END
		FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
		AND NOT relispartition AND relname <> 'schema_migrations' ORDER BY relname`) {
		name, organization, _ := strings.Cut(table, ".")
		all = append(all, fenced{name, organization})
	}
	return all
}

// statements is a pool or a transaction.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func count(ctx context.Context, t *testing.T, db statements, table string) (n int) {
	t.Helper()
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// trespass does as one organization what it may not do to another's row.
func (f fenced) trespass(t *testing.T, db statements, mine, theirs organization) {
	t.Helper()
	if n := count(mine.ctx, t, db, f.table); n != 1 {
		t.Errorf("%d rows are seen, not the own one", n)
	}
	theirRow := fmt.Sprintf(" WHERE %s = $1", f.organization)
	var n int
	err := db.QueryRowContext(mine.ctx, "SELECT count(*) FROM "+f.table+theirRow, theirs.id).Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d rows of another organization are seen, %v", n, err)
	}
	for _, statement := range []string{
		fmt.Sprintf("UPDATE %s SET %s = %[2]s", f.table, f.organization) + theirRow,
		"DELETE FROM " + f.table + theirRow,
	} {
		result, err := db.ExecContext(mine.ctx, statement, theirs.id)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v", statement, n, err)
		}
	}
	if _, in := db.(*sql.Tx); in { // which an error would end
		return
	}
	columns := f.columns(t, db)
	for _, statement := range []string{
		fmt.Sprintf("UPDATE %s SET %s = $1", f.table, f.organization),
		fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM jsonb_populate_record(NULL::%[1]s, "+
			"(SELECT to_jsonb(t) || jsonb_build_object('id', gen_random_uuid(), '%[3]s', $1::uuid) FROM %[1]s t))",
			f.table, strings.Join(columns, ", "), f.organization),
	} {
		_, err := db.ExecContext(mine.ctx, statement, theirs.id)
		if pq.As(err, pqerror.InsufficientPrivilege) == nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// columns are those of the table that can be written.
func (f fenced) columns(t *testing.T, db statements) []string {
	t.Helper()
	var all pq.StringArray
	err := db.QueryRowContext(t.Context(), `SELECT array_agg(quote_ident(attname)) FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
		f.table).Scan(&all)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(all))
}
