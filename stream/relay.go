package stream

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

type relayMetrics struct {
	lag      prometheus.Histogram
	batches  prometheus.Histogram
	refilled prometheus.Counter
	left     prometheus.Counter
}

func measureRelay(registerer prometheus.Registerer) relayMetrics {
	register := promauto.With(registerer)
	return relayMetrics{
		lag: register.NewHistogram(prometheus.HistogramOpts{
			Name:    "cardea_stream_relay_lag_seconds",
			Help:    "From an event's receipt until Redis has it; the first of each batch.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		batches: register.NewHistogram(prometheus.HistogramOpts{
			Name:    "cardea_stream_relay_batch_events",
			Help:    "Events handed to Redis in one call.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		refilled: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_stream_relay_refilled_events_total",
			Help: "Events read from Postgres because an organization's stream lacked them.",
		}),
		left: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_stream_relay_failures_total",
			Help: "Relays left to the sweep because Redis or Postgres failed.",
		}),
	}
}

const (
	relays = 8 // organizations relayed at a time
	// maxPending bounds the events that wait for an organization's relay. More are forgotten here
	// and read from Postgres.
	maxPending = 1024
	// sweepEvery is the pause between sweeps, and fullSweep how many of them until one trusts
	// nothing that it knew: a wiped Redis tells nobody.
	sweepEvery = time.Second
	fullSweep  = 8
)

// Relay carries committed events to Redis. Any number of nodes may run one.
type Relay struct {
	stream  *Stream
	log     *journal.Log
	journal condition
	metrics relayMetrics
	wake    chan struct{}

	mu      sync.Mutex
	pending map[typeid.Organization]*pending // in ready, or being relayed
	ready   []typeid.Organization
	reached map[typeid.Organization]int64 // the last number that a stream was seen to have
}

// pending is what waits for an organization's relay.
type pending struct {
	events []journal.Event
	behind bool // events are missing here: read them from the journal
}

// NewRelay returns a relay that Run starts.
func NewRelay(s *Stream, log *journal.Log) *Relay {
	return &Relay{
		stream: s, log: log,
		journal: condition{log: s.config.Log, of: "journal of the relay"},
		metrics: measureRelay(s.config.Registerer),
		wake:    make(chan struct{}, 1),
		pending: make(map[typeid.Organization]*pending),
		reached: make(map[typeid.Organization]int64),
	}
}

// Offer takes events that were committed. It never blocks, and it may forget them: they are in
// Postgres. While an organization is being relayed, what is offered meanwhile shares its next call.
func (r *Relay) Offer(events []journal.Event) {
	r.mu.Lock()
	for _, e := range events {
		p := r.awaiting(e.Organization)
		if p.behind {
			continue
		}
		if p.events = append(p.events, e); len(p.events) > maxPending {
			p.events, p.behind = nil, true
		}
	}
	r.mu.Unlock()
	signal(r.wake)
}

// awaiting returns what waits for an organization, and lines the organization up. Under r.mu.
func (r *Relay) awaiting(org typeid.Organization) *pending {
	p, ok := r.pending[org]
	if !ok {
		p = &pending{}
		r.pending[org] = p
		r.ready = append(r.ready, org)
	}
	return p
}

// Run relays what is offered and sweeps, until the context ends. What it leaves, another node's
// sweep relays, or this one's after its restart.
func (r *Relay) Run(ctx context.Context) error {
	var group errgroup.Group
	defer func() { _ = group.Wait() }()
	group.SetLimit(relays + 1)
	group.Go(func() error { r.sweeps(ctx); return nil })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		for _, org := range r.lined() {
			group.Go(func() error { r.relay(ctx, org); return nil })
		}
	}
}

// lined returns the organizations that wait for a relay.
func (r *Relay) lined() []typeid.Organization {
	r.mu.Lock()
	defer r.mu.Unlock()
	orgs := r.ready
	r.ready = nil
	return orgs
}

// relay empties what waits for an organization. There is one relay at a time for each.
func (r *Relay) relay(ctx context.Context, org typeid.Organization) {
	for {
		p, ok := r.take(org)
		if !ok {
			return
		}
		if ctx.Err() != nil || r.stream.redis.failing() {
			continue // the sweep finds out when Redis is back, and comes here again
		}
		if err := r.carry(ctx, org, p); err != nil && ctx.Err() == nil {
			r.metrics.left.Inc()
			r.stream.config.Log.Debug("left to the sweep", "organization", org, "error", err)
		}
	}
}

// take takes what waits for an organization; if nothing does, its relay ends.
func (r *Relay) take(org typeid.Organization) (pending, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := *r.pending[org]
	if p.events == nil && !p.behind {
		delete(r.pending, org)
		return p, false
	}
	*r.pending[org] = pending{}
	return p, true
}

// carry brings an organization's stream to what was taken, or further.
func (r *Relay) carry(ctx context.Context, org typeid.Organization, p pending) error {
	if p.behind {
		ends, err := r.stream.ends(ctx, []typeid.Organization{org})
		if err != nil {
			return err
		}
		return r.refill(ctx, org, ends[org])
	}
	for _, run := range runs(p.events) {
		last, err := r.stream.add(ctx, org, batch{events: run})
		if err != nil {
			return err
		}
		r.metrics.batches.Observe(float64(len(run)))
		if last < run[0].Sequence {
			return r.refill(ctx, org, last)
		}
		r.metrics.lag.Observe(time.Since(run[0].ReceivedAt).Seconds())
		r.reach(org, last)
	}
	return nil
}

// runs sorts events, which transactions offer in any order, and splits them where numbers are
// missing and where a batch is full.
func runs(events []journal.Event) [][]journal.Event {
	slices.SortFunc(events, func(a, b journal.Event) int {
		return cmp.Compare(a.Sequence, b.Sequence)
	})
	events = slices.CompactFunc(events, func(a, b journal.Event) bool {
		return a.Sequence == b.Sequence
	})
	var split [][]journal.Event
	for start := 0; start < len(events); {
		end := start + 1
		for end < len(events) && end-start < pageSize &&
			events[end].Sequence == events[end-1].Sequence+1 {
			end++
		}
		split = append(split, events[start:end])
		start = end
	}
	return split
}

// refill brings a stream from its last number to the journal's head. One that is further behind
// than a stream is long starts anew, and so does one that retention has passed.
func (r *Relay) refill(ctx context.Context, org typeid.Organization, last int64) error {
	head, err := r.log.Head(ctx, org)
	if err != nil {
		return err
	}
	oldest := head - r.stream.config.Length
	for last < head {
		after := max(last, oldest)
		events, err := r.log.Read(ctx, org, after, pageSize)
		if errors.Is(err, journal.ErrCursorExpired) {
			oldest = after + (head-after+1)/2
			continue
		}
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break // retention has taken everything
		}
		quiet := events[len(events)-1].Sequence < head
		b := batch{events: events, begin: after > last, quiet: quiet}
		if last, err = r.stream.add(ctx, org, b); err != nil {
			return err
		}
		r.metrics.refilled.Add(float64(len(events)))
	}
	r.reach(org, head)
	return nil
}

// reach notes that a stream has a number.
func (r *Relay) reach(org typeid.Organization, last int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached[org] = max(last, r.reached[org])
}
