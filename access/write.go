package access

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/journal"
)

// write runs change in a transaction, appends the events that it returns to the actor's journal as
// the last statement, commits, and tells of them. A constraint that the change runs into becomes
// the caller's error. Nothing has happened if it returns one.
//
// Changes lock in one order: lockdown plan, lockdown, site, holiday calendar, schedule, device, group,
// door, user, application, grant, key, area, visit, command, and the journal's head last. Where Postgres nevertheless
// finds two that wait for each other, the one that it ends is run again.
func (s *Service) write(
	ctx context.Context, change func(*ent.Tx) ([]journal.Event, error),
) error {
	return s.writeTo(ctx, s.db, change)
}

// writeTo is write through a pool of the caller's choice.
func (s *Service) writeTo(
	ctx context.Context, db *ent.Client, change func(*ent.Tx) ([]journal.Event, error),
) error {
	by, ok := actor.FromContext(ctx)
	if !ok {
		return rule.ErrNoActor
	}
	for try := 1; ; try++ {
		events, err := s.attempt(ctx, db, by, change)
		if try < maxTries && pq.As(err, pqerror.TRDeadlockDetected) != nil {
			continue
		}
		if err != nil {
			return err
		}
		if len(events) > 0 {
			s.committed(events)
		}
		return nil
	}
}

// maxTries bounds how often a change is run that Postgres ended to resolve a deadlock.
const maxTries = 3

func (s *Service) attempt(
	ctx context.Context, db *ent.Client, by actor.Actor,
	change func(*ent.Tx) ([]journal.Event, error),
) ([]journal.Event, error) {
	tx, err := db.Tx(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	events, err := change(tx)
	if err == nil {
		events, err = journal.Append(ctx, tx, by.Organization, events...)
	}
	if err != nil {
		return nil, errors.Join(explain(err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", explain(err))
	}
	return events, nil
}

// forChange locks rows that are about to change, but not against rows that refer to them.
func forChange(q *sql.Selector) { q.For("NO KEY UPDATE") }

func rollback(tx *ent.Tx) error {
	if err := tx.Rollback(); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}
