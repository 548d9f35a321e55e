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
	KeyPending KeyStatus = "PENDING" // not yet valid
	KeyActive  KeyStatus = "ACTIVE"
	KeyExpired KeyStatus = "EXPIRED"
	KeyRevoked KeyStatus = "REVOKED"
)

// StatusOf returns the key's status at an instant. From is inclusive, until is exclusive.
func StatusOf(k *ent.Key, at time.Time) KeyStatus {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case k.ValidUntil != nil && !at.Before(*k.ValidUntil):
		return KeyExpired
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
		k, err = tx.Key.Create().SetUserID(in.UserID).SetNillableSiteID(in.SiteID).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil).Save(ctx)
		if err != nil {
			return nil, err
		}
		opens := make([]*ent.KeyDoorCreate, len(doors))
		for i, d := range doors {
			opens[i] = tx.KeyDoor.Create().SetKeyID(k.ID).SetDoorID(d)
		}
		if err := tx.KeyDoor.CreateBulk(opens...).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{keyCreated(k, doors)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &GrantKeyPayload{k}, nil
}

func keyCreated(k *ent.Key, doors []typeid.Door) journal.Event {
	e := journal.Event{Type: "key.created", Key: k.ID, User: k.UserID}
	switch {
	case k.SiteID != nil:
		e.Site = *k.SiteID
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
		return []journal.Event{{Type: "key.revoked", Key: k.ID, User: k.UserID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &RevokeKeyPayload{k}, nil
}
