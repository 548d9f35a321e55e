package localservices

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	_ "github.com/lib/pq" // asks whether Postgres is ready
)

// postgresSettings hold for every private server. They stand on the command line, not in a file of
// the cluster, so that a new version of this list also holds for old data.
var postgresSettings = []string{
	"listen_addresses=",
	"port=5432",
	"unix_socket_permissions=0700",
	"max_connections=300",
	"timezone=UTC",
	"log_timezone=UTC",
}

// hastySettings trade safety against a crash of the machine for speed.
var hastySettings = []string{
	"fsync=off",
	"synchronous_commit=off",
	"full_page_writes=off",
	"wal_level=minimal",
	"max_wal_senders=0",
}

func (s *Services) startPostgres(ctx context.Context, durable bool) error {
	data := filepath.Join(s.place.home, "postgres")
	if err := freeCluster(ctx, data, durable); err != nil {
		return err
	}
	server, err := findPostgres(ctx, clusterMajor(data))
	if err != nil {
		return err
	}
	if err := s.place.createCluster(ctx, server, data); err != nil {
		return err
	}
	args := []string{"-D", data, "-c", "unix_socket_directories=" + s.place.sockets}
	settings := postgresSettings
	if !durable {
		settings = slices.Concat(settings, hastySettings)
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	binary := filepath.Join(server.dir, "postgres")
	cmd := s.place.command(context.WithoutCancel(ctx), binary, args...)
	logPath := filepath.Join(s.place.dir, "postgres.log")
	p, err := launch("postgres", cmd, logPath, syscall.SIGINT)
	if err != nil {
		return err
	}
	s.running = append(s.running, p)
	if err := p.await(ctx, s.place.ensureDatabase); err != nil {
		return err
	}
	s.PostgresURL = s.place.postgresURL(program, "cardea")
	s.log.Info("started", "service", p.name, "version", server.major, "data", data)
	return nil
}

// createCluster makes a cluster at data unless there is one. It is made under another name: one
// that a crash cut short is never mistaken for a whole one.
//
// Sockets admit everybody ("trust"), because only the owner can reach them. The locale is C, the
// one that every machine has and sorts by in the same way.
func (p *place) createCluster(ctx context.Context, server postgresProgram, data string) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("clear an unfinished cluster: %w", err)
	}
	cmd := p.command(ctx, filepath.Join(server.dir, "initdb"), "--pgdata="+unfinished,
		"--username="+superuser, "--auth=trust", "--encoding=UTF8", "--locale=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.Rename(unfinished, data); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	return nil
}

// clusterMajor is the version that made the cluster, which alone can open it; 0 if there is none.
func clusterMajor(data string) int {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}

// freeCluster ends a server that outlived its parent. A pid file that is still there tells of a
// crash: a hasty cluster may then be damaged and is removed.
func freeCluster(ctx context.Context, data string, durable bool) error {
	pidFile := filepath.Join(data, "postmaster.pid")
	stranger, err := endLeftover(ctx, pidFile, data, syscall.SIGINT)
	if err != nil {
		return err
	}
	_, err = os.Stat(pidFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case !durable:
		return os.RemoveAll(data)
	case stranger:
		return disownPidFile(pidFile)
	}
	return nil
}

// disownPidFile makes a pid file harmless whose number has gone to another process, which Postgres
// would take for a server of this cluster. The file must stay: it also names the shared memory by
// which Postgres sees that backends of a killed server are still at work. Our own number does both,
// for a server takes the number of its parent there for a stale one.
func disownPidFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read a stale pid file: %w", err)
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	text = append([]byte(strconv.Itoa(os.Getpid())+"\n"), rest...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("mark a pid file as stale: %w", err)
	}
	return nil
}

// The roles of a private server: one administers it, and a program is the other, which row-level
// security holds.
const (
	superuser = "cardea"
	program   = "cardea_app"
)

// ensureDatabase succeeds when the server answers and has our database, which is the program's.
func (p *place) ensureDatabase(ctx context.Context) error {
	err := p.administer("postgres", func(db *sql.DB) error {
		for _, made := range []struct{ there, statement string }{
			{`SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cardea_app')`,
				`CREATE ROLE cardea_app LOGIN CREATEDB`},
			{`SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'cardea')`,
				`CREATE DATABASE cardea`},
		} {
			var there bool
			err := db.QueryRowContext(ctx, made.there).Scan(&there)
			if err == nil && !there {
				_, err = db.ExecContext(ctx, made.statement)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.administer("cardea", func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, handOver)
		return err
	})
}

// handOver makes the program the owner of the database and of all tables, which in data of before
// were the administrator's.
const handOver = `
	ALTER DATABASE cardea OWNER TO cardea_app;
	DO $$ DECLARE one regclass; BEGIN
		FOR one IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
			AND relkind IN ('r', 'p', 'v', 'm') AND relowner <> 'cardea_app'::regrole
		LOOP EXECUTE format('ALTER TABLE %s OWNER TO cardea_app', one); END LOOP;
	END $$`

// administer works on a database as the administrator.
func (p *place) administer(database string, work func(*sql.DB) error) error {
	db, err := sql.Open("postgres", p.postgresURL(superuser, database))
	if err != nil {
		return err
	}
	return errors.Join(work(db), db.Close())
}

func (p *place) postgresURL(role, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database}
	u.RawQuery = url.Values{
		"host": {p.sockets}, "port": {"5432"}, "sslmode": {"disable"},
	}.Encode()
	return u.String()
}
