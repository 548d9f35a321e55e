package access

import (
	"context"
	"slices"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxKeyDoors is how many doors one key may list; a key for more is for a site.
const maxKeyDoors = 200

// KeyStatus is what a key is worth at an instant.
type KeyStatus string

// The statuses.
const (
	KeyPending   KeyStatus = "PENDING" // not yet valid, or shared and not yet redeemed
	KeyActive    KeyStatus = "ACTIVE"
	KeySuspended KeyStatus = "SUSPENDED"
	KeyExpired   KeyStatus = "EXPIRED"
	KeyUsedUp    KeyStatus = "USED_UP"
	KeyRevoked   KeyStatus = "REVOKED"
)

// StatusOf returns the key's status at an instant. From is inclusive, until is exclusive.
func StatusOf(k *ent.Key, at time.Time) KeyStatus {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.ValidUntil != nil && !at.Before(*k.ValidUntil):
		return KeyExpired
	case k.UsesLeft != nil && *k.UsesLeft == 0:
		return KeyUsedUp
	case k.SuspendedAt != nil:
		return KeySuspended
	case k.UserID == nil && k.UserGroupID == nil:
		return KeyPending
	case k.ValidFrom != nil && at.Before(*k.ValidFrom):
		return KeyPending
	}
	return KeyActive
}

// GrantKeyInput says who may open what, and when: some doors, or a site with every door that it has
// and will have.
type GrantKeyInput struct {
	UserID     typeid.User
	DoorIDs    []typeid.Door
	SiteID     *typeid.Site
	ValidFrom  *time.Time // nil: at once
	ValidUntil *time.Time // nil: for good
}

// GrantKeyPayload holds the new key.
type GrantKeyPayload struct{ Key *ent.Key }

// GrantKey gives a user a key.
func (s *Service) GrantKey(ctx context.Context, in GrantKeyInput) (*GrantKeyPayload, error) {
	if err := Authorize(ctx, WriteKeys); err != nil {
		return nil, err
	}
	doors, err := in.check()
	if err != nil {
		return nil, err
	}
	var k *ent.Key
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := in.exist(ctx, tx, doors); err != nil {
			return nil, err
		}
		k, err = tx.Key.Create().SetUserID(in.UserID).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil).Save(ctx)
		if err != nil {
			return nil, err
		}
		if err := in.open(ctx, tx, k, doors); err != nil {
			return nil, err
		}
		return []journal.Event{in.told(k, doors)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &GrantKeyPayload{k}, nil
}

// open records what the key opens.
func (in GrantKeyInput) open(
	ctx context.Context, tx *ent.Tx, k *ent.Key, doors []typeid.Door,
) error {
	target := func() *ent.KeyTargetCreate {
		return tx.KeyTarget.Create().SetKeyID(k.ID).SetNillableUserID(k.UserID).
			SetNillableUserGroupID(k.UserGroupID)
	}
	var targets []*ent.KeyTargetCreate
	for _, d := range doors {
		targets = append(targets, target().SetDoorID(d))
	}
	if in.SiteID != nil {
		targets = append(targets, target().SetSiteID(*in.SiteID))
	}
	return tx.KeyTarget.CreateBulk(targets...).Exec(ctx)
}

func (in GrantKeyInput) told(k *ent.Key, doors []typeid.Door) journal.Event {
	e := journal.Event{Type: "key.created", Key: k.ID, User: orZero(k.UserID)}
	switch {
	case in.SiteID != nil:
		e.Site = *in.SiteID
	case len(doors) == 1:
		e.Door = doors[0]
		fallthrough
	default:
		e.Data = data("doorIds", doors)
	}
	return e
}

// check returns the doors, each once.
func (in GrantKeyInput) check() ([]typeid.Door, error) {
	var f faults
	doors := slices.Clone(in.DoorIDs)
	slices.SortFunc(doors, func(a, b typeid.Door) int {
		return slices.Compare(raw(a), raw(b))
	})
	doors = slices.Compact(doors)
	switch {
	case (len(doors) == 0) == (in.SiteID == nil):
		f.add("doorIds", "give either doors or a site")
	case len(doors) > maxKeyDoors:
		f.add("doorIds", "at most %d doors", maxKeyDoors)
	}
	if in.ValidFrom != nil && in.ValidUntil != nil && !in.ValidFrom.Before(*in.ValidUntil) {
		f.add("validUntil", "must be after validFrom")
	}
	return doors, f.err()
}

func raw(d typeid.Door) []byte {
	bytes := d.UUID()
	return bytes[:]
}

// exist fails with NOT_FOUND unless all that the input names is in the organization.
func (in GrantKeyInput) exist(ctx context.Context, tx *ent.Tx, doors []typeid.Door) error {
	if _, err := tx.User.Query().Where(user.ID(in.UserID)).ForShare().Only(ctx); err != nil {
		return found(err, "user", "userId")
	}
	if in.SiteID != nil {
		_, err := tx.Site.Query().Where(site.ID(*in.SiteID)).ForShare().Only(ctx)
		return found(err, "site", "siteId")
	}
	count, err := tx.Door.Query().Where(door.IDIn(doors...)).Count(ctx)
	if err == nil && count != len(doors) {
		err = notFound("door", "doorIds")
	}
	return err
}

// RevokeKeyInput names a key.
type RevokeKeyInput struct{ ID typeid.Key }

// RevokeKeyPayload holds the key as it is now.
type RevokeKeyPayload struct{ Key *ent.Key }

// RevokeKey ends a key: from the commit on, nothing is granted by it. Revoking it again changes
// nothing and is no error.
func (s *Service) RevokeKey(ctx context.Context, in RevokeKeyInput) (*RevokeKeyPayload, error) {
	if err := Authorize(ctx, WriteKeys); err != nil {
		return nil, err
	}
	var k *ent.Key
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		k, err = tx.Key.Query().Where(key.ID(in.ID), forChange).Only(ctx)
		if err != nil || k.RevokedAt != nil {
			return nil, found(err, "key", "id")
		}
		if k, err = tx.Key.UpdateOne(k).SetRevokedAt(s.now()).Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "key.revoked", Key: k.ID, User: orZero(k.UserID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &RevokeKeyPayload{k}, nil
}
