package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/server"
)

func workerOnly(t *testing.T) server.Config {
	t.Helper()
	return server.Config{
		Addr: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Routes: server.Routes{Ready: func(context.Context) error { return nil }},
	}
}

func TestOneLogLineForEachRequest(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{GraphQL: echo("graphql")}})
	answer, body := n.get(t, "/graphql?query=secret", "Authorization", "Bearer good")
	n.get(t, "/no/such/place")
	n.get(t, "/livez")
	_ = n.stop()

	lines := n.log.lines(t, "request")
	if len(lines) != 3 {
		t.Fatalf("%d lines for 3 requests: %s", len(lines), n.log)
	}
	for name, want := range map[string]any{
		"request": answer.Header.Get("X-Request-Id"), "method": "GET", "route": "/graphql",
		"status": 200.0, "bytes": float64(len(body)), "actor_kind": "SYSTEM", "actor": "test",
		"level": "INFO",
	} {
		if lines[0][name] != want {
			t.Errorf("%s is %v, want %v", name, lines[0][name], want)
		}
	}
	if lines[1]["route"] != "none" || lines[1]["status"] != 404.0 || lines[2]["level"] != "DEBUG" {
		t.Errorf("logged %v and %v", lines[1], lines[2])
	}
	if strings.Contains(n.log.String(), "secret") || strings.Contains(n.log.String(), "such") {
		t.Errorf("a path or a query shows in %s", n.log)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	for _, path := range []string{"/graphql", "/graphql", "/a", "/b", "/graphiql"} {
		n.get(t, path)
	}
	n.get(t, "/graphql", "Authorization", "Bearer bad")
	_, body := n.get(t, "/metrics")
	for _, want := range []string{
		`cardea_http_requests_total{route="/graphql",status="2xx"} 2`,
		`cardea_http_requests_total{route="/graphql",status="4xx"} 1`,
		`cardea_http_requests_total{route="none",status="4xx"} 2`,
		`cardea_http_request_seconds_count{route="/graphiql",status="2xx"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

// A WebSocket goes through every wrapper, as its actor, and is logged and counted when it ends.
func TestWebSocketUpgrade(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
				Subprotocols: []string{"graphql-transport-ws"},
			})
			if err != nil {
				t.Error(err)
				return
			}
			kind, message, err := c.Read(r.Context())
			if err != nil {
				t.Error(err)
			}
			if err := c.Write(r.Context(), kind, append(message, " back"...)); err != nil {
				t.Error(err)
			}
			_ = c.Close(websocket.StatusNormalClosure, "")
		}),
	}})
	c := n.dial(t, "Authorization", "Bearer good")
	if err := c.Write(t.Context(), websocket.MessageText, []byte("there and")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := c.Read(t.Context()); string(message) != "there and back" {
		t.Errorf("read %q, %v", message, err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("read %v, want a normal close", err)
	}
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	lines := n.log.lines(t, "request")
	if len(lines) != 1 || lines[0]["status"] != 101.0 || lines[0]["actor"] != "test" {
		t.Errorf("logged %v", lines)
	}
}

// Upgraded connections are counted, but how long they lived says nothing about latency.
func TestMetricsOfUpgradedConnections(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{
		Devices: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			_ = c.Close()
		}),
	}})
	if answer, err := n.client.Get(n.url + "/devices/v1/raw"); err == nil {
		_ = answer.Body.Close()
	}
	const counted = `cardea_http_requests_total{route="/devices/v1/",status="1xx"} 1`
	_, body := n.get(t, "/metrics")
	for late := time.Now().Add(patience); !strings.Contains(body, counted); {
		if time.Now().After(late) {
			t.Fatalf("no %s in\n%s", counted, body)
		}
		_, body = n.get(t, "/metrics") // until the handler has returned
	}
	if strings.Contains(body, `cardea_http_request_seconds_count{route="/devices/v1/"`) {
		t.Errorf("a latency was recorded:\n%s", body)
	}
}

func TestStreamingThroughTheWrapper(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			err := errors.Join(control.SetWriteDeadline(time.Now().Add(time.Hour)), control.Flush())
			if err != nil {
				t.Error(err)
			}
			<-read // the client has the headers before the body exists
			_, _ = io.WriteString(w, "body")
		}),
	}})
	answer, err := n.client.Get(n.url + "/graphql")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	close(read)
	if body, err := io.ReadAll(answer.Body); string(body) != "body" || err != nil {
		t.Errorf("read %q, %v", body, err)
	}
}

func TestPanicBeforeAnAnswerIsMasked(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("pq: inner life") }),
	}})
	answer, body := n.get(t, "/graphql")
	wantRefusal(t, answer, body, http.StatusInternalServerError, "INTERNAL")
	_ = n.stop()
	lines := n.log.lines(t, "panic in handler")
	if len(lines) != 1 || lines[0]["request"] != answer.Header.Get("X-Request-Id") {
		t.Fatalf("logged %v", lines)
	}
	stack, _ := lines[0]["stack"].(string)
	if strings.Contains(body, "inner life") || !strings.Contains(stack, "access_log_test.go") {
		t.Errorf("body %s and stack %s", body, stack)
	}
	if requests := n.log.lines(t, "request"); len(requests) != 1 || requests[0]["status"] != 500.0 {
		t.Errorf("logged %v", requests)
	}
}

func TestPanicAfterAnAnswerBreaksIt(t *testing.T) {
	t.Parallel()
	upgraded := make(chan struct{})
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := websocket.Accept(w, r, nil); err != nil {
				t.Error(err)
			}
			<-upgraded
			panic("late")
		}),
		Devices: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "half")
			if r.URL.Path == "/devices/v1/abort" {
				panic(http.ErrAbortHandler)
			}
			_ = http.NewResponseController(w).Flush()
			panic("late")
		}),
	}})
	for _, path := range []string{"/devices/v1/half", "/devices/v1/abort"} {
		answer, err := n.client.Get(n.url + path)
		if err != nil {
			continue // cut before the headers went out
		}
		if body, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("%s: %q was taken for a whole answer", path, body)
		}
		_ = answer.Body.Close()
	}
	c := n.dial(t)
	close(upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != -1 || ctx.Err() != nil {
		t.Errorf("read %v, want a broken connection", err)
	}
	_ = n.stop()
	if lines := n.log.lines(t, "panic in handler"); len(lines) != 2 {
		t.Errorf("%d panics logged, want 2 and none for the abort", len(lines))
	}
	if lines := n.log.lines(t, "request"); len(lines) != 3 {
		t.Errorf("%d requests logged, want 3", len(lines))
	}
}
