package uhppote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// packet is a message of the controllers' protocol, a request or a reply: 64 bytes, numbers little
// endian, dates and times as digits in nibbles.
type packet [64]byte

// The functions that we use, at offset 1.
const (
	fnStatus        = 0x20
	fnSetTime       = 0x30
	fnTime          = 0x32
	fnOpen          = 0x40
	fnPutCard       = 0x50
	fnDeleteCard    = 0x52
	fnCards         = 0x58
	fnCard          = 0x5a
	fnCardByIndex   = 0x5c
	fnSetDoor       = 0x80
	fnSetProfile    = 0x88
	fnSpecialEvents = 0x8e
	fnSetListener   = 0x90
	fnDevice        = 0x94
	fnProfile       = 0x98
	fnEvent         = 0xb0
	fnSetEventIndex = 0xb2
	fnEventIndex    = 0xb4
)

const (
	startOf    = 0x17
	startOfOld = 0x19 // events of firmware 6.62
	// magic is in requests that a controller shall not obey by mistake.
	magic = 0x55aaaa55
)

var errMalformed = errors.New("malformed packet")

func newPacket(function byte, serial uint32) (p packet) {
	p[0], p[1] = startOf, function
	p.setUint32(4, serial)
	return p
}

// parse takes what came by the network for a packet, if it can be one.
func parse(raw []byte) (p packet, err error) {
	if len(raw) != len(p) {
		return p, fmt.Errorf("%w: %d bytes", errMalformed, len(raw))
	}
	copy(p[:], raw)
	if p[0] != startOf && (p[0] != startOfOld || p.function() != fnStatus) {
		return p, fmt.Errorf("%w: begins with 0x%02x", errMalformed, p[0])
	}
	return p, nil
}

func (p *packet) function() byte { return p[1] }
func (p *packet) serial() uint32 { return p.uint32(4) }

func (p *packet) uint32(at int) uint32       { return binary.LittleEndian.Uint32(p[at:]) }
func (p *packet) setUint32(at int, v uint32) { binary.LittleEndian.PutUint32(p[at:], v) }

// yes says whether a flag is set. A reply that says neither yes nor no is malformed.
func (p *packet) yes(at int) (bool, error) {
	if p[at] > 1 {
		return false, fmt.Errorf("%w: flag 0x%02x at %d", errMalformed, p[at], at)
	}
	return p[at] == 1, nil
}

// digits reads pairs of decimal digits.
func (p *packet) digits(at, bytes int) (pairs []int, err error) {
	for _, b := range p[at : at+bytes] {
		if b>>4 > 9 || b&15 > 9 {
			return nil, fmt.Errorf("%w: 0x%02x is no digits", errMalformed, b)
		}
		pairs = append(pairs, int(b>>4)*10+int(b&15))
	}
	return pairs, nil
}

func (p *packet) setDigits(at int, pairs ...int) {
	for i, pair := range pairs {
		p[at+i] = byte(pair/10%10<<4 | pair%10) //nolint:gosec // two digits
	}
}

// instant is the moment that fields name in UTC, which is what we set controllers to; zeros are none.
func instant(year, month, day, hour, minute, second int) (time.Time, error) {
	if year%100 == 0 && month == 0 && day == 0 {
		return time.Time{}, nil
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if t.Day() != day || int(t.Month()) != month || t.Hour() != hour || t.Minute() != minute {
		return time.Time{}, fmt.Errorf("%w: no such time", errMalformed)
	}
	return t, nil
}

// dateTime reads YYYYMMDDhhmmss.
func (p *packet) dateTime(at int) (time.Time, error) {
	d, err := p.digits(at, 7)
	if err != nil {
		return time.Time{}, err
	}
	return instant(d[0]*100+d[1], d[2], d[3], d[4], d[5], d[6])
}

func (p *packet) setDateTime(at int, t time.Time) {
	p.setDate(at, t)
	t = t.UTC()
	p.setDigits(at+4, t.Hour(), t.Minute(), t.Second())
}

// date reads YYYYMMDD.
func (p *packet) date(at int) (time.Time, error) {
	d, err := p.digits(at, 4)
	if err != nil {
		return time.Time{}, err
	}
	return instant(d[0]*100+d[1], d[2], d[3], 0, 0, 0)
}

func (p *packet) setDate(at int, t time.Time) {
	t = t.UTC()
	p.setDigits(at, t.Year()/100, t.Year()%100, int(t.Month()), t.Day())
}

// minutes reads hhmm as minutes since midnight.
func (p *packet) minutes(at int) (int, error) {
	d, err := p.digits(at, 2)
	if err != nil {
		return 0, err
	}
	if d[0] > 24 || d[1] > 59 {
		return 0, fmt.Errorf("%w: no such time of day", errMalformed)
	}
	return d[0]*60 + d[1], nil
}

func (p *packet) setMinutes(at, minutes int) { p.setDigits(at, minutes/60, minutes%60) }
