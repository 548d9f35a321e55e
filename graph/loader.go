package graph

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// quiet is how long no sibling may ask before a batch is fetched.
const quiet = 50 * time.Microsecond

// loader gathers what the elements of a list ask for into one fetch. It lives for one response:
// what it has loaded it keeps, and never reads again.
//
// The first that asks gathers and fetches, in its own goroutine, for all that join it; what is not
// inside a list waits for nobody. On a starved machine a batch may be torn in two, which costs a
// statement and nothing else.
type loader[K comparable, V any] struct {
	fetch func(context.Context, []K) (map[K]V, error)

	mu      sync.Mutex
	batches map[K]*batch[K, V]
	open    *batch[K, V] // the one that may be joined
}

type batch[K comparable, V any] struct {
	keys   []K
	values map[K]V
	err    error
	done   chan struct{}
}

func newLoader[K comparable, V any](
	fetch func(context.Context, []K) (map[K]V, error),
) *loader[K, V] {
	return &loader[K, V]{fetch: fetch, batches: map[K]*batch[K, V]{}}
}

// load returns the value of a key; the zero value if there is none.
func (l *loader[K, V]) load(ctx context.Context, key K) (V, error) {
	b, leads := l.join(key)
	if leads {
		if inList(ctx) {
			l.gather(b)
		}
		l.close()
		l.run(ctx, b)
	}
	<-b.done
	return b.values[key], b.err
}

func (l *loader[K, V]) join(key K) (b *batch[K, V], leads bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.batches[key]; ok {
		return b, false
	}
	if leads = l.open == nil; leads {
		l.open = &batch[K, V]{done: make(chan struct{})}
	}
	b = l.open
	b.keys = append(b.keys, key)
	l.batches[key] = b
	return b, leads
}

// run ends in a closed batch whatever fetch does: others wait for it.
func (l *loader[K, V]) run(ctx context.Context, b *batch[K, V]) {
	defer close(b.done)
	defer func() {
		if cause := recover(); cause != nil {
			b.err = fmt.Errorf("load: panic: %v\n%s", cause, debug.Stack())
		}
	}()
	if len(b.keys) > 0 {
		b.values, b.err = l.fetch(ctx, b.keys)
	}
}

// close lets nobody join any more.
func (l *loader[K, V]) close() {
	l.mu.Lock()
	l.open = nil
	l.mu.Unlock()
}

// loadAll returns the values of many keys: one fetch for those that nobody has asked for.
func (l *loader[K, V]) loadAll(ctx context.Context, keys []K) (map[K]V, error) {
	own := &batch[K, V]{done: make(chan struct{})}
	from := make([]*batch[K, V], len(keys))
	l.mu.Lock()
	for i, key := range keys {
		if l.batches[key] == nil {
			l.batches[key] = own
			own.keys = append(own.keys, key)
		}
		from[i] = l.batches[key]
	}
	l.mu.Unlock()
	l.run(ctx, own)
	values := make(map[K]V, len(keys))
	for i, key := range keys {
		<-from[i].done
		if from[i].err != nil {
			return nil, from[i].err
		}
		values[key] = from[i].values[key]
	}
	return values, nil
}

// gather waits until nobody has joined the batch for a while.
func (l *loader[K, V]) gather(b *batch[K, V]) {
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
