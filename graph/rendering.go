package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
)

// script is what a subscription tells. One goroutine at a time works with it.
type script interface {
	// begin hands over the present, if the subscription begins with it, until send returns false.
	begin(ctx context.Context, after int64, send func(item any) bool) error
	// recheck fails if the viewer may no longer watch what they chose; otherwise it learns what they may
	// see of it now.
	recheck(ctx context.Context) error
	// tell returns the items that tell of an event. With errEnded they are the last ones.
	tell(ctx context.Context, e *journal.Event) ([]any, error)
	// share returns what equal subscriptions share; false if this one cannot be shared, or not yet.
	share() (shared, bool)
}

// shared is a script that stays as it is whatever it tells, the topics of the events that it tells of,
// and what else than document and variables tells it from others.
type shared struct {
	script script
	topics []topic
	view   string
}

// operation is what a subscription's resolver and its transport share. Opening a subscription, the
// resolver leaves in it what the subscription tells; later it takes from it the items to tell.
type operation struct {
	script script
	events *stream.Subscription // what follows
	put    func(item any)       // for the next response; nil while the subscription is opened
	shows  bool
}

// through is what the resolver of a subscription returns: of one that is opened nothing, and then
// whatever is put into the operation.
func through[T any](
	ctx context.Context, open func() (script, *stream.Subscription, error),
) (<-chan T, error) {
	op := ctx.Value(operationKey).(*operation)
	items := make(chan T, 1)
	if op.shows {
		op.put = func(item any) { items <- item.(T) }
		return items, nil
	}
	close(items)
	var err error
	op.script, op.events, err = open()
	return items, err
}

// open opens a subscription. The faults are why it does not begin.
func (h *Handler) open(
	ctx context.Context, of *graphql.OperationContext,
) (*operation, gqlerror.List) {
	op := new(operation)
	respond, ctx := h.executor.DispatchOperation(context.WithValue(ctx, operationKey, op), of)
	if response := respond(ctx); response != nil {
		return nil, response.Errors
	}
	return op, nil
}

// rendering turns items into payloads, by an operation's document and as the actor of its context. It
// is the operation, executed once and asked for a response for each item. One goroutine at a time may
// use it.
type rendering struct {
	*Handler
	ctx     context.Context //nolint:containedctx // gqlgen's, with the operation
	of      *graphql.OperationContext
	respond graphql.ResponseHandler
	op      *operation
}

func (h *Handler) newRendering(
	ctx context.Context, of *graphql.OperationContext,
) *rendering {
	r := &rendering{Handler: h, of: of, op: &operation{shows: true}}
	ctx = context.WithValue(graphql.StartOperationTrace(ctx), operationKey, r.op)
	r.respond, r.ctx = h.executor.DispatchOperation(ctx, of)
	return r
}

// render returns the payload of an item, or why there is none.
func (r *rendering) render(item any) (payload, gqlerror.List) {
	ctx, cancel := context.WithTimeout(r.ctx, operationTimeout)
	defer cancel()
	if r.op.put != nil {
		r.op.put(item)
	}
	switch response := r.respond(ctx); {
	case response == nil: // it ran out of time
		return nil, r.refusal(r.ctx, r.of, ctx.Err())
	case response.Data == nil:
		return nil, response.Errors
	default:
		return payloadOf(response), nil
	}
}

// refusal is how an error is shown that ends an operation.
func (h *Handler) refusal(
	ctx context.Context, of *graphql.OperationContext, err error,
) gqlerror.List {
	return h.refuse(ctx, of, gqlerror.List{gqlerror.Wrap(err)}).Errors
}
