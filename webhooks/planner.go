package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/ent/webhookcursor"
	"github.com/cardea/cardea/typeid"
)

const (
	sweepBatch   = 256 // organizations that one sweep finds
	planParallel = 4   // organizations that one process plans at once
	// lookAgain is when to look at an organization that another process was just planning: an event
	// may have been committed after that process read.
	lookAgain = 50 * time.Millisecond
)

// planner turns events into deliveries, in rounds. A round plans one batch for each organization
// that was nudged since the last; what comes meanwhile is the next round. So no organization is
// planned twice at once by one process, and none waits for more than a batch of the others.
type planner struct {
	db      *ent.Client
	now     func() time.Time
	poll    time.Duration
	log     *slog.Logger
	count   prometheus.Counter
	planned bell // rings when there are new deliveries
	wake    bell

	mu     sync.Mutex
	nudged map[typeid.Organization]struct{}
}

func newPlanner(cfg Config, planned bell) *planner {
	return &planner{
		db: cfg.DB, now: cfg.Now, poll: cfg.Timeouts.Poll, log: cfg.Log,
		count: promauto.With(cfg.Registerer).NewCounter(prometheus.CounterOpts{
			Name: "cardea_webhook_deliveries_planned_total",
			Help: "Deliveries made from events.",
		}),
		planned: planned, wake: newBell(), nudged: map[typeid.Organization]struct{}{},
	}
}

func (p *planner) nudge(org typeid.Organization) {
	p.mu.Lock()
	p.nudged[org] = struct{}{}
	p.mu.Unlock()
	p.wake.ring()
}

func (p *planner) takeNudged() map[typeid.Organization]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.nudged
	p.nudged = map[typeid.Organization]struct{}{}
	return taken
}

func (p *planner) run(ctx context.Context) {
	sweep := time.NewTimer(0)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-sweep.C:
			sweep.Reset(p.sweep(ctx))
		}
		if p.round(ctx, p.takeNudged()) {
			sweep.Reset(lookAgain)
		}
	}
}

// sweep nudges the organizations that are behind their journal, and says when to sweep again.
func (p *planner) sweep(ctx context.Context) time.Duration {
	behind, err := p.behind(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.log.WarnContext(ctx, "webhook sweep failed", "error", err)
		}
		return p.poll
	}
	for _, org := range behind {
		p.nudge(org)
	}
	if len(behind) == sweepBatch {
		return 0
	}
	return p.poll
}

// behind returns organizations whose journal's head is past their cursor.
func (p *planner) behind(ctx context.Context) ([]typeid.Organization, error) {
	heads, err := p.db.JournalHead.Query().Where(func(heads *sql.Selector) {
		cursors := sql.Table(webhookcursor.Table)
		heads.LeftJoin(cursors).On(heads.C(journalhead.FieldID), cursors.C(webhookcursor.FieldID))
		headSeq, cursorSeq := heads.C(journalhead.FieldSeq), cursors.C(webhookcursor.FieldSeq)
		heads.Where(sql.Or(
			sql.ColumnsGT(headSeq, cursorSeq),
			sql.And(sql.IsNull(cursorSeq), sql.GT(headSeq, 0)),
		))
	}).Limit(sweepBatch).Select(journalhead.FieldID).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find journals ahead of webhooks: %w", err)
	}
	orgs := make([]typeid.Organization, len(heads))
	for i, head := range heads {
		orgs[i] = head.ID
	}
	return orgs, nil
}

// round plans a batch for each organization and says whether another process met it at one.
func (p *planner) round(ctx context.Context, orgs map[typeid.Organization]struct{}) bool {
	var busy atomic.Bool
	var group errgroup.Group
	group.SetLimit(planParallel)
	for org := range orgs {
		group.Go(func() error {
			more, err := p.plan(within(ctx, org), org)
			switch {
			case errors.Is(err, errBusy):
				busy.Store(true)
			case err != nil && ctx.Err() == nil:
				p.log.WarnContext(ctx, "webhook planning failed", "organization", org, "error", err)
			case more:
				p.nudge(org)
			}
			return nil
		})
	}
	_ = group.Wait()
	return busy.Load()
}
