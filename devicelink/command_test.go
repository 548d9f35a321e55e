package devicelink_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
)

// unlockThrough unlocks a door through a node, and follows the command and the door to the end.
func (b *town) unlockThrough(n *node, d *linktest.Device, gate *ent.Door) {
	b.t.Helper()
	c := b.unlock(n, gate)
	c = b.reaches(c.ID, command.StageCONFIRMED)
	if c.DispatchedAt == nil || c.AcknowledgedAt == nil ||
		c.Confirmation != command.ConfirmationLOCK_STATE {
		b.t.Errorf("command %+v", c)
	}
	s := d.Until(func(s sim.State) bool { return len(s.Obeyed) > 0 })
	if s.Obeyed[len(s.Obeyed)-1] != c.ID {
		b.t.Errorf("obeyed %v", s.Obeyed)
	}
	eventually(b.t, "locked again", func() bool {
		return b.db.Door.GetX(b.system, gate.ID).LockState == door.LockStateLOCKED
	})
}

func TestCommandOnThisNode(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	d.Until(func(s sim.State) bool { return s.Acked == 1 })
	b.unlockThrough(n, d, gate)
	d.Until(func(s sim.State) bool { return s.Acked == s.Logged })
	wantEvents(t, without(b.events(identity.Device), "command.dispatched"),
		"lock.locked", "access.granted", "command.created", "command.acknowledged",
		"command.confirmed", "lock.unlocked", "lock.locked")
	outcome(t, n, "wrote", 1)
}

func TestCommandToAnotherNode(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: there.url, Identity: identity})
	b.unlockThrough(here, d, gate)
	outcome(t, here, "forwarded", 1)
	outcome(t, there, "wrote", 1)

	// A node that takes no links, as one with the role api, reaches it as well.
	b.unlockThrough(b.node("api", nil), d, gate)
}

// TestCommandWithoutRedis: a node reaches its own devices when Redis is gone.
func TestCommandWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	nowhere := "redis://127.0.0.1:1"
	n := b.node("alone", &nowhere).start()
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	began := time.Now()
	b.unlockThrough(n, d, gate)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestCommandToNobody(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n, other := b.serve("one"), b.serve("other")
	identity, gate := b.newDevice(n, "Gate")
	for _, c := range []struct {
		name    string
		prepare func()
	}{
		{"never linked", func() {}},
		{"gone", func() {
			c, _ := linktest.Link(t, other.url, identity)
			c.Cut()
			eventually(t, "offline", func() bool { return !b.online(identity.Device) })
		}},
		{"its node died", func() { // and left its presence behind, which no older link gets past
			must(t, b.node("dead", nil).stream.Claim(t.Context(), presence(b, identity, 99, "dead")))
		}},
	} {
		c.prepare()
		began := time.Now()
		got := b.unlock(n, gate)
		if got.Stage != command.StageFAILED || *got.Reason != schema.ReasonDeviceOffline {
			t.Errorf("%s: %s, %v", c.name, got.Stage, got.Reason)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: it took %s to say so", c.name, took)
		}
	}
	outcome(t, n, "offline", 3)
}

// TestForwardedInVain: the other node's link ends between the question and the message.
func TestForwardedInVain(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(here, "Gate")
	must(t, there.stream.Claim(t.Context(), presence(b, identity, 99, "there")))
	c := b.reaches(b.unlock(here, gate).ID, command.StageFAILED)
	if *c.Reason != schema.ReasonDeviceOffline {
		t.Errorf("reason %s", *c.Reason)
	}
	outcome(t, there, "offline", 1)
}

