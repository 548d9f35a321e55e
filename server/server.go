// Package server routes: it owns the HTTP listener and decides which part answers which path. It
// knows paths, not meanings: what a query or a device frame says is for the handlers it is given.
//
// What it guarantees:
//   - Every request has an ID of our own making, in its context, on its answer and in its one log
//     line. IDs from outside are not taken over: they would let a client write into our logs.
//   - A handler's panic ends as one masked answer and one logged stack, never as a lost process.
//   - A bearer token is checked before /graphql is reached and is neither logged nor echoed.
//   - /livez depends on nothing. /readyz follows the node's dependencies with hysteresis and turns
//     unready the moment the server begins to stop.
//   - Run returns only when every handler has returned, those of upgraded connections included.
//
// Every error that it answers itself has the shape of a GraphQL error, whatever the path.
//
// It imports actor, the standard library and the Prometheus client, and nothing else of ours.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	headerTimeout = 5 * time.Second  // to send the request's headers
	readTimeout   = 30 * time.Second // to send the whole request
	writeTimeout  = 60 * time.Second // to take the whole answer; streams extend it as they go
	idleTimeout   = 2 * time.Minute  // between two requests on one connection
	headerBytes   = 16 << 10
	defaultGrace  = 30 * time.Second
)

// Config is what a Server needs. Log, Registry and Routes.Ready are required.
type Config struct {
	Addr     string               // host:port to listen on; port 0 takes a free one
	Log      *slog.Logger         // gets one line for each request
	Registry *prometheus.Registry // gets the server's metrics and is what /metrics shows
	Routes   Routes
	Grace    time.Duration // what requests get to finish in when Run stops; 30 s when zero
	// Proxies are the networks of proxies in front of this server, which say in X-Forwarded-For whom
	// they speak for. Requests from there count as from the last address that is none of theirs.
	Proxies []netip.Prefix
}

// Server is a bound listener and the routes behind it. Make one with New.
type Server struct {
	log      *slog.Logger
	routes   Routes
	registry *prometheus.Registry
	metrics  metrics
	ready    *readiness
	listener net.Listener
	grace    time.Duration
	proxies  []netip.Prefix

	// serving is held for reading by every running handler and for writing, for ever, once Run has
	// seen the last one return. http.Server.Shutdown does not wait for upgraded connections.
	serving sync.RWMutex
}

// New binds the listener, so that Addr is known and a taken port is an error here, and registers
// the metrics. It serves nothing until Run.
func New(ctx context.Context, cfg Config) (*Server, error) {
	if (cfg.Routes.GraphQL != nil || cfg.Routes.Directory != nil) && cfg.Routes.Authenticate == nil {
		return nil, errors.New("server: the routes GraphQL and Directory need Authenticate")
	}
	metrics, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("register HTTP metrics: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP: %w", err)
	}
	s := &Server{
		log:      cfg.Log,
		routes:   cfg.Routes,
		registry: cfg.Registry,
		metrics:  metrics,
		ready:    &readiness{check: cfg.Routes.Ready, log: cfg.Log},
		listener: listener,
		grace:    cfg.Grace,
		proxies:  cfg.Proxies,
	}
	if s.grace == 0 {
		s.grace = defaultGrace
	}
	return s, nil
}

// Addr is the address that the server listens on, with the real port.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx is done. Then the node is unready at once, no connection is accepted, and
// running requests may finish within the grace period; what still runs after it loses its
// connection and its context. Long-lived connections should end sooner, told by whoever serves
// them. Run returns nil after a stop in good order, and only when every handler has returned: one
// that ignores its context holds it up. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	web := &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	var asking sync.WaitGroup
	asking.Go(func() { s.ready.run(ctx) })
	defer asking.Wait()
	served := make(chan error, 1)
	go func() { served <- web.Serve(s.listener) }()
	select {
	case err := <-served:
		stop()
		return errors.Join(fmt.Errorf("serve HTTP: %w", err), s.drain(web, cancel))
	case <-ctx.Done():
		defer func() { <-served }()
		return s.drain(web, cancel)
	}
}

// drain ends what web serves, in order or, after the grace period, by force.
func (s *Server) drain(web *http.Server, cancel context.CancelFunc) error {
	deadline, done := context.WithTimeout(context.Background(), s.grace)
	defer done()
	err := web.Shutdown(deadline)
	idle := make(chan struct{})
	go func() {
		s.serving.Lock()
		close(idle)
	}()
	select {
	case <-idle:
		return err
	case <-deadline.Done():
	}
	cancel()
	err = errors.Join(fmt.Errorf("requests outlived %v of grace", s.grace), web.Close())
	<-idle
	return err
}
