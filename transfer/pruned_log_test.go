package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/logtile"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

// ledger is the log of an organization of an installation.
type ledger struct {
	t    *testing.T
	db   *ent.Client
	keys *signed.Keyring
	org  typeid.Organization
	in   context.Context //nolint:containedctx // the system within the organization
}

func (l *ledger) happen(kinds ...string) {
	l.t.Helper()
	var events []journal.Event
	for _, kind := range kinds {
		events = append(events, journal.Event{Type: kind})
	}
	tx, err := l.db.Tx(l.in)
	must(l.t, err)
	_, err = journal.Append(l.in, tx, l.org, events...)
	must(l.t, err)
	must(l.t, tx.Commit())
}

func (l *ledger) notary() *journal.Notary {
	return journal.NewNotary(journal.NotaryConfig{DB: l.db, Keys: l.keys, Log: testenv.Logger(l.t)})
}

func (l *ledger) sign() string {
	l.t.Helper()
	made, err := l.notary().Sign(l.t.Context(), l.org)
	must(l.t, err)
	return made.Note
}

// prune takes what is past retention in so many days.
func (l *ledger) prune(days int) {
	l.t.Helper()
	_, err := journal.NewKeeper(journal.KeeperConfig{DB: l.db, Keys: l.keys, Log: testenv.Logger(l.t),
		Now: func() time.Time { return schema.Now().AddDate(0, 0, days) }}).Prune(l.t.Context())
	must(l.t, err)
}

func (l *ledger) export(want transfer.LogRange) string {
	l.t.Helper()
	var file bytes.Buffer
	source := transfer.LogSource{DB: l.db, Notary: l.notary(), Organization: l.org}
	must(l.t, transfer.WriteLog(l.in, source, want, &file))
	return file.String()
}

func (l *ledger) verify(file, previous string, keys ...signed.PublicKey) *extract.Report {
	l.t.Helper()
	r, err := extract.Verify(strings.NewReader(file), extract.Options{
		Keys: append(keys, l.keys.Public()...), Previous: previous})
	must(l.t, err)
	return r
}

// wrong sees that a file does not verify, and why.
func (l *ledger) wrong(file, want string) {
	l.t.Helper()
	if r := l.verify(file, ""); r.Wrong == nil || r.Wrong.String() != want {
		l.t.Errorf("got %v, want %s", r.Wrong, want)
	}
}

func (l *ledger) do(statement string) {
	l.t.Helper()
	_, err := l.db.ExecContext(l.in, statement)
	must(l.t, err)
}

// undone does something to the rows of the log, and puts them back.
func (l *ledger) undone(edit, then func()) {
	l.t.Helper()
	for _, table := range []string{"events", "log_tiles"} {
		l.do("CREATE TABLE saved_" + table + " AS TABLE " + table)
	}
	edit()
	then()
	l.do(`INSERT INTO events SELECT * FROM saved_events WHERE id NOT IN (SELECT id FROM events)`)
	l.do(`UPDATE log_tiles AS t SET pruned = s.pruned FROM saved_log_tiles AS s WHERE s.id = t.id`)
	l.do(`DROP TABLE saved_events, saved_log_tiles`)
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{t: t, db: testenv.Client(t), keys: logKeys(t)}
	system := actor.NewContext(t.Context(), actor.System("test"))
	org, _, err := access.New(access.Config{DB: l.db, Log: testenv.Logger(t)}).CreateOrganization(
		system, access.CreateOrganizationInput{Name: "Harbour", AdminName: "Front desk",
			AdminEmail: "desk@example.com"})
	must(t, err)
	l.org = org.ID
	l.in = actor.NewContext(t.Context(), actor.System("test").Within(l.org))
	head := l.db.JournalHead.GetX(l.in, l.org).Seq
	l.happen(slices.Repeat([]string{"access.granted"}, int(300-head))...)
	l.happen(slices.Repeat([]string{"site.updated", "access.granted"}, 150)...)
	return l
}

// TestPrunedLogVerifies exports a log that lacks its beginning and every second entry after it, and tells
// what retention took from what somebody deleted.
func TestPrunedLogVerifies(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	early := l.sign()
	whole := l.export(transfer.LogRange{})
	l.happen("site.updated")
	l.prune(91)
	file := l.export(transfer.LogRange{})
	r := l.verify(file, early)
	if r.Wrong != nil || r.Pruned < 440 || r.Entries+r.Pruned != 601 || r.Begin != 1 {
		t.Fatalf("%+v, %v", r, r.Wrong)
	}
	if days := time.Since(r.Before).Hours() / 24; days > 0 || days < -2 {
		t.Errorf("pruned up to %s", r.Before)
	}
	l.prune(366) // what is administrative goes too, but for the newest, which nothing covered
	l.happen("site.updated")
	file = l.export(transfer.LogRange{})
	if r = l.verify(file, early); r.Wrong != nil || r.Pruned != 601 || r.Begin != 602 || r.Entries != 1 {
		t.Fatalf("%+v, %v", r, r.Wrong)
	}
	if r := l.verify(whole, early); r.Wrong != nil {
		t.Errorf("who has the entries cannot prove them any more: %v", r.Wrong)
	}
	for _, part := range []transfer.LogRange{{First: 1, Last: 256}, {First: 40, Last: 300}, {First: 257}} {
		if r := l.verify(l.export(part), ""); r.Wrong != nil {
			t.Errorf("%+v: %v", part, r.Wrong)
		}
	}
}

