package graph

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

const (
	// maxWaiting is how many bytes may wait for a client, unless Config.Backlog says otherwise.
	maxWaiting = 1 << 20
	// maxWrite is about how much one write of what waits holds; each has a deadline.
	maxWrite = 64 << 10
)

// wire is the connection under a socket. Nobody who writes to it waits: what the system does not take
// at once waits in a queue bounded by bytes, which a goroutine, there only for as long, writes many
// frames at a time. A client for whom too much waits is told so, after the frame that it is in the
// middle of, and loses its connection.
//
// The WebSocket library reads, and writes what controls the connection; messages are framed here, so
// that what goes to many is encoded once, and a socket that lags gets many of them in one write.
type wire struct {
	net.Conn
	raw  syscall.RawConn // nil if there is none, as under TLS: then the queue is the only way
	most int             // bytes that may wait
	fail func()          // ends the socket of a client that does not read

	mu       sync.Mutex
	queue    []queued
	waiting  int  // bytes, those included that are just written
	writing  bool // write is running
	dropped  bool // the client is too slow: no more messages
	broken   bool // nothing more at all
	empty    chan struct{}
	flushing sync.WaitGroup

	attempt []byte // what try is to write, how far it came, and why not further
	wrote   int
	fault   error
}

// queued is a frame that waits, or what of one is left.
type queued struct {
	head, body []byte
	begun      bool // the client has some of it
}

func (q queued) size() int { return len(q.head) + len(q.body) }

// upgrading is a response whose connection is taken over through a wire, with small buffers: messages
// from clients are short, and what is written through them is shorter.
type upgrading struct {
	http.ResponseWriter
	wire *wire
}

// Hijack implements http.Hijacker.
func (u upgrading) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	const input, control = 512, 160
	conn, buffers, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w := u.wire
	w.Conn = conn
	if of, ok := conn.(syscall.Conn); ok {
		if w.raw, err = of.SyscallConn(); err != nil {
			w.raw = nil
		}
	}
	reader := buffers.Reader
	if reader.Buffered() == 0 {
		reader = bufio.NewReaderSize(w, input)
	}
	return w, bufio.NewReadWriter(reader, bufio.NewWriterSize(w, control)), nil
}

// payload is a response as an operation's message holds it, with the brace that ends the message.
type payload []byte

func payloadOf(response *graphql.Response) payload { return append(encode(response), '}') }

func (p payload) response() []byte { return p[:len(p)-1] }

// buffers are for frames that are written at once.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// send sends one message for each payload: the prefix, then the payload.
func (w *wire) send(prefix []byte, payloads ...payload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken || w.dropped {
		return
	}
	sent := 0
	if w.raw != nil && !w.writing {
		buffer := buffers.Get().(*[]byte)
		all := (*buffer)[:0]
		for _, p := range payloads {
			all = append(append(head(all, len(prefix)+len(p)), prefix...), p...)
		}
		sent = w.tryLocked(all)
		*buffer = all
		buffers.Put(buffer)
	}
	for _, p := range payloads {
		size := headSize(len(prefix)+len(p)) + len(prefix) + len(p)
		if sent >= size {
			sent -= size
			continue
		}
		q := queued{head: append(head(nil, len(prefix)+len(p)), prefix...), body: p}
		if !w.pushLocked(q, sent) {
			return
		}
		sent = 0
	}
}

// text sends a message.
func (w *wire) text(message []byte) { w.send(nil, message) }

// Write writes a frame of the WebSocket library, which controls the connection. It does not wait.
func (w *wire) Write(frame []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return 0, net.ErrClosed
	}
	sent := 0
	if w.raw != nil && !w.writing {
		sent = w.tryLocked(frame)
	}
	if sent < len(frame) {
		w.appendLocked(queued{head: bytes.Clone(frame[sent:]), begun: sent > 0})
	}
	return len(frame), nil
}

// Close closes the connection; what waits is lost.
func (w *wire) Close() error {
	w.breakOff()
	return w.Conn.Close()
}

func (w *wire) breakOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken, w.queue = true, nil
	w.tellEmptyLocked()
}

