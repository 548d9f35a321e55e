package uhppote

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

// packetOf is a packet as it is on the wire.
func packetOf(t *testing.T, digits string) packet {
	t.Helper()
	raw, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parse(append(raw, make([]byte, len(packet{})-len(raw))...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRequests compares with what the makers' and others' programs send.
func TestRequests(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	weekday := profile{
		ID: 29, From: day, To: day.AddDate(0, 1, 0), Linked: 30,
		Days:     [7]bool{time.Monday: true, time.Sunday: true},
		Segments: [3]segment{{8*60 + 30, 9*60 + 45}, {}, {}},
	}
	clock := newPacket(fnSetTime, 405419896)
	clock.setDateTime(8, time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC))
	for want, got := range map[string]packet{
		"1750000078372a188ca9920320261122202612220100011d": putCard(405419896, card{
			Number: 59943308, From: day, To: day.AddDate(0, 1, 0), Doors: [4]byte{1, 0, 1, 29}}),
		"1788000078372a181d20261122202612220100000000000108300945000000000000000" + "01e": setProfile(
			405419896, weekday),
		"1780000078372a1803020" + "7":       setDoor(405419896, 3, control{normallyClosed, 7}),
		"1790000078372a18c0a80164" + "61ea": setListener(405419896, netip.MustParseAddrPort("192.168.1.100:60001")),
		"1730000078372a1820261122131415":    clock,
	} {
		if p := packetOf(t, want); p != got {
			t.Errorf("want %x\n got %x", p, got)
		}
	}
	if got, err := new(setProfile(405419896, weekday)).profile(); err != nil || got != weekday {
		t.Errorf("read back as %+v, %v", got, err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	// From the documentation of uhppote-core, with relay 1 energised and door 2 open.
	p := packetOf(t, "1720000078372a1801000000020101"+"016cd1e62b20261122131415"+"2c"+
		"00010000"+"00000000"+"00"+"131416"+"00000000"+"00000000"+"00"+"01"+"00"+"261122")
	s, err := p.status()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 22, 13, 14, 15, 0, time.UTC)
	last := record{1, 2, true, 1, 1, 0x2be6d16c, at, reasonRemote}
	if s.Last != last || !s.energised(1) || s.energised(2) || !s.Open[1] || s.Open[0] ||
		!s.Clock.Equal(at.Add(time.Second)) {
		t.Errorf("got %+v", s)
	}
}

// TestRollover: the numbers of records go round, and nothing is read twice or passed over for that.
func TestRollover(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		next, last uint32
		want       int
	}{
		{1, 3, 3}, {4, 3, 0}, {5, 3, -1}, {0xfffffffe, 1, 4}, {0, 0xffffffff, 0}, {0, 0, 1},
	} {
		if got := behind(c.next, c.last); got != c.want {
			t.Errorf("from %d through %d: %d, want %d", c.next, c.last, got, c.want)
		}
	}
	if uint32(markOf(0)) != 0 || markOf(0) == 0 || markOf(7) != 7 {
		t.Error("marks")
	}
}

// FuzzPacket: whatever comes by the network is read or refused.
func FuzzPacket(f *testing.F) {
	seed := setProfile(1, profile{ID: 2, From: time.Unix(0, 0), To: time.Unix(0, 0)})
	f.Add(seed[:])
	f.Add([]byte{startOf, fnStatus})
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parse(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(p[:], raw) {
			t.Error("changed")
		}
		_, _ = p.status()
		_ = p.found()
		if pr, err := p.profile(); err == nil && pr.ID != 0 && !pr.From.IsZero() && !pr.To.IsZero() {
			if again, err := new(setProfile(p.serial(), pr)).profile(); err != nil || again != pr {
				t.Errorf("%+v is read back as %+v, %v", pr, again, err)
			}
		}
		if c, err := p.card(); err == nil && c.Number != 0 && !c.From.IsZero() && !c.To.IsZero() {
			if again, err := new(putCard(p.serial(), c)).card(); err != nil || again != c && c.Number != deletedCard {
				t.Errorf("%+v is read back as %+v, %v", c, again, err)
			}
		}
	})
}
