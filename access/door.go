package access

import (
	"context"
	"errors"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxPort is the largest port number of a device.
const maxPort = 64

// CreateDoorInput describes a new door.
type CreateDoorInput struct {
	SiteID          typeid.Site
	Name            string
	Mode            *door.Mode // nil: CONTROLLED
	RelockSeconds   *int       // 1 to 255; nil: 5
	HeldOpenSeconds *int       // 1 to 3600; nil: 30
}

// CreateDoorPayload holds the new door.
type CreateDoorPayload struct{ Door *ent.Door }

// CreateDoor makes a door. Its lock state and position are UNKNOWN until a device reports.
func (s *Service) CreateDoor(ctx context.Context, in CreateDoorInput) (*CreateDoorPayload, error) {
	at, err := sitesAt(ctx, WriteDoors)
	if err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.timings(in.RelockSeconds, in.HeldOpenSeconds)
	if err := f.err(); err != nil {
		return nil, err
	}
	var d *ent.Door
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if _, err := tx.Site.Query().Where(site.ID(in.SiteID), at).ForShare().Only(ctx); err != nil {
			return nil, found(err, "site", "siteId")
		}
		d, err = tx.Door.Create().SetSiteID(in.SiteID).SetName(in.Name).SetNillableMode(in.Mode).
			SetNillableEffectiveMode((*door.EffectiveMode)(in.Mode)).
			SetNillableRelockSeconds(in.RelockSeconds).
			SetNillableHeldOpenSeconds(in.HeldOpenSeconds).Save(ctx)
		if err != nil {
			return nil, err
		}
		joined, err := s.joinLockdowns(ctx, tx, d)
		return append([]journal.Event{{Type: "door.created", Site: d.SiteID, Door: d.ID}}, joined...), err
	})
	if err != nil {
		return nil, err
	}
	return &CreateDoorPayload{d}, nil
}

// UpdateDoorInput changes what it holds and leaves the rest.
type UpdateDoorInput struct {
	ID              typeid.Door
	Name            *string
	Mode            *door.Mode
	RelockSeconds   *int
	HeldOpenSeconds *int
	// UnlockScheduleID is when the door stands unlocked.
	UnlockScheduleID    *typeid.Schedule
	ClearUnlockSchedule bool
	// FirstPersonIn lets each window of the unlock schedule wait until somebody was let in.
	FirstPersonIn     *bool
	ConfirmationToken *string `json:"-"`
}

// UpdateDoorPayload holds the door as it is now.
type UpdateDoorPayload struct{ Door *ent.Door }

// UpdateDoor changes a door, and tells its device.
func (s *Service) UpdateDoor(ctx context.Context, in UpdateDoorInput) (*UpdateDoorPayload, error) {
	if err := Authorize(ctx, WriteDoors); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var d *ent.Door
	err := s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		if err := s.inReach(ctx, tx.Client(), in); err != nil {
			return nil, err
		}
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		d, events, err = s.updateDoor(ctx, tx, in)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	s.configure(ctx, d.DeviceID)
	return &UpdateDoorPayload{d}, nil
}

func (s *Service) updateDoor(
	ctx context.Context, tx *ent.Tx, in UpdateDoorInput,
) (*ent.Door, []journal.Event, error) {
	if in.UnlockScheduleID != nil {
		_, err := tx.Schedule.Query().Where(schedule.ID(*in.UnlockScheduleID)).ForShare().Only(ctx)
		if err != nil {
			return nil, nil, found(err, "schedule", "unlockScheduleId")
		}
	}
	at, err := doorsAt(ctx, WriteDoors)
	if err != nil {
		return nil, nil, err
	}
	before, err := tx.Door.Query().Where(door.ID(in.ID), at, forChange).Only(ctx)
	if err != nil {
		return nil, nil, found(err, "door", "id")
	}
	update := tx.Door.UpdateOneID(in.ID).SetNillableName(in.Name).SetNillableMode(in.Mode).
		SetNillableRelockSeconds(in.RelockSeconds).SetNillableHeldOpenSeconds(in.HeldOpenSeconds).
		SetNillableUnlockScheduleID(in.UnlockScheduleID).SetNillableFirstPersonIn(in.FirstPersonIn)
	if in.ClearUnlockSchedule {
		update.ClearUnlockScheduleID()
	}
	change := changed(update.Mutation())
	after, err := update.Save(ctx)
	if err != nil {
		return nil, nil, err
	}
	events := []journal.Event{
		{Type: "door.updated", Site: after.SiteID, Door: after.ID, Data: change},
	}
	if orZero(before.UnlockScheduleID) != orZero(after.UnlockScheduleID) {
		events = append(events, leaveSchedule(before, after)...)
	}
	modes, err := s.settleModes(ctx, tx, []*ent.Door{after})
	return after, append(events, modes...), err
}

