package access_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

func (b *bench) userGroup(name string) *ent.UserGroup {
	b.t.Helper()
	p, err := b.access.CreateUserGroup(b.admin, access.CreateUserGroupInput{Name: name})
	must(b.t, err)
	return p.UserGroup
}

func (b *bench) doorGroup(name string) *ent.DoorGroup {
	b.t.Helper()
	p, err := b.access.CreateDoorGroup(b.admin, access.CreateDoorGroupInput{Name: name})
	must(b.t, err)
	return p.DoorGroup
}

// groupKey is a key of a group of people for a group of doors.
func (b *bench) groupKey(g *ent.UserGroup, doors *ent.DoorGroup) *ent.Key {
	b.t.Helper()
	k := b.db.Key.Create().SetUserGroupID(g.ID).SaveX(b.admin)
	b.db.KeyTarget.Create().SetKeyID(k.ID).SetUserGroupID(g.ID).SetDoorGroupID(doors.ID).ExecX(b.admin)
	return k
}

// in is an instant as the database keeps it.
func (b *bench) in(d time.Duration) time.Time {
	return b.clock.Now().Add(d).Truncate(time.Microsecond)
}

func (b *bench) join(g *ent.UserGroup, from, until *time.Time) {
	b.t.Helper()
	_, err := b.access.AddUserGroupMembers(b.admin, access.AddUserGroupMembersInput{
		UserGroupID: g.ID, UserIDs: []typeid.User{b.memberID}, ValidFrom: from, ValidUntil: until})
	must(b.t, err)
}

func (b *bench) gather(g *ent.DoorGroup, until *time.Time) {
	b.t.Helper()
	_, err := b.access.AddDoorGroupDoors(b.admin, access.AddDoorGroupDoorsInput{
		DoorGroupID: g.ID, DoorIDs: []typeid.Door{b.door.ID}, ValidUntil: until})
	must(b.t, err)
}

// opens checks what comes of the member's unlock, and whether they see the door.
func (b *bench) opens(when string, want bool) {
	b.t.Helper()
	c := b.unlock(b.member)
	if got := c.Stage == command.StageCREATED; got != want {
		b.t.Errorf("%s: stage %s, reason %v", when, c.Stage, c.Reason)
	}
	visible, err := b.access.VisibleDoors(b.member)
	must(b.t, err)
	if seen := b.db.Door.Query().Where(visible).CountX(b.member) == 1; seen != want {
		b.t.Errorf("%s: the door is seen: %t", when, seen)
	}
}

