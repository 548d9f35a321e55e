package server

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Nothing outside can take the listener away; the operating system can.
func TestRunReportsALostListener(t *testing.T) {
	t.Parallel()
	s, err := New(t.Context(), Config{
		Addr: "127.0.0.1:0", Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Routes: Routes{Ready: func(context.Context) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("Run returned nil")
	}
}
