package graph

import (
	"context"
	"sync"
	"time"
)

// sockets are those that are open.
type sockets struct {
	mu       sync.Mutex
	open     map[*socket]bool
	draining bool
	gone     sync.WaitGroup
}

// enter says whether a socket may stay; it has to leave in either case.
func (all *sockets) enter(s *socket) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.draining {
		return false
	}
	all.open[s] = true
	all.gone.Add(1)
	return true
}

func (all *sockets) leave(s *socket) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.open[s] {
		delete(all.open, s)
		all.gone.Done()
	}
}

// drain lets nothing enter any more, and returns the sockets that are open.
func (all *sockets) drain() []*socket {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.draining = true
	open := make([]*socket, 0, len(all.open))
	for s := range all.open {
		open = append(open, s)
	}
	return open
}

// Run waits until ctx ends, then tells every WebSocket client to reconnect, spread over
// Config.Drain, and returns when all of them, and all that they started, are gone. Upgrades from
// then on are told the same.
func (h *Handler) Run(ctx context.Context) error {
	<-ctx.Done()
	open := h.sockets.drain()
	turns := make([]*time.Timer, len(open))
	for i, s := range open {
		turn := h.config.Drain * time.Duration(i) / time.Duration(len(open))
		turns[i] = time.AfterFunc(turn, func() { s.end(errDraining) })
	}
	h.sockets.gone.Wait()
	for _, turn := range turns {
		turn.Stop()
	}
	return nil
}
