package stream_test

import (
	"context"
	"database/sql"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// deadline bounds every wait: longer than anything that works, on a slow machine.
const deadline = 30 * time.Second

// world is a database and a Redis namespace of one test.
type world struct {
	*testing.T
	db        *ent.Client
	database  string
	log       *journal.Log
	redis     *redis.Client // for looking and for breaking
	redisURL  string
	namespace string
	subjects  sync.Map // *stream.Subscription to the organization that it is of
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, database: testenv.Postgres(t)}
	w.db = testenv.OpenClient(t, w.database)
	w.log = journal.Open(w.db)
	w.redisURL, w.namespace = testenv.Redis(t)
	options, err := redis.ParseURL(w.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	w.redis = redis.NewClient(options)
	t.Cleanup(func() { _ = w.redis.Close() })
	return w
}

// node is a process: its own connection, relay and hub.
type node struct {
	*stream.Stream
	relay   *stream.Relay
	hub     *stream.Hub
	metrics *prometheus.Registry
}

type nodeConfig struct {
	stream    stream.Config
	hub       stream.HubConfig
	log       *journal.Log
	hubOnly   bool
	unstarted bool
}

// node starts a process that lasts as long as the test.
func (w *world) node(c nodeConfig) *node {
	w.Helper()
	n := w.open(c.stream)
	if c.log == nil {
		c.log = w.log
	}
	n.relay = stream.NewRelay(n.Stream, c.log)
	n.hub = stream.NewHub(n.Stream, c.log, c.hub)
	if c.unstarted {
		return n
	}
	w.run(n.hub.Run)
	if !c.hubOnly {
		w.run(n.relay.Run)
	}
	return n
}

// open connects a process without starting anything.
func (w *world) open(c stream.Config) *node {
	w.Helper()
	n := &node{metrics: prometheus.NewRegistry()}
	c.Namespace, c.Registerer = w.namespace, n.metrics
	if c.URL == "" {
		c.URL = w.redisURL
	}
	if c.Log == nil {
		c.Log = testenv.Logger(w.T)
	}
	var err error
	if n.Stream, err = stream.Open(w.Context(), c); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = n.Close() })
	return n
}

// run runs a part until the test ends, and waits for it then. The function it returns ends it now.
func (w *world) run(part func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.Errorf("a part ended with %v", err)
			}
		case <-time.After(deadline):
			w.Error("a part does not end")
		}
	})
	w.Cleanup(stop)
	return stop
}

// measured sums a metric over its labels, or returns that of one label value.
func (w *world) measured(n *node, name, label string) float64 {
	w.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		w.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == label {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (w *world) organization() typeid.Organization {
	w.Helper()
	ctx := actor.NewContext(w.Context(), actor.System("test"))
	tx, err := w.db.Tx(ctx)
	if err != nil {
		w.Fatal(err)
	}
	org, err := tx.Organization.Create().SetName("Harbour Offices").Save(ctx)
	if err != nil {
		w.Fatal(err)
	}
	if err := journal.Start(ctx, tx, org.ID); err != nil {
		w.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		w.Fatal(err)
	}
	return org.ID
}

// commit appends events in one transaction and returns them; nobody is told.
func (w *world) commit(org typeid.Organization, count int) []journal.Event {
	w.Helper()
	ctx := actor.NewContext(w.Context(), actor.System("test").Within(org))
	tx, err := w.db.Tx(ctx)
	if err != nil {
		w.Error(err)
		return nil
	}
	events := make([]journal.Event, count)
	for i := range events {
		events[i] = journal.Event{Type: "door.opened", Door: typeid.New[typeid.Door]()}
	}
	events, err = journal.Append(ctx, tx, org, events...)
	if err != nil {
		w.Error(err, tx.Rollback())
		return nil
	}
	if err := tx.Commit(); err != nil {
		w.Error(err)
		return nil
	}
	return events
}

func (w *world) subscribe(n *node, org typeid.Organization, after int64) *stream.Subscription {
	w.Helper()
	s, err := n.hub.Subscribe(w.Context(), org, after)
	if err != nil {
		w.Fatalf("subscribe after %d: %v", after, err)
	}
	w.subjects.Store(s, org)
	return s
}

// expect receives the events after a number, up to another one, each the next of its organization.
func (w *world) expect(s *stream.Subscription, after, last int64) {
	w.Helper()
	org, _ := w.subjects.Load(s)
	timeout := time.After(deadline)
	for next := after + 1; next <= last; next++ {
		select {
		case e, ok := <-s.Events():
			if !ok {
				w.Errorf("ended before %d: %v", next, s.Err())
				return
			}
			if e.Sequence != next || e.Organization != org {
				w.Errorf("received %d of %s, want %d of %s", e.Sequence, e.Organization, next, org)
				return
			}
		case <-timeout:
			w.Errorf("received nothing after %d, want up to %d", next-1, last)
			return
		}
	}
}

// expectEnd waits for the end of a subscription and returns its error and how many events came
// before.
func (w *world) expectEnd(s *stream.Subscription) (count int, err error) {
	w.Helper()
	timeout := time.After(deadline)
	for {
		select {
		case _, ok := <-s.Events():
			if !ok {
				return count, s.Err()
			}
			count++
		case <-timeout:
			w.Fatal("the subscription does not end")
		}
	}
}

// eventually waits until something is true of a server's state.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(deadline)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			w.Fatalf("never: %s", what)
		}
	}
}

// wipe deletes every key of the namespace, as FLUSHALL would.
func (w *world) wipe() {
	w.Helper()
	ctx := w.Context()
	found := w.redis.Scan(ctx, 0, w.namespace+"*", 1000).Iterator()
	for found.Next(ctx) {
		if err := w.redis.Del(ctx, found.Val()).Err(); err != nil {
			w.Fatal(err)
		}
	}
	if err := found.Err(); err != nil {
		w.Fatal(err)
	}
}

func (w *world) key(org typeid.Organization, name string) string {
	return w.namespace + "cardea:{" + org.String() + "}:" + name
}

// streamed returns the identifiers of the entries of an organization's stream.
func (w *world) streamed(org typeid.Organization) []string {
	w.Helper()
	entries, err := w.redis.XRange(w.Context(), w.key(org, "events"), "-", "+").Result()
	if err != nil {
		w.Fatal(err)
	}
	ids := make([]string, len(entries))
	for i, entry := range entries {
		ids[i] = entry.ID
	}
	return ids
}

// endsWith says that the stream's newest entry has this identifier.
func (w *world) endsWith(org typeid.Organization, id string) func() bool {
	return func() bool {
		ids := w.streamed(org)
		return len(ids) > 0 && ids[len(ids)-1] == id
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// expire deletes the events up to a number, as retention does.
func (w *world) expire(org typeid.Organization, last int64) {
	w.Helper()
	everywhere := actor.NewContext(w.Context(), actor.System("test"))
	_, err := testenv.OpenSQL(w.T, w.database).ExecContext(everywhere,
		`DELETE FROM events WHERE org_id = $1 AND seq <= $2`, org, last)
	if err != nil {
		w.Fatal(err)
	}
}

// guarded makes a client of a database that the test may close.
func guarded(db *sql.DB) *ent.Client {
	return rule.Guard(ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db))))
}
