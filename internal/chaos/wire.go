package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// wire is the way between a node and whoever it speaks with. It can be cut, frozen, or swallow what
// it is given.
type wire struct {
	network, upstream string // where it leads
	address           string // where it begins, the same after every cut

	flow sync.RWMutex // held to write while nothing moves

	mu       sync.Mutex
	listener net.Listener
	lost     chan struct{} // closed when the connections there are swallow everything
	open     map[net.Conn]struct{}
	running  sync.WaitGroup
}

func newWire(ctx context.Context, network, upstream string) (*wire, error) {
	w := &wire{
		network: network, upstream: upstream, address: "127.0.0.1:0",
		lost: make(chan struct{}), open: make(map[net.Conn]struct{}),
	}
	if err := w.mend(ctx); err != nil {
		return nil, err
	}
	w.address = w.listener.Addr().String()
	return w, nil
}

// mend lets connections be made.
func (w *wire) mend(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", w.address)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listener = listener
	w.running.Go(func() { w.accept(listener) })
	return nil
}

func (w *wire) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			w.running.Go(func() { w.join(client) })
		}
	}
}

// join carries what both ends say, until one of them has gone.
func (w *wire) join(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), w.network, w.upstream)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	up, down, ok := w.keep(client, server)
	if !ok {
		return
	}
	defer w.forget(client, server)
	var both sync.WaitGroup
	for to, from := range map[io.Writer]net.Conn{up: client, down: server} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_, _ = client.Close(), server.Close()
		})
	}
	both.Wait()
}

// keep counts a pair of connections as open, unless the wire has been cut.
func (w *wire) keep(client, server net.Conn) (up, down *through, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listener == nil {
		return nil, nil, false
	}
	w.open[client], w.open[server] = struct{}{}, struct{}{}
	return &through{w, server, w.lost}, &through{w, client, w.lost}, true
}

func (w *wire) forget(pair ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range pair {
		delete(w.open, c)
	}
}

// cut ends every connection, and lets none be made until the wire is mended.
func (w *wire) cut() {
	w.mu.Lock()
	if w.listener != nil {
		_ = w.listener.Close()
	}
	w.listener = nil
	w.mu.Unlock()
	w.shake()
	w.running.Wait()
}

// shake ends every connection that there is.
func (w *wire) shake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Close()
	}
}

// freeze holds everything on its way until it is thawed; no connection ends.
func (w *wire) freeze() (thaw func()) {
	w.flow.Lock()
	return w.flow.Unlock
}

// strand swallows what is sent from now on over the connections there are, and ends none: the other
// end is gone without a word. New ones work.
func (w *wire) strand() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.lost)
	w.lost = make(chan struct{})
}

// through is one direction of a connection.
type through struct {
	wire *wire
	to   net.Conn
	lost chan struct{}
}

func (t *through) Write(p []byte) (int, error) {
	t.wire.flow.RLock()
	defer t.wire.flow.RUnlock()
	select {
	case <-t.lost:
		return len(p), nil
	default:
		return t.to.Write(p)
	}
}
