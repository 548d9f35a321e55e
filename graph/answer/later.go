package answer

import (
	"context"
	"errors"
)

// ErrLater is what a resolver returns, wrapped or not, that shall be asked again once the queue of its
// context is done.
var ErrLater = errors.New("asked too early")

type queueKey struct{}

type queue struct{ waiting []func() }

// Later has something done once no resolver is left to be asked, and says so with ErrLater; nil where
// nobody asks again: what is needed has to be done at once.
func Later(ctx context.Context, do func()) error {
	q, _ := ctx.Value(queueKey{}).(*queue)
	if q == nil {
		return nil
	}
	if do != nil {
		q.waiting = append(q.waiting, do)
	}
	return ErrLater
}

// Now returns a context in which nobody asks again.
func Now(ctx context.Context) context.Context {
	return context.WithValue(ctx, queueKey{}, (*queue)(nil))
}

// run does what waits, and what that adds.
func (q *queue) run() {
	for len(q.waiting) > 0 {
		next := q.waiting
		q.waiting = nil
		for _, do := range next {
			do()
		}
	}
}
