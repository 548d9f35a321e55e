package access

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// chainOf is the key $2 of the organization $1 with those that it was shared from.
const chainOf = `WITH RECURSIVE chain AS (
	SELECT id, parent_id FROM keys WHERE org_id = $1 AND id = $2
	UNION
	SELECT k.id, k.parent_id FROM keys k JOIN chain c ON k.org_id = $1 AND k.id = c.parent_id
)`

// chainsOf is the same for several keys.
const chainsOf = `WITH RECURSIVE chain AS (
	SELECT id, parent_id FROM keys WHERE org_id = $1 AND id = ANY ($2)
	UNION
	SELECT k.id, k.parent_id FROM keys k JOIN chain c ON k.org_id = $1 AND k.id = c.parent_id
)`

// takeUse takes a use of the key that grants an unlock, and of those that it was shared from, as
// far as they count. Whoever decided holds them locked, so none is taken twice.
func (s *Service) takeUse(ctx context.Context, tx *ent.Tx, v verdict.Verdict, o order) error {
	if !v.Limited || o.verb != command.VerbUNLOCK || v.Key.IsZero() {
		return nil
	}
	_, err := countUse(ctx, tx, v.Key, chainOf+` UPDATE keys SET uses_left = uses_left - 1
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND uses IS NOT NULL`)
	return err
}

// holdUse locks the keys of a command that is about to end without an unlock, before the command
// itself is locked.
func (s *Service) holdUse(ctx context.Context, tx *ent.Tx, c *ent.Command) error {
	if c.KeyID == nil {
		return nil
	}
	_, err := countUse(ctx, tx, *c.KeyID, chainOf+` SELECT id FROM keys
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND uses IS NOT NULL
		ORDER BY id FOR NO KEY UPDATE`)
	return err
}

// holdUses locks the keys of many such commands, in one order, before any of the commands.
func (s *Service) holdUses(ctx context.Context, tx *ent.Tx, keys []typeid.Key) error {
	if len(keys) == 0 {
		return nil
	}
	by, _ := actor.FromContext(ctx)
	_, err := tx.Client().ExecContext(ctx, chainsOf+` SELECT id FROM keys
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND uses IS NOT NULL
		ORDER BY id FOR NO KEY UPDATE`, by.Organization, pq.Array(keys))
	if err != nil {
		return fmt.Errorf("lock keys: %w", err)
	}
	return nil
}

// returnUse gives a use back after an unlock that never happened, and tells of it. One that was
// cancelled after it was written to its device's link may have happened.
func (s *Service) returnUse(
	ctx context.Context, tx *ent.Tx, c *ent.Command,
) ([]journal.Event, error) {
	if c.KeyID == nil || c.Verb != command.VerbUNLOCK ||
		c.Stage == command.StageCANCELLED && c.DispatchedAt != nil {
		return nil, nil
	}
	returned, err := countUse(ctx, tx, *c.KeyID, chainOf+` UPDATE keys SET uses_left = uses_left + 1
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND uses_left < uses`)
	if err != nil || returned == 0 {
		return nil, err
	}
	return []journal.Event{{
		Type: "key.use_returned", Key: *c.KeyID, User: orZero(c.RequesterUserID), Door: c.DoorID,
		Command: c.ID,
	}}, nil
}

// countUse runs a statement over a key and those that it was shared from, and returns how many
// rows.
func countUse(
	ctx context.Context, tx *ent.Tx, id typeid.Key, statement string,
) (int64, error) {
	by, _ := actor.FromContext(ctx)
	done, err := tx.Client().ExecContext(ctx, statement, by.Organization, id)
	if err != nil {
		return 0, fmt.Errorf("count use of key: %w", err)
	}
	return done.RowsAffected()
}