// TestDeletionIsNotRetention deletes what retention left, and hides it as well as one without the key can.
func TestDeletionIsNotRetention(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.sign()
	beginning := func() { l.do(`DELETE FROM events WHERE seq <= 300`) }
	l.undone(beginning, func() {
		l.wrong(l.export(transfer.LogRange{}), "entry 1 is missing, and no retention explains it")
	})
	l.prune(91)
	gap := func() { l.do(`DELETE FROM events WHERE seq IN (441, 443)`) }
	tile := func(position int64) *ent.LogTile {
		return l.db.LogTile.Query().Where(logtile.Level(0), logtile.Position(position)).OnlyX(l.in)
	}
	one, other := tile(1), tile(2)
	l.undone(gap, func() {
		l.wrong(l.export(transfer.LogRange{}), "entry 441 is missing, and no retention explains it")
	})
	note := func(notes ...string) func() {
		return func() {
			gap()
			l.db.LogTile.UpdateOne(one).SetPruned(notes).ExecX(l.in)
		}
	}
	said, err := signed.PeekPruned(one.Pruned[0])
	must(t, err)
	said.Add((441 - 1) % 256)
	forger, err := signed.NewKeyring(bytes.Repeat([]byte{9}, 32))
	must(t, err)
	forged, err := forger.SignPruned(said, time.Now())
	must(t, err)
	stranger := said
	stranger.Origin = signed.Origin(typeid.New[typeid.Organization]())
	foreign, err := l.keys.SignPruned(stranger, time.Now())
	must(t, err)
	for want, edit := range map[string]func(){
		"entry 441 is missing: what explains it is not signed by a key that is trusted": note(one.Pruned[0], forged),
		"entry 441 is missing: what explains it is of another place":                    note(one.Pruned[0], foreign),
		"entry 257 is missing: what explains it is of another place":                    note(other.Pruned...),
		"entry 257 is missing, and no retention explains it":                            note(),
	} {
		l.undone(edit, func() { l.wrong(l.export(transfer.LogRange{}), want) })
	}
	if r := l.verify(l.export(transfer.LogRange{}), ""); r.Wrong != nil {
		t.Fatalf("put back: %v", r.Wrong)
	}
}

// TestCheckpointOfNothingIsSeen moves an earlier checkpoint to where no entry is.
func TestCheckpointOfNothingIsSeen(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.sign()
	l.happen("site.updated")
	l.sign()
	l.do(`ALTER TABLE checkpoints DISABLE TRIGGER USER`)
	l.do(`UPDATE checkpoints SET size = 0 WHERE size = 600`)
	l.wrong(l.export(transfer.LogRange{}),
		"entry 1 is followed by a checkpoint of "+signed.Origin(l.org)+" at 600")
}

// TestPrunedLogMoves imports the archive of a log that was pruned into another installation, where it is
// pruned further and still verifies, by the keys of both; and an entry that was deleted is not laundered.
func TestPrunedLogMoves(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	early := l.sign()
	l.prune(91)
	to := install(t, seal.Random())
	var archive bytes.Buffer
	must(t, transfer.Archive(l.in, l.db, &archive))
	_, err := to.restore(archive.Bytes(), transfer.RestoreOptions{})
	must(t, err)
	there := &ledger{t: t, db: to.db, org: l.org, in: l.in}
	there.keys, err = signed.NewKeyring(bytes.Repeat([]byte{8}, 32))
	must(t, err)
	old := l.keys.Public()
	r := there.verify(there.export(transfer.LogRange{}), early, old...)
	if r.Wrong != nil || r.Pruned < 440 {
		t.Fatalf("%+v, %v", r, r.Wrong)
	}
	there.prune(366)
	there.happen("site.updated")
	r = there.verify(there.export(transfer.LogRange{}), early, old...)
	if r.Wrong != nil || r.Pruned < 601 {
		t.Fatalf("%+v, %v", r, r.Wrong)
	}
	r = there.verify(there.export(transfer.LogRange{}), "")
	if r.Wrong == nil || !strings.HasSuffix(r.Wrong.What, "is not signed by a key that is trusted") {
		t.Errorf("without the key of where it comes from: %v", r.Wrong)
	}

	l.do(`DELETE FROM events WHERE seq = 441`)
	archive.Reset()
	must(t, transfer.Archive(l.in, l.db, &archive))
	third := install(t, seal.Random())
	_, err = third.restore(archive.Bytes(), transfer.RestoreOptions{})
	must(t, err)
	there = &ledger{t: t, db: third.db, org: l.org, in: l.in, keys: l.keys}
	there.wrong(there.export(transfer.LogRange{}), "entry 441 is missing, and no retention explains it")
}

// TestNotesOfPruningStayInTheirPlace refuses an archive whose notes are of another tile or organization.
func TestNotesOfPruningStayInTheirPlace(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	l.sign()
	l.prune(91)
	var archive bytes.Buffer
	must(t, transfer.Archive(l.in, l.db, &archive))
	_, files := read(t, archive.String())
	var gap journal.Gap
	line, rest, _ := strings.Cut(files["pruned.ndjson"], "\n")
	must(t, json.Unmarshal([]byte(line), &gap))
	said, err := signed.PeekPruned(gap.Notes[0])
	must(t, err)
	said.Position = 7
	moved, err := l.keys.SignPruned(said, time.Now())
	must(t, err)
	for _, notes := range [][]string{{moved}, {"x"}, {gap.Notes[0] + "x", moved}} {
		gap.Notes = notes
		changed, err := json.Marshal(gap)
		must(t, err)
		f := unpack(t, archive.Bytes())
		f.files["pruned.ndjson"] = string(changed) + "\n" + rest
		_, err = install(t, seal.Random()).restore(f.pack(), transfer.RestoreOptions{})
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%q: %v", notes, err)
		}
	}
}
