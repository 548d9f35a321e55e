package devicelink_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// clockEvents are those of a device's clock, in their order.
func (b *town) clockEvents(id typeid.Device) (types []string) {
	return slices.DeleteFunc(b.events(id), func(kind string) bool {
		return kind != "device.clock_wrong" && kind != "device.clock_right"
	})
}

// offBy waits until a device's row says how far its clock is ahead, to the second.
func (b *town) offBy(id typeid.Device, want time.Duration) {
	b.t.Helper()
	eventually(b.t, "the clock is ahead by "+want.String(), func() bool {
		got := b.device(id).ClockOffset
		return got != nil && (time.Duration(*got)*time.Millisecond-want).Abs() < time.Second
	})
}

// TestClockThatIsOff: it is told once that a clock is wrong, and once that it is right again; what the
// device reports keeps its times.
func TestClockThatIsOff(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	b.offBy(identity.Device, 0)
	off := func(by time.Duration) {
		d.SetFaults(sim.Faults{Clock: by})
		must(t, devicelink.TellTime(n.router, identity.Device))
		b.offBy(identity.Device, by)
	}
	off(5 * time.Second)
	off(8 * time.Second) // still
	d.Report(devicelink.Report{Port: 1, Event: "door.opened", Position: "OPEN"})
	b.unlockThrough(n, d, gate)
	opened := b.db.Event.Query().Where(event.Type("door.opened")).OnlyX(b.system)
	if ahead := opened.OccurredAt.Sub(opened.ReceivedAt); ahead < 5*time.Second {
		t.Errorf("the device's time became one %s ahead", ahead)
	}
	off(0)
	off(-time.Hour)
	wantEvents(t, b.clockEvents(identity.Device),
		"device.clock_wrong", "device.clock_right", "device.clock_wrong")

	// The next link begins with what the hello shows: it is as wrong as it was.
	must(t, d.Stop())
	d = linktest.Restart(t, d)
	d.Until(func(s sim.State) bool { return s.Linked })
	wantEvents(t, b.clockEvents(identity.Device),
		"device.clock_wrong", "device.clock_right", "device.clock_wrong")

	d.SetFaults(sim.Faults{})
	must(t, d.Stop())
	linktest.Restart(t, d)
	b.offBy(identity.Device, 0)
	if got := b.clockEvents(identity.Device); len(got) != 4 || got[3] != "device.clock_right" {
		t.Errorf("events %v", got)
	}
}

// TestWrongClockIsAskedAtOnce: a device that sets its clock by the welcome waits no minute for its doors.
func TestWrongClockIsAskedAtOnce(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c := linktest.Dial(t, n.url, identity)
	hello := c.Hello()
	hello.At = hello.At.Add(time.Hour)
	c.Send(hello)
	linktest.Receive[*devicelink.Welcome](c)
	told := linktest.Receive[*devicelink.Time](c)
	b.offBy(identity.Device, time.Hour)
	if !devicelink.SignedBy(told, identity.ServerKeys, identity.Device) {
		t.Error("the time is not signed")
	}
	c.Send(&devicelink.Clock{Answers: told.Sequence, At: time.Now().UTC().Truncate(time.Microsecond)})
	b.offBy(identity.Device, 0)
	wantEvents(t, b.clockEvents(identity.Device), "device.clock_wrong", "device.clock_right")
}

// TestNoUnlockByAClockThatIsFarOff: more than 10 s, and the door does not unlock; it locks.
func TestNoUnlockByAClockThatIsFarOff(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: there.url, Identity: identity})
	d.SetFaults(sim.Faults{Clock: -11 * time.Second})
	must(t, devicelink.TellTime(there.router, identity.Device))
	b.offBy(identity.Device, -11*time.Second)
	for _, n := range []*node{here, there} {
		c := b.reaches(b.unlock(n, gate).ID, command.StageFAILED)
		if *c.Reason != schema.ReasonHardwareFault {
			t.Errorf("at %s: %s", n.name, *c.Reason)
		}
	}
	outcome(t, there, "clock", 2)
	p, err := there.access.LockDoor(b.admin, access.LockDoorInput{DoorID: gate.ID})
	must(t, err)
	b.reaches(p.Command.ID, command.StageCONFIRMED)
	if got := d.State().Obeyed; len(got) != 1 {
		t.Errorf("obeyed %v", got)
	}

	d.SetFaults(sim.Faults{Clock: -9 * time.Second})
	must(t, devicelink.TellTime(there.router, identity.Device))
	b.offBy(identity.Device, -9*time.Second)
	b.unlockThrough(there, d, gate)
}
