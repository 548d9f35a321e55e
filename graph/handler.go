// Package graph translates: GraphQL to access for what changes, and to ent for what is read.
//
// A resolver has three beats: authorise, call, return. It reads only what access says that the
// viewer may see, and writes only through access. The SDL under schema/ is written by hand and is
// the contract; generated/ is gqlgen's; shape/ holds the few Go types that both need.
//
// Guarantees:
//
//   - A list is paged by keyset, one statement a page, 100 items at most. A list inside a list
//     costs one statement for all parents, whatever the length of the page.
//   - What a document may cost is bounded before it is validated (guard.go), what an operation may
//     cost before it is executed (cost.go), and no answer tells more of an error than errors.go lets
//     through.
//   - A subscription is authorised, then the present, then every event in order and without a gap,
//     each with a cursor. It ends within a second after an event says that its actor's rights have
//     changed. Nothing that one client does slows down what feeds the others. Equal subscriptions are
//     executed once for all (router.go, audience.go, rights.go).
//   - The transports are our own (http.go, sse.go, websocket.go): strict, bounded, every write with a
//     deadline, and Run returns only when every socket and every stream is gone.
//
// The package imports access, ent, stream, journal, actor, together and typeid. It alone imports gqlgen, and
// it and devicelink alone the WebSocket library.
package graph

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

//go:generate go run ./generate

type metrics struct {
	operations    *prometheus.HistogramVec
	errors        *prometheus.CounterVec
	subscriptions prometheus.Gauge
	sockets       prometheus.Gauge
	closed        *prometheus.CounterVec
	audiences     prometheus.Gauge
	listening     prometheus.Gauge
	asked         prometheus.Counter
	executed      prometheus.Counter
	delivered     prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) metrics {
	register := promauto.With(registerer)
	return metrics{
		operations: register.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cardea_graph_operation_seconds",
			Help:    "Time to answer queries and mutations, and to open subscriptions.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"type"}),
		errors: register.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_graph_errors_total", Help: "Errors shown to clients, by code.",
		}, []string{"code"}),
		subscriptions: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_graph_subscriptions", Help: "Running subscriptions.",
		}),
		sockets: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_graph_sockets", Help: "Open WebSockets.",
		}),
		closed: register.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_graph_sockets_closed_total",
			Help: "WebSockets that ended, by our close code; 0 if the client ended it.",
		}, []string{"code"}),
		audiences: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_graph_audiences",
			Help: "Groups of equal subscriptions, each executed as one.",
		}),
		listening: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_graph_listening",
			Help: "Running subscriptions that are in such a group.",
		}),
		asked: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_graph_audiences_asked_total",
			Help: "Times that such a group was given an event.",
		}),
		executed: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_graph_shared_executions_total",
			Help: "Items that were executed for such a group.",
		}),
		delivered: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_graph_shared_deliveries_total",
			Help: "Items that were sent to a client of such a group.",
		}),
	}
}

// Config is what a Handler needs. Access, DB, Hub, Authenticate and Log are required.
type Config struct {
	Access *access.Service
	DB     *ent.Client // guarded by the tenancy rule
	// Reserve is a pool of its own to the same database, through which lockdowns are read; nil: DB.
	Reserve *ent.Client
	Hub     *stream.Hub
	// LogKeys are those that sign checkpoints; nil if none are signed.
	LogKeys *signed.Keyring
	// Authenticate returns who a token speaks for, or an access.Error UNAUTHENTICATED. WebSockets
	// send the token after the upgrade, so the handler has to ask itself.
	Authenticate func(ctx context.Context, token string) (actor.Actor, error)
	// Origins are the hosts, or scheme://host, of pages elsewhere that may open WebSockets.
	Origins []string
	// Stream keeps, for all nodes, the documents that clients register; nil: they register none.
	Stream *stream.Stream
	// Meter counts what is asked for, and Rates are how much may be; nil: as much as anybody likes.
	Meter *stream.Meter
	Rates Rates
	// Trusted are documents of the operator's own clients, by the identifiers that these send. They
	// are not limited. TrustedOnly has no others executed.
	Trusted     map[string]string
	TrustedOnly bool
	// PerUser and PerAddress are how many long connections one user may have to this node, and how many
	// may come from one address; 0: 20 and 200.
	PerUser, PerAddress int
	// Deadline is what queries and mutations may take; 0: 10 s.
	Deadline time.Duration
	// Backlog is how many bytes may wait for a client that reads slower than it is sent, before it loses
	// its connection; 0: 1 MiB.
	Backlog int
	// Drain is the time over which Run spreads the end of long connections; 0: at once.
	Drain      time.Duration
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exposed
}

