package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// explained are the queries that explain access, each with a page of it.
var explained = []struct{ name, document string }{
	{"effectiveAccess", `query($u: ID!, $d: ID!) { effectiveAccess(userId: $u, doorId: $d) {
		granted reason until key { id } mode { mode } offline { granted reason }
		steps { rule effect reason decides key { id } userGroup { name } doorGroup { name } }
		nextChange { at granted reason } } }`},
	{"whoCanOpen", `query($d: ID!) { whoCanOpen(doorId: $d) { mode { mode } pageInfo { endCursor }
		nodes { user { name } decision { reason until key { id } userGroup { name } } } } }`},
	{"doorsFor", `query($u: ID!) { doorsFor(userId: $u) { pageInfo { endCursor }
		nodes { door { name } decision { reason until key { id } doorGroup { name } } } } }`},
}

// estate is a loaded organization with its API.
type estate struct {
	at       time.Time // what the API takes for now
	recorder *recorder
	client   *ent.Client
	handler  http.Handler
	admin    actor.Actor
	users    []typeid.User
	doors    []typeid.Door
}

func loadEstate(tb testing.TB, size bulkSize) *estate {
	tb.Helper()
	url := testenv.Postgres(tb)
	begun := time.Now()
	load(tb, url, size)
	db := testenv.OpenSQL(tb, url)
	tb.Logf("loaded in %.1f s", time.Since(begun).Seconds())
	e := &estate{recorder: &recorder{Driver: entsql.OpenDB(dialect.Postgres, db), db: db}}
	client := rule.Guard(ent.NewClient(ent.Driver(e.recorder)))
	e.client = client
	e.at = time.Now()
	service := access.New(access.Config{
		DB: client, Log: testenv.Logger(tb), Now: func() time.Time { return e.at },
	})
	e.handler = graph.New(graph.Config{
		DB: client, Access: service, Authenticate: service.Authenticate, Log: testenv.Logger(tb),
	})
	org := client.Organization.Query().OnlyX(everywhere(tb))
	ctx := actor.NewContext(tb.Context(), actor.System("test").Within(org.ID))
	for i, u := range client.User.Query().AllX(ctx) {
		if i%(size.users/100) == 0 {
			e.users = append(e.users, u.ID)
		}
		if u.Role == actor.RoleOwner {
			e.admin = actor.User(org.ID, u.ID, u.Role)
		}
	}
	for i, d := range client.Door.Query().AllX(ctx) {
		if i%(size.doors/100) == 0 {
			e.doors = append(e.doors, d.ID)
		}
	}
	return e
}

// ask sends a query about the n-th person and door, and fails if it is not answered.
func (e *estate) ask(tb testing.TB, document string, n int) {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{
		"u": e.users[n%len(e.users)], "d": e.doors[n%len(e.doors)]}})
	if err != nil {
		tb.Fatal(err)
	}
	ctx := actor.NewContext(actor.WithRequestID(tb.Context(), "request"), e.admin)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	e.handler.ServeHTTP(answer, r)
	if answer.Code != http.StatusOK || strings.Contains(answer.Body.String(), `"errors"`) {
		tb.Fatalf("%d: %s", answer.Code, answer.Body)
	}
}

// recorder keeps the statements that are sent while it is told to.
type recorder struct {
	*entsql.Driver
	db   *sql.DB
	mu   sync.Mutex
	on   bool
	sent []statement
}

type statement struct {
	query string
	args  []any
}

func (r *recorder) record(query string, args any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if list, ok := args.([]any); ok && r.on {
		r.sent = append(r.sent, statement{query, list})
	}
}

func (r *recorder) Query(ctx context.Context, query string, args, v any) error {
	r.record(query, args)
	return r.Driver.Query(ctx, query, args, v)
}

func (r *recorder) QueryContext(
	ctx context.Context, query string, args ...any,
) (*sql.Rows, error) {
	r.record(query, args)
	return r.Driver.QueryContext(ctx, query, args...)
}

// plan is how Postgres would run a statement.
func (r *recorder) plan(tb testing.TB, s statement) string {
	tb.Helper()
	return r.explain(everywhere(tb), tb, "EXPLAIN ", s)
}

