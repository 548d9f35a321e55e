package graph_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/localservices"
	"github.com/cardea/cardea/internal/testenv"
)

// installation is two nodes on a Postgres and a Redis of their own, and a subscriber.
type installation struct {
	*world   // where the subscriber is
	there    *world
	services *localservices.Services

	c      *client
	cursor string  // of the last event that the subscriber has
	seen   float64 // its number
	made   int     // sites
}

func install(t *testing.T) *installation {
	t.Helper()
	services, err := localservices.Start(t.Context(),
		localservices.Config{Dir: t.TempDir(), Durable: true})
	must(t, err)
	t.Cleanup(func() { must(t, services.Discard()) })
	db, err := pool.OpenPatient(services.PostgresURL, 1, pool.FenceAll)
	must(t, err)
	_, err = migrations.Apply(t.Context(), db)
	must(t, err)
	must(t, db.Close())
	redis := [2]string{services.RedisURL, ""}
	i := &installation{
		world: node(t, "here", services.PostgresURL, redis), services: services,
		there: node(t, "there", services.PostgresURL, redis),
	}
	i.people(t.Context())
	i.cursor, i.seen = i.now(i.admin), i.head()
	return i
}

const listening = `subscription($after: Cursor) { events(after: $after) { cursor event { sequence } } }`

// listen has the subscriber connect, and resume where it was.
func (i *installation) listen(at *world) {
	i.t.Helper()
	i.c = at.connectAs(i.admin)
	i.c.start("s", listening, vars{"after": i.cursor})
}

func (i *installation) head() float64 {
	i.t.Helper()
	return i.ask(i.admin, `{ auditLog(first: 1) { nodes { sequence } } }`).ok().
		at("auditLog.nodes.0.sequence").(float64)
}

// happen commits some events on the other node. One that finds a connection of before a restart is
// tried again.
func (i *installation) happen(count int) {
	i.t.Helper()
	for n, tries := 0, 0; n < count; tries++ {
		i.made++
		_, err := i.there.access.CreateSite(i.admin.ctx, access.CreateSiteInput{
			Name: fmt.Sprintf("Quay %d", i.made), TimeZone: "UTC"})
		switch {
		case err == nil:
			n++
		case tries > 100 || !pool.Unavailable(err):
			i.t.Fatal(err)
		}
	}
}

// hears has the subscriber receive all that there is, each event the next. It may be told that the
// server cannot answer now, and resumes then.
func (i *installation) hears() {
	i.t.Helper()
	var head float64
	for tries := 0; head == 0; tries++ {
		a := i.there.ask(i.admin, `{ auditLog(first: 1) { nodes { sequence } } }`)
		if len(a.Errors) == 0 {
			head = a.at("auditLog.nodes.0.sequence").(float64)
		} else if tries > 100 {
			a.ok()
		}
	}
	for i.seen < head {
		f := i.c.read()
		if f.Type == "error" && strings.Contains(string(f.Payload), `"UNAVAILABLE"`) {
			i.c.start("s", listening, vars{"after": i.cursor})
			continue
		}
		if f.Type != "next" {
			i.t.Fatalf("%s %s", f.Type, f.Payload)
		}
		data := decode(i.t, f)
		i.seen = i.follows(i.seen, data)
		i.cursor = dig(i.t, data, "events.cursor").(string)
	}
}

func (i *installation) redis(words ...string) {
	i.t.Helper()
	_, err := localservices.AskRedis(i.t.Context(), i.services.RedisURL, words...)
	must(i.t, err)
}

