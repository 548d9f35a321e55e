package extract_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

// book is a log in memory, with all that a file of it needs.
type book struct {
	t       testing.TB
	org     typeid.Organization
	keys    *signed.Keyring
	entries [][]byte
	nodes   map[compact.NodeID][]byte
	tree    *compact.Range
}

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func newBook(tb testing.TB, size int) *book {
	tb.Helper()
	b := &book{t: tb, org: typeid.New[typeid.Organization](), nodes: map[compact.NodeID][]byte{}}
	var err error
	if b.keys, err = signed.NewKeyring(bytes.Repeat([]byte{5}, 32)); err != nil {
		tb.Fatal(err)
	}
	b.tree = ranges.NewEmptyRange(0)
	b.grow(size)
	return b
}

func (b *book) grow(count int) {
	for range count {
		entry := fmt.Appendf(nil,
			`{"actor":{"id":"test","kind":"SYSTEM"},"data":{},"organizationId":"%s","sequence":%d}`,
			b.org, len(b.entries)+1)
		b.entries = append(b.entries, entry)
		leaf := rfc6962.DefaultHasher.HashLeaf(entry)
		b.nodes[compact.NodeID{Index: uint64(len(b.entries) - 1)}] = leaf
		_ = b.tree.Append(leaf, func(id compact.NodeID, hash []byte) { b.nodes[id] = hash })
	}
}

func (b *book) hashes(ids []compact.NodeID) (all [][]byte) {
	for _, id := range ids {
		all = append(all, b.nodes[id])
	}
	return all
}

func (b *book) root(size int) []byte {
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	r, err := ranges.NewRange(0, uint64(size), b.hashes(compact.RangeNodes(0, uint64(size), nil)))
	if err != nil {
		b.t.Fatal(err)
	}
	root, _ := r.GetRootHash(nil)
	return root
}

