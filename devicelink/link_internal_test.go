package devicelink

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/internal/testenv"
)

// These tests run in a bubble: a real WebSocket through a real HTTP server, over a pipe in memory,
// and minutes that cost nothing. They reach only what needs no database.

// pipes is a listener whose connections are pipes.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	close   func()
}

func newPipes() *pipes {
	closed := make(chan struct{})
	return &pipes{
		dialled: make(chan net.Conn), closed: closed, close: sync.OnceFunc(func() { close(closed) }),
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialled:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.close()
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.dialled <- there
	return here, nil
}

// over dials a WebSocket through pipes to a server that serves it with serve;
// answer, if given, says whether the device answers a ping.
func over(
	t *testing.T, serve func(*websocket.Conn), answer ...func(context.Context, []byte) bool,
) *websocket.Conn {
	t.Helper()
	listener, served := newPipes(), make(chan struct{})
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer close(served)
				serve(conn)
			}()
		}),
	}
	go func() { _ = server.Serve(listener) }()
	options := &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: listener.dial}},
	}
	if len(answer) > 0 {
		options.OnPingReceived = answer[0]
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://device.example/", options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.CloseNow()
		<-served
		_ = server.Close()
	})
	return conn
}

// bareLink is a link as it is after the welcome, but for its recorder.
func bareLink(t *testing.T, conn *websocket.Conn) (*link, context.Context) {
	t.Helper()
	keys, err := NewKeyring(make([]byte, 32))
	if err != nil {
		t.Error(err)
	}
	ctx, end := context.WithCancelCause(context.Background())
	return &link{
		signer: keys.Newest(),
		conn:   conn, done: ctx.Done(), end: end, writing: make(chan struct{}, 1),
		reports: make(chan *access.Report, maxBatch),
	}, ctx
}

func TestLateHello(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handler, err := NewHandler(HandlerConfig{
			ServerName: "doors.example.com", Log: testenv.Logger(t),
			Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		conn := over(t, func(conn *websocket.Conn) { handler.live(context.Background(), conn) })
		began := time.Now()
		if _, _, err := conn.Read(t.Context()); err != nil { // the challenge
			t.Fatal(err)
		}
		_, _, err = conn.Read(t.Context())
		if code := CloseCode(websocket.CloseStatus(err)); code != CloseHelloTimeout {
			t.Errorf("closed with %s: %v", code, err)
		}
		if took := time.Since(began); took != helloTimeout {
			t.Errorf("after %s", took)
		}
	})
}

func TestSilentPeerIsFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		began := time.Now()
		// The network takes what the server writes; the device behind it answers nothing.
		conn := over(t, func(conn *websocket.Conn) {
			l, ctx := bareLink(t, conn)
			go func() { _, _ = l.receive() }()
			l.heartbeat(ctx)
			ended <- context.Cause(ctx)
			_ = conn.CloseNow()
		}, func(context.Context, []byte) bool { return false })
		go func() { _, _, _ = conn.Read(context.Background()) }()
		if err := <-ended; !errors.Is(err, errSilent) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took > 35*time.Second {
			t.Errorf("found after %s", took)
		}
	})
}

func TestLivingPeerIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := over(t, func(conn *websocket.Conn) {
			l, ctx := bareLink(t, conn)
			quiet, stop := context.WithTimeout(ctx, time.Hour+heartbeatWait)
			defer stop()
			go func() { _, _ = l.receive() }()
			l.heartbeat(quiet)
			ended <- context.Cause(ctx)
			_ = conn.CloseNow()
		})
		for err := error(nil); err == nil; { // it is told the time, until the link ends
			_, _, err = conn.Read(t.Context())
		}
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestStalledLinkIsLeftAlone: while the recorder is behind, nothing is read, not even what answers a
// heartbeat. That is no reason to end the link.
func TestStalledLinkIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := over(t, func(conn *websocket.Conn) {
			l, ctx := bareLink(t, conn)
			for range maxBatch {
				l.reports <- nil
			}
			behind, stop := context.WithTimeout(ctx, time.Hour+heartbeatWait+heartbeatWait/2)
			defer stop()
			go func() { _ = l.hand(behind, nil) }()
			l.heartbeat(behind)
			ended <- context.Cause(ctx)
			_ = conn.CloseNow()
		}, func(context.Context, []byte) bool { return false }) // its answer would not be read
		for err := error(nil); err == nil; { // it is told the time, until the link ends
			_, _, err = conn.Read(t.Context())
		}
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestSlowPeerIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		began := time.Now()
		over(t, func(conn *websocket.Conn) { // nobody reads the other end of the pipe
			l, ctx := bareLink(t, conn)
			err := l.write(&Ack{Sequence: 1}, time.Time{})
			if !errors.Is(err, errSlow) {
				t.Errorf("write: %v", err)
			}
			ended <- context.Cause(ctx)
			_ = conn.CloseNow()
		})
		if err := <-ended; !errors.Is(err, errSlow) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("dropped after %s", took)
		}
	})
}

// TestDeadlineIsCheckedLast: a command that waits for its turn is not written once its deadline has
// passed.
func TestDeadlineIsCheckedLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := over(t, func(conn *websocket.Conn) {
			l, _ := bareLink(t, conn)
			l.writing <- struct{}{} // someone else writes
			time.AfterFunc(time.Second, func() { <-l.writing })
			deadline := time.Now().Add(time.Second)
			if err := l.write(&Ack{Sequence: 1}, deadline); !errors.Is(err, errExpired) {
				t.Errorf("at the deadline: %v", err)
			}
			l.writing <- struct{}{}
			time.AfterFunc(time.Second, func() { <-l.writing })
			deadline = time.Now().Add(time.Second + time.Microsecond)
			if err := l.write(&Ack{Sequence: 2}, deadline); err != nil {
				t.Errorf("before the deadline: %v", err)
			}
			_ = conn.CloseNow()
		})
		_, text, err := conn.Read(t.Context())
		if err != nil || string(text) != `{"type":"ack","sequence":2}` {
			t.Errorf("read %s, %v", text, err)
		}
	})
}
