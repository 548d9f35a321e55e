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

// eventStream is the answer to one operation. Every write has a deadline: whoever does not read loses
// the stream and holds up nobody.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	end     context.CancelCauseFunc
	mu      sync.Mutex
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
		h.openEvents(w, end).fail(h.refuse(ctx, operation, faults).Errors)
		return nil
	}
	if r.Method == http.MethodGet && operation.Operation.Operation == ast.Mutation {
		return wrongMethod(r.Method, operation.Operation.Operation)
	}
	h.playEvents(ctx, h.openEvents(w, end), operation)
	return nil
}

// playEvents executes the operation and tells how it ended.
func (h *Handler) playEvents(
	ctx context.Context, s *eventStream, operation *graphql.OperationContext,
) {
	var pulsing sync.WaitGroup
	beating, still := context.WithCancel(ctx)
	pulsing.Go(func() { s.beat(beating) })
	faults := h.play(ctx, operation, func(response *graphql.Response) { s.next(response) })
	still()
	pulsing.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errForbidden):
		s.fail(gqlerror.List{h.show(ctx, &gqlerror.Error{}, unauthenticated)})
	case cause != nil: // it was cut, or nobody is there
	case len(faults) > 0:
		s.fail(faults)
	default:
		s.complete()
	}
}

func (h *Handler) openEvents(w http.ResponseWriter, end context.CancelCauseFunc) *eventStream {
	s := &eventStream{w: w, control: http.NewResponseController(w), end: end}
	// The time to read the request would otherwise end the connection in the middle of the answer.
	_ = s.control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", typeEvents+"; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	s.write(":\n\n")
	return s
}

// beat writes comments until ctx ends.
func (s *eventStream) beat(ctx context.Context) {
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.write(":\n\n")
		}
	}
}

func (s *eventStream) next(response *graphql.Response) {
	var b bytes.Buffer
	b.WriteString("event: next\ndata: ")
	b.Write(encode(response)) // one line
	b.WriteString("\n\n")
	s.write(b.String())
}

// fail ends the stream with errors.
func (s *eventStream) fail(faults gqlerror.List) {
	s.next(&graphql.Response{Errors: faults})
	s.complete()
}

// complete ends the stream. Without the empty data, browsers would not tell of it.
func (s *eventStream) complete() { s.write("event: complete\ndata:\n\n") }

func (s *eventStream) write(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = s.w.Write([]byte(text))
	}
	if err == nil {
		err = s.control.Flush()
	}
	if err != nil {
		s.end(errSlow)
	}
}
