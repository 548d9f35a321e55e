package devicelink_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// closeDown triggers a lockdown of the site through a node.
func (b *town) closeDown(n *node) *ent.Lockdown {
	b.t.Helper()
	plan, err := n.access.CreateLockdownPlan(b.admin, access.CreateLockdownPlanInput{
		Name: typeid.New[typeid.LockdownPlan]().String(), SiteIDs: []typeid.Site{b.site}})
	must(b.t, err)
	began := time.Now()
	made, err := n.access.TriggerLockdown(b.admin,
		access.TriggerLockdownInput{PlanID: plan.LockdownPlan.ID})
	must(b.t, err)
	if took := time.Since(began); took > 5*time.Second {
		b.t.Errorf("the lockdown took %s", took)
	}
	if made.Lockdown.State != lockdown.StateACTIVE {
		b.t.Fatalf("the lockdown is %s", made.Lockdown.State)
	}
	return made.Lockdown
}

func (b *town) outcome(d *ent.Door) lockdowndoor.Outcome {
	b.t.Helper()
	return b.db.LockdownDoor.Query().
		Where(lockdowndoor.DoorID(d.ID), lockdowndoor.ReleasedAtIsNil()).OnlyX(b.system).Outcome
}

// TestLockdownReachesDevices: when it is acknowledged, the devices have been told, wherever they are.
func TestLockdownReachesDevices(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	var doors []*ent.Door
	var devices []*linktest.Device
	for name, n := range map[string]*node{"Gate": here, "Cellar": there} {
		identity, d := b.newDevice(n, name)
		devices = append(devices, linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity}))
		doors = append(doors, d)
	}
	for _, d := range devices {
		d.Until(func(s sim.State) bool { return s.Linked && s.Acked == s.Logged })
	}
	l := b.closeDown(here)
	for i, d := range devices {
		if got := b.outcome(doors[i]); got != lockdowndoor.OutcomeAPPLIED {
			t.Errorf("%s is %s", doors[i].Name, got)
		}
		d.Until(func(s sim.State) bool { return s.Doors[1].Door.Mode == door.ModeLOCKDOWN })
	}
	_, err := there.access.ReleaseLockdown(b.admin, access.ReleaseLockdownInput{LockdownID: l.ID})
	must(t, err)
	for i, d := range devices {
		d.Until(func(s sim.State) bool { return s.Doors[1].Door.Mode == door.ModeCONTROLLED })
		b.unlockThrough(here, d, doors[i])
	}
}

// TestOfflineDeviceLearnsOfTheLockdownFirst: it is UNREACHED until its welcome tells it.
func TestOfflineDeviceLearnsOfTheLockdownFirst(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	b.closeDown(n)
	if got := b.outcome(gate); got != lockdowndoor.OutcomeUNREACHED {
		t.Errorf("offline it is %s", got)
	}
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	s := d.Until(func(s sim.State) bool { return s.Linked })
	if mode := s.Welcome.Doors[0].Mode; mode != door.ModeLOCKDOWN {
		t.Errorf("the welcome tells of %s", mode)
	}
	eventually(t, "applied", func() bool { return b.outcome(gate) == lockdowndoor.OutcomeAPPLIED })
	d.Until(func(s sim.State) bool { return s.Acked == 1 })
	wantEvents(t, b.events(identity.Device), "lockdown.door_unreached", "lock.locked")
}

// TestNoUnlockIsWrittenAfterALockdown hands the router unlocks that were on their way when the device
// was told: they are not written, though nothing has cancelled them.
func TestNoUnlockIsWrittenAfterALockdown(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: there.url, Identity: identity})
	d.Until(func(s sim.State) bool { return s.Linked && s.Acked == s.Logged })
	b.closeDown(there)
	for _, n := range []*node{there, here} {
		c := b.unlockRow(gate)
		must(t, n.router.Dispatch(b.admin, access.Dispatch{
			Organization: b.org, Device: identity.Device, Command: c.ID, Door: gate.ID, Port: 1,
			Verb: command.VerbUNLOCK, Seconds: 5, IssuedAt: c.RequestedAt, NotAfter: c.ExpiresAt,
		}))
		c = b.reaches(c.ID, command.StageFAILED)
		if *c.Reason != schema.ReasonLockdown || c.DispatchedAt != nil {
			t.Errorf("through %s: %+v", n.name, c)
		}
	}
	_, err := here.access.LockDoor(b.admin, access.LockDoorInput{DoorID: gate.ID})
	must(t, err)
	s := d.Until(func(s sim.State) bool { return len(s.Obeyed) > 0 })
	if len(s.Obeyed) != 1 {
		t.Errorf("obeyed %v", s.Obeyed)
	}
	outcome(t, there, "lockdown", 2)
}

// TestNothingUnlocksAfterALockdown races unlocks through two nodes against a lockdown: a device that
// has been told obeys none any more.
func TestNothingUnlocksAfterALockdown(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{
		BaseURL: there.url, Identity: identity, Movement: time.Millisecond,
	})
	d.Until(func(s sim.State) bool { return s.Linked && s.Acked == s.Logged })
	var racing sync.WaitGroup
	for _, n := range []*node{here, there} {
		for range 3 {
			racing.Go(func() {
				for range 15 {
					_, err := n.access.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: gate.ID})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	d.Until(func(s sim.State) bool { return len(s.Obeyed) > 3 })
	b.closeDown(here)
	told := d.Until(func(s sim.State) bool { return s.Doors[1].Door.Mode == door.ModeLOCKDOWN }).Obeyed
	racing.Wait()
	if got := b.outcome(gate); got != lockdowndoor.OutcomeAPPLIED {
		t.Fatalf("the gate is %s", got)
	}
	d.Until(func(s sim.State) bool { return s.Acked == s.Logged })
	if now := d.State().Obeyed; !slices.Equal(now, told) {
		t.Errorf("obeyed after it was told: %v", now[len(told):])
	}
	open := b.db.Command.Query().
		Where(command.VerbEQ(command.VerbUNLOCK), command.EndedAtIsNil()).CountX(b.system)
	if open > 0 {
		t.Errorf("%d unlocks are open", open)
	}
}

// TestLockdownWithoutRedis: the devices of this node are told, the others are listed, and in time.
func TestLockdownWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	nowhere := "redis://127.0.0.1:1"
	n, other := b.node("alone", &nowhere).start(), b.serve("other")
	near, gate := b.newDevice(n, "Gate")
	far, cellar := b.newDevice(other, "Cellar")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: near})
	linktest.Start(t, sim.DeviceConfig{BaseURL: other.url, Identity: far})
	eventually(t, "online", func() bool { return b.online(near.Device) && b.online(far.Device) })
	b.closeDown(n)
	if got := b.outcome(gate); got != lockdowndoor.OutcomeAPPLIED {
		t.Errorf("the gate is %s", got)
	}
	if got := b.outcome(cellar); got != lockdowndoor.OutcomeUNREACHED {
		t.Errorf("the cellar is %s", got)
	}
	d.Until(func(s sim.State) bool { return s.Doors[1].Door.Mode == door.ModeLOCKDOWN })
	if c := b.unlock(other, cellar); c.Stage != command.StageREJECTED {
		t.Errorf("the cellar's unlock is %s", c.Stage)
	}
	_, err := other.access.TellDevices(t.Context())
	must(t, err)
	eventually(t, "told by a node that can", func() bool {
		return b.outcome(cellar) == lockdowndoor.OutcomeAPPLIED
	})
}
