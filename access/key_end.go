package access

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

var errKeyRevoked = Error{CodeConflict, "the key was revoked", "id"}

// RevokeKeyInput names a key.
type RevokeKeyInput struct {
	ID                typeid.Key
	ConfirmationToken *string `json:"-"`
}

// RevokeKeyPayload holds the key as it is now.
type RevokeKeyPayload struct{ Key *ent.Key }

// RevokeKey ends a key and all that was shared from it: from the commit on, nothing is granted by
// them, and unlocks by them that are still on their way are cancelled. Other than administrators
// revoke what they shared. Revoking it again changes nothing and is no error.
func (s *Service) RevokeKey(ctx context.Context, in RevokeKeyInput) (*RevokeKeyPayload, error) {
	family, err := s.changeFamily(ctx, ShareKeys, in.ID, "id",
		confirmation{in, in.ConfirmationToken}, s.revoke)
	if err != nil {
		return nil, err
	}
	return &RevokeKeyPayload{family[0]}, nil
}

// SuspendKeyInput names a key.
type SuspendKeyInput struct {
	ID                typeid.Key
	ConfirmationToken *string `json:"-"`
}

// SuspendKeyPayload holds the key as it is now.
type SuspendKeyPayload struct{ Key *ent.Key }

// SuspendKey has a key open nothing until it is resumed, nor do keys that were shared from it.
// Unlocks by them that are still on their way are cancelled. Suspending it again changes nothing.
func (s *Service) SuspendKey(ctx context.Context, in SuspendKeyInput) (*SuspendKeyPayload, error) {
	family, err := s.changeFamily(ctx, WriteKeys, in.ID, "id",
		confirmation{in, in.ConfirmationToken}, s.suspend)
	if err != nil {
		return nil, err
	}
	return &SuspendKeyPayload{family[0]}, nil
}

// ResumeKeyInput names a key.
type ResumeKeyInput struct{ ID typeid.Key }

// ResumeKeyPayload holds the key as it is now.
type ResumeKeyPayload struct{ Key *ent.Key }

// ResumeKey has a suspended key open again. Resuming one that is not suspended changes nothing.
func (s *Service) ResumeKey(ctx context.Context, in ResumeKeyInput) (*ResumeKeyPayload, error) {
	family, err := s.changeFamily(ctx, WriteKeys, in.ID, "id", confirmation{}, s.resume)
	if err != nil {
		return nil, err
	}
	return &ResumeKeyPayload{family[0]}, nil
}

// mayChangeKey fails unless an action, which has found the key, reaches to change it: one that opens
// nothing beyond the actor's sites, or, to share and revoke, one that they shared.
func mayChangeKey(ctx context.Context, db *ent.Client, action Action, k *ent.Key) error {
	whole, err := wholeKey(ctx, db, action, k.ID)
	if err != nil || whole {
		return err
	}
	by, _ := actor.FromContext(ctx)
	if action != ShareKeys || orZero(k.SharedByID) != by.User {
		return errForbidden
	}
	return unconfined(ctx, db, k.ID)
}

// wholeKey says whether an action reaches all that a key opens, whosever it is.
func wholeKey(
	ctx context.Context, db *ent.Client, action Action, id typeid.Key,
) (bool, error) {
	reached, err := reach(ctx, action)
	if err != nil || reached != sites {
		return reached == all, err
	}
	by, _ := actor.FromContext(ctx)
	count, err := db.Key.Query().Where(key.ID(id), keyAt(by.Sites), keyWithin(by.Sites)).Count(ctx)
	if err != nil {
		return false, fmt.Errorf("look where the key opens: %w", err)
	}
	return count > 0, nil
}

// unconfined fails if the actor is confined to sites and the key opens something elsewhere.
func unconfined(ctx context.Context, db *ent.Client, id typeid.Key) error {
	by, _ := actor.FromContext(ctx)
	if !by.Confined {
		return nil
	}
	count, err := db.Key.Query().Where(key.ID(id), keyWithin(by.Sites)).Count(ctx)
	if err != nil {
		return fmt.Errorf("look where the key opens: %w", err)
	}
	if count == 0 {
		return errForbidden
	}
	return nil
}

// changeFamily changes a key, the first of the family, and perhaps those that were shared from it.
func (s *Service) changeFamily(
	ctx context.Context, action Action, id typeid.Key, field string, asked confirmation,
	change func(context.Context, *ent.Tx, []*ent.Key) ([]journal.Event, error),
) (family []*ent.Key, err error) {
	visible, err := s.keysFor(ctx, action)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		k, err := tx.Key.Query().Where(key.ID(id), visible).Only(ctx)
		if err != nil {
			return nil, found(err, "key", field)
		}
		if err := mayChangeKey(ctx, tx.Client(), action, k); err != nil {
			return nil, err
		}
		if err := s.confirm(ctx, tx, asked.change, asked.token); err != nil {
			return nil, err
		}
		if family, err = holdFamily(ctx, tx, id); err != nil {
			return nil, err
		}
		if len(family) == 0 {
			return nil, notFound("key", field)
		}
		return change(ctx, tx, family)
	})
	return family, err
}

