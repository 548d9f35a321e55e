package transfer_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/journal/extract"
	"github.com/cardea/cardea/journal/signed"
	"github.com/cardea/cardea/typeid"
)

func logKeys(t *testing.T) *signed.Keyring {
	t.Helper()
	keys, err := signed.NewKeyring(bytes.Repeat([]byte{3}, 32))
	must(t, err)
	return keys
}

// happen records so many events.
func (w *world) happen(count int) {
	w.t.Helper()
	ctx := actor.NewContext(w.t.Context(), actor.System("test").Within(w.org.ID))
	tx, err := w.db.Tx(ctx)
	must(w.t, err)
	events := make([]journal.Event, count)
	for i := range events {
		events[i] = journal.Event{Type: "site.updated", Site: typeid.New[typeid.Site](),
			Data: json.RawMessage(`{"changed":["name"]}`)}
	}
	_, err = journal.Append(ctx, tx, w.org.ID, events...)
	must(w.t, err)
	must(w.t, tx.Commit())
}

// log gets the audit log as a file.
func (w *world) log(token, query string) (int, string) {
	w.t.Helper()
	return w.getFile(token, "audit-log.ndjson"+query)
}

func (w *world) verify(file string, o extract.Options) *extract.Report {
	w.t.Helper()
	o.Keys = logKeys(w.t).Public()
	report, err := extract.Verify(strings.NewReader(file), o)
	must(w.t, err)
	return report
}

func (w *world) proves(file string, o extract.Options) *extract.Report {
	w.t.Helper()
	r := w.verify(file, o)
	if r.Wrong != nil {
		w.t.Fatalf("%v\n%.600s", r.Wrong, file)
	}
	return r
}

func TestLogIsExportedWithItsProof(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.happen(3)
	status, first := w.log(w.token, "")
	equal(t, status, http.StatusOK)
	r := w.proves(first, extract.Options{})
	equal(t, r.Entries, r.Header.Size)
	early := r.Header.Checkpoint
	if last := strings.Split(first, "\n")[r.Entries]; !strings.Contains(last, `"type":"personal_data.read"`) {
		t.Errorf("the export does not end with what records it: %s", last)
	}
	w.happen(2500)
	_, whole := w.log(w.token, "")
	r = w.proves(whole, extract.Options{Previous: early})
	size := r.Header.Size
	lines := strings.SplitAfter(whole, "\n")
	if !strings.Contains(whole, `{"checkpoint":`) || !strings.Contains(whole, `{"tile":{"level":1`) {
		t.Error("no earlier checkpoint, or no tile of level 1")
	}

	for _, window := range []string{"first=256&last=257", "first=1&last=1", "first=2000", "last=300", "first=9999"} {
		_, part := w.log(w.token, fmt.Sprintf("?size=%d&previous=%d&%s", size, r.Previous, window))
		w.proves(part, extract.Options{Previous: early})
	}
	for cut := 1; cut < len(lines)-1; cut += 97 {
		had, last := lines[:cut], 0
		for i := len(had) - 1; i > 0 && last == 0; i-- {
			if strings.HasPrefix(had[i], `{"actor"`) {
				last, had = i, had[:i+1]
			}
		}
		if last == 0 {
			continue
		}
		var entry struct{ Sequence int }
		must(t, json.Unmarshal([]byte(had[last]), &entry))
		_, rest := w.log(w.token, fmt.Sprintf("?size=%d&after=%d", size, entry.Sequence))
		if whole != strings.Join(had, "")+rest {
			t.Fatalf("going on after entry %d does not complete the file", entry.Sequence)
		}
	}
}

func TestLogIsCutByTime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.happen(40)
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := w.db.Event.Query().Order(event.BySeq()).AllX(w.owner)
	for i, row := range rows {
		_, err := w.db.ExecContext(w.owner, `UPDATE events SET received_at = $1 WHERE id = $2`,
			day.AddDate(0, 0, i), row.ID)
		must(t, err)
	}
	for query, want := range map[string][2]int64{
		"from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z":   {1, 1},
		"from=2026-01-03T00:00:00Z&to=2026-01-06T00:00:00.5Z": {3, 6},
		"from=2026-01-03T01:00:00%2B02:00&last=9":             {3, 9},
		"to=2025-01-01T00:00:00Z":                             {1, 0},
	} {
		_, part := w.log(w.token, "?"+query)
		var h extract.Header
		must(t, json.Unmarshal([]byte(strings.SplitN(part, "\n", 2)[0]), &h))
		equal(t, [2]int64{h.First, h.Last}, want)
	}
}

func TestLogIsExportedAsTable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.happen(2100)
	status, file := w.getFile(w.token, "audit-log.csv")
	equal(t, status, http.StatusOK)
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(file, "\ufeff"))).ReadAll()
	must(t, err)
	equal(t, rows[0][0], "sequence")
	for i, row := range rows[1:] {
		if row[0] != fmt.Sprint(i+1) {
			t.Fatalf("row %d is entry %s", i+1, row[0])
		}
	}
	_, rest := w.getFile(w.token, fmt.Sprintf("audit-log.csv?size=%d&after=2100", len(rows)-1))
	if !strings.HasSuffix(file, rest) || strings.Count(rest, "\n") != len(rows)-1-2100 {
		t.Errorf("going on: %s", rest)
	}
}

func TestLogIsForWhoReadsAllOfIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for query, want := range map[string]string{
		"?first=0&from=x&size=-1": "size", "?after=3": "size", "?first=1&from=2026-01-01T00:00:00Z": "from",
	} {
		status, body := w.log(w.token, query)
		if status != http.StatusBadRequest || !strings.Contains(body, `"field":"`+want+`"`) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	narrow := w.tokenOf(w.owner, "users:read")
	for token, want := range map[string]int{"": http.StatusUnauthorized, narrow: http.StatusForbidden} {
		for _, file := range []string{"audit-log.ndjson", "audit-log.csv"} {
			if status, _ := w.getFile(token, file); status != want {
				t.Errorf("%s: %d, want %d", file, status, want)
			}
		}
	}
	w.happen(5)
	_, theirs := w.log(w.tokenOf(w.stranger), "")
	if strings.Contains(theirs, w.org.ID.String()) || strings.Contains(theirs, "site.updated") {
		t.Error("a stranger reads the log")
	}
	if count := w.db.Event.Query().Where(event.Type("data.exported")).CountX(w.owner); count != 0 {
		t.Errorf("%d refused exports were recorded", count)
	}
	if status, body := w.log(w.token, "?size=999"); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, body)
	}
}

func TestKeysOfTheLogArePublic(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got, err := http.Get(w.url + "/.well-known/cardea-log-keys")
	must(t, err)
	defer func() { _ = got.Body.Close() }()
	var shown struct{ Keys []struct{ PublicKey string } }
	must(t, json.NewDecoder(got.Body).Decode(&shown))
	equal(t, shown.Keys[0].PublicKey, logKeys(t).Public()[0].String())
}