func (r *recorder) explain(ctx context.Context, tb testing.TB, how string, s statement) string {
	tb.Helper()
	rows, err := r.db.QueryContext(ctx, how+s.query, s.args...)
	if err != nil {
		tb.Fatalf("%v: %s", err, s.query)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			tb.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return plan.String()
}

// everywhere is the context of a system actor: statements of the test's own need one, as any do.
func everywhere(tb testing.TB) context.Context {
	tb.Helper()
	return actor.NewContext(tb.Context(), actor.System("test"))
}

var scanOfLargeTable = regexp.MustCompile(
	`Seq Scan on (users|doors|keys|key_targets|user_group_members|door_group_doors|events)\b`)

// TestExplainingReadsByIndexes loads a part of the large organization with all of its doors, as fewer
// are quicker read whole, and has Postgres say how it runs the very statements of each query:
// never by reading a large table whole.
func TestExplainingReadsByIndexes(t *testing.T) {
	t.Parallel()
	size := explainSize
	size.users, size.keys, size.events = 10_000, 30_000, 2000
	e := loadEstate(t, size)
	e.recorder.on = true
	for _, q := range explained {
		for n := range 20 {
			e.ask(t, q.document, n)
		}
	}
	e.recorder.on = false
	seen := map[string]int{}
	for _, s := range e.recorder.sent {
		if seen[s.query]++; seen[s.query] > 5 {
			continue
		}
		if plan := e.recorder.plan(t, s); scanOfLargeTable.MatchString(plan) {
			t.Errorf("%s\n%.5000s", s.query, plan)
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d statements were seen", len(seen))
	}
}

// BenchmarkExplain times one page of each query over the large organization, through the whole of
// the API but the socket, at noon of a workday and of a Sunday, when schedules are closed. Then no key
// is without a schedule, and so nobody is let in on that Sunday: each page looks at as many candidates
// as it may. The floor is the least that a hand-written statement would need.
//
//	make bench-explain
func BenchmarkExplain(b *testing.B) {
	e := loadEstate(b, explainSize)
	pages := func(when string, at time.Time) {
		e.at = at
		for _, q := range explained {
			b.Run(when+"/"+q.name, func(b *testing.B) {
				measure(b, func(n int) { e.ask(b, q.document, n) })
			})
		}
	}
	wednesday := noonOf(time.Wednesday)
	sunday := wednesday.AddDate(0, 0, 4)
	pages("workday", wednesday)
	pages("sunday", sunday)
	b.Run("floor", func(b *testing.B) { measure(b, func(n int) { e.floor(b, n) }) })
	for _, statement := range []string{
		`UPDATE keys SET schedule_id = (SELECT id FROM schedules LIMIT 1)`,
		`UPDATE doors SET unlock_schedule_id = NULL, mode = 'CONTROLLED'`, `VACUUM ANALYZE`,
	} {
		if _, err := e.recorder.db.ExecContext(everywhere(b), statement); err != nil {
			b.Fatal(err)
		}
	}
	pages("nobody", sunday)
}

// noonOf is the next such day after tomorrow, when every key of the seed has begun.
func noonOf(day time.Weekday) time.Time {
	at := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 2)
	for at.Weekday() != day {
		at = at.AddDate(0, 0, 1)
	}
	return at.Add(12 * time.Hour)
}

// measure reports the median and the 99th percentile of calls.
func measure(b *testing.B, call func(n int)) {
	b.Helper()
	for n := range 100 {
		call(n)
	}
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		begun := time.Now()
		call(n)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(.5), "p50-ms")
	b.ReportMetric(at(.99), "p99-ms")
}

// floor lists twenty people who have a key of their own for a door, by one statement: no groups, no
// sites, no rules.
func (e *estate) floor(b *testing.B, n int) {
	b.Helper()
	rows, err := e.recorder.db.QueryContext(everywhere(b), `
		SELECT DISTINCT u.id, u.name FROM key_targets t
		JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		JOIN users u ON u.org_id = t.org_id AND u.id = t.user_id
		WHERE t.org_id = $1 AND t.target = $2
		  AND k.revoked_at IS NULL ORDER BY u.id LIMIT 20`,
		e.admin.Organization, e.doors[n%len(e.doors)])
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id typeid.User
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(fmt.Errorf("floor: %w", err))
	}
}