// TestSubscribersResume: each failure alone, with events before, meanwhile and after.
func TestSubscribersResume(t *testing.T) {
	t.Parallel()
	i := install(t)
	defer func() { i.t, i.there.t = t, t }() // for who cleans up
	restart := func(which localservices.Need, by syscall.Signal) func() {
		return func() {
			must(i.t, i.services.Restart(i.t.Context(), which, by, 0))
			i.happen(3)
		}
	}
	cut := func(then func()) func() {
		return func() {
			_ = i.c.conn.CloseNow()
			i.happen(300) // more than a page
			then()
		}
	}
	stream := "cardea:{" + i.admin.user.OrgID.String() + "}:events"
	for _, failure := range []struct {
		name string
		do   func()
	}{
		{"the client is cut", cut(func() { i.listen(i.world) })},
		{"its node is gone", cut(func() { i.listen(i.there) })},
		{"the stream is trimmed", cut(func() {
			i.redis("XTRIM", stream, "MAXLEN", "1")
			i.listen(i.world)
		})},
		{"Redis is wiped", func() { i.redis("FLUSHALL"); i.happen(3) }},
		{"Redis is wiped, and nothing happens", cut(func() { i.redis("FLUSHALL"); i.listen(i.there) })},
		{"Redis is full", func() {
			i.redis("CONFIG", "SET", "maxmemory", "1")
			i.happen(3)
			i.hears()
			i.redis("CONFIG", "SET", "maxmemory", "0")
		}},
		{"Redis is restarted", restart(localservices.Redis, syscall.SIGTERM)},
		{"Redis is killed", restart(localservices.Redis, syscall.SIGKILL)},
		{"Postgres is restarted", restart(localservices.Postgres, syscall.SIGINT)},
		{"Postgres is restarted at once", restart(localservices.Postgres, syscall.SIGQUIT)},
		{"its node restarts", func() {
			i.stop()
			equal(i.t, i.c.closed(), websocket.StatusServiceRestart)
			i.happen(3)
			i.listen(i.there)
		}},
	} {
		t.Run(failure.name, func(t *testing.T) {
			begun := time.Now()
			i.t, i.there.t = t, t
			i.listen(i.world)
			i.happen(3)
			i.hears()
			failure.do()
			i.happen(3)
			i.hears()
			t.Logf("%.1f s", time.Since(begun).Seconds())
		})
		if t.Failed() {
			return
		}
	}
}

// TestCursorsThatLeadNowhere: a cursor from before retention is said to be that; one of another
// organization, and one that is none, are refused alike.
func TestCursorsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	old := w.now(w.admin)
	for n := range 5 {
		w.door(w.admin, site, fmt.Sprintf("Gate %d", n))
	}
	kept := w.now(w.admin)
	last := w.ask(w.admin, `{ auditLog(first: 1) { nodes { sequence } } }`).ok().
		at("auditLog.nodes.0.sequence").(float64)
	w.expire(int64(last) - 1)
	_, err := localservices.AskRedis(t.Context(), w.redis[0], "DEL",
		w.redis[1]+"cardea:{"+w.org.String()+"}:events")
	must(t, err)
	foreign := w.now(w.stranger)
	c := w.another().connectAs(w.admin) // on which nobody has heard them
	refusal := func(after string) string {
		t.Helper()
		c.start("s", listening, vars{"after": after})
		f := c.read()
		equal(t, f.Type, "error")
		id := strings.Index(string(f.Payload), `"requestId"`)
		return string(f.Payload[:id])
	}
	equal(t, strings.Contains(refusal(old), "CURSOR_EXPIRED"), true)
	nonsense := refusal("bm9uc2Vuc2U")
	equal(t, refusal(foreign), nonsense)
	equal(t, strings.Contains(nonsense, "BAD_USER_INPUT"), true)
	c.start("kept", listening, vars{"after": kept})
	c.quiet()
	w.door(w.admin, site, "Cellar")
	equal(t, dig(t, c.next("kept"), "events.event.sequence").(float64), last+1)
}

// expire deletes the events of the first organization up to a number, as retention does.
func (w *world) expire(last int64) {
	w.t.Helper()
	_, err := testenv.OpenSQL(w.t, w.database).ExecContext(w.admin.ctx,
		`DELETE FROM events WHERE org_id = $1 AND seq <= $2`, w.org, last)
	must(w.t, err)
}
