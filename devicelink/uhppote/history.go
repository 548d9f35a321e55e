package uhppote

import (
	"context"
	"fmt"
	"time"
)

// The controller numbers what it records, from 1, and goes on at 0 after 2^32 - 1. The log's mark is
// the number that we read next, and 2^32 for 0: so that no mark is none.

func markOf(next uint32) int64 {
	if next == 0 {
		return 1 << 32
	}
	return int64(next)
}

// behind is how many records there are from next through last; negative, if the log has fewer than
// we have read.
func behind(next, last uint32) int { return int(int32(last + 1 - next)) } //nolint:gosec // serial numbers

// rewound is how many records before the mark are looked at after a start: whether a door may be open
// depends on what was before.
const rewound = 32

// catchUp reads what the controller has recorded, up to the last, once it is known which doors there
// are.
func (a *Agent) catchUp(ctx context.Context) error {
	a.mu.Lock()
	told := a.told
	a.mu.Unlock()
	if !told {
		return nil
	}
	last, err := a.controller.event(ctx, newest)
	if err != nil {
		return err
	}
	next, err := a.next(ctx, last)
	if err != nil {
		return err
	}
	if !a.loaded {
		if err := a.rewind(ctx, next); err != nil {
			return err
		}
		a.loaded = true
	}
	if last.Kind == kindNone {
		return nil
	}
	marked := next
	for behind(next, last.Index) > 0 {
		if next, err = a.read(ctx, next); err != nil {
			return err
		}
	}
	if next != marked {
		return a.controller.mark(ctx, next-1) // for whoever has lost the log's file
	}
	return nil
}

// next is what to read next. Of a controller that is new to us, that is what it was told that we have
// read, or else what it records from now on. One that has fewer records than we have read was reset.
func (a *Agent) next(ctx context.Context, last record) (uint32, error) {
	mark := a.log.Mark()
	next := uint32(mark) //nolint:gosec // 2^32 is 0
	switch {
	case mark == 0:
		marked, err := a.controller.marked(ctx)
		if err != nil {
			return 0, err
		}
		next = last.Index + 1
		if marked != 0 && behind(marked+1, last.Index) >= 0 {
			next = marked + 1
		}
	case last.Kind == kindNone && next != 1:
		a.config.Logger.WarnContext(ctx, "the controller has lost what it recorded")
		next = 1
	case last.Kind != kindNone && behind(next, last.Index) < 0:
		first, err := a.controller.event(ctx, oldest)
		if err != nil {
			return 0, err
		}
		a.config.Logger.WarnContext(ctx, "the controller has begun its records anew",
			"expected", next, "last", last.Index)
		next = first.Index
	default:
		return next, nil
	}
	return next, a.log.Append(markOf(next))
}

// read tells of one record, or of those that are gone, and returns what to read next.
func (a *Agent) read(ctx context.Context, next uint32) (uint32, error) {
	r, err := a.controller.event(ctx, next)
	switch {
	case err != nil:
		return next, err
	case r.Kind == kindOverwritten:
		return a.skip(ctx, next)
	case r.Kind == kindNone:
		return next + 1, a.log.Lose(markOf(next+1), 1)
	case r.Index != next:
		return next, fmt.Errorf("%w: record %d for %d", errMalformed, r.Index, next)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.tell(r)
	a.observe(r)
	return next + 1, a.log.Append(markOf(next+1), told...)
}

// skip tells of a hole: records that have made room for newer ones before they were read.
func (a *Agent) skip(ctx context.Context, next uint32) (uint32, error) {
	first, err := a.controller.event(ctx, oldest)
	if err != nil {
		return next, err
	}
	lost := behind(next, first.Index) - 1
	if lost <= 0 {
		return next, fmt.Errorf("%w: record %d is gone, the oldest is %d", errMalformed, next,
			first.Index)
	}
	a.config.Logger.WarnContext(ctx, "records were overwritten before they were read", "lost", lost)
	return first.Index, a.log.Lose(markOf(first.Index), int64(lost))
}

// rewind looks at what was told before, without telling it again.
func (a *Agent) rewind(ctx context.Context, next uint32) error {
	for index := next - min(rewound, next); index != next; index++ {
		if index == oldest {
			continue
		}
		r, err := a.controller.event(ctx, index)
		if err != nil {
			return err
		}
		if r.Kind != kindNone && r.Kind != kindOverwritten && r.Index == index {
			a.mu.Lock()
			a.observe(r)
			a.mu.Unlock()
		}
	}
	return nil
}

// past is what the records have told of a door.
type past struct {
	unlockedAt time.Time // last
	openedAt   time.Time // zero: it is closed
	contact    bool      // it has one
	forced     bool      // it was opened by force
	held       bool      // it was told that it is held open
}
