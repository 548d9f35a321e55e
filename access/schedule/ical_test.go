package schedule_test

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent/schema"
)

func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name + ".ics")
	if err != nil {
		tb.Fatal(err)
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

func TestImport(t *testing.T) {
	tests := []struct {
		name string
		want []schema.Window
	}{
		{"google", []schema.Window{
			{
				Start: "2026-03-02T08:00:00", End: "2026-03-02T18:00:00",
				Rule: "FREQ=WEEKLY;WKST=MO;UNTIL=20261231T235959;BYDAY=MO,TU,WE,TH,FR",
				Except: []string{
					"2026-05-01T08:00:00", "2026-05-25T08:00:00", "2026-03-10T08:00:00", "2026-03-11T08:00:00",
				},
				Summary: "Front desk, Gate and Quay: open to visitors who come with an invitation; ring otherwise",
			},
			{
				Start: "2026-03-10T10:00:00", End: "2026-03-10T14:00:00", Summary: "Front desk, short day",
			},
		}},
		{"apple", []schema.Window{
			{
				Start: "2026-06-06T00:00:00", End: "2026-06-08T00:00:00", Holidays: schema.HolidayKeep,
				Rule: "FREQ=MONTHLY;INTERVAL=1;BYDAY=1SA", Summary: `Open weekend \ regatta`,
			},
			{
				Start: "2026-06-01T09:00:00", End: "2026-06-01T10:30:00", Summary: "Cellar",
				Extra: []string{"2026-06-10T09:00:00", "2026-06-17T09:00:00"},
			},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, faults := schedule.Import(sample(t, test.name), "Europe/Berlin")
			if len(faults) > 0 || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, %v", got, faults)
			}
		})
	}
}

func TestImportNamesEveryFault(t *testing.T) {
	got, faults := schedule.Import(sample(t, "outlook"), "Europe/Berlin")
	want := []schedule.Fault{
		{"events.0.dtstart", `is in the time zone "W. Europe Standard Time", and must be in the site's, ` +
			`"Europe/Berlin" (line 20)`},
		{"events.1.dtstart", "is in UTC, and must be in the site's local time (line 32)"},
	}
	if got != nil || !slices.Equal(faults, want) {
		t.Errorf("got %v, %q", got, faults)
	}
}

// TestImportRefuses puts lines into an otherwise good event.
func TestImportRefuses(t *testing.T) {
	const start, end = "DTSTART:20260302T080000\n", "DTEND:20260302T180000\n"
	tests := []struct{ name, lines, field, message string }{
		{"no start", end, "events.0.dtstart", "must be given"},
		{"no end", start, "events.0.dtend", "must be given"},
		{"an end before the start", start + "DTEND:20260301T180000\n", "events.0.dtend", "after start"},
		{"a date for an end", start + "DTEND;VALUE=DATE:20260303\n", "events.0.dtend", "same kind"},
		{"a negative duration", start + "DURATION:-PT1H\n", "events.0.duration", "such as PT8H"},
		{"no duration", start + "DURATION:PT0S\n", "events.0.dtend", "after start"},
		{"a duration of weeks", start + "DURATION:P2W\n", "events.0.dtend", "7 days"},
		{"two rules", start + end + "RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY\n", "events.0.rrule", "once"},
		{"a fine rule", start + end + "RRULE:FREQ=HOURLY\n", "events.0.rrule", "FREQ=DAILY"},
		{"a rule for another day", start + end + "RRULE:FREQ=WEEKLY;BYDAY=TU\n",
			"events.0.dtstart", "the next is 2026-03-03T08:00:00"},
		{"an exception in UTC", start + end + "EXDATE:20260303T070000Z\n", "events.0.exdate", "UTC"},
		{"an exception elsewhere", start + end + "EXDATE;TZID=Asia/Tokyo:20260303T070000\n",
			"events.0.exdate", "Asia/Tokyo"},
		{"a period", start + end + "RDATE;VALUE=PERIOD:20260303T070000/PT1H\n", "events.0.rdate", "such as"},
		{"a range", start + end + "RECURRENCE-ID;RANGE=THISANDFUTURE:20260303T070000\n",
			"events.0.recurrence-id", "RANGE"},
		{"an unknown holiday rule", start + end + "X-CARDEA-HOLIDAYS:SOME\n",
			"events.0.x-cardea-holidays", "SKIP, KEEP or ONLY"},
		{"a line of nothing", "nothing\n", "text", "line 3"},
		{"an event in an event", "END:VTODO\n", "text", "did not begin"},
		{"no end of the calendar", "BEGIN:VALARM\n", "text", "did not begin"},
		{"no UTF-8", "SUMMARY:\xff\n", "text", "UTF-8"},
		{"too much", "SUMMARY:" + strings.Repeat("x", 1<<20), "text", "bytes"},
		{"too many", strings.Repeat("END:VEVENT\nBEGIN:VEVENT\n", 200), "text", "200 events"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := "BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + test.lines + "END:VEVENT\nEND:VCALENDAR\n"
			ws, faults := schedule.Import([]byte(text), "Europe/Berlin")
			if ws != nil || len(faults) != 1 || faults[0].Field != test.field ||
				!strings.Contains(faults[0].Message, test.message) {
				t.Errorf("got %v, %v", ws, faults)
			}
		})
	}
	for _, text := range []string{"", "BEGIN:VCALENDAR", "BEGIN:VEVENT\nEND:VEVENT\n", "END:VCALENDAR\n"} {
		if _, faults := schedule.Import([]byte(text), "UTC"); len(faults) != 1 {
			t.Errorf("%q: got %v", text, faults)
		}
	}
	for _, zone := range []string{"Local", "Middle/Earth"} {
		if _, faults := schedule.Import(sample(t, "apple"), zone); len(faults) != 1 ||
			faults[0].Field != "zone" {
			t.Errorf("%s: got %v", zone, faults)
		}
	}
}

