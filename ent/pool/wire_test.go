package pool_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/testenv"
)

// TestSilenceEnds asks a server for something that it does not answer in time, as one that is gone
// without a word never does. That the context ends does not help: lib/pq waits all the same.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	db, err := pool.OpenSilent(testenv.Postgres(t), 1, pool.FenceOff, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	alone := func() error {
		_, err := db.ExecContext(t.Context(), `SELECT pg_sleep(20)`)
		return err
	}
	within := func() error {
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		_, err = tx.ExecContext(t.Context(), `SELECT pg_sleep(20)`)
		return err
	}
	for name, do := range map[string]func() error{"alone": alone, "in a transaction": within} {
		begun := time.Now()
		if err := do(); err == nil || time.Since(begun) > 10*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begun))
		}
		var one int
		if err := db.QueryRowContext(t.Context(), `SELECT 1`).Scan(&one); err != nil {
			t.Errorf("%s: the pool does not recover: %v", name, err)
		}
	}
}

// TestPatienceLasts has the same taken as long as it takes.
func TestPatienceLasts(t *testing.T) {
	t.Parallel()
	db, err := pool.OpenPatient(testenv.Postgres(t), 1, pool.FenceOff)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), `SELECT pg_sleep(0.5)`); err != nil {
		t.Error(err)
	}
}

// TestSilenceIsNotWaitedForTwice: what was idle while another connection fell silent is not trusted.
func TestSilenceIsNotWaitedForTwice(t *testing.T) {
	t.Parallel()
	const size = 3
	db, err := pool.OpenSilent(testenv.Postgres(t), size, pool.FenceOff, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxIdleConns(size)
	conns := make([]*sql.Conn, size)
	pids := map[int]bool{}
	for i := range conns {
		if conns[i], err = db.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		var pid int
		if err := conns[i].QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	for _, idle := range conns[1:] {
		_ = idle.Close()
	}
	if _, err := conns[0].ExecContext(t.Context(), `SELECT pg_sleep(20)`); err == nil {
		t.Error("it answered")
	}
	_ = conns[0].Close()
	var pid int
	if err := db.QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	if pids[pid] {
		t.Error("an idle connection of before is used")
	}
}