// tryLocked writes what the system takes at once, and returns how much that is.
func (w *wire) tryLocked(frames []byte) int {
	w.attempt, w.wrote, w.fault = frames, 0, nil
	err := w.raw.Write(w.try)
	w.attempt = nil
	if err == nil {
		err = w.fault
	}
	if err != nil {
		w.broken = true
		w.fail()
		return len(frames)
	}
	return w.wrote
}

// try is one system call, which does not block: the system's sockets here never do.
func (w *wire) try(socket uintptr) bool {
	n, err := syscall.Write(int(socket), w.attempt)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Write(int(socket), w.attempt)
	}
	w.wrote = max(n, 0)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		w.fault = err
	}
	return true // whatever came of it: who waits is the queue's writer
}

// pushLocked queues a message, of which some is sent. It is false if that is too much.
func (w *wire) pushLocked(q queued, sent int) bool {
	q.begun = sent > 0
	part := min(sent, len(q.head))
	q.head, q.body = q.head[part:], q.body[sent-part:]
	if w.waiting > 0 && w.waiting+q.size() > w.most && !q.begun {
		w.dropLocked()
		return false
	}
	w.appendLocked(q)
	return true
}

// dropLocked gives up on a client: of what waits it is to have only the frame that it has begun to get.
func (w *wire) dropLocked() {
	w.dropped = true
	if keep := len(w.queue) > 0 && w.queue[0].begun; keep {
		w.queue = w.queue[:1]
	} else {
		w.queue = nil
	}
	w.fail()
}

func (w *wire) appendLocked(q queued) {
	w.queue = append(w.queue, q)
	w.waiting += q.size()
	if !w.writing {
		w.writing = true
		w.flushing.Go(w.write)
	}
}

// write writes the queue until it is empty, or the client takes nothing for writeTimeout.
func (w *wire) write() {
	for {
		frames, size := w.take()
		if frames == nil {
			return
		}
		err := w.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err == nil {
			_, err = frames.WriteTo(w.Conn)
		}
		if err != nil {
			w.breakOff()
			w.fail()
		}
		w.mu.Lock()
		w.waiting -= size
		w.mu.Unlock()
	}
}

// take takes frames off the queue; nil if there are none, and then write is over.
func (w *wire) take() (frames net.Buffers, size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := 0
	for ; count < len(w.queue) && size < maxWrite; count++ {
		q := w.queue[count]
		frames = append(frames, q.head)
		if len(q.body) > 0 {
			frames = append(frames, q.body)
		}
		size += q.size()
	}
	w.queue = slices.Delete(w.queue, 0, count)
	if count == 0 {
		_ = w.SetWriteDeadline(time.Time{}) // one that has passed would stop tryLocked
		w.writing, w.queue, w.waiting = false, nil, 0
		w.tellEmptyLocked()
	}
	return frames, size
}

func (w *wire) tellEmptyLocked() {
	if w.empty != nil {
		close(w.empty)
		w.empty = nil
	}
}

// room waits until nothing waits. It is false if ctx ends first.
func (w *wire) room(ctx context.Context) bool {
	for {
		w.mu.Lock()
		if w.broken || w.dropped {
			w.mu.Unlock()
			return false
		}
		if !w.writing {
			w.mu.Unlock()
			return true
		}
		if w.empty == nil {
			w.empty = make(chan struct{})
		}
		empty := w.empty
		w.mu.Unlock()
		select {
		case <-empty:
		case <-ctx.Done():
			return false
		}
	}
}

// The first byte of a frame that holds a whole text message, and the marks of longer lengths.
const (
	wholeText = 0x81
	twoBytes  = 126
	tenBytes  = 127
)

func headSize(length int) int {
	switch {
	case length < twoBytes:
		return 2
	case length <= 0xffff:
		return 4
	}
	return 10
}

// head appends the header of a text message of a server's.
func head(to []byte, length int) []byte {
	switch {
	case length < twoBytes:
		return append(to, wholeText, byte(length)) //nolint:gosec // less than 126
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, wholeText, twoBytes), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(to, wholeText, tenBytes), uint64(length))
}
