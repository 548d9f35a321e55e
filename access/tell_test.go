package access_test

import (
	"context"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// dying is a node that dies after each commit: it tells no device of it.
func (b *bench) dying() *access.Service {
	return access.New(access.Config{DB: b.db, Now: b.clock.Now, Log: testenv.Logger(b.t)})
}

func (b *bench) toldMode() string {
	b.t.Helper()
	mode := b.db.Door.GetX(b.system, b.door.ID).ToldMode
	if mode == nil {
		return ""
	}
	return string(*mode)
}

// tell lets a sweep tell devices, and returns how many it told.
func (b *bench) tell() int {
	b.t.Helper()
	n, err := b.access.TellDevices(context.Background())
	must(b.t, err)
	return n
}

// TestDevicesOfDeadNodesAreTold: a node turned a mode, and died before it told the device.
func TestDevicesOfDeadNodesAreTold(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]struct {
		by   func(*bench, *access.Service)
		want string
	}{
		"standing mode": {func(b *bench, s *access.Service) {
			_, err := s.UpdateDoor(b.admin,
				access.UpdateDoorInput{ID: b.door.ID, Mode: new(door.ModeLOCKED)})
			must(b.t, err)
		}, "LOCKED"},
		"override that ends": {func(b *bench, s *access.Service) {
			b.override(door.OverrideModeUNLOCKED, 60)
			wantEqual(b.t, "told of the override", b.toldMode(), "UNLOCKED")
			b.clock.Advance(time.Minute)
			_, err := s.TurnModes(context.Background())
			must(b.t, err)
		}, "CONTROLLED"},
		"lockdown": {func(b *bench, s *access.Service) {
			_, err := s.TriggerLockdown(b.admin, access.TriggerLockdownInput{PlanID: b.plan(nil).ID})
			must(b.t, err)
		}, "LOCKDOWN"},
		"release": {func(b *bench, s *access.Service) {
			l := b.trigger(b.admin, b.plan(nil))
			wantEqual(b.t, "told of the lockdown", b.toldMode(), "LOCKDOWN")
			_, err := s.ReleaseLockdown(b.admin, access.ReleaseLockdownInput{LockdownID: l.ID})
			must(b.t, err)
		}, "CONTROLLED"},
		"another device": {func(b *bench, s *access.Service) {
			wantEqual(b.t, "told", b.toldMode(), "CONTROLLED")
			_, err := s.BindDoor(b.admin,
				access.BindDoorInput{DoorID: b.door.ID, DeviceID: b.dev.ID, Port: 2})
			must(b.t, err)
		}, "CONTROLLED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.link()
			wantEqual(t, "before", b.tell(), 0)
			turn.by(b, b.dying())
			if b.toldMode() == turn.want {
				t.Fatal("the device was told")
			}
			before := b.head()
			wantEqual(t, "told", b.tell(), 1)
			wantEqual(t, "told", b.toldMode(), turn.want)
			wantEqual(t, "again", b.tell(), 0)
			wantEqual(t, "head", b.head(), before)
		})
	}
}

// TestWhoIsOfflineIsNotTold: their welcome tells them.
func TestWhoIsOfflineIsNotTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.dying().UpdateDoor(b.admin,
		access.UpdateDoorInput{ID: b.door.ID, Mode: new(door.ModeLOCKED)})
	must(t, err)
	wantEqual(t, "offline", b.tell(), 0)
	b.link()
	b.hardware.fail(access.ErrDeviceOffline)
	b.tell()
	wantEqual(t, "told", b.toldMode(), "CONTROLLED")
}

// TestOverlappingLockdownIsTold: the device is in lockdown already, and is told of the second one too.
func TestOverlappingLockdownIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	b.trigger(b.admin, b.plan(nil))
	p := b.plan(func(in *access.CreateLockdownPlanInput) { in.Name = "Close the gate" })
	second, err := b.dying().TriggerLockdown(b.admin, access.TriggerLockdownInput{PlanID: p.ID})
	must(t, err)
	outcome := func() lockdowndoor.Outcome {
		return b.db.LockdownDoor.Query().
			Where(lockdowndoor.LockdownID(second.Lockdown.ID)).OnlyX(b.system).Outcome
	}
	wantEqual(t, "before", outcome(), lockdowndoor.OutcomeUNREACHED)
	wantEqual(t, "told", b.tell(), 1)
	wantEqual(t, "after", outcome(), lockdowndoor.OutcomeAPPLIED)
}

