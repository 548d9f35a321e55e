package access

import (
	"context"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	maxKeyUses   = 10_000
	maxKeyShares = 1_000
)

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

// GrantKeyInput says who may open what, and when. Whose it will be is either a person or a group.
type GrantKeyInput struct {
	UserID       typeid.User
	UserGroupID  typeid.UserGroup
	DoorIDs      []typeid.Door
	DoorGroupIDs []typeid.DoorGroup
	SiteID       *typeid.Site
	ValidFrom    *time.Time // nil: at once
	ValidUntil   *time.Time // nil: for good
	ScheduleID   *typeid.Schedule
	Uses         *int  // how often it opens; nil: any number of times
	Remote       *bool // whether it opens from afar too; nil: it does
	Shares       *int  // how many keys may be shared from it; nil: none
}

// GrantKeyPayload holds the new key.
type GrantKeyPayload struct{ Key *ent.Key }

// GrantKey gives a person or a group a key.
func (s *Service) GrantKey(ctx context.Context, in GrantKeyInput) (*GrantKeyPayload, error) {
	if err := Authorize(ctx, WriteKeys); err != nil {
		return nil, err
	}
	opens, err := in.check()
	if err != nil {
		return nil, err
	}
	var k *ent.Key
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := in.exist(ctx, s, tx); err != nil {
			return nil, err
		}
		if err := opens.exist(ctx, tx, WriteKeys); err != nil {
			return nil, err
		}
		if k, err = in.create(tx).Save(ctx); err != nil {
			return nil, err
		}
		if err := opens.save(ctx, tx, k); err != nil {
			return nil, err
		}
		return []journal.Event{opens.told("key.created", k)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &GrantKeyPayload{k}, nil
}

// create is the key, but for what it opens.
func (in GrantKeyInput) create(tx *ent.Tx) *ent.KeyCreate {
	return tx.Key.Create().SetNillableUserID(orNil(in.UserID)).
		SetNillableUserGroupID(orNil(in.UserGroupID)).SetNillableScheduleID(in.ScheduleID).
		SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil).
		SetNillableUses(in.Uses).SetNillableUsesLeft(in.Uses).
		SetNillableRemote(in.Remote).SetNillableSharesLeft(in.Shares)
}

// check returns what the key will open.
func (in GrantKeyInput) check() (targets, error) {
	var f faults
	if in.UserID.IsZero() == in.UserGroupID.IsZero() {
		f.add("userId", "give either a person or a group of people")
	}
	opens := targets{unique(in.DoorIDs), unique(in.DoorGroupIDs), in.SiteID}
	opens.check(&f)
	f.window(in.ValidFrom, in.ValidUntil)
	f.within("uses", in.Uses, 1, maxKeyUses)
	f.within("shares", in.Shares, 0, maxKeyShares)
	return opens, f.err()
}

// exist fails with NOT_FOUND unless the schedule and whoever gets the key are in the organization.
// They are held, so that they still are at the commit.
func (in GrantKeyInput) exist(ctx context.Context, s *Service, tx *ent.Tx) error {
	if err := s.holdSchedule(ctx, tx, WriteKeys, in.ScheduleID); err != nil {
		return err
	}
	if !in.UserGroupID.IsZero() {
		_, err := tx.UserGroup.Query().Where(usergroup.ID(in.UserGroupID)).ForShare().Only(ctx)
		return found(err, "group", "userGroupId")
	}
	_, err := tx.User.Query().Where(user.ID(in.UserID)).ForShare().Only(ctx)
	return found(err, "user", "userId")
}

// holdSchedule fails with NOT_FOUND unless the actor may name the schedule in an action. It then stays
// as it is.
func (s *Service) holdSchedule(
	ctx context.Context, tx *ent.Tx, action Action, id *typeid.Schedule,
) error {
	if id == nil {
		return nil
	}
	visible, err := s.schedulesFor(ctx, action)
	if err != nil {
		return err
	}
	_, err = tx.Schedule.Query().Where(schedule.ID(*id), visible).ForShare().Only(ctx)
	return found(err, "schedule", "scheduleId")
}
