package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

type hubMetrics struct {
	organizations prometheus.Gauge
	subscribers   prometheus.Gauge
	slow          prometheus.Counter
	healed        prometheus.Counter
	read          *prometheus.CounterVec
}

func measureHub(registerer prometheus.Registerer) hubMetrics {
	register := promauto.With(registerer)
	return hubMetrics{
		organizations: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_stream_hub_organizations",
			Help: "Organizations that this node listens to.",
		}),
		subscribers: register.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_stream_hub_subscribers",
			Help: "Open subscriptions.",
		}),
		slow: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_stream_hub_slow_consumers_total",
			Help: "Subscriptions that ended because they fell behind.",
		}),
		healed: register.NewCounter(prometheus.CounterOpts{
			Name: "cardea_stream_hub_gaps_total",
			Help: "Times that live events were missing and had to be read.",
		}),
		read: register.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_stream_hub_reads_total",
			Help: "Pages of events read for gaps and replays, by source.",
		}, []string{"source"}),
	}
}

// HubConfig bounds what a hub keeps and how long it waits. Zero values mean the defaults.
type HubConfig struct {
	// Queue is how many events wait in a subscription's channel: 256.
	Queue int
	// Ring is how many of its newest events each organization keeps in memory: 1024.
	Ring int
	// Patience is how long a subscriber whose queue overflowed may take to catch up: 2 s.
	Patience time.Duration
	// Check is the pause between checks of quiet organizations: 1 s.
	Check time.Duration
	// Linger is how long an organization without subscribers is still listened to: 60 s.
	Linger time.Duration
}

func (c HubConfig) withDefaults() HubConfig {
	c.Queue, c.Ring = or(c.Queue, 256), or(c.Ring, 1024)
	c.Patience, c.Check = or(c.Patience, 2*time.Second), or(c.Check, time.Second)
	c.Linger = or(c.Linger, time.Minute)
	return c
}

func or[T int | time.Duration](given, standard T) T {
	if given <= 0 {
		return standard
	}
	return given
}

// Hub gives this node's subscribers the events of their organizations.
type Hub struct {
	stream   *Stream
	log      *journal.Log
	config   HubConfig
	journal  condition
	metrics  hubMetrics
	listener *listener
	recheck  chan struct{}
	started  chan struct{}

	mu      sync.Mutex // taken last, and never held over a call to elsewhere
	begin   func(work func(context.Context))
	closed  bool
	feeds   map[string]*feed // by channel
	running sync.WaitGroup   // all that Run began
}

// ErrClosed ends the subscriptions of a hub that stops.
var ErrClosed = errors.New("hub is closed")

// NewHub returns a hub that Run starts.
func NewHub(s *Stream, log *journal.Log, config HubConfig) *Hub {
	h := &Hub{
		stream: s, log: log, config: config.withDefaults(),
		journal:  condition{log: s.config.Log, of: "journal of the hub"},
		metrics:  measureHub(s.config.Registerer),
		listener: newListener(s, "redis live channels"),
		recheck:  make(chan struct{}, 1),
		started:  make(chan struct{}),
		feeds:    make(map[string]*feed),
	}
	h.listener.message, h.listener.joined = h.dispatch, h.joined
	return h
}

// Run serves subscriptions until the context ends, and then ends them with ErrClosed. It runs once.
func (h *Hub) Run(ctx context.Context) error {
	h.begin = func(work func(context.Context)) { h.running.Go(func() { work(ctx) }) }
	close(h.started)
	h.spawn(h.listener.run)
	h.spawn(h.checks)
	<-ctx.Done()
	for _, f := range h.close() {
		f.close()
	}
	h.running.Wait()
	return nil
}

// close lets nothing start any more, and returns the feeds that there are.
func (h *Hub) close() []*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	feeds := make([]*feed, 0, len(h.feeds))
	for _, f := range h.feeds {
		feeds = append(feeds, f)
	}
	return feeds
}

// spawn starts work that Run waits for. It does not if the hub is closed.
func (h *Hub) spawn(work func(context.Context)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.spawnLocked(work)
}

func (h *Hub) spawnLocked(work func(context.Context)) bool {
	if h.closed {
		return false
	}
	h.begin(work)
	return true
}

// Live is the cursor that means: from the present.
const Live int64 = -1