// TestLateCommandIsNotWritten hands the router commands whose deadline has passed on the way.
func TestLateCommandIsNotWritten(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: there.url, Identity: identity})
	for _, n := range []*node{there, here} {
		c := b.db.Command.Create().SetOrgID(b.org).SetDoorID(gate.ID).SetDeviceID(identity.Device).
			SetVerb(command.VerbUNLOCK).SetRequesterKind("USER").SetRequesterID(b.adminID.String()).
			SetRequestedAt(schema.Now()).SetExpiresAt(schema.Now()).SaveX(b.system)
		must(t, n.router.Dispatch(b.admin, access.Dispatch{
			Organization: b.org, Device: identity.Device, Command: c.ID, Door: gate.ID, Port: 1,
			Verb: command.VerbUNLOCK, Seconds: 5, IssuedAt: c.RequestedAt, NotAfter: c.ExpiresAt,
		}))
		c = b.reaches(c.ID, command.StageEXPIRED)
		if *c.Reason != schema.ReasonExpiredBeforeDelivery || c.DispatchedAt != nil {
			t.Errorf("through %s: %+v", n.name, c)
		}
	}
	b.unlockThrough(here, d, gate)
	if s := d.State(); len(s.Obeyed) != 1 || len(s.Late) != 0 {
		t.Errorf("obeyed %v, late %v", s.Obeyed, s.Late)
	}
	outcome(t, there, "expired", 2)
}

// TestDeviceRefusesLateAndRepeated writes to a device what only a broken or hostile path could.
func TestDeviceRefusesLateAndRepeated(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	d.SetFaults(sim.Faults{Clock: -time.Hour}) // its own clock does not matter
	order := func(notAfter time.Time) *devicelink.Command {
		return &devicelink.Command{
			CommandID: b.unlockRow(gate).ID, Verb: command.VerbUNLOCK, DoorID: gate.ID, Port: 1,
			Seconds: 5, IssuedAt: time.Now(), NotAfter: notAfter,
		}
	}
	late, good := order(time.Now()), order(time.Now().Add(10*time.Second))
	elsewhere := order(time.Now().Add(10 * time.Second))
	elsewhere.Port = 2
	for _, c := range []*devicelink.Command{late, good, good, late, elsewhere} {
		d.Obey(c)
	}
	s := d.Until(func(s sim.State) bool { return s.Acked == s.Logged && s.Logged == 5 })
	if len(s.Obeyed) != 1 || s.Obeyed[0] != good.CommandID || len(s.Late) != 1 {
		t.Errorf("obeyed %v, late %v", s.Obeyed, s.Late)
	}
	b.reaches(late.CommandID, command.StageEXPIRED)
	b.reaches(good.CommandID, command.StageCONFIRMED)
	if c := b.reaches(elsewhere.CommandID, command.StageREJECTED); *c.Reason != schema.ReasonUnsupported {
		t.Errorf("reason %s", *c.Reason)
	}
}

// TestUnlockWhileReporting: a busy device does not stand in the way of its door's commands.
func TestUnlockWhileReporting(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{
		BaseURL: n.url, Identity: identity, Movement: time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for ctx.Err() == nil {
			d.Report(*opened(0))
			_, _ = d.Device.Until(ctx, func(s sim.State) bool { return s.Logged-s.Acked < 20 })
		}
	})
	for range 50 {
		b.reaches(b.unlock(n, gate).ID, command.StageCONFIRMED)
	}
	cancel()
	busy.Wait()
	if s := d.State(); s.Links != 1 || len(s.Obeyed) != 50 {
		t.Errorf("%d links, %d commands obeyed", s.Links, len(s.Obeyed))
	}
}

func TestJamIsFailed(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	d.SetFaults(sim.Faults{Jam: true})
	c := b.reaches(b.unlock(n, gate).ID, command.StageFAILED)
	if *c.Reason != schema.ReasonJammed {
		t.Errorf("reason %s", *c.Reason)
	}
	if now := b.db.Door.GetX(b.system, gate.ID); now.LockState != door.LockStateJAMMED {
		t.Errorf("the lock is %s", now.LockState)
	}
}

