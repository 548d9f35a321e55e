package devicelink_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// memory is what a device has stored of its identity, in the order in which it did.
type memory struct {
	mu   sync.Mutex
	kept []client.Identity
	when func(client.Identity) // if set, it is called before anything is kept
}

func (m *memory) keep(now client.Identity) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.when != nil {
		m.when(now)
	}
	m.kept = append(m.kept, now)
	return nil
}

// all returns what was kept, one after the other.
func (m *memory) all() []client.Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.kept)
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func (b *town) keyEvents(id typeid.Device) []string {
	return slices.DeleteFunc(b.events(id), func(kind string) bool {
		return !strings.HasPrefix(kind, "device.key_")
	})
}

// refusesKey says hello with a key that is not good.
func (b *town) refusesKey(n *node, as client.Identity, key ed25519.PrivateKey) {
	b.t.Helper()
	as.Key, as.NextKey = key, nil
	c := linktest.Dial(b.t, n.url, as)
	c.Send(c.Hello())
	if code, _ := c.Closed(); code != devicelink.CloseUnknownDevice {
		b.t.Errorf("the key ends with %s", code)
	}
}

// TestDeviceKeyIsRotated: somebody asks for it on another node, and the device does it all.
func TestDeviceKeyIsRotated(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	here, there := b.serve("here"), b.serve("there")
	identity, gate := b.newDevice(there, "Gate")
	m := &memory{when: func(client.Identity) {
		if b.device(identity.Device).NextKey != nil {
			t.Error("it told of its next key before it had stored it")
		}
	}}
	d := linktest.Start(t, sim.DeviceConfig{
		BaseURL: there.url, Identity: identity, Keep: m.keep, Longest: 10 * time.Millisecond,
	})
	_, err := here.access.RotateDeviceKey(b.admin, access.RotateDeviceKeyInput{ID: identity.Device})
	must(t, err)
	d.Until(func(s sim.State) bool { return s.Linked && s.Links == 2 })
	wantEvents(t, b.keyEvents(identity.Device),
		"device.key_rotation_asked", "device.key_offered", "device.key_rotated")
	kept := m.all()
	if len(kept) != 2 || !kept[0].Key.Equal(identity.Key) || kept[0].NextKey == nil ||
		!kept[1].Key.Equal(kept[0].NextKey) || kept[1].NextKey != nil {
		t.Fatalf("kept %d identities", len(kept))
	}
	row := b.device(identity.Device)
	if !public(kept[1].Key).Equal(ed25519.PublicKey(row.PublicKey)) || row.NextKey != nil ||
		row.NextKeyAt != nil {
		t.Error("the server has other keys than the device")
	}
	b.unlockThrough(here, d, gate)
	b.refusesKey(there, identity, identity.Key)
}

// TestStopsInMidRotation stops either side at every step, and gives the device power again with what it
// had stored by then. It finds back by itself.
func TestStopsInMidRotation(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	// offered is a link by hand on which the server has taken the next key.
	offered := func(as client.Identity) *linktest.Conn {
		c, w := linktest.Link(t, n.url, as)
		offer := &devicelink.Rotate{}
		offer.Sign(as.Key, as.NextKey, as.Device, w.Epoch)
		c.Send(offer)
		told := linktest.Receive[*devicelink.Rotated](c)
		if told.PublicKey != devicelink.PublicKey(public(as.NextKey)) ||
			!devicelink.SignedBy(told, as.ServerKeys, as.Device) {
			t.Errorf("told %+v", told)
		}
		return c
	}
	for name, stop := range map[string]func(client.Identity){
		"before it asked":                      func(client.Identity) {},
		"as it was told, or had not heard yet": func(as client.Identity) { offered(as).Cut() },
		"when the next key had been used": func(as client.Identity) {
			offered(as).Cut()
			next := as
			next.Key, next.NextKey = as.NextKey, nil
			c, _ := linktest.Link(t, n.url, next)
			c.Cut()
		},
		"for so long that the next key died": func(as client.Identity) {
			offered(as).Cut()
			b.db.Device.UpdateOneID(as.Device).
				SetNextKeyAt(time.Now().Add(-access.KeyOverlap)).ExecX(b.system)
			b.refusesKey(n, as, as.NextKey)
		},
		"as another next key had been offered": func(as client.Identity) {
			_, as.NextKey, _ = ed25519.GenerateKey(nil)
			offered(as).Cut()
		},
	} {
		identity, gate := b.newDevice(n, "Gate, stopped "+name)
		_, next, err := ed25519.GenerateKey(nil)
		must(t, err)
		stored := identity
		stored.NextKey = next
		stop(stored)
		eventually(t, "offline", func() bool { return !b.online(identity.Device) })

		m := &memory{}
		d := linktest.Start(t, sim.DeviceConfig{
			BaseURL: n.url, Identity: stored, Keep: m.keep, Longest: 10 * time.Millisecond,
			LogEpoch: 2,
		})
		eventually(t, name+": it has one key", func() bool {
			all := m.all()
			return len(all) > 0 && all[len(all)-1].NextKey == nil
		})
		row := b.device(identity.Device)
		if !public(next).Equal(ed25519.PublicKey(row.PublicKey)) || row.NextKey != nil {
			t.Errorf("%s: the server has another key", name)
		}
		if got := b.keyEvents(identity.Device); got[len(got)-1] != "device.key_rotated" {
			t.Errorf("%s: events %v", name, got)
		}
		b.refusesKey(n, identity, identity.Key)
		d.Until(func(s sim.State) bool { return s.Linked })
		b.unlockThrough(n, d, gate)
	}
}

