package transfer_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

// forgery is an archive that somebody has taken apart. What is packed again has right sums and the right
// mark, whatever is in it.
type forgery struct {
	t      *testing.T
	names  []string
	files  map[string]string
	told   map[string]any // the manifest, but for its files
	listed []string       // by the manifest; nil: names
	bytes  map[string]int // as the manifest tells; none: as they are
}

func unpack(t *testing.T, archive []byte) *forgery {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	must(t, err)
	_, files := read(t, string(archive))
	f := &forgery{t: t, files: files, bytes: map[string]int{}}
	for _, file := range in.File {
		f.names = append(f.names, file.Name)
	}
	f.names = f.names[:len(f.names)-1]
	must(t, json.Unmarshal([]byte(files["manifest.json"]), &f.told))
	delete(f.told, "files")
	return f
}

// replace replaces a text in a file, which must be there.
func (f *forgery) replace(file, text, by string) {
	f.t.Helper()
	if !strings.Contains(f.files[file], text) {
		f.t.Fatalf("%s has no %s", file, text)
	}
	f.files[file] = strings.Replace(f.files[file], text, by, 1)
}

// lines changes the lines of a file.
func (f *forgery) lines(file string, change func([]string) []string) {
	lines := change(slices.Collect(strings.Lines(f.files[file])))
	f.files[file] = strings.Join(lines, "")
}

func (f *forgery) pack() []byte {
	f.t.Helper()
	listed := f.listed
	if listed == nil {
		listed = f.names
	}
	entries := []map[string]any{}
	for _, name := range listed {
		text := f.files[name]
		sum := sha256.Sum256([]byte(text))
		size := len(text)
		if told, ok := f.bytes[name]; ok {
			size = told
		}
		entries = append(entries, map[string]any{"name": name, "lines": strings.Count(text, "\n"),
			"bytes": size, "sha256": hex.EncodeToString(sum[:])})
	}
	told := map[string]any{"files": entries}
	maps.Copy(told, f.told)
	manifest, err := json.Marshal(told)
	must(f.t, err)
	var to bytes.Buffer
	out := zip.NewWriter(&to)
	must(f.t, out.SetComment(strings.Repeat("0", 64)))
	for _, name := range append(slices.Clone(f.names), "manifest.json") {
		text := f.files[name]
		if name == "manifest.json" {
			text = string(manifest)
		}
		file, err := out.Create(name)
		must(f.t, err)
		_, err = io.WriteString(file, text)
		must(f.t, err)
	}
	must(f.t, out.Close())
	return mark(to.Bytes())
}

// mark makes an archive look as it was written.
func mark(archive []byte) []byte {
	rest := archive[:len(archive)-64]
	sum := sha256.Sum256(rest)
	return append(rest, hex.EncodeToString(sum[:])...)
}

// refused checks that an archive is refused with a code and words, and that nothing has happened.
func (i *installation) refused(name string, archive []byte, code access.Code, words string) {
	i.t.Helper()
	_, err := i.restore(archive, transfer.RestoreOptions{MaxBytes: 64 << 20})
	refusal, ok := errors.AsType[access.Error](err)
	if !ok || refusal.Code != code || !strings.Contains(err.Error(), words) {
		i.t.Errorf("%s: %v", name, err)
	}
	if n := i.db.Organization.Query().CountX(i.system); n != 0 {
		i.t.Fatalf("%s: %d organizations", name, n)
	}
}

// No bit of an archive can turn, and no byte can go or come, unseen.
func TestRestoreRefusesDamage(t *testing.T) {
	t.Parallel()
	secrets := seal.Random()
	from, to := install(t, secrets), install(t, secrets)
	org, _, err := from.access.CreateOrganization(from.system, access.CreateOrganizationInput{
		Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	archive := from.archive(org.ID)
	const words = "it is not as it was written"
	for at := range archive {
		bit := byte(1) << rand.IntN(8)
		archive[at] ^= bit
		_, err := to.restore(archive, transfer.RestoreOptions{})
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("byte %d, bit %x: %v", at, bit, err)
		}
		archive[at] ^= bit
	}
	for size := range archive {
		_, err := to.restore(archive[:size], transfer.RestoreOptions{})
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("the first %d bytes: %v", size, err)
		}
	}
	to.refused("more", append(bytes.Clone(archive), 0), access.CodeBadUserInput, words)
	to.refused("nothing", nil, access.CodeBadUserInput, words)
	to.refused("zeros", make([]byte, 10_000), access.CodeBadUserInput, words)
	to.refused("a file of text", bytes.Repeat([]byte("name,email\n"), 100), access.CodeBadUserInput, words)
	_, err = to.restore(archive, transfer.RestoreOptions{})
	must(t, err)
}

