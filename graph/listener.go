package graph

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/stream"
)

// client is an operation as its transport knows it.
type client interface {
	// spawn starts work that the connection waits for; none once that is ending.
	spawn(work func())
	// send sends a payload when there is room for it. It is false if the client has gone.
	send(ctx context.Context, p payload) bool
	// offer sends payloads without waiting. Who has too much to read loses the connection.
	offer(payloads []payload)
	// finish tells that the operation has ended, and why; no faults: naturally.
	finish(faults gqlerror.List)
}

// listener is a subscription of one client, with its place in the flow of events. At first, and
// whenever its rights may have changed, it is alone: a goroutine of its own takes every event, checks
// the rights and tells of it at the pace at which the client reads. Once it has all that the router
// has given out it joins an audience, has no goroutine, and costs a write for each item.
type listener struct {
	*Handler
	client

	ctx    context.Context //nolint:containedctx // the operation's: who it is for, and when it ends
	by     actor.Actor
	of     *graphql.OperationContext
	script script
	key    likeness
	router *router

	// position is the last event that it needs not be told of; checked, the last before which its rights
	// were read. They are its goroutine's while it is alone, and then router.mu's.
	position, checked int64

	audience *audience // under router.mu; nil while it is alone
	at       int       // in audience.listeners
	gone     bool      // under router.mu
}

// listen opens a subscription and serves it until it needs no goroutine any more.
func (h *Handler) listen(ctx context.Context, of *graphql.OperationContext, to client) {
	op, faults := h.open(graphql.StartOperationTrace(ctx), of)
	if len(faults) > 0 {
		to.finish(faults)
		return
	}
	l := &listener{Handler: h, client: to, ctx: ctx, of: of, script: op.script}
	l.by, _ = actor.FromContext(ctx)
	l.key = keyOf(of)
	l.position = op.events.After()
	var err error
	if l.router, err = h.enter(ctx, l.by.Organization); err != nil {
		op.events.Close()
		to.finish(h.refusal(ctx, of, err))
		return
	}
	h.metrics.subscriptions.Inc()
	context.AfterFunc(ctx, l.leave)
	l.run(func() error { return l.begin(op.events) })
}

// errJoined ends the time that a listener is alone.
var errJoined = errors.New("listens with others")

// run works alone, and tells how that ended unless it ended in an audience.
func (l *listener) run(alone func() error) {
	defer func() {
		if cause := recover(); cause != nil {
			l.end(l.contain(l.ctx, cause))
		}
	}()
	if err := alone(); !errors.Is(err, errJoined) {
		l.end(err)
	}
}

// end tells the client why the subscription has ended, if they are still there.
func (l *listener) end(err error) {
	var ready *shown
	switch {
	case l.ctx.Err() != nil:
	case err == nil || errors.Is(err, errEnded):
		l.finish(nil)
	case errors.As(err, &ready):
		l.finish(ready.faults)
	default:
		l.finish(l.refusal(l.ctx, l.of, err))
	}
}

// shown is an error that is ready for the client.
type shown struct{ faults gqlerror.List }

func (*shown) Error() string { return "operation failed" }

// leave ends the listener, once.
func (l *listener) leave() {
	if l.router.remove(l) {
		l.metrics.subscriptions.Dec()
		l.exit(l.router)
	}
}

// begin tells of the present, if the script does, and follows.
func (l *listener) begin(events *stream.Subscription) error {
	show := l.newRendering(l.ctx, l.of)
	var fault error
	err := l.script.begin(l.ctx, l.position, func(item any) bool {
		fault = l.show(show, item)
		return fault == nil
	})
	if err == nil {
		err = fault
	}
	if err != nil {
		events.Close()
		return err
	}
	return l.follow(events, show)
}

// resume follows on from where the listener is.
func (l *listener) resume() error {
	events, err := l.hub.Subscribe(l.ctx, l.by.Organization, l.position)
	if err != nil {
		return err
	}
	return l.follow(events, l.newRendering(l.ctx, l.of))
}

func (l *listener) show(show *rendering, item any) error {
	p, faults := show.render(item)
	if len(faults) > 0 {
		return &shown{faults}
	}
	if !l.send(l.ctx, p) {
		return errGone
	}
	return nil
}

// follow tells of every event until it joins an audience, ends or fails. When an event says that the
// actor's rights may have changed, they are checked first. A check sees whatever was committed before
// it, so one is for all events up to the head of the journal.
func (l *listener) follow(events *stream.Subscription, show *rendering) error {
	defer events.Close()
	for {
		if err := l.router.join(l); err != nil {
			return err
		}
		e, ok := <-events.Events()
		if !ok {
			return events.Err()
		}
		if e.Sequence > l.checked && l.isConcernedBy(e) {
			if err := l.recheck(); err != nil {
				return err
			}
		}
		items, err := l.script.tell(l.ctx, e)
		for _, item := range items {
			if fault := l.show(show, item); fault != nil {
				return fault
			}
		}
		if err != nil {
			return err
		}
		l.position = e.Sequence
	}
}

func (l *listener) recheck() error {
	head, err := l.db.JournalHead.Query().Where(journalhead.ID(l.by.Organization)).Only(l.ctx)
	if err != nil {
		return fmt.Errorf("read journal head: %w", err)
	}
	if err := l.script.recheck(l.ctx); err != nil {
		return err
	}
	l.checked = head.Seq
	return nil
}

// crew is the goroutines of a connection.
type crew struct {
	mu      sync.Mutex
	ending  bool
	running sync.WaitGroup
}

func (c *crew) spawn(work func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.running.Go(work)
	}
}

// wait starts nothing more, and returns when all that was started is done.
func (c *crew) wait() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.running.Wait()
}
