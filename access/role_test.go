package access_test

import (
	"context"
	"slices"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/managedsite"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// group makes a group of doors.
func (e *estate) group(doors ...*ent.Door) typeid.DoorGroup {
	e.t.Helper()
	made, err := e.access.CreateDoorGroup(e.admin, access.CreateDoorGroupInput{Name: e.name("Doors")})
	must(e.t, err)
	if len(doors) > 0 {
		in := access.AddDoorGroupDoorsInput{DoorGroupID: made.DoorGroup.ID}
		for _, d := range doors {
			in.DoorIDs = append(in.DoorIDs, d.ID)
		}
		_, err = e.access.AddDoorGroupDoors(e.admin, in)
		must(e.t, err)
	}
	return made.DoorGroup.ID
}

// TestManagersStayAtTheirSites: a manager does nothing elsewhere, by whatever way, and not to what
// reaches elsewhere.
func TestManagersStayAtTheirSites(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	m, o := e.somebody(actor.RoleManager)
	grant := func(in access.GrantKeyInput) func() error {
		in.UserID = e.memberID
		return func() error {
			_, err := e.access.GrantKey(m, in)
			return err
		}
	}
	mixed, err := e.access.GrantKey(e.admin, access.GrantKeyInput{UserID: e.memberID,
		DoorIDs: []typeid.Door{e.here.door.ID, e.there.door.ID}})
	must(t, err)
	must(t, e.seesKey(m, mixed.Key.ID))
	yardToo, err := e.access.GrantKey(e.admin, access.GrantKeyInput{UserID: e.memberID,
		DoorIDs: []typeid.Door{e.here.door.ID}, SiteID: &e.there.site.ID})
	must(t, err)
	reason, mode := "a fire drill", door.ModeUNLOCKED
	both, err := e.access.CreateLockdownPlan(e.admin, access.CreateLockdownPlanInput{
		Name: "Both", SiteIDs: []typeid.Site{e.here.site.ID, e.there.site.ID}})
	must(t, err)
	must(t, e.seesPlan(m, both.LockdownPlan.ID))
	onlyHere, mixedGroup, empty := e.group(e.here.door), e.group(e.here.door, e.there.door), e.group()
	must(t, grant(access.GrantKeyInput{DoorGroupIDs: []typeid.DoorGroup{onlyHere}})())
	must(t, grant(access.GrantKeyInput{SiteID: &e.here.site.ID, ScheduleID: &e.other.schedule.ID})())
	for name, c := range map[string]struct {
		code access.Code
		try  func() error
	}{
		"key for a group with a door elsewhere": {access.CodeNotFound,
			grant(access.GrantKeyInput{DoorGroupIDs: []typeid.DoorGroup{mixedGroup}})},
		"key for a group without doors": {access.CodeNotFound,
			grant(access.GrantKeyInput{DoorGroupIDs: []typeid.DoorGroup{empty}})},
		"key for a site elsewhere": {access.CodeNotFound,
			grant(access.GrantKeyInput{SiteID: &e.there.site.ID})},
		"key for a door that is theirs to open": {access.CodeNotFound,
			grant(access.GrantKeyInput{DoorIDs: []typeid.Door{o.door.ID}})},
		"change of a key that opens more": {access.CodeForbidden, func() error {
			remote := false
			_, err := e.access.UpdateKey(m, access.UpdateKeyInput{ID: mixed.Key.ID, Remote: &remote})
			return err
		}},
		"end of a key that opens more": {access.CodeForbidden, func() error {
			_, err := e.access.RevokeKey(m, access.RevokeKeyInput{ID: mixed.Key.ID})
			return err
		}},
		"end of a key that opens another site too": {access.CodeForbidden, func() error {
			_, err := e.access.RevokeKey(m, access.RevokeKeyInput{ID: yardToo.Key.ID})
			return err
		}},
		"what its end would do": {access.CodeForbidden, func() error {
			_, err := e.access.Impact(m, access.AccessChangeInput{
				RevokeKey: &access.RevokeKeyInput{ID: mixed.Key.ID}})
			return err
		}},
		"suspension of a key elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.SuspendKey(m, access.SuspendKeyInput{ID: e.there.key.ID})
			return err
		}},
		"change of a door that is theirs to open": {access.CodeNotFound, func() error {
			_, err := e.access.UpdateDoor(m, access.UpdateDoorInput{ID: o.door.ID, Mode: &mode})
			return err
		}},
		"what that would do": {access.CodeNotFound, func() error {
			_, err := e.access.Impact(m, access.AccessChangeInput{
				UpdateDoor: &access.UpdateDoorInput{ID: o.door.ID, Mode: &mode}})
			return err
		}},
		"end of a door elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.DeleteDoor(m, access.DeleteDoorInput{ID: e.there.door.ID})
			return err
		}},
		"door at a site elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.CreateDoor(m, access.CreateDoorInput{SiteID: e.there.site.ID, Name: "Hatch"})
			return err
		}},
		"binding to a device elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.BindDoor(m, access.BindDoorInput{DoorID: e.here.door.ID,
				DeviceID: e.there.device.ID, Port: 1})
			return err
		}},
		"end of a device elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.RemoveDevice(m, access.RemoveDeviceInput{ID: e.there.device.ID})
			return err
		}},
		"end of an area elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.DeleteArea(m, access.DeleteAreaInput{ID: e.there.area.ID})
			return err
		}},
		"change of an area elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.UpdateArea(m, access.UpdateAreaInput{ID: e.there.area.ID})
			return err
		}},
		"where a door elsewhere leads": {access.CodeNotFound, func() error {
			_, err := e.access.SetDoorAreas(m, access.SetDoorAreasInput{DoorID: e.there.door.ID})
			return err
		}},
		"unlock by right elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.UnlockDoor(m,
				access.UnlockDoorInput{DoorID: o.door.ID, OperatorReason: &reason})
			return err
		}},
		"credential presented elsewhere": {access.CodeNotFound, func() error {
			pin := "123456"
			_, err := e.access.PresentCredential(m, access.PresentCredentialInput{
				DoorID: e.there.door.ID, Credential: access.PresentedCredentialInput{PIN: &pin}})
			return err
		}},
		"presence elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.RecordPresence(m, access.RecordPresenceInput{
				AreaID: e.there.area.ID, UserID: e.memberID, State: "IN"})
			return err
		}},
		"who can open a door elsewhere": {access.CodeNotFound, func() error {
			_, _, err := e.access.WhoCanOpen(m, o.door.ID, nil, typeid.User{}, 10)
			return err
		}},
		"offline list elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.OfflineList(m, e.there.device.ID, e.clock.Now())
			return err
		}},
		"visit elsewhere": {access.CodeNotFound, func() error {
			_, err := e.access.CancelVisit(m, access.CancelVisitInput{VisitID: e.there.visit.ID})
			return err
		}},
		"lockdown that closes more": {access.CodeForbidden, func() error {
			return e.trigger(m, both.LockdownPlan)
		}},
		"role of their own": {access.CodeForbidden, func() error {
			role := actor.RoleAdmin
			_, err := e.access.UpdateUser(m, access.UpdateUserInput{ID: o.user, Role: &role})
			return err
		}},
	} {
		if err := c.try(); !access.IsCode(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	doors, err := e.access.DoorsFor(m, e.memberID, nil, typeid.Door{}, 100)
	must(t, err)
	for _, found := range doors.Found {
		if found.Door.SiteID != e.here.site.ID {
			t.Errorf("told of %s, which another person may open elsewhere", found.Door.Name)
		}
	}
	if len(doors.Found) == 0 {
		t.Error("told of no door at all")
	}
}

// TestLockdownsOfManagers: who sees a lockdown for a door of theirs is not told of its other doors.
func TestLockdownsOfManagers(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	m, _ := e.somebody(actor.RoleManager)
	plan, err := e.access.CreateLockdownPlan(e.admin, access.CreateLockdownPlanInput{
		Name: "Both", DoorIDs: []typeid.Door{e.here.door.ID, e.there.door.ID}})
	must(t, err)
	made, err := e.access.TriggerLockdown(e.admin,
		access.TriggerLockdownInput{PlanID: plan.LockdownPlan.ID})
	must(t, err)
	visible, err := e.access.VisibleLockdownDoors(m)
	must(t, err)
	seen := e.db.LockdownDoor.Query().Where(visible).AllX(m)
	if len(seen) != 1 || seen[0].DoorID != e.here.door.ID {
		t.Errorf("sees %v", seen)
	}
	if all := e.db.LockdownDoor.Query().Where(lockdowndoor.LockdownID(made.Lockdown.ID)).CountX(m); all != 2 {
		t.Errorf("%d doors are closed", all)
	}
	_, err = e.access.ReleaseLockdown(m, access.ReleaseLockdownInput{LockdownID: made.Lockdown.ID})
	wantCode(t, err, access.CodeForbidden)
}

func TestOnlyOwnersChangeOwners(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	admin, me := e.somebody(actor.RoleAdmin)
	owner, member, name := actor.RoleOwner, actor.RoleMember, "Landlord"
	suspended, address := user.StatusSUSPENDED, "mine@example.com"
	update := func(ctx context.Context, in access.UpdateUserInput) error {
		_, err := e.access.UpdateUser(ctx, in)
		return err
	}
	token, err := e.access.CreateAPIToken(e.admin, access.CreateAPITokenInput{Name: "phone"})
	must(t, err)
	for what, err := range map[string]error{
		"name":      update(admin, access.UpdateUserInput{ID: e.adminID, Name: &name}),
		"address":   update(admin, access.UpdateUserInput{ID: e.adminID, Email: &address}),
		"role":      update(admin, access.UpdateUserInput{ID: e.adminID, Role: &member}),
		"status":    update(admin, access.UpdateUserInput{ID: e.adminID, Status: &suspended}),
		"promotion": update(admin, access.UpdateUserInput{ID: me.user, Role: &owner}),
		"end": func() error {
			_, err := e.access.DeleteUser(admin, access.DeleteUserInput{ID: e.adminID})
			return err
		}(),
		"foretold end": func() error {
			_, err := e.access.Impact(admin, access.AccessChangeInput{
				DeleteUser: &access.DeleteUserInput{ID: e.adminID}})
			return err
		}(),
		"token": func() error {
			_, err := e.access.CreateAPIToken(admin,
				access.CreateAPITokenInput{Name: "x", UserID: &e.adminID})
			return err
		}(),
		"other secret": func() error {
			_, err := e.access.RotateAPIToken(admin, access.RotateAPITokenInput{ID: token.Token.ID})
			return err
		}(),
	} {
		if !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("an administrator changes an owner's %s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"role":   update(e.admin, access.UpdateUserInput{ID: e.adminID, Role: &member}),
		"status": update(e.admin, access.UpdateUserInput{ID: e.adminID, Status: &suspended}),
		"end": func() error {
			_, err := e.access.DeleteUser(e.admin, access.DeleteUserInput{ID: e.adminID})
			return err
		}(),
	} {
		if !access.IsCode(err, access.CodeConflict) {
			t.Errorf("the last owner's %s: %v", what, err)
		}
	}
	must(t, update(e.admin, access.UpdateUserInput{ID: me.user, Role: &owner}))
	must(t, update(e.admin, access.UpdateUserInput{ID: e.adminID, Role: &member}))
}

func TestManagedSites(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	_, o := e.somebody(actor.RoleManager)
	manages := func() int {
		return e.db.ManagedSite.Query().Where(managedsite.UserID(o.user)).CountX(e.system)
	}
	told := func() int {
		return e.db.Event.Query().Where(event.Type("user.role_changed")).CountX(e.system)
	}
	manager, member := actor.RoleManager, actor.RoleMember
	here, both := []typeid.Site{e.here.site.ID}, []typeid.Site{e.here.site.ID, e.there.site.ID}
	for name, in := range map[string]access.UpdateUserInput{
		"a member with sites":      {ID: e.memberID, SiteIDs: here},
		"a role without sites":     {ID: o.user, Role: &member, SiteIDs: here},
		"a manager without sites":  {ID: e.memberID, Role: &manager},
		"a manager of many, twice": {ID: o.user, SiteIDs: slices.Repeat(here, 201)},
	} {
		if _, err := e.access.UpdateUser(e.admin, in); !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := e.access.UpdateUser(e.admin, access.UpdateUserInput{ID: o.user,
		SiteIDs: []typeid.Site{e.here.site.ID, typeid.New[typeid.Site]()}})
	wantCode(t, err, access.CodeNotFound)
	for _, c := range []struct {
		in            access.UpdateUserInput
		manages, told int
	}{
		{access.UpdateUserInput{SiteIDs: here}, 1, 0}, // as they are
		{access.UpdateUserInput{SiteIDs: both}, 2, 1},
		{access.UpdateUserInput{}, 2, 1},
		{access.UpdateUserInput{Role: &member}, 0, 2},
		{access.UpdateUserInput{Role: &manager, SiteIDs: both}, 2, 3},
		{access.UpdateUserInput{SiteIDs: []typeid.Site{}}, 0, 4},
	} {
		c.in.ID = o.user
		_, err := e.access.UpdateUser(e.admin, c.in)
		must(t, err)
		if manages() != c.manages || told() != c.told {
			t.Fatalf("%+v: manages %d, told %d times", c, manages(), told())
		}
	}
	empty, err := e.access.CreateSite(e.admin, access.CreateSiteInput{Name: "Annexe", TimeZone: "UTC"})
	must(t, err)
	_, err = e.access.UpdateUser(e.admin,
		access.UpdateUserInput{ID: o.user, SiteIDs: []typeid.Site{empty.Site.ID}})
	must(t, err)
	_, err = e.access.DeleteSite(e.admin, access.DeleteSiteInput{ID: empty.Site.ID})
	must(t, err)
	if manages() != 0 {
		t.Error("manages a site that is gone")
	}
}
