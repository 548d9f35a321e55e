package access_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroupdoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// crowd is people who may open the Gate and the Cellar by being in a group that is part of one with a
// key, and by nothing else.
type crowd struct {
	*bench
	people []typeid.User
	crew   *ent.UserGroup
	floor  *ent.DoorGroup
	plan   *ent.Schedule
	key    *ent.Key
}

func newCrowd(t *testing.T, size int) *crowd {
	t.Helper()
	b := setup(t)
	b.db.Key.Delete().ExecX(b.system)
	c := &crowd{bench: b, crew: b.userGroup("Crew"), floor: b.doorGroup("Floor")}
	c.grow(size)
	for _, d := range []typeid.Door{b.door.ID, b.newDoor("Cellar").ID} {
		b.db.DoorGroupDoor.Create().SetDoorGroupID(c.floor.ID).SetDoorID(d).ExecX(b.admin)
	}
	c.plan = b.db.Schedule.Create().SetName("Always").SetWindows([]schema.Window{
		{Start: "2020-01-01T00:00:00", End: "2020-01-02T00:00:00", Rule: "FREQ=DAILY"},
	}).SaveX(b.admin)
	everyone, house := b.userGroup("Everyone"), b.doorGroup("House")
	b.db.UserGroup.UpdateOne(c.crew).SetParentID(everyone.ID).ExecX(b.admin)
	b.db.DoorGroup.UpdateOne(c.floor).SetParentID(house.ID).ExecX(b.admin)
	c.key = b.groupKey(everyone, house)
	b.db.Key.UpdateOne(c.key).SetScheduleID(c.plan.ID).ExecX(b.admin)
	return c
}

// grow lets more people join.
func (c *crowd) grow(by int) {
	c.t.Helper()
	users := make([]*ent.UserCreate, by)
	for i := range users {
		users[i] = c.db.User.Create().SetName(fmt.Sprintf("Badge %03d", i))
	}
	members := make([]*ent.UserGroupMemberCreate, by)
	for i, u := range c.db.User.CreateBulk(users...).SaveX(c.admin) {
		c.people = append(c.people, u.ID)
		members[i] = c.db.UserGroupMember.Create().SetUserGroupID(c.crew.ID).SetUserID(u.ID)
	}
	c.db.UserGroupMember.CreateBulk(members...).ExecX(c.admin)
}

// analyze has Postgres plan for as many people as there are, rather than for the few of before.
func (c *crowd) analyze() {
	_, err := c.db.ExecContext(c.system, "ANALYZE users, user_group_members")
	must(c.t, err)
}

// changes are those that take the whole crowd's access, at one of the doors at least.
func (c *crowd) changes() map[string]access.AccessChangeInput {
	members := access.RemoveUserGroupMembersInput{UserGroupID: c.crew.ID, UserIDs: c.people}
	doors := access.RemoveDoorGroupDoorsInput{
		DoorGroupID: c.floor.ID, DoorIDs: []typeid.Door{c.door.ID}}
	return map[string]access.AccessChangeInput{
		"revokeKey":  {RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}},
		"suspendKey": {SuspendKey: &access.SuspendKeyInput{ID: c.key.ID}},
		"updateKey": {UpdateKey: &access.UpdateKeyInput{ID: c.key.ID,
			ValidUntil: new(c.clock.Now().Add(6 * 24 * time.Hour))}},
		"updateKey, not remote": {UpdateKey: &access.UpdateKeyInput{ID: c.key.ID, Remote: new(false)}},
		"updateUserGroup": {UpdateUserGroup: &access.UpdateUserGroupInput{ID: c.crew.ID,
			ClearParent: new(true)}},
		"updateDoorGroup": {UpdateDoorGroup: &access.UpdateDoorGroupInput{ID: c.floor.ID,
			ClearParent: new(true)}},
		"deleteUserGroup":        {DeleteUserGroup: &access.DeleteUserGroupInput{ID: c.crew.ID}},
		"removeUserGroupMembers": {RemoveUserGroupMembers: &members},
		"deleteDoorGroup":        {DeleteDoorGroup: &access.DeleteDoorGroupInput{ID: c.floor.ID}},
		"removeDoorGroupDoors":   {RemoveDoorGroupDoors: &doors},
		"updateSchedule": {UpdateSchedule: &access.UpdateScheduleInput{ID: c.plan.ID,
			Windows: []schema.Window{}}},
		"importSchedule": {ImportSchedule: &access.ImportScheduleInput{ScheduleID: &c.plan.ID,
			SiteID: c.site.ID, Ical: strings.ReplaceAll(importedHours, "\n", "\r\n")}},
		"updateDoor": {UpdateDoor: &access.UpdateDoorInput{ID: c.door.ID, Mode: new(door.ModeLOCKED)}},
		"deleteDoor": {DeleteDoor: &access.DeleteDoorInput{ID: c.door.ID}},
	}
}