func TestImportHolidays(t *testing.T) {
	got, faults := schedule.ImportHolidays(sample(t, "holidays"))
	want := []schema.Holiday{
		{Name: "Good Friday", First: "2026-04-03"},
		{Name: "Christmas", First: "1871-12-25", Last: "1871-12-26", Yearly: true},
		{Name: "Thanksgiving", First: "2026-11-26"},
		{Name: "Thanksgiving", First: "2027-11-25"},
		{Name: "Thanksgiving", First: "2028-11-23"},
	}
	if len(faults) > 0 || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, faults)
	}
	text := []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH\n" +
		"SUMMARY:Thanksgiving\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:20261126\nEND:VEVENT\n" +
		"BEGIN:VEVENT\nDTSTART:20261126T000000\nDURATION:P1D\nSUMMARY:Timed\nEND:VEVENT\nEND:VCALENDAR\n")
	_, faults = schedule.ImportHolidays(text)
	fields := make([]string, len(faults))
	for i, f := range faults {
		fields[i] = f.Field
	}
	equal(t, fields, []string{"events.0.rrule", "events.1.summary", "events.2.dtstart"})
}

func TestExport(t *testing.T) {
	want, err := os.ReadFile("testdata/export.ics")
	if err != nil {
		t.Fatal(err)
	}
	ws := append(slices.Clone(workingWeek), schema.Window{
		Start: "2026-06-06T22:00:00", End: "2026-06-07T06:00:00", Holidays: schema.HolidayOnly,
		Extra: []string{"2026-07-04T22:00:00"}, Except: []string{"2026-06-06T22:00:00"},
		Summary: "Nachtöffnung; Gate, Quay " + strings.Repeat("ä", 40) + strings.Repeat("-", 80),
	}, workingWeek[0])
	got := schedule.Export("Harbour, north", ws)
	if string(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))) != string(want) {
		t.Errorf("got\n%s", got)
	}
	for l := range bytes.SplitSeq(got, []byte("\r\n")) {
		if len(l) > 75 || !utf8.Valid(l) || bytes.ContainsAny(l, "\r\n") {
			t.Errorf("a bad line: %q", l)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		around := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		name := rapid.String().Draw(t, "name")
		summary := rapid.StringOfN(rapid.Rune().Filter(func(r rune) bool {
			return r >= ' ' && r != 0x7f && r != utf8.RuneError
		}), 0, 200, -1)
		ws := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schema.Window {
			w := drawPattern(t, around).Window
			w.Summary = summary.Draw(t, "summary")
			return w
		}), 1, 5).Draw(t, "windows")
		text := schedule.Export(name, ws)
		got, faults := schedule.Import(text, rapid.SampledFrom(zones).Draw(t, "zone"))
		if len(faults) > 0 || !reflect.DeepEqual(got, ws) {
			t.Fatalf("got %+v, %v of\n%s", got, faults, text)
		}
		hs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schema.Holiday {
			h := drawHoliday(t, around)
			if h.Last == h.First {
				h.Last = "" // is how it comes back
			}
			return h
		}), 1, 5).Draw(t, "holidays")
		text = schedule.ExportHolidays(name, hs)
		if got, faults := schedule.ImportHolidays(text); len(faults) > 0 || !slices.Equal(got, hs) {
			t.Fatalf("got %+v, %v of\n%s", got, faults, text)
		}
	})
}

func FuzzImport(f *testing.F) {
	for _, name := range []string{"google", "outlook", "apple", "holidays", "export"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		began := time.Now()
		ws, faults := schedule.Import(text, "Europe/Berlin")
		if len(faults) == 0 {
			if faults := schedule.CheckWindows(ws); len(faults) > 0 {
				t.Fatal(ws, faults)
			}
			again, faults := schedule.Import(schedule.Export("Gate", ws), "Europe/Berlin")
			if len(faults) > 0 || !reflect.DeepEqual(again, ws) {
				t.Fatal(ws, again, faults)
			}
		}
		hs, faults := schedule.ImportHolidays(text)
		if len(faults) == 0 {
			if faults := schedule.CheckHolidays(hs); len(faults) > 0 {
				t.Fatal(hs, faults)
			}
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}
