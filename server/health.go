package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	checkEvery   = time.Second
	checkTimeout = time.Second
	failuresDown = 3 // in a row, to turn unready: one slow answer must not empty the whole fleet
	passesUp     = 2 // in a row, to turn ready again; the first pass of all is enough to start
)

type health struct {
	Status string `json:"status"`
}

// live answers for the process alone. Were it to ask the database, a frozen database would get
// every node restarted.
func live(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, health{"live"}) }

// readiness says whether the node should be sent requests. One loop asks, however many probe.
type readiness struct {
	check func(context.Context) error
	log   *slog.Logger
	state atomic.Int32
	row   int // checks in a row that contradict the state

	running chan error // the check under way, if the last one overran; never two at once
}

const (
	starting int32 = iota
	ready
	unavailable
	stopping
)

var healthNames = map[int32]string{
	starting: "starting", ready: "ready", unavailable: "unavailable", stopping: "stopping",
}

// ServeHTTP says which state the node is in, and never why: that is in the log.
func (h *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	state, status := h.state.Load(), http.StatusOK
	if state != ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, health{healthNames[state]})
}

// run asks until ctx is done, and returns when the last check has.
func (h *readiness) run(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		h.learn(ctx, h.ask(ctx))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	h.state.Store(stopping)
	if h.running != nil {
		<-h.running
	}
}

// ask gives a check its time and no more, even one that is stuck in a driver which does not look
// at its context. Such a check is not joined by a second: it fails every time until it returns.
func (h *readiness) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	select {
	case <-h.running: // late, so it has been counted
		h.running = nil
	default:
	}
	if h.running == nil {
		running := make(chan error, 1)
		h.running = running
		go func() { running <- h.check(ctx) }()
	}
	select {
	case err := <-h.running:
		h.running = nil
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// learn moves the state when enough checks in a row say so.
func (h *readiness) learn(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	state := h.state.Load()
	switch {
	case (err == nil) == (state == ready):
		h.row = 0
	case err != nil:
		h.turn(ctx, unavailable, failuresDown, err)
	case state == starting:
		h.turn(ctx, ready, 1, nil)
	default:
		h.turn(ctx, ready, passesUp, nil)
	}
}

func (h *readiness) turn(ctx context.Context, to int32, needed int, err error) {
	if h.row++; h.row < needed {
		return
	}
	h.row = 0
	h.state.Store(to)
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
	}
	h.log.LogAttrs(ctx, level, "readiness",
		slog.String("state", healthNames[to]), slog.Any("error", err))
}
