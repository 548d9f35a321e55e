package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/internal/bench/tally"
)

// sockets are WebSockets that listen. With a subscription they speak graphql-transport-ws, without
// one they take whatever comes. Counted are messages that say when what they tell of happened.
type sockets struct {
	url, token, subscribe, file string
	count, each, topics         int

	payloads []string // of subscriptions, taken in turn

	counting atomic.Bool
	open     []*socket
	lost     chan error
}

type socket struct {
	tally.Clock
	conn *websocket.Conn
}

func (s *sockets) flags(set *flag.FlagSet) {
	set.StringVar(&s.url, "url", "ws://localhost:8080/graphql", "where to connect")
	set.StringVar(&s.token, "token", "", "bearer token")
	set.StringVar(&s.subscribe, "subscribe", "",
		"payload of a GraphQL subscription that begins with a snapshot; none: bare WebSockets")
	set.StringVar(&s.file, "payloads", "", "file of such payloads, one a line, taken in turn")
	set.IntVar(&s.count, "n", 1, "connections")
	set.IntVar(&s.each, "each", 1, "subscriptions on each connection")
	set.IntVar(&s.topics, "topics", 0,
		"bare WebSockets ask for as many of so many topics as they have subscriptions; 0: for none")
}

func (s *sockets) prepare(ctx context.Context) error {
	if s.subscribe != "" {
		s.payloads = []string{s.subscribe}
	}
	if s.file != "" {
		text, err := os.ReadFile(s.file)
		if err != nil {
			return err
		}
		s.payloads = strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	s.lost = make(chan error, s.count)
	s.open = make([]*socket, s.count)
	return connect(ctx, s.count, func(ctx context.Context, i int) (err error) {
		s.open[i], err = s.dial(ctx, i)
		if err == nil {
			go func() { s.lost <- s.listen(s.open[i]) }()
		}
		return err
	})
}

func (s *sockets) dial(ctx context.Context, number int) (*socket, error) {
	var options websocket.DialOptions
	url := s.url
	switch {
	case len(s.payloads) > 0:
		options.Subprotocols = []string{"graphql-transport-ws"}
	case s.topics > 0:
		url += "?topics=" + strings.Join(s.chosen(number), ",")
	}
	conn, _, err := websocket.Dial(ctx, url, &options) //nolint:bodyclose // hijacked
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	if len(s.payloads) > 0 {
		err = s.enter(ctx, conn, number)
	}
	return &socket{conn: conn}, err
}

// chosen are the topics of a bare WebSocket: those that its number of subscriptions would be about.
func (s *sockets) chosen(number int) (all []string) {
	for i := range s.each {
		all = append(all, strconv.Itoa((number*s.each+i)%s.topics))
	}
	return all
}

// enter says who we are, subscribes, and waits for the snapshots.
func (s *sockets) enter(ctx context.Context, conn *websocket.Conn, number int) error {
	who, err := json.Marshal(map[string]string{"Authorization": "Bearer " + s.token})
	if err != nil {
		return err
	}
	steps := []struct{ say, hear string }{
		{`{"type":"connection_init","payload":` + string(who) + `}`, `"connection_ack"`},
	}
	for i := range s.each {
		payload := s.payloads[(number*s.each+i)%len(s.payloads)]
		steps = append(steps, struct{ say, hear string }{
			fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":%s}`, i+1, payload), `"next"`,
		})
	}
	for _, step := range steps {
		if err := conn.Write(ctx, websocket.MessageText, []byte(step.say)); err != nil {
			return err
		}
		_, text, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte(step.hear)) {
			return fmt.Errorf("want %s, got %s", step.hear, text)
		}
	}
	return nil
}

var happened = []byte(`"occurredAt":"`)

func (s *sockets) listen(from *socket) error {
	for {
		_, text, err := from.conn.Read(context.Background())
		if err != nil {
			return err
		}
		at := bytes.Index(text, happened)
		if at < 0 || !s.counting.Load() {
			continue
		}
		begins := text[at+len(happened):]
		when, err := time.Parse(time.RFC3339Nano, string(begins[:bytes.IndexByte(begins, '"')]))
		if err != nil {
			return err
		}
		from.Add(time.Since(when), len(text))
	}
}

func (s *sockets) work(ctx context.Context) error {
	s.counting.Store(true)
	defer s.counting.Store(false)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.lost:
		return errors.Join(errors.New("a connection was lost"), err)
	}
}

func (s *sockets) clocks() []*tally.Clock {
	all := make([]*tally.Clock, len(s.open))
	for i, o := range s.open {
		all[i] = &o.Clock
	}
	return all
}

func (s *sockets) close() {
	for _, o := range s.open {
		if o != nil {
			_ = o.conn.CloseNow()
		}
	}
}
