package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// The protocol graphql-transport-ws. A socket has one goroutine, which reads; net/http's is let go, with
// all that it holds for a request. An operation has one until it is answered or, as a subscription,
// listens with others. Nobody waits for a client that does not read: it loses its socket (wire.go).

const (
	subprotocol   = "graphql-transport-ws"
	initTimeout   = 5 * time.Second
	writeTimeout  = 5 * time.Second
	pingEvery     = 10 * time.Second
	pongTimeout   = 5 * time.Second
	maxMessage    = 64 << 10
	maxOperations = 50  // at once, on one socket
	maxMessages   = 100 // in each messageWindow
	messageWindow = 10 * time.Second
)

// closing is why a socket ends, as the client is told.
type closing struct {
	code   websocket.StatusCode
	reason string
}

func (c closing) Error() string { return c.reason }

// The codes that clients of the protocol know. Of those below 4000 they reconnect after 1012 and
// 1013; of the others after 4403 and 4408.
var (
	errGone         = closing{0, "the client closed"}
	errDraining     = closing{websocket.StatusServiceRestart, "the server restarts: reconnect"}
	errSlow         = closing{websocket.StatusTryAgainLater, "the client does not read"}
	errTrouble      = closing{websocket.StatusTryAgainLater, "the server cannot answer now"}
	errManySockets  = closing{websocket.StatusTryAgainLater, "too many connections of this user"}
	errTalkative    = closing{websocket.StatusPolicyViolation, "too many messages"}
	errBadMessage   = closing{4400, "invalid message"}
	errNotAllowed   = closing{4401, "unauthorized: send connection_init first"}
	errForbidden    = closing{4403, "forbidden: the token is not valid"}
	errSubprotocol  = closing{4406, "subprotocol not acceptable"}
	errInitTimeout  = closing{4408, "connection initialisation timeout"}
	errSameID       = closing{4409, "an operation with this id already exists"}
	errManyInits    = closing{4429, "too many initialisation requests"}
	errManyRequests = access.Error{
		Code: codeManyOperations, Message: "at most " + strconv.Itoa(maxOperations) + " operations at once",
	}
)

// message is one of the protocol's, in either direction.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket is a connection's state.
type socket struct {
	*Handler
	crew
	wire *wire
	conn *websocket.Conn
	ctx  context.Context         //nolint:containedctx // the socket's own, which end ends
	end  context.CancelCauseFunc // the first cause counts

	proof proof
	by    actor.Actor
	ready bool // connection_init was accepted; the reader's own

	leave      func() // counted for its user
	mu         sync.Mutex
	operations map[string]*task
	pinging    *time.Timer
}

func (h *Handler) serveSocket(w http.ResponseWriter, r *http.Request) {
	leave, ok := h.fromNetwork(r.Context())
	if !ok {
		h.refuseRequest(w, r, typeJSON, tooManyConnections)
		return
	}
	under := &wire{most: h.config.Backlog}
	conn, err := websocket.Accept(upgrading{w, under}, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, OriginPatterns: h.config.Origins,
	})
	if err != nil {
		leave()
		return // Accept has answered
	}
	ctx, end := context.WithCancelCause(context.WithoutCancel(r.Context()))
	under.fail = func() { end(errSlow) }
	s := &socket{
		Handler: h, wire: under, conn: conn, ctx: ctx, end: end, operations: map[string]*task{},
		leave: func() {},
		proof: proof{
			authenticate: h.config.Authenticate, token: bearer(r.Header.Get("Authorization")),
			ending: &ending{end: end},
		},
	}
	if conn.Subprotocol() != subprotocol {
		end(errSubprotocol)
	}
	gone := h.connections.enter(end)
	h.metrics.sockets.Inc()
	go func() {
		defer leave()
		defer gone()
		defer h.metrics.sockets.Dec()
		defer func() { s.leave() }()
		s.run()
	}()
}

