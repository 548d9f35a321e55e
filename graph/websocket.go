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

// The protocol graphql-transport-ws. A socket has one reader, this handler; one goroutine that
// pings and, at the end, closes; and one goroutine for each operation. Every write has a deadline, so a
// client that does not read loses its socket and holds up nobody.

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
	conn *websocket.Conn
	ctx  context.Context         //nolint:containedctx // the socket's own, which end ends
	end  context.CancelCauseFunc // the first cause counts

	proof proof
	by    actor.Actor
	ready bool // connection_init was accepted; the reader's own

	leave      func() // counted for its user
	running    sync.WaitGroup
	mu         sync.Mutex
	operations map[string]*task
}

func (h *Handler) serveSocket(w http.ResponseWriter, r *http.Request) {
	leave, ok := h.fromNetwork(r.Context())
	if !ok {
		h.refuseRequest(w, r, typeJSON, tooManyConnections)
		return
	}
	defer leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{subprotocol}, OriginPatterns: h.config.Origins,
	})
	if err != nil {
		return // Accept has answered
	}
	ctx, end := context.WithCancelCause(r.Context())
	s := &socket{
		Handler: h, conn: conn, ctx: ctx, end: end, operations: map[string]*task{}, leave: func() {},
		proof: proof{
			authenticate: h.config.Authenticate, token: bearer(r.Header.Get("Authorization")),
			ending: &ending{end: end},
		},
	}
	defer s.proof.ending.stop()
	if conn.Subprotocol() != subprotocol {
		end(errSubprotocol)
	}
	defer h.connections.enter(end)()
	h.metrics.sockets.Inc()
	defer h.metrics.sockets.Dec()
	defer func() { s.leave() }()
	s.run()
}

// run serves the socket until it ends, and returns when all that it started has.
func (s *socket) run() {
	s.conn.SetReadLimit(maxMessage)
	var watched sync.WaitGroup
	watched.Go(s.watch)
	waiting := time.AfterFunc(initTimeout, func() { s.end(errInitTimeout) })
	defer waiting.Stop()
	s.read(waiting)
	s.end(errGone)
	s.running.Wait()
	watched.Wait()
}

// watch pings the client and, when the socket's context ends, closes the connection with the cause,
// which ends the reader.
func (s *socket) watch() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for s.ctx.Err() == nil {
		select {
		case <-s.ctx.Done():
		case <-tick.C:
			ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), pongTimeout)
			if s.conn.Ping(ctx) != nil {
				s.end(errSlow)
			}
			cancel()
		}
	}
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
	if err != nil || s.ctx.Err() != nil {
		return
	}
	s.send(data)
}

func (s *socket) send(data []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), writeTimeout)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageText, data) != nil {
		s.end(errSlow)
	}
}

func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