// holdFamily locks keys with all that were shared from them, and returns them, parents first. Those
// that they were shared from are locked before, as far as they count uses, because a use may be
// given back to them. What is shared from a locked key waits for the lock, so none is missed.
func holdFamily(ctx context.Context, tx *ent.Tx, ids ...typeid.Key) ([]*ent.Key, error) {
	by, _ := actor.FromContext(ctx)
	_, err := tx.Client().ExecContext(ctx, chainsOf+` SELECT id FROM keys
		WHERE org_id = $1 AND id IN (SELECT id FROM chain) AND (uses IS NOT NULL OR id = ANY ($2))
		ORDER BY id FOR NO KEY UPDATE`, by.Organization, pq.Array(ids))
	if err != nil {
		return nil, fmt.Errorf("lock keys: %w", err)
	}
	var family []*ent.Key
	seen := map[typeid.Key]bool{}
	for column := key.FieldID; len(ids) > 0; column = key.FieldParentID {
		level, err := tx.Key.Query().Where(forChange, whose(column, ids)).Order(key.ByID()).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("lock keys: %w", err)
		}
		ids = nil
		for _, k := range level {
			if !seen[k.ID] {
				seen[k.ID] = true
				family, ids = append(family, k), append(ids, k.ID)
			}
		}
	}
	return family, nil
}

// endAll tells of the end of keys that are about to be deleted, with all that was shared from them,
// as far as they are still valid, and cancels what they are about to open.
func (s *Service) endAll(
	ctx context.Context, tx *ent.Tx, which predicate.Key,
) ([]journal.Event, error) {
	keys, err := tx.Key.Query().Where(which).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	ids := make([]typeid.Key, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	family, err := holdFamily(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	var events []journal.Event
	for _, k := range family {
		if status := StatusOf(k, s.now()); status != KeyRevoked && status != KeyExpired {
			events = append(events, keyEvent("key.revoked", k))
		}
	}
	cancelled, err := s.cancelUnlocks(ctx, tx, family, schema.ReasonKeyRevoked)
	return append(events, cancelled...), err
}

// revoke ends the keys of a family that are not yet, and cancels what they are about to open.
func (s *Service) revoke(
	ctx context.Context, tx *ent.Tx, family []*ent.Key,
) (events []journal.Event, err error) {
	for i, k := range family {
		if k.RevokedAt != nil {
			continue
		}
		if family[i], err = tx.Key.UpdateOne(k).SetRevokedAt(s.now()).Save(ctx); err != nil {
			return nil, fmt.Errorf("revoke key: %w", err)
		}
		events = append(events, keyEvent("key.revoked", k))
	}
	cancelled, err := s.cancelUnlocks(ctx, tx, family, schema.ReasonKeyRevoked)
	return append(events, cancelled...), err
}

func (s *Service) suspend(
	ctx context.Context, tx *ent.Tx, family []*ent.Key,
) (_ []journal.Event, err error) {
	switch k := family[0]; {
	case k.RevokedAt != nil:
		return nil, errKeyRevoked
	case k.SuspendedAt != nil:
		return nil, nil
	}
	if family[0], err = tx.Key.UpdateOne(family[0]).SetSuspendedAt(s.now()).Save(ctx); err != nil {
		return nil, fmt.Errorf("suspend key: %w", err)
	}
	cancelled, err := s.cancelUnlocks(ctx, tx, family, schema.ReasonKeySuspended)
	return append([]journal.Event{keyEvent("key.suspended", family[0])}, cancelled...), err
}

func (s *Service) resume(
	ctx context.Context, tx *ent.Tx, family []*ent.Key,
) (_ []journal.Event, err error) {
	switch k := family[0]; {
	case k.RevokedAt != nil:
		return nil, errKeyRevoked
	case k.SuspendedAt == nil:
		return nil, nil
	}
	if family[0], err = tx.Key.UpdateOne(family[0]).ClearSuspendedAt().Save(ctx); err != nil {
		return nil, fmt.Errorf("resume key: %w", err)
	}
	return []journal.Event{keyEvent("key.resumed", family[0])}, nil
}

// cancelUnlocks ends the unlocks by some keys, which are locked, that have not ended. Their devices
// are not told: an answer that comes all the same changes the door's state, and not the command.
func (s *Service) cancelUnlocks(
	ctx context.Context, tx *ent.Tx, keys []*ent.Key, reason schema.Reason,
) (events []journal.Event, err error) {
	ids := make([]typeid.Key, len(keys))
	for i, k := range keys {
		ids[i] = k.ID
	}
	open, err := tx.Command.Query().Where(command.VerbEQ(command.VerbUNLOCK), command.EndedAtIsNil(),
		whose(command.FieldKeyID, ids)).
		Order(command.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("find open commands: %w", err)
	}
	for _, c := range open {
		_, told, err := s.move(ctx, tx, c.ID, step{stage: command.StageCANCELLED, reason: reason})
		if err != nil {
			return nil, err
		}
		events = append(events, told...)
	}
	return events, nil
}

func keyEvent(kind string, k *ent.Key) journal.Event {
	e := journal.Event{Type: kind, Key: k.ID, User: orZero(k.UserID)}
	if k.UserGroupID != nil {
		e.Data = data("groupId", *k.UserGroupID)
	}
	return e
}
