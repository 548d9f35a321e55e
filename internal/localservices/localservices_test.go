package localservices_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/localservices"
)

// closedDir is a directory below one of mode 0700. When the tests run as root, the user of the
// servers cannot reach it.
func closedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	return cleared(t, filepath.Join(dir, "services of a test"))
}

// openDir is a directory that every user can reach.
func openDir(t *testing.T) string {
	t.Helper()
	//nolint:usetesting // t.TempDir has mode 0700
	dir, err := os.MkdirTemp("/tmp", "localservices-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return cleared(t, dir)
}

// cleared removes at the end what the services of dir keep elsewhere.
func cleared(t *testing.T, dir string) string {
	t.Helper()
	t.Cleanup(func() {
		for _, name := range []string{"services", "scratch"} {
			if home, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
				_ = os.RemoveAll(home)
			}
		}
	})
	return dir
}

func start(t *testing.T, cfg localservices.Config) *localservices.Services {
	t.Helper()
	services, err := localservices.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, services) })
	return services
}

func stop(t *testing.T, services *localservices.Services) {
	t.Helper()
	if err := services.Stop(); err != nil {
		t.Error(err)
	}
}

// query runs one statement that returns one number.
func query(t *testing.T, databaseURL, statement string) (number int, err error) {
	t.Helper()
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.QueryRowContext(t.Context(), statement).Scan(&number)
	return number, err
}

func wantNumber(t *testing.T, databaseURL, statement string, want int) {
	t.Helper()
	got, err := query(t, databaseURL, statement)
	if err != nil || got != want {
		t.Errorf("%s = %d, %v; want %d", statement, got, err, want)
	}
}

// remember leaves a table behind that recall finds.
func remember(t *testing.T, databaseURL string) {
	t.Helper()
	wantNumber(t, databaseURL, `CREATE TABLE kept AS SELECT 7 AS n; SELECT n FROM kept`, 7)
}

func recall(t *testing.T, databaseURL string) {
	t.Helper()
	wantNumber(t, databaseURL, `SELECT n FROM kept`, 7)
}

func TestSecondStartKeepsData(t *testing.T) {
	t.Parallel()
	long := filepath.Join(openDir(t), strings.Repeat("long/", 20))
	for name, cfg := range map[string]localservices.Config{
		"durable":               {Dir: openDir(t), Durable: true},
		"below 0700":            {Dir: closedDir(t), Durable: true},
		"too long for a socket": {Dir: cleared(t, long), Durable: true},
		"hasty":                 {Dir: openDir(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := start(t, cfg)
			remember(t, first.PostgresURL)
			stop(t, first)
			if _, err := query(t, first.PostgresURL, `SELECT 1`); err == nil {
				t.Error("Postgres still answers after Stop")
			}
			recall(t, start(t, cfg).PostgresURL)
		})
	}
}

// Row-level security holds whoever uses a private server, also with data that a superuser made.
func TestProgramsAreNoSuperusers(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t), Durable: true}
	services := start(t, cfg)
	wantNumber(t, services.PostgresURL, `SELECT count(*) FROM pg_roles
		WHERE rolname = current_user AND NOT rolsuper AND NOT rolbypassrls`, 1)
	administrator, err := url.Parse(services.PostgresURL)
	if err != nil {
		t.Fatal(err)
	}
	administrator.User = url.User("cardea")
	remember(t, administrator.String())
	if _, err := query(t, services.PostgresURL, `SELECT n FROM kept`); err == nil {
		t.Fatal("the table is not the administrator's own")
	}
	stop(t, services)
	recall(t, start(t, cfg).PostgresURL)
}

func TestDurableAndHastyDataAreApart(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t)}
	hasty := start(t, cfg)
	remember(t, hasty.PostgresURL)
	stop(t, hasty)
	cfg.Durable = true
	durable := start(t, cfg)
	wantNumber(t, durable.PostgresURL,
		`SELECT count(*) FROM pg_tables WHERE tablename = 'kept'`, 0)
	wantNumber(t, durable.PostgresURL, `SELECT count(*) FROM pg_settings
		WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes') AND setting = 'on'`, 3)
}

func TestNobodyElseCanReachTheServers(t *testing.T) {
	t.Parallel()
	services := start(t, localservices.Config{Dir: openDir(t)})
	redisURL, err := url.Parse(services.RedisURL)
	if err != nil || redisURL.Scheme != "unix" {
		t.Fatalf("RedisURL = %q, %v; want a Unix socket", services.RedisURL, err)
	}
	info, err := os.Stat(filepath.Dir(redisURL.Path))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory of the sockets: %v, %v; want mode 0700", info.Mode(), err)
	}
	postgresURL, err := url.Parse(services.PostgresURL)
	if err != nil || postgresURL.Query().Get("host") != filepath.Dir(redisURL.Path) {
		t.Errorf("PostgresURL = %q, %v; want the same directory", services.PostgresURL, err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", redisURL.Path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	wantNumber(t, services.PostgresURL,
		`SELECT count(*) FROM pg_settings WHERE name = 'listen_addresses' AND setting = ''`, 1)
	wantNumber(t, services.PostgresURL,
		`SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolpassword IS NOT NULL
			AND rolname NOT IN ('cardea', 'cardea_app')`, 0)
}

