package access

import (
	"context"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// UpdateKeyInput changes what it holds and leaves the rest.
type UpdateKeyInput struct {
	ID              typeid.Key
	ValidFrom       *time.Time
	ClearValidFrom  bool
	ValidUntil      *time.Time
	ClearValidUntil bool
	ScheduleID      *typeid.Schedule
	ClearSchedule   bool
	Uses            *int // how often it opens in all; what was used stays used
	ClearUses       bool
	Remote          *bool
	Shares          *int // how many more keys may be shared from it

	ConfirmationToken *string `json:"-"`
}

// UpdateKeyPayload holds the key as it is now.
type UpdateKeyPayload struct{ Key *ent.Key }

// UpdateKey changes a key that is not revoked. One that was shared stays within the key that it
// came from; those that were shared from it open what all above them still open.
func (s *Service) UpdateKey(ctx context.Context, in UpdateKeyInput) (*UpdateKeyPayload, error) {
	visible, err := s.keysFor(ctx, WriteKeys)
	if err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var k *ent.Key
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.inReach(ctx, tx.Client(), in); err != nil {
			return nil, err
		}
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if err := s.holdSchedule(ctx, tx, WriteKeys, in.ScheduleID); err != nil {
			return nil, err
		}
		k, err = tx.Key.Query().Where(key.ID(in.ID), visible, forChange).Only(ctx)
		switch {
		case err != nil:
			return nil, found(err, "key", "id")
		case k.RevokedAt != nil:
			return nil, errKeyRevoked
		}
		if err := in.fit(ctx, tx, k); err != nil {
			return nil, err
		}
		update := in.update(tx, k)
		change := changed(update.Mutation())
		if k, err = update.Save(ctx); err != nil {
			return nil, err
		}
		told := keyEvent("key.updated", k)
		told.Data = change
		return []journal.Event{told}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateKeyPayload{k}, nil
}

func (in UpdateKeyInput) check() error {
	var f faults
	f.window(in.ValidFrom, in.ValidUntil)
	f.notBoth("validFrom", in.ValidFrom != nil, in.ClearValidFrom)
	f.notBoth("validUntil", in.ValidUntil != nil, in.ClearValidUntil)
	f.notBoth("scheduleId", in.ScheduleID != nil, in.ClearSchedule)
	f.notBoth("uses", in.Uses != nil, in.ClearUses)
	f.within("uses", in.Uses, 1, maxKeyUses)
	f.within("shares", in.Shares, 0, maxKeyShares)
	return f.err()
}

// fit checks the change against what the key is, and against the key that it was shared from.
func (in UpdateKeyInput) fit(ctx context.Context, tx *ent.Tx, k *ent.Key) error {
	var f faults
	from := set(k.ValidFrom, in.ValidFrom, in.ClearValidFrom)
	until := set(k.ValidUntil, in.ValidUntil, in.ClearValidUntil)
	if in.ValidFrom == nil || in.ValidUntil == nil { // else it is checked
		f.window(from, until)
	}
	if k.Depth == maxDepth && in.Shares != nil && *in.Shares > 0 {
		f.add("shares", "a key that was shared %d times cannot be shared on", maxDepth)
	}
	if k.ParentID == nil {
		return f.err()
	}
	parent, err := tx.Key.Query().Where(key.ID(*k.ParentID)).Only(ctx)
	if err != nil {
		return found(err, "key", "id")
	}
	f.below(parent, from, until, orZero(in.Remote))
	if parent.UsesLeft != nil && (in.ClearUses || in.Uses != nil && *in.Uses > *parent.UsesLeft) {
		f.add("uses", "must be at most %d, as the key that it was shared from", *parent.UsesLeft)
	}
	return f.err()
}

// set is what becomes of a field.
func set[T any](is, to *T, unset bool) *T {
	switch {
	case unset:
		return nil
	case to != nil:
		return to
	}
	return is
}

func (in UpdateKeyInput) update(tx *ent.Tx, k *ent.Key) *ent.KeyUpdateOne {
	u := tx.Key.UpdateOne(k).SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil).
		SetNillableScheduleID(in.ScheduleID).SetNillableRemote(in.Remote).
		SetNillableSharesLeft(in.Shares)
	if in.ClearValidFrom {
		u.ClearValidFrom()
	}
	if in.ClearValidUntil {
		u.ClearValidUntil()
	}
	if in.ClearSchedule {
		u.ClearScheduleID()
	}
	if in.ClearUses {
		u.ClearUses().ClearUsesLeft()
	}
	if in.Uses != nil {
		used := orZero(k.Uses) - orZero(k.UsesLeft)
		u.SetUses(*in.Uses).SetUsesLeft(max(0, *in.Uses-used))
	}
	return u
}
