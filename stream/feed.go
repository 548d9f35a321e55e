package stream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// inboxSize is how many messages wait for a feed that is busy filling a gap.
const inboxSize = 64

// feed is one organization on this node. It decodes each event once and gives it to all
// subscribers; one goroutine moves its position, always to the next number.
type feed struct {
	hub     *Hub
	org     typeid.Organization
	inbox   chan message
	wake    chan struct{}
	target  atomic.Int64  // the greatest number that is known to exist
	moved   atomic.Bool   // since the last check
	opening chan struct{} // held by who reads the first position
	retired chan struct{}

	users    int       // under hub.mu, like the next two
	idle     time.Time // when the last user left
	doubtful bool      // check it soon

	mu       sync.Mutex
	open     bool // position is known
	closed   bool // whoever joins now is told that the hub is closed
	position int64
	ring     ring
	live     map[*Subscription]struct{} // all caught up to position
	behind   map[*Subscription]struct{} // each catching up in its own goroutine
	pages    map[int64]*page
}

func newFeed(h *Hub, org typeid.Organization) *feed {
	return &feed{
		hub: h, org: org,
		inbox:   make(chan message, inboxSize),
		wake:    make(chan struct{}, 1),
		opening: make(chan struct{}, 1),
		retired: make(chan struct{}),
		ring:    ring{capacity: h.config.Ring},
		live:    make(map[*Subscription]struct{}),
		behind:  make(map[*Subscription]struct{}),
		pages:   make(map[int64]*page),
	}
}

// offer takes a message; it never blocks.
func (f *feed) offer(m message) {
	f.raise(m.last)
	select {
	case f.inbox <- m:
	default:
		signal(f.wake)
	}
}

// aim tells the feed that a number exists.
func (f *feed) aim(number int64) {
	f.raise(number)
	signal(f.wake)
}

func (f *feed) raise(number int64) {
	for {
		now := f.target.Load()
		if number <= now || f.target.CompareAndSwap(now, number) {
			return
		}
	}
}

// run moves the position until the feed is retired.
func (f *feed) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.retired:
			return
		case m := <-f.inbox:
			f.accept(ctx, m)
		case <-f.wake:
		}
		if len(f.inbox) == 0 {
			f.fill(ctx, f.target.Load())
		}
	}
}

// accept delivers a message's events, after what is missing before them.
func (f *feed) accept(ctx context.Context, m message) {
	position, ok := f.fill(ctx, m.first-1)
	if !ok || m.last <= position {
		return
	}
	events, err := m.after(f.org, position)
	if err != nil { // then they are read from the journal
		f.hub.stream.config.Log.Error("message ignored", "organization", f.org, "error", err)
		return
	}
	f.deliver(events)
}

// fill reads and delivers what is missing up to a number, and returns the position. It is false if
// the number was not reached; the next check tries again.
func (f *feed) fill(ctx context.Context, number int64) (int64, bool) {
	position, open := f.where()
	if !open || position >= number {
		return position, open
	}
	f.hub.metrics.healed.Inc()
	for position < number {
		events, err := f.hub.read(ctx, f.org, position)
		switch {
		case errors.Is(err, journal.ErrCursorExpired):
			f.skip(number)
		case err != nil:
			return position, false
		case len(events) == 0: // nobody has them: the number was wrong
			f.target.CompareAndSwap(number, position)
			return position, false
		}
		f.deliver(events)
		position, _ = f.where()
	}
	return position, true
}

func (f *feed) where() (position int64, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.position, f.open
}

// deliver gives the events that follow the position to everyone who is live, and moves it.
func (f *feed) deliver(events []*journal.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(events) == 0 {
		return
	}
	f.ring.add(events)
	f.position = events[len(events)-1].Sequence
	f.moved.Store(true)
	for s := range f.live {
		s.push(events)
	}
}

// skip gives up on events that retention took before this node saw them: who waits for them is
// told.
func (f *feed) skip(number int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(journal.ErrCursorExpired)
	f.ring = ring{capacity: f.ring.capacity}
	f.position = number
}

// close ends every subscription, and those that come later, because the hub stops.
func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.end(ErrClosed)
}

// end ends every subscription. Under mu.
func (f *feed) end(err error) {
	for s := range f.live {
		s.finish(err)
	}
	for s := range f.behind {
		s.finish(err)
	}
}

// start makes the position known: the journal's head, read once for all who wait for it.
func (f *feed) start(ctx context.Context) error {
	if _, open := f.where(); open {
		return nil
	}
	select {
	case f.opening <- struct{}{}:
		defer func() { <-f.opening }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, open := f.where(); open {
		return nil
	}
	head, err := f.hub.head(ctx, f.org)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.position, f.open = head, true
	f.mu.Unlock()
	signal(f.wake) // messages may have come before
	return nil
}

// subscribe adds a subscription after a cursor.
func (f *feed) subscribe(ctx context.Context, after int64) (*Subscription, error) {
	if err := f.start(ctx); err != nil {
		return nil, err
	}
	if after < 0 {
		return f.joinLive(ctx), nil
	}
	if position, _ := f.where(); after > position {
		if err := f.confirm(ctx, after); err != nil {
			return nil, err
		}
	}
	if s := f.joinNear(ctx, after); s != nil {
		return s, nil
	}
	first, err := f.page(ctx, after)
	if err != nil {
		return nil, err
	}
	return f.joinBehind(ctx, after, first), nil
}

// confirm asks the journal for a cursor that the feed has not reached.
func (f *feed) confirm(ctx context.Context, after int64) error {
	head, err := f.hub.head(ctx, f.org)
	if err != nil {
		return err
	}
	if after > head {
		return ErrCursorAhead
	}
	f.aim(head)
	return nil
}

// join adds a subscription that has the events up to a number. Under mu.
func (f *feed) join(ctx context.Context, after int64) *Subscription {
	s := &Subscription{
		feed: f, after: after, position: after,
		events: make(chan *journal.Event, f.hub.config.Queue),
		done:   make(chan struct{}),
	}
	s.unwatch = context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
	f.live[s] = struct{}{}
	f.hub.metrics.subscribers.Inc()
	if f.closed {
		s.finish(ErrClosed)
	}
	return s
}

func (f *feed) joinLive(ctx context.Context) *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.join(ctx, f.position)
}

// joinNear joins live if the ring has all that is missing and the queue has room for it.
func (f *feed) joinNear(ctx context.Context, after int64) *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	missing, ok := f.ring.after(after, f.position, f.hub.config.Queue)
	if !ok || after+int64(len(missing)) < f.position {
		return nil
	}
	s := f.join(ctx, after)
	s.push(missing)
	return s
}

// joinBehind joins with the events that follow the cursor in hand; the rest it catches up on.
func (f *feed) joinBehind(
	ctx context.Context, after int64, first []*journal.Event,
) *Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.join(ctx, after)
	s.fallBehind(first, nil)
	return s
}

// next returns events that follow a cursor behind the position, from memory if it has them.
func (f *feed) next(ctx context.Context, after int64) ([]*journal.Event, error) {
	f.mu.Lock()
	events, ok := f.ring.after(after, f.position, pageSize)
	f.mu.Unlock()
	if ok {
		return events, nil
	}
	return f.page(ctx, after)
}
