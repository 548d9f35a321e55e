package verdict

import (
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/typeid"
)

// Facts is what a policy is compiled from: all that bears on some people and some doors. An instant
// that is zero does not bound.
type Facts struct {
	People  []Person
	Doors   []Door
	Keys    []Key
	Members []Member
	// UserParents and DoorParents lead from a group to the one that it is part of.
	UserParents map[typeid.UserGroup]typeid.UserGroup
	DoorParents map[typeid.DoorGroup]typeid.DoorGroup
	GroupDoors  []GroupDoor
	Areas       []Area
	Presences   []Presence
	// Timetables are schedules as they run at sites. One that is missing is never open.
	Timetables map[Timing]*schedule.Timetable
}

// Timing is a schedule at a site.
type Timing struct {
	Schedule typeid.Schedule
	Site     typeid.Site
}

// Person is who walks through doors.
type Person struct {
	ID        typeid.User
	Suspended bool
}

// Door is a door with what was set, not what is in force.
type Door struct {
	ID             typeid.Door
	Site           typeid.Site
	Mode           door.Mode // the standing one
	Override       door.Mode // "" for none
	OverrideUntil  time.Time
	UnlockSchedule typeid.Schedule
	FirstPersonIn  bool
	FirstInAt      time.Time
	Lockdown       bool
	LockdownUntil  time.Time // when the last of its lockdowns is released by itself
	Into, OutOf    typeid.Area
}

// Key is a key with what it opens and whose it is. One without a holder is a share that nobody has
// redeemed: it opens nothing.
type Key struct {
	ID          typeid.Key
	User        typeid.User
	Group       typeid.UserGroup
	Doors       []typeid.Door
	DoorGroups  []typeid.DoorGroup
	Sites       []typeid.Site
	From, Until time.Time
	Schedule    typeid.Schedule
	Limited     bool // UsesLeft counts
	Uses        int  // how many there were; nothing is decided by it
	UsesLeft    int
	AtDoorOnly  bool // opens nothing from afar
	Suspended   bool
	Revoked     bool
	// Parent is the key that it was shared from, and SharedBy who did it. It opens what both still
	// open.
	Parent   typeid.Key
	SharedBy typeid.User
}

// Member is a person of a group, for a time.
type Member struct {
	Group       typeid.UserGroup
	User        typeid.User
	From, Until time.Time
}

// GroupDoor is a door of a group, for a time.
type GroupDoor struct {
	Group       typeid.DoorGroup
	Door        typeid.Door
	From, Until time.Time
}

// Area is a space with rules.
type Area struct {
	ID           typeid.Area
	Limit        int // 0: none
	LimitMode    area.LimitMode
	AntiPassback area.AntiPassback
	Count        int // of people who are in
}

// Presence is where a person was last seen to be. None: nobody knows, and either way is free.
type Presence struct {
	Area  typeid.Area
	User  typeid.User
	State presence.State
}

// Credential is what was presented; the zero value is in order.
type Credential struct {
	From, Until  time.Time
	Suspended    bool
	Revoked      bool
	BlockedUntil time.Time
}
