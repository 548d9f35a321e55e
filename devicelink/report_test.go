package devicelink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

func opened(sequence int64) *devicelink.Report {
	return &devicelink.Report{
		Sequence: sequence, At: time.Now().UTC(), Port: 1, Event: "door.opened",
		Position: door.PositionOPEN,
	}
}

func TestReportIsCommittedThenAcknowledged(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	report := &devicelink.Report{
		Sequence: 1, At: time.Date(2026, 3, 2, 9, 0, 0, 123456789, time.FixedZone("", 3600)),
		Port: 1, Event: "access.granted", UserID: b.adminID, Method: event.MethodCARD,
		Outcome: event.OutcomeGRANTED, Data: json.RawMessage(`{"reader":"in"}`), Buffered: true,
	}
	c.Send(report)
	if ack := linktest.Receive[*devicelink.Ack](c); ack.Sequence != 1 {
		t.Errorf("acknowledged %d", ack.Sequence)
	}
	// The acknowledgement came after the commit: the row is there, whoever asks.
	row := b.db.Event.Query().Where(event.Type("access.granted")).OnlyX(b.system)
	if *row.DoorID != gate.ID || *row.DeviceID != identity.Device || *row.UserID != b.adminID ||
		row.Delivery != event.DeliveryBUFFERED || *row.Method != event.MethodCARD ||
		!row.OccurredAt.Equal(time.Date(2026, 3, 2, 8, 0, 0, 123456000, time.UTC)) {
		t.Errorf("recorded %+v", row)
	}
	c.Send(opened(2))
	linktest.Receive[*devicelink.Ack](c)
	if now := b.db.Door.GetX(b.system, gate.ID); now.Position != door.PositionOPEN {
		t.Errorf("the door is %s", now.Position)
	}
}

func TestReportIsRecordedOnce(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	for _, sequence := range []int64{1, 1, 2, 1} {
		c.Send(opened(sequence))
	}
	c.Send(opened(3))
	for linktest.Receive[*devicelink.Ack](c).Sequence != 3 {
	}
	c.Cut()
	c, welcome := linktest.Link(t, n.url, identity)
	if welcome.Sequence != 3 {
		t.Errorf("welcomed at %d", welcome.Sequence)
	}
	c.Send(opened(2)) // its acknowledgement was lost
	if ack := linktest.Receive[*devicelink.Ack](c); ack.Sequence != 3 {
		t.Errorf("acknowledged %d", ack.Sequence)
	}
	if rows := b.db.Event.Query().Where(event.Type("door.opened")).CountX(b.system); rows != 3 {
		t.Errorf("%d rows for 3 reports", rows)
	}
}

func TestHoleIsTold(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	c.Send(opened(1))
	linktest.Receive[*devicelink.Ack](c)
	c.Send(opened(5))
	if ack := linktest.Receive[*devicelink.Ack](c); ack.Sequence != 5 {
		t.Errorf("acknowledged %d", ack.Sequence)
	}
	wantEvents(t, b.events(identity.Device), "door.opened", "device.events_lost", "door.opened")
	row := b.db.Event.Query().Where(event.Type("device.events_lost")).OnlyX(b.system)
	if string(row.Data) != `{"to": 4, "from": 2}` && string(row.Data) != `{"from":2,"to":4}` {
		t.Errorf("lost %s", row.Data)
	}
}

func TestNewLogStartsAnew(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	c.Send(opened(1))
	linktest.Receive[*devicelink.Ack](c)
	c = linktest.Dial(t, n.url, identity)
	hello := c.Hello()
	hello.LogEpoch = 2
	c.Send(hello)
	if w := linktest.Receive[*devicelink.Welcome](c); w.Sequence != 0 {
		t.Errorf("welcomed at %d", w.Sequence)
	}
	c.Send(opened(1))
	linktest.Receive[*devicelink.Ack](c)
	if rows := b.db.Event.Query().Where(event.Type("door.opened")).CountX(b.system); rows != 2 {
		t.Errorf("%d rows", rows)
	}
}

// TestBatches sends faster than commits are: reports share transactions, in order, and each is
// recorded once.
func TestBatches(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	const many = 500
	go func() {
		for sequence := int64(1); sequence <= many; sequence++ {
			c.Send(opened(sequence))
		}
	}()
	acks, last := 0, int64(0)
	for last < many {
		ack := linktest.Receive[*devicelink.Ack](c)
		if ack.Sequence <= last {
			t.Fatalf("acknowledged %d after %d", ack.Sequence, last)
		}
		acks, last = acks+1, ack.Sequence
	}
	if acks > many/2 {
		t.Errorf("%d acknowledgements for %d reports", acks, many)
	}
	if got := b.events(identity.Device); len(got) != many {
		t.Errorf("%d events: %v", len(got), got[:10])
	}
	if got := metric(t, n, "cardea_device_reports_total", ""); got != many {
		t.Errorf("counted %v reports", got)
	}
}

