package graph_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what should come at once.
const patience = 30 * time.Second

// client speaks graphql-transport-ws.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

type frame struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

func (w *world) dial(protocol ...string) *client {
	w.t.Helper()
	if len(protocol) == 0 {
		protocol = []string{"graphql-transport-ws"}
	}
	narrowed := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			}
			return conn, err
		},
	}}
	conn, _, err := websocket.Dial(w.t.Context(), strings.Replace(w.url, "http", "ws", 1),
		&websocket.DialOptions{Subprotocols: protocol, HTTPClient: narrowed})
	must(w.t, err)
	w.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: w.t, conn: conn}
}

// connect dials and says who it is.
func (w *world) connectAs(p person) *client {
	w.t.Helper()
	c := w.dial()
	c.send(frame{Type: "connection_init", Payload: json.RawMessage(`{"authorization":"Bearer ` + p.secret + `"}`)})
	equal(w.t, c.read().Type, "connection_ack")
	return c
}

func (c *client) send(f frame) {
	c.t.Helper()
	data, err := json.Marshal(f)
	must(c.t, err)
	c.sendRaw(string(data))
}

func (c *client) sendRaw(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(c.t, c.conn.Write(ctx, websocket.MessageText, []byte(text)))
}

func (c *client) tryRead() (frame, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return frame{}, err
	}
	var f frame
	err = json.Unmarshal(data, &f)
	return f, err
}

func (c *client) read() frame {
	c.t.Helper()
	f, err := c.tryRead()
	must(c.t, err)
	return f
}

// closed reads to the end of the socket and returns its code.
func (c *client) closed() websocket.StatusCode {
	c.t.Helper()
	for {
		_, err := c.tryRead()
		if code := websocket.CloseStatus(err); code != -1 {
			return code
		}
		if err != nil {
			c.t.Fatalf("ended without a code: %v", err)
		}
	}
}

// start begins an operation.
func (c *client) start(id, query string, variables ...vars) {
	c.t.Helper()
	request := map[string]any{"query": query}
	if len(variables) > 0 {
		request["variables"] = variables[0]
	}
	payload, err := json.Marshal(request)
	must(c.t, err)
	c.send(frame{ID: id, Type: "subscribe", Payload: payload})
}

// next reads an item of an operation.
func (c *client) next(id string) map[string]any {
	c.t.Helper()
	f := c.read()
	if f.Type != "next" || f.ID != id {
		c.t.Fatalf("no item of %s: %s %s %s", id, f.Type, f.ID, f.Payload)
	}
	var payload struct {
		Data   map[string]any
		Errors []fault
	}
	must(c.t, json.Unmarshal(f.Payload, &payload))
	if len(payload.Errors) > 0 {
		c.t.Fatalf("item with errors: %s", f.Payload)
	}
	return payload.Data
}

// failed reads the error that ends an operation, and returns its code and field.
func (c *client) failed(id string) string {
	c.t.Helper()
	f := c.read()
	if f.Type != "error" || f.ID != id {
		c.t.Fatalf("no error of %s: %s %s %s", id, f.Type, f.ID, f.Payload)
	}
	var faults []fault
	must(c.t, json.Unmarshal(f.Payload, &faults))
	return faults[0].codeAndField()
}

func (c *client) complete(id string) {
	c.t.Helper()
	f := c.read()
	equal(c.t, f.Type+" "+f.ID, "complete "+id)
}

// quiet checks that nothing was sent before the answer to a ping.
func (c *client) quiet() {
	c.t.Helper()
	c.send(frame{Type: "ping"})
	equal(c.t, c.read().Type, "pong")
}

func decode(t *testing.T, f frame) map[string]any {
	t.Helper()
	var payload struct{ Data map[string]any }
	if err := json.Unmarshal(f.Payload, &payload); err != nil || payload.Data == nil {
		t.Fatalf("no item: %s %s", f.Type, f.Payload)
	}
	return payload.Data
}

// now is the cursor of the newest event: a subscription after it hears what happens from here on,
// however late it starts.
func (w *world) now(p person) string {
	w.t.Helper()
	const newest = `{ auditLog(first: 1) { pageInfo { endCursor } } }`
	return w.ask(p, newest).ok().text("auditLog.pageInfo.endCursor")
}