// Subscribe returns the organization's events after a cursor: Live, or the sequence of the last
// event that the subscriber has, 0 for none. It waits for Run. An organization that has subscribers
// already is joined live without asking anyone.
//
// The subscription ends with the context, if not before. The errors are journal.ErrCursorExpired,
// ErrCursorAhead and ErrClosed; any other means that Postgres could not be read.
func (h *Hub) Subscribe(
	ctx context.Context, org typeid.Organization, after int64,
) (*Subscription, error) {
	select {
	case <-h.started:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := h.enter(org)
	if err != nil {
		return nil, err
	}
	s, err := f.subscribe(ctx, after)
	if err != nil {
		h.leave(f)
		return nil, err
	}
	return s, nil
}

// enter returns the organization's feed, which stays until leave.
func (h *Hub) enter(org typeid.Organization) (*feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	channel := h.stream.liveChannel(org)
	f, ok := h.feeds[channel]
	if !ok {
		f = newFeed(h, org)
		h.feeds[channel] = f
		h.listener.add(channel) // before the journal's head is read: nothing falls between
		h.spawnLocked(f.run)
		h.metrics.organizations.Inc()
	}
	f.users++
	return f, nil
}

func (h *Hub) leave(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.users--
	f.idle = time.Now()
}

// dispatch gives a message to its feed. One that is busy finds it missing by its number.
func (h *Hub) dispatch(channel, payload string) {
	m, err := parse(payload)
	if err != nil {
		h.stream.config.Log.Error("message ignored", "channel", channel, "error", err)
		return
	}
	if f := h.feed(channel); f != nil {
		f.offer(m)
	}
}

func (h *Hub) feed(channel string) *feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.feeds[channel]
}

// joined has a feed checked whose channel was just joined: what was published before is in Redis.
func (h *Hub) joined(channel string) {
	h.mu.Lock()
	if f := h.feeds[channel]; f != nil {
		f.doubtful = true
	}
	h.mu.Unlock()
	signal(h.recheck)
}

// checks compares positions again and again, so that a lost last message is found.
func (h *Hub) checks(ctx context.Context) {
	tick := time.NewTimer(jitter(h.config.Check))
	defer tick.Stop()
	for round := 0; ; {
		regular := false
		select {
		case <-ctx.Done():
			return
		case <-h.recheck:
		case <-tick.C:
			tick.Reset(jitter(h.config.Check))
			h.retire()
			regular = true
			round++
		}
		feeds := h.quiet(regular)
		if len(feeds) == 0 {
			continue
		}
		// A Redis that answers may be one that nobody can write to, so Postgres is asked too,
		// only less often.
		h.check(ctx, feeds, regular && round%5 == 0)
	}
}

// quiet returns the feeds to check: those that joined their channel just now and, if asked, those
// that moved nothing since the last check.
func (h *Hub) quiet(all bool) []*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	var feeds []*feed
	for _, f := range h.feeds {
		if f.doubtful || all && !f.moved.Swap(false) {
			feeds = append(feeds, f)
			f.doubtful = false
		}
	}
	return feeds
}

// check tells feeds how far their organizations are. If nobody can be asked, the next check will.
func (h *Hub) check(ctx context.Context, feeds []*feed, journal bool) {
	orgs := make([]typeid.Organization, len(feeds))
	for i, f := range feeds {
		orgs[i] = f.org
	}
	ends, err := h.stream.ends(ctx, orgs)
	if err != nil || journal {
		ends, err = h.log.Heads(ctx)
		if h.observe(ctx, err) != nil {
			return
		}
	}
	for _, f := range feeds {
		f.aim(ends[f.org])
	}
}

// retire stops listening to organizations that have had no subscriber for a while.
func (h *Hub) retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for channel, f := range h.feeds {
		if f.users == 0 && time.Since(f.idle) > h.config.Linger {
			delete(h.feeds, channel)
			h.listener.remove(channel)
			close(f.retired)
			h.metrics.organizations.Dec()
		}
	}
}

// head returns the number of the organization's newest event.
func (h *Hub) head(ctx context.Context, org typeid.Organization) (int64, error) {
	head, err := h.log.Head(ctx, org)
	return head, h.observe(ctx, err)
}

// read reads events that follow a cursor, from the stream if it has them.
func (h *Hub) read(
	ctx context.Context, org typeid.Organization, after int64,
) ([]*journal.Event, error) {
	if !h.stream.redis.failing() {
		if events, err := h.stream.entries(ctx, org, after); err == nil {
			h.metrics.read.WithLabelValues("redis").Inc()
			return events, nil
		}
	}
	kept, err := h.log.Read(ctx, org, after, pageSize)
	if h.observe(ctx, err) != nil {
		return nil, err
	}
	h.metrics.read.WithLabelValues("postgres").Inc()
	events := make([]*journal.Event, len(kept))
	for i := range kept {
		events[i] = &kept[i]
	}
	return events, nil
}

// observe learns from the outcome of a read whether the journal can be read, and returns it.
func (h *Hub) observe(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, journal.ErrCursorExpired):
		h.journal.report(nil)
	case ctx.Err() == nil:
		h.journal.report(err)
	}
	return err
}
