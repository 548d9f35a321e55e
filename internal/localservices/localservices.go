// Package localservices runs a private Postgres and a private Redis for one developer or one test
// run, so that a fresh machine needs nothing but Go, git and make.
//
// It guarantees:
//   - Nothing is shared. The servers listen on Unix sockets in a directory that only their own
//     user may enter; they have no TCP port and therefore need no password. No system service is
//     ever started, and none is left enabled.
//   - The data stays between starts. A start that was cut short leaves nothing that the next one
//     cannot use: a new cluster is made beside its place and renamed, a server that outlived its
//     parent is stopped first, and a lock keeps two starts out of one directory.
//   - It works as root, where Postgres refuses to run: the servers then run as the user postgres
//     (or nobody), and when that user cannot reach the directory, the data lies under /var/tmp
//     with a symbolic link to it.
//   - The terminal's Ctrl-C does not reach the servers; [Services.Stop] ends them in order. On
//     Linux they also end when their parent is killed; elsewhere the next start ends them.
//
// Redis keeps nothing on disk: it is reach, not truth, and is refilled from Postgres.
//
// The package imports the standard library and lib/pq. It runs on Linux, macOS and the BSDs. Only
// cmd, internal/bench, internal/chaos and the program in the folder with import it.
package localservices

import (
	"context"
	"errors"
	"log/slog"
	"slices"
)

// Config says what to start and where.
type Config struct {
	// Dir holds the data, the logs and the sockets. It is created when missing.
	Dir string
	// Durable makes Postgres wait for the disk at every commit. Without it, as tests want it, a
	// crash of the server or the machine may lose everything: the next start then begins anew.
	Durable bool
	// PostgresURL and RedisURL, if set, name servers to use instead of private ones.
	PostgresURL string
	RedisURL    string
	// Log receives one line for each server started and stopped. The default discards them.
	Log *slog.Logger
}

// Needs lists the programs that Start needs on this machine, for [Install].
func (c Config) Needs() []Need {
	var needs []Need
	if c.PostgresURL == "" {
		needs = append(needs, Postgres)
	}
	if c.RedisURL == "" {
		needs = append(needs, Redis)
	}
	return needs
}

// Services are running servers. They belong to whoever started them, who must call Stop.
type Services struct {
	// PostgresURL opens an existing, perhaps empty database as its owner, an ordinary role that may
	// also create others.
	PostgresURL string
	// RedisURL is understood by redis.ParseURL: unix:///path/redis.sock for a private server.
	RedisURL string

	log     *slog.Logger
	durable bool
	place   *place
	running []*process
}

// Start starts the servers that cfg does not name and returns when both answer. When it fails, or
// ctx ends first, nothing is left running. It fails when another living process has started the
// servers of cfg.Dir.
func Start(ctx context.Context, cfg Config) (*Services, error) {
	s := &Services{
		PostgresURL: cfg.PostgresURL, RedisURL: cfg.RedisURL, log: cfg.Log, durable: cfg.Durable,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Needs()) == 0 {
		return s, nil
	}
	if err := s.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Services) start(ctx context.Context, cfg Config) (err error) {
	if s.place, err = openPlace(cfg.Dir, cfg.Durable); err != nil {
		return err
	}
	if cfg.PostgresURL == "" {
		if err := s.startPostgres(ctx, cfg.Durable); err != nil {
			return err
		}
	}
	if cfg.RedisURL == "" {
		return s.startRedis(ctx)
	}
	return nil
}

// Stop ends the servers in the reverse order of their start and waits until they are gone. It
// reports a server that had already ended by itself. Calling it again does nothing.
func (s *Services) Stop() error { return s.end(func(*place) error { return nil }) }

// Discard ends the servers as Stop does and removes their data.
func (s *Services) Discard() error { return s.end((*place).discard) }

func (s *Services) end(afterwards func(*place) error) error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		errs = append(errs, p.end())
		s.log.Info("stopped", "service", p.name)
	}
	if s.place != nil {
		errs = append(errs, afterwards(s.place), s.place.close())
	}
	s.running, s.place = nil, nil
	return errors.Join(errs...)
}
