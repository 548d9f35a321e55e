package access_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// quarter is what a change is drawn in: people, doors, groups, keys and schedules of one site.
type quarter struct {
	*bench
	t       *rapid.T
	dice    *rand.Rand // even ones: rapid's prefer small numbers, of which most worlds would be empty
	people  []*ent.User
	doors   []*ent.Door
	crews   []*ent.UserGroup // the second is part of the first
	floors  []*ent.DoorGroup // likewise
	plans   []*ent.Schedule
	keys    []*ent.Key
	instant []time.Time // those that are looked at
}

// TestAChangeDoesWhatWasForetold draws people, doors and all that lies between them, and a change;
// makes the change; and compares what is decided then with what was foretold, and with the impact.
func TestAChangeDoesWhatWasForetold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.now = time.Date(2027, 3, 24, 9, 30, 0, 0, time.UTC) // the clocks are put forward on the 28th
	kinds, turn := map[string][2]int{}, 0
	rapid.Check(t, func(t *rapid.T) {
		q := quarter{bench: b, t: t, dice: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "dice"), 0))}
		q.build()
		for range 2 {
			name := changeKinds[turn%len(changeKinds)]
			turn++
			losing, gaining, made := q.change(name)
			if made {
				kinds[name] = [2]int{kinds[name][0] + losing, kinds[name][1] + gaining}
			}
		}
	})
	lost, gained := 0, 0
	for name, count := range kinds {
		t.Logf("%s: %d lost, %d gained", name, count[0], count[1])
		lost, gained = lost+count[0], gained+count[1]
	}
	if lost < 50 || gained < 10 || len(kinds) != len(changeKinds) {
		t.Errorf("only %d lost and %d gained by %d kinds of changes", lost, gained, len(kinds))
	}
}

// change makes a change, unless it makes no sense, and returns how many lost and gained by it.
func (q *quarter) change(name string) (losing, gaining int, made bool) {
	in, perform := q.draw(name)
	impact, err := q.access.Impact(q.admin, in)
	if refused(err) {
		return 0, 0, false
	}
	before, after, err2 := access.Foretold(q.admin, q.access, in)
	if err := errors.Join(err, err2); err != nil {
		q.t.Fatal(name, err)
	}
	if err := perform(); refused(err) {
		return 0, 0, false
	} else if err != nil {
		q.t.Fatal(name, err)
	}
	now, err := access.Everything(q.admin, q.access, q.clock.now)
	if err != nil {
		q.t.Fatal(err)
	}
	losing, gaining, doors := q.compare(name,
		verdict.Compile(before), verdict.Compile(after), verdict.Compile(now))
	if got, want := [3]int{impact.PeopleLosing, impact.PeopleGaining, impact.DoorsAffected},
		[3]int{losing, gaining, doors}; got != want || impact.IsEstimate {
		q.t.Fatalf("%s: losing, gaining and doors are %v, want %v", name, got, want)
	}
	return losing, gaining, true
}

// refused says that a change makes no sense as things are, such as of what is deleted.
func refused(err error) bool {
	return access.IsCode(err, access.CodeConflict) || access.IsCode(err, access.CodeBadUserInput) ||
		access.IsCode(err, access.CodeNotFound)
}

// build replaces what is in the organization, but for its administrator.
func (q *quarter) build() {
	q.db.Key.Delete().ExecX(q.system)
	q.db.Door.Delete().ExecX(q.system)
	q.db.UserGroup.Update().ClearParentID().ExecX(q.system)
	q.db.UserGroup.Delete().ExecX(q.system)
	q.db.DoorGroup.Update().ClearParentID().ExecX(q.system)
	q.db.DoorGroup.Delete().ExecX(q.system)
	q.db.Schedule.Delete().ExecX(q.system)
	q.db.User.Delete().Where(user.IDNEQ(q.adminID)).ExecX(q.system)
	for i := range 2 {
		q.plans = append(q.plans, q.db.Schedule.Create().SetName(fmt.Sprint("Rounds ", i)).
			SetWindows(q.windows()).SaveX(q.system))
	}
	for i := range 5 {
		u := q.db.User.Create().SetName("Holder")
		if q.chance(10) {
			u.SetStatus(user.StatusSUSPENDED)
		}
		q.people = append(q.people, u.SaveX(q.system))
		if i < 3 {
			q.doors = append(q.doors, q.buildDoor(i))
		}
	}
	for i := range 2 {
		crew, floor := q.db.UserGroup.Create(), q.db.DoorGroup.Create()
		if i == 1 {
			crew.SetParentID(q.crews[0].ID)
			floor.SetParentID(q.floors[0].ID)
		}
		q.crews = append(q.crews, crew.SetName(fmt.Sprint("Crew ", i)).SaveX(q.system))
		q.floors = append(q.floors, floor.SetName(fmt.Sprint("Floor ", i)).SaveX(q.system))
		q.fill(i)
	}
	for range 5 {
		q.keys = append(q.keys, q.buildKey(nil))
	}
	for range 2 {
		q.keys = append(q.keys, q.buildKey(of(q, q.keys)))
	}
	for i := range 40 {
		q.instant = append(q.instant, q.clock.now.Add(time.Duration(i*i)*5*time.Minute))
	}
}

