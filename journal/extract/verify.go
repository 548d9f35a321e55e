package extract

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/proof"

	"github.com/cardea/cardea/journal/signed"
)

// Options say what a file is verified against.
type Options struct {
	Keys []signed.PublicKey
	// Previous is the note of a checkpoint that the reader kept: the file has to extend it. "": none.
	Previous string
}

// Report is what a file proves. It proves all that it says if Wrong is nil.
type Report struct {
	Header   Header
	Entries  int64     // that are in the file
	Pruned   int64     // that are not, as retention took them
	Before   time.Time // all that it took were recorded before
	Begin    int64     // the first that is in the file; 0: none is
	Previous int64     // the size of Options.Previous
	Wrong    *Finding
}

// Finding is the first that is wrong with a file.
type Finding struct {
	Sequence int64 // of the entry; 0: it is the file as a whole
	What     string
}

// String says which entry is wrong, and how.
func (f Finding) String() string {
	if f.Sequence == 0 {
		return f.What
	}
	return fmt.Sprintf("entry %d %s", f.Sequence, f.What)
}

// maxLine is longer than any line of a file: an event, or a header with its proofs.
const maxLine = 1 << 20

// Verify reads a file once, from begin to end, in little memory. The error is of reading alone: what is
// wrong with the file is in the report.
func Verify(from io.Reader, o Options) (*Report, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read file: %w", err)
		}
		return &Report{Wrong: &Finding{0, "the file is empty"}}, nil
	}
	v, wrong := open(lines.Bytes(), o)
	if wrong != nil {
		return &Report{Wrong: wrong}, nil
	}
	for lines.Scan() {
		v.line(lines.Bytes())
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		v.find(v.next, "is on a line that is too long")
	} else if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	v.end()
	return &v.report, nil
}

// verifier is the state between two lines.
type verifier struct {
	o      Options
	report Report
	final  signed.Checkpoint
	next   int64            // the sequence that the next entry should have
	tile   map[int64][]byte // leaf hashes of entries of the tile that is being read, by sequence
	signed map[int64][]signed.Checkpoint
	own    *tree // of the entries
	told   *tree // of the hashes that the file tells
	good   int64 // the size of the largest checkpoint that the entries lead to
	bad    int64 // and of the smallest that they do not; 0: none
}

// open reads the header.
func open(line []byte, o Options) (*verifier, *Finding) {
	v := &verifier{o: o, tile: map[int64][]byte{}, signed: map[int64][]signed.Checkpoint{}}
	h := &v.report.Header
	if err := json.Unmarshal(line, h); err != nil || h.Format != Format {
		return nil, &Finding{0, "the file does not begin as an export of a log does"}
	}
	if h.Checkpoint == "" {
		return nil, &Finding{0, "the file has no checkpoint: nothing of it is signed"}
	}
	said, err := signed.Open(h.Checkpoint, o.Keys...)
	if err != nil {
		return nil, &Finding{0, "the file's checkpoint is not signed by a key that is trusted"}
	}
	if said.Origin != h.Origin || said.Size != h.Size {
		return nil, &Finding{0, fmt.Sprintf("the file's checkpoint is of %s at %d", said.Origin, said.Size)}
	}
	if h.First < 1 || h.Last < h.First-1 || h.Last > h.Size {
		return nil, &Finding{0, "the file's header contradicts itself"}
	}
	v.final, v.next, v.good = said, h.First, h.First-1
	var err1, err2 error
	v.own, err1 = newTree(h.First-1, h.Before)
	v.told, err2 = newTree(h.First-1, h.Before)
	if err1 != nil || err2 != nil {
		return nil, &Finding{0, "the file's header has not the hashes that lead to its first entry"}
	}
	wrong := v.expect()
	return v, wrong
}

