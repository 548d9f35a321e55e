package access

import (
	"context"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/typeid"
)

// CardFormat says what the bits of a card mean. A number is that of a card only with its format.
type CardFormat string

// The formats.
const (
	CardWiegand26 CardFormat = "WIEGAND_26" // H10301
	CardWiegand37 CardFormat = "WIEGAND_37" // H10304
	CardCSN32     CardFormat = "CSN_32"
	CardCSN56     CardFormat = "CSN_56"
)

// layout is where a format has what, from the most significant bit: an even parity bit, the facility
// code, the number, an odd parity bit. Each parity bit covers that many data bits at its end. A chip's
// serial number has neither parity nor facility code, and is written in hexadecimal digits.
type layout struct{ facility, number, covered int }

var cardFormats = map[CardFormat]layout{
	CardWiegand26: {facility: 8, number: 16, covered: 12},
	CardWiegand37: {facility: 16, number: 19, covered: 18},
	CardCSN32:     {number: 32},
	CardCSN56:     {number: 56},
}

func (l layout) serial() bool { return l.facility == 0 }

func (l layout) bits() int {
	if l.serial() {
		return l.number
	}
	return l.facility + l.number + 2
}

// card is what a card says.
type card struct {
	format           CardFormat
	facility, number uint64
}

// PresentedCardInput is a card as a reader has decoded it.
type PresentedCardInput struct {
	Format       CardFormat
	FacilityCode *int   // of the Wiegand formats
	Number       string // decimal; of the serial numbers, hexadecimal
}

// read returns the card, and adds what is wrong with it. It repeats nothing of the input.
func (in PresentedCardInput) read(f *faults, path string) card {
	l, known := cardFormats[in.Format]
	if !known {
		f.add(path+"format", "no such format")
		return card{}
	}
	c := card{format: in.Format}
	switch {
	case l.serial() && in.FacilityCode != nil:
		f.add(path+"facilityCode", "a serial number has none")
	case l.serial():
	case in.FacilityCode == nil || *in.FacilityCode < 0 || *in.FacilityCode >= 1<<l.facility:
		f.add(path+"facilityCode", "must be from 0 to %d", 1<<l.facility-1)
	default:
		c.facility = uint64(*in.FacilityCode)
	}
	number, err := strconv.ParseUint(in.Number, l.base(), l.number)
	switch {
	case l.serial() && (err != nil || len(in.Number) != l.number/4):
		f.add(path+"number", "must be %d hexadecimal digits", l.number/4)
	case !l.serial() && (err != nil || len(in.Number) > 10):
		f.add(path+"number", "must be from 0 to %d", 1<<l.number-1)
	}
	c.number = number
	return c
}

func (l layout) base() int {
	if l.serial() {
		return 16
	}
	return 10
}

// PresentedWiegandInput is what a reader sent, as it sent it.
type PresentedWiegandInput struct {
	Bits int    // how many
	Hex  string // the bits as a number, in as many digits as they need: zeros in front fill the first
}

// maxWiegand is how many bits any reader may send.
const maxWiegand = 256

func (in PresentedWiegandInput) check(f *faults, path string) {
	if in.Bits < 1 || in.Bits > maxWiegand {
		f.add(path+"bits", "must be from 1 to %d", maxWiegand)
	}
	strange := func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }
	if in.Hex == "" || len(in.Hex) > maxWiegand/4 || strings.ContainsFunc(in.Hex, strange) {
		f.add(path+"hex", "must be at most %d hexadecimal digits", maxWiegand/4)
	}
}

// decode returns the card whose bits these are; not ok if they are of no format, or their parity is
// wrong.
func (in PresentedWiegandInput) decode() (c card, ok bool) {
	for format, l := range cardFormats {
		if l.bits() != in.Bits || len(in.Hex) != (in.Bits+3)/4 {
			continue
		}
		raw, err := strconv.ParseUint(in.Hex, 16, 64)
		if err != nil || bits.Len64(raw) > in.Bits || !l.parity(raw) {
			return card{}, false
		}
		if !l.serial() {
			raw >>= 1
		}
		return card{
			format: format, facility: raw >> l.number & (1<<l.facility - 1),
			number: raw & (1<<l.number - 1),
		}, true
	}
	return card{}, false
}

// parity says whether the first bit and those that it covers are even, and the last and its odd.
func (l layout) parity(raw uint64) bool {
	if l.serial() {
		return true
	}
	first, last := raw>>(l.bits()-1-l.covered), raw&(1<<(l.covered+1)-1)
	return bits.OnesCount64(first)%2 == 0 && bits.OnesCount64(last)%2 == 1
}

// hint is the last four digits at most, and never all.
func (c card) hint() string {
	l := cardFormats[c.format]
	digits := strconv.FormatUint(c.number, 10)
	if l.serial() {
		digits = fmt.Sprintf("%0*X", l.number/4, c.number)
	}
	return "••" + digits[max(len(digits)-4, 1):]
}

// whole is all that the card says, as it is sealed and looked up.
func (c card) whole() []byte { return fmt.Appendf(nil, "%s:%d:%d", c.format, c.facility, c.number) }

// bare is the number without the facility code; nil for a serial number.
func (c card) bare() []byte {
	if cardFormats[c.format].serial() {
		return nil
	}
	return fmt.Appendf(nil, "%s:%d", c.format, c.number)
}

// AddCardInput describes a user's card.
type AddCardInput struct {
	UserID       typeid.User
	Format       CardFormat
	FacilityCode *int
	Number       string
	Label        *string
	ValidFrom    *time.Time // nil: at once
	ValidUntil   *time.Time // nil: for good
}

// AddCardPayload holds the new credential.
type AddCardPayload struct{ Credential *ent.Credential }

// AddCard gives a user a card. A card is one user's at a time.
func (s *Service) AddCard(ctx context.Context, in AddCardInput) (*AddCardPayload, error) {
	if err := Authorize(ctx, WriteCredentials); err != nil {
		return nil, err
	}
	var f faults
	read := PresentedCardInput{in.Format, in.FacilityCode, in.Number}.read(&f, "")
	f.credential(in.Label, in.ValidFrom, in.ValidUntil)
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	c, err := s.give(ctx, in.UserID, func(tx *ent.Tx) (*ent.CredentialCreate, error) {
		index, err := s.unused(ctx, tx, credential.KindCARD, cardDomain, read.whole(), "number")
		create := tx.Credential.Create().SetKind(credential.KindCARD).SetHint(read.hint()).
			SetCardFormat(string(read.format)).SetNillableLabel(in.Label).SetLookup(index).
			SetSealed(s.secrets.Seal(by.Organization, cardDomain, read.whole())).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil)
		if bare := read.bare(); bare != nil {
			create.SetNumberLookup(s.secrets.Indexes(by.Organization, numberDomain, bare)[0])
		}
		return create, err
	})
	if err != nil {
		return nil, err
	}
	return &AddCardPayload{c}, nil
}
