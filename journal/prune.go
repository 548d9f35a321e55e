package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/typeid"
)

const (
	// pruneBatch is how many events one transaction deletes, and pruneBatches how many of those one round
	// does for an organization: the rest is for the next.
	pruneBatch, pruneBatches = 1000, 200
	// pruneLock is the class of the advisory locks of organizations that are pruned: "prun" in ASCII.
	pruneLock = 0x7072756e
	// monthsKept is how old an empty partition is that is dropped: nobody adds to it.
	monthsKept = 40 * 24 * time.Hour
)

// span is a class of an organization's events, which is pruned up to an instant.
type span struct {
	org   typeid.Organization
	class Class
}

// Prune deletes the events that are past their organization's retention, and partitions that are empty.
// It returns how many events. Many nodes may call it at once, and any of them may die.
//
// An event goes only once a signed checkpoint covers it: its leaf hash is in a tile by then, so whoever
// has the event can prove that it was there, and the tree can be continued. Events that are left
// among pruned ones are found by whoever looks for them; who reads by numbers gets ErrCursorExpired.
//
// What goes is noted beside its leaf hash, and signed: so an export tells retention from deletion. An event
// that is not what its leaf hash is of stays, and the error wraps ErrBroken.
func (k *Keeper) Prune(ctx context.Context) (pruned int, err error) {
	if k.keys == nil {
		return 0, nil
	}
	ctx = actor.NewContext(ctx, actor.System("keeper"))
	orgs, err := k.db.Organization.Query().All(ctx)
	if err != nil {
		return 0, fmt.Errorf("load organizations: %w", err)
	}
	var failed error
	for _, o := range orgs {
		for class, days := range map[Class]int{
			ClassAccess: o.AccessRetentionDays, ClassAdministrative: o.AdminRetentionDays,
		} {
			n, err := k.pruneTo(ctx, span{o.ID, class}, k.now().Add(-time.Duration(days)*24*time.Hour))
			pruned, failed = pruned+n, errors.Join(failed, err)
		}
	}
	return pruned, errors.Join(failed, k.dropMonths(ctx))
}

// pruneTo deletes a class of an organization's events that are older than an instant, batch by batch. It
// begins where it last found nothing left.
func (k *Keeper) pruneTo(ctx context.Context, s span, until time.Time) (pruned int, err error) {
	from, ok := k.pruned[s]
	if !ok {
		from = time.Unix(0, 0)
	}
	for range pruneBatches {
		n, err := k.pruneBatch(ctx, s, from, until)
		if pruned += n; err != nil {
			return pruned, err
		}
		if n < pruneBatch {
			break
		}
	}
	left, err := yes(ctx, k.db, leftSQL, s.org, from, until, pq.Array(ofAccess), s.class == ClassAccess)
	if err != nil {
		return pruned, fmt.Errorf("look for what is left: %w", err)
	}
	if !left {
		k.pruned[s] = until
	}
	return pruned, nil
}

// which is true of the events of a class that were recorded within a time: $1 is the organization, $2 and
// $3 are the time, $4 the types of access, and $5 says whether it is to be one of these.
const which = `org_id = $1 AND id >= least_uuid($2) AND id < least_uuid($3)
	AND (type = ANY ((SELECT $4)::text[])) = $5`

// leftSQL says whether any are left: nothing covers them yet, somebody else prunes, or there were many.
const leftSQL = `SELECT EXISTS (SELECT FROM events WHERE ` + which + `)`

// old is true of the same events, as far as a checkpoint covers them.
func (s span) old(from, until time.Time) predicate.Event {
	return func(q *entsql.Selector) {
		q.Where(entsql.P(func(b *entsql.Builder) {
			b.WriteString("org_id = ").Arg(s.org).WriteString(" AND id >= least_uuid(").Arg(from).
				WriteString(") AND id < least_uuid(").Arg(until).
				WriteString(") AND (type = ANY ((SELECT ").Arg(pq.Array(ofAccess)).
				WriteString(")::text[])) = ").Arg(s.class == ClassAccess).
				WriteString(" AND seq <= (SELECT max(size) FROM checkpoints WHERE org_id = ").Arg(s.org).
				WriteString(")")
		}))
	}
}

// pruneBatch deletes the oldest of them.
func (k *Keeper) pruneBatch(
	ctx context.Context, s span, from, until time.Time,
) (deleted int, err error) {
	ctx = actor.NewContext(ctx, actor.System("keeper").Within(s.org))
	tx, err := k.db.Tx(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	deleted, edited, err := k.pruneIn(ctx, tx, s, from, until)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("prune %s of %s: %w", s.class, s.org, err), tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	if edited > 0 {
		return deleted, fmt.Errorf("%w: event %d of %s is not what its hash is of, and is not pruned",
			ErrBroken, edited, s.org)
	}
	return deleted, nil
}

// pruneIn also returns the first event that was edited.
func (k *Keeper) pruneIn(
	ctx context.Context, tx *ent.Tx, s span, from, until time.Time,
) (deleted int, edited int64, err error) {
	mine, err := yes(ctx, tx, `SELECT pg_try_advisory_xact_lock($1, hashtext($2))`, pruneLock, s.org.String())
	if err != nil || !mine {
		return 0, 0, err
	}
	rows, err := tx.Event.Query().Where(s.old(from, until)).Order(event.ByID()).Limit(pruneBatch).All(ctx)
	if err != nil || len(rows) == 0 {
		return 0, 0, err
	}
	going, edited, err := k.note(ctx, tx, s.org, rows, until)
	if err != nil || len(going) == 0 {
		return 0, edited, err
	}
	result, err := tx.ExecContext(ctx, `DELETE FROM events WHERE org_id = $1 AND id = ANY ((SELECT $2)::uuid[])
		AND id >= $3 AND id <= $4`, s.org, pq.Array(going), going[0], going[len(going)-1])
	if err != nil {
		return 0, 0, err
	}
	n, err := result.RowsAffected()
	return int(n), edited, err
}

// dropMonths drops partitions in which nothing is left. It does so one at a time, and leaves one that
// somebody reads at length to the next round.
func (k *Keeper) dropMonths(ctx context.Context) error {
	tx, err := k.db.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	_, err = tx.ExecContext(ctx, `SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN drop_empty_month($2) END`,
		keeperLock, k.now().Add(-monthsKept))
	if err != nil {
		err = errors.Join(fmt.Errorf("drop a month: %w", err), tx.Rollback())
		if pq.As(err, pqerror.InsufficientPrivilege, pqerror.LockNotAvailable) != nil {
			return nil //nolint:nilerr // an empty table harms nobody
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// yes returns the one boolean that a query asks for.
func yes(ctx context.Context, db querier, query string, args ...any) (is bool, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(&is); err != nil {
			return false, err
		}
	}
	return is, rows.Err()
}