// A terminal sends Ctrl-C to its foreground process group.
func TestServersAreOutOfReachOfCtrlC(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	start(t, localservices.Config{Dir: dir, Durable: true})
	for _, pidFile := range []string{"redis.pid", "postgres/postmaster.pid"} {
		text, err := os.ReadFile(filepath.Join(dir, "services", pidFile))
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.Fields(string(text))[0])
		if err != nil {
			t.Fatal(err)
		}
		if group, err := syscall.Getpgid(pid); group != pid || err != nil {
			t.Errorf("%s: process %d is in group %d, %v; want its own", pidFile, pid, group, err)
		}
	}
}

func TestUnfinishedClusterIsMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t)}
	stop(t, start(t, cfg))
	home := filepath.Join(cfg.Dir, "scratch")
	err := os.Rename(filepath.Join(home, "postgres"), filepath.Join(home, "postgres.new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(home, "postgres.new", "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	wantNumber(t, start(t, cfg).PostgresURL, `SELECT 1`, 1)
}

// leavePidFile pretends that a crash left the pid file and that another process of the same user
// has the number by now.
func leavePidFile(t *testing.T, home string) {
	t.Helper()
	data := filepath.Join(home, "postgres")
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	stranger := exec.CommandContext(t.Context(), "sleep", "600")
	if os.Geteuid() == 0 {
		stranger.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid},
		}
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stranger.Process.Kill()
		_ = stranger.Wait()
	})
	pidFile := filepath.Join(data, "postmaster.pid")
	text := strconv.Itoa(stranger.Process.Pid) + "\n" + data + "\n1700000000\n5432\n"
	err = errors.Join(
		os.WriteFile(pidFile, []byte(text), 0o600),
		os.Chown(pidFile, int(owner.Uid), int(owner.Gid)))
	if err != nil {
		t.Fatal(err)
	}
}

func TestStalePidFileIsNoObstacle(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t), Durable: true}
	first := start(t, cfg)
	remember(t, first.PostgresURL)
	stop(t, first)
	leavePidFile(t, filepath.Join(cfg.Dir, "services"))
	recall(t, start(t, cfg).PostgresURL)
}

func TestHastyClusterIsNotTrustedAfterACrash(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t)}
	first := start(t, cfg)
	remember(t, first.PostgresURL)
	stop(t, first)
	leavePidFile(t, filepath.Join(cfg.Dir, "scratch"))
	wantNumber(t, start(t, cfg).PostgresURL,
		`SELECT count(*) FROM pg_tables WHERE tablename = 'kept'`, 0)
}

func TestADirectoryHasOneHolder(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{Dir: openDir(t)}
	first := start(t, cfg)
	_, err := localservices.Start(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second Start = %v; want an error that names process %d", err, os.Getpid())
	}
	wantNumber(t, first.PostgresURL, `SELECT 1`, 1)
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := localservices.Config{
		Dir: openDir(t),
		Log: slog.New(slog.NewTextHandler(writerFunc(cancel), nil)), // at "started postgres"
	}
	if _, err := localservices.Start(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v; want %v", err, context.Canceled)
	}
	_, err := os.Stat(filepath.Join(cfg.Dir, "scratch", "postgres", "postmaster.pid"))
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("pid file: %v; want none", err)
	}
	cfg.Log = nil
	wantNumber(t, start(t, cfg).PostgresURL, `SELECT 1`, 1)
}

type writerFunc func()

func (f writerFunc) Write(text []byte) (int, error) {
	f()
	return len(text), nil
}

func TestGivenServersAreUsed(t *testing.T) {
	t.Parallel()
	cfg := localservices.Config{
		Dir:         filepath.Join(t.TempDir(), "unused"),
		PostgresURL: "postgres://db.example/cardea?sslmode=require",
		RedisURL:    "redis://cache.example",
	}
	services := start(t, cfg)
	if services.PostgresURL != cfg.PostgresURL || services.RedisURL != cfg.RedisURL {
		t.Errorf("services = %q, %q", services.PostgresURL, services.RedisURL)
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory: %v; want none", err)
	}
}

func TestRestartKeepsURLsAndData(t *testing.T) {
	t.Parallel()
	services := start(t, localservices.Config{Dir: openDir(t), Durable: true})
	for _, by := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT} {
		remember(t, services.PostgresURL)
		if err := services.Restart(t.Context(), localservices.Postgres, by, 0); err != nil {
			t.Fatal(err)
		}
		recall(t, services.PostgresURL)
		wantNumber(t, services.PostgresURL, `DROP TABLE kept; SELECT 1`, 1)
	}
	ask := func(words ...string) string {
		t.Helper()
		answer, err := localservices.AskRedis(t.Context(), services.RedisURL, words...)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	ask("SET", "kept", "7")
	if err := services.Restart(t.Context(), localservices.Redis, syscall.SIGKILL, 0); err != nil {
		t.Fatal(err)
	}
	if got := ask("EXISTS", "kept"); got != ":0" {
		t.Errorf("Redis kept something on disk: %s", got)
	}
	if _, err := localservices.AskRedis(t.Context(), services.RedisURL, "NONSENSE"); err == nil {
		t.Error("an error is an answer")
	}
}

func TestPauseHoldsEverything(t *testing.T) {
	t.Parallel()
	services := start(t, localservices.Config{Dir: openDir(t)})
	db, err := sql.Open("postgres", services.PostgresURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context()) // its server process stands still too
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	resume, err := services.Pause(t.Context(), localservices.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- conn.PingContext(t.Context()) }()
	select {
	case err := <-answered:
		t.Errorf("it answers: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	if err := resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}
