package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nobody = actor.System("test")

const patience = 30 * time.Second // with what should happen at once

// node is a running server and what it logged.
type node struct {
	url    string
	addr   string
	client *http.Client
	log    *logBuffer
	stop   func() error // stops the server and waits for Run; safe to call again
	cancel context.CancelFunc
	done   chan struct{} // closed when Run has returned
}

// start runs a server on a free port. Missing parts are filled in: it is ready, accepts the token
// "good" and answers every query with 200.
func start(t *testing.T, cfg server.Config) *node {
	t.Helper()
	n := &node{log: &logBuffer{}, done: make(chan struct{})}
	cfg.Addr, cfg.Registry = "127.0.0.1:0", prometheus.NewRegistry()
	cfg.Log = slog.New(slog.NewJSONHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Routes.GraphQL == nil {
		cfg.Routes.GraphQL = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	if cfg.Routes.Ready == nil {
		cfg.Routes.Ready = func(context.Context) error { return nil }
	}
	if cfg.Routes.Authenticate == nil {
		cfg.Routes.Authenticate = authenticate
	}
	s, err := server.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.addr, n.url = s.Addr().String(), "http://"+s.Addr().String()
	n.run(t, s)
	return n
}

func (n *node) run(t *testing.T, s *server.Server) {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	n.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, cancel := context.WithCancel(t.Context())
	var result error
	go func() {
		result = s.Run(ctx)
		close(n.done)
	}()
	n.cancel = cancel
	n.stop = func() error {
		transport.CloseIdleConnections()
		cancel()
		<-n.done
		return result
	}
	t.Cleanup(func() { _ = n.stop() })
}

func authenticate(_ context.Context, token string) (actor.Actor, error) {
	switch token {
	case "good", "": // an empty token must not come this far
		return nobody, nil
	case "unlucky":
		return actor.Actor{}, errors.New("dial postgres at db.internal")
	}
	return actor.Actor{}, server.ErrBadToken
}

// get answers a request's status, headers and body.
func (n *node) get(t *testing.T, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	answer, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// refusal is the one shape of every error.
type refusal struct {
	Errors []struct {
		Message    string
		Extensions struct{ Code, RequestID string }
	}
}

// wantRefusal checks an error's status, code and request ID.
func wantRefusal(t *testing.T, answer *http.Response, body string, status int, code string) {
	t.Helper()
	var got refusal
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Errors) != 1 {
		t.Fatalf("%d with body %q, want one GraphQL error", answer.StatusCode, body)
	}
	e := got.Errors[0]
	if answer.StatusCode != status || e.Extensions.Code != code || e.Message == "" {
		t.Errorf("%d %s, want %d %s", answer.StatusCode, body, status, code)
	}
	if id := answer.Header.Get("X-Request-Id"); id == "" || e.Extensions.RequestID != id {
		t.Errorf("request ID %q in the body, %q in the header", e.Extensions.RequestID, id)
	}
}

// logBuffer collects log lines from every goroutine.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// lines returns the lines with this message.
func (b *logBuffer) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for text := range strings.Lines(b.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	return found
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	used := prometheus.NewRegistry()
	if _, err := server.New(t.Context(), server.Config{Addr: "here", Registry: used}); err == nil {
		t.Error("an address without a port: no error")
	}
	for name, cfg := range map[string]server.Config{
		"a taken port":         {Addr: taken.Addr().String(), Registry: prometheus.NewRegistry()},
		"metrics twice":        {Addr: "127.0.0.1:0", Registry: used},
		"GraphQL without auth": {Routes: server.Routes{GraphQL: http.NotFoundHandler()}},
	} {
		if _, err := server.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStopWaitsForRequests(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-release
			if r.Context().Err() != nil {
				t.Error("the request lost its context within the grace period")
			}
			_, _ = io.WriteString(w, "done")
		}),
	}})
	answered := make(chan string, 1)
	go func() {
		_, body := n.get(t, "/graphql")
		answered <- body
	}()
	<-entered
	n.cancel()
	n.waitUntilRefused(t)
	select {
	case <-n.done:
		t.Fatal("Run returned with a request running")
	default:
	}
	close(release)
	if body := <-answered; body != "done" {
		t.Errorf("the running request got %q", body)
	}
	if err := n.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestStopWaitsForUpgradedConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			<-release
			_ = c.Close(websocket.StatusServiceRestart, "")
		}),
	}})
	c := n.dial(t)
	n.cancel()
	n.waitUntilRefused(t)
	select {
	case <-n.done:
		t.Fatal("Run returned with a WebSocket open")
	default:
	}
	close(release)
	_, _, err := c.Read(t.Context())
	if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
		t.Errorf("the client read %v, want close 1012", err)
	}
	if err := n.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// After the grace period both kinds of handler lose their context, and Run says that it was late.
func TestStopEndsWhatOutlivesTheGrace(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 2)
	n := start(t, server.Config{Grace: 20 * time.Millisecond, Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, nil); err == nil {
				defer func() { _ = c.CloseNow() }()
			}
			entered <- struct{}{}
			<-r.Context().Done()
		}),
		Devices: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-r.Context().Done()
		}),
	}})
	n.dial(t)
	go func() {
		if answer, err := n.client.Get(n.url + "/devices/v1/slow"); err == nil {
			_ = answer.Body.Close()
		}
	}()
	<-entered
	<-entered
	if err := n.stop(); err == nil || !strings.Contains(err.Error(), "grace") {
		t.Errorf("Run: %v, want an error that names the grace period", err)
	}
}

// waitUntilRefused returns when the port takes no more connections.
func (n *node) waitUntilRefused(t *testing.T) {
	t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", n.addr)
		if err != nil {
			return
		}
		_ = c.Close()
	}
	t.Fatal("the port still takes connections")
}

func (n *node) dial(t *testing.T, headers ...string) *websocket.Conn {
	t.Helper()
	options := &websocket.DialOptions{HTTPClient: n.client, HTTPHeader: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		options.HTTPHeader.Set(headers[i], headers[i+1])
	}
	c, _, err := websocket.Dial(t.Context(), n.url+"/graphql", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}
