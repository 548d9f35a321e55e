package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/typeid"
)

// socket is a client with some subscriptions, which speaks graphql-transport-ws with whichever node
// it reaches. It is cut, by itself or by others, and resumes.
type socket struct {
	chaos         *chaos
	person        person
	subscriptions []*subscription
	cut           chan struct{} // asks it to lose its connection now
}

const (
	impatience = 3 * time.Second  // of a client whose node does not answer
	tenure     = 12 * time.Second // of a connection, on average
)

func (s *socket) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.session(ctx)
		s.chaos.closed(err)
		s.chaos.work.cuts.Add(1)
		pause(ctx, time.Duration(rand.IntN(500))*time.Millisecond) //nolint:gosec // a simulation
	}
}

// session is one connection, from dialling to its end.
func (s *socket) session(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	if err := s.enter(ctx, conn); err != nil {
		return err
	}
	go s.lose(ctx, conn)
	go s.listenFor(ctx, conn)
	for {
		m, err := read(ctx, conn)
		if err != nil {
			return err
		}
		if err := s.take(ctx, conn, m); err != nil {
			return err
		}
	}
}

func (s *socket) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	url := "ws://" + s.chaos.anyNode("api").front.address + "/graphql"
	conn, _, err := websocket.Dial(ctx, url, //nolint:bodyclose // hijacked
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: &http.Client{
			Transport: &http.Transport{DisableKeepAlives: true},
		}})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(1 << 20)
	return conn, nil
}

// message is one of the protocol's.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// enter says who we are and asks for all that we want.
func (s *socket) enter(ctx context.Context, conn *websocket.Conn) error {
	asking, cancel := context.WithTimeout(ctx, 2*impatience)
	defer cancel()
	who, _ := json.Marshal(map[string]string{"Authorization": "Bearer " + s.person.token})
	if err := write(asking, conn, message{Type: "connection_init", Payload: who}); err != nil {
		return err
	}
	if m, err := read(asking, conn); err != nil || m.Type != "connection_ack" {
		return errors.Join(fmt.Errorf("no acknowledgement: %s", m.Type), err)
	}
	for i := range s.subscriptions {
		if err := s.subscribe(asking, conn, i); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) subscribe(ctx context.Context, conn *websocket.Conn, i int) error {
	s.chaos.work.resumes.Add(1)
	return write(ctx, conn, message{
		ID: strconv.Itoa(i), Type: "subscribe", Payload: s.subscriptions[i].resume(),
	})
}

// lose cuts the connection after a while, or when somebody asks for it.
func (s *socket) lose(ctx context.Context, conn *websocket.Conn) {
	after := time.NewTimer(time.Duration(rand.ExpFloat64() * float64(tenure))) //nolint:gosec // a simulation
	defer after.Stop()
	select {
	case <-ctx.Done():
	case <-after.C:
	case <-s.cut:
	}
	_ = conn.CloseNow()
}

// listenFor ends the connection when the node does not answer.
func (s *socket) listenFor(ctx context.Context, conn *websocket.Conn) {
	for pause(ctx, impatience) {
		asking, cancel := context.WithTimeout(ctx, impatience)
		err := conn.Ping(asking)
		cancel()
		if err != nil {
			_ = conn.CloseNow()
			return
		}
	}
}

// take does with a message what a client does.
func (s *socket) take(ctx context.Context, conn *websocket.Conn, m message) error {
	i, err := strconv.Atoi(m.ID)
	if m.Type == "ping" || m.Type == "pong" {
		return nil
	}
	if err != nil || i < 0 || i >= len(s.subscriptions) {
		return fmt.Errorf("message of nothing that was asked for: %s %q", m.Type, m.ID)
	}
	switch m.Type {
	case "next":
		return s.next(s.subscriptions[i], m.Payload)
	case "error":
		if err := s.refused(s.subscriptions[i], m.Payload); err != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
		return s.subscribe(ctx, conn, i)
	}
	s.chaos.wrong("%s: ended without a word: %s", s.subscriptions[i].name, m.Type)
	return errors.New("ended without a word")
}

func (s *socket) next(sub *subscription, payload json.RawMessage) error {
	type item struct {
		Cursor string
		DoorID typeid.Door
		Event  *struct{ Sequence int64 }
	}
	var response struct {
		Data   struct{ Events, Doors *item }
		Errors json.RawMessage
	}
	if err := json.Unmarshal(payload, &response); err != nil {
		return err
	}
	it := response.Data.Events
	if it == nil {
		it = response.Data.Doors
	}
	if it == nil || it.Event == nil || response.Errors != nil {
		// The item was there and could not be shown whole: who has no cursor asks again.
		s.chaos.work.broken.Add(1)
		return fmt.Errorf("item with errors: %s", payload)
	}
	sub.receive(place{it.Event.Sequence, it.DoorID}, it.Cursor)
	return nil
}

// refused says whether an error that ended a subscription may be: then it is resumed.
func (s *socket) refused(sub *subscription, payload json.RawMessage) error {
	var faults []refusal
	if err := json.Unmarshal(payload, &faults); err != nil || len(faults) == 0 {
		return fmt.Errorf("error without an error: %s", payload)
	}
	code := faults[0].Extensions.Code
	s.chaos.refused(code)
	if !passing[code] {
		s.chaos.wrong("%s: %s", sub.name, payload)
		return errors.New(code)
	}
	return nil
}

// refusal is a GraphQL error.
type refusal struct {
	Message    string
	Extensions struct{ Code string }
}

// passing are the codes that a fault explains. That rights, or events, are gone is never true here.
var passing = map[string]bool{
	"SLOW_CONSUMER": true, "UNAVAILABLE": true, "TIMEOUT": true,
}

func read(ctx context.Context, conn *websocket.Conn) (m message, err error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return m, err
	}
	err = json.Unmarshal(text, &m)
	return m, err
}

func write(ctx context.Context, conn *websocket.Conn, m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, text)
}