// expect sees that the file extends the checkpoint that the reader kept, or has it seen on the way.
func (v *verifier) expect() *Finding {
	if v.o.Previous == "" {
		return nil
	}
	kept, err := signed.Open(v.o.Previous, v.o.Keys...)
	if err != nil {
		return &Finding{0, "the earlier checkpoint is not signed by a key that is trusted"}
	}
	h := v.report.Header
	v.report.Previous = kept.Size
	switch {
	case kept.Size == 0:
	case kept.Origin != h.Origin:
		return &Finding{0, "the earlier checkpoint is of another log, " + kept.Origin}
	case kept.Size > h.Size:
		return &Finding{h.Size + 1, fmt.Sprintf("is missing: the log ends at %d, and an earlier checkpoint covers %d",
			h.Size, kept.Size)}
	case kept.Size >= h.First-1 && kept.Size <= h.Last && kept.Size > 0:
		v.signed[kept.Size] = append(v.signed[kept.Size], kept)
		v.compare(h.First - 1)
	case h.Consistency == nil || h.Consistency.From != kept.Size:
		return &Finding{0, fmt.Sprintf("the file does not show that it extends checkpoint %d: "+
			"export it again with that as previous", kept.Size)}
	default:
		err := proof.VerifyConsistency(hasher, uint64(kept.Size), uint64(h.Size), //nolint:gosec // positive
			h.Consistency.Hashes, kept.Root, v.final.Root)
		if err != nil {
			return &Finding{0, fmt.Sprintf("the log of checkpoint %d is not the beginning of this one", kept.Size)}
		}
	}
	return nil
}

// find keeps the first finding.
func (v *verifier) find(sequence int64, what string, args ...any) {
	if v.report.Wrong == nil || sequence < v.report.Wrong.Sequence {
		v.report.Wrong = &Finding{sequence, fmt.Sprintf(what, args...)}
	}
}

// line takes one line after the header.
func (v *verifier) line(line []byte) {
	if IsEntry(line) {
		v.entry(line)
		return
	}
	var e extra
	if err := json.Unmarshal(line, &e); err != nil {
		v.find(v.next, "follows a line that cannot be read")
		return
	}
	switch {
	case e.Tile != nil && e.Tile.Level == 0:
		v.leaves(e.Tile)
	case e.Tile != nil:
		v.nodes(e.Tile)
	case e.Checkpoint != nil:
		v.earlier(*e.Checkpoint)
	case e.Leaf != nil:
		v.find(e.Leaf.Sequence, "is not what the hash beside it in the database is of")
	default:
		v.find(v.next, "follows a line that says nothing")
	}
}

// entry takes an event.
func (v *verifier) entry(line []byte) {
	var said struct {
		Sequence     int64  `json:"sequence"`
		Organization string `json:"organizationId"`
	}
	h := v.report.Header
	if err := json.Unmarshal(line, &said); err != nil || said.Sequence == 0 {
		v.find(v.next, "cannot be read")
		return
	}
	if v.report.Entries++; v.report.Begin == 0 {
		v.report.Begin = said.Sequence
	}
	switch {
	case said.Sequence < v.next:
		v.find(said.Sequence, "stands twice, or out of order")
		return
	case said.Sequence > h.Last:
		v.find(max(v.next, h.Last+1), "comes after the end: entry %d is the last that was signed", h.Last)
		return
	case !strings.HasSuffix(h.Origin, "/"+said.Organization):
		v.find(said.Sequence, "is of another organization")
	}
	if tileOf(said.Sequence) > tileOf(v.next) {
		v.finish(tileOf(said.Sequence), nil, taken{})
	}
	v.next = said.Sequence + 1
	v.tile[said.Sequence] = hasher.HashLeaf(line)
}

func tileOf(sequence int64) int64 { return (sequence - 1) / TileSize }

// leaves takes the hashes of a tile of leaves.
func (v *verifier) leaves(t *Tile) {
	if t.Position < tileOf(v.own.size()+1) {
		return // again, or out of place: entries that lack theirs are found
	}
	v.finish(t.Position, nil, taken{})
	v.finish(t.Position+1, t.Hashes, v.taken(t))
}

// finish ends the tiles before a position, of which the last has these hashes, and lacks what was taken.
func (v *verifier) finish(position int64, hashes []byte, of taken) {
	end := min(position*TileSize, v.report.Header.Last)
	for sequence := v.own.size() + 1; sequence <= end; sequence++ {
		v.one(sequence, hashAt(hashes, sequence), of)
	}
	v.next = max(v.next, end+1)
}