// An archive that was made to look right is refused for what is in it, and nothing has happened.
func TestRestoreRefusesForgeries(t *testing.T) {
	t.Parallel()
	secrets := seal.Random()
	from, to := install(t, secrets), install(t, secrets)
	e := from.settle()
	archive := from.archive(e.org)
	other := typeid.New[typeid.Organization]().String()
	mine := e.org.String()
	swap := func(lines []string) []string { lines[0], lines[1] = lines[1], lines[0]; return lines }
	for name, forge := range map[string]struct {
		do    func(f *forgery)
		words string
	}{
		"newer": {func(f *forgery) {
			f.told["format"] = 3
		}, "format 3; this version imports 2"},
		"older": {func(f *forgery) {
			f.told["format"] = 1
		}, "format 1; this version imports 2"},
		"of no form": {func(f *forgery) { f.told = nil }, "none of an organization"},
		"of nobody": {func(f *forgery) {
			delete(f.told, "organizationId")
		}, "none of an organization"},
		"of another": {func(f *forgery) {
			f.told["organizationId"] = other
		}, "organizations: line 1: a row is of another"},
		"another's": {func(f *forgery) {
			f.replace("sites.ndjson", mine, other)
		}, "a row is of another organization"},
		"their event": {func(f *forgery) {
			f.replace("events.ndjson", mine, other)
		}, "events: line 1: invalid event: of another"},
		"all another's": {func(f *forgery) {
			f.told["organizationId"] = other
			f.replace("organizations.ndjson", mine, other)
		}, "a row is of another organization"},
		"two organizations": {func(f *forgery) {
			f.lines("organizations.ndjson", func(l []string) []string {
				return append(l, strings.Replace(l[0], mine, typeid.New[typeid.Organization]().String(), 1))
			})
		}, "a row is of another organization"},
		"no organization": {func(f *forgery) {
			f.files["organizations.ndjson"] = ""
		}, "holiday_calendars"},
		"swapped events": {func(f *forgery) {
			f.lines("events.ndjson", swap)
		}, "out of order"},
		"an event less": {func(f *forgery) {
			f.lines("events.ndjson", func(l []string) []string { return l[:len(l)-1] })
		}, "the journal is not the one"},
		"a pruned leaf less": {func(f *forgery) { f.files["pruned.ndjson"] = "" },
			"line 4: invalid event: out of order"},
		"another leaf": {func(f *forgery) {
			f.lines("pruned.ndjson", func(l []string) []string {
				return []string{l[0], strings.Replace(l[0], `"first":4`, `"first":9`, 1)}
			})
		}, "events"},
		"an event told less": {func(f *forgery) {
			f.lines("events.ndjson", func(l []string) []string { return l[:len(l)-1] })
			f.told["journal"].(map[string]any)["size"] = strings.Count(f.files["events.ndjson"], "\n")
		}, "the journal is not the one"},
		"no root": {func(f *forgery) {
			f.told["journal"].(map[string]any)["root"] = "00"
		}, "no root"},
		"a changed event": {func(f *forgery) {
			f.replace("events.ndjson", `"severity":"INFO"`, `"severity":"NOTICE"`)
		}, "the journal is not the one"},
		"an event of a later version": {func(f *forgery) {
			f.replace("events.ndjson", `"type":"key.created"`, `"type":"key.floated"`)
		}, `unknown type "key.floated"`},
		"an event with space": {func(f *forgery) {
			f.replace("events.ndjson", `{"`, `{ "`)
		}, "not in canonical form"},
		"an event with more": {func(f *forgery) {
			f.replace("events.ndjson", `"type":"key.created"`, `"type":"site.created","z":1`)
		}, "not in canonical form"},
		"an event that is none": {func(f *forgery) {
			f.replace("events.ndjson", `{"`, `["`)
		}, "events: line 1"},
		"swapped rows": {func(f *forgery) {
			f.lines("users.ndjson", swap)
		}, "users: line 2: id: is out of order"},
		"a row twice": {func(f *forgery) {
			f.lines("users.ndjson", func(l []string) []string { return append(l, l[len(l)-1]) })
		}, "is out of order"},
		"a row less": {func(f *forgery) {
			f.lines("schedules.ndjson", func([]string) []string { return nil })
		}, "keys"},
		"a whole less": {func(f *forgery) {
			f.lines("user_groups.ndjson", func(l []string) []string { return l[:1] })
			f.files["user_group_members.ndjson"] = ""
		}, "user_group"},
		"a column more": {func(f *forgery) { f.replace("sites.ndjson", `"name"`, `"floats":true,"name"`) },
			"sites: line 1: floats: has a column that this version does not know"},
		"a secret column": {func(f *forgery) {
			f.replace("webhook_endpoints.ndjson", `"url"`, `"secret":"AAAA","url"`)
		}, "webhook_endpoints: line 1: secret: has a column"},
		"a number for a name": {func(f *forgery) {
			f.replace("sites.ndjson", `"Quay`, `7,"x":"`)
		}, "sites: line 1"},
		"another kind": {func(f *forgery) {
			f.replace("doors.ndjson", `"CONTROLLED"`, `"FLOATING"`)
		}, "doors: up to line 1"},
		"out of range": {func(f *forgery) {
			f.replace("doors.ndjson", `"relock_seconds":5`, `"relock_seconds":0`)
		}, "doors: up to line 1"},
		"a NUL": {func(f *forgery) {
			f.replace("users.ndjson", `"Night shift"`, `"Night\u0000shift"`)
		}, "users: up to line"},
		"no such zone": {func(f *forgery) {
			f.replace("sites.ndjson", `Europe/Rome`, `Europe/Sea`)
		}, "time_zone"},
		"no such window": {func(f *forgery) {
			f.replace("schedules.ndjson", `FREQ=DAILY`, `FREQ=TIDE`)
		}, "windows.0.rule"},
		"no such day": {func(f *forgery) {
			f.replace("holiday_calendars.ndjson", `2026-01-01`, `2026-13-01`)
		}, "holidays.0.first"},
		"not JSON": {func(f *forgery) {
			f.replace("sites.ndjson", `{`, `(`)
		}, "sites: line 1: is not a JSON object"},
		"null": {func(f *forgery) {
			f.files["sites.ndjson"] = "null\n"
		}, "sites: line 1: is not a JSON object"},
		"a line that does not end": {func(f *forgery) {
			f.files["sites.ndjson"] = strings.TrimSuffix(f.files["sites.ndjson"], "\n")
		}, "sites: file: it is damaged: its last line does not end"},
		"nobody may": {func(f *forgery) {
			f.replace("users.ndjson", `"OWNER"`, `"ADMIN"`)
		}, "nobody is an active owner"},
		"a key from nowhere": {func(f *forgery) {
			f.replace("keys.ndjson", `"depth":0`, `"depth":1`)
		}, "a key is no deeper"},
		"a key to another's": {func(f *forgery) {
			f.replace("key_targets.ndjson", e.night.String(), e.desk.String())
		}, "somebody else's"},
		"a path up": {func(f *forgery) {
			f.rename("sites.ndjson", "../sites.ndjson")
		}, "in their order"},
		"a path down": {func(f *forgery) {
			f.rename("sites.ndjson", "/etc/sites.ndjson")
		}, "in their order"},
		"another slash": {func(f *forgery) {
			f.rename("sites.ndjson", `..\sites.ndjson`)
		}, "in their order"},
		"a file more": {func(f *forgery) {
			f.names = append(f.names, "notes.txt")
		}, "in their order"},
		"a file unknown": {func(f *forgery) {
			f.listed = slices.Clone(f.names)
			f.names = append(f.names, "notes.txt")
		}, "in their order"},
		"a file twice": {func(f *forgery) {
			f.listed = slices.Clone(f.names)
			f.names = append(f.names, "sites.ndjson")
		}, "in their order"},
		"a file less": {func(f *forgery) { f.names = f.names[1:] }, "in their order"},
		"files swapped": {func(f *forgery) {
			f.names[1], f.names[2] = f.names[2], f.names[1]
		}, "in their order"},
		"fewer bytes": {func(f *forgery) { f.bytes["events.ndjson"] = 10 }, "events"},
		"fewer than none": {func(f *forgery) {
			f.bytes["events.ndjson"] = -1
		}, "it holds more than"},
		"more bytes": {func(f *forgery) {
			f.bytes["events.ndjson"] = 1 << 20
		}, "it is not what the manifest tells"},
		"too many bytes": {func(f *forgery) {
			f.bytes["events.ndjson"] = 65 << 20
		}, "it holds more than 67108864 bytes"},
		"a bomb": {func(f *forgery) {
			f.files["sites.ndjson"] = strings.Repeat("\x00", 20<<20)
		}, "a line is longer"},
		"a bomb of lines": {func(f *forgery) {
			f.files["sites.ndjson"] = strings.Repeat("{}\n", 2<<20)
		}, "sites: line 1"},
		"a long manifest": {func(f *forgery) {
			f.told["x"] = strings.Repeat("x", 2<<20)
		}, "manifest.json is damaged or too long"},
	} {
		f := unpack(t, archive)
		forge.do(f)
		to.refused(name, f.pack(), access.CodeBadUserInput, forge.words)
	}
	crowd := unpack(t, archive)
	for n := range 20_000 {
		crowd.names = append(crowd.names, fmt.Sprintf("%d.ndjson", n))
	}
	crowd.listed = []string{}
	to.refused("a crowd", crowd.pack(), access.CodeBadUserInput, "it has too many files")
	early := unpack(t, archive)
	early.names = append([]string{"manifest.json"}, early.names...)
	to.refused("two manifests", early.pack(), access.CodeBadUserInput, "in their order")

	untouched := unpack(t, archive)
	_, err := to.restore(untouched.pack(), transfer.RestoreOptions{})
	must(t, err)
}

