package transfer_test

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

// interrupted does something each time that something is written through it.
type interrupted struct {
	to     io.Writer
	change func()
}

func (i interrupted) Write(piece []byte) (int, error) {
	i.change()
	return i.to.Write(piece)
}

// While an archive is written, people and keys come and go. It is of the instant when it began all the
// same: it can be imported, and holds nothing of what came after.
func TestArchiveIsOfOneInstant(t *testing.T) {
	t.Parallel()
	secrets := seal.Random()
	from, to := install(t, secrets), install(t, secrets)
	e := from.settle()
	owner := actor.NewContext(t.Context(), actor.User(e.org, e.desk, actor.RoleOwner))
	person := func(n int) typeid.User {
		made, err := from.access.CreateUser(owner, access.CreateUserInput{
			Name: rand.Text() + rand.Text(), Email: fmt.Sprintf("p%d@example.com", n)})
		must(t, err)
		return made.User.ID
	}
	keyOf := func(who typeid.User) {
		_, err := from.access.GrantKey(owner, access.GrantKeyInput{UserID: who, DoorIDs: []typeid.Door{e.gate.ID}})
		must(t, err)
	}
	var people []typeid.User
	for n := range 60 {
		people = append(people, person(n))
		keyOf(people[n])
	}
	_, before := read(t, string(from.archive(e.org)))

	changes := 0
	var text bytes.Buffer
	must(t, transfer.Archive(from.within(e.org), from.db, interrupted{&text, func() {
		changes++
		keyOf(person(100 + changes))
		keyOf(people[len(people)-1])
		_, err := from.access.DeleteUser(owner, access.DeleteUserInput{ID: people[0]})
		must(t, err)
		people = people[1:]
	}}))
	if changes < 5 {
		t.Errorf("only %d changes came between", changes)
	}
	_, files := read(t, text.String())
	same(t, before, files, "manifest.json")
	_, err := to.restore(text.Bytes(), transfer.RestoreOptions{})
	must(t, err)
	_, after := read(t, string(to.archive(e.org)))
	same(t, files, after, "manifest.json", "events.ndjson")
}

// peak is the most that lived on the heap, as seen every so many bytes that went by.
type peak struct {
	next, bytes int64
	most        uint64
}

func (p *peak) pass(n int) {
	if p.bytes += int64(n); p.bytes < p.next {
		return
	}
	p.next = p.bytes + 2<<20
	p.most = max(p.most, alive())
}

func alive() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

type watchedWriter struct {
	*peak
	to io.Writer
}

func (w watchedWriter) Write(piece []byte) (int, error) {
	w.pass(len(piece))
	return w.to.Write(piece)
}

type watchedReader struct {
	*peak
	from io.ReaderAt
}

func (w watchedReader) ReadAt(into []byte, at int64) (int, error) {
	w.pass(len(into))
	return w.from.ReadAt(into, at)
}

// An archive of 11 MB is imported and exported with less than 6 MB of memory. No other test of the package
// runs meanwhile.
func TestArchiveNeedsLittleMemory(t *testing.T) {
	const most = 6 << 20
	secrets := seal.Random()
	from, to := install(t, secrets), install(t, secrets)
	org, _, err := from.access.CreateOrganization(from.system, access.CreateOrganizationInput{
		Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	path := filepath.Join(t.TempDir(), "large.zip")
	lengthen(t, from.archive(org.ID), path, org.ID)
	large, err := os.Open(path)
	must(t, err)
	defer func() { _ = large.Close() }()
	about, err := large.Stat()
	must(t, err)
	if about.Size() < 10<<20 {
		t.Fatalf("%d bytes are not large", about.Size())
	}

	begun := alive()
	in := &peak{}
	_, err = transfer.Restore(to.system, to.access, watchedReader{in, large}, about.Size(), transfer.RestoreOptions{})
	must(t, err)
	out, copied := &peak{}, sha256.New()
	must(t, transfer.Archive(to.within(org.ID), to.db, watchedWriter{out, copied}))
	t.Logf("%d MiB; import %d KiB, export %d KiB beyond %d KiB", about.Size()>>20,
		(in.most-min(begun, in.most))>>10, (out.most-min(begun, out.most))>>10, begun>>10)
	for name, p := range map[string]*peak{"import": in, "export": out} {
		if p.bytes < about.Size() || p.most > begun+most {
			t.Errorf("the %s of %d bytes needs %d", name, p.bytes, p.most-begun)
		}
	}
}

// lengthen copies an archive with thousands of events more.
func lengthen(t *testing.T, archive []byte, path string, org typeid.Organization) {
	t.Helper()
	f := unpack(t, archive)
	chain, err := journal.Resume(org, 0, nil)
	must(t, err)
	for line := range strings.Lines(f.files["events.ndjson"]) {
		e, err := journal.Decode([]byte(line))
		must(t, err)
		_, _, err = chain.Seal(e)
		must(t, err)
	}
	file, err := os.Create(path)
	must(t, err)
	sum := sha256.New()
	whole := &tail{to: file, sum: sum}
	out := zip.NewWriter(whole)
	must(t, out.SetComment(strings.Repeat("0", 64)))
	var entries []map[string]any
	for _, name := range f.names {
		to, err := out.Create(name)
		must(t, err)
		sum, size, lines := sha256.New(), 0, 0
		write := func(text string) {
			size, lines = size+len(text), lines+strings.Count(text, "\n")
			_, err := io.WriteString(io.MultiWriter(to, sum), text)
			must(t, err)
		}
		write(f.files[name])
		for n := 0; name == "events.ndjson" && n < 2000; n++ {
			noise := make([]byte, 6000)
			_, _ = rand.Read(noise)
			data, err := json.Marshal(map[string]any{"noise": noise})
			must(t, err)
			now := schema.Now()
			e, _, err := chain.Seal(journal.Event{ID: typeid.New[typeid.Event](), Type: "site.updated",
				OccurredAt: now, ReceivedAt: now, Delivery: event.DeliveryLIVE, Severity: event.SeverityINFO,
				Actor: journal.Actor{Kind: actor.KindSystem, ID: "test"}, Data: data})
			must(t, err)
			line, err := e.Encode()
			must(t, err)
			write(string(line) + "\n")
		}
		entries = append(entries, map[string]any{"name": name, "lines": lines, "bytes": size,
			"sha256": hex.EncodeToString(sum.Sum(nil))})
	}
	root, err := chain.Root()
	must(t, err)
	f.told["files"] = entries
	f.told["journal"] = map[string]any{"size": chain.Sequence(), "root": hex.EncodeToString(root)}
	to, err := out.Create("manifest.json")
	must(t, err)
	must(t, json.NewEncoder(to).Encode(f.told))
	must(t, out.Close())
	_, err = io.WriteString(file, hex.EncodeToString(sum.Sum(nil)))
	must(t, err)
	must(t, file.Close())
}

// tail writes and hashes all but the last 64 bytes.
type tail struct {
	to   io.Writer
	sum  hash.Hash
	held []byte
}

func (w *tail) Write(text []byte) (int, error) {
	w.held = append(w.held, text...)
	ready := max(0, len(w.held)-64)
	_, err := io.MultiWriter(w.to, w.sum).Write(w.held[:ready])
	w.held = append(w.held[:0], w.held[ready:]...)
	return len(text), err
}