func (b *book) note(size int) string {
	text, err := b.keys.Sign(b.org, int64(size), b.root(size), time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

func (b *book) header(first, last int) extract.Header {
	size := len(b.entries)
	return extract.Header{Origin: signed.Origin(b.org), First: int64(first), Last: int64(last),
		Size: int64(size), Checkpoint: b.note(size),
		Before: b.hashes(compact.RangeNodes(0, uint64(first-1), nil)),
		After:  b.hashes(compact.RangeNodes(uint64(last), uint64(size), nil))}
}

func (b *book) tile(level, position int) extract.Tile {
	t := extract.Tile{Level: int64(level), Position: int64(position)}
	for i := range 256 {
		t.Hashes = append(t.Hashes, b.nodes[compact.NodeID{Level: uint(8 * level), Index: uint64(position*256 + i)}]...)
	}
	return t
}

// lines is a file of the entries from first to last, as lines.
func (b *book) lines(h extract.Header, checkpoints ...int) []string {
	var file bytes.Buffer
	w := extract.NewWriter(&file)
	_ = w.WriteHeader(h)
	for n := int(h.First); n <= int(h.Last); n++ {
		_ = w.WriteEntry(bytes.Clone(b.entries[n-1]))
		for _, size := range checkpoints {
			if size == n {
				_ = w.WriteCheckpoint(extract.Checkpoint{Size: int64(size), Note: b.note(size)})
			}
		}
		if n%256 == 0 || n == int(h.Last) {
			_ = w.WriteTile(b.tile(0, (n-1)/256))
		}
	}
	if len(b.entries) >= 256 {
		_ = w.WriteTile(b.tile(1, 0))
	}
	return strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n")
}

func (b *book) verify(lines []string, o extract.Options) *extract.Report {
	b.t.Helper()
	if o.Keys == nil {
		o.Keys = b.keys.Public()
	}
	report, err := extract.Verify(strings.NewReader(strings.Join(lines, "\n")+"\n"), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return report
}

func (b *book) good(lines []string, o extract.Options) {
	b.t.Helper()
	if r := b.verify(lines, o); r.Wrong != nil {
		b.t.Fatalf("first %d, last %d, size %d: %v", r.Header.First, r.Header.Last, r.Header.Size, r.Wrong)
	}
}

func (b *book) bad(lines []string, o extract.Options, want string) {
	b.t.Helper()
	r := b.verify(lines, o)
	if r.Wrong == nil || !strings.HasPrefix(r.Wrong.String(), want) {
		b.t.Errorf("got %v, want %s", r.Wrong, want)
	}
}

func TestVerifyWholeFilesAndWindows(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 255, 256, 257, 700} {
		b := newBook(t, size)
		for _, first := range []int{1, 2, 200, 256, 257, 258, 600} {
			for _, last := range []int{1, 199, 255, 256, 257, 512, 699, size} {
				if first > last+1 || last > size {
					continue
				}
				h := b.header(first, last)
				b.good(b.lines(h), extract.Options{})
				for _, kept := range []int{1, first, last, size} {
					if kept > size {
						continue
					}
					nodes, _ := proof.Consistency(uint64(kept), uint64(size))
					hashes, _ := nodes.Rehash(b.hashes(nodes.IDs), rfc6962.DefaultHasher.HashChildren)
					h.Consistency = &extract.Consistency{From: int64(kept), Hashes: hashes}
					b.good(b.lines(h), extract.Options{Previous: b.note(kept)})
				}
			}
		}
	}
}

func TestVerifyNamesTheFirstWrongEntry(t *testing.T) {
	t.Parallel()
	b := newBook(t, 600)
	whole := func() []string { return b.lines(b.header(1, 600), 100, 300) }
	at := func(lines []string, sequence int) int {
		for i, line := range lines {
			if strings.HasSuffix(line, fmt.Sprintf(`"sequence":%d}`, sequence)) {
				return i
			}
		}
		t.Fatal("no such entry")
		return 0
	}
	b.good(whole(), extract.Options{Previous: b.note(256)})

	changed := whole()
	changed[at(changed, 300)] = strings.Replace(changed[at(changed, 300)], "test", "Test", 1)
	b.bad(changed, extract.Options{}, "entry 300 was changed")
	b.bad(changed, extract.Options{Previous: b.note(256)}, "entry 300 was changed")

	gap := whole()
	gap = append(gap[:at(gap, 17)], gap[at(gap, 17)+1:]...)
	b.bad(gap, extract.Options{}, "entry 17 is missing, and no retention explains it")

	swapped := whole()
	i := at(swapped, 255)
	swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
	b.bad(swapped, extract.Options{}, "entry 255 ")

	twice := whole()
	i = at(twice, 40)
	twice = append(twice[:i:i], append([]string{twice[i]}, twice[i:]...)...)
	b.bad(twice, extract.Options{}, "entry 40 stands twice")

	cut := whole()
	b.bad(cut[:at(cut, 551)], extract.Options{}, "entry 513 has no hash")
	b.bad(cut[:1], extract.Options{}, "entry 1 is missing")

	beyond := append(whole(), strings.Replace(string(b.entries[599]), `:600}`, `:601}`, 1))
	b.bad(beyond, extract.Options{}, "entry 601 comes after the end")

	broken := whole()
	broken[at(broken, 9)] = broken[at(broken, 9)][:30]
	b.bad(broken, extract.Options{}, "entry 9 ")

	header := b.header(1, 600)
	header.Refused = "of a test"
	b.bad(b.lines(header), extract.Options{}, "entry 601 is not signed")

	other := newBook(t, 300)
	foreign := whole()
	foreign[at(foreign, 3)] = string(other.entries[2])
	b.bad(foreign, extract.Options{}, "entry 3 ")
	b.bad(whole(), extract.Options{Previous: other.note(200)}, "the earlier checkpoint is of another log")
	b.bad(whole(), extract.Options{Keys: []signed.PublicKey{{Key: make([]byte, 32)}}},
		"the file's checkpoint is not signed")

	kept := b.note(600)
	short := *b
	short.entries = b.entries[:590]
	b.bad(short.lines(short.header(1, 590)), extract.Options{Previous: kept},
		"entry 591 is missing: the log ends at 590")
}

// TestVerifyFindsARewrite has a log whose every hash was computed anew, and even signed.
func TestVerifyFindsARewrite(t *testing.T) {
	t.Parallel()
	b := newBook(t, 600)
	early, later := b.note(250), b.note(550)
	forged := newBook(t, 0)
	forged.org = b.org
	forged.grow(300)
	forged.entries[299] = bytes.Replace(forged.entries[299], []byte("test"), []byte("Test"), 1)
	first := forged.entries[:300]
	rewritten := newBook(t, 0)
	rewritten.org = b.org
	for _, entry := range first {
		leaf := rfc6962.DefaultHasher.HashLeaf(entry)
		rewritten.entries = append(rewritten.entries, entry)
		rewritten.nodes[compact.NodeID{Index: uint64(len(rewritten.entries) - 1)}] = leaf
		_ = rewritten.tree.Append(leaf, func(id compact.NodeID, hash []byte) { rewritten.nodes[id] = hash })
	}
	rewritten.grow(300)
	file := rewritten.lines(rewritten.header(1, 600))
	b.good(file, extract.Options{})
	b.good(file, extract.Options{Previous: early})
	b.bad(file, extract.Options{Previous: later}, "entry 1 or one after it, up to 550, was rewritten")

	narrowed := append([]string{}, file...)
	line, _ := json.Marshal(map[string]any{"checkpoint": map[string]any{"size": 250, "note": early}})
	narrowed = append(narrowed[:251:251], append([]string{string(line)}, narrowed[251:]...)...)
	b.bad(narrowed, extract.Options{Previous: later}, "entry 251 or one after it, up to 550, was rewritten")
}

// TestEveryBitCounts flips each bit of a file, one at a time.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	b := newBook(t, 5)
	file := strings.Join(b.lines(b.header(2, 4), 3), "\n") + "\n"
	missed := 0
	for i := range len(file) {
		for _, bit := range []int{i % 8, 5} { // 5 is that of upper and lower case
			flipped := []byte(file)
			flipped[i] ^= 1 << bit
			r, err := extract.Verify(bytes.NewReader(flipped), extract.Options{Keys: b.keys.Public()})
			if err == nil && r.Wrong == nil {
				missed++
				if !harmless(file, string(flipped)) {
					t.Errorf("bit %d of byte %d: %q", bit, i, flipped[max(0, i-20):min(len(flipped), i+20)])
				}
			}
		}
	}
	t.Logf("%d of %d flips say the same", missed, 2*len(file))
}

// harmless says that the lines of two files say the same, entries to the byte.
func harmless(one, other string) bool {
	a, b := strings.Split(one, "\n"), strings.Split(other, "\n")
	if len(a) != len(b) {
		return strings.TrimRight(one, "\n ") == strings.TrimRight(other, "\n \r")
	}
	for i := range a {
		var x, y any
		if a[i] != b[i] && (strings.HasPrefix(a[i], `{"actor"`) ||
			json.Unmarshal([]byte(strings.ToLower(a[i])), &x) != nil ||
			json.Unmarshal([]byte(strings.ToLower(b[i])), &y) != nil) {
			return false
		}
	}
	return true
}

func FuzzVerify(f *testing.F) {
	b := newBook(f, 300)
	f.Add(strings.Join(b.lines(b.header(1, 300), 100), "\n"))
	f.Add(strings.Join(b.lines(b.header(250, 270)), "\n"))
	f.Fuzz(func(_ *testing.T, file string) {
		_, _ = extract.Verify(strings.NewReader(file), extract.Options{Keys: b.keys.Public()})
	})
}

// BenchmarkVerify verifies a file of a million entries of common size. The floor is what the same bytes
// take at least: SHA-256 of each line, and a look at whether it is JSON.
//
//	go test -run '^$' -bench Verify -benchtime 3x ./journal/extract
func BenchmarkVerify(b *testing.B) {
	const size = 1_000_000
	path := filepath.Join(b.TempDir(), "audit-log.ndjson")
	keys := write(b, path, size)
	b.Run("verify", func(b *testing.B) {
		read(b, path, func(file io.Reader) {
			r, err := extract.Verify(file, extract.Options{Keys: keys.Public()})
			if err != nil || r.Wrong != nil || r.Entries != size {
				b.Fatal(r, err)
			}
		})
	})
	b.Run("floor", func(b *testing.B) {
		read(b, path, func(file io.Reader) {
			lines := bufio.NewScanner(file)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				if sha256.Sum256(lines.Bytes()) == [32]byte{} || !json.Valid(lines.Bytes()) {
					b.Fatal("is no JSON")
				}
			}
		})
	})
}

