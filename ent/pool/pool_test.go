package pool_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/testenv"
)

// open returns a pool of one connection, so that a test knows which one it uses.
func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := pool.Open(testenv.Postgres(t), 1, pool.FenceAll)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func number(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

const count = `SELECT count(*) FROM pg_prepared_statements`

func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i := range 10 {
		if got := number(t, db, `SELECT $1::int + 1`, i); got != i+1 {
			t.Fatalf("got %d", got)
		}
	}
	exec(t, db, `SET application_name = 'x'`)
	if n := number(t, db, count); n != 2 { // it, and the one that says whom it is for
		t.Fatalf("%d statements are prepared", n)
	}
}

func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i := range 300 {
		number(t, db, fmt.Sprintf(`SELECT $1::int + %d`, i), i)
	}
	if n := number(t, db, count); n != 256 {
		t.Fatalf("%d statements are prepared", n)
	}
}

func TestChangedTableIsPreparedAnew(t *testing.T) {
	t.Parallel()
	db := open(t)
	exec(t, db, `CREATE TABLE shelf (a int)`)
	exec(t, db, `INSERT INTO shelf VALUES (1)`)
	read := func() error {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM shelf WHERE a = $1`, 1)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		rows.Next()
		return rows.Err()
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	exec(t, db, `ALTER TABLE shelf ADD b int`)
	if err := read(); err != nil {
		t.Fatalf("after the change: %v", err)
	}
}

func TestTransactionsWork(t *testing.T) {
	t.Parallel()
	db := open(t)
	exec(t, db, `CREATE TABLE shelf (a int PRIMARY KEY)`)
	for round := range 3 {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO shelf VALUES ($1)`, round); err != nil {
			t.Fatal(err)
		}
		_, err = tx.ExecContext(t.Context(), `INSERT INTO shelf VALUES ($1)`, round)
		if pq.As(err, pqerror.UniqueViolation) == nil {
			t.Fatalf("got %v", err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	if n := number(t, db, `SELECT count(*) FROM shelf`); n != 0 {
		t.Fatalf("%d rows", n)
	}
}

func TestReadOnlyServerIsLeft(t *testing.T) {
	t.Parallel()
	db := open(t)
	exec(t, db, `CREATE TABLE shelf (a int)`)
	before := number(t, db, `SELECT pg_backend_pid()`)
	exec(t, db, `SET default_transaction_read_only = on`) // as after a demotion
	_, err := db.ExecContext(t.Context(), `INSERT INTO shelf VALUES ($1)`, 1)
	if pq.As(err, pqerror.ReadOnlySQLTransaction) == nil {
		t.Fatalf("got %v", err)
	}
	exec(t, db, `INSERT INTO shelf VALUES ($1)`, 1)
	if after := number(t, db, `SELECT pg_backend_pid()`); after == before {
		t.Error("the connection went back into the pool")
	}
}

func TestEndedConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	db := open(t)
	other := testenv.OpenSQL(t, testenv.Postgres(t))
	pid := number(t, db, `SELECT pg_backend_pid() + $1::int`, 0)
	exec(t, other, `SELECT pg_terminate_backend($1)`, pid)
	for range 3 { // the first may meet the ended connection
		if err := db.PingContext(t.Context()); err == nil {
			break
		}
	}
	if n := number(t, db, `SELECT $1::int`, 7); n != 7 {
		t.Fatalf("got %d", n)
	}
}
