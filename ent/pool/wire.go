package pool

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

const (
	// dialing is how long it may take to reach the server.
	dialing = 5 * time.Second
	// silence is how long the server may leave us waiting for the next byte of an answer: no request
	// that the program serves waits longer.
	silence = 10 * time.Second
)

// dialer reaches the server by connections that do not wait for ever. lib/pq, when the context of a
// statement ends, asks the server to cancel it, and then waits for the server: of one that is gone
// without a word, or of a way to it that swallows everything, nothing ever comes.
type dialer struct {
	silence time.Duration
	silent  atomic.Int64 // when the latest wait began that was in vain, in ns since 1970
}

// wireKey is under which DialContext finds where to leave the wire that it makes.
type wireKey struct{}

// DialContext implements pq.DialerContext.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	plain, err := (&net.Dialer{Timeout: dialing}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: plain, by: d}
	if made, ok := ctx.Value(wireKey{}).(**wire); ok {
		*made = w
	}
	return w, nil
}

// Dial implements pq.Dialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// wire is a connection that fails when the other end says nothing for too long.
type wire struct {
	net.Conn
	by    *dialer
	heard atomic.Int64 // when the other end said something
}

// Read implements net.Conn. It is called only while a statement waits.
func (w *wire) Read(p []byte) (int, error) {
	if w.by.silence == 0 {
		return w.Conn.Read(p)
	}
	began := time.Now()
	if err := w.SetReadDeadline(began.Add(w.by.silence)); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.by.silent.Store(began.UnixNano())
	} else {
		w.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// Write implements net.Conn.
func (w *wire) Write(p []byte) (int, error) {
	if w.by.silence == 0 {
		return w.Conn.Write(p)
	}
	if err := w.SetWriteDeadline(time.Now().Add(w.by.silence)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// doubtful says that nothing has come over the wire since another one was found silent: it may lead
// to the same place, and whoever takes it would wait as long.
func (w *wire) doubtful() bool { return w.heard.Load() < w.by.silent.Load() }
