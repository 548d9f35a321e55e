package access

import (
	"maps"
	"slices"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// What changes of doors, their groups and schedules bear on, and what they do to facts.

func (UpdateDoorInput) right() Action { return WriteDoors }

func (in UpdateDoorInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	f.timings(in.RelockSeconds, in.HeldOpenSeconds)
	f.notBoth("unlockScheduleId", in.UnlockScheduleID != nil, in.ClearUnlockSchedule)
	return f.err()
}

func (in UpdateDoorInput) bearing() bearing {
	b := bearing{names: []subject{named("door", "doors", "id", in.ID)}, gives: true}
	if in.UnlockScheduleID != nil {
		b.names = append(b.names,
			named("schedule", "schedules", "unlockScheduleId", *in.UnlockScheduleID))
	}
	if in.Mode == nil && in.FirstPersonIn == nil &&
		in.UnlockScheduleID == nil && !in.ClearUnlockSchedule {
		return b
	}
	b.keys, b.people, b.doors = keysToDoor, everybodyAt, itself
	if orZero(in.Mode) == door.ModeUNLOCKED || in.UnlockScheduleID != nil {
		b.people = everybody
	}
	return b
}

func (in UpdateDoorInput) apply(f *verdict.Facts) {
	f.Doors = slices.Clone(f.Doors)
	for i := range f.Doors {
		d := &f.Doors[i]
		if d.ID != in.ID {
			continue
		}
		d.Mode = *set(&d.Mode, in.Mode, false)
		d.UnlockSchedule = orZero(set(&d.UnlockSchedule, in.UnlockScheduleID, in.ClearUnlockSchedule))
		d.FirstPersonIn = *set(&d.FirstPersonIn, in.FirstPersonIn, false)
	}
}

func (DeleteDoorInput) right() Action { return WriteDoors }
func (DeleteDoorInput) check() error  { return nil }

func (in DeleteDoorInput) bearing() bearing {
	return bearing{names: []subject{named("door", "doors", "id", in.ID)},
		keys: keysToDoor, people: everybodyAt, doors: itself}
}

func (in DeleteDoorInput) apply(f *verdict.Facts) {
	f.Doors = slices.DeleteFunc(slices.Clone(f.Doors),
		func(d verdict.Door) bool { return d.ID == in.ID })
	f.GroupDoors = slices.DeleteFunc(slices.Clone(f.GroupDoors),
		func(m verdict.GroupDoor) bool { return m.Door == in.ID })
	f.Keys = slices.Clone(f.Keys)
	for i, k := range f.Keys {
		f.Keys[i].Doors = but(k.Doors, in.ID)
	}
}

func (DeleteDoorGroupInput) right() Action { return WriteGroups }
func (DeleteDoorGroupInput) check() error  { return nil }

func (in DeleteDoorGroupInput) bearing() bearing {
	return bearing{names: []subject{named("group", "door_groups", "id", in.ID)},
		keys: keysToGroup, doors: doorsOfGroup}
}

func (in DeleteDoorGroupInput) apply(f *verdict.Facts) {
	f.GroupDoors = slices.DeleteFunc(slices.Clone(f.GroupDoors),
		func(m verdict.GroupDoor) bool { return m.Group == in.ID })
	f.Keys = slices.Clone(f.Keys)
	for i, k := range f.Keys {
		f.Keys[i].DoorGroups = but(k.DoorGroups, in.ID)
	}
	f.DoorParents = maps.Clone(f.DoorParents)
	delete(f.DoorParents, in.ID)
}

func (UpdateDoorGroupInput) right() Action { return WriteGroups }

func (in UpdateDoorGroupInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	f.parent(in.ParentID != nil, in.ParentID != nil && *in.ParentID == in.ID, orZero(in.ClearParent))
	return f.err()
}

func (in UpdateDoorGroupInput) bearing() bearing {
	b := bearing{names: []subject{named("group", "door_groups", "id", in.ID)}, gives: true}
	if in.ParentID != nil {
		b.names = append(b.names, named("group", "door_groups", "parentId", *in.ParentID))
		b.joins = []string{text(*in.ParentID)}
		b.listed = pq.Array(b.joins)
	} else if !orZero(in.ClearParent) {
		return b
	}
	b.keys, b.doors = keysToGroup+` OR `+keysToWhole, doorsOfGroup
	return b
}

func (in UpdateDoorGroupInput) apply(f *verdict.Facts) {
	f.DoorParents = maps.Clone(f.DoorParents)
	switch {
	case in.ParentID != nil:
		f.DoorParents[in.ID] = *in.ParentID
	case orZero(in.ClearParent):
		delete(f.DoorParents, in.ID)
	}
}

func (RemoveDoorGroupDoorsInput) right() Action { return WriteGroups }

func (in RemoveDoorGroupDoorsInput) check() error {
	_, f := distinct("doorIds", in.DoorIDs)
	return f.err()
}

func (in RemoveDoorGroupDoorsInput) bearing() bearing {
	return bearing{
		names: []subject{
			named("group", "door_groups", "doorGroupId", in.DoorGroupID),
			listed("door", "doors", "doorIds", in.DoorIDs),
		},
		listed: pq.Array(in.DoorIDs),
		keys:   keysToGroup,
		doors:  doorsOfGroup + ` AND m.door_id = ANY ($3)`,
	}
}

func (in RemoveDoorGroupDoorsInput) apply(f *verdict.Facts) {
	leaves := make(map[typeid.Door]bool, len(in.DoorIDs))
	for _, id := range in.DoorIDs {
		leaves[id] = true
	}
	f.GroupDoors = slices.DeleteFunc(slices.Clone(f.GroupDoors), func(m verdict.GroupDoor) bool {
		return m.Group == in.DoorGroupID && leaves[m.Door]
	})
}

func (UpdateScheduleInput) right() Action { return WriteSchedules }

func (in UpdateScheduleInput) check() error {
	var f faults
	f.optionalText("name", in.Name, 200)
	f.schedule("", schedule.CheckWindows(in.Windows))
	return f.err()
}

func (in UpdateScheduleInput) bearing() bearing {
	b := bearing{names: []subject{named("schedule", "schedules", "id", in.ID)}, gives: true}
	if in.Windows != nil {
		b.keys, b.opens, b.doors = keysBySchedule, keysBySchedule, doorsBySchedule
		b.people = everybody + ` AND EXISTS (` + doorsBySchedule + `)`
		b.schedule, b.windows = in.ID, in.Windows
	}
	return b
}

// apply does nothing: facts do not hold the windows of schedules.
func (UpdateScheduleInput) apply(*verdict.Facts) {}

// but is a list of identifiers without one of them.
func but[K comparable](ids []K, id K) []K {
	return slices.DeleteFunc(slices.Clone(ids), func(other K) bool { return other == id })
}
