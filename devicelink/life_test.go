package devicelink_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/stream"
)

func TestNewestLinkWins(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	nowhere := "redis://127.0.0.1:1"
	one, two, alone := b.serve("one"), b.serve("two"), b.node("alone", &nowhere).start()
	identity, gate := b.newDevice(one, "Gate")

	first, w1 := linktest.Link(t, one.url, identity)
	second, w2 := linktest.Link(t, one.url, identity) // the same node
	wantSuperseded(t, first)
	third, w3 := linktest.Link(t, two.url, identity) // another node
	wantSuperseded(t, second)
	if w1.Epoch != 1 || w2.Epoch != 2 || w3.Epoch != 3 {
		t.Errorf("epochs %d, %d, %d", w1.Epoch, w2.Epoch, w3.Epoch)
	}
	if !b.online(identity.Device) {
		t.Error("the end of an older link took the device offline")
	}
	c := b.unlock(one, gate)
	if got := linktest.Receive[*devicelink.Command](third); got.CommandID != c.ID {
		t.Errorf("command %s", got.CommandID)
	}

	// A node that cannot be told finds out when the device says something on the old link.
	_, w4 := linktest.Link(t, alone.url, identity)
	if w4.Epoch != 4 {
		t.Errorf("epoch %d", w4.Epoch)
	}
	third.Send(opened(1))
	wantSuperseded(t, third)
	if rows := b.device(identity.Device).LastSequence; rows != 0 {
		t.Error("a superseded link reported")
	}
}

// TestLateHelloChangesNothing answers a challenge when the device has left that link for a newer one.
func TestLateHelloChangesNothing(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	one, two := b.serve("one"), b.serve("two")
	identity, gate := b.newDevice(one, "Gate")
	late := linktest.Dial(t, one.url, identity)
	newer, w := linktest.Link(t, two.url, identity)
	late.Send(late.Hello())
	if code, _ := late.Closed(); code != devicelink.CloseTryLater || !code.Reconnect() {
		t.Errorf("closed with %s", code)
	}
	c := b.unlock(one, gate)
	if got := linktest.Receive[*devicelink.Command](newer); got.CommandID != c.ID || w.Epoch != 1 {
		t.Errorf("epoch %d, command %s", w.Epoch, got.CommandID)
	}
}

func wantSuperseded(t *testing.T, c *linktest.Conn) {
	t.Helper()
	if code, _ := c.Closed(); code != devicelink.CloseSuperseded || code.Reconnect() {
		t.Errorf("closed with %s", code)
	}
}

// TestRacingLinks opens links of one device at once on two nodes: one stays, and it is the newest, in
// whichever order their hellos are heard.
func TestRacingLinks(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	nodes := []*node{b.serve("one"), b.serve("two")}
	identity, gate := b.newDevice(nodes[0], "Gate")
	conns := make([]*linktest.Conn, 10)
	for i := range conns {
		conns[i] = linktest.Dial(t, nodes[i%2].url, identity)
	}
	for _, c := range conns {
		c.Send(c.Hello())
	}
	newest := conns[len(conns)-1]
	latest, ok := newest.Welcomed()
	if !ok {
		t.Fatal("the newest link is refused")
	}
	for _, c := range conns[:len(conns)-1] {
		w, welcomed := c.Welcomed()
		code, _ := c.Closed()
		if welcomed && w.Epoch >= latest.Epoch {
			t.Errorf("epoch %d after the newest link's, %d", w.Epoch, latest.Epoch)
		}
		if code != devicelink.CloseSuperseded && (welcomed || code != devicelink.CloseTryLater) {
			t.Errorf("closed with %s", code)
		}
	}
	for _, n := range nodes {
		c := b.unlock(n, gate)
		if got := linktest.Receive[*devicelink.Command](newest); got.CommandID != c.ID {
			t.Errorf("command %s", got.CommandID)
		}
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	old, fresh := b.serve("old"), b.serve("fresh")
	var conns []*linktest.Conn
	var ids []client.Identity
	for i := range 5 {
		identity, _ := b.newDevice(old, fmt.Sprint("Gate ", i))
		c, _ := linktest.Link(t, old.url, identity)
		c.Send(opened(1))
		linktest.Receive[*devicelink.Ack](c)
		c.Send(opened(2)) // received in time or not
		conns, ids = append(conns, c), append(ids, identity)
	}
	half := linktest.Dial(t, old.url, ids[0]) // in the midst of its handshake
	stopped := make(chan struct{})
	go func() {
		old.stop()
		close(stopped)
	}()
	for _, c := range append(conns, half) {
		if code, _ := c.Closed(); code != devicelink.CloseRestart || !code.Reconnect() {
			t.Errorf("closed with %s", code)
		}
	}
	<-stopped
	for _, identity := range ids {
		if b.online(identity.Device) {
			t.Error("online after the node has stopped")
		}
		if got := b.device(identity.Device).LastSequence; got < 1 {
			t.Error("an acknowledged report is not recorded")
		}
	}
	if open := metric(t, old, "cardea_device_links", ""); open != 0 {
		t.Errorf("%v links are open", open)
	}
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: fresh.url, Identity: ids[0]})
	d.Until(func(s sim.State) bool { return s.Acked == s.Logged })
}

// TestReconnectChangesNoDoor: DV14.
func TestReconnectChangesNoDoor(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, gate := b.newDevice(n, "Gate")
	d := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity})
	d.Until(func(s sim.State) bool { return s.Acked == 1 })
	before := b.db.Door.GetX(b.system, gate.ID)
	for range 5 {
		must(t, d.Stop())
		d = linktest.Restart(t, d)
		d.Until(func(s sim.State) bool { return s.Linked })
	}
	after := b.db.Door.GetX(b.system, gate.ID)
	if after.LockState != before.LockState || after.Position != before.Position ||
		!after.ObservedAt.Equal(*before.ObservedAt) {
		t.Errorf("%+v became %+v", before, after)
	}
}