// TestTriggeredAgainTellsAgain: whoever saw no answer asks again, and gets what they asked for.
func TestTriggeredAgainTellsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	p := b.plan(nil)
	_, err := b.dying().TriggerLockdown(b.admin, access.TriggerLockdownInput{PlanID: p.ID})
	must(t, err)
	wantEqual(t, "before", b.outcome(b.door), lockdowndoor.OutcomeUNREACHED)
	before := b.head()
	b.trigger(b.admin, p)
	wantEqual(t, "again", b.outcome(b.door), lockdowndoor.OutcomeAPPLIED)
	wantEqual(t, "head", b.head(), before)
}

// TestDevicesThatDoNotReadHoldUpNobody: more of them than are told at once.
func TestDevicesThatDoNotReadHoldUpNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = 70
	devices, doors := make([]*ent.DeviceCreate, many), make([]*ent.DoorCreate, many)
	stuck := map[typeid.Device]bool{}
	for i := range many {
		id := typeid.New[typeid.Device]()
		stuck[id] = true
		devices[i] = b.db.Device.Create().SetID(id).SetSiteID(b.site.ID).SetName(id.String()).
			SetConnectivity(schema.ConnectivityOnline)
		doors[i] = b.db.Door.Create().SetSiteID(b.site.ID).SetName(id.String()).SetDeviceID(id).
			SetDevicePort(1).SetConnectivity(schema.ConnectivityOnline)
	}
	b.db.Device.CreateBulk(devices...).ExecX(b.system)
	b.db.Door.CreateBulk(doors...).ExecX(b.system)
	release := b.hardware.ignore(stuck) // the gate's device is offline as far as is known, and comes last
	defer release()
	b.trigger(b.admin, b.plan(nil))
	wantEqual(t, "the gate", b.outcome(b.door), lockdowndoor.OutcomeAPPLIED)
	unreached := b.db.LockdownDoor.Query().
		Where(lockdowndoor.OutcomeEQ(lockdowndoor.OutcomeUNREACHED)).CountX(b.system)
	wantEqual(t, "unreached", unreached, many)
}

// TestDeletedDoorLeavesItsLockdown: nobody waits for it, and the rest goes on.
func TestDeletedDoorLeavesItsLockdown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	shed := b.newDoor("Shed")
	p := b.plan(func(in *access.CreateLockdownPlanInput) {
		in.SiteIDs, in.DoorIDs = nil, []typeid.Door{b.door.ID, shed.ID}
	})
	l := b.trigger(b.admin, p)
	_, err := b.access.DeleteDoor(b.admin, access.DeleteDoorInput{ID: shed.ID})
	must(t, err)
	wantEqual(t, "doors", b.db.LockdownDoor.Query().CountX(b.system), 1)
	b.release(b.admin, l)
	b.trigger(b.admin, p)
	wantEqual(t, "doors of both", b.db.LockdownDoor.Query().CountX(b.system), 2)
	mode, _ := b.modeOf(b.door)
	wantEqual(t, "mode", mode, door.EffectiveModeLOCKDOWN)
}

// TestAUseThatWasNotTakenIsNotReturned: the key began to count while the unlock was on its way.
func TestAUseThatWasNotTakenIsNotReturned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate()})
	free := b.unlock(b.member)
	_, err := b.access.UpdateKey(b.admin, access.UpdateKeyInput{ID: k.ID, Uses: new(2)})
	must(t, err)
	counted := b.unlock(b.member)
	left := func() int { return *b.db.Key.GetX(b.system, k.ID).UsesLeft }
	wantEqual(t, "taken", left(), 1)
	must(t, b.access.RecordUndelivered(b.system, free.ID, schema.ReasonDeviceBusy))
	wantEqual(t, "after the first failed", left(), 1)
	must(t, b.access.RecordUndelivered(b.system, counted.ID, schema.ReasonDeviceBusy))
	wantEqual(t, "after the second failed", left(), 2)
}