// Every change of groups counts from its commit on.
func TestGroupsCountAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	staff, outside := b.userGroup("Staff"), b.doorGroup("Outside")
	b.groupKey(staff, outside)
	b.gather(outside, nil)
	b.opens("not a member", false)
	b.join(staff, nil, nil)
	b.opens("a member", true)
	people := access.RemoveUserGroupMembersInput{UserGroupID: staff.ID, UserIDs: []typeid.User{b.memberID}}
	_, err := b.access.RemoveUserGroupMembers(b.admin, people)
	must(t, err)
	b.opens("removed", false)

	soon, later := b.in(time.Hour), b.in(2*time.Hour)
	b.join(staff, &soon, &later)
	b.opens("before the window", false)
	b.clock.Advance(time.Hour)
	b.opens("in the window", true)
	b.clock.Advance(time.Hour)
	b.opens("after the window", false)
	b.join(staff, nil, nil)
	b.opens("another window", true)

	doors := access.RemoveDoorGroupDoorsInput{DoorGroupID: outside.ID, DoorIDs: []typeid.Door{b.door.ID}}
	_, err = b.access.RemoveDoorGroupDoors(b.admin, doors)
	must(t, err)
	b.opens("the door left", false)
	later = b.in(time.Hour)
	b.gather(outside, &later)
	b.opens("the door is back", true)
	b.clock.Advance(time.Hour)
	b.opens("the door's window is past", false)

	part := b.doorGroup("Gates")
	b.gather(part, nil)
	b.opens("a group without a key", false)
	_, err = b.access.UpdateDoorGroup(b.admin,
		access.UpdateDoorGroupInput{ID: part.ID, ParentID: &outside.ID})
	must(t, err)
	b.opens("a part of the group", true)
	yes := true
	_, err = b.access.UpdateDoorGroup(b.admin, access.UpdateDoorGroupInput{ID: part.ID, ClearParent: &yes})
	must(t, err)
	b.opens("no part of it any more", false)
	b.gather(outside, nil)

	_, err = b.access.RemoveUserGroupMembers(b.admin, people)
	must(t, err)
	night := b.userGroup("Night shift")
	b.join(night, nil, nil)
	b.opens("in another group", false)
	_, err = b.access.UpdateUserGroup(b.admin,
		access.UpdateUserGroupInput{ID: night.ID, ParentID: &staff.ID})
	must(t, err)
	b.opens("in a part of the group", true)
	_, err = b.access.UpdateUserGroup(b.admin, access.UpdateUserGroupInput{ID: night.ID, ClearParent: &yes})
	must(t, err)
	b.opens("not in a part any more", false)

	b.join(staff, nil, nil)
	_, err = b.access.DeleteDoorGroup(b.admin, access.DeleteDoorGroupInput{ID: outside.ID})
	must(t, err)
	b.opens("the group of doors is gone", false)
	inside := b.doorGroup("Inside")
	b.gather(inside, nil)
	b.groupKey(staff, inside)
	b.opens("another one", true)
	_, err = b.access.DeleteUserGroup(b.admin, access.DeleteUserGroupInput{ID: staff.ID})
	must(t, err)
	b.opens("the group of people is gone", false)
}

// The keys of a group go with it, and the journal says so.
func TestDeletedGroupRevokesItsKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	staff, outside := b.userGroup("Staff"), b.doorGroup("Outside")
	b.gather(outside, nil)
	past := b.in(-time.Hour)
	key, revoked, expired := b.groupKey(staff, outside), b.groupKey(staff, outside), b.groupKey(staff, outside)
	b.db.Key.UpdateOne(revoked).SetRevokedAt(past).ExecX(b.admin)
	b.db.Key.UpdateOne(expired).SetValidUntil(past).ExecX(b.admin)
	b.db.Key.Create().SetUserID(b.memberID).SetParentID(key.ID).SetDepth(1).
		SetSharedByID(b.adminID).ExecX(b.admin)
	before := b.head()
	_, err := b.access.DeleteUserGroup(b.admin, access.DeleteUserGroupInput{ID: staff.ID})
	must(t, err)
	want := []string{"key.revoked", "key.revoked", "user_group.deleted"}
	if got := b.events(before); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	if left := b.db.Key.Query().CountX(b.admin); left != 1 {
		t.Errorf("%d keys are left", left)
	}
}

// Two changes at once, on two nodes, cannot build two levels.
func TestGroupsNestOneLevelOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	second := access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(t)})
	for round := range 10 {
		name := string(rune('A' + round))
		upper, middle, lower := b.userGroup(name+" upper"), b.userGroup(name+" middle"),
			b.userGroup(name+" lower")
		var group sync.WaitGroup
		errs := make([]error, 3)
		group.Go(func() {
			_, errs[0] = b.access.UpdateUserGroup(b.admin,
				access.UpdateUserGroupInput{ID: middle.ID, ParentID: &upper.ID})
		})
		group.Go(func() {
			_, errs[1] = second.UpdateUserGroup(b.admin,
				access.UpdateUserGroupInput{ID: lower.ID, ParentID: &middle.ID})
		})
		group.Go(func() {
			_, errs[2] = second.CreateUserGroup(b.admin,
				access.CreateUserGroupInput{Name: name + " new", ParentID: &lower.ID})
		})
		group.Wait()
		for _, err := range errs {
			if err != nil && !access.IsCode(err, access.CodeConflict) {
				t.Fatal(err)
			}
		}
		parts := b.db.UserGroup.Query().Where(usergroup.ParentIDNotNil()).AllX(b.admin)
		for _, g := range parts {
			if b.db.UserGroup.GetX(b.admin, *g.ParentID).ParentID != nil {
				t.Fatalf("round %d: two levels: %v", round, errs)
			}
		}
		if errors.Join(errs...) == nil {
			t.Errorf("round %d: nothing was refused", round)
		}
	}
}