// confirmedBy is the change with a token, as its mutation takes it.
func confirmedBy(in access.AccessChangeInput, token *string) access.AccessChangeInput {
	switch {
	case in.RevokeKey != nil:
		in.RevokeKey = &access.RevokeKeyInput{ID: in.RevokeKey.ID, ConfirmationToken: token}
	case in.SuspendKey != nil:
		in.SuspendKey = &access.SuspendKeyInput{ID: in.SuspendKey.ID, ConfirmationToken: token}
	case in.UpdateKey != nil:
		in.UpdateKey = new(*in.UpdateKey)
		in.UpdateKey.ConfirmationToken = token
	case in.UpdateUser != nil:
		in.UpdateUser = new(*in.UpdateUser)
		in.UpdateUser.ConfirmationToken = token
	case in.DeleteUser != nil:
		in.DeleteUser = &access.DeleteUserInput{ID: in.DeleteUser.ID, ConfirmationToken: token}
	case in.UpdateUserGroup != nil:
		in.UpdateUserGroup = new(*in.UpdateUserGroup)
		in.UpdateUserGroup.ConfirmationToken = token
	case in.DeleteUserGroup != nil:
		in.DeleteUserGroup = &access.DeleteUserGroupInput{
			ID: in.DeleteUserGroup.ID, ConfirmationToken: token}
	case in.RemoveUserGroupMembers != nil:
		in.RemoveUserGroupMembers = new(*in.RemoveUserGroupMembers)
		in.RemoveUserGroupMembers.ConfirmationToken = token
	case in.UpdateDoorGroup != nil:
		in.UpdateDoorGroup = new(*in.UpdateDoorGroup)
		in.UpdateDoorGroup.ConfirmationToken = token
	case in.DeleteDoorGroup != nil:
		in.DeleteDoorGroup = &access.DeleteDoorGroupInput{
			ID: in.DeleteDoorGroup.ID, ConfirmationToken: token}
	case in.RemoveDoorGroupDoors != nil:
		in.RemoveDoorGroupDoors = new(*in.RemoveDoorGroupDoors)
		in.RemoveDoorGroupDoors.ConfirmationToken = token
	case in.UpdateSchedule != nil:
		in.UpdateSchedule = new(*in.UpdateSchedule)
		in.UpdateSchedule.ConfirmationToken = token
	case in.ImportSchedule != nil:
		in.ImportSchedule = new(*in.ImportSchedule)
		in.ImportSchedule.ConfirmationToken = token
	case in.UpdateDoor != nil:
		in.UpdateDoor = new(*in.UpdateDoor)
		in.UpdateDoor.ConfirmationToken = token
	case in.DeleteDoor != nil:
		in.DeleteDoor = &access.DeleteDoorInput{ID: in.DeleteDoor.ID, ConfirmationToken: token}
	}
	return in
}