// TestPoisonedBatch has a report in its midst that can never be recorded.
func TestPoisonedBatch(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	c, _ := linktest.Link(t, n.url, identity)
	for sequence := int64(1); sequence <= 20; sequence++ {
		report := opened(sequence)
		if sequence == 11 {
			report.Event = "door.sang"
		}
		c.Send(report)
	}
	if code, reason := c.Closed(); code != devicelink.CloseReportRefused || reason != "11" ||
		!code.Reconnect() {
		t.Errorf("closed with %s: %s", code, reason)
	}
	c, welcome := linktest.Link(t, n.url, identity)
	if welcome.Sequence != 10 {
		t.Errorf("welcomed at %d", welcome.Sequence)
	}
	for sequence := int64(12); sequence <= 20; sequence++ { // 11 was set aside
		c.Send(opened(sequence))
	}
	for linktest.Receive[*devicelink.Ack](c).Sequence != 20 {
	}
}

func TestDeviceKeepsWhatIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity, LogEpoch: 1})
	d.Until(func(s sim.State) bool { return s.Acked == 1 && s.Logged == 1 }) // how its door is
	d.SetFaults(sim.Faults{DropAcks: true})
	d.Report(*opened(0))
	d.Report(*opened(0))
	eventually(t, "both recorded", func() bool { return b.device(identity.Device).LastSequence == 3 })
	must(t, d.Stop())
	eventually(t, "offline", func() bool { return !b.online(identity.Device) })
	if s := d.State(); s.Acked != 1 {
		t.Fatalf("the device believes that %d were acknowledged", s.Acked)
	}
	again := linktest.Restart(t, d)
	again.Until(func(s sim.State) bool { return s.Linked && s.Acked == 3 })
	wantEvents(t, b.events(identity.Device),
		"lock.locked", "door.opened", "door.opened", "device.disconnected")
}

func TestOfflineReportsAreBuffered(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity, LogEpoch: 1})
	d.Until(func(s sim.State) bool { return s.Acked == 1 })
	must(t, d.Stop())
	eventually(t, "offline", func() bool { return !b.online(identity.Device) })
	d.Report(*opened(0))
	linktest.Restart(t, d).Until(func(s sim.State) bool { return s.Linked && s.Acked == 2 })
	row := b.db.Event.Query().Where(event.Type("door.opened")).OnlyX(b.system)
	if row.Delivery != event.DeliveryBUFFERED || *row.DoorID != gate.ID {
		t.Errorf("recorded %+v", row)
	}
}

// TestDeviceSetsAsideWhatIsRefused: one entry that cannot be recorded costs one reconnect, and the
// journal says that it is missing.
func TestDeviceSetsAsideWhatIsRefused(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	d.Until(func(s sim.State) bool { return s.Acked == 1 })
	refused := *opened(0)
	refused.Event = "door.sang"
	d.Report(refused)
	d.Report(*opened(0))
	d.Lose()
	d.Report(*opened(0))
	s := d.Until(func(s sim.State) bool { return s.Linked && s.Acked == s.Logged && s.Logged == 5 })
	if s.Links != 2 {
		t.Errorf("%d links", s.Links)
	}
	wantEvents(t, without(b.events(identity.Device), "device.disconnected"), "lock.locked",
		"device.events_lost", "door.opened", "device.events_lost", "door.opened")
}

// TestFleet: people come and go, and everything they do is recorded.
func TestFleet(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	fleet := sim.Fleet{
		BaseURL: n.url, People: []typeid.User{b.adminID}, Pace: 200 * time.Millisecond,
		Seed: 7, Log: testenv.Logger(t),
	}
	for i := range 3 {
		identity, _ := b.newDevice(n, fmt.Sprint("Gate ", i))
		fleet.Devices = append(fleet.Devices, identity)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- fleet.Run(ctx) }()
	eventually(t, "someone has gone through a door", func() bool {
		return b.db.Event.Query().Where(event.Type("door.closed")).CountX(b.system) > 0 &&
			b.db.Event.Query().Where(event.Type("access.granted"), event.UserID(b.adminID)).
				CountX(b.system) > 0
	})
	cancel()
	must(t, <-ran)
}
