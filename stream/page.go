package stream

import (
	"context"
	"errors"

	"github.com/cardea/cardea/journal"
)

// page is a stretch of the journal that subscribers who catch up share, so that a thousand who come
// back at once cost as much as one.
type page struct {
	ready  chan struct{}
	events []*journal.Event
	err    error
}

// maxPages bounds the pages that a feed keeps while someone is catching up.
const maxPages = 16

// page returns events that follow a cursor before the position, at least one. If there is none,
// retention has taken it.
func (f *feed) page(ctx context.Context, after int64) ([]*journal.Event, error) {
	p := f.load(after - after%pageSize)
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.err != nil && !errors.Is(p.err, journal.ErrCursorExpired) {
		return nil, p.err
	}
	if n := after % pageSize; n < int64(len(p.events)) {
		return p.events[n:], nil
	}
	// Retention is inside the page, or the page was the newest when it was read.
	events, err := f.hub.read(ctx, f.org, after)
	if err == nil && len(events) == 0 {
		err = journal.ErrCursorExpired
	}
	return events, err
}

// load returns the page that begins after a number, and starts to read it if nobody has.
func (f *feed) load(start int64) *page {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.pages[start]; ok {
		return p
	}
	p := &page{ready: make(chan struct{})}
	read := func(ctx context.Context) {
		defer close(p.ready)
		if p.events, p.err = f.hub.read(ctx, f.org, start); p.err != nil {
			f.drop(start)
		}
		if ctx.Err() != nil {
			p.err = ErrClosed
		}
	}
	if !f.hub.spawn(read) {
		p.err = ErrClosed
		close(p.ready)
		return p
	}
	for old := range f.pages {
		if len(f.pages) < maxPages {
			break
		}
		delete(f.pages, old)
	}
	f.pages[start] = p
	return p
}

func (f *feed) drop(start int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pages, start)
}

// caughtUp forgets that a subscription is behind, and the pages when none is. Under mu.
func (f *feed) caughtUp(s *Subscription) {
	if delete(f.behind, s); len(f.behind) == 0 {
		clear(f.pages)
	}
}
