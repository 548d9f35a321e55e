package stream

import (
	"context"
	"errors"
	"time"

	"github.com/cardea/cardea/journal"
)

// ErrSlowConsumer ends a subscription that fell behind and did not catch up. Resume by cursor.
var ErrSlowConsumer = errors.New("subscriber is too slow")

// Subscription is one subscriber's events. It is live, fed by its organization's feed, or behind,
// and then its own goroutine feeds it at the pace at which it is read.
type Subscription struct {
	feed    *feed
	after   int64
	events  chan *journal.Event
	done    chan struct{}
	unwatch func() bool
	ended   bool // under feed.mu, and so is err
	err     error

	// position is the last number that was queued. Its owner is the feed while the subscription is
	// live, the goroutine of catchUp while it is behind.
	position int64
}

// Events returns the events, ascending and without a gap. Everyone shares them: do not change them.
// The channel is closed at the end, after what was queued; Err says why.
func (s *Subscription) Events() <-chan *journal.Event { return s.events }

// After returns the sequence that the subscription starts after. It is the cursor of a snapshot
// that is read after Subscribe has returned: the snapshot may hold more, which then comes again, but
// never less.
func (s *Subscription) After() int64 { return s.after }

// Err says why the subscription ended: ErrSlowConsumer, journal.ErrCursorExpired, ErrClosed or the
// error of Subscribe's context. It is nil before the end and after Close.
func (s *Subscription) Err() error {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return s.err
}

// Close ends the subscription. Closing again does nothing.
func (s *Subscription) Close() { s.end(nil) }

func (s *Subscription) end(err error) {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	s.finish(err)
}

// finish ends the subscription, once. Whoever may be sending closes the channel: the feed holds its
// lock while it sends, so of a live subscription that is us. Under feed.mu.
func (s *Subscription) finish(err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	close(s.done)
	s.unwatch()
	if _, live := s.feed.live[s]; live {
		close(s.events)
	}
	delete(s.feed.live, s)
	s.feed.caughtUp(s)
	s.feed.hub.metrics.subscribers.Dec()
	s.feed.hub.leave(s.feed)
}

// push queues what is new of contiguous events. If the queue overflows, the subscription is behind,
// and has Patience to catch up. Under feed.mu.
func (s *Subscription) push(events []*journal.Event) {
	for i, e := range events {
		if s.ended || e.Sequence <= s.position {
			continue
		}
		select {
		case s.events <- e:
			s.position = e.Sequence
		default:
			s.fallBehind(events[i:], time.After(s.feed.hub.config.Patience))
			return
		}
	}
}

// fallBehind leaves the live feed with the next events in hand. Under feed.mu.
func (s *Subscription) fallBehind(events []*journal.Event, limit <-chan time.Time) {
	if s.ended {
		return
	}
	if !s.feed.hub.spawn(func(ctx context.Context) { s.catchUp(ctx, events, limit) }) {
		s.finish(ErrClosed)
		return
	}
	delete(s.feed.live, s)
	s.feed.behind[s] = struct{}{}
}

// catchUp queues events at the pace at which they are read until the subscription is live again, or
// out of time. A replay has no limit: whoever asks for much may take long.
func (s *Subscription) catchUp(
	ctx context.Context, events []*journal.Event, limit <-chan time.Time,
) {
	failures := 0
	for {
		if !s.queue(ctx, events, limit) || s.goLive() {
			return
		}
		var err error
		events, err = s.feed.next(ctx, s.position)
		switch {
		case err == nil:
			failures = 0
		case errors.Is(err, journal.ErrCursorExpired):
			s.end(err)
		default:
			failures++
			s.rest(ctx, backoff(failures))
		}
	}
}

// rest waits before the next try to read.
func (s *Subscription) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
	case <-ctx.Done():
		s.end(ErrClosed)
	}
}

// goLive makes the subscription live if it has all that the feed has delivered; from here on the
// feed delivers to it too, under the same lock. It is also true if the subscription has ended, and
// then the channel is closed.
func (s *Subscription) goLive() bool {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.ended {
		close(s.events)
		return true
	}
	if s.position < f.position {
		return false
	}
	f.caughtUp(s)
	f.live[s] = struct{}{}
	return true
}

// queue queues events, waiting for room. It is false if the subscription has ended, and then the
// channel is closed.
func (s *Subscription) queue(
	ctx context.Context, events []*journal.Event, limit <-chan time.Time,
) bool {
	for _, e := range events {
		select {
		case s.events <- e:
			s.position = e.Sequence
			continue
		case <-s.done:
		case <-ctx.Done():
			s.end(ErrClosed)
		case <-limit:
			s.feed.hub.metrics.slow.Inc()
			s.end(ErrSlowConsumer)
		}
		close(s.events)
		return false
	}
	return true
}
