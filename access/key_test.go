package access_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

func (b *bench) grantKey(in access.GrantKeyInput) *ent.Key {
	b.t.Helper()
	p, err := b.access.GrantKey(b.admin, in)
	must(b.t, err)
	return p.Key
}

func (b *bench) share(ctx context.Context, in access.ShareKeyInput) *access.ShareKeyPayload {
	b.t.Helper()
	if in.Recipient == "" {
		in.Recipient = "guest@example.com"
	}
	p, err := b.access.ShareKey(ctx, in)
	must(b.t, err)
	return p
}

// redeem takes a shared key, and returns its holder.
func (b *bench) redeem(link string) (context.Context, *access.Redeemed) {
	b.t.Helper()
	r, err := b.access.RedeemLink(b.t.Context(), secretOf(link))
	must(b.t, err)
	by, err := b.access.Authenticate(b.t.Context(), r.Secret)
	must(b.t, err)
	return actor.NewContext(b.t.Context(), by), r
}

func secretOf(link string) string { return link[len(access.LinkPath):] }

// outcome is how an unlock ended, or that it is on its way.
func outcome(c *ent.Command) string {
	if c.Reason == nil {
		return string(c.Stage)
	}
	return string(c.Stage) + " " + string(*c.Reason)
}

func (b *bench) newGroup(members ...typeid.User) *ent.UserGroup {
	b.t.Helper()
	g := b.db.UserGroup.Create().SetName("Night shift").SaveX(b.system)
	for _, id := range members {
		b.db.UserGroupMember.Create().SetUserGroupID(g.ID).SetUserID(id).SaveX(b.system)
	}
	return g
}

func (b *bench) newDoorGroup(doors ...*ent.Door) *ent.DoorGroup {
	b.t.Helper()
	g := b.db.DoorGroup.Create().SetName("Ground floor").SaveX(b.system)
	for _, d := range doors {
		b.db.DoorGroupDoor.Create().SetDoorGroupID(g.ID).SetDoorID(d.ID).SaveX(b.system)
	}
	return g
}

func TestKeyOfAGroupForAGroup(t *testing.T) {
	t.Parallel()
	b := setup(t)
	doors, people := b.newDoorGroup(b.door), b.newGroup(b.memberID)
	k := b.grantKey(access.GrantKeyInput{
		UserGroupID: people.ID, DoorGroupIDs: []typeid.DoorGroup{doors.ID, doors.ID}})
	if got := outcome(b.unlock(b.member)); got != "CREATED" {
		t.Fatalf("a member: %s", got)
	}
	visible, err := b.access.VisibleKeys(b.member)
	must(t, err)
	if b.db.Key.Query().Where(visible).OnlyX(b.member).ID != k.ID {
		t.Error("a member does not see the group's key")
	}
	b.db.UserGroupMember.Delete().ExecX(b.system)
	if got := outcome(b.unlock(b.member)); got != "REJECTED NO_GRANT" {
		t.Errorf("who left the group: %s", got)
	}
}

func TestGrantRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	from := b.clock.Now()
	for name, c := range map[string]struct {
		in     access.GrantKeyInput
		faults []string
	}{
		"everything": {
			access.GrantKeyInput{ValidFrom: &from, ValidUntil: &from, Uses: new(0), Shares: new(1001)},
			[]string{"userId", "doorIds", "validUntil", "uses", "shares"},
		},
		"both holders": {access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID,
			UserGroupID: typeid.New[typeid.UserGroup]()}, []string{"userId"}},
		"too many": {access.GrantKeyInput{UserID: b.memberID, DoorIDs: some(201, typeid.New[typeid.Door]),
			DoorGroupIDs: some(51, typeid.New[typeid.DoorGroup]), Uses: new(10_001)},
			[]string{"doorIds", "doorGroupIds", "uses"}},
		"no group": {access.GrantKeyInput{UserID: b.memberID,
			DoorGroupIDs: some(1, typeid.New[typeid.DoorGroup])}, []string{"doorGroupIds"}},
		"no schedule": {access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID,
			ScheduleID: new(typeid.New[typeid.Schedule]())}, []string{"scheduleId"}},
		"nobody": {access.GrantKeyInput{UserGroupID: typeid.New[typeid.UserGroup](),
			SiteID: &b.site.ID}, []string{"userGroupId"}},
	} {
		before := b.head()
		_, err := b.access.GrantKey(b.admin, c.in)
		if got := fieldsOf(err); !slices.Equal(got, c.faults) {
			t.Errorf("%s: faults of %v, want %v (%v)", name, got, c.faults, err)
		}
		if b.head() != before {
			t.Errorf("%s: something was recorded", name)
		}
	}
}

func some[K any](n int, fresh func() K) []K {
	ids := make([]K, n)
	for i := range ids {
		ids[i] = fresh()
	}
	return ids
}

// fieldsOf are the fields of an input that an error blames.
func fieldsOf(err error) (fields []string) {
	var all access.Errors
	var one access.Error
	switch {
	case errors.As(err, &all):
		for _, fault := range all {
			fields = append(fields, fault.Field)
		}
	case errors.As(err, &one):
		fields = append(fields, one.Field)
	}
	return fields
}

// The largest key is one event, however long its lists are.
func TestLargestKeyIsOneEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := access.GrantKeyInput{UserGroupID: b.newGroup().ID, SiteID: &b.site.ID}
	for i := range 200 {
		d := b.db.Door.Create().SetSiteID(b.site.ID).SetName(string(rune('a' + i))).SaveX(b.system)
		in.DoorIDs = append(in.DoorIDs, d.ID)
	}
	for i := range 50 {
		g := b.db.DoorGroup.Create().SetName(string(rune('a' + i))).SaveX(b.system)
		in.DoorGroupIDs = append(in.DoorGroupIDs, g.ID)
	}
	b.grantKey(in)
}

func TestUpdateKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	start := b.clock.Now().Truncate(time.Second)
	end := start.Add(time.Hour)
	plan := b.db.Schedule.Create().SetName("Never").SetWindows([]schema.Window{}).SaveX(b.system)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Uses: new(3)})
	b.unlock(b.member)
	update := func(in access.UpdateKeyInput) *ent.Key {
		t.Helper()
		in.ID = k.ID
		p, err := b.access.UpdateKey(b.admin, in)
		must(t, err)
		return p.Key
	}
	if k := update(access.UpdateKeyInput{Uses: new(5)}); *k.Uses != 5 || *k.UsesLeft != 4 {
		t.Errorf("of 5 uses, %d are left", *k.UsesLeft)
	}
	if k := update(access.UpdateKeyInput{Uses: new(1)}); *k.UsesLeft != 0 {
		t.Errorf("of 1 use, %d are left", *k.UsesLeft)
	}
	if got := outcome(b.unlock(b.member)); got != "REJECTED KEY_USED_UP" {
		t.Errorf("used up: %s", got)
	}
	before := b.head()
	got := update(access.UpdateKeyInput{ClearUses: true, ScheduleID: &plan.ID, ValidUntil: &end,
		Remote: new(false), Shares: new(2)})
	if got.Uses != nil || got.UsesLeft != nil || *got.ScheduleID != plan.ID || got.Remote ||
		got.SharesLeft != 2 {
		t.Errorf("got %v", got)
	}
	last := b.lastEvent()
	if want := `{"changed": ["remote", "schedule_id", "shares_left", "uses", "uses_left", ` +
		`"valid_until"]}`; last.Type != "key.updated" || string(last.Data) != want || last.Seq != before+1 {
		t.Errorf("event %s %s", last.Type, last.Data)
	}
	if got := outcome(b.unlock(b.member)); got != "REJECTED OUTSIDE_SCHEDULE" {
		t.Errorf("with the schedule: %s", got)
	}
	update(access.UpdateKeyInput{ClearSchedule: true})
	if got := outcome(b.unlock(b.member)); got != "REJECTED REMOTE_DISABLED" {
		t.Errorf("at the door only: %s", got)
	}
	update(access.UpdateKeyInput{Remote: new(true)})
	if got := outcome(b.unlock(b.member)); got != "CREATED" {
		t.Errorf("free again: %s", got)
	}
	for name, in := range map[string]access.UpdateKeyInput{
		"validUntil": {ID: k.ID, ValidFrom: &end},
		"validFrom":  {ID: k.ID, ValidFrom: &start, ClearValidFrom: true},
		"scheduleId": {ID: k.ID, ScheduleID: new(typeid.New[typeid.Schedule]())},
		"uses":       {ID: k.ID, Uses: new(0)},
	} {
		_, err := b.access.UpdateKey(b.admin, in)
		if got := fieldsOf(err); !slices.Equal(got, []string{name}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (b *bench) lastEvent() *ent.Event {
	b.t.Helper()
	return b.db.Event.Query().Order(ent.Desc("seq")).FirstX(b.system)
}

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Uses: new(2)})
	waiting := b.unlock(b.member)
	before := b.head()
	_, err := b.access.SuspendKey(b.admin, access.SuspendKeyInput{ID: k.ID})
	must(t, err)
	if got := outcome(b.db.Command.GetX(b.system, waiting.ID)); got != "CANCELLED KEY_SUSPENDED" {
		t.Errorf("on its way: %s", got)
	}
	if got := *b.db.Key.GetX(b.system, k.ID).UsesLeft; got != 2 {
		t.Errorf("%d uses left", got)
	}
	if got := outcome(b.unlock(b.member)); got != "REJECTED KEY_SUSPENDED" {
		t.Errorf("suspended: %s", got)
	}
	_, err = b.access.SuspendKey(b.admin, access.SuspendKeyInput{ID: k.ID})
	must(t, err)
	for range 2 {
		_, err = b.access.ResumeKey(b.admin, access.ResumeKeyInput{ID: k.ID})
		must(t, err)
	}
	if got := outcome(b.unlock(b.member)); got != "CREATED" {
		t.Errorf("resumed: %s", got)
	}
	want := []string{"key.suspended", "command.cancelled", "key.use_returned", "access.denied",
		"command.rejected", "key.resumed", "access.granted", "command.created"}
	if got := b.events(before); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	_, err = b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: k.ID})
	must(t, err)
	_, err = b.access.ResumeKey(b.admin, access.ResumeKeyInput{ID: k.ID})
	wantCode(t, err, access.CodeConflict)
}

// What is on its way to a device may have happened: its use is not given back.
func TestCancelledAfterDispatchKeepsTheUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Uses: new(1)})
	c := b.unlock(b.member)
	must(t, b.access.RecordDispatched(b.system, c.ID, b.clock.Now()))
	_, err := b.access.SuspendKey(b.admin, access.SuspendKeyInput{ID: k.ID})
	must(t, err)
	if c = b.db.Command.GetX(b.system, c.ID); c.Stage != command.StageCANCELLED {
		t.Errorf("stage %s", c.Stage)
	}
	if got := *b.db.Key.GetX(b.system, k.ID).UsesLeft; got != 0 {
		t.Errorf("%d uses left", got)
	}
}
