package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/internal/testenv"
)

// limit bounds every wait of a test; nothing here takes it when all is well.
const limit = time.Minute

// stage is the real program on a database and a Redis namespace of its own.
type stage struct {
	t     *testing.T
	env   map[string]string
	token string
	claim string // of the panel whose port 1 is the door
	seed  string // what seeding said
}

func newStage(t *testing.T) *stage {
	t.Helper()
	redis, namespace := testenv.Redis(t)
	s := &stage{t: t, env: map[string]string{
		"CARDEA_DATABASE_URL": testenv.Postgres(t), "CARDEA_REDIS_URL": redis,
		"CARDEA_REDIS_NAMESPACE": namespace, "CARDEA_ADDR": "127.0.0.1:0",
		"CARDEA_ALLOW_INSIDE_WEBHOOKS": "true", "CARDEA_LOG_LEVEL": "warn",
		"CARDEA_SECRETS": newSecret(),
	}}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"seed"}, s.getenv, &out, t.Output()); err != nil {
		t.Fatal(err)
	}
	s.seed = out.String()
	s.token = regexp.MustCompile(`cardea_\w+`).FindString(out.String())
	s.claim = regexp.MustCompile(`claim code +(\S+)`).FindStringSubmatch(out.String())[1]
	return s
}

func (s *stage) organization() string { return regexp.MustCompile(`org_\w+`).FindString(s.seed) }

func (s *stage) getenv(name string) string { return s.env[name] }

// serve runs a node with some roles until the test ends, and returns its URL.
func (s *stage) serve(roles string) string {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"serve", "-roles", roles}, s.getenv, writer, s.t.Output())
		_ = writer.CloseWithError(io.EOF)
		done <- err
	}()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Errorf("node %s: %v", roles, err)
		}
	})
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		s.t.Fatalf("node %s did not start: %v", roles, err)
	}
	return line[strings.LastIndex(line, "http") : len(line)-1]
}

// ask sends an operation and decodes data; GraphQL errors fail the test.
func (s *stage) ask(url, query string, data any) {
	s.t.Helper()
	response, err := s.post(s.t.Context(), url, query)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	if answer.Errors != nil {
		s.t.Fatalf("%s\n%s", query, answer.Errors)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		s.t.Fatal(err)
	}
}

// post sends an operation.
func (s *stage) post(ctx context.Context, url, query string) (*http.Response, error) {
	body, _ := json.Marshal(map[string]string{"query": query})
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.token)
	return http.DefaultClient.Do(request)
}

// fact is an event, wherever it was seen.
type fact struct {
	ID       string
	Sequence int64
	Type     string
}

// subscribe sends what a subscription to all events yields, from now on.
func (s *stage) subscribe(url string) <-chan fact {
	s.t.Helper()
	ctx := s.t.Context()
	socket, _, err := websocket.Dial(ctx, url+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = socket.CloseNow() })
	type message struct {
		Type    string `json:"type"`
		ID      string `json:"id,omitempty"`
		Payload any    `json:"payload,omitempty"`
	}
	s.send(socket, message{Type: "connection_init",
		Payload: map[string]string{"authorization": "Bearer " + s.token}})
	var ack message
	if err := wsjson.Read(ctx, socket, &ack); err != nil || ack.Type != "connection_ack" {
		s.t.Fatalf("got %v, %v", ack, err)
	}
	s.send(socket, message{Type: "subscribe", ID: "1", Payload: map[string]string{
		"query": `subscription { events { event { id sequence type } } }`}})
	facts := make(chan fact, 1000)
	go func() {
		defer close(facts)
		for {
			var next struct {
				Type    string
				Payload struct {
					Data struct{ Events struct{ Event fact } }
				}
			}
			if err := wsjson.Read(ctx, socket, &next); err != nil {
				return
			}
			if next.Type == "next" {
				facts <- next.Payload.Data.Events.Event
			}
		}
	}()
	return facts
}

func (s *stage) send(socket *websocket.Conn, message any) {
	s.t.Helper()
	if err := wsjson.Write(s.t.Context(), socket, message); err != nil {
		s.t.Fatal(err)
	}
}