// Handler answers /graphql: GET and POST, with server-sent events if they are asked for, and
// graphql-transport-ws. Requests by GET and POST carry their actor in the context
// (actor.NewContext); without one they are refused with 401.
type Handler struct {
	*resolver
	config      Config
	executor    *executor.Executor
	metrics     metrics
	connections connections
	schema      *ast.Schema
	documents   generations[*judgement] // by their texts
	texts       generations[string]     // by organization and hash
	trusted     trusted
	headcount   headcount
	routers     routers
}

// New returns a handler. Run has to run for its long connections to end.
func New(config Config) *Handler {
	if config.Backlog == 0 {
		config.Backlog = maxWaiting
	}
	if config.Reserve == nil {
		config.Reserve = config.DB
	}
	h := &Handler{
		resolver: &resolver{
			access: config.Access, db: config.DB, hub: config.Hub,
			present: newPresent(config.DB, config.Access), logKeys: config.LogKeys, log: config.Log,
		},
		config:  config,
		metrics: newMetrics(config.Registerer),
	}
	h.loaders = h.newLoaders()
	reserved := *h.resolver
	reserved.db = config.Reserve
	reserved.loaders = reserved.newLoaders()
	h.reserved = &reserved
	h.routers.all = map[typeid.Organization]*router{}
	h.connections.open = map[int64]context.CancelCauseFunc{}
	schema := generated.NewSchema(generated.Config{Resolvers: h.resolver, Schema: served()})
	h.schema = schema.Schema()
	h.documents.most, h.texts.most = cacheBytes, textBytes
	h.trusted = h.trust(config.Trusted, config.TrustedOnly)
	h.executor = executor.New(schema)
	h.executor.SetErrorPresenter(h.present)
	h.executor.SetRecoverFunc(h.contain)
	h.executor.SetQueryCache(judged{})
	h.executor.AroundOperations(h.measure)
	h.executor.AroundResponses(h.withLoaders)
	return h
}

// served is the schema without @defer, which gqlgen adds: no transport here sends what is deferred.
func served() *ast.Schema {
	schema := *generated.NewExecutableSchema(generated.Config{}).Schema()
	schema.Directives = maps.Clone(schema.Directives)
	delete(schema.Directives, "defer")
	return &schema
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		h.serveSocket(w, r)
		return
	}
	h.serveRequest(w, r)
}

// measure times every operation: queries and mutations to their answer, subscriptions until they
// are open.
func (h *Handler) measure(
	ctx context.Context, next graphql.OperationHandler,
) graphql.ResponseHandler {
	start, kind := time.Now(), graphql.GetOperationContext(ctx).Operation.Operation
	if op, ok := ctx.Value(operationKey).(*operation); ok && op.shows {
		return next(ctx)
	}
	took := h.metrics.operations.WithLabelValues(string(kind))
	respond := next(ctx)
	if kind == ast.Subscription {
		took.Observe(time.Since(start).Seconds())
		return respond
	}
	return func(ctx context.Context) *graphql.Response {
		response := respond(ctx)
		if response != nil { // nil: there is no further one
			took.Observe(time.Since(start).Seconds())
		}
		return response
	}
}
