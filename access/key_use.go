package access

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// chainsOf is the keys $2 of the organization $1 with those that they were shared from.
const chainsOf = `WITH RECURSIVE chain AS (
	SELECT id, parent_id FROM keys WHERE org_id = $1 AND id = ANY ($2)
	UNION
	SELECT k.id, k.parent_id FROM keys k JOIN chain c ON k.org_id = $1 AND k.id = c.parent_id
)`

// takeUse takes a use of the key that grants an unlock, and of those that it was shared from, as
// far as they count, and returns which. Whoever decided holds them locked, so none is taken twice.
func takeUse(ctx context.Context, tx *ent.Tx, v verdict.Verdict, o order) ([]typeid.Key, error) {
	if !v.Limited || o.verb != command.VerbUNLOCK || v.Key.IsZero() {
		return nil, nil
	}
	by, _ := actor.FromContext(ctx)
	rows, err := tx.Client().QueryContext(ctx, chainsOf+` UPDATE keys SET uses_left = uses_left - 1
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND uses IS NOT NULL RETURNING id`,
		by.Organization, pq.Array([]typeid.Key{v.Key}))
	if err != nil {
		return nil, fmt.Errorf("take use of key: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var taken []typeid.Key
	for err == nil && rows.Next() {
		var id typeid.Key
		err = rows.Scan(&id)
		taken = append(taken, id)
	}
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("take use of key: %w", err)
	}
	return taken, nil
}

// holdUses locks the keys of which commands have taken a use that are about to end without an unlock,
// before any of the commands is locked.
func holdUses(ctx context.Context, tx *ent.Tx, ending ...*ent.Command) error {
	var used []typeid.Key
	for _, c := range ending {
		used = append(used, c.UsedKeyIds...)
	}
	if len(used) == 0 {
		return nil
	}
	_, err := tx.Key.Query().Where(forChange, whose(key.FieldID, used)).Order(key.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock keys: %w", err)
	}
	return nil
}

// returnUse gives back what an unlock took that never happened, and tells of it. One that was cancelled
// after it was written to its device's link may have happened.
func returnUse(ctx context.Context, tx *ent.Tx, c *ent.Command) ([]journal.Event, error) {
	if c.KeyID == nil || len(c.UsedKeyIds) == 0 ||
		c.Stage == command.StageCANCELLED && c.DispatchedAt != nil {
		return nil, nil
	}
	by, _ := actor.FromContext(ctx)
	done, err := tx.Client().ExecContext(ctx, `UPDATE keys SET uses_left = uses_left + 1
		WHERE org_id = $1 AND id = ANY ($2) AND uses_left < uses`,
		by.Organization, pq.Array(c.UsedKeyIds))
	if err != nil {
		return nil, fmt.Errorf("return use of key: %w", err)
	}
	if returned, err := done.RowsAffected(); err != nil || returned == 0 {
		return nil, err
	}
	return []journal.Event{{
		Type: "key.use_returned", Key: *c.KeyID, User: orZero(c.RequesterUserID), Door: c.DoorID,
		Command: c.ID,
	}}, nil
}
