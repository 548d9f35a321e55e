package extract

import (
	"time"

	"github.com/cardea/cardea/journal/signed"
)

// taken is what the notes of a tile say of which of its entries retention took.
type taken struct {
	notes  []signed.Pruned
	excuse string // what is said of an entry that is missing all the same
}

// taken reads the notes of a tile. One that no trusted key signed, or of another place, explains nothing.
func (v *verifier) taken(t *Tile) taken {
	of := taken{excuse: ", and no retention explains it"}
	for _, text := range t.Pruned {
		said, err := signed.OpenPruned(text, v.o.Keys...)
		switch {
		case err != nil:
			of.excuse = ": what explains it is not signed by a key that is trusted"
		case said.Origin != v.report.Header.Origin || said.Position != t.Position:
			of.excuse = ": what explains it is of another place"
		default:
			of.notes = append(of.notes, said)
		}
	}
	return of
}

// when is the instant before which an entry that was taken was recorded.
func (of taken) when(sequence int64) (before time.Time, pruned bool) {
	for _, note := range of.notes {
		if note.Has((sequence - 1) % TileSize) {
			return note.Before, true
		}
	}
	return before, false
}
