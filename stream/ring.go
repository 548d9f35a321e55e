package stream

import "github.com/cardea/cardea/journal"

// ring holds the newest events of an organization, contiguous, up to its capacity.
type ring struct {
	capacity int
	events   []*journal.Event
	oldest   int // index of the oldest, once the ring is full
}

func (r *ring) add(events []*journal.Event) {
	for _, e := range events {
		if len(r.events) < r.capacity {
			r.events = append(r.events, e)
			continue
		}
		r.events[r.oldest] = e
		r.oldest = (r.oldest + 1) % len(r.events)
	}
}

// after returns up to limit events that follow a cursor; last is the number of the newest event. It
// is false if the ring does not reach back that far.
func (r *ring) after(cursor, last int64, limit int) ([]*journal.Event, bool) {
	missing := last - cursor
	if missing <= 0 {
		return nil, true
	}
	if missing > int64(len(r.events)) {
		return nil, false
	}
	found := make([]*journal.Event, min(int(missing), limit))
	first := r.oldest + len(r.events) - int(missing)
	for i := range found {
		found[i] = r.events[(first+i)%len(r.events)]
	}
	return found, true
}
