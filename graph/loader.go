package graph

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/graph/answer"
	"github.com/cardea/cardea/together"
)

// quiet is how long no sibling may ask before a batch is fetched.
const quiet = 50 * time.Microsecond

// loader is a way from keys to values. What is loaded belongs to one response, which never reads it
// again; what several responses to the same viewer ask for at the same time is fetched together, and
// nobody changes it.
type loader[K comparable, V any] struct {
	fetch    func(context.Context, []K) (map[K]V, error)
	together *together.Fetches[viewer, K, V]
}

// loaded is what one response has loaded.
type loaded struct {
	*loaders
	viewer  viewer
	mu      sync.Mutex
	by      map[any]any      // *loader[K, V]: *loads[K, V]
	columns map[spot]columns // that are asked for
}

// loads gathers what is asked of a loader into batches.
//
// In a query or a mutation whoever asks is asked again (answer.ErrLater), once there is nothing else
// left to ask, and the batch is whatever came together by then.
//
// For an item of a subscription the first that asks gathers and fetches, in its own goroutine, for all
// that join it; what is not inside a list waits for nobody. On a starved machine a batch may be torn
// in two, which costs a statement and nothing else.
type loads[K comparable, V any] struct {
	*loader[K, V]
	mu      sync.Mutex
	batches map[K]*batch[K, V]
	open    *batch[K, V] // the one that may be joined
}

type batch[K comparable, V any] struct {
	keys   []K
	values map[K]V
	err    error
	waits  bool // until somebody asks again, or cannot wait
	once   sync.Once
	done   chan struct{}
}

func newLoader[K comparable, V any](
	fetch func(context.Context, []K) (map[K]V, error),
) *loader[K, V] {
	return &loader[K, V]{fetch: fetch, together: together.New[viewer](fetch)}
}

// in is what the response of ctx has loaded this way.
func (l *loader[K, V]) in(ctx context.Context) *loads[K, V] {
	all := loadedOf(ctx)
	all.mu.Lock()
	defer all.mu.Unlock()
	if have, ok := all.by[l].(*loads[K, V]); ok {
		return have
	}
	if all.by == nil {
		all.by = map[any]any{}
	}
	fresh := &loads[K, V]{loader: l, batches: map[K]*batch[K, V]{}}
	all.by[l] = fresh
	return fresh
}

// load returns the value of a key; the zero value if there is none.
func (l *loader[K, V]) load(ctx context.Context, key K) (V, error) {
	all := l.in(ctx)
	waits := answer.Later(ctx, nil) != nil
	b, leads := all.join(key, waits)
	switch {
	case leads && waits:
		_ = answer.Later(ctx, func() { all.settle(answer.Now(ctx), b) }) // said below
	case leads:
		if inList(ctx) {
			all.gather(b)
		}
		all.settle(ctx, b)
	}
	if b.waits && !b.isDone() {
		if err := answer.Later(ctx, nil); err != nil {
			var none V
			return none, err
		}
		all.settle(ctx, b)
	}
	<-b.done
	return b.values[key], b.err
}

func (b *batch[K, V]) isDone() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// join adds a key to the open batch, or to a new one; whoever leads that says whether it waits.
func (l *loads[K, V]) join(key K, waits bool) (b *batch[K, V], leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.batches[key]; ok {
		return b, false
	}
	if leads = l.open == nil; leads {
		l.open = &batch[K, V]{waits: waits, done: make(chan struct{})}
	}
	b = l.open
	b.keys = append(b.keys, key)
	l.batches[key] = b
	return b, leads
}

// settle fetches a batch, unless that has been done.
func (l *loads[K, V]) settle(ctx context.Context, b *batch[K, V]) {
	b.once.Do(func() {
		l.close(b)
		l.run(ctx, b)
	})
}

// run ends in a closed batch whatever fetch does: others wait for it.
func (l *loads[K, V]) run(ctx context.Context, b *batch[K, V]) {
	defer close(b.done)
	defer func() {
		if cause := recover(); cause != nil {
			b.err = fmt.Errorf("load: panic: %v\n%s", cause, debug.Stack())
		}
	}()
	if len(b.keys) > 0 {
		b.values, b.err = l.together.Get(ctx, loadedOf(ctx).viewer, b.keys)
	}
}

// close lets nobody join any more.
func (l *loads[K, V]) close(b *batch[K, V]) {
	l.mu.Lock()
	if l.open == b {
		l.open = nil
	}
	l.mu.Unlock()
}

// loadAll returns the values of many keys: one fetch for those that nobody has asked for.
func (l *loader[K, V]) loadAll(ctx context.Context, keys []K) (map[K]V, error) {
	all := l.in(ctx)
	own := &batch[K, V]{done: make(chan struct{})}
	from := make([]*batch[K, V], len(keys))
	all.mu.Lock()
	for i, key := range keys {
		if all.batches[key] == nil {
			all.batches[key] = own
			own.keys = append(own.keys, key)
		}
		from[i] = all.batches[key]
	}
	all.mu.Unlock()
	ctx = answer.Now(ctx)
	all.settle(ctx, own)
	values := make(map[K]V, len(keys))
	for i, key := range keys {
		if from[i].waits {
			all.settle(ctx, from[i])
		}
		<-from[i].done
		if from[i].err != nil {
			return nil, from[i].err
		}
		values[key] = from[i].values[key]
	}
	return values, nil
}

// gather waits until nobody has joined the batch for a while.
func (l *loads[K, V]) gather(b *batch[K, V]) {
	for size, calm := 0, 0; calm < 2; {
		runtime.Gosched() // those who can run and have not yet asked go first
		time.Sleep(quiet) //nolint:forbidigo // nobody can tell who else is about to ask
		l.mu.Lock()
		now := len(b.keys)
		l.mu.Unlock()
		if now == size {
			calm++
		} else {
			size, calm = now, 0
		}
	}
}

func inList(ctx context.Context) bool {
	for f := graphql.GetFieldContext(ctx); f != nil; f = f.Parent {
		if f.Index != nil {
			return true
		}
	}
	return false
}
