package stream_test

import (
	"io"
	"net"
	"net/url"
	"sync"
)

// wire is a socket between a node and Redis that the test cuts and mends.
type wire struct {
	w        *world
	upstream *url.URL
	address  string
	flow     sync.RWMutex // held to write by who freezes

	mu       sync.Mutex
	lost     chan struct{} // closed when the connections there are now lose everything
	listener net.Listener
	open     map[net.Conn]struct{}
	running  sync.WaitGroup
}

func (w *world) wire() *wire {
	w.Helper()
	upstream, err := url.Parse(w.redisURL)
	if err != nil {
		w.Fatal(err)
	}
	x := &wire{
		w: w, upstream: upstream, address: "127.0.0.1:0",
		lost: make(chan struct{}), open: make(map[net.Conn]struct{}),
	}
	x.mend()
	w.Cleanup(x.cut)
	return x
}

func (x *wire) url() string { return "redis://" + x.address }

// mend listens, on the same address as before.
func (x *wire) mend() {
	x.w.Helper()
	listener, err := net.Listen("tcp", x.address)
	if err != nil {
		x.w.Fatal(err)
	}
	x.address, x.listener = listener.Addr().String(), listener
	x.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := x.dial()
			if err != nil {
				_ = client.Close()
				continue
			}
			x.keep(client, server)
			up, down := x.through(server), x.through(client)
			x.running.Go(func() { _, _ = io.Copy(up, client); x.drop(client, server) })
			x.running.Go(func() { _, _ = io.Copy(down, server); x.drop(client, server) })
		}
	})
}

// freeze stops everything on its way until it is thawed; every connection stays open.
func (x *wire) freeze() (thaw func()) {
	x.flow.Lock()
	thaw = sync.OnceFunc(x.flow.Unlock)
	x.w.Cleanup(thaw)
	return thaw
}

// strand loses what is sent from now on over the connections there are, and closes none: the other
// end is gone without a word.
func (x *wire) strand() {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.lost)
	x.lost = make(chan struct{})
}

// through is a connection whose writes wait while the wire is frozen, and vanish if it is stranded.
func (x *wire) through(to net.Conn) io.Writer {
	x.mu.Lock()
	lost := x.lost
	x.mu.Unlock()
	return writer(func(p []byte) (int, error) {
		x.flow.RLock()
		defer x.flow.RUnlock()
		select {
		case <-lost:
			return len(p), nil
		default:
			return to.Write(p)
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func (x *wire) dial() (net.Conn, error) {
	if x.upstream.Scheme == "unix" {
		return net.Dial("unix", x.upstream.Path)
	}
	return net.Dial("tcp", x.upstream.Host)
}

func (x *wire) keep(conns ...net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range conns {
		x.open[c] = struct{}{}
	}
}

func (x *wire) drop(conns ...net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(x.open, c)
	}
}

// cut stops listening and cuts every connection.
func (x *wire) cut() {
	_ = x.listener.Close()
	x.mu.Lock()
	for c := range x.open {
		_ = c.Close()
	}
	x.mu.Unlock()
	x.running.Wait()
}
