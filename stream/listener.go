package stream

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// listener keeps one Pub/Sub connection with a changing set of channels. It does not use the
// client's own reconnection, which cannot tell a frozen server from a quiet one.
type listener struct {
	stream  *Stream
	state   condition
	message func(channel, payload string)
	joined  func(channel string) // from now on, what is published there arrives

	changed chan struct{}
	mu      sync.Mutex
	wanted  map[string]struct{}
}

const (
	pingEvery  = 2 * time.Second
	maxSilence = 3 * pingEvery
)

func newListener(s *Stream, of string) *listener {
	return &listener{
		stream:  s,
		state:   condition{log: s.config.Log, of: of},
		changed: make(chan struct{}, 1),
		wanted:  make(map[string]struct{}),
	}
}

func (l *listener) add(channel string) {
	l.mu.Lock()
	l.wanted[channel] = struct{}{}
	l.mu.Unlock()
	signal(l.changed)
}

func (l *listener) remove(channel string) {
	l.mu.Lock()
	delete(l.wanted, channel)
	l.mu.Unlock()
	signal(l.changed)
}

// run listens until the context ends, over as many connections as that takes.
func (l *listener) run(ctx context.Context) {
	for failures := 1; ; failures++ {
		heard, err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		l.state.report(err)
		if heard {
			failures = 1
		}
		if !pause(ctx, backoff(failures)) {
			return
		}
	}
}

// session listens on one connection until it fails, and says whether it ever worked.
func (l *listener) session(ctx context.Context) (heard bool, err error) {
	connection := l.stream.client.Subscribe(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
	var asking sync.WaitGroup
	defer func() { cancel(); _ = connection.Close(); asking.Wait() }()
	asking.Go(func() { l.ask(ctx, connection) })
	for {
		// Pings are answered, so silence is a dead connection; a read that timed out may have cut
		// a message in two, so it ends the session.
		received, err := connection.ReceiveTimeout(ctx, maxSilence)
		if err != nil {
			return heard, err
		}
		heard = true
		l.state.report(nil)
		switch m := received.(type) {
		case *redis.Message:
			l.message(m.Channel, m.Payload)
		case *redis.Subscription:
			if m.Kind == "subscribe" {
				l.joined(m.Channel)
			}
		}
	}
}

// ask keeps the connection's channels to those wanted, and pings. The reader notices failures.
func (l *listener) ask(ctx context.Context, connection *redis.PubSub) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	have := make(map[string]struct{})
	for {
		l.update(ctx, connection, have)
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
		case <-ping.C:
			_ = connection.Ping(ctx)
		}
	}
}

// update subscribes to what is wanted and leaves what is not any more.
func (l *listener) update(
	ctx context.Context, connection *redis.PubSub, have map[string]struct{},
) {
	join, leave := l.difference(have)
	if len(join) > 0 && connection.Subscribe(ctx, join...) == nil {
		for _, channel := range join {
			have[channel] = struct{}{}
		}
	}
	if len(leave) > 0 && connection.Unsubscribe(ctx, leave...) == nil {
		for _, channel := range leave {
			delete(have, channel)
		}
	}
}

func (l *listener) difference(have map[string]struct{}) (join, leave []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for channel := range l.wanted {
		if _, ok := have[channel]; !ok {
			join = append(join, channel)
		}
	}
	for channel := range maps.Keys(have) {
		if _, ok := l.wanted[channel]; !ok {
			leave = append(leave, channel)
		}
	}
	return join, leave
}
