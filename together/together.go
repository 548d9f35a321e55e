// Package together fetches at once what many ask for at the same time.
//
// Whoever asks while nothing is being fetched has it fetched. Whoever asks meanwhile waits until that is
// done, and is then served with all that have come since, by one fetch. So the busier a program is, the
// less each costs, and one that is idle waits for nothing.
//
// Guarantees:
//   - What is asked for is fetched after it was asked for, never before: whoever has seen a change
//     commit, finds it. Nothing is remembered.
//   - Nobody waits longer than a moment for the fetch of others to begin: of one that takes longer,
//     nobody waits for the end.
//   - Those of one group are served together, and nobody else.
//   - Who gives up leaves the others theirs.
//
// The package imports the standard library.
package together

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// moment is how long the fetch of others is waited for. Most take less, and what takes longer gains
	// little by being shared.
	moment = 5 * time.Millisecond
	// limit is how long a fetch for several may take.
	limit = 10 * time.Second
)

// Fetches fetch values by their keys, for those of a group together.
type Fetches[G, K comparable, V any] struct {
	fetch  func(context.Context, []K) (map[K]V, error)
	mu     sync.Mutex
	groups map[G]*group[K, V]
}

// group are those who may be served together.
type group[K comparable, V any] struct {
	running int
	next    *batch[K, V] // nil: nobody waits
}

type batch[K comparable, V any] struct {
	keys   []K
	asking int           // how many
	given  bool          // the turn is its own, and counts as running
	turn   chan struct{} // is closed when it is
	done   chan struct{}
	values map[K]V
	err    error
}

// New returns fetches by a function that returns what there is of some keys. Its context has the values
// of one of those who ask.
func New[G, K comparable, V any](
	fetch func(context.Context, []K) (map[K]V, error),
) *Fetches[G, K, V] {
	return &Fetches[G, K, V]{fetch: fetch, groups: map[G]*group[K, V]{}}
}

// Get returns what there is of some keys, and perhaps of others too. It is not for the caller to change.
func (f *Fetches[G, K, V]) Get(ctx context.Context, of G, keys []K) (map[K]V, error) {
	b, leads, wait := f.join(of, keys)
	if leads {
		f.lead(ctx, of, b, wait)
		return b.values, b.err
	}
	select {
	case <-b.done:
		return b.values, b.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join adds keys to the batch that comes next. Whoever is its first leads it, and may have to wait.
func (f *Fetches[G, K, V]) join(of G, keys []K) (b *batch[K, V], leads, wait bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[of]
	if g == nil {
		g = &group[K, V]{}
		f.groups[of] = g
	}
	if g.running == 0 {
		g.running++
		return &batch[K, V]{keys: keys, asking: 1}, true, false
	}
	if leads = g.next == nil; leads {
		g.next = &batch[K, V]{turn: make(chan struct{}), done: make(chan struct{})}
	}
	g.next.asking++
	g.next.keys = append(g.next.keys, keys...)
	return g.next, leads, true
}

// lead fetches a batch when its turn has come. It does even if nobody wants it any more but others.
func (f *Fetches[G, K, V]) lead(ctx context.Context, of G, b *batch[K, V], wait bool) {
	if wait {
		timer := time.NewTimer(moment)
		select {
		case <-b.turn:
		case <-timer.C:
		}
		timer.Stop()
		f.begin(of, b)
	}
	defer f.end(of, b)
	if b.asking > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
	}
	defer func() {
		if cause := recover(); cause != nil {
			b.err = fmt.Errorf("fetch: panic: %v\n%s", cause, debug.Stack())
		}
	}()
	b.values, b.err = f.fetch(ctx, unique(b.keys))
}

// begin lets nobody join any more.
func (f *Fetches[G, K, V]) begin(of G, b *batch[K, V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[of]
	g.next = nil
	if !b.given {
		g.running++
	}
}

// end lets those who joined have it, and whoever waits begin.
func (f *Fetches[G, K, V]) end(of G, b *batch[K, V]) {
	if b.done != nil {
		close(b.done)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[of]
	g.running--
	switch {
	case g.running > 0:
	case g.next != nil:
		g.next.given = true
		g.running++
		close(g.next.turn)
	default:
		delete(f.groups, of)
	}
}

// unique are keys, each once.
func unique[K comparable](keys []K) []K {
	if len(keys) < 2 {
		return keys
	}
	seen := make(map[K]struct{}, len(keys))
	once := make([]K, 0, len(keys))
	for _, key := range keys {
		if _, ok := seen[key]; !ok {
			seen[key] = struct{}{}
			once = append(once, key)
		}
	}
	return once
}
