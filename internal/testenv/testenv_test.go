package testenv_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/internal/testenv"
)

// ending is a test within a test, whose end we choose.
type ending struct {
	testing.TB
	failed   bool
	logged   strings.Builder
	cleanups []func()
}

func (e *ending) Failed() bool      { return e.failed }
func (e *ending) Cleanup(f func())  { e.cleanups = append(e.cleanups, f) }
func (e *ending) Output() io.Writer { return &e.logged }
func (e *ending) Logf(format string, args ...any) {
	_, _ = fmt.Fprintf(&e.logged, format, args...)
}

func (e *ending) end() {
	for _, cleanup := range slices.Backward(e.cleanups) {
		cleanup()
	}
}

func databaseName(t *testing.T, databaseURL string) string {
	t.Helper()
	var name string
	db := testenv.OpenSQL(t, databaseURL)
	if err := db.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDatabasesAreMigratedAndSeparate(t *testing.T) {
	t.Parallel()
	var names sync.Map
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			databaseURL := testenv.Postgres(t)
			if _, again := names.LoadOrStore(databaseName(t, databaseURL), i); again {
				t.Error("two tests share a database")
			}
			client := testenv.OpenClient(t, databaseURL)
			ctx := actor.NewContext(t.Context(), actor.System("test"))
			if n, err := client.Organization.Query().Count(ctx); n != 0 || err != nil {
				t.Errorf("organizations = %d, %v; want an empty table", n, err)
			}
		})
	}
}

func TestClientIsGuarded(t *testing.T) {
	t.Parallel()
	_, err := testenv.Client(t).Organization.Query().Count(t.Context())
	if !errors.Is(err, rule.ErrNoActor) {
		t.Errorf("query without an actor: %v; want %v", err, rule.ErrNoActor)
	}
}

func TestDatabaseOfAFailedTestStays(t *testing.T) {
	t.Parallel()
	server := testenv.OpenSQL(t, testenv.Postgres(t))
	exists := func(name string) (there bool) {
		err := server.QueryRowContext(t.Context(),
			`SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
		if err != nil {
			t.Fatal(err)
		}
		return there
	}
	for _, failed := range []bool{false, true} {
		inner := &ending{TB: t, failed: failed}
		databaseURL := testenv.Postgres(inner)
		name := databaseName(t, databaseURL) // its connection is still open when the test ends
		inner.end()
		if exists(name) != failed {
			t.Errorf("failed = %v: database exists = %v", failed, !failed)
		}
		if logged := strings.Contains(inner.logged.String(), databaseURL); logged != failed {
			t.Errorf("failed = %v: logged %q", failed, inner.logged.String())
		}
		dropDatabase(t, server, name)
	}
}

func dropDatabase(t *testing.T, server *sql.DB, name string) {
	t.Helper()
	for _, statement := range []string{
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
			"WHERE usename = current_user AND datname = '" + name + "'",
		"DROP DATABASE IF EXISTS " + name,
	} {
		if _, err := server.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Error(err)
		}
	}
}

func TestRedisNamespacesAreSeparate(t *testing.T) {
	t.Parallel()
	firstURL, first := testenv.Redis(t)
	secondURL, second := testenv.Redis(t)
	if firstURL != secondURL || first == second {
		t.Errorf("got %q %q and %q %q", firstURL, first, secondURL, second)
	}
}

func TestLoggerEndsWithTheTest(t *testing.T) {
	t.Parallel()
	inner := &ending{TB: t}
	log := testenv.Logger(inner)
	log.Debug("during the test")
	inner.end()
	log.Info("after the test")
	logged := inner.logged.String()
	if !strings.Contains(logged, "during") || strings.Contains(logged, "after") {
		t.Errorf("logged %q; want only what came during the test", logged)
	}
}

func BenchmarkPostgres(b *testing.B) {
	for b.Loop() {
		inner := &ending{TB: b}
		testenv.Postgres(inner)
		inner.end()
	}
}