func TestDeviceGoesAwayWhenTold(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	first := linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity, LogEpoch: 1})
	linktest.Start(t, sim.DeviceConfig{BaseURL: n.url, Identity: identity, LogEpoch: 2})
	var away client.GoneAwayError
	if err := first.Ended(); !errors.As(err, &away) || away.Code != devicelink.CloseSuperseded {
		t.Errorf("ended with %v", err)
	}
}

// TestReaper: a node dies with its links; the others see to it that its devices are not online for
// ever. The test calls rounds itself instead of waiting for them.
func TestReaper(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("survivor")
	lost, _ := b.newDevice(n, "Gate")
	kept, _ := b.newDevice(n, "Store")
	elsewhere, _ := b.newDevice(n, "Roof")
	linktest.Link(t, n.url, kept)
	for _, identity := range []client.Identity{lost, elsewhere} { // a node that nobody stopped in order
		b.db.Device.UpdateOneID(identity.Device).SetConnectivity(schema.ConnectivityOnline).SetEpoch(1).
			ExecX(b.system)
	}
	must(t, n.stream.Claim(t.Context(), presence(b, elsewhere, 1, "other")))

	reaper := devicelink.NewReaper(n.handler)
	ctx := actor.NewContext(t.Context(), actor.System("reaper"))
	for range 2 { // a node that has just begun gives everybody time
		must(t, reaper.Round(ctx, time.Now()))
	}
	later := time.Now().Add(stream.PresenceTTL)
	must(t, reaper.Round(ctx, later))
	if !b.online(lost.Device) {
		t.Fatal("marked offline at the first sight")
	}
	must(t, reaper.Round(ctx, later))
	if b.online(lost.Device) || !b.online(kept.Device) || !b.online(elsewhere.Device) {
		t.Errorf("online: lost %t, kept %t, elsewhere %t", b.online(lost.Device),
			b.online(kept.Device), b.online(elsewhere.Device))
	}
	if got := b.events(lost.Device); !slices.Contains(got, "device.disconnected") {
		t.Errorf("events %v", got)
	}
}

// TestReaperWithoutRedis marks nobody offline, however long Redis is away.
func TestReaperWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	b.db.Device.UpdateOneID(identity.Device).SetConnectivity(schema.ConnectivityOnline).
		ExecX(b.system)
	nowhere := "redis://127.0.0.1:1"
	reaper := devicelink.NewReaper(b.node("alone", &nowhere).handler)
	ctx := actor.NewContext(t.Context(), actor.System("reaper"))
	for hours := range 5 {
		at := time.Now().Add(time.Duration(hours+1) * time.Hour)
		if err := reaper.Round(ctx, at); err == nil {
			t.Error("a round without Redis is no error")
		}
	}
	if !b.online(identity.Device) {
		t.Error("marked offline for want of Redis")
	}
}

// TestStress starts and stops nodes under devices that come and go.
func TestStress(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("first")
	var front atomic.Pointer[devicelink.Handler] // where the devices get to
	front.Store(n.handler)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		front.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	devices := make([]*linktest.Device, 4)
	for i := range devices {
		identity, _ := b.newDevice(n, fmt.Sprint("Gate ", i))
		devices[i] = linktest.Start(t, sim.DeviceConfig{BaseURL: server.URL, Identity: identity})
	}
	const rounds = 10
	for i := range rounds {
		next := b.serve(fmt.Sprint("next ", i))
		front.Store(next.handler)
		for j, d := range devices {
			d.Report(*opened(0))
			if j%2 == 0 { // half of them move before the node stops, half when it does
				must(t, d.Stop())
				devices[j] = linktest.Restart(t, d)
			}
		}
		n.stop()
		n = next
	}
	for j, d := range devices {
		must(t, d.Stop())
		devices[j] = linktest.Restart(t, d)
		devices[j].Until(func(s sim.State) bool { return s.Linked && s.Acked == s.Logged })
	}
	rows := b.db.Event.Query().Where(event.Type("door.opened")).CountX(b.system)
	if want := rounds * len(devices); rows != want {
		t.Errorf("%d events of %d reports", rows, want)
	}
	if lost := b.db.Event.Query().Where(event.Type("device.events_lost")).CountX(b.system); lost != 0 {
		t.Errorf("%d holes", lost)
	}
}

func presence(b *town, as client.Identity, epoch int64, node string) stream.Link {
	return stream.Link{Organization: b.org, Device: as.Device, Epoch: epoch, Node: node}
}

// outcome waits until a node has counted so many dispatches of an outcome.
func outcome(t *testing.T, n *node, of string, want float64) {
	t.Helper()
	eventually(t, n.name+" "+of, func() bool {
		return metric(t, n, "cardea_device_dispatches_total", of) == want
	})
}

func metric(t *testing.T, n *node, name, label string) float64 {
	t.Helper()
	families, err := n.registry.Gather()
	must(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if label == "" || m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func without(types []string, one string) []string {
	return slices.DeleteFunc(types, func(kind string) bool { return kind == one })
}

// unlockRow is a command as access has committed it, before it is handed over.
func (b *town) unlockRow(d *ent.Door) *ent.Command {
	return b.db.Command.Create().SetOrgID(b.org).SetDoorID(d.ID).SetNillableDeviceID(d.DeviceID).
		SetVerb(command.VerbUNLOCK).SetRequesterKind(actor.KindUser).
		SetRequesterID(b.adminID.String()).SetRequestedAt(schema.Now()).
		SetExpiresAt(schema.Now().Add(10 * time.Second)).SaveX(b.system)
}
