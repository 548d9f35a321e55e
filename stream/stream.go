// Package stream spreads journal events, device commands and presence between nodes. It is the only
// importer of Redis.
//
// Redis is reach, not truth: every event is in Postgres before it comes here, and whatever Redis
// forgets is read from there. What follows:
//
//   - A subscriber receives its organization's events in order, each once, without a gap, from the
//     cursor it names; or its subscription ends with an error that says why, and it resumes.
//   - Any number of nodes may relay. An organization's stream in Redis takes an event only if it is
//     the next number, so duplicates bounce and nobody can make a hole.
//   - A node may die between commit and relay, and a message may be lost: sweeps and checks compare
//     numbers and fill what is missing, within about a second.
//   - Without Redis, live delivery goes on from Postgres, some seconds slower. A wiped Redis is
//     filled again by the next event of an organization, or within ten seconds.
//   - Who publishes never waits for who reads. What a node asks of Postgres and Redis does not grow
//     with its subscribers, only with its organizations.
//   - Messages between nodes are at most once: delivered now, or reported as not delivered.
//
// It does not protect from a Postgres that loses committed transactions: a cursor from the lost
// part is refused with ErrCursorAhead, and what live subscribers saw of it they have seen.
//
// Keys and channels carry the organization as hash tag, as cardea:{org_…}:events.
//
// The package imports journal, typeid and go-redis.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/cardea/cardea/typeid"
)

// Config says which Redis, and who we are in it.
type Config struct {
	URL        string                // redis://, rediss:// or unix://
	Namespace  string                // prefix of every key and channel; "" in production
	Node       string                // this process, unique; Send reaches it by this name
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil measures without registering
	Length     int64                 // events kept per organization, about; 0 means 10,000
}

// Stream is a node's connection to Redis.
type Stream struct {
	client *redis.Client
	config Config
	redis  condition
	looked atomic.Pointer[look]
}

const (
	defaultLength = 10_000
	// patience bounds each dial, read and write: a frozen Redis costs a caller this long once.
	patience = time.Second
	poolSize = 32
)

// Open prepares a connection and makes none: a node starts without Redis. It fails if the URL is
// malformed.
func Open(_ context.Context, config Config) (*Stream, error) {
	logging.Disable() // it writes past our logger, what its errors say anyway
	options, err := redis.ParseURL(config.URL)
	if err != nil {
		// The cause would show the password.
		return nil, errors.New("open stream: malformed Redis URL")
	}
	if config.Length <= 0 {
		config.Length = defaultLength
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	config.Log = config.Log.With("part", "stream")
	options.Protocol = 2 // no push messages to look for
	options.DisableIdentity = true
	options.DialTimeout, options.DialerRetries = patience, 1
	options.ReadTimeout, options.WriteTimeout, options.PoolTimeout = patience, patience, patience
	options.ContextTimeoutEnabled = true
	options.PoolSize, options.PipelinePoolSize = poolSize, -1
	options.MaxRetries = -1 // each caller knows what a repeat would mean
	return &Stream{
		client: redis.NewClient(options),
		config: config,
		redis:  condition{log: config.Log, of: "redis"},
	}, nil
}

// Close closes every connection. Stop the relay, the hub and Receive first.
func (s *Stream) Close() error { return s.client.Close() }

// Ping asks Redis whether it is there, for at most a second.
func (s *Stream) Ping(ctx context.Context) error {
	if err := s.observe(ctx, s.client.Ping(ctx).Err()); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// within names a key or channel of an organization; all of one organization's share a hash slot.
func (s *Stream) within(org typeid.Organization, name string) string {
	return s.config.Namespace + "cardea:{" + org.String() + "}:" + name
}

func (s *Stream) eventsKey(org typeid.Organization) string   { return s.within(org, "events") }
func (s *Stream) liveChannel(org typeid.Organization) string { return s.within(org, "live") }
func (s *Stream) linkKey(org typeid.Organization, device typeid.Device) string {
	return s.within(org, "link:"+device.String())
}

func (s *Stream) nodeChannel(node string) string {
	return s.config.Namespace + "cardea:node:" + node
}

// observe learns from the outcome of a command whether Redis can be reached, and returns it.
func (s *Stream) observe(ctx context.Context, err error) error {
	var reply redis.Error
	switch {
	case err == nil, errors.As(err, &reply):
		s.redis.report(nil)
	case ctx.Err() == nil:
		s.redis.report(err)
	}
	return err
}

// condition is whether something we depend on works, logged when that changes and not each time.
type condition struct {
	log    *slog.Logger
	of     string
	failed atomic.Bool
}

func (c *condition) report(err error) {
	switch {
	case err != nil && c.failed.CompareAndSwap(false, true):
		c.log.Warn("unavailable", "what", c.of, "error", err)
	case err == nil && c.failed.CompareAndSwap(true, false):
		c.log.Info("available again", "what", c.of)
	}
}

func (c *condition) failing() bool { return c.failed.Load() }

// jitter spreads a pause, so that nodes do not act in step.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2) //nolint:gosec // not a secret
}

// backoff is the pause after a number of failures in a row.
func backoff(failures int) time.Duration {
	const first, most = 100 * time.Millisecond, 3 * time.Second
	return jitter(min(first<<min(failures-1, 8), most))
}

// pause waits, and says whether the context is still alive afterwards.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// signal wakes the one reader of a channel of capacity one.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// ErrCursorAhead says that a cursor names an event that the journal does not have.
var ErrCursorAhead = errors.New("cursor is ahead of the journal")
