package webhooks_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/webhookattempt"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
	"github.com/cardea/cardea/webhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is an organization on a database of its own.
type house struct {
	t      *testing.T
	url    string // of the database
	db     *ent.Client
	access *access.Service
	org    typeid.Organization
	ctx    context.Context //nolint:containedctx // the organization's administrator
	clock  clock
	nudge  atomic.Pointer[webhooks.Webhooks]
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, url: testenv.Postgres(t)}
	h.db = testenv.OpenClient(t, h.url)
	h.access = access.New(access.Config{
		DB: h.db, Log: testenv.Logger(t), AllowInsideWebhooks: true,
		Committed: func(events []journal.Event) {
			if w := h.nudge.Load(); w != nil {
				w.Nudge(events[0].Organization)
			}
		},
	})
	h.settle("Harbour")
	return h
}

// neighbour is another organization on the same database.
func (h *house) neighbour() *house {
	h.t.Helper()
	other := &house{t: h.t, url: h.url, db: h.db, access: h.access}
	other.settle("Hill")
	return other
}

func (h *house) settle(name string) {
	h.t.Helper()
	org, admin, err := h.access.CreateOrganization(
		actor.NewContext(h.t.Context(), actor.System("test")),
		access.CreateOrganizationInput{Name: name, AdminName: "A", AdminEmail: "a@example.com"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.org = org.ID
	h.ctx = actor.NewContext(h.t.Context(), actor.User(org.ID, admin.ID, actor.RoleAdmin))
}

// clock is the wall clock, put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return schema.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) forwardTo(at time.Time)  { c.forward(at.Sub(c.now())) }

func (h *house) config() webhooks.Config {
	return webhooks.Config{
		DB: h.db, Access: h.access, Log: testenv.Logger(h.t), AllowInside: true, Now: h.clock.now,
		Timeouts: webhooks.Timeouts{Poll: 10 * time.Millisecond},
	}
}

// run starts a process's webhooks and returns what stops them and waits until they are gone. The
// test stops them at its end at the latest.
func (h *house) run(cfg webhooks.Config) (stop func()) {
	w := webhooks.New(cfg)
	h.nudge.Store(w)
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.Run(ctx); err != nil {
			h.t.Errorf("run: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	h.t.Cleanup(stop)
	return stop
}

// endpoint makes an endpoint as a customer would, and returns it with its secret.
func (h *house) endpoint(url string, types ...string) (*ent.WebhookEndpoint, string) {
	h.t.Helper()
	made, err := h.access.CreateWebhookEndpoint(h.ctx,
		access.CreateWebhookEndpointInput{URL: url, EventTypes: types})
	if err != nil {
		h.t.Fatal(err)
	}
	return made.Endpoint, made.Secret
}

// insideEndpoint makes one that no customer could, because its URL is refused.
func (h *house) insideEndpoint(url string) *ent.WebhookEndpoint {
	h.t.Helper()
	made, err := h.db.WebhookEndpoint.Create().SetURL(url).SetSecret(make([]byte, 32)).
		SetEventTypes([]string{"site.created"}).SetFromSeq(0).Save(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return made
}

var siteCount atomic.Int64

// event makes something happen: a site, and so an event site.created.
func (h *house) event() {
	h.t.Helper()
	_, err := h.access.CreateSite(h.ctx, access.CreateSiteInput{
		Name: fmt.Sprintf("Site %d", siteCount.Add(1)), TimeZone: "Europe/Vienna",
	})
	if err != nil {
		h.t.Error(err)
	}
}

// siteEvents returns what happened, in order.
func (h *house) siteEvents() (events []journal.Event) {
	h.t.Helper()
	all, err := journal.Open(h.db).Read(h.ctx, h.org, 0, 10_000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range all {
		if e.Type == "site.created" {
			events = append(events, e)
		}
	}
	return events
}

// deliveries returns an endpoint's deliveries, in the order in which they were made.
func (h *house) deliveries(to *ent.WebhookEndpoint) []*ent.WebhookDelivery {
	h.t.Helper()
	rows, err := h.db.WebhookDelivery.Query().Where(webhookdelivery.EndpointID(to.ID)).
		Order(webhookdelivery.ByID()).All(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// settled waits until the endpoint's only delivery has had so many attempts, and returns both.
func (h *house) settled(
	to *ent.WebhookEndpoint, attempts int,
) (*ent.WebhookDelivery, []*ent.WebhookAttempt) {
	h.t.Helper()
	var delivery *ent.WebhookDelivery
	h.eventually(fmt.Sprintf("%d attempts for %s", attempts, to.URL), func() bool {
		rows := h.deliveries(to)
		if len(rows) == 1 && rows[0].Attempts == attempts {
			delivery = rows[0]
		}
		return delivery != nil
	})
	made, err := h.db.WebhookAttempt.Query().Where(webhookattempt.DeliveryID(delivery.ID)).
		Order(webhookattempt.ByNumber()).All(h.ctx)
	if err != nil || len(made) != attempts {
		h.t.Fatalf("%d attempts are recorded, %v; want %d", len(made), err, attempts)
	}
	return delivery, made
}

// eventually waits for real state to become true.
func (h *house) eventually(what string, is func() bool) {
	h.t.Helper()
	deadline := time.After(time.Minute)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline:
			h.t.Fatalf("never happened: %s", what)
		}
	}
}

// receiver is a customer's server. It remembers what it was sent.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	sent []message
}

// message is a request as it arrived.
type message struct {
	header http.Header
	body   []byte
}

// newReceiver answers with 204, or as the handler says.
func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(r.handler(t, answer))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) handler(t *testing.T, answer http.HandlerFunc) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		r.mu.Lock()
		r.sent = append(r.sent, message{request.Header, body})
		r.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, request)
	})
}

func (r *receiver) messages() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]message(nil), r.sent...)
}

func (r *receiver) ids() []string {
	ids := []string{}
	for _, m := range r.messages() {
		ids = append(ids, m.header.Get("webhook-id"))
	}
	return ids
}

// status answers with a status code.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func decodeSecret(t *testing.T, secret string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
