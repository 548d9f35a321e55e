package uhppote

import (
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/typeid"
)

// List is what Cardea decides about a controller's doors for a time: whose cards open which door when.
type List struct {
	Sequence     int64 // of two lists, the one with the higher sequence counts
	At, NotAfter time.Time
	Sheets       map[int]verdict.Sheet // by port
	Cards        []Card                // of the people in the sheets
}

// Card is a card that was given to somebody.
type Card struct {
	Credential       typeid.Credential
	User             typeid.User
	Format           string // of access.CardFormat
	Facility, Number uint64
	From, Until      time.Time // zero: without bound
}

// The formats whose cards a controller's readers tell apart.
const (
	wiegand26 = "WIEGAND_26"
	csn32     = "CSN_32"
)

// number is what the controller takes the card for; 0 if it cannot read such cards, or takes the
// number for something else.
func (c Card) number() uint32 {
	var n uint64
	switch c.Format {
	case wiegand26: // the facility code's digits before five of the number
		n = c.Facility*100_000 + c.Number
	case csn32:
		n = c.Number
	}
	if n >= deletedCard || n == 0x00ffffff {
		return 0
	}
	return uint32(n)
}

// Loss is something of a list that the controller cannot be told, and how often. What is lost never
// lets anybody in: who cannot be told is refused.
type Loss struct {
	What  string `json:"what"`
	Count int    `json:"count"`
}

// What can be lost.
const (
	lossFormat  = "CARD_FORMAT"  // cards of a format that the controllers do not read
	lossClash   = "CARD_CLASH"   // cards that the controller would take for one another's
	lossMinutes = "MINUTES"      // times that do not begin or end on a minute, and are cut to whole ones
	lossTimes   = "TIMES"        // cards whose times found no profile left
	lossDoor    = "NO_SUCH_DOOR" // doors at ports that the controller does not have
)
