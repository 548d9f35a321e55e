package testenv

import (
	"io"
	"log/slog"
	"sync"
	"testing"
)

// Logger writes to the test's log, every level, and drops what is written after the test has ended,
// where tb.Log would panic.
func Logger(tb testing.TB) *slog.Logger {
	tb.Helper()
	out := &output{to: tb.Output()}
	tb.Cleanup(out.close)
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// output is a test's output until it is closed.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.to.Write(text)
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.to = io.Discard
}
