package stream_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/stream"
)

func TestSendReachesOnlyLivingNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	sender := w.open(stream.Config{Node: "north"})
	receiver := w.open(stream.Config{Node: "south", URL: x.url()})
	delivered, err := sender.Send(t.Context(), "south", []byte("early"))
	if err != nil || delivered {
		t.Fatalf("sent to a node that is not there: %v, %v", delivered, err)
	}
	inbox := make(chan string, 100)
	stop := w.run(func(ctx context.Context) error {
		return receiver.Receive(ctx, func(_ context.Context, message []byte) {
			inbox <- string(message)
		})
	})
	var sent atomic.Int64
	arrives := func() bool {
		text := fmt.Sprintf("unlock %d\n\x00\xff", sent.Add(1))
		delivered, err := sender.Send(t.Context(), "south", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if !delivered {
			return false
		}
		select {
		case got := <-inbox:
			if got != text {
				t.Errorf("received %q, want %q", got, text)
			}
		case <-time.After(deadline):
			t.Error("delivered, and never received")
		}
		return true
	}
	w.eventually("the node listens", arrives)
	if !arrives() {
		t.Error("a listening node was not reached")
	}
	x.cut()
	w.eventually("the node is gone", func() bool {
		delivered, err := sender.Send(t.Context(), "south", []byte("lost"))
		return err == nil && !delivered
	})
	x.mend()
	for len(inbox) > 0 {
		<-inbox
	}
	w.eventually("the node listens again", arrives)
	stop()
	w.eventually("the node has stopped", func() bool {
		delivered, err := sender.Send(t.Context(), "south", []byte("late"))
		return err == nil && !delivered
	})
}

func TestReceiveNeedsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.open(stream.Config{}).Receive(t.Context(), nil); err == nil {
		t.Error("a node without a name received")
	}
}
