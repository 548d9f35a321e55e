package webhooks_test

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/webhooks"
)

// nameServer is a DNS server. Each answer to a name is a set of addresses; the last is repeated.
type nameServer struct {
	mu      sync.Mutex
	answers map[string][][]string
}

const (
	typeA        = 1
	typeAAAA     = 28
	noSuchName   = 3
	headerLength = 12
)

// serveNames starts a name server and returns a resolver that asks it.
func serveNames(t *testing.T, answers map[string][][]string) *net.Resolver {
	t.Helper()
	server := &nameServer{answers: answers}
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { server.serve(conn) })
	t.Cleanup(func() { _ = conn.Close(); serving.Wait() })
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

func (s *nameServer) serve(conn net.PacketConn) {
	query := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(query)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(s.answer(query[:n]), from)
	}
}

// answer repeats the question and adds one record for each address of the kind that was asked for.
func (s *nameServer) answer(query []byte) []byte {
	var labels []string
	at := headerLength
	for query[at] != 0 {
		length := int(query[at])
		labels = append(labels, string(query[at+1:at+1+length]))
		at += 1 + length
	}
	end := at + 5 // the root label, the type and the class
	kind := binary.BigEndian.Uint16(query[at+1:])
	addresses, known := s.next(strings.ToLower(strings.Join(labels, ".")), kind)
	reply := append([]byte(nil), query[:end]...)
	copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0})
	if !known {
		reply[3] |= noSuchName
	}
	for _, address := range addresses {
		raw := address.AsSlice()
		reply = append(reply, 0xc0, headerLength, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(raw)))
		reply = append(reply, raw...)
	}
	return reply
}

// next returns the addresses of one kind. What a name means changes after it was asked for A.
func (s *nameServer) next(name string, kind uint16) (found []netip.Addr, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sets, known := s.answers[name]
	if !known {
		return nil, false
	}
	for _, text := range sets[0] {
		address := netip.MustParseAddr(text)
		if kind == typeA && address.Is4() || kind == typeAAAA && !address.Is4() {
			found = append(found, address)
		}
	}
	if kind == typeA && len(sets) > 1 {
		s.answers[name] = sets[1:]
	}
	return found, true
}

// counting counts the connections that reach a listener.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// inside is a TLS server on loopback, whose certificate is good for *.example.com.
func inside(t *testing.T) (server *httptest.Server, reached *counting, port string) {
	t.Helper()
	server = httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	reached = &counting{Listener: server.Listener}
	server.Listener = reached
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return server, reached, at.Port()
}

func rootsOf(server *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return roots
}

// TestNothingReachesInside has a server on loopback and every way that we know to name it. The
// names pass when they are saved, since they are resolved at each attempt alone; the literal forms
// are put past that check.
func TestNothingReachesInside(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	server, reached, port := inside(t)
	cfg := h.config()
	cfg.AllowInside, cfg.Roots = false, rootsOf(server)
	cfg.Resolver = serveNames(t, map[string][][]string{
		"plain.example.com":     {{"127.0.0.1"}},
		"mapped.example.com":    {{"::ffff:127.0.0.1"}},
		"six.example.com":       {{"::1"}},
		"nat64.example.com":     {{"64:ff9b::7f00:1"}},
		"sixtofour.example.com": {{"2002:7f00:1::"}},
		"zero.example.com":      {{"0.0.0.0"}},
		"several.example.com":   {{"10.0.0.1", "127.0.0.1", "::1", "169.254.169.254"}},
	})
	var endpoints []*ent.WebhookEndpoint
	for _, host := range []string{
		"plain.example.com", "mapped.example.com", "six.example.com", "nat64.example.com",
		"sixtofour.example.com", "zero.example.com", "several.example.com",
	} {
		endpoint, _ := h.endpoint("https://"+host+":"+port+"/", "site.created")
		endpoints = append(endpoints, endpoint)
	}
	for _, host := range []string{
		"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "0.0.0.0",
		"localhost", "2130706433", "0177.0.0.1", "0x7f000001", "127.1", "user@127.0.0.1",
		"plain.example.com@127.0.0.1",
	} {
		endpoints = append(endpoints, h.insideEndpoint("https://"+host+":"+port+"/"))
	}
	h.run(cfg)
	h.event()
	for _, endpoint := range endpoints {
		_, attempts := h.settled(endpoint, 1)
		a := attempts[0]
		if a.ErrorClass != "blocked_address" || a.StatusCode != nil || a.ResponseBody != "" {
			t.Errorf("%s: attempt %+v", endpoint.URL, a)
		}
	}
	if n := reached.accepted.Load(); n != 0 {
		t.Errorf("%d connections reached the inside", n)
	}
}

