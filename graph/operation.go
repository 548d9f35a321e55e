package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// task is an operation on a socket.
type task struct {
	*socket
	id     string
	ctx    context.Context //nolint:containedctx // the task's own, which cancel ends
	cancel context.CancelFunc

	mu   sync.Mutex // held while a message is sent, so that none follows the end
	over bool
}

// start runs an operation in a goroutine of its own.
func (s *socket) start(m message) error {
	var wire wireParams
	switch {
	case !s.ready:
		return errNotAllowed
	case m.ID == "" || json.Unmarshal(m.Payload, &wire) != nil:
		return errBadMessage
	}
	params, no := wire.params()
	if no != nil && no.fault.Code == codeBadRequest {
		return errBadMessage
	}
	ctx, cancel := context.WithCancel(actor.WithRequestID(s.ctx, actor.NewRequestID()))
	op := &task{socket: s, id: m.ID, ctx: ctx, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.operations[m.ID] != nil:
		cancel()
		return errSameID
	case len(s.operations) >= maxOperations:
		cancel()
		s.running.Go(func() { op.fail(op.faults(errManyRequests)) })
		return nil
	case no != nil:
		cancel()
		s.running.Go(func() { op.fail(op.faults(no.fault)) })
		return nil
	}
	s.operations[m.ID] = op
	s.running.Go(func() {
		defer s.forget(op)
		op.run(params)
	})
	return nil
}

// stop ends an operation at the client's wish: it hears nothing more of it and may reuse the ID.
func (s *socket) stop(id string) {
	s.mu.Lock()
	op := s.operations[id]
	delete(s.operations, id)
	s.mu.Unlock()
	if op == nil {
		return
	}
	op.mu.Lock() // before the operation notices: it would still say that it is complete
	op.over = true
	op.mu.Unlock()
	op.cancel()
}

func (s *socket) forget(op *task) {
	op.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[op.id] == op {
		delete(s.operations, op.id)
	}
}

// run executes the operation, as who the client is now, to its end.
func (op *task) run(params *request) {
	defer func() {
		if cause := recover(); cause != nil {
			_ = op.contain(op.ctx, cause)
			op.fail(op.faults(internal))
		}
	}()
	by, err := op.proof.renew(op.ctx, op.by)
	if err != nil {
		op.refuseActor(err)
		return
	}
	ctx := context.WithValue(actor.NewContext(op.ctx, by), proofKey, op.proof)
	ctx = graphql.StartOperationTrace(ctx)
	operation, faults := op.prepare(ctx, params)
	if len(faults) > 0 {
		op.fail(op.refuse(ctx, operation, faults).Errors)
		return
	}
	if faults := op.play(ctx, operation, op.next); len(faults) > 0 {
		op.fail(faults)
		return
	}
	op.tell(message{ID: op.id, Type: "complete"}, true)
}

func (op *task) refuseActor(err error) {
	if access.IsCode(err, access.CodeUnauthenticated) {
		op.end(errForbidden)
		return
	}
	op.fail(op.faults(op.mask(op.ctx, err)))
}

// play executes an operation to its end and hands over each of its responses. The faults are why it
// did not begin, or ended early; there are none if the client has gone.
func (h *Handler) play(
	ctx context.Context, operation *graphql.OperationContext, next func(*graphql.Response),
) gqlerror.List {
	client := ctx
	if operation.Operation.Operation == ast.Subscription {
		h.metrics.subscriptions.Inc()
		defer h.metrics.subscriptions.Dec()
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.deadline())
		defer cancel()
	}
	ctx, state := withOperation(ctx)
	respond, inner := h.executor.DispatchOperation(ctx, operation)
	for response := respond(inner); response != nil; response = respond(inner) {
		if response.Data == nil {
			return response.Errors
		}
		next(response)
	}
	state.running.Wait()
	if state.err != nil && client.Err() == nil {
		return h.refuse(ctx, operation, gqlerror.List{gqlerror.Wrap(state.err)}).Errors
	}
	return nil
}

// next sends an item. What is in the response is not encoded a second time.
func (op *task) next(response *graphql.Response) {
	id, _ := json.Marshal(op.id)
	var b bytes.Buffer
	b.WriteString(`{"id":`)
	b.Write(id)
	b.WriteString(`,"type":"next","payload":`)
	b.Write(encode(response))
	b.WriteByte('}')
	op.deliver(b.Bytes(), false)
}

// fail ends the operation with errors.
func (op *task) fail(faults gqlerror.List) {
	payload, _ := json.Marshal(faults)
	op.tell(message{ID: op.id, Type: "error", Payload: payload}, true)
}

func (op *task) faults(fault access.Error) gqlerror.List {
	return gqlerror.List{op.show(op.ctx, &gqlerror.Error{}, fault)}
}

func (op *task) tell(m message, last bool) {
	if data, err := json.Marshal(m); err == nil {
		op.deliver(data, last)
	}
}

// deliver sends a message of the operation unless the operation or the socket has ended. The last
// one frees the ID first: the client may use it again as soon as it has read it.
func (op *task) deliver(data []byte, last bool) {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.over || op.socket.ctx.Err() != nil {
		return
	}
	if last {
		op.over = true
		op.forget(op)
	}
	op.send(data)
}
