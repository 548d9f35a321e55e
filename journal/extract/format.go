// Package extract is the file of an exported audit log, and what proves it: lines of JSON that can be
// verified with the public key alone, without Cardea.
//
// The first line is a Header: which log, which entries, the signed checkpoint, and the hashes that lead from
// the entries to its root. Then comes a line for each event, byte for byte what its leaf hash covers.
// Between them stand lines with one member that tells what they are:
//
//	{"tile":…}        hashes of the tree as the database keeps them, after the entries that they are of
//	{"checkpoint":…}  an earlier checkpoint, after the last entry that it covers
//	{"leaf":…}        an entry's stored leaf hash, after the entry: only where it is not the entry's
//
// Tiles make that a wrong entry can be named, and not only that there is one. They also say, signed, which
// entries retention took: of these the hash alone is there. The package is pure.
package extract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Format is what the first member of a file says.
const Format = "cardea-log/1"

// TileSize is how many hashes a tile has at most.
const TileSize = 256

// hashSize is the length of SHA-256, in bytes.
const hashSize = 32

var (
	hasher = rfc6962.DefaultHasher
	ranges = compact.RangeFactory{Hash: hasher.HashChildren}
)

// Header is the first line of a file.
type Header struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	// First and Last are the sequences of the file's first and last entry; Last is First-1 if it has none.
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	// Size is that of the checkpoint: 0 if there is none.
	Size       int64  `json:"size"`
	Checkpoint string `json:"checkpoint"`
	// Before and After are the compact ranges of the entries before the first and after the last.
	Before [][]byte `json:"before"`
	After  [][]byte `json:"after"`
	// Consistency leads from a checkpoint that the reader has to the one here.
	Consistency *Consistency `json:"consistency,omitempty"`
	// Refused is why Cardea signed nothing newer: it found the journal edited.
	Refused string `json:"refused,omitempty"`
}

// Consistency is a proof of RFC 6962 between two sizes, of which the larger is the header's.
type Consistency struct {
	From   int64    `json:"from"`
	Hashes [][]byte `json:"hashes"`
}

// Tile is a tile of the tree.
type Tile struct {
	Level    int64  `json:"level"`
	Position int64  `json:"position"`
	Hashes   []byte `json:"hashes"` // joined
	// Pruned are the notes, signed, of which entries of a tile of leaves retention took.
	Pruned []string `json:"pruned,omitempty"`
}

// Checkpoint is an earlier checkpoint.
type Checkpoint struct {
	Size int64  `json:"size"`
	Note string `json:"note"`
}

// Leaf is the leaf hash that is stored beside an entry.
type Leaf struct {
	Sequence int64  `json:"sequence"`
	Hash     []byte `json:"hash"`
}

// extra is a line that is no entry.
type extra struct {
	Tile       *Tile       `json:"tile,omitempty"`
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Leaf       *Leaf       `json:"leaf,omitempty"`
}

// others are how lines begin that are no entry; so no entry does, as its members are in order.
var others = [][]byte{[]byte(`{"format":`), []byte(`{"tile":`), []byte(`{"checkpoint":`), []byte(`{"leaf":`)}

// IsEntry says whether a line of a file is an event.
func IsEntry(line []byte) bool {
	return !slices.ContainsFunc(others, func(begin []byte) bool { return bytes.HasPrefix(line, begin) })
}

// CheckpointIn returns the note that a file is, or that the header of an exported log has.
func CheckpointIn(file io.Reader) (string, error) {
	lines := bufio.NewReaderSize(io.LimitReader(file, maxLine), 64<<10)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return "", fmt.Errorf("read checkpoint: %w", err)
	}
	var h Header
	if json.Unmarshal(first, &h) == nil {
		return h.Checkpoint, nil
	}
	rest, err := io.ReadAll(lines)
	return string(first) + string(rest), err
}

// Writer writes a file, line by line.
type Writer struct{ to io.Writer }

// NewWriter returns a writer of a file that begins with WriteHeader, or goes on without.
func NewWriter(to io.Writer) *Writer { return &Writer{to} }

// WriteHeader writes the first line.
func (w *Writer) WriteHeader(h Header) error {
	h.Format = Format
	return w.line(h)
}

// WriteEntry writes an event's canonical bytes.
func (w *Writer) WriteEntry(canonical []byte) error {
	_, err := w.to.Write(append(slices.Clip(canonical), '\n'))
	return err
}

// WriteTile writes a tile.
func (w *Writer) WriteTile(t Tile) error { return w.line(extra{Tile: &t}) }

// WriteCheckpoint writes an earlier checkpoint.
func (w *Writer) WriteCheckpoint(c Checkpoint) error { return w.line(extra{Checkpoint: &c}) }

// LeafHash is the RFC 6962 leaf hash of an entry.
func LeafHash(canonical []byte) []byte { return hasher.HashLeaf(canonical) }

// WriteLeaf writes the leaf hash that is stored beside an entry, if it is not the entry's.
func (w *Writer) WriteLeaf(sequence int64, canonical, stored []byte) error {
	if string(stored) == string(hasher.HashLeaf(canonical)) {
		return nil
	}
	return w.line(extra{Leaf: &Leaf{sequence, stored}})
}

func (w *Writer) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write line: %w", err)
	}
	_, err = w.to.Write(append(text, '\n'))
	return err
}
