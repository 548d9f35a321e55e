// Package webhooks delivers: it sends the events of the journal to customers' URLs, signed and
// retried.
//
// Two parts share the tables webhook_cursors, webhook_deliveries and webhook_attempts, which this
// package alone writes, and nothing else. The planner turns events into deliveries: for one
// organization at a time, under the lock of its cursor, it matches events with endpoints, inserts
// deliveries and moves the cursor, in one transaction. The deliverer claims what is due with a
// lease, posts it, and records the attempt and what follows from it in one transaction.
//
// Guarantees:
//
//   - Every event that is committed after an endpoint was enabled and that the endpoint asks for is
//     planned exactly once, in order, however many processes plan and whenever one dies.
//   - A delivery is attempted until it is answered with 2xx or the schedule ends (backoff). An
//     attempt may be repeated: what a process was attempting when it died is due again when its
//     lease ends. Every attempt carries the event's id as webhook-id, and the same body. Whoever
//     has lost the lease records nothing.
//   - Order is best effort: an endpoint's due deliveries start in order of time and sequence.
//   - At most ten deliveries of an endpoint are in flight, over all processes, so an endpoint that
//     hangs delays no other.
//   - Requests go to public addresses alone (guard), over TLS 1.2 or newer, and follow no redirect.
//   - An answer of 410 disables its endpoint. What is pending for a disabled endpoint rests, and
//     goes on when it is enabled again; events of the meantime are not planned.
//
// Processes compare leases and due times by their own clocks, which may differ by what a lease is
// longer than an attempt: 45 seconds.
//
// Three statements are raw SQL, each with org_id in hand: the claim, whose window over each endpoint
// Ent cannot express, and the inserts of deliveries and of a new organization's cursor, which must
// skip what is there already.
//
// The package imports access, journal, ent, actor and typeid.
package webhooks

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// part is the name under which this package acts.
const part = "webhooks"

// Config is what Webhooks needs. Zero values are good unless said otherwise.
type Config struct {
	DB         *ent.Client           // required; carries the tenancy rule (rule.Guard)
	Access     *access.Service       // required; disables endpoints
	Log        *slog.Logger          // required
	Registerer prometheus.Registerer // nil: nothing is registered
	// AllowInside permits loopback addresses besides public ones, also with plain http.
	AllowInside bool
	Workers     int              // deliveries in flight in this process; 512
	Now         func() time.Time // nil: the wall clock
	Resolver    *net.Resolver    // nil: the system's
	Roots       *x509.CertPool   // whose certificates endpoints may show; nil: the system's
	Timeouts    Timeouts
}

// Timeouts bound what takes time. Lease must be longer than Attempt and Grace together.
type Timeouts struct {
	Dial    time.Duration // to one address; 5 s
	TLS     time.Duration // of a handshake; 5 s
	Attempt time.Duration // of a whole attempt, from look-up to the answer's end; 15 s
	Lease   time.Duration // of a claimed delivery; 60 s
	Grace   time.Duration // for attempts in flight when Run is asked to end; 5 s
	Poll    time.Duration // between looks for what no nudge told of; 1 s
}

func (c *Config) fill() {
	orElse(&c.Workers, 512)
	orElse(&c.Timeouts.Dial, 5*time.Second)
	orElse(&c.Timeouts.TLS, 5*time.Second)
	orElse(&c.Timeouts.Attempt, 15*time.Second)
	orElse(&c.Timeouts.Lease, time.Minute)
	orElse(&c.Timeouts.Grace, 5*time.Second)
	orElse(&c.Timeouts.Poll, time.Second)
	clock := c.Now
	if clock == nil {
		clock = schema.Now
	}
	c.Now = func() time.Time { return clock().UTC().Truncate(time.Microsecond) }
	c.Log = c.Log.With("part", part)
}

func orElse[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// Webhooks plans and delivers. Any number of processes may run one on the same database.
type Webhooks struct {
	planner   *planner
	deliverer *deliverer
}

// New returns Webhooks that do nothing until Run.
func New(cfg Config) *Webhooks {
	cfg.fill()
	deliverer := newDeliverer(cfg)
	return &Webhooks{newPlanner(cfg, deliverer.wake), deliverer}
}

// Run plans and delivers until ctx ends, and then lets attempts in flight end within the grace.
// What is still in flight after that is given back, to be attempted again. It returns nil, when all
// that it started is gone; failures are logged, and overcome by trying again.
func (w *Webhooks) Run(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.System(part))
	var parts sync.WaitGroup
	parts.Go(func() { w.planner.run(ctx) })
	parts.Go(func() { w.deliverer.run(ctx) })
	parts.Wait()
	return nil
}

// Nudge says that events of the organization were committed. It never blocks. Without it they are
// found within about a second.
func (w *Webhooks) Nudge(org typeid.Organization) { w.planner.nudge(org) }

// within returns a context that acts for the organization alone.
func within(ctx context.Context, org typeid.Organization) context.Context {
	return actor.NewContext(ctx, actor.System(part).Within(org))
}

// bell wakes a loop. Rings that come before the loop listens are one ring.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}
