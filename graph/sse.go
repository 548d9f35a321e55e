package graph

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/actor"
)

// GraphQL over server-sent events, in the mode of distinct connections of the protocol graphql-sse:
// an operation is a request of its own, and its responses are the events of the answer. It is for
// clients that have HTTP and no WebSocket. A stream without "complete" was cut: the client is to ask
// again, after the last cursor that it has.

// pulse is how often a silent stream is written to, so that one without a reader is found.
const pulse = 10 * time.Second

// eventStream is the answer to one operation. The request's goroutine writes it, from a queue bounded
// by bytes, each write with a deadline: whoever does not read loses the stream and holds up nobody.
type eventStream struct {
	crew
	w       http.ResponseWriter
	control *http.ResponseController
	end     context.CancelCauseFunc
	most    int // bytes that may wait

	mu    sync.Mutex
	queue bytes.Buffer
	over  bool          // nothing follows what is queued
	wake  chan struct{} // there is something to write
	empty chan struct{} // closed once the queue is empty; nil if nobody waits for that
}

// serveEvents executes a request and answers with events, unless it says why not.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) (no *refused) {
	by, ok := actor.FromContext(r.Context())
	if !ok {
		return &refused{status: http.StatusUnauthorized, fault: unauthenticated}
	}
	params, no := readParams(r)
	if no != nil {
		return no
	}
	leave, ok := h.fromNetwork(r.Context())
	if !ok {
		return tooManyConnections
	}
	defer leave()
	if leave, ok = h.ofUser(by); !ok {
		return tooManyConnections
	}
	defer leave()
	ctx, end := context.WithCancelCause(r.Context())
	defer end(errGone)
	proved := proof{
		authenticate: h.config.Authenticate, token: bearer(r.Header.Get("Authorization")),
		ending: &ending{end: end},
	}
	ctx = context.WithValue(ctx, proofKey, proved)
	proved.ending.by(by.Until)
	defer proved.ending.stop()
	defer h.connections.enter(end)()
	defer func() {
		if cause := recover(); cause != nil {
			_ = h.contain(ctx, cause)
			no = &refused{status: http.StatusInternalServerError, fault: internal}
		}
	}()
	ctx = graphql.StartOperationTrace(ctx)
	operation, faults := h.prepare(ctx, params)
	tellBalance(w.Header(), params.balance)
	if no := tooFast(params, faults); no != nil {
		return no
	}
	if len(faults) > 0 {
		s := h.openEvents(w, end)
		s.finish(h.refuse(ctx, operation, faults).Errors)
		s.pump(ctx)
		return nil
	}
	if r.Method == http.MethodGet && operation.Operation.Operation == ast.Mutation {
		return wrongMethod(r.Method, operation.Operation.Operation)
	}
	h.playEvents(ctx, h.openEvents(w, end), operation)
	return nil
}

// playEvents executes the operation and writes what comes of it until its end.
func (h *Handler) playEvents(
	ctx context.Context, s *eventStream, operation *graphql.OperationContext,
) {
	s.spawn(func() {
		defer func() {
			if cause := recover(); cause != nil {
				s.finish(h.refusal(ctx, operation, h.contain(ctx, cause)))
			}
		}()
		if operation.Operation.Operation == ast.Subscription {
			h.listen(ctx, operation, s)
			return
		}
		p, faults := h.once(ctx, operation)
		if len(faults) == 0 {
			s.send(ctx, p)
		}
		s.finish(faults)
	})
	s.pump(ctx)
	if errors.Is(context.Cause(ctx), errForbidden) {
		s.finish(gqlerror.List{h.show(ctx, &gqlerror.Error{}, unauthenticated)})
		s.flush()
	}
	s.end(errGone)
	s.wait()
}

func (h *Handler) openEvents(w http.ResponseWriter, end context.CancelCauseFunc) *eventStream {
	s := &eventStream{
		w: w, control: http.NewResponseController(w), end: end, most: h.config.Backlog,
		wake: make(chan struct{}, 1),
	}
	// The time to read the request would otherwise end the connection in the middle of the answer.
	_ = s.control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", typeEvents+"; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	s.write([]byte(":\n\n"))
	return s
}

// pump writes what is queued, and comments while there is nothing, until the stream is over or ctx
// ends.
func (s *eventStream) pump(ctx context.Context) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			s.write([]byte(":\n\n"))
		case <-s.wake:
			if s.flush() {
				return
			}
		}
	}
}

// flush writes what is queued, and says whether that was all.
func (s *eventStream) flush() bool {
	s.mu.Lock()
	text, over := bytes.Clone(s.queue.Bytes()), s.over
	s.queue.Reset()
	s.mu.Unlock()
	s.write(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empty != nil && s.queue.Len() == 0 {
		close(s.empty)
		s.empty = nil
	}
	return over
}

// send implements client.
func (s *eventStream) send(ctx context.Context, p payload) bool {
	s.mu.Lock()
	if s.queue.Len() == 0 {
		s.mu.Unlock()
		s.offer([]payload{p})
		return ctx.Err() == nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return s.send(ctx, p)
	case <-ctx.Done():
		return false
	}
}

// offer implements client.
func (s *eventStream) offer(items []payload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range items {
		if s.over || s.queue.Len() > 0 && s.queue.Len()+len(p) > s.most {
			s.over = true
			s.end(errSlow)
			return
		}
		s.queueLocked(p.response())
	}
}

// finish implements client. Without the empty data of the last event, browsers would not tell of it.
func (s *eventStream) finish(faults gqlerror.List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	if len(faults) > 0 {
		s.queueLocked(encode(&graphql.Response{Errors: faults}))
	}
	s.over = true
	s.queue.WriteString("event: complete\ndata:\n\n")
	signal(s.wake)
}

func (s *eventStream) queueLocked(response []byte) {
	s.queue.WriteString("event: next\ndata: ")
	s.queue.Write(response) // one line
	s.queue.WriteString("\n\n")
	signal(s.wake)
}

// signal wakes the one reader of a channel of capacity one.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// write is the request's goroutine's.
func (s *eventStream) write(text []byte) {
	err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.w.Write(text)
	}
	if err == nil {
		err = s.control.Flush()
	}
	if err != nil {
		s.end(errSlow)
	}
}
