package graph_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// world is a node's API over a database and a Redis of its own, with two organizations.
type world struct {
	database string
	redis    [2]string // URL and namespace
	t        *testing.T
	pool     *sql.DB
	live     *stream.Stream
	db       *ent.Client
	access   *access.Service
	hub      *stream.Hub
	handler  *graph.Handler
	url      string
	devices  *hardware
	counter  *counter
	registry *prometheus.Registry
	stop     context.CancelFunc // of handler.Run
	stopped  chan error
	logged   logged
	mailed   letters

	authenticated atomic.Pointer[func()] // what comes after the next look at who somebody is

	org      typeid.Organization
	admin    person
	member   person
	stranger person // administrator of the other organization
}

// person is a user with a token.
type person struct {
	user   *ent.User
	token  *ent.APIToken
	secret string
	ctx    context.Context //nolint:containedctx // who they are
}

// logged is all that was logged, every level.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

// letters is what was sent.
type letters struct {
	mu  sync.Mutex
	all []access.Letter
}

func (l *letters) put(one access.Letter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, one)
}

func (w *world) letters() []access.Letter {
	w.mailed.mu.Lock()
	defer w.mailed.mu.Unlock()
	return slices.Clone(w.mailed.all)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

type option func(*graph.Config, *stream.HubConfig)

func setup(t *testing.T, options ...option) *world {
	t.Helper()
	url, namespace := testenv.Redis(t)
	w := node(t, "here", testenv.Postgres(t), [2]string{url, namespace}, options...)
	w.people(t.Context())
	return w
}

// authenticate does so, and then whatever a test wants done right after it, once.
func (w *world) authenticate(ctx context.Context, secret string) (actor.Actor, error) {
	by, err := w.access.Authenticate(ctx, secret)
	if then := w.authenticated.Swap(nil); then != nil {
		(*then)()
	}
	return by, err
}

// another is a second node of the same installation.
func (w *world) another() *world {
	w.t.Helper()
	return node(w.t, "there", w.database, w.redis)
}

func node(
	t *testing.T, name, database string, redis [2]string, options ...option,
) *world {
	t.Helper()
	w := &world{t: t, counter: &counter{}, stopped: make(chan error, 1)}
	w.database, w.redis = database, redis
	w.pool = testenv.OpenSQL(t, w.database)
	w.counter.Driver = entsql.OpenDB(dialect.Postgres, w.pool)
	w.db = rule.Guard(ent.NewClient(ent.Driver(w.counter)))
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	t.Cleanup(func() { cancel(); parts.Wait() })

	log := slog.New(slog.NewMultiHandler(testenv.Logger(t).Handler(),
		slog.NewTextHandler(&w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	live, err := stream.Open(ctx, stream.Config{
		URL: redis[0], Namespace: redis[1], Node: name, Log: log})
	must(t, err)
	w.live = live
	t.Cleanup(func() { _ = live.Close() })
	// What tells of events asks now and then by itself: that is nobody's statement.
	record := journal.Open(rule.Guard(ent.NewClient(ent.Driver(
		entsql.OpenDB(dialect.Postgres, w.pool)))))
	relay := stream.NewRelay(live, record)
	w.registry = prometheus.NewRegistry()
	config := graph.Config{PerUser: 1000, DB: w.db, Stream: live, Reserve: w.reserve(), Log: log,
		Registerer: w.registry}
	hubConfig := stream.HubConfig{}
	for _, o := range options {
		o(&config, &hubConfig)
	}
	w.hub = stream.NewHub(live, record, hubConfig)
	w.devices = &hardware{}
	w.access = access.New(access.Config{
		DB: w.db, Reserve: config.Reserve, Devices: w.devices, Committed: relay.Offer, Log: log,
		AllowInsideWebhooks: true, Send: w.mailed.put,
	})
	w.devices.access = w.access
	config.Access, config.Hub, config.Authenticate = w.access, w.hub, w.authenticate
	w.handler = graph.New(config)
	parts.Go(func() { _ = relay.Run(ctx) })
	parts.Go(func() { _ = w.hub.Run(ctx) })
	var running context.Context
	running, w.stop = context.WithCancel(context.Background())
	go func() { w.stopped <- w.handler.Run(running) }()

	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	server.Listener = narrow{server.Listener}
	server.Start()
	w.url = server.URL
	t.Cleanup(func() {
		w.stop()
		must(t, <-w.stopped)
		server.Close()
		w.devices.wait()
	})
	return w
}

// reserve is a second pool of the node.
func (w *world) reserve() *ent.Client {
	w.t.Helper()
	small, err := pool.Open(w.database, 4, pool.FenceAll)
	must(w.t, err)
	w.t.Cleanup(func() { _ = small.Close() })
	return rule.Guard(ent.NewClient(ent.Driver(
		counted{entsql.OpenDB(dialect.Postgres, small), w.counter})))
}

// serve does what package server does before the handler.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	ctx := actor.WithRequestID(r.Context(), actor.NewRequestID())
	if from, err := netip.ParseAddr(r.Header.Get("X-Test-Address")); err == nil {
		ctx = actor.WithAddress(ctx, from)
	}
	if _, token, ok := strings.Cut(r.Header.Get("Authorization"), "Bearer "); ok {
		by, err := w.access.Authenticate(ctx, token)
		if err != nil {
			http.Error(rw, "token", http.StatusUnauthorized)
			return
		}
		ctx = actor.NewContext(ctx, by)
	}
	w.handler.ServeHTTP(rw, r.WithContext(ctx))
}

func (w *world) people(ctx context.Context) {
	w.t.Helper()
	system := actor.NewContext(ctx, actor.System("test"))
	org, desk, err := w.access.CreateOrganization(system, access.CreateOrganizationInput{
		Name: "Hinges", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(w.t, err)
	other, otherDesk, err := w.access.CreateOrganization(system, access.CreateOrganizationInput{
		Name: "Elsewhere", AdminName: "Other desk", AdminEmail: "other@example.com"})
	must(w.t, err)
	w.org = org.ID
	w.admin = w.person(ctx, org.ID, desk)
	w.stranger = w.person(ctx, other.ID, otherDesk)
	made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{
		Name: "Night shift", Email: "night.shift@example.com"})
	must(w.t, err)
	w.member = w.person(ctx, org.ID, made.User)
}

func (w *world) person(ctx context.Context, org typeid.Organization, u *ent.User) person {
	w.t.Helper()
	ctx = actor.NewContext(ctx, actor.User(org, u.ID, u.Role))
	made, err := w.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "laptop"})
	must(w.t, err)
	return person{user: u, token: made.Token, secret: made.Secret, ctx: ctx}
}

// hardware is one device that does at once what it is told, through access as devicelink does.
type hardware struct {
	access  *access.Service
	mu      sync.Mutex
	links   map[typeid.Device]*link
	running sync.WaitGroup
	act     func(access.Dispatch, *link) // nil: confirm
}

type link struct {
	ctx      context.Context //nolint:containedctx // which device it is
	epoch    int64
	sequence int64
}

func (h *hardware) Dispatch(_ context.Context, d access.Dispatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.links[d.Device]
	if l == nil {
		return access.ErrDeviceOffline
	}
	act := h.act
	if act == nil {
		act = func(d access.Dispatch, l *link) {
			h.result(l, d, access.Result{Stage: "ACKNOWLEDGED"})
			h.result(l, d, access.Result{Stage: "CONFIRMED", Confirmation: "LOCK_STATE"})
		}
	}
	h.running.Go(func() {
		if err := h.access.RecordDispatched(l.ctx, d.Command, time.Now()); err == nil {
			act(d, l)
		}
	})
	return nil
}

func (h *hardware) result(l *link, d access.Dispatch, r access.Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.sequence++
	r.Command = d.Command
	report := access.Report{Sequence: l.sequence, OccurredAt: schema.Now(), Delivery: "LIVE",
		Port: d.Port, Result: &r}
	if r.Stage == "CONFIRMED" {
		report.Type, report.LockState = "lock.unlocked", "UNLOCKED"
	}
	if _, err := h.access.RecordReports(l.ctx, l.epoch, []access.Report{report}); err != nil {
		panic(err)
	}
}

// Configure does what a link does: it records what the device was told of its doors.
func (h *hardware) Configure(ctx context.Context, id typeid.Device) error {
	h.mu.Lock()
	l := h.links[id]
	h.mu.Unlock()
	if l == nil {
		return access.ErrDeviceOffline
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	by, _ := actor.FromContext(l.ctx)
	ctx = actor.NewContext(ctx, by)
	doors, err := h.access.DoorsOf(ctx)
	if err != nil {
		return err
	}
	return h.access.RecordConfigured(ctx, doors)
}

func (h *hardware) Renew(_ context.Context, id typeid.Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links[id] == nil {
		return access.ErrDeviceOffline
	}
	return nil
}

func (*hardware) Disconnect(context.Context, typeid.Device) error { return nil }

// connect brings a device online, with its door reporting.
func (w *world) connect(p person, id typeid.Device) *link {
	w.t.Helper()
	by, _ := actor.FromContext(p.ctx)
	l := &link{ctx: actor.NewContext(context.Background(), actor.Device(by.Organization, id))}
	state, err := w.access.OpenLink(l.ctx, access.OpenLinkInput{LogEpoch: 1, Firmware: "1.0"})
	must(w.t, err)
	l.epoch, l.sequence = state.Epoch, state.Sequence
	w.devices.mu.Lock()
	defer w.devices.mu.Unlock()
	if w.devices.links == nil {
		w.devices.links = map[typeid.Device]*link{}
	}
	w.devices.links[id] = l
	return l
}

func (h *hardware) wait() { h.running.Wait() }

// report records what a device saw at a port.
func (w *world) report(l *link, r access.Report) {
	w.t.Helper()
	w.devices.mu.Lock()
	defer w.devices.mu.Unlock()
	l.sequence++
	r.Sequence, r.OccurredAt, r.Delivery = l.sequence, schema.Now(), "LIVE"
	_, err := w.access.RecordReports(l.ctx, l.epoch, []access.Report{r})
	must(w.t, err)
}

// Builders of what tests need, by the shortest way.

func (w *world) site(p person, name string) *ent.Site {
	w.t.Helper()
	made, err := w.access.CreateSite(p.ctx, access.CreateSiteInput{Name: name, TimeZone: "Europe/Rome"})
	must(w.t, err)
	return made.Site
}

func (w *world) door(p person, s *ent.Site, name string) *ent.Door {
	w.t.Helper()
	made, err := w.access.CreateDoor(p.ctx, access.CreateDoorInput{SiteID: s.ID, Name: name})
	must(w.t, err)
	return made.Door
}

func (w *world) device(p person, s *ent.Site) *ent.Device {
	w.t.Helper()
	made, err := w.access.CreateDevice(p.ctx, access.CreateDeviceInput{SiteID: s.ID, Name: "Controller"})
	must(w.t, err)
	return made.Device
}

func (w *world) bind(p person, d *ent.Door, dev *ent.Device, port int) {
	w.t.Helper()
	_, err := w.access.BindDoor(p.ctx, access.BindDoorInput{DoorID: d.ID, DeviceID: dev.ID, Port: port})
	must(w.t, err)
}

func (w *world) key(p person, u *ent.User, doors ...*ent.Door) *ent.Key {
	w.t.Helper()
	in := access.GrantKeyInput{UserID: u.ID}
	for _, d := range doors {
		in.DoorIDs = append(in.DoorIDs, d.ID)
	}
	made, err := w.access.GrantKey(p.ctx, in)
	must(w.t, err)
	return made.Key
}

// answer is a GraphQL response.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	raw    []byte
	Data   map[string]any
	Errors []fault
}

type fault struct {
	Message    string
	Path       []any
	Extensions struct{ Code, Field, RequestID string }
}

func (f fault) codeAndField() string {
	return strings.TrimSpace(f.Extensions.Code + " " + f.Extensions.Field)
}

type vars map[string]any

// ask sends an operation to the whole handler.
func (w *world) ask(p person, query string, variables ...vars) answer {
	w.t.Helper()
	request := map[string]any{"query": query}
	if len(variables) > 0 {
		request["variables"] = variables[0]
	}
	body, err := json.Marshal(request)
	must(w.t, err)
	return w.post(p, string(body))
}

func (w *world) post(p person, body string, headers ...string) answer {
	w.t.Helper()
	headers = append([]string{"Content-Type", "application/json"}, headers...)
	return w.request(p, http.MethodPost, "", body, headers...)
}

func (w *world) request(p person, method, query, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+query, strings.NewReader(body))
	must(w.t, err)
	if p.secret != "" {
		r.Header.Set("Authorization", "Bearer "+p.secret)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	must(w.t, err)
	a := answer{t: w.t, status: response.StatusCode, header: response.Header, raw: raw}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&a); err != nil && response.StatusCode == http.StatusOK {
		w.t.Fatalf("not JSON: %s", raw)
	}
	return a
}

// ok fails the test if the answer has errors.
func (a answer) ok() answer {
	a.t.Helper()
	if len(a.Errors) > 0 || a.Data == nil {
		a.t.Fatalf("errors in answer: %s", a.raw)
	}
	return a
}

// refused fails the test unless the answer has exactly these errors, each a code and a field.
func (a answer) refused(wanted ...string) answer {
	a.t.Helper()
	var got []string
	for _, e := range a.Errors {
		got = append(got, e.codeAndField())
		if e.Extensions.RequestID == "" {
			a.t.Errorf("error without a request ID: %s", a.raw)
		}
	}
	slices.Sort(got) // fields side by side fail in any order
	slices.Sort(wanted)
	equal(a.t, strings.Join(got, ", "), strings.Join(wanted, ", "))
	return a
}

// at returns what lies at a dotted path in the data; numbers index lists.
func (a answer) at(path string) any {
	a.t.Helper()
	return dig(a.t, a.Data, path)
}

func (a answer) text(path string) string {
	a.t.Helper()
	text, ok := a.at(path).(string)
	if !ok {
		a.t.Fatalf("no text at %s: %s", path, a.raw)
	}
	return text
}

func dig(t *testing.T, v any, path string) any {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		switch inside := v.(type) {
		case map[string]any:
			v = inside[step]
		case []any:
			i := int(step[0] - '0')
			if i >= len(inside) {
				t.Fatalf("no item %s of %s in %v", step, path, v)
			}
			v = inside[i]
		default:
			t.Fatalf("nothing at %s of %s", step, path)
		}
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

// counter counts statements, and can be told to fail.
type counter struct {
	dialect.Driver
	mu         sync.Mutex
	statements []string
	fail       error
}

func (c *counter) Query(ctx context.Context, query string, args, v any) error {
	return c.pass(ctx, c.Driver, query, args, v)
}

// counted is a second pool, whose statements its counter counts too.
type counted struct {
	dialect.Driver
	by *counter
}

func (c counted) Query(ctx context.Context, query string, args, v any) error {
	return c.by.pass(ctx, c.Driver, query, args, v)
}

func (c *counter) pass(
	ctx context.Context, to dialect.Driver, query string, args, v any,
) error {
	c.mu.Lock()
	c.statements = append(c.statements, query)
	err := c.fail
	c.mu.Unlock()
	if errors.Is(err, errPanic) {
		panic(err)
	}
	if err != nil {
		return err
	}
	return to.Query(ctx, query, args, v)
}

// QueryContext is how access sends statements of its own.
func (c *counter) QueryContext(
	ctx context.Context, query string, args ...any,
) (*sql.Rows, error) {
	c.count(query)
	return c.Driver.(*entsql.Driver).QueryContext(ctx, query, args...)
}

func (c counted) QueryContext(
	ctx context.Context, query string, args ...any,
) (*sql.Rows, error) {
	c.by.count(query)
	return c.Driver.(*entsql.Driver).QueryContext(ctx, query, args...)
}

func (c *counter) count(query string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statements = append(c.statements, query)
}

// during returns the statements that do makes ent send.
func (c *counter) during(do func()) []string {
	c.mu.Lock()
	c.statements = nil
	c.mu.Unlock()
	do()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.statements)
}

func (c *counter) break_(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = err
}

var (
	errBroken = errors.New("pq: the secret of the database")
	errPanic  = errors.New("panic")
)

// asActor asks as somebody who is known without asking the database.
func (w *world) asActor(p person, query string, variables ...vars) answer {
	w.t.Helper()
	request := map[string]any{"query": query}
	if len(variables) > 0 {
		request["variables"] = variables[0]
	}
	body, err := json.Marshal(request)
	must(w.t, err)
	r := httptest.NewRequestWithContext(actor.WithRequestID(p.ctx, "request"),
		http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	a := answer{t: w.t, status: recorder.Code, header: recorder.Header(), raw: recorder.Body.Bytes()}
	must(w.t, json.Unmarshal(a.raw, &a))
	return a
}

// narrow gives connections small buffers, so that a client that does not read is noticed soon.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return conn, err
}

// sockets is how many sockets the handler has, by its own count.
func (w *world) sockets() int { return int(w.measured("cardea_graph_sockets")) }

// measured is the sum of a gauge or a counter.
func (w *world) measured(name string) (sum float64) {
	w.t.Helper()
	families, err := w.registry.Gather()
	must(w.t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
