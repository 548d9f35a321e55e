package stream

import (
	"context"
	"errors"
	"fmt"
)

// Send hands a message to another node, at most once. It is false if that node does not listen: it
// is gone, or its connection to Redis is.
func (s *Stream) Send(ctx context.Context, node string, message []byte) (bool, error) {
	listeners, err := s.client.Publish(ctx, s.nodeChannel(node), message).Result()
	if s.observe(ctx, err) != nil {
		return false, fmt.Errorf("send to node: %w", err)
	}
	return listeners > 0, nil
}

// Receive hands over what other nodes send to this one, one message after another, until the
// context ends. It outlives restarts of Redis; what is sent meanwhile is reported to its sender as not
// delivered. The function must not block: it holds up every later message.
func (s *Stream) Receive(
	ctx context.Context, handle func(ctx context.Context, message []byte),
) error {
	if s.config.Node == "" {
		return errors.New("receive: this node has no name")
	}
	inbox := newListener(s, "redis inbox")
	inbox.message = func(_, payload string) { handle(ctx, []byte(payload)) }
	inbox.joined = func(string) {}
	inbox.add(s.nodeChannel(s.config.Node))
	inbox.run(ctx)
	return nil
}
