package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// probe returns what /readyz answers now.
func probe(h *readiness) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, nil)
	return w.Code, w.Body.String()
}

func wantState(t *testing.T, h *readiness, status int, state string) {
	t.Helper()
	synctest.Wait()
	code, body := probe(h)
	if code != status || body != `{"status":"`+state+`"}`+"\n" {
		t.Errorf("%d %q, want %d %q", code, body, status, state)
	}
}

func TestReadinessHysteresis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		h := &readiness{log: slog.New(slog.DiscardHandler), check: func(context.Context) error {
			if broken.Load() {
				return errors.New("no database")
			}
			return nil
		}}
		broken.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go h.run(ctx)
		after := func(checks int, pass bool, status int, state string) {
			t.Helper()
			broken.Store(!pass)
			time.Sleep(time.Duration(checks) * checkEvery) //nolint:forbidigo // bubble
			wantState(t, h, status, state)
		}
		wantState(t, h, 503, "starting")
		after(5, false, 503, "starting")
		after(1, true, 200, "ready")
		after(2, false, 200, "ready")
		after(1, true, 200, "ready")
		after(2, false, 200, "ready")
		after(1, false, 503, "unavailable")
		after(1, true, 503, "unavailable")
		after(1, false, 503, "unavailable")
		after(1, true, 503, "unavailable")
		after(1, true, 200, "ready")
		cancel()
		wantState(t, h, 503, "stopping")
	})
}

// A driver that hangs and ignores its context makes the node unready, is not asked again while it
// hangs, and is waited for at the end.
func TestReadinessOfAHangingCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang, asked := make(chan struct{}), 0
		h := &readiness{log: slog.New(slog.DiscardHandler), check: func(context.Context) error {
			if asked++; asked > 1 {
				<-hang
			}
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			h.run(ctx)
			close(stopped)
		}()
		wantState(t, h, 200, "ready")
		time.Sleep(time.Minute) //nolint:forbidigo // bubble
		wantState(t, h, 503, "unavailable")
		if asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
		cancel()
		wantState(t, h, 503, "stopping")
		select {
		case <-stopped:
			t.Error("run returned before its check")
		default:
		}
		close(hang)
		<-stopped
	})
}
