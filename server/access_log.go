package server

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/actor"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry) (metrics, error) {
	labels := []string{"route", "status"}
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_http_requests_total",
			Help: "Answered requests and ended connections, by route and class of status.",
		}, labels),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cardea_http_request_seconds",
			Help:    "Time from headers to answer, without upgraded connections.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, labels),
	}
	if err := registry.Register(m.requests); err != nil {
		return metrics{}, err
	}
	return m, registry.Register(m.seconds)
}

// observe is the outermost handler: it names the request, and logs and counts it at its end, with
// a panic in it or without.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, request := time.Now(), actor.NewRequestID()
		r = r.WithContext(actor.WithRequestID(r.Context(), request))
		w.Header().Set("X-Request-Id", request)
		if !s.serving.TryRLock() {
			refuse(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", "this server has stopped")
			return
		}
		defer s.serving.RUnlock()
		e := &exchange{ResponseWriter: w}
		defer func() { s.record(r, e, time.Since(start)) }()
		defer s.contain(r, e)
		next.ServeHTTP(e, r)
	})
}

// contain turns a panic into a masked answer or, where an answer has begun, into a broken
// connection, lest half an answer be taken for a whole one.
func (s *Server) contain(r *http.Request, e *exchange) {
	cause := recover()
	if cause == nil {
		return
	}
	err, _ := cause.(error)
	aborted := errors.Is(err, http.ErrAbortHandler)
	if !aborted {
		s.log.LogAttrs(r.Context(), slog.LevelError, "panic in handler",
			slog.String("request", actor.RequestID(r.Context())),
			slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
	}
	switch {
	case e.upgraded != nil:
		_ = e.upgraded.Close()
	case aborted || e.status != 0:
		panic(http.ErrAbortHandler)
	default:
		refuse(e, r, http.StatusInternalServerError, "INTERNAL", "internal error")
	}
}

func (s *Server) record(r *http.Request, e *exchange, took time.Duration) {
	route, status := routeOf(r), e.status
	if status == 0 {
		status = http.StatusOK
	}
	class := strconv.Itoa(status/100) + "xx"
	s.metrics.requests.WithLabelValues(route, class).Inc()
	if e.upgraded == nil {
		s.metrics.seconds.WithLabelValues(route, class).Observe(took.Seconds())
	}
	// The client may be gone and its context with it; the line is written all the same.
	s.log.LogAttrs(context.WithoutCancel(r.Context()), levelOf(route, status), "request",
		slog.String("request", actor.RequestID(r.Context())), slog.String("method", r.Method),
		slog.String("route", route), slog.Int("status", status), slog.Int64("bytes", e.bytes),
		slog.Duration("took", took), slog.String("actor_kind", string(e.actor.Kind)),
		slog.String("actor", e.actor.ID()))
}

// routeOf is the pattern that matched, so that there are as many routes as we have written down,
// whatever paths are asked for.
func routeOf(r *http.Request) string {
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		path = r.Pattern
	}
	if path == "/" || path == "" {
		return "none"
	}
	return strings.TrimSuffix(path, "{$}")
}

// levelOf keeps what probes ask every second out of the everyday log.
func levelOf(route string, status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError && route != "/readyz":
		return slog.LevelError
	case route == "/livez" || route == "/readyz" || route == "/metrics":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// exchange watches an answer on its way out. Flushing and deadlines are reached through Unwrap.
type exchange struct {
	http.ResponseWriter
	status   int // 0 until the answer begins
	bytes    int64
	actor    actor.Actor // set by authenticate
	upgraded net.Conn
}

func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	e.begin()
	n, err := e.ResponseWriter.Write(p)
	e.bytes += int64(n)
	return n, err
}

// FlushError is found by http.ResponseController; a flush begins the answer, too.
func (e *exchange) FlushError() error {
	e.begin()
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Hijack hands the connection over and remembers it, so that a panic cannot leave it open.
func (e *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(e.ResponseWriter).Hijack()
	if err == nil {
		e.status, e.upgraded = http.StatusSwitchingProtocols, conn
	}
	return conn, buffer, err
}

func (e *exchange) begin() {
	if e.status == 0 {
		e.status = http.StatusOK
	}
}