// TestDeviceWithoutAnyGoodKeyGoesAway: it tries both, once.
func TestDeviceWithoutAnyGoodKeyGoesAway(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	_, identity.Key, _ = ed25519.GenerateKey(nil)
	_, identity.NextKey, _ = ed25519.GenerateKey(nil)
	d := linktest.Launch(t, sim.DeviceConfig{
		BaseURL: n.url, Identity: identity, Longest: 10 * time.Millisecond,
	})
	away, told := errors.AsType[client.GoneAwayError](d.Ended())
	if !told || away.Code != devicelink.CloseUnknownDevice {
		t.Error("it goes on")
	}
	eventually(t, "two tries", func() bool {
		return metric(t, n, "cardea_device_links_ended_total", "UNKNOWN_DEVICE") == 2
	})
}

// TestRefusedOffers: whoever has one of the keys alone, or another link's offer, changes nothing.
func TestRefusedOffers(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	_, next, err := ed25519.GenerateKey(nil)
	must(t, err)
	for name, forge := range map[string]func(*devicelink.Rotate, int64){
		"without the present key": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(next, next, identity.Device, epoch)
		},
		"without the next key": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(identity.Key, identity.Key, identity.Device, epoch)
			r.PublicKey = devicelink.PublicKey(public(next))
		},
		"the present key again": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(identity.Key, identity.Key, identity.Device, epoch)
		},
		"of another link": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(identity.Key, next, identity.Device, epoch-1)
		},
		"of another device": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(identity.Key, next, typeid.New[typeid.Device](), epoch)
		},
		"another's next key": func(r *devicelink.Rotate, epoch int64) {
			r.Sign(identity.Key, next, identity.Device, epoch)
			r.PublicKey[0]++
		},
	} {
		c, w := linktest.Link(t, n.url, identity)
		offer := &devicelink.Rotate{}
		forge(offer, w.Epoch)
		c.Send(offer)
		if code, _ := c.Closed(); code != devicelink.CloseProtocol {
			t.Errorf("%s: %s", name, code)
		}
	}
	if row := b.device(identity.Device); row.NextKey != nil {
		t.Error("the server has a next key")
	}
	wantEvents(t, b.keyEvents(identity.Device))
}

// TestOfferOverAnOlderLink: who is still linked with the key of before cannot bring it back.
func TestOfferOverAnOlderLink(t *testing.T) {
	t.Parallel()
	b := newTown(t)
	n := b.serve("one")
	identity, _ := b.newDevice(n, "Gate")
	ctx := b.asDevice(identity)
	must(t, open(ctx, n, identity.Key, 1))
	_, next, err := ed25519.GenerateKey(nil)
	must(t, err)
	must(t, n.access.OfferDeviceKey(ctx, 1, public(next)))
	must(t, open(ctx, n, next, 2))
	if err := open(ctx, n, identity.Key, 3); err == nil { // it said hello before
		t.Error("the key of before opens a link")
	}
	_, other, err := ed25519.GenerateKey(nil)
	must(t, err)
	if err := n.access.OfferDeviceKey(ctx, 1, public(other)); err == nil {
		t.Error("an older link offers a key")
	}
	if row := b.device(identity.Device); row.NextKey != nil ||
		!public(next).Equal(ed25519.PublicKey(row.PublicKey)) || row.Epoch != 2 ||
		row.Connectivity != schema.ConnectivityOnline {
		t.Errorf("epoch %d, %s", row.Epoch, row.Connectivity)
	}
}

// open opens a link of the device of ctx as the edge does, without one.
func open(ctx context.Context, n *node, key ed25519.PrivateKey, after int) error {
	_, err := n.access.OpenLink(ctx, access.OpenLinkInput{
		LogEpoch: 1, Firmware: "1", Key: public(key),
		Challenged: time.Now().Add(time.Duration(after) * time.Second),
	})
	return err
}
