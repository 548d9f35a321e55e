package uhppote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ports is how many doors a controller can have.
const ports = 4

// record is an entry of a controller's own log.
type record struct {
	Index     uint32
	Kind      byte
	Granted   bool
	Door      int
	Direction byte
	Card      uint32
	At        time.Time // by the controller's clock, to the second
	Reason    byte
}

// kindOverwritten is that of a record which has made room for newer ones; kindNone, of no record.
const (
	kindNone        = 0
	kindOverwritten = 0xff
)

// record reads what replies to fnEvent and fnStatus have alike.
func (p *packet) record() (r record, err error) {
	r = record{
		Index: p.uint32(8), Kind: p[12], Door: int(p[14]), Direction: p[15], Card: p.uint32(16),
		Reason: p[27],
	}
	if r.Kind == kindNone || r.Kind == kindOverwritten {
		return r, nil
	}
	var granted, at error
	r.Granted, granted = p.yes(13)
	r.At, at = p.dateTime(20)
	return r, errors.Join(granted, at)
}

// status is how a controller is, and the last record of its log.
type status struct {
	Last    record
	Open    [ports]bool // the contacts
	Pressed [ports]bool // the buttons
	Relays  byte        // a bit for each door: energised
	Clock   time.Time
	Fault   byte
}

func (s *status) energised(port int) bool { return s.Relays>>(port-1)&1 == 1 }

func (p *packet) status() (s status, err error) {
	s = status{Relays: p[49], Fault: p[36]}
	var faults [2*ports + 2]error
	s.Last, faults[0] = p.record()
	s.Clock, faults[1] = p.systemTime()
	for i := range ports {
		s.Open[i], faults[2+i] = p.yes(28 + i)
		s.Pressed[i], faults[2+ports+i] = p.yes(32 + i)
	}
	return s, errors.Join(faults[:]...)
}

// systemTime reads YYMMDD and hhmmss.
func (p *packet) systemTime() (time.Time, error) {
	d, err := p.digits(51, 3)
	if err != nil {
		return time.Time{}, err
	}
	t, err := p.digits(37, 3)
	if err != nil {
		return time.Time{}, err
	}
	return instant(2000+d[0], d[1], d[2], t[0], t[1], t[2])
}

// How a door is controlled.
const (
	normallyOpen   = 1
	normallyClosed = 2
	controlled     = 3
)

// control is what a door does by itself, and for how long its lock is unlocked at a time.
type control struct {
	State byte
	Delay int // seconds
}

func (p *packet) control() control { return control{p[9], int(p[10])} }

func setDoor(serial uint32, port int, c control) packet {
	p := newPacket(fnSetDoor, serial)
	p[8], p[9], p[10] = byte(port), c.State, byte(c.Delay) //nolint:gosec // from 1 to 4, and 255
	return p
}

// card is what a controller knows of a card: the days on which it is good, and for each door 0 for
// never, 1 for always, or the number of a profile.
type card struct {
	Number   uint32
	From, To time.Time // days, both inclusive
	Doors    [ports]byte
}

func (p *packet) card() (c card, err error) {
	c.Number = p.uint32(8)
	copy(c.Doors[:], p[20:24])
	if c.Number == 0 || c.Number == deletedCard {
		return c, nil
	}
	var from, to error
	c.From, from = p.date(12)
	c.To, to = p.date(16)
	return c, errors.Join(from, to)
}

// deletedCard is the number at an index whose card was deleted.
const deletedCard = 0xffffffff

func putCard(serial uint32, c card) packet {
	p := newPacket(fnPutCard, serial)
	p.setUint32(8, c.Number)
	p.setDate(12, c.From)
	p.setDate(16, c.To)
	copy(p[20:24], c.Doors[:])
	return p
}

// profile is times of day on some days. A card that has it may open in its times, or in those of the
// profile that it links to, and so on.
type profile struct {
	ID       byte // from 2 to 254
	From, To time.Time
	Days     [7]bool // by time.Weekday
	Segments [3]segment
	Linked   byte // 0: none
}

// segment is from a minute of the day through a minute of the day; zeros are none.
type segment struct{ Start, End int }

func setProfile(serial uint32, pr profile) packet {
	p := newPacket(fnSetProfile, serial)
	p[8], p[36] = pr.ID, pr.Linked
	p.setDate(9, pr.From)
	p.setDate(13, pr.To)
	for day, on := range pr.Days {
		if on {
			p[17+(day+6)%7] = 1 // they begin on Monday
		}
	}
	for i, s := range pr.Segments {
		p.setMinutes(24+4*i, s.Start)
		p.setMinutes(26+4*i, s.End)
	}
	return p
}

func (p *packet) profile() (pr profile, err error) {
	pr.ID, pr.Linked = p[8], p[36]
	if pr.ID == 0 {
		return pr, nil
	}
	var faults []error
	note := func(err error) { faults = append(faults, err) }
	pr.From, err = p.date(9)
	note(err)
	pr.To, err = p.date(13)
	note(err)
	for day := range pr.Days {
		pr.Days[day], err = p.yes(17 + (day+6)%7)
		note(err)
	}
	for i := range pr.Segments {
		pr.Segments[i].Start, err = p.minutes(24 + 4*i)
		note(err)
		pr.Segments[i].End, err = p.minutes(26 + 4*i)
		note(err)
	}
	return pr, errors.Join(faults...)
}

func setListener(serial uint32, to netip.AddrPort) packet {
	p := newPacket(fnSetListener, serial)
	ip := to.Addr().As4()
	copy(p[8:12], ip[:])
	binary.LittleEndian.PutUint16(p[12:], to.Port())
	return p
}

// Found is a controller that answered a search.
type Found struct {
	Serial  uint32
	Address netip.AddrPort
	Version string // of its firmware, such as 8.92
}

// Doors is how many doors it drives: its serial number begins with that.
func (f Found) Doors() int { return doorsOf(f.Serial) }

func doorsOf(serial uint32) int {
	if n := int(serial / 100_000_000); n >= 1 && n <= ports {
		return n
	}
	return ports
}

func (p *packet) found() Found {
	ip := netip.AddrFrom4([4]byte(p[8:12]))
	return Found{
		Serial: p.serial(), Address: netip.AddrPortFrom(ip, Port),
		Version: fmt.Sprintf("%x.%02x", p[26], p[27]),
	}
}
