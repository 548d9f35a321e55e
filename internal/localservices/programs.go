package localservices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// The oldest versions that Cardea runs on.
const (
	oldestPostgres = 15
	oldestRedis    = 7
)

// errMissing says that a program is not on this machine.
var errMissing = errors.New("not installed")

// postgresProgram is the folder with postgres and initdb of one version.
type postgresProgram struct {
	dir   string
	major int
}

// redisProgram is one Redis server.
type redisProgram struct {
	path  string
	major int
}

// findPostgres finds the newest Postgres, or the one of the given version unless that is 0.
// Debian and Homebrew keep the versions beside each other and, rightly, off the PATH.
func findPostgres(ctx context.Context, want int) (postgresProgram, error) {
	dirs := []string{}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(path))
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",         // Debian
		"/usr/pgsql-*/bin",                  // Red Hat, from the project's packages
		"/opt/homebrew/opt/postgresql*/bin", // Homebrew
		"/usr/local/opt/postgresql*/bin",    // Homebrew on Intel
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	var best postgresProgram
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		major := majorVersion(exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version"))
		if major > best.major && (want == 0 || major == want) {
			best = postgresProgram{dir: dir, major: major}
		}
	}
	switch {
	case ctx.Err() != nil:
		return best, ctx.Err()
	case want != 0 && best.major == 0:
		return best, fmt.Errorf("find PostgreSQL %d, which made the data: %w", want, errMissing)
	case best.major < oldestPostgres:
		return best, fmt.Errorf("find PostgreSQL %d or newer: %w", oldestPostgres, errMissing)
	}
	return best, nil
}

// findRedis finds a Redis server. Its checker is the same program, which looks at the name that
// it is called by; Debian's redis-tools has it under that name alone. That package, unlike
// redis-server, brings no system service.
func findRedis(ctx context.Context) (redisProgram, error) {
	for _, name := range []string{
		"redis-server", "/opt/homebrew/bin/redis-server", "/usr/local/bin/redis-server",
		"redis-check-rdb",
	} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, "--version")
		cmd.Args[0] = "redis-server"
		if major := majorVersion(cmd); major >= oldestRedis {
			return redisProgram{path: path, major: major}, nil
		}
	}
	if ctx.Err() != nil {
		return redisProgram{}, ctx.Err()
	}
	return redisProgram{}, fmt.Errorf("find Redis %d or newer: %w", oldestRedis, errMissing)
}

// versionText is in "postgres (PostgreSQL) 15.18 (Debian)" and in "Redis server v=7.0.15 sha=0".
var versionText = regexp.MustCompile(`(?:PostgreSQL\)|server) (?:v=)?(\d+)`)

// majorVersion is the version that cmd prints, 0 if it does not.
func majorVersion(cmd *exec.Cmd) int {
	out, err := cmd.Output()
	if err != nil {
		return 0
	}
	match := versionText.FindSubmatch(out)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1]))
	return major
}
