package stream_test

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/stream"
)

func TestOpenRefusesMalformedURLWithoutShowingIt(t *testing.T) {
	t.Parallel()
	_, err := stream.Open(t.Context(), stream.Config{URL: "redis://:secret@[host"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v", err)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	n := w.open(stream.Config{URL: x.url()})
	if err := n.Ping(t.Context()); err != nil {
		t.Fatalf("Redis is there: %v", err)
	}
	x.cut()
	if err := n.Ping(t.Context()); err == nil {
		t.Fatal("Redis is not there, and answered")
	}
}
