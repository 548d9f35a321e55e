package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq" // also the driver for the maintenance database
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
)

const (
	// keep is how long the database of a failed or interrupted test stays.
	keep = 24 * time.Hour
	// templateLock keeps other processes from making the same template: "template" in ASCII.
	templateLock = 0x74656d706c617465
	// connections bound one test's pool, so that many tests share one server.
	connections = 20
)

// Postgres makes a database for this test, migrated and empty, and returns its URL. It is dropped
// when the test has ended, unless the test failed.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := ordinary(tb, require(tb, "CARDEA_DATABASE_URL"))
	name := fmt.Sprintf("cardea_test_%d_%s", time.Now().Unix(), strings.ToLower(rand.Text()[:12]))
	err := onServer(tb.Context(), server, func(ctx context.Context, conn *sql.Conn) error {
		template, err := ensureTemplate(ctx, server, conn)
		if err != nil {
			return err
		}
		// A private server does not wait for the disk, so that copying files is faster than
		// logging their pages.
		_, err = conn.ExecContext(ctx,
			"CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY")
		return err
	})
	if err != nil {
		tb.Fatalf("make a test database: %v", err)
	}
	tb.Cleanup(func() { drop(tb, server, name) })
	return withDatabase(server, name)
}

// drop removes the database of a test, with whatever the test left connected. It is not done WITH
// (FORCE), which an ordinary role may not where Postgres itself is cleaning up.
func drop(tb testing.TB, server, name string) {
	tb.Helper()
	if tb.Failed() {
		tb.Logf("database: psql '%s'", withDatabase(server, name))
		return
	}
	ctx := context.WithoutCancel(tb.Context())
	err := onServer(ctx, server, func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = $1 AND usename = current_user`, name)
		if err == nil {
			_, err = conn.ExecContext(ctx, "DROP DATABASE "+name)
		}
		return err
	})
	if err != nil {
		tb.Errorf("drop the test database: %v", err)
	}
}

// OpenSQL opens a database for the length of the test, in the same way as production.
func OpenSQL(tb testing.TB, databaseURL string) *sql.DB {
	tb.Helper()
	db, err := pool.Open(databaseURL, connections, pool.FenceAll)
	if err != nil {
		tb.Fatalf("open the test database: %v", err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// OpenClient opens a database for the length of the test, guarded by the tenancy rule as in
// production: a context without an actor is refused.
func OpenClient(tb testing.TB, databaseURL string) *ent.Client {
	tb.Helper()
	return pool.Client(OpenSQL(tb, databaseURL))
}

// Client opens a database that is this test's own.
func Client(tb testing.TB) *ent.Client {
	tb.Helper()
	return OpenClient(tb, Postgres(tb))
}

// onServer works on the server's maintenance database. It leaves no connection behind, so that a
// test may check that the code it tests leaves none.
func onServer(
	ctx context.Context, server string, work func(context.Context, *sql.Conn) error,
) (err error) {
	db, err := sql.Open("postgres", server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return work(ctx, conn)
}

// role is who tests are, on a server whose URL names one that row-level security does not hold.
const role = "cardea_test"

// servers remembers the URL for an ordinary role, by the URL that was given.
var servers sync.Map

// ordinary returns the URL of the same server for a role that row-level security holds: the given one,
// or if that is a superuser, as on most developers' machines, one that it makes.
func ordinary(tb testing.TB, given string) string {
	tb.Helper()
	if known, ok := servers.Load(given); ok {
		return known.(string) //nolint:forcetypeassert // holds nothing else
	}
	found := given
	err := onServer(tb.Context(), given, func(ctx context.Context, conn *sql.Conn) error {
		var bypasses bool
		err := conn.QueryRowContext(ctx, `SELECT rolsuper OR rolbypassrls FROM pg_roles
			WHERE rolname = current_user`).Scan(&bypasses)
		if err != nil || !bypasses {
			return err
		}
		found = withRole(given, role)
		_, err = conn.ExecContext(ctx, `CREATE ROLE `+role+` LOGIN CREATEDB`)
		if pq.As(err, pqerror.DuplicateObject, pqerror.UniqueViolation) != nil {
			err = nil
		}
		return err
	})
	if err != nil {
		tb.Fatalf("become an ordinary role of the database server: %v", err)
	}
	servers.Store(given, found)
	return found
}

// Superuser returns the URL of a test's database for a role that row-level security does not hold: the
// one of CARDEA_DATABASE_URL, or who administers private servers. The test fails without either.
func Superuser(tb testing.TB, database string) string {
	tb.Helper()
	of, err := url.Parse(database)
	if err != nil {
		tb.Fatalf("parse the URL of the test database: %v", err)
	}
	given := require(tb, "CARDEA_DATABASE_URL")
	for _, server := range []string{given, withRole(given, "cardea")} {
		found := withDatabase(server, strings.TrimPrefix(of.Path, "/"))
		err = onServer(tb.Context(), found, func(ctx context.Context, conn *sql.Conn) error {
			var super bool
			err := conn.QueryRowContext(ctx, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).
				Scan(&super)
			if err == nil && !super {
				err = errors.New("an ordinary role")
			}
			return err
		})
		if err == nil {
			return found
		}
	}
	tb.Fatalf("the tests need a superuser of the server: name one in CARDEA_DATABASE_URL: %v", err)
	return ""
}

// withRole names another role instead.
func withRole(server, role string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // sql.Open has refused it by now
	}
	u.User = url.User(role)
	return u.String()
}

// template remembers that this process has seen the template.
var template struct {
	sync.Mutex
	name string
}

// ensureTemplate returns the name of the template, after making it if this is the first test ever
// to run with these migrations.
func ensureTemplate(ctx context.Context, server string, conn *sql.Conn) (string, error) {
	template.Lock()
	defer template.Unlock()
	if template.name != "" {
		return template.name, nil
	}
	hash, err := migrations.Hash()
	if err != nil {
		return "", err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, templateLock); err != nil {
		return "", fmt.Errorf("lock the template: %w", err)
	}
	// The end of the connection unlocks.
	if err := sweep(ctx, conn); err != nil {
		return "", err
	}
	name := "cardea_template_" + hash
	if err := makeTemplate(ctx, server, conn, name); err != nil {
		return "", fmt.Errorf("make the template database: %w", err)
	}
	template.name = name
	return name, nil
}

// makeTemplate migrates a database under another name and renames it: a template is whole.
func makeTemplate(ctx context.Context, server string, conn *sql.Conn, name string) error {
	var there bool
	err := conn.QueryRowContext(ctx,
		`SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil || there {
		return err
	}
	unfinished := name + "_new"
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + unfinished + " WITH (FORCE)",
		"CREATE DATABASE " + unfinished + " TEMPLATE template0",
	} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	db, err := sql.Open("postgres", withDatabase(server, unfinished))
	if err != nil {
		return err
	}
	_, err = migrations.Apply(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
	return err
}

// sweep drops what failed and interrupted tests left behind a day ago.
func sweep(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, `SELECT datname FROM pg_database
		WHERE datname ~ '^cardea_test_[0-9]+_' AND split_part(datname, '_', 3)::bigint < $1
		  AND datdba = current_user::regrole`,
		time.Now().Add(-keep).Unix())
	if err != nil {
		return fmt.Errorf("find old test databases: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var old []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return fmt.Errorf("find old test databases: %w", err)
		}
		old = append(old, name)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("find old test databases: %w", err)
	}
	for _, name := range old {
		if _, err := conn.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
			return fmt.Errorf("drop an old test database: %w", err)
		}
	}
	return nil
}

// withDatabase names another database of the same server.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // sql.Open has refused it by now
	}
	u.Path = "/" + name
	return u.String()
}
