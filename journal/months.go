package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal/signed"
)

const (
	// monthsAhead is how many coming months have a partition: nobody has to look after them for that long.
	monthsAhead = 2
	// keepEvery is the pause between rounds of a keeper.
	keepEvery = 10 * time.Minute
	// keeperLock is the advisory lock of whoever makes partitions: "months" in ASCII.
	keeperLock = 0x6d6f6e746873
)

// Keeper looks after the table of events: it makes the partitions of the coming months, and prunes what
// is past retention. Any number of nodes may run one.
type Keeper struct {
	db     *ent.Client
	keys   *signed.Keyring
	now    func() time.Time
	log    *slog.Logger
	pruned map[span]time.Time // up to when nothing of it is left
}

// KeeperConfig is what a Keeper needs.
type KeeperConfig struct {
	DB *ent.Client // carries the tenancy rule
	// Keys sign what was pruned; without them nothing is.
	Keys *signed.Keyring
	Now  func() time.Time // nil: the wall clock
	Log  *slog.Logger
}

// NewKeeper returns a keeper that Run starts.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Now == nil {
		cfg.Now = schema.Now
	}
	return &Keeper{
		db: cfg.DB, keys: cfg.Keys, now: cfg.Now, log: cfg.Log, pruned: map[span]time.Time{}}
}

// Run keeps at once and every ten minutes until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		if err := k.Keep(ctx); err != nil && ctx.Err() == nil {
			k.log.ErrorContext(ctx, "keeping the journal failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Keep does one round. It is not to be called twice at once.
func (k *Keeper) Keep(ctx context.Context) error {
	made := k.MakeMonths(ctx, monthsAhead)
	pruned, err := k.Prune(ctx)
	if pruned > 0 {
		k.log.InfoContext(ctx, "pruned", "events", pruned)
	}
	return errors.Join(made, err)
}

// MakeMonths makes the partitions of this month and of so many that come, as far as they are missing,
// and complains of events that are in no month. It does nothing while another process does the same.
//
// A month whose tables somebody reads at length is left to the next round: nobody who appends waits for
// it longer than two seconds.
func (k *Keeper) MakeMonths(ctx context.Context, ahead int) error {
	ctx = actor.NewContext(ctx, actor.System("keeper"))
	var failed error
	for n := range ahead + 1 {
		now := k.now().UTC()
		month := time.Date(now.Year(), now.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
		failed = errors.Join(failed, k.makeMonth(ctx, month))
	}
	if pq.As(failed, pqerror.InsufficientPrivilege) != nil {
		k.log.WarnContext(ctx, "partitions of the journal are made by the tables' owner: run cardea migrate",
			"error", failed)
		failed = nil
	}
	return errors.Join(failed, k.unplaced(ctx))
}

func (k *Keeper) makeMonth(ctx context.Context, month time.Time) error {
	tx, err := k.db.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	_, err = tx.ExecContext(ctx, `SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN make_month($2) END`,
		keeperLock, month.Format(time.DateOnly))
	if err != nil {
		return errors.Join(fmt.Errorf("make partition of %s: %w", month.Format("2006-01"), err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// unplaced complains of events that are in no month, although they are read like all others: months
// were not made in time, or a clock was far off.
func (k *Keeper) unplaced(ctx context.Context) error {
	some, err := yes(ctx, k.db, `SELECT EXISTS (SELECT FROM events_unplaced)`)
	if err != nil {
		return fmt.Errorf("look for events in no month: %w", err)
	}
	if some {
		k.log.ErrorContext(ctx, "events are in no month of the journal: look at events_unplaced")
	}
	return nil
}
