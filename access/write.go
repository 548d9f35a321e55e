package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/journal"
)

// write runs change in a transaction, appends the events that it returns to the actor's journal as
// the last statement, commits, and tells of them. A constraint that the change runs into becomes
// the caller's error. Nothing has happened if it returns one.
func (s *Service) write(
	ctx context.Context, change func(*ent.Tx) ([]journal.Event, error),
) error {
	by, ok := actor.FromContext(ctx)
	if !ok {
		return rule.ErrNoActor
	}
	tx, err := s.db.Tx(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	events, err := change(tx)
	if err == nil {
		events, err = journal.Append(ctx, tx, by.Organization, events...)
	}
	if err != nil {
		return errors.Join(explain(err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", explain(err))
	}
	if len(events) > 0 {
		s.committed(events)
	}
	return nil
}

func rollback(tx *ent.Tx) error {
	if err := tx.Rollback(); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}