// TestReboundNameIsRefused has a name that means an allowed address at first and another later.
func TestReboundNameIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	server, reached, port := inside(t)
	cfg := h.config()
	cfg.Roots = rootsOf(server)
	cfg.Resolver = serveNames(t, map[string][][]string{
		"rebinding.example.com": {{"127.0.0.1"}, {"10.255.255.1"}},
	})
	endpoint, _ := h.endpoint("https://rebinding.example.com:"+port+"/", "site.created")
	h.run(cfg)
	h.event()
	if delivery, _ := h.settled(endpoint, 1); delivery.State != webhookdelivery.StateDELIVERED {
		t.Fatalf("delivery %+v", delivery)
	}
	h.event()
	var second *ent.WebhookDelivery
	h.eventually("a second delivery", func() bool {
		rows := h.deliveries(endpoint)
		if len(rows) == 2 && rows[1].Attempts == 1 {
			second = rows[1]
		}
		return second != nil
	})
	last, err := h.db.WebhookAttempt.Query().All(h.ctx)
	if err != nil || len(last) != 2 {
		t.Fatal(last, err)
	}
	for _, a := range last {
		if a.DeliveryID == second.ID && a.ErrorClass != "blocked_address" {
			t.Errorf("attempt %+v", a)
		}
	}
	if n := reached.accepted.Load(); n != 1 {
		t.Errorf("%d connections; want the first alone", n)
	}
}

// TestInsideIsLoopbackOnly allows inside and checks that private addresses are still refused.
func TestInsideIsLoopbackOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, _, port := inside(t)
	cfg := h.config()
	cfg.Resolver = serveNames(t, map[string][][]string{
		"private.example.com":  {{"10.0.0.1"}},
		"metadata.example.com": {{"169.254.169.254"}},
	})
	h.run(cfg)
	endpoints := []*ent.WebhookEndpoint{h.insideEndpoint("https://192.168.0.1:" + port + "/")}
	for _, host := range []string{"private.example.com", "metadata.example.com"} {
		endpoint, _ := h.endpoint("https://"+host+":"+port+"/", "site.created")
		endpoints = append(endpoints, endpoint)
	}
	h.event()
	for _, endpoint := range endpoints {
		if _, attempts := h.settled(endpoint, 1); attempts[0].ErrorClass != "blocked_address" {
			t.Errorf("%s: attempt %+v", endpoint.URL, attempts[0])
		}
	}
}

// rawServer gives each connection to a function, and closes it afterwards.
func rawServer(t *testing.T, serve func(*net.TCPConn)) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				serve(conn.(*net.TCPConn))
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return listener.Addr().String()
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// answering reads a request and answers it with raw bytes, none for none.
func answering(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Write([]byte(text))
	}
}

func resetting(conn *net.TCPConn) {
	answering("")(conn)
	_ = conn.SetLinger(0)
}

func silent(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) }

// TestFailuresHaveClasses fails in each phase of an attempt.
func TestFailuresHaveClasses(t *testing.T) {
	t.Parallel()
	_, _, unvouched := inside(t) // its certificate is nobody's
	h := newHouse(t)
	cfg := h.config()
	cfg.Resolver = serveNames(t, nil)
	h.failEach(cfg, map[string]string{
		"http://" + closedPort(t):                    "refused",
		"http://" + rawServer(t, resetting):          "reset",
		"http://" + rawServer(t, answering("")):      "reset",
		"http://" + rawServer(t, answering("HELO ")): "protocol",
		"http://" + rawServer(t, answering("HTTP/1.1 200 OK\r\nX: "+
			strings.Repeat("a", 64<<10)+"\r\n\r\n")): "protocol",
		"https://" + rawServer(t, answering("HELO HELO\r\n")):   "tls",
		"https://127.0.0.1:" + unvouched:                        "tls",
		"https://nowhere.example.com:8443":                      "dns",
		newReceiver(t, status(http.StatusTeapot)).URL:           "http_4xx",
		newReceiver(t, status(http.StatusBadGateway)).URL:       "http_5xx",
		newReceiver(t, status(http.StatusMovedPermanently)).URL: "redirect",
		newReceiver(t, status(http.StatusNotModified)).URL:      "redirect",
	})
}

// TestSilenceEnds has servers that take connections and say nothing, before TLS and after.
func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cfg := h.config()
	cfg.Timeouts.TLS, cfg.Timeouts.Attempt = 100*time.Millisecond, 200*time.Millisecond
	h.failEach(cfg, map[string]string{
		"http://" + rawServer(t, silent):  "timeout",
		"https://" + rawServer(t, silent): "timeout",
	})
}

// failEach attempts to deliver to each URL and checks the class of the failure.
func (h *house) failEach(cfg webhooks.Config, classes map[string]string) {
	h.t.Helper()
	endpoints := map[string]*ent.WebhookEndpoint{}
	for at := range classes {
		endpoints[at], _ = h.endpoint(at, "site.created")
	}
	h.run(cfg)
	h.event()
	for at, want := range classes {
		delivery, attempts := h.settled(endpoints[at], 1)
		if a := attempts[0]; a.ErrorClass != want || a.DurationMs > 10_000 {
			h.t.Errorf("%s: %s after %d ms; want %s", at, a.ErrorClass, a.DurationMs, want)
		}
		if delivery.State != webhookdelivery.StatePENDING {
			h.t.Errorf("%s: delivery %+v", at, delivery)
		}
	}
}