// rouse changes the door until the subscription yields something: nothing else tells that it has
// begun.
func (s *stage) rouse(url, door string, facts <-chan fact) {
	s.t.Helper()
	for {
		var updated any
		s.ask(url, fmt.Sprintf(
			`mutation { updateDoor(input: {id: %q, relockSeconds: 1}) { door { id } } }`, door), &updated)
		select {
		case <-facts:
			return
		case <-time.After(limit / 100):
		}
	}
}

// receive serves a webhook endpoint and sends what arrives.
func (s *stage) receive(url string) <-chan fact {
	s.t.Helper()
	facts := make(chan fact, 1000)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Data fact }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil ||
			r.Header.Get("Webhook-Id") != body.Data.ID {
			s.t.Errorf("webhook %s: %v", r.Header.Get("Webhook-Id"), err)
		}
		facts <- body.Data
	}))
	s.t.Cleanup(endpoint.Close)
	var made struct{ CreateWebhookEndpoint struct{ Secret string } }
	s.ask(url, fmt.Sprintf(
		`mutation { createWebhookEndpoint(input: {url: %q}) { secret } }`, endpoint.URL), &made)
	return facts
}

// until collects facts up to one of a type.
func until(t *testing.T, facts <-chan fact, last string) (all []fact) {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case f, ok := <-facts:
			if !ok {
				t.Fatalf("ended before %s, after %v", last, all)
			}
			if all = append(all, f); f.Type == last {
				return all
			}
		case <-deadline:
			t.Fatalf("no %s in %s, only %v", last, limit, all)
		}
	}
}

// door is the first door of the demo organization, with its device linked to a node.
func (s *stage) door(link string) string {
	s.t.Helper()
	identity, err := client.Enrol(s.t.Context(), link, s.claim,
		client.Hardware{Serial: "SIM-1", Model: "Panel", Firmware: sim.Firmware})
	if err != nil {
		s.t.Fatal(err)
	}
	device := sim.NewDevice(sim.DeviceConfig{
		BaseURL: link, Identity: identity, Log: testenv.Logger(s.t),
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			s.t.Errorf("device: %v", err)
		}
	})
	patient, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	state, err := device.Until(patient, func(now sim.State) bool { return now.Linked })
	if err != nil {
		s.t.Fatal(err)
	}
	return state.Welcome.Doors[0].DoorID.String()
}

// locked waits until a door's device has said how it found the door: what comes after that is the
// unlock's.
func (s *stage) locked(url, door string) {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < limit; {
		var found struct{ Door struct{ LockState string } }
		s.ask(url, fmt.Sprintf(`{ door(id: %q) { lockState } }`, door), &found)
		if found.Door.LockState == "LOCKED" {
			return
		}
	}
	s.t.Fatal("the device does not report")
}

// order is a command.
type order struct{ ID, Stage, Confirmation, EndedAt string }

// ended is an order when it has: on a starved machine, an unlock answers before.
func (s *stage) ended(url string, o order) order {
	s.t.Helper()
	for begun := time.Now(); o.EndedAt == "" && time.Since(begun) < limit; {
		var found struct{ Command order }
		s.ask(url, fmt.Sprintf(`{ command(id: %q) { id stage confirmation endedAt } }`, o.ID), &found)
		o = found.Command
	}
	return o
}

