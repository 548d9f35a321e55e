package webhooks_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	entgo "entgo.io/ent"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/webhookcursor"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// deliveredAll waits until every event of want was delivered to the endpoint, and checks that it
// was planned once and in order.
func (h *house) deliveredAll(to *ent.WebhookEndpoint, want []journal.Event) {
	h.t.Helper()
	var rows []*ent.WebhookDelivery
	h.eventually(fmt.Sprintf("%d deliveries to %s", len(want), to.URL), func() bool {
		rows = h.deliveries(to)
		return len(rows) >= len(want) && !slices.ContainsFunc(rows, func(d *ent.WebhookDelivery) bool {
			return d.State != webhookdelivery.StateDELIVERED
		})
	})
	if len(rows) != len(want) {
		h.t.Fatalf("%d deliveries of %d events", len(rows), len(want))
	}
	for i, row := range rows {
		if row.EventID != want[i].ID || row.EventSeq != want[i].Sequence || row.Attempts != 1 {
			h.t.Fatalf("delivery %d is %+v; want event %d once", i, row, want[i].Sequence)
		}
	}
}

func ids(events []journal.Event) []string {
	all := []string{}
	for _, e := range events {
		all = append(all, e.ID.String())
	}
	return all
}

// sameIDs compares without order and with multiplicity: delivery starts in order, but may overtake.
func sameIDs(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// TestManyProcessesPlanOnce has several processes plan and deliver what several clients do.
func TestManyProcessesPlanOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const clients, each, processes = 4, 25, 4
	var receivers []*receiver
	var endpoints []*ent.WebhookEndpoint
	for range 3 {
		to := newReceiver(t, nil)
		endpoint, _ := h.endpoint(to.URL, "site.created")
		receivers, endpoints = append(receivers, to), append(endpoints, endpoint)
	}
	for range processes {
		cfg := h.config()
		cfg.DB = testenv.OpenClient(t, h.url)
		h.run(cfg)
	}
	var acting sync.WaitGroup
	for range clients {
		acting.Go(func() {
			for range each {
				h.event()
			}
		})
	}
	acting.Wait()
	happened := h.siteEvents()
	if len(happened) != clients*each {
		t.Fatalf("%d events", len(happened))
	}
	for i, endpoint := range endpoints {
		h.deliveredAll(endpoint, happened)
		if !sameIDs(receivers[i].ids(), ids(happened)) {
			t.Errorf("%d requests for %d events", len(receivers[i].ids()), len(happened))
		}
	}
}