func (f *forgery) rename(file, to string) {
	f.files[to] = f.files[file]
	f.names[slices.Index(f.names, file)] = to
}

// Identifiers that are in use here, and secrets that are not here, are conflicts.
func TestRestoreConflicts(t *testing.T) {
	t.Parallel()
	from, to := install(t, seal.Random()), install(t, seal.Random())
	e := from.settle()
	archive := from.archive(e.org)
	to.refused("other secrets", archive, access.CodeConflict,
		"1 PINs, 1 cards and 1 identity providers were sealed with secrets that this installation lacks")
	quay, _, err := to.access.CreateOrganization(to.system, access.CreateOrganizationInput{
		Name: "Quay", AdminName: "Other desk", AdminEmail: "desk@example.org"})
	must(t, err)
	without := transfer.RestoreOptions{WithoutSecrets: true}
	done, err := to.restore(archive, without)
	must(t, err)
	equal(t, done.Lacking, access.Lacking{PINs: 1, Cards: 1, Providers: 1, Endpoints: 1})
	_, before := read(t, string(archive))
	_, after := read(t, string(to.archive(e.org)))
	same(t, before, after, "manifest.json", "events.ndjson")

	_, err = to.restore(archive, without)
	equal(t, err.Error(), "organizationId: the organization is here already")
	// Somebody else's identifier, in an archive that looks right.
	site := from.db.Site.Query().OnlyX(from.within(e.org))
	third := install(t, seal.Random())
	mill, _, err := third.access.CreateOrganization(third.system, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Desk", AdminEmail: "desk@example.com"})
	must(t, err)
	third.db.Site.Create().SetName("Weir").SetTimeZone("Europe/Rome").SetID(site.ID).SaveX(third.within(mill.ID))
	_, err = to.restore(third.archive(mill.ID), without)
	if !access.IsCode(err, access.CodeConflict) || !strings.Contains(err.Error(), "sites: up to line 1: ") {
		t.Errorf("somebody else's identifier: %v", err)
	}
	equal(t, to.db.Organization.Query().CountX(to.system), 2)
	equal(t, to.db.Site.Query().CountX(to.within(quay.ID)), 0)

	_, err = to.access.ImportOrganization(from.within(e.org), access.ImportOrganizationInput{ID: e.org})
	if err == nil {
		t.Error("twice")
	}
	owner := actor.NewContext(t.Context(), actor.User(mill.ID, typeid.New[typeid.User](), actor.RoleOwner))
	_, err = to.access.ImportOrganization(owner, access.ImportOrganizationInput{ID: mill.ID})
	equal(t, access.IsCode(err, access.CodeForbidden), true)
}
