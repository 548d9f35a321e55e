package signed

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tileSize is how many entries a note of what was pruned is about.
const tileSize = 256

// Pruned says which entries of a tile of leaves retention has taken. It is signed like a checkpoint, under
// the same name, and never passes for one: its second line is no size.
type Pruned struct {
	Origin   string
	Position int64 // of the tile, from 0
	Entries  [tileSize / 8]byte
	Before   time.Time // all of them were recorded before
}

// prunedLine is the second line of such a note.
const prunedLine = "pruned"

// instantLayout has exactly six decimals, so that what is equal has equal bytes.
const instantLayout = "2006-01-02T15:04:05.000000Z"

// Has says whether the note is of the entry at an index of the tile.
func (p Pruned) Has(index int64) bool { return p.Entries[index/8]>>(index%8)&1 == 1 }

// Add makes the note be of one more entry.
func (p *Pruned) Add(index int64) { p.Entries[index/8] |= 1 << (index % 8) }

func (p Pruned) text() string {
	return fmt.Sprintf("%s\n%s\n%d\n%s\n%s\n", p.Origin, prunedLine, p.Position,
		base64.StdEncoding.EncodeToString(p.Entries[:]), p.Before.UTC().Format(instantLayout))
}

// OpenPruned returns what a note says was pruned, if one of the keys signed it.
func OpenPruned(text string, keys ...PublicKey) (Pruned, error) {
	said, err := open(text, keys)
	if err != nil {
		return Pruned{}, err
	}
	return parsePruned(said)
}

// PeekPruned returns what a note says was pruned, whoever signed it.
func PeekPruned(text string) (Pruned, error) {
	said, _, _ := strings.Cut(text, "\n\n")
	return parsePruned(said + "\n")
}

func parsePruned(text string) (p Pruned, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 6 || lines[1] != prunedLine {
		return p, fmt.Errorf("%w: it does not say what was pruned", ErrUnverified)
	}
	p.Origin = lines[0]
	bits, err1 := base64.StdEncoding.Strict().DecodeString(lines[3])
	before, err2 := time.Parse(instantLayout, lines[4])
	p.Position, err = strconv.ParseInt(lines[2], 10, 64)
	p.Before = before
	if err != nil || err1 != nil || err2 != nil || len(bits) != len(p.Entries) {
		return p, fmt.Errorf("%w: what was pruned is malformed", ErrUnverified)
	}
	copy(p.Entries[:], bits)
	if p.Position < 0 || p.text() != text {
		return p, fmt.Errorf("%w: what was pruned is malformed", ErrUnverified)
	}
	return p, nil
}