// TestFirstDoorOpens follows an unlock over the whole road, in one node and in two.
func TestFirstDoorOpens(t *testing.T) {
	t.Parallel()
	for name, roles := range map[string]struct{ api, link string }{
		"one node":  {"api,link,worker", ""},
		"two nodes": {"api", "link,worker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			api := s.serve(roles.api)
			link := api
			if roles.link != "" {
				link = s.serve(roles.link)
			}
			door := s.door(link)
			s.locked(api, door)
			live := s.subscribe(api)
			s.rouse(api, door, live)
			hook := s.receive(api)
			until(t, live, "webhook_endpoint.created")
			until(t, hook, "webhook_endpoint.created")

			var unlocked struct {
				UnlockDoor struct{ Command order }
			}
			s.ask(api, fmt.Sprintf(
				`mutation { unlockDoor(input: {doorId: %q}) { command { id stage confirmation endedAt } } }`,
				door), &unlocked)
			if c := s.ended(api, unlocked.UnlockDoor.Command); c.Stage != "CONFIRMED" ||
				c.Confirmation == "NONE" {
				t.Errorf("command %+v", c)
			}
			seen := until(t, live, "lock.locked")
			delivered := until(t, hook, "lock.locked")
			types := make([]string, len(seen))
			for i, f := range seen {
				types[i] = f.Type
			}
			for _, want := range []string{"access.granted", "command.created", "command.dispatched",
				"command.confirmed", "lock.unlocked", "lock.locked"} {
				if !slices.Contains(types, want) {
					t.Errorf("no %s in %v", want, types)
				}
			}
			if slices.Index(types, "lock.unlocked") > slices.Index(types, "lock.locked") {
				t.Errorf("order %v", types)
			}
			slices.SortFunc(delivered, func(a, b fact) int { return int(a.Sequence - b.Sequence) })
			if !slices.Equal(delivered, seen) {
				t.Errorf("webhook\n%v\nsubscription\n%v", delivered, seen)
			}
			var audit struct{ AuditLog struct{ Nodes []fact } }
			s.ask(api, fmt.Sprintf(`{ auditLog(first: %d) { nodes { id sequence type } } }`, len(seen)),
				&audit)
			slices.Reverse(audit.AuditLog.Nodes)
			if !slices.Equal(audit.AuditLog.Nodes, seen) {
				t.Errorf("audit log\n%v\nsubscription\n%v", audit.AuditLog.Nodes, seen)
			}
			var after struct{ Door struct{ LockState string } }
			s.ask(api, fmt.Sprintf(`{ door(id: %q) { lockState } }`, door), &after)
			if after.Door.LockState != "LOCKED" {
				t.Errorf("the door is %s", after.Door.LockState)
			}
		})
	}
}

func TestConfigurationListsEveryMistake(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"CARDEA_DATABASE_URL": "postgres://user:hidden@db/cardea", "CARDEA_ADDR": "8080",
		"CARDEA_ROLES": "api,cook", "CARDEA_DATABASE_POOL": "0", "CARDEA_SECRETS": "\nhidden;",
		"CARDEA_PUBLIC_URL": "https://doors.example.com/k",
	}
	err := run(t.Context(), []string{"serve", "-check"},
		func(name string) string { return env[name] }, io.Discard, io.Discard)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"CARDEA_DATABASE_URL", "sslmode", "CARDEA_ADDR", "CARDEA_ROLES",
		"cook", "CARDEA_DATABASE_POOL", "CARDEA_REDIS_URL", "CARDEA_SECRETS: line 2",
		"CARDEA_PUBLIC_URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in:\n%s", want, err)
		}
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Error("it shows a password or a secret")
	}
}

// Postgres lets a superuser past every policy: to serve as one has to be said.
func TestServeRefusesASuperuser(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	u, err := url.Parse(s.env["CARDEA_DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User("cardea") // administers private servers
	s.env["CARDEA_DATABASE_URL"] = u.String()
	err = run(t.Context(), []string{"serve"}, s.getenv, io.Discard, t.Output())
	if err == nil || !strings.Contains(err.Error(), "CARDEA_DATABASE_FENCE=off") {
		t.Fatalf("got %v", err)
	}
	s.env["CARDEA_DATABASE_FENCE"] = "off"
	var answer struct {
		Doors struct{ Nodes []struct{ ID string } }
	}
	s.ask(s.serve("api"), "{ doors { nodes { id } } }", &answer)
	if len(answer.Doors.Nodes) == 0 {
		t.Error("no doors")
	}
}

func TestServeRefusesADatabaseThatLacksMigrations(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	db := testenv.OpenSQL(t, s.env["CARDEA_DATABASE_URL"])
	if _, err := db.ExecContext(t.Context(), `DELETE FROM schema_migrations
		WHERE version = (SELECT max(version) FROM schema_migrations)`); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"serve"}, s.getenv, io.Discard, t.Output())
	if err == nil || !strings.Contains(err.Error(), "cardea migrate") {
		t.Fatalf("got %v", err)
	}
}

// TestHelp: who asks for help is helped, and has made no mistake.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"help", "-h", "--help"} {
		var out, wrong bytes.Buffer
		err := run(t.Context(), []string{asked}, func(string) string { return "" }, &out, &wrong)
		if err != nil || wrong.Len() > 0 || !strings.HasPrefix(out.String(), "usage: cardea") {
			t.Errorf("%s: %v, %q", asked, err, out.String())
		}
	}
}