// Each change by which 51 people lose access has to be confirmed, and one by which 50 do has not.
func TestChangesThatHaveToBeConfirmed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{50, 51} {
		c := newCrowd(t, size)
		for name, in := range c.changes() {
			i, err := c.access.Impact(c.admin, in)
			must(t, err)
			if i.PeopleLosing != size || i.PeopleGaining != 0 || i.IsEstimate || i.DoorsAffected == 0 {
				t.Errorf("%s of %d: %+v", name, size, i)
			}
			if (i.ConfirmationToken != nil) != (size > 50) || (i.ExpiresAt != nil) != (size > 50) {
				t.Errorf("%s of %d: token %v until %v", name, size, i.ConfirmationToken, i.ExpiresAt)
			}
		}
	}
	for name := range newCrowd(t, 51).changes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			few := newCrowd(t, 50)
			must(t, few.perform(few.changes()[name]))
			many := newCrowd(t, 51)
			before := many.head()
			in := many.changes()[name]
			wantRefused(t, many.perform(in), "removes access for 51 people: ask")
			if many.head() != before {
				t.Error("something was recorded")
			}
			i, err := many.access.Impact(many.admin, in)
			must(t, err)
			must(t, many.perform(confirmedBy(in, i.ConfirmationToken)))
		})
	}
}

func wantRefused(t *testing.T, err error, begin string) {
	t.Helper()
	var refusal access.Error
	if !errors.As(err, &refusal) || refusal.Code != access.CodeConfirmationRequired ||
		refusal.Field != "confirmationToken" || !strings.HasPrefix(refusal.Message, begin) {
		t.Errorf("got %v, want %q", err, begin)
	}
}

// A token confirms one change by one actor, for a while, and no bigger loss than was shown.
func TestAConfirmationIsForWhatWasShown(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 60)
	revoke := access.AccessChangeInput{RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}}
	suspend := access.AccessChangeInput{SuspendKey: &access.SuspendKeyInput{ID: c.key.ID}}
	shown := func(by context.Context, in access.AccessChangeInput) *string {
		i, err := c.access.Impact(by, in)
		must(t, err)
		return i.ConfirmationToken
	}
	before := c.head()
	other := actor.NewContext(t.Context(), actor.User(c.org, c.memberID, actor.RoleAdmin))
	forged := []byte(*shown(c.admin, revoke))
	forged[20] ^= 1
	const not = "removes access for 60 people, and the token is not for this change"
	for name, token := range map[string]*string{
		"forged": new(string(forged)), "of another change": shown(c.admin, suspend),
		"of another actor": shown(other, revoke), "none": new(""),
		"of a token of theirs": shown(actor.NewContext(t.Context(), actor.Token(c.org,
			typeid.New[typeid.APIToken](), c.adminID, actor.RoleAdmin)), revoke),
	} {
		t.Log(name)
		wantRefused(t, c.perform(confirmedBy(revoke, token)), not)
	}
	late := shown(c.admin, revoke)
	c.clock.Advance(10 * time.Minute)
	wantRefused(t, c.perform(confirmedBy(revoke, late)),
		"removes access for 60 people, and the token has expired")
	token := shown(c.admin, revoke)
	c.grow(1)
	wantRefused(t, c.perform(confirmedBy(revoke, token)),
		"removes access for 61 people, more than were confirmed")
	if c.head() != before {
		t.Error("something was recorded")
	}
	c.db.User.DeleteOneID(c.people[0]).ExecX(c.admin)
	c.db.User.DeleteOneID(c.people[1]).ExecX(c.admin)
	c.clock.Advance(10*time.Minute - time.Millisecond)
	must(t, c.perform(confirmedBy(revoke, token)))
}

// Who has another way loses nothing, however many hold the key.
func TestImpactCountsWhoHasNoOtherWay(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 60)
	c.grantKey(access.GrantKeyInput{UserGroupID: c.crew.ID, SiteID: &c.site.ID})
	revoke := access.AccessChangeInput{RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}}
	i, err := c.access.Impact(c.admin, revoke)
	must(t, err)
	if *i != (access.AccessImpact{}) {
		t.Errorf("got %+v", i)
	}
	must(t, c.perform(revoke))
}

