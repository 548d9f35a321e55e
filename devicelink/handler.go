// Package devicelink sends: it holds one WebSocket link per device, on whichever node the device
// reached, takes what devices report to access and commands to devices.
//
// docs/protocol.md is the contract with devices; protocol.go holds its frames, close_codes.go its
// endings, link.go the life of a link. Router finds the node of a device and is what access calls.
//
// Guarantees:
//
//   - A device is who it says: each link begins with a signature over a fresh challenge. So is the
//     server: it signs the welcome.
//   - What moves a lock is signed, for one device and one link, and numbered: who is on the way
//     between can hold it up, and neither make nor alter nor repeat it.
//   - A report is acknowledged only after its commit, and recorded once however often it is sent.
//   - A command is written to a link before its deadline or never, and is not queued for later.
//   - A device has one link: the newest. Links are numbered by access; what an older one still says
//     is refused there, wherever the nodes are and whether or not Redis answers.
//   - A peer that is silent, or does not read, is found within 35 seconds and costs a bounded amount
//     of memory until then.
//   - Commands reach the links of their own node when Redis is down.
//
// The package imports access, stream, actor, typeid and Ent's enumerations. With graph it is the
// only one that imports the WebSocket library.
package devicelink

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/access"
)

// HandlerConfig is what a Handler needs.
type HandlerConfig struct {
	Access     *access.Service
	Router     *Router
	ServerName string // what challenges name and devices sign: the public host, the same on all nodes
	Keys       *Keyring
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Handler answers everything under /devices/v1/ and owns this node's links. Links open only while
// Run runs.
type Handler struct {
	access     *access.Service
	router     *Router
	serverName string
	keys       *Keyring
	log        *slog.Logger
	metrics    *metrics
	mux        http.ServeMux

	mu    sync.Mutex
	alive context.Context //nolint:containedctx // of Run, for links; nil when it does not run
	links sync.WaitGroup
}

// NewHandler returns a handler that refuses links until Run is called.
func NewHandler(cfg HandlerConfig) (*Handler, error) {
	measured, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		access: cfg.Access, router: cfg.Router, serverName: cfg.ServerName, keys: cfg.Keys,
		log: cfg.Log, metrics: measured,
	}
	h.mux.HandleFunc("POST "+EnrolPath, h.enrol)
	h.mux.HandleFunc("GET "+LinkPath, h.link)
	return h, nil
}

// ServeHTTP implements http.Handler. Devices have no Origin; a page in a browser is refused.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		h.refuse(w, r, access.Error{
			Code: access.CodeForbidden, Message: "devices only: a browser may not connect",
		})
		return
	}
	h.mux.ServeHTTP(w, r)
}

// Run keeps this node's links: it takes other nodes' messages, keeps the links' presence fresh and
// reaps devices whose node died. When ctx ends it closes all links with RESTART and returns when the
// last is gone.
func (h *Handler) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	h.mu.Lock()
	h.alive = ctx
	h.mu.Unlock()
	parts.Go(func() error { return h.inbox(ctx) })
	parts.Go(func() error { return h.refresh(ctx) })
	parts.Go(func() error { return h.reap(ctx) })
	err := parts.Wait()
	h.mu.Lock()
	h.alive = nil
	h.mu.Unlock()
	h.links.Wait()
	return err
}

// link upgrades the request and lets the handler return, so that net/http keeps nothing for the
// link; its goroutine belongs to Run.
func (h *Handler) link(w http.ResponseWriter, r *http.Request) {
	if !offers(r, Subprotocol) {
		h.refuse(w, r, access.Error{
			Code: access.CodeBadUserInput, Message: "the subprotocol must be " + Subprotocol,
		})
		return
	}
	ctx, ok := h.admit()
	if !ok {
		h.refuse(w, r, access.Error{Code: codeUnavailable, Message: "not accepting links"})
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{Subprotocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil { // Accept has answered
		h.links.Done()
		return
	}
	go func() {
		defer h.links.Done()
		h.live(ctx, conn)
	}()
}

// Ready says whether links are taken: whether Run runs.
func (h *Handler) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alive != nil && h.alive.Err() == nil
}

// admit counts one more link, unless Run has stopped taking them.
func (h *Handler) admit() (context.Context, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.alive == nil || h.alive.Err() != nil {
		return nil, false
	}
	h.links.Add(1)
	return h.alive, true
}

func offers(r *http.Request, protocol string) bool {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(name) == protocol {
				return true
			}
		}
	}
	return false
}

// metrics are those of all links of a node.
type metrics struct {
	open    prometheus.Gauge
	ended   *prometheus.CounterVec
	reports prometheus.Counter
	batches prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_device_links", Help: "Device links open on this node.",
		}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_device_links_ended_total", Help: "Device links ended, by cause.",
		}, []string{"cause"}),
		reports: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cardea_device_reports_total",
			Help: "Reports and results of devices committed, repeated ones included.",
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cardea_device_report_batch", Help: "Reports per commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 8),
		}),
	}
	for _, c := range []prometheus.Collector{m.open, m.ended, m.reports, m.batches} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register device metrics: %w", err)
		}
	}
	return m, nil
}