// run serves the socket until it ends, and returns when all that it started has.
func (s *socket) run() {
	defer s.proof.ending.stop()
	s.conn.SetReadLimit(maxMessage)
	closed := make(chan struct{})
	context.AfterFunc(s.ctx, func() { defer close(closed); s.close() })
	waiting := time.AfterFunc(initTimeout, func() { s.end(errInitTimeout) })
	defer waiting.Stop()
	s.pingLater()
	s.read(waiting)
	s.end(errGone)
	<-closed
	s.pingNoMore()
	s.wait()
	s.wire.flushing.Wait()
}

// pingLater asks the client, some time from now, whether it is there.
func (s *socket) pingLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
	case s.pinging == nil:
		s.pinging = time.AfterFunc(pingEvery, func() { s.spawn(s.ping) })
	default:
		s.pinging.Reset(pingEvery)
	}
}

func (s *socket) pingNoMore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinging != nil {
		s.pinging.Stop()
	}
}

func (s *socket) ping() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), pongTimeout)
	defer cancel()
	if s.conn.Ping(ctx) != nil {
		s.end(errSlow)
	}
	s.pingLater()
}

// close closes the connection with the cause of the socket's end, which ends the reader.
func (s *socket) close() {
	cause := errDraining // of a context that ended above us
	_ = errors.As(context.Cause(s.ctx), &cause)
	s.metrics.closed.WithLabelValues(strconv.Itoa(int(cause.code))).Inc()
	if cause == errGone {
		_ = s.conn.CloseNow()
		return
	}
	_ = s.conn.Close(cause.code, cause.reason)
}

// read takes messages one by one until the connection ends.
func (s *socket) read(waiting *time.Timer) {
	ctx := context.WithoutCancel(s.ctx) // its end would break the connection without a code
	window, count := time.Now(), 0
	for {
		kind, data, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		if now := time.Now(); now.Sub(window) > messageWindow {
			window, count = now, 0
		}
		if count++; count > maxMessages {
			s.end(errTalkative)
			return
		}
		var m message
		if kind != websocket.MessageText || json.Unmarshal(data, &m) != nil {
			s.end(errBadMessage)
			return
		}
		if err := s.take(m, waiting); err != nil {
			s.end(err)
			return
		}
	}
}

// take does what a message asks. The error ends the socket.
func (s *socket) take(m message, waiting *time.Timer) error {
	switch m.Type {
	case "connection_init":
		waiting.Stop()
		return s.init(m.Payload)
	case "ping":
		s.write(message{Type: "pong"})
		return nil
	case "pong":
		return nil
	case "subscribe":
		return s.start(m)
	case "complete":
		s.stop(m.ID)
		return nil
	}
	return errBadMessage
}

// init learns who the client is: from the token in the payload, or as the request came.
func (s *socket) init(payload json.RawMessage) error {
	if s.ready {
		return errManyInits
	}
	fields, ok := object(payload)
	if !ok {
		return errBadMessage
	}
	by, known := actor.FromContext(s.ctx)
	for name, value := range fields {
		if text, ok := value.(string); ok && strings.EqualFold(name, "authorization") {
			s.proof.token, known = bearer(text), true
		}
	}
	if !known {
		return errForbidden
	}
	ctx, cancel := context.WithTimeout(s.ctx, initTimeout)
	defer cancel()
	by, err := s.proof.renew(ctx, by)
	switch {
	case access.IsCode(err, access.CodeUnauthenticated) || err == nil && by.Equal(actor.Actor{}):
		return errForbidden
	case err != nil:
		_ = s.mask(ctx, err)
		return errTrouble
	}
	leave, ok := s.ofUser(by)
	if !ok {
		return errManySockets
	}
	s.leave = leave
	s.proof.ending.by(by.Until)
	s.by, s.ready = by, true
	s.write(message{Type: "connection_ack"})
	return nil
}

// write sends a message, unless the socket has ended.
func (s *socket) write(m message) {
	data, err := json.Marshal(m)
	if err == nil && s.ctx.Err() == nil {
		s.wire.text(data)
	}
}

func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
