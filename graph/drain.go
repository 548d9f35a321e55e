package graph

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// connections are the long ones: WebSockets, and streams of events. Each has what ends it.
type connections struct {
	mu       sync.Mutex
	open     map[int64]context.CancelCauseFunc
	last     int64
	draining bool
	gone     sync.WaitGroup
}

// enter counts a connection until it leaves. One that comes while the others are sent away is ended
// at once.
func (all *connections) enter(end context.CancelCauseFunc) (leave func()) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.draining {
		end(errDraining)
		return func() {}
	}
	all.last++
	id := all.last
	all.open[id] = end
	all.gone.Add(1)
	return func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		delete(all.open, id)
		all.gone.Done()
	}
}

// spawn starts work that Run waits for, unless they are sent away.
func (all *connections) spawn(work func()) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if !all.draining {
		all.gone.Go(work)
	}
	return !all.draining
}

// drain has every connection end that comes from now on, and returns what ends those that are open.
func (all *connections) drain() []context.CancelCauseFunc {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.draining = true
	return slices.Collect(maps.Values(all.open))
}

// Run waits until ctx ends, then tells every client with a long connection to reconnect, spread over
// Config.Drain, and returns when all of them, and all that they started, are gone. Those that come
// from then on are told the same.
func (h *Handler) Run(ctx context.Context) error {
	<-ctx.Done()
	open := h.connections.drain()
	turns := make([]*time.Timer, len(open))
	for i, end := range open {
		turn := h.config.Drain * time.Duration(i) / time.Duration(len(open))
		turns[i] = time.AfterFunc(turn, func() { end(errDraining) })
	}
	h.connections.gone.Wait()
	for _, turn := range turns {
		turn.Stop()
	}
	return nil
}