func (q *quarter) chance(percent int) bool { return q.dice.IntN(100) < percent }

// of draws one of several.
func of[T any](q *quarter, some []T) T { return some[q.dice.IntN(len(some))] }

// hour is an hour around now, or none.
func (q *quarter) hour(often int) *time.Time {
	if !q.chance(often) {
		return nil
	}
	hours := q.dice.IntN(231) - 30
	return new(q.clock.now.Truncate(time.Hour).Add(time.Duration(hours) * time.Hour))
}

func (q *quarter) windows() []schema.Window {
	start := q.dice.IntN(21)
	rule := of(q, []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=SA,SU", ""})
	return []schema.Window{{
		Start: fmt.Sprintf("2027-03-20T%02d:00:00", start), Rule: rule,
		End: fmt.Sprintf("2027-03-20T%02d:30:00", start+q.dice.IntN(4)),
	}}
}

func (q *quarter) buildDoor(i int) *ent.Door {
	d := q.db.Door.Create().SetName(fmt.Sprint("Door ", i)).SetSiteID(q.site.ID).
		SetMode(of(q, []door.Mode{"CONTROLLED", "CONTROLLED", "CONTROLLED", "CONTROLLED", "UNLOCKED", "LOCKED"}))
	if q.chance(30) {
		d.SetUnlockScheduleID(of(q, q.plans).ID).
			SetFirstPersonIn(q.chance(20))
	}
	if q.chance(15) {
		d.SetOverrideMode(of(q, []door.OverrideMode{"CONTROLLED", "UNLOCKED", "LOCKED"})).
			SetNillableOverrideUntil(q.hour(80))
	}
	return d.SaveX(q.system)
}

// fill puts people and doors into a group each.
func (q *quarter) fill(i int) {
	for _, u := range q.people {
		if q.chance(60) {
			q.db.UserGroupMember.Create().SetUserGroupID(q.crews[i].ID).SetUserID(u.ID).
				SetNillableValidFrom(q.hour(20)).SetNillableValidUntil(q.hour(20)).
				ExecX(q.system)
		}
	}
	for _, d := range q.doors {
		if q.chance(60) {
			q.db.DoorGroupDoor.Create().SetDoorGroupID(q.floors[i].ID).SetDoorID(d.ID).
				SetNillableValidUntil(q.hour(20)).ExecX(q.system)
		}
	}
}

// buildKey makes a key, for a person if it is a share, and for a person or a group otherwise.
func (q *quarter) buildKey(parent *ent.Key) *ent.Key {
	k := q.db.Key.Create().SetRemote(q.chance(70)).
		SetNillableValidFrom(q.hour(15)).SetNillableValidUntil(q.hour(20))
	if q.chance(40) {
		k.SetScheduleID(of(q, q.plans).ID)
	}
	if q.chance(20) {
		k.SetUses(3).SetUsesLeft(q.dice.IntN(4))
	}
	if q.chance(10) {
		k.SetSuspendedAt(q.clock.now)
	}
	switch {
	case parent != nil:
		k.SetParentID(parent.ID).SetDepth(parent.Depth + 1).SetUserID(of(q, q.people).ID).
			SetSharedByID(of(q, q.people).ID)
	case q.chance(60):
		k.SetUserGroupID(of(q, q.crews).ID)
	default:
		k.SetUserID(of(q, q.people).ID)
	}
	made := k.SaveX(q.system)
	target := func() *ent.KeyTargetCreate {
		return q.db.KeyTarget.Create().SetKeyID(made.ID).SetNillableUserID(made.UserID).
			SetNillableUserGroupID(made.UserGroupID)
	}
	if q.chance(20) {
		target().SetSiteID(q.site.ID).ExecX(q.system)
	}
	if q.chance(50) {
		target().SetDoorGroupID(of(q, q.floors).ID).ExecX(q.system)
	}
	if q.chance(50) {
		target().SetDoorID(of(q, q.doors).ID).ExecX(q.system)
	}
	return made
}

// changeKinds are the changes of an AccessChangeInput.
var changeKinds = []string{
	"revokeKey", "suspendKey", "updateKey", "updateUser", "deleteUser", "deleteUserGroup",
	"updateUserGroup", "removeUserGroupMembers", "deleteDoorGroup", "updateDoorGroup",
	"removeDoorGroupDoors", "updateSchedule", "importSchedule", "updateDoor", "deleteDoor",
}

// draw is a change, and what makes it.
func (q *quarter) draw(name string) (in access.AccessChangeInput, perform func() error) {
	give := map[string]func(){
		"revokeKey": func() {
			in.RevokeKey = &access.RevokeKeyInput{ID: of(q, q.keys).ID}
		},
		"suspendKey": func() {
			in.SuspendKey = &access.SuspendKeyInput{ID: of(q, q.keys).ID}
		},
		"updateKey":  func() { in.UpdateKey = q.keyUpdate() },
		"updateUser": func() { in.UpdateUser = q.userUpdate() },
		"deleteUser": func() {
			in.DeleteUser = &access.DeleteUserInput{ID: of(q, q.people).ID}
		},
		"updateUserGroup": func() {
			in.UpdateUserGroup = &access.UpdateUserGroupInput{ID: q.crews[1].ID}
			if q.chance(50) {
				q.db.UserGroup.Update().ClearParentID().ExecX(q.system)
				in.UpdateUserGroup.ParentID = &q.crews[0].ID
			} else {
				in.UpdateUserGroup.ClearParent = new(true)
			}
		},
		"deleteUserGroup": func() {
			if q.chance(40) {
				q.db.UserGroup.Update().ClearParentID().ExecX(q.system)
			}
			in.DeleteUserGroup = &access.DeleteUserGroupInput{ID: of(q, q.crews).ID}
		},
		"removeUserGroupMembers": func() {
			in.RemoveUserGroupMembers = &access.RemoveUserGroupMembersInput{
				UserGroupID: of(q, q.crews).ID,
				UserIDs:     []typeid.User{of(q, q.people).ID, of(q, q.people).ID},
			}
		},
		"updateDoorGroup": func() {
			in.UpdateDoorGroup = &access.UpdateDoorGroupInput{ID: q.floors[1].ID}
			if q.chance(50) {
				q.db.DoorGroup.Update().ClearParentID().ExecX(q.system)
				in.UpdateDoorGroup.ParentID = &q.floors[0].ID
			} else {
				in.UpdateDoorGroup.ClearParent = new(true)
			}
		},
		"deleteDoorGroup": func() {
			if q.chance(40) {
				q.db.DoorGroup.Update().ClearParentID().ExecX(q.system)
			}
			in.DeleteDoorGroup = &access.DeleteDoorGroupInput{ID: of(q, q.floors).ID}
		},
		"removeDoorGroupDoors": func() {
			in.RemoveDoorGroupDoors = &access.RemoveDoorGroupDoorsInput{
				DoorGroupID: of(q, q.floors).ID,
				DoorIDs:     []typeid.Door{of(q, q.doors).ID},
			}
		},
		"updateSchedule": func() {
			in.UpdateSchedule = &access.UpdateScheduleInput{
				ID: of(q, q.plans).ID, Windows: q.windows(),
			}
		},
		"importSchedule": func() {
			in.ImportSchedule = &access.ImportScheduleInput{
				ScheduleID: &of(q, q.plans).ID, SiteID: q.site.ID,
				Ical: strings.ReplaceAll(importedHours, "\n", "\r\n"),
			}
		},
		"updateDoor": func() { in.UpdateDoor = q.doorUpdate() },
		"deleteDoor": func() {
			in.DeleteDoor = &access.DeleteDoorInput{ID: of(q, q.doors).ID}
		},
	}
	give[name]()
	return in, func() error { return q.perform(in) }
}

const importedHours = `BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Harbour//Hours//EN
BEGIN:VEVENT
UID:hours@example.com
DTSTAMP:20270301T000000Z
DTSTART:20270322T110000
DTEND:20270322T130000
RRULE:FREQ=DAILY
END:VEVENT
END:VCALENDAR
`

func (q *quarter) keyUpdate() *access.UpdateKeyInput {
	in := &access.UpdateKeyInput{
		ID:        of(q, q.keys).ID,
		ValidFrom: q.hour(30), ValidUntil: q.hour(40),
		Remote: of(q, []*bool{nil, new(true), new(false)}),
		Uses:   of(q, []*int{nil, nil, new(1), new(3)}),
	}
	in.ClearValidFrom = in.ValidFrom == nil && q.chance(30)
	in.ClearValidUntil = in.ValidUntil == nil && q.chance(30)
	in.ClearUses = in.Uses == nil && q.chance(30)
	if q.chance(30) {
		in.ScheduleID = &of(q, q.plans).ID
	} else {
		in.ClearSchedule = q.chance(30)
	}
	return in
}

func (q *quarter) userUpdate() *access.UpdateUserInput {
	status := of(q, []user.Status{user.StatusSUSPENDED, user.StatusSUSPENDED, user.StatusACTIVE})
	return &access.UpdateUserInput{ID: of(q, q.people).ID, Status: &status}
}

func (q *quarter) doorUpdate() *access.UpdateDoorInput {
	in := &access.UpdateDoorInput{ID: of(q, q.doors).ID}
	if q.chance(60) {
		in.Mode = new(of(q, []door.Mode{"CONTROLLED", "UNLOCKED", "LOCKED", "DISABLED"}))
	}
	if q.chance(30) {
		in.UnlockScheduleID = &of(q, q.plans).ID
	} else {
		in.ClearUnlockSchedule = q.chance(40)
	}
	in.FirstPersonIn = of(q, []*bool{nil, new(true), new(false)})
	return in
}

func (b *bench) perform(in access.AccessChangeInput) (err error) {
	switch {
	case in.RevokeKey != nil:
		_, err = b.access.RevokeKey(b.admin, *in.RevokeKey)
	case in.SuspendKey != nil:
		_, err = b.access.SuspendKey(b.admin, *in.SuspendKey)
	case in.UpdateKey != nil:
		_, err = b.access.UpdateKey(b.admin, *in.UpdateKey)
	case in.UpdateUser != nil:
		_, err = b.access.UpdateUser(b.admin, *in.UpdateUser)
	case in.DeleteUser != nil:
		_, err = b.access.DeleteUser(b.admin, *in.DeleteUser)
	case in.UpdateUserGroup != nil:
		_, err = b.access.UpdateUserGroup(b.admin, *in.UpdateUserGroup)
	case in.DeleteUserGroup != nil:
		_, err = b.access.DeleteUserGroup(b.admin, *in.DeleteUserGroup)
	case in.RemoveUserGroupMembers != nil:
		_, err = b.access.RemoveUserGroupMembers(b.admin, *in.RemoveUserGroupMembers)
	case in.UpdateDoorGroup != nil:
		_, err = b.access.UpdateDoorGroup(b.admin, *in.UpdateDoorGroup)
	case in.DeleteDoorGroup != nil:
		_, err = b.access.DeleteDoorGroup(b.admin, *in.DeleteDoorGroup)
	case in.RemoveDoorGroupDoors != nil:
		_, err = b.access.RemoveDoorGroupDoors(b.admin, *in.RemoveDoorGroupDoors)
	case in.UpdateSchedule != nil:
		_, err = b.access.UpdateSchedule(b.admin, *in.UpdateSchedule)
	case in.ImportSchedule != nil:
		_, err = b.access.ImportSchedule(b.admin, *in.ImportSchedule)
	case in.UpdateDoor != nil:
		_, err = b.access.UpdateDoor(b.admin, *in.UpdateDoor)
	case in.DeleteDoor != nil:
		_, err = b.access.DeleteDoor(b.admin, *in.DeleteDoor)
	}
	return err
}

// compare checks that what was foretold is so, at some instants and in every manner, and counts who
// loses and gains, by looking at each half hour of the week.
func (q *quarter) compare(name string, was, foretold, is *verdict.Policy) (losing, gaining, doors int) {
	lost, gained := map[typeid.User]bool{}, map[typeid.User]bool{}
	instants := slices.Clone(q.instant)
	half := q.clock.now
	for ; half.Before(q.clock.now.Add(7 * 24 * time.Hour)); half = half.Add(30 * time.Minute) {
		instants = append(instants, half)
	}
	everybody := append([]typeid.User{q.adminID}, idsOf(q.people)...)
	for _, d := range q.doors {
		affected := false
		for _, u := range everybody {
			for _, at := range instants {
				for _, manner := range []verdict.Manner{verdict.Remote, verdict.AtDoor} {
					asked := verdict.Question{Person: u, Door: d.ID, At: at, Manner: manner}
					then, said, now := was.Decide(asked), foretold.Decide(asked), is.Decide(asked)
					if said != now {
						q.t.Fatalf("%s: at %s foretold %+v, is %+v", name, at, said, now)
					}
					if at.Before(half) && then.Granted != now.Granted {
						lost[u], gained[u] = lost[u] || then.Granted, gained[u] || now.Granted
						affected = true
					}
				}
			}
		}
		if affected {
			doors++
		}
	}
	for _, set := range []map[typeid.User]bool{lost, gained} {
		for id, is := range set {
			if !is {
				delete(set, id)
			}
		}
	}
	return len(lost), len(gained), doors
}

func idsOf(people []*ent.User) []typeid.User {
	ids := make([]typeid.User, len(people))
	for i, u := range people {
		ids[i] = u.ID
	}
	return ids
}
