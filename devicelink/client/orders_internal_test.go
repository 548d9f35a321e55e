package client

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// ring makes a server's keys of a byte.
func ring(tb testing.TB, seed byte) *devicelink.Keyring {
	tb.Helper()
	k, err := devicelink.NewKeyring(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// enrolled is a device of a server.
func enrolled(server *devicelink.Keyring) Identity {
	return Identity{
		Device: typeid.New[typeid.Device](), Organization: typeid.New[typeid.Organization](),
		ServerKeys: server.Public(), KeysVersion: 1,
	}
}

// unlock is a command as the device's server sends it on link 17.
func unlock(server *devicelink.Keyring, to Identity, sequence int64) *devicelink.Command {
	c := &devicelink.Command{
		CommandID: typeid.New[typeid.Command](), OrganizationID: to.Organization,
		DeviceID: to.Device, DoorID: typeid.New[typeid.Door](), Port: 1, Verb: command.VerbUNLOCK,
		Seconds: 5, IssuedAt: noon, NotAfter: noon.Add(10 * time.Second),
	}
	server.Newest().Order(c, to.Device, 17, sequence)
	return c
}

// TestOrdersOfAttackers: one attack each, at a device that has heeded one honest command.
func TestOrdersOfAttackers(t *testing.T) {
	t.Parallel()
	server, stranger := ring(t, 1), ring(t, 2)
	us := enrolled(server)
	them := enrolled(server)
	sign := func(by *devicelink.Keyring, f devicelink.Order, epoch, sequence int64) devicelink.Order {
		by.Newest().Order(f, us.Device, epoch, sequence)
		return f
	}
	first := unlock(server, us, 1)
	for name, attack := range map[string]devicelink.Order{
		"forged": unlock(stranger, us, 2),
		"forged under our key's name": func() devicelink.Order {
			c := unlock(stranger, us, 2)
			c.KeyID = server.Public()[0].ID
			return c
		}(),
		"unsigned": func() devicelink.Order {
			c := unlock(server, us, 2)
			c.Signature = devicelink.Signature{}
			return c
		}(),
		"altered": func() devicelink.Order {
			c := unlock(server, us, 2)
			c.NotAfter = c.NotAfter.Add(time.Second)
			return c
		}(),
		"replayed": first,
		"replayed under another number": func() devicelink.Order {
			c := *first
			c.Sequence = 2
			return &c
		}(),
		"out of order":     unlock(server, us, 0),
		"of an older link": sign(server, unlock(server, us, 2), 16, 2),
		"of a later link":  sign(server, unlock(server, us, 2), 18, 2),
		"another device's": unlock(server, them, 2),
		"for another device": sign(server, func() devicelink.Order {
			c := unlock(server, us, 2)
			c.DeviceID = them.Device
			return c
		}(), 17, 2),
		"another organization's": sign(server, func() devicelink.Order {
			c := unlock(server, us, 2)
			c.OrganizationID = them.Organization
			return c
		}(), 17, 2),
		"an id again": sign(server, func() devicelink.Order {
			c := unlock(server, us, 2)
			c.CommandID = first.CommandID
			return c
		}(), 17, 2),
		"good for too long": sign(server, func() devicelink.Order {
			c := unlock(server, us, 2)
			c.NotAfter = c.IssuedAt.Add(longestOrder + time.Microsecond)
			return c
		}(), 17, 2),
		"a config of another link": sign(server, &devicelink.Config{}, 16, 2),
		"a config of a stranger":   sign(stranger, &devicelink.Config{}, 17, 2),
		"a config of another device": func() devicelink.Order {
			c := &devicelink.Config{}
			server.Newest().Order(c, them.Device, 17, 2)
			return c
		}(),
		"keys of a stranger": sign(stranger,
			&devicelink.Keys{Version: 2, ServerKeys: stranger.Public()}, 17, 2),
		"keys of before": sign(server,
			&devicelink.Keys{Version: 1, ServerKeys: server.Public()}, 17, 2),
	} {
		o := orders{}
		o.begin(17)
		must(t, o.heed(first, us, noon))
		if err := o.heed(attack, us, noon); err == nil {
			t.Errorf("%s: heeded", name)
		}
		if err := o.heed(unlock(server, us, 2), us, noon); err != nil {
			t.Errorf("%s: the honest one after it is refused: %v", name, err)
		}
	}
}

// TestCommandsAreRememberedOverLinks: what was heeded on one connection is not on the next.
func TestCommandsAreRememberedOverLinks(t *testing.T) {
	t.Parallel()
	server := ring(t, 1)
	us := enrolled(server)
	o := orders{}
	o.begin(17)
	c := unlock(server, us, 1)
	must(t, o.heed(c, us, noon))
	again := *c
	o.begin(18)
	server.Newest().Order(&again, us.Device, 18, 1)
	if o.heed(&again, us, noon.Add(10*time.Second+seenFor)) == nil {
		t.Error("a command is heeded again after a minute")
	}
	must(t, o.heed(unlockOn(server, us, 18, 1), us, noon.Add(2*time.Minute)))
	if len(o.seen) != 1 {
		t.Errorf("%d commands are remembered for ever", len(o.seen))
	}
}

func unlockOn(server *devicelink.Keyring, to Identity, epoch, sequence int64) *devicelink.Command {
	c := unlock(server, to, 1)
	server.Newest().Order(c, to.Device, epoch, sequence)
	return c
}

// TestNoAlterationIsHeeded flips bits of honest frames, and splices two of them, 10,000 times.
func TestNoAlterationIsHeeded(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(32, 3))
	server := ring(t, 1)
	us := enrolled(server)
	config := &devicelink.Config{Doors: []devicelink.Door{{
		Port: 1, DoorID: typeid.New[typeid.Door](), Mode: door.ModeCONTROLLED, RelockSeconds: 5,
		HeldOpenSeconds: 30,
	}}}
	server.Newest().Order(config, us.Device, 17, 1)
	honest := [][]byte{encoded(t, unlock(server, us, 1)), encoded(t, unlock(server, us, 1)),
		encoded(t, config)}
	read := 0
	for range 10_000 {
		text := bytes.Clone(honest[random.IntN(len(honest))])
		if random.IntN(2) == 0 {
			from := honest[random.IntN(2)]
			at := random.IntN(min(len(text), len(from)))
			text = append(text[:at], from[at:]...)
		}
		for range random.IntN(3) { // another character of those that stand there
			text[random.IntN(len(text))] = text[random.IntN(len(text))]
		}
		f, err := devicelink.Decode(text)
		order, ok := f.(devicelink.Order)
		if err != nil || !ok || bytes.Equal(encoded(t, f), honest[0]) ||
			bytes.Equal(encoded(t, f), honest[1]) || bytes.Equal(encoded(t, f), honest[2]) {
			continue
		}
		read++
		o := orders{}
		o.begin(17)
		if o.heed(order, us, noon) == nil {
			t.Fatalf("heeded: %s", text)
		}
	}
	if read < 1000 {
		t.Errorf("only %d could be read at all", read)
	}
}

func encoded(tb testing.TB, f devicelink.Frame) []byte {
	tb.Helper()
	text, err := devicelink.Encode(f)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// FuzzOrder: of all texts a device heeds the order alone that its server has signed.
func FuzzOrder(f *testing.F) {
	server := ring(f, 1)
	us := Identity{ServerKeys: server.Public(), KeysVersion: 1}
	_ = us.Device.UnmarshalText([]byte("device_01k9e6x0v2e8h9rq4m7c3w5z1t"))
	_ = us.Organization.UnmarshalText([]byte("org_01k9e6x0v19q1vmfn0dx3h8r5c"))
	c := unlock(server, us, 1)
	_ = c.CommandID.UnmarshalText([]byte("cmd_01k9e72k5ye3prcz6d8f1h3n7q"))
	_ = c.DoorID.UnmarshalText([]byte("door_01k9e6x0v3f0rbn5tq8s2y6d4g"))
	server.Newest().Order(c, us.Device, 17, 1)
	honest := encoded(f, c)
	f.Add(honest)
	f.Add(encoded(f, unlock(ring(f, 2), us, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		frame, err := devicelink.Decode(text)
		order, ok := frame.(devicelink.Order)
		if err != nil || !ok {
			return
		}
		o := orders{}
		o.begin(17)
		if o.heed(order, us, noon) == nil && !bytes.Equal(encoded(t, frame), honest) {
			t.Errorf("heeded: %s", text)
		}
	})
}

// TestRefusedOrdersAreToldOf: at once, and then once a minute with their number.
func TestRefusedOrdersAreToldOf(t *testing.T) {
	t.Parallel()
	o := orders{}
	var told []string
	for i := range 121 {
		if r := o.refuse(noon.Add(time.Duration(i) * time.Second)); r != nil {
			told = append(told, r.Event+string(r.Data))
		}
	}
	if len(told) != 3 || told[0] != `device.order_refused{"count":1}` ||
		told[1] != `device.order_refused{"count":60}` || told[2] != told[1] {
		t.Errorf("told %v", told)
	}
}