// read has a file read, again and again, and tells how much processor time each took.
func read(b *testing.B, path string, whole func(io.Reader)) {
	b.Helper()
	about, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(about.Size())
	begun := usage(b)
	for b.Loop() {
		file, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		whole(file)
		_ = file.Close()
	}
	b.ReportMetric((usage(b)-begun).Seconds()/float64(b.N), "cpu-s/op")
}

// usage is the processor time that this process has taken.
func usage(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// write writes a file, of which memory would not hold the tree.
func write(b *testing.B, path string, size int64) *signed.Keyring {
	b.Helper()
	keys, err := signed.NewKeyring(bytes.Repeat([]byte{5}, 32))
	if err != nil {
		b.Fatal(err)
	}
	org := typeid.New[typeid.Organization]()
	golden := fmt.Sprintf(`{"actor":{"id":"%s","kind":"USER"},"commandId":"%s","data":{"port":1},"delivery":"LIVE",`+
		`"deviceId":"%s","doorId":"%s","id":"%s","keyId":"%s","method":"REMOTE",`+
		`"occurredAt":"2026-11-21T08:00:00.000000Z",`+
		`"organizationId":"%s","outcome":"GRANTED","reason":"GRANTED_REMOTE",`+
		`"receivedAt":"2026-11-21T08:00:00.000000Z",`+
		`"schemaVersion":1,"sequence":%%d,"severity":"INFO","siteId":"%s","type":"access.granted","userId":"%s"}`,
		typeid.New[typeid.User](), typeid.New[typeid.Command](), typeid.New[typeid.Device](), typeid.New[typeid.Door](),
		typeid.New[typeid.Event](), typeid.New[typeid.Key](), org, typeid.New[typeid.Site](), typeid.New[typeid.User]())
	levels := map[int64]*extract.Tile{}
	tree := ranges.NewEmptyRange(0)
	var body bytes.Buffer
	w := extract.NewWriter(&body)
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	// The header has the root, and so comes last: its room is kept as a file of its own.
	rest, err := os.Create(path + ".rest")
	if err != nil {
		b.Fatal(err)
	}
	put := func(level int64, hash []byte) {
		t := levels[level]
		if t == nil {
			t = &extract.Tile{Level: level}
			levels[level] = t
		}
		if t.Hashes = append(t.Hashes, hash...); len(t.Hashes) == 256*32 {
			_ = w.WriteTile(*t)
			levels[level] = &extract.Tile{Level: level, Position: t.Position + 1}
		}
	}
	for n := int64(1); n <= size; n++ {
		entry := fmt.Appendf(nil, golden, n)
		_ = w.WriteEntry(entry)
		leaf := extract.LeafHash(entry)
		var above [][]byte
		_ = tree.Append(leaf, func(id compact.NodeID, hash []byte) {
			if id.Level > 0 && id.Level%8 == 0 {
				above = append(above, hash)
			}
		})
		put(0, leaf)
		for i, hash := range above {
			put(int64(i+1), hash)
		}
		if body.Len() > 1<<20 || n == size {
			if n == size {
				for level := range int64(len(levels)) {
					_ = w.WriteTile(*levels[level])
				}
			}
			_, _ = rest.Write(body.Bytes())
			body.Reset()
		}
	}
	root, _ := tree.GetRootHash(nil)
	note, err := keys.Sign(org, size, root, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	_ = extract.NewWriter(file).WriteHeader(extract.Header{
		Origin: signed.Origin(org), First: 1, Last: size, Size: size, Checkpoint: note})
	_, _ = rest.Seek(0, io.SeekStart)
	_, _ = io.Copy(file, rest)
	_, _ = file.Close(), rest.Close()
	return keys
}