// Doors that are alike are decided for once, and those that are not are told apart.
func TestImpactTellsDoorsApart(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 3)
	doors := func(in access.AccessChangeInput) int {
		i, err := c.access.Impact(c.admin, in)
		must(t, err)
		return i.DoorsAffected
	}
	revoke := access.AccessChangeInput{RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}}
	if got := doors(revoke); got != 2 {
		t.Errorf("%d doors, want 2", got)
	}
	if got := doors(c.changes()["updateDoor"]); got != 1 {
		t.Errorf("by a mode: %d doors, want 1", got)
	}
	for _, mode := range []door.Mode{door.ModeLOCKED, door.ModeCONTROLLED} {
		c.db.Door.UpdateOne(c.door).SetMode(mode).ExecX(c.admin)
		want := map[door.Mode]int{door.ModeLOCKED: 1, door.ModeCONTROLLED: 2}[mode]
		if got := doors(revoke); got != want {
			t.Errorf("%s: %d doors, want %d", mode, got, want)
		}
	}
	c.db.DoorGroupDoor.Update().Where(doorgroupdoor.DoorID(c.door.ID)).
		SetValidUntil(c.clock.Now()).ExecX(c.admin)
	if got := doors(revoke); got != 1 {
		t.Errorf("with a door that left: %d doors, want 1", got)
	}
}

// Of 51 who hold the key, 50 lose something: that is not too many.
func TestWhoHasAnotherWayIsNotCountedForConfirmation(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 51)
	c.grantKey(access.GrantKeyInput{UserID: c.people[0], SiteID: &c.site.ID})
	must(t, c.perform(access.AccessChangeInput{RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}}))
}

// One person is never many, but what many have from them is.
func TestOnePersonsSharesAreConfirmed(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 51)
	own := c.grantKey(access.GrantKeyInput{UserID: c.memberID, DoorIDs: []typeid.Door{c.door.ID}})
	for _, id := range c.people[:50] {
		k := c.db.Key.Create().SetUserID(id).SetParentID(own.ID).SetDepth(1).SetSharedByID(c.memberID).
			SaveX(c.admin)
		c.db.KeyTarget.Create().SetKeyID(k.ID).SetUserID(id).SetDoorID(c.door.ID).ExecX(c.admin)
	}
	c.db.Key.DeleteOneID(c.key.ID).ExecX(c.admin)
	wantRefused(t, c.perform(access.AccessChangeInput{
		DeleteUser: &access.DeleteUserInput{ID: c.memberID}}), "removes access for 51 people")
	wantRefused(t, c.perform(access.AccessChangeInput{UpdateUser: &access.UpdateUserInput{
		ID: c.memberID, Status: new(user.StatusSUSPENDED)}}), "removes access for 51 people")
	_, err := c.access.RevokeKey(c.member, access.RevokeKeyInput{ID: own.ID})
	wantCode(t, err, access.CodeForbidden) // and is not told of how many
	// Sweeps and the like are not asked.
	_, err = c.access.RevokeKey(c.system, access.RevokeKeyInput{ID: own.ID})
	must(t, err)
}

// Of more people than are looked at, as many are drawn, always the same.
func TestImpactOfVeryManyIsEstimated(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, 2000)
	c.analyze()
	revoke := access.AccessChangeInput{RevokeKey: &access.RevokeKeyInput{ID: c.key.ID}}
	exact, err := c.access.Impact(c.admin, revoke)
	must(t, err)
	if exact.PeopleLosing != 2000 || exact.IsEstimate {
		t.Errorf("got %+v", exact)
	}
	c.grow(2000)
	c.analyze()
	c.grantKey(access.GrantKeyInput{UserID: c.people[0], SiteID: &c.site.ID})
	first, err := c.access.Impact(c.admin, revoke)
	must(t, err)
	if first.PeopleLosing < 3990 || first.PeopleLosing > 4000 || !first.IsEstimate ||
		first.DoorsAffected != 2 {
		t.Errorf("got %+v", first)
	}
	again, err := c.access.Impact(c.admin, revoke)
	must(t, err)
	if again.PeopleLosing != first.PeopleLosing {
		t.Errorf("got %d, then %d", first.PeopleLosing, again.PeopleLosing)
	}
	must(t, c.perform(confirmedBy(revoke, again.ConfirmationToken)))
}