// hashAt is the hash of an entry in its tile, or nil.
func hashAt(hashes []byte, sequence int64) []byte {
	at := int((sequence - 1) % TileSize * hashSize)
	if at+hashSize > len(hashes) {
		return nil
	}
	return hashes[at : at+hashSize]
}

// one compares an entry with the hash that the file tells of it, and adds it to the trees.
func (v *verifier) one(sequence int64, told []byte, of taken) {
	own, there := v.tile[sequence]
	delete(v.tile, sequence)
	before, pruned := of.when(sequence)
	switch {
	case there && told == nil:
		v.find(sequence, "has no hash in the file")
	case there && !bytes.Equal(own, told):
		v.find(sequence, "was changed")
	case !there && told != nil && pruned:
		v.report.Pruned++
		if before.After(v.report.Before) {
			v.report.Before = before
		}
	case !there:
		v.find(sequence, "is missing%s", of.excuse)
	}
	if own == nil {
		own = told
	}
	if told == nil {
		told = own
	}
	v.own.add(own)
	v.told.add(told)
	v.compare(sequence)
}

// compare holds the tree of a size against the checkpoints of that size.
func (v *verifier) compare(size int64) {
	for _, c := range v.signed[size] {
		switch {
		case v.own.size() == size && bytes.Equal(v.own.root(nil, size), c.Root):
			v.good = max(v.good, size)
		case v.bad == 0:
			v.bad = size
		}
	}
	delete(v.signed, size)
}

// earlier takes a checkpoint of the log's own.
func (v *verifier) earlier(c Checkpoint) {
	said, err := signed.Open(c.Note, v.o.Keys...)
	switch {
	case err != nil:
		v.find(max(c.Size, 1), "is followed by a checkpoint that no trusted key signed")
	case said.Size != c.Size || said.Origin != v.report.Header.Origin:
		v.find(max(c.Size, 1), "is followed by a checkpoint of %s at %d", said.Origin, said.Size)
	default:
		v.signed[said.Size] = append(v.signed[said.Size], said)
		if v.own.size() >= said.Size {
			v.compare(said.Size)
		}
	}
}

// nodes takes a tile of a higher level: each hash is of entries that were read, or cannot be told.
func (v *verifier) nodes(t *Tile) {
	if t.Level > 7 || t.Level < 0 || t.Position < 0 {
		v.find(v.next, "follows hashes of no tree")
		return
	}
	for i := range int64(len(t.Hashes) / hashSize) {
		index := t.Position*TileSize + i
		told, known := v.told.node(t.Level, index)
		if known && !bytes.Equal(told, t.Hashes[i*hashSize:(i+1)*hashSize]) {
			v.find((index+1)<<(8*t.Level), "ends a subtree of level %d whose stored hash is another", 8*t.Level)
		}
	}
	v.told.passed(t.Level, t.Position, int64(len(t.Hashes)/hashSize))
}

// end concludes.
func (v *verifier) end() {
	h := v.report.Header
	v.finish(tileOf(max(h.Last, 1))+1, nil, taken{})
	proved := bytes.Equal(v.own.root(h.After, h.Size), v.final.Root)
	if v.bad == 0 && !proved {
		v.bad = h.Last
	}
	if v.report.Wrong == nil && v.bad > 0 {
		v.find(max(min(v.good+1, h.Last), 1),
			"or one after it, up to %d, was rewritten: they do not lead to what was signed", v.bad)
	}
	if !proved && !bytes.Equal(v.told.root(h.After, h.Size), v.final.Root) {
		v.report.Wrong.What += " (nor do the hashes in the file)"
	}
	if level := v.told.lacking(); level > 0 {
		v.find(h.Last+1, "is after entries whose hashes of level %d are missing", level)
	}
	if h.Refused != "" {
		v.find(h.Size+1, "is not signed: Cardea refused, because %s", h.Refused)
	}
}