// leaveSchedule ends a window in which a door stands unlocked by a schedule that it no longer has.
func leaveSchedule(before, after *ent.Door) []journal.Event {
	if before.EffectiveCause != schema.ModeCauseSchedule {
		return nil
	}
	after.EffectiveCause = schema.ModeCauseStanding
	return []journal.Event{{Type: "schedule.ended", Site: before.SiteID, Door: before.ID,
		Data: data("scheduleId", before.UnlockScheduleID)}}
}

// DeleteDoorInput names a door.
type DeleteDoorInput struct {
	ID                typeid.Door
	ConfirmationToken *string `json:"-"`
}

// DeleteDoorPayload names the door that was.
type DeleteDoorPayload struct{ DeletedID typeid.Door }

// DeleteDoor deletes a door with its commands; the journal keeps what happened at it.
func (s *Service) DeleteDoor(ctx context.Context, in DeleteDoorInput) (*DeleteDoorPayload, error) {
	at, err := doorsAt(ctx, WriteDoors)
	if err != nil {
		return nil, err
	}
	var d *ent.Door
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.inReach(ctx, tx.Client(), in); err != nil {
			return nil, err
		}
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if d, err = tx.Door.Query().Where(door.ID(in.ID), at).ForUpdate().Only(ctx); err != nil {
			return nil, found(err, "door", "id")
		}
		if err := tx.Door.DeleteOne(d).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "door.deleted", Site: d.SiteID, Door: d.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	s.configure(ctx, d.DeviceID)
	return &DeleteDoorPayload{in.ID}, nil
}

// BindDoorInput says which port of which device drives a door.
type BindDoorInput struct {
	DoorID   typeid.Door
	DeviceID typeid.Device
	Port     int // from 1
}

// BindDoorPayload holds the door as it is now.
type BindDoorPayload struct{ Door *ent.Door }

// BindDoor binds a door to a port of a device of the same site, in place of what it was bound to,
// and tells both devices. What was known of the lock is UNKNOWN until the device reports.
func (s *Service) BindDoor(ctx context.Context, in BindDoorInput) (*BindDoorPayload, error) {
	at, err := doorsAt(ctx, WriteDoors)
	if err != nil {
		return nil, err
	}
	devices, err := devicesAt(ctx, WriteDoors)
	if err != nil {
		return nil, err
	}
	var f faults
	f.within("port", &in.Port, 1, maxPort)
	if err := f.err(); err != nil {
		return nil, err
	}
	var before, after *ent.Door
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		dev, err := tx.Device.Query().Where(device.ID(in.DeviceID), devices).ForShare().Only(ctx)
		if err != nil {
			return nil, found(err, "device", "deviceId")
		}
		before, err = tx.Door.Query().Where(door.ID(in.DoorID), at, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "door", "doorId")
		}
		if dev.SiteID != before.SiteID {
			return nil, Error{CodeBadUserInput, "the device is at another site", "deviceId"}
		}
		after, err = tx.Door.UpdateOne(before).SetDeviceID(dev.ID).SetDevicePort(in.Port).
			SetConnectivity(dev.Connectivity).SetLockState(door.LockStateUNKNOWN).
			SetPosition(door.PositionUNKNOWN).ClearObservedAt().ClearToldMode().Save(ctx)
		if err != nil {
			return nil, err
		}
		if err := unapply(ctx, tx, door.ID(after.ID)); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "door.bound", Site: after.SiteID, Door: after.ID,
			Device: dev.ID, Data: data("port", in.Port)}}, nil
	})
	if err != nil {
		return nil, err
	}
	s.configure(ctx, before.DeviceID)
	s.configure(ctx, after.DeviceID)
	return &BindDoorPayload{after}, nil
}

// configure tells a door's device, if it has one, what its doors are now, and says whether it may
// have got to it. A device that cannot be told now learns it when it next links.
func (s *Service) configure(ctx context.Context, id *typeid.Device) bool {
	if id == nil {
		return false
	}
	err := s.devices.Configure(ctx, *id)
	if err != nil && !errors.Is(err, ErrDeviceOffline) {
		s.log.WarnContext(ctx, "device not told of its doors", "device", id, "error", err)
	}
	return err == nil
}

func (f *faults) timings(relockSeconds, heldOpenSeconds *int) {
	f.within("relockSeconds", relockSeconds, 1, 255)
	f.within("heldOpenSeconds", heldOpenSeconds, 1, 3600)
}