func TestDeviceLearnsOfItsDoors(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: there.url, Identity: identity})
	mode := func(n *node, m door.Mode) {
		t.Helper()
		_, err := n.access.UpdateDoor(b.admin, access.UpdateDoorInput{ID: gate.ID, Mode: &m})
		must(t, err)
		d.Until(func(s sim.State) bool { return s.Doors[1].Door.Mode == m })
	}
	mode(there, door.ModeUNLOCKED)
	d.Until(func(s sim.State) bool { return s.Doors[1].Lock == door.LockStateUNLOCKED })
	mode(here, door.ModeCONTROLLED)
	d.Until(func(s sim.State) bool { return s.Doors[1].Lock == door.LockStateLOCKED })

	_, err := here.access.BindDoor(b.admin,
		access.BindDoorInput{DoorID: gate.ID, DeviceID: identity.Device, Port: 3})
	must(t, err)
	s := d.Until(func(s sim.State) bool { return len(s.Doors) == 1 && s.Doors[3].Door.DoorID == gate.ID })
	if s.Links != 1 {
		t.Errorf("it took %d links", s.Links)
	}
	eventually(t, "the device says how its new door is", func() bool {
		return b.db.Door.GetX(b.system, gate.ID).LockState == door.LockStateLOCKED
	})
}

// A device is told which mode is in force, not which one is the door's own.
func TestDeviceIsToldTheModeInForce(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here := b.serve("here")
	identity, gate := b.newDevice(here, "Gate")
	plan, err := b.office.CreateSchedule(b.admin, access.CreateScheduleInput{
		Name: "Always", Windows: []schema.Window{
			{Start: "2026-01-01T00:00:00", End: "2026-01-02T00:00:00", Rule: "FREQ=DAILY"}}})
	must(t, err)
	first := true
	_, err = b.office.UpdateDoor(b.admin, access.UpdateDoorInput{
		ID: gate.ID, UnlockScheduleID: &plan.Schedule.ID, FirstPersonIn: &first})
	must(t, err)
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: here.url, Identity: identity})
	told := func(m door.Mode) func(sim.State) bool {
		return func(s sim.State) bool { return s.Doors[1].Door.Mode == m }
	}
	d.Until(told(door.ModeCONTROLLED)) // nobody was let in yet
	_, err = here.access.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: gate.ID})
	must(t, err)
	d.Until(told(door.ModeUNLOCKED))
	_, err = here.access.OverrideDoorMode(b.admin,
		access.OverrideDoorModeInput{DoorID: gate.ID, Mode: "LOCKED"})
	must(t, err)
	d.Until(told(door.ModeLOCKED))
	_, err = here.access.CancelDoorOverride(b.admin, access.CancelDoorOverrideInput{DoorID: gate.ID})
	must(t, err)
	d.Until(told(door.ModeUNLOCKED))

	identity, hatch := b.newDevice(here, "Hatch")
	_, err = b.office.UpdateDoor(b.admin,
		access.UpdateDoorInput{ID: hatch.ID, UnlockScheduleID: &plan.Schedule.ID})
	must(t, err)
	linktest.Start(t, sim.DeviceConfig{BaseURL: here.url, Identity: identity}).
		Until(told(door.ModeUNLOCKED))
}

func TestRemovedDeviceIsToldToGo(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	for _, n := range []*node{there, here} {
		identity, _ := b.newDevice(there, "Gate through "+n.name)
		c, _ := linktest.Link(t, there.url, identity)
		_, err := n.access.RemoveDevice(b.admin, access.RemoveDeviceInput{ID: identity.Device})
		must(t, err)
		if code, _ := c.Closed(); code != devicelink.CloseRemoved || code.Reconnect() {
			t.Errorf("through %s: closed with %s", n.name, code)
		}
		c = linktest.Dial(t, there.url, identity)
		c.Send(c.Hello())
		if code, _ := c.Closed(); code != devicelink.CloseUnknownDevice {
			t.Errorf("again: closed with %s", code)
		}
	}
}

// TestDispatchOutlivesItsRequest: who asked may hang up; what became of the command is recorded.
func TestDispatchOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	c := b.unlockRow(gate)
	ctx, cancel := context.WithCancel(b.admin)
	cancel()
	must(t, n.router.Dispatch(ctx, access.Dispatch{
		Organization: b.org, Device: identity.Device, Command: c.ID, Door: gate.ID, Port: 1,
		Verb: command.VerbUNLOCK, Seconds: 5, IssuedAt: c.RequestedAt, NotAfter: c.ExpiresAt,
	}))
	if c = b.reaches(c.ID, command.StageCONFIRMED); c.DispatchedAt == nil {
		t.Error("the dispatch is not recorded")
	}
}