// TestPlannerDiesBetweenSteps ends the planner's connection to the database at each step of a plan
// in turn, in the middle of the transaction.
func TestPlannerDiesBetweenSteps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, nil)
	endpoint, _ := h.endpoint(to.URL, "site.created")
	server := testenv.OpenSQL(t, h.url)
	cfg := h.config()
	cfg.DB = testenv.OpenClient(t, h.url+"&application_name=victim")
	var deaths sync.Map // step to *atomic.Int64
	die := func(ctx context.Context, step string) {
		count, _ := deaths.LoadOrStore(step, new(atomic.Int64))
		if count.(*atomic.Int64).Add(1) > 2 {
			return
		}
		_, err := server.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'victim'
			AND state = 'idle in transaction'`)
		if err != nil {
			t.Error(err)
		}
	}
	cfg.DB.JournalHead.Intercept(dyingQuery(die, "head"))
	cfg.DB.WebhookEndpoint.Intercept(dyingQuery(die, "endpoints"))
	cfg.DB.Event.Intercept(dyingQuery(die, "events"))
	cfg.DB.WebhookCursor.Use(func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			die(ctx, "cursor before")
			value, err := next.Mutate(ctx, m)
			die(ctx, "cursor after")
			return value, err
		})
	})
	h.run(cfg)
	for range 20 {
		h.event()
	}
	happened := h.siteEvents()
	h.deliveredAll(endpoint, happened)
	if !sameIDs(to.ids(), ids(happened)) {
		t.Errorf("%d requests for %d events", len(to.ids()), len(happened))
	}
	for _, step := range []string{"head", "endpoints", "events", "cursor before", "cursor after"} {
		if count, ok := deaths.Load(step); !ok || count.(*atomic.Int64).Load() < 2 {
			t.Errorf("no plan died at: %s", step)
		}
	}
}

func dyingQuery(die func(context.Context, string), step string) ent.Interceptor {
	return entgo.InterceptFunc(func(next entgo.Querier) entgo.Querier {
		return entgo.QuerierFunc(func(ctx context.Context, q entgo.Query) (entgo.Value, error) {
			die(ctx, step)
			return next.Query(ctx, q)
		})
	})
}

// TestRewoundCursorPlansNothingTwice sets an organization back to its beginning.
func TestRewoundCursorPlansNothingTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, nil)
	endpoint, _ := h.endpoint(to.URL, "site.created")
	h.run(h.config())
	for range 5 {
		h.event()
	}
	h.deliveredAll(endpoint, h.siteEvents())
	if err := h.db.WebhookCursor.Update().SetSeq(0).Exec(within(h)); err != nil {
		t.Fatal(err)
	}
	h.event()
	h.deliveredAll(endpoint, h.siteEvents())
	if n := len(to.ids()); n != 6 {
		t.Errorf("%d requests for 6 events", n)
	}
}

func within(h *house) context.Context {
	return actor.NewContext(h.t.Context(), actor.System("test").Within(h.org))
}

func (h *house) cursor(org typeid.Organization) int64 {
	h.t.Helper()
	ctx := actor.NewContext(h.t.Context(), actor.System("test"))
	row, err := h.db.WebhookCursor.Query().Where(webhookcursor.ID(org)).Only(ctx)
	if ent.IsNotFound(err) {
		return -1
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return row.Seq
}

// TestWithoutEndpointsOnlyTheCursorMoves counts reads of the journal. It also plans without being
// nudged, as when another process commits.
func TestWithoutEndpointsOnlyTheCursorMoves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cfg := h.config()
	cfg.DB = testenv.OpenClient(t, h.url)
	var reads atomic.Int64
	cfg.DB.Event.Intercept(dyingQuery(func(context.Context, string) { reads.Add(1) }, ""))
	for range 10 {
		h.event()
	}
	h.run(cfg)
	head, err := journal.Open(h.db).Head(h.ctx, h.org)
	if err != nil {
		t.Fatal(err)
	}
	h.eventually("the cursor at the head", func() bool { return h.cursor(h.org) == head })
	if n := reads.Load(); n != 0 {
		t.Errorf("the journal was read %d times", n)
	}
}

// TestEndpointsGetWhatTheyAskFor checks types, and the event from which on an endpoint receives,
// all in one batch.
func TestEndpointsGetWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	url := newReceiver(t, nil).URL
	h.event()
	all, _ := h.endpoint(url + "/all")
	some, _ := h.endpoint(url+"/some", "site.created", "site.deleted")
	none, _ := h.endpoint(url+"/none", "door.created")
	h.event()
	late, _ := h.endpoint(url+"/late", "site.created")
	h.event()
	happened, err := journal.Open(h.db).Read(h.ctx, h.org, all.FromSeq, 100)
	if err != nil {
		t.Fatal(err)
	}
	h.run(h.config())
	h.deliveredAll(all, happened)
	h.deliveredAll(some, h.siteEvents()[1:])
	h.deliveredAll(late, h.siteEvents()[2:])
	if rows := h.deliveries(none); len(rows) != 0 {
		t.Errorf("%d deliveries of events that were not asked for", len(rows))
	}
}

// TestBacklogIsPlannedInBatches starts with more events than one transaction plans.
func TestBacklogIsPlannedInBatches(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to := newReceiver(t, nil)
	endpoint, _ := h.endpoint(to.URL, "door.opened")
	tx, err := h.db.Tx(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	opened := slices.Repeat([]journal.Event{{Type: "door.opened"}}, 1201)
	happened, err := journal.Append(h.ctx, tx, h.org, opened...)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	h.run(h.config())
	h.deliveredAll(endpoint, happened)
	t.Logf("1201 deliveries in %s", time.Since(started))
}

// TestStrangersEventsStayAway has two organizations with an endpoint each.
func TestStrangersEventsStayAway(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	stranger := h.neighbour()
	mine, theirs := newReceiver(t, nil), newReceiver(t, status(http.StatusOK))
	here, _ := h.endpoint(mine.URL, "site.created")
	there, _ := stranger.endpoint(theirs.URL, "site.created")
	h.run(h.config())
	for range 3 {
		h.event()
		stranger.event()
	}
	h.deliveredAll(here, h.siteEvents())
	stranger.deliveredAll(there, stranger.siteEvents())
	if !sameIDs(mine.ids(), ids(h.siteEvents())) ||
		!sameIDs(theirs.ids(), ids(stranger.siteEvents())) {
		t.Error("an endpoint received another organization's events")
	}
}