// TestLeftIsLeft races unlocks against a removal: what was created after the removal's commit is
// refused, by the numbers of the journal.
func TestLeftIsLeft(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bench, *ent.UserGroup, *ent.DoorGroup) error{
		"member removed": func(b *bench, g *ent.UserGroup, _ *ent.DoorGroup) error {
			_, err := b.access.RemoveUserGroupMembers(b.admin, access.RemoveUserGroupMembersInput{
				UserGroupID: g.ID, UserIDs: []typeid.User{b.memberID}})
			return err
		},
		"door removed": func(b *bench, _ *ent.UserGroup, g *ent.DoorGroup) error {
			_, err := b.access.RemoveDoorGroupDoors(b.admin, access.RemoveDoorGroupDoorsInput{
				DoorGroupID: g.ID, DoorIDs: []typeid.Door{b.door.ID}})
			return err
		},
		"people deleted": func(b *bench, g *ent.UserGroup, _ *ent.DoorGroup) error {
			_, err := b.access.DeleteUserGroup(b.admin, access.DeleteUserGroupInput{ID: g.ID})
			return err
		},
		"doors deleted": func(b *bench, _ *ent.UserGroup, g *ent.DoorGroup) error {
			_, err := b.access.DeleteDoorGroup(b.admin, access.DeleteDoorGroupInput{ID: g.ID})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			staff, outside := b.userGroup("Staff"), b.doorGroup("Outside")
			b.groupKey(staff, outside)
			b.gather(outside, nil)
			b.join(staff, nil, nil)
			before := b.head()
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					for range 8 {
						b.unlock(b.member)
					}
				})
			}
			group.Go(func() { must(t, change(b, staff, outside)) })
			group.Wait()
			types := b.events(before)
			cut := slices.IndexFunc(types, func(kind string) bool {
				return kind == "user_group.member_removed" || kind == "door_group.door_removed" ||
					kind == "user_group.deleted" || kind == "door_group.deleted"
			})
			if cut < 0 || slices.Contains(types[cut:], "access.granted") {
				t.Errorf("events %v", types)
			}
			b.opens("in the end", false)
		})
	}
}

// Five hundred people join in a handful of statements; that they are already there is not told.
func TestManyJoinAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	staff := b.userGroup("Staff")
	people := make([]*ent.UserCreate, 500)
	for i := range people {
		people[i] = b.db.User.Create().SetName("Night shift")
	}
	var ids []typeid.User
	for _, u := range b.db.User.CreateBulk(people...).SaveX(b.admin) {
		ids = append(ids, u.ID)
	}
	in := access.AddUserGroupMembersInput{UserGroupID: staff.ID, UserIDs: ids}
	before := b.head()
	start := time.Now()
	_, err := b.access.AddUserGroupMembers(b.admin, in)
	must(t, err)
	t.Logf("500 people joined in %s", time.Since(start))
	if got := b.head() - before; got != 500 {
		t.Errorf("%d events", got)
	}
	_, err = b.access.AddUserGroupMembers(b.admin, in)
	must(t, err)
	if got := b.head() - before; got != 500 {
		t.Errorf("%d events after they joined again", got)
	}
	_, err = b.access.RemoveUserGroupMembers(b.admin,
		access.RemoveUserGroupMembersInput{UserGroupID: staff.ID, UserIDs: ids})
	must(t, err)
	if got := b.head() - before; got != 1000 {
		t.Errorf("%d events after they left", got)
	}
}
