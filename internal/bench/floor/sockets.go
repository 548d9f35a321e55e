package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
)

// accept upgrades a request; the subprotocol is the one that devices ask for, if it is.
func accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, bool) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{devicelink.Subprotocol},
	})
	return conn, err == nil // Accept has answered
}

// echo is a connection as the library's examples write it.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, ok := accept(w, r)
	if !ok {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, text); err != nil {
			return
		}
	}
}

// lock is the one device of the floor: it gets one command at a time.
type lock struct {
	mu      sync.Mutex // held for a round trip
	conn    *websocket.Conn
	results chan struct{}
}

func (l *lock) hold(w http.ResponseWriter, r *http.Request) {
	conn, ok := accept(w, r)
	if !ok {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	l.mu.Lock()
	results := make(chan struct{})
	l.conn, l.results = conn, results
	l.mu.Unlock()
	defer close(results)
	for {
		if _, _, err := conn.Read(r.Context()); err != nil {
			return
		}
		results <- struct{}{}
	}
}

var errNoLock = errors.New("no device")

func (l *lock) turn(ctx context.Context, order *devicelink.Command) error {
	text, err := devicelink.Encode(order)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return errNoLock
	}
	if err := l.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return err
	}
	if _, ok := <-l.results; !ok {
		return errNoLock
	}
	return nil
}

// takeReports records what a device reports and acknowledges it: what arrived meanwhile shares a
// transaction, up to the number that the URL gives as batch.
func (f *floor) takeReports(w http.ResponseWriter, r *http.Request) {
	most, err := strconv.Atoi(r.URL.Query().Get("batch"))
	if err != nil || most < 1 {
		http.Error(w, "batch must be a positive number", http.StatusBadRequest)
		return
	}
	conn, ok := accept(w, r)
	if !ok {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	reports := make(chan *devicelink.Report, most)
	go func() {
		defer close(reports)
		for {
			report, err := readReport(ctx, conn)
			if err != nil {
				return
			}
			select {
			case reports <- report:
			case <-ctx.Done():
				return
			}
		}
	}()
	for first := range reports {
		batch := gather(first, reports, most)
		if err := f.record(ctx, batch); err != nil {
			_ = conn.Close(websocket.StatusInternalError, "")
			return
		}
		text, err := devicelink.Encode(&devicelink.Ack{Sequence: batch[len(batch)-1].Sequence})
		if err != nil || conn.Write(ctx, websocket.MessageText, text) != nil {
			return
		}
	}
}

func gather(
	first *devicelink.Report, more <-chan *devicelink.Report, most int,
) []*devicelink.Report {
	batch := []*devicelink.Report{first}
	for len(batch) < most {
		select {
		case next, ok := <-more:
			if !ok {
				return batch
			}
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

func readReport(ctx context.Context, conn *websocket.Conn) (*devicelink.Report, error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	frame, err := devicelink.Decode(text)
	if err != nil {
		return nil, err
	}
	report, ok := frame.(*devicelink.Report)
	if !ok {
		return nil, fmt.Errorf("unexpected %T", frame)
	}
	return report, nil
}

// audience is who listens, by topic: one queue and one writer for each connection.
type audience struct {
	mu     sync.Mutex
	queues map[string]map[chan []byte]bool
}

// listen takes the topics from the URL; without any it is the one that has no name.
func (a *audience) listen(w http.ResponseWriter, r *http.Request) {
	conn, ok := accept(w, r)
	if !ok {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	queue := make(chan []byte, 256)
	topics := strings.Split(r.URL.Query().Get("topics"), ",")
	a.join(queue, topics)
	defer a.leave(queue, topics)
	ctx := conn.CloseRead(r.Context())
	for {
		select {
		case text := <-queue:
			if conn.Write(ctx, websocket.MessageText, text) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (a *audience) join(queue chan []byte, topics []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.queues == nil {
		a.queues = map[string]map[chan []byte]bool{}
	}
	for _, topic := range topics {
		if a.queues[topic] == nil {
			a.queues[topic] = map[chan []byte]bool{}
		}
		a.queues[topic][queue] = true
	}
}

func (a *audience) leave(queue chan []byte, topics []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, topic := range topics {
		delete(a.queues[topic], queue)
	}
}

// publish sends a message to all who listen for each report that comes: it says when that happened,
// and is as long as the URL gives as size. With a number of ports in the URL, each port of each link is
// a topic.
func (a *audience) publish(w http.ResponseWriter, r *http.Request) {
	given := r.URL.Query()
	size, err := strconv.Atoi(given.Get("size"))
	if err != nil {
		http.Error(w, "size must be a number", http.StatusBadRequest)
		return
	}
	ports, _ := strconv.Atoi(given.Get("ports"))
	link, _ := strconv.Atoi(given.Get("link"))
	conn, ok := accept(w, r)
	if !ok {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		report, err := readReport(r.Context(), conn)
		if err != nil {
			return
		}
		topic := ""
		if ports > 0 {
			topic = strconv.Itoa(link*ports + report.Port - 2)
		}
		text := fmt.Appendf(nil, `{"occurredAt":"%s","pad":"`, instant(report.At))
		text = append(text, bytes.Repeat([]byte("."), max(0, size-len(text)-2))...)
		a.send(topic, append(text, `"}`...))
	}
}

// send leaves out whoever is too far behind: with a queue of this length nobody is, or the figures
// show fewer deliveries.
func (a *audience) send(topic string, text []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for queue := range a.queues[topic] {
		select {
		case queue <- text:
		default:
		}
	}
}
