package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// distinct returns identifiers in their order, each once, and complains of too few and too many.
func distinct[K interface {
	comparable
	UUID() [16]byte
}](field string, given []K) (ids []K, f faults) {
	ids = slices.Clone(given)
	slices.SortFunc(ids, func(a, b K) int {
		x, y := a.UUID(), b.UUID()
		return slices.Compare(x[:], y[:])
	})
	ids = slices.Compact(ids)
	if len(ids) == 0 || len(ids) > maxMembers {
		f.add(field, "must be from 1 to %d", maxMembers)
	}
	return ids, f
}

// window checks that a time that is given ends after it begins.
func (f *faults) window(from, until *time.Time) {
	if from != nil && until != nil && !from.Before(*until) {
		f.add("validUntil", "must be after validFrom")
	}
}

// sameInstant compares what the database keeps: it rounds to microseconds.
func sameInstant(a, b *time.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Round(time.Microsecond).Equal(b.Round(time.Microsecond))
}

// endKeysOfGroup locks the keys of a group that is about to be deleted, with what was shared from
// them, and tells of those that are still valid.
func (s *Service) endKeysOfGroup(
	ctx context.Context, tx *ent.Tx, id typeid.UserGroup,
) (events []journal.Event, err error) {
	by, _ := actor.FromContext(ctx)
	rows, err := tx.Client().QueryContext(ctx, `
		WITH RECURSIVE tree AS (
			SELECT id FROM keys WHERE org_id = $1 AND user_group_id = $2
			UNION
			SELECT k.id FROM keys k JOIN tree t ON k.org_id = $1 AND k.parent_id = t.id
		) SELECT id, user_id, revoked_at IS NULL AND (valid_until IS NULL OR valid_until > $3)
		FROM keys WHERE org_id = $1 AND id IN (SELECT id FROM tree) ORDER BY id FOR UPDATE`,
		by.Organization, id, s.now())
	if err != nil {
		return nil, fmt.Errorf("load keys of group: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k typeid.Key
		var holder typeid.User
		var valid bool
		if err := rows.Scan(&k, &holder, &valid); err != nil {
			return nil, fmt.Errorf("load keys of group: %w", err)
		}
		if valid {
			events = append(events, journal.Event{Type: "key.revoked", Key: k, User: holder})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("load keys of group: %w", err)
	}
	return events, nil
}
