package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const claimBatch = 100

// deliverer claims deliveries that are due and attempts them.
type deliverer struct {
	db      *ent.Client
	sender  sender
	access  *access.Service
	now     func() time.Time
	lease   time.Duration
	grace   time.Duration
	poll    time.Duration
	log     *slog.Logger
	metrics *metrics
	slots   chan struct{} // holds one item for each delivery in flight
	wake    bell
}

func newDeliverer(cfg Config) *deliverer {
	return &deliverer{
		db: cfg.DB, access: cfg.Access, now: cfg.Now, log: cfg.Log,
		sender:  sender{newClient(cfg), cfg.AllowInside, cfg.Timeouts.Attempt, cfg.Now},
		metrics: newMetrics(cfg.Registerer),
		lease:   cfg.Timeouts.Lease, grace: cfg.Timeouts.Grace, poll: cfg.Timeouts.Poll,
		slots: make(chan struct{}, cfg.Workers), wake: newBell(),
	}
}

// run claims as much as there are free slots for, whenever a slot is freed, something was planned,
// or the poll interval has passed.
func (d *deliverer) run(ctx context.Context) {
	attempts, interrupt := context.WithCancel(context.WithoutCancel(ctx))
	var inFlight sync.WaitGroup
	poll := time.NewTicker(d.poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		if d.start(ctx, attempts, &inFlight) {
			continue
		}
		select {
		case <-ctx.Done():
		case <-d.wake:
		case <-poll.C:
		}
	}
	grace := time.AfterFunc(d.grace, interrupt)
	inFlight.Wait()
	grace.Stop()
	interrupt()
	d.sender.client.CloseIdleConnections()
}

// start claims and starts deliveries, and says whether there may be more to claim.
func (d *deliverer) start(ctx, attempts context.Context, inFlight *sync.WaitGroup) (more bool) {
	limit := min(claimBatch, cap(d.slots)-len(d.slots))
	if limit == 0 {
		return false
	}
	claimed, events, err := d.claimWithEvents(ctx, limit)
	if err != nil {
		if ctx.Err() == nil {
			d.log.WarnContext(ctx, "webhook claim failed", "error", err)
		}
		return false
	}
	for _, c := range claimed {
		d.slots <- struct{}{} // never waits: only this loop fills slots
		inFlight.Go(func() {
			d.deliver(attempts, c, events[c.event])
			<-d.slots
			d.wake.ring()
		})
	}
	return len(claimed) == limit
}

// claimWithEvents claims deliveries and reads their events. If it cannot, it gives back what it has
// claimed. A claim is not broken off when Run is asked to end: it might have been made all the
// same, and then nobody would attempt what was claimed before the lease ends.
func (d *deliverer) claimWithEvents(
	ctx context.Context, limit int,
) ([]delivery, map[typeid.Event]*ent.Event, error) {
	ctx, cancel := unhurried(ctx)
	defer cancel()
	claimed, err := d.claim(ctx, limit)
	if err != nil || len(claimed) == 0 {
		return nil, nil, err
	}
	ids := make([]typeid.Event, len(claimed))
	for i, c := range claimed {
		ids[i] = c.event
	}
	rows, err := d.db.Event.Query().Where(event.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read events: %w", err), d.release(ctx, claimed...))
	}
	events := make(map[typeid.Event]*ent.Event, len(rows))
	for _, row := range rows {
		events[row.ID] = row
	}
	return claimed, events, nil
}

// deliver makes one attempt and records what came of it. If ctx ends in the attempt, nothing is
// recorded and the delivery is given back: that it broke off was not the receiver's doing.
func (d *deliverer) deliver(ctx context.Context, c delivery, row *ent.Event) {
	d.metrics.inFlight.Inc()
	defer d.metrics.inFlight.Dec()
	o := d.attempt(ctx, c, row)
	if ctx.Err() != nil && o.status == 0 {
		if err := d.release(ctx, c); err != nil {
			d.log.WarnContext(ctx, "webhook attempt interrupted", "delivery", c.id, "error", err)
		}
		return
	}
	v := d.judge(c, o)
	record, cancel := unhurried(within(ctx, c.organization))
	defer cancel()
	d.report(record, c, o, v, d.finish(record, c, o, v))
}

// unhurried returns a context for what should not be broken off when Run is asked to end. It
// outlives ctx, but not by long.
func unhurried(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// attempt sends the event, if there still is one to send.
func (d *deliverer) attempt(ctx context.Context, c delivery, row *ent.Event) outcome {
	if row == nil || row.OrgID != c.organization {
		return outcome{startedAt: d.now(), class: classEventGone}
	}
	body, err := encode(journal.FromRow(row))
	if err != nil {
		d.log.ErrorContext(ctx, "webhook event cannot be encoded", "event", c.event, "error", err)
		return outcome{startedAt: d.now(), class: classEventGone}
	}
	return d.sender.attempt(ctx, c, body)
}

// verdict is what follows from an attempt.
type verdict struct {
	retryAt time.Time // zero: there is no further attempt
	gone    bool      // the endpoint wants nothing more
}

func (d *deliverer) judge(c delivery, o outcome) verdict {
	if o.status == http.StatusGone {
		return verdict{gone: true}
	}
	if o.class == "" || o.class == classEventGone {
		return verdict{}
	}
	chance := 2*rand.Float64() - 1 //nolint:gosec // it spreads load and guards nothing
	wait, again := backoff(c.attempts+1, o.retryAfter, chance)
	if !again {
		return verdict{}
	}
	return verdict{retryAt: o.startedAt.Add(o.took).Add(wait).UTC().Truncate(time.Microsecond)}
}
