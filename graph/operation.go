package graph

import (
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
	prefix []byte          // of the messages with its items
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
	op := &task{socket: s, id: m.ID, prefix: prefixOf(m.ID), ctx: ctx, cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.operations[m.ID] != nil:
		cancel()
		return errSameID
	case len(s.operations) >= maxOperations:
		cancel()
		s.spawn(func() { op.finish(op.faults(errManyRequests)) })
		return nil
	case no != nil:
		cancel()
		s.spawn(func() { op.finish(op.faults(no.fault)) })
		return nil
	}
	s.operations[m.ID] = op
	s.spawn(func() { op.run(params) })
	return nil
}

// prefixOf begins a message with an item; its payload and a brace end it.
func prefixOf(id string) []byte {
	text, _ := json.Marshal(id) // a string
	return append(append([]byte(`{"id":`), text...), `,"type":"next","payload":`...)
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

// run executes the operation, as who the client is now: to its end, or until it listens.
func (op *task) run(params *request) {
	defer func() {
		if cause := recover(); cause != nil {
			_ = op.contain(op.ctx, cause)
			op.finish(op.faults(internal))
		}
	}()
	by, err := op.proof.renew(op.ctx, op.by)
	if err != nil {
		op.refuseActor(err)
		return
	}
	ctx := context.WithValue(actor.NewContext(op.ctx, by), proofKey, op.proof)
	traced := graphql.StartOperationTrace(ctx)
	operation, faults := op.prepare(traced, params)
	switch {
	case len(faults) > 0:
		op.finish(op.refuse(traced, operation, faults).Errors)
	case operation.Operation.Operation == ast.Subscription:
		op.listen(ctx, operation, op)
	default:
		op.answer(traced, operation)
	}
}

func (op *task) refuseActor(err error) {
	if access.IsCode(err, access.CodeUnauthenticated) {
		op.end(errForbidden)
		return
	}
	op.finish(op.faults(op.mask(op.ctx, err)))
}

// answer executes a query or a mutation and sends its response, when there is room for it.
func (op *task) answer(ctx context.Context, operation *graphql.OperationContext) {
	p, faults := op.once(ctx, operation)
	if len(faults) == 0 {
		op.send(op.ctx, p)
	}
	op.finish(faults)
}

// once executes a query or a mutation. The faults are why it did not begin.
func (h *Handler) once(
	ctx context.Context, operation *graphql.OperationContext,
) (payload, gqlerror.List) {
	ctx, cancel := context.WithTimeout(ctx, h.deadline())
	defer cancel()
	respond, ctx := h.executor.DispatchOperation(ctx, operation)
	response := respond(ctx)
	switch {
	case response == nil: // its time was over before
		return nil, h.refusal(ctx, operation, ctx.Err())
	case response.Data == nil:
		return nil, response.Errors
	}
	return payloadOf(response), nil
}

func (op *task) send(ctx context.Context, p payload) bool {
	if !op.wire.room(ctx) {
		return false
	}
	op.offer([]payload{p})
	return true
}

// offer sends items, unless the operation or the socket has ended.
func (op *task) offer(items []payload) {
	op.mu.Lock()
	defer op.mu.Unlock()
	if !op.over && op.socket.ctx.Err() == nil {
		op.wire.send(op.prefix, items...)
	}
}

// finish ends the operation: with faults, or as complete. It frees the ID first: the client may use it
// again as soon as it has read that.
func (op *task) finish(faults gqlerror.List) {
	m := message{ID: op.id, Type: "complete"}
	if len(faults) > 0 {
		m.Type = "error"
		m.Payload, _ = json.Marshal(faults) // strings, numbers and lists of them
	}
	text, _ := json.Marshal(m)
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.over || op.socket.ctx.Err() != nil {
		return
	}
	op.over = true
	op.forget(op)
	op.wire.text(text)
}

func (op *task) faults(fault access.Error) gqlerror.List {
	return gqlerror.List{op.show(op.ctx, &gqlerror.Error{}, fault)}
}
