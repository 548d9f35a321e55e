package schedule_test

import (
	"testing"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent/schema"
)

func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func instant(tb testing.TB, text string) time.Time {
	tb.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// openings walks a timetable from change to change, and fails if it contradicts itself.
func openings(tb testing.TB, table *schedule.Timetable) []string {
	tb.Helper()
	var all []string
	from, _ := table.Holds()
	for at := from; ; {
		s := table.At(at)
		if s.Open {
			end := "…"
			if !s.Until.IsZero() {
				end = s.Until.Format(time.RFC3339)
			}
			all = append(all, s.Since.Format(time.RFC3339)+"/"+end)
		}
		if s.Until.IsZero() {
			return all
		}
		if !s.Until.After(at) {
			tb.Fatalf("at %v the next change is at %v", at, s.Until)
		}
		at = s.Until
	}
}

// TestClockChanges holds the semantics that the package comment promises.
func TestClockChanges(t *testing.T) {
	tests := []struct {
		name, zone string
		window     schema.Window
		from, to   string
		want       []string
	}{
		{
			"a night ends at six on the clock when an hour is missing", "Europe/Berlin",
			schema.Window{Start: "2026-03-28T22:00:00", End: "2026-03-29T06:00:00"},
			"2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z",
			[]string{"2026-03-28T21:00:00Z/2026-03-29T04:00:00Z"},
		},
		{
			"and when an hour comes twice", "Europe/Berlin",
			schema.Window{Start: "2026-10-24T22:00:00", End: "2026-10-25T06:00:00"},
			"2026-10-24T00:00:00Z", "2026-10-26T00:00:00Z",
			[]string{"2026-10-24T20:00:00Z/2026-10-25T05:00:00Z"},
		},
		{
			"a start that does not exist is the change", "Europe/Berlin",
			schema.Window{Start: "2026-03-29T02:30:00", End: "2026-03-29T04:00:00"},
			"2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z",
			[]string{"2026-03-29T01:00:00Z/2026-03-29T02:00:00Z"},
		},
		{
			"so is an end", "America/New_York",
			schema.Window{Start: "2026-03-08T01:00:00", End: "2026-03-08T02:30:00"},
			"2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z",
			[]string{"2026-03-08T06:00:00Z/2026-03-08T07:00:00Z"},
		},
		{
			"what lies in the gap does not open", "America/New_York",
			schema.Window{Start: "2026-03-08T02:10:00", End: "2026-03-08T02:50:00"},
			"2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z", nil,
		},
		{
			"what lies in the hour that comes twice spans both", "America/New_York",
			schema.Window{Start: "2026-11-01T01:10:00", End: "2026-11-01T01:50:00"},
			"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T05:10:00Z/2026-11-01T06:50:00Z"},
		},
		{
			"an end at the hour that comes twice is the second", "America/New_York",
			schema.Window{Start: "2026-11-01T00:00:00", End: "2026-11-01T01:00:00"},
			"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T04:00:00Z/2026-11-01T06:00:00Z"},
		},
		{
			"a start right after it comes once", "America/New_York",
			schema.Window{Start: "2026-11-01T02:00:00", End: "2026-11-01T03:00:00"},
			"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z",
			[]string{"2026-11-01T07:00:00Z/2026-11-01T08:00:00Z"},
		},
		{
			"Lord Howe changes by half an hour: gap", "Australia/Lord_Howe",
			schema.Window{Start: "2026-10-04T02:15:00", End: "2026-10-04T03:00:00"},
			"2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z",
			[]string{"2026-10-03T15:30:00Z/2026-10-03T16:00:00Z"},
		},
		{
			"Lord Howe changes by half an hour: overlap", "Australia/Lord_Howe",
			schema.Window{Start: "2026-04-05T01:30:00", End: "2026-04-05T02:00:00"},
			"2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z",
			[]string{"2026-04-04T14:30:00Z/2026-04-04T15:30:00Z"},
		},
		{
			"Apia had no 30 December 2011", "Pacific/Apia",
			schema.Window{
				Start: "2011-12-29T09:00:00", End: "2011-12-29T17:00:00", Rule: "FREQ=DAILY;COUNT=3",
			},
			"2011-12-28T00:00:00Z", "2012-01-03T00:00:00Z",
			[]string{"2011-12-29T19:00:00Z/2011-12-30T03:00:00Z", "2011-12-30T19:00:00Z/2011-12-31T03:00:00Z"},
		},
		{
			"what began on the day that Apia skipped opens after it", "Pacific/Apia",
			schema.Window{Start: "2011-12-30T22:00:00", End: "2011-12-31T06:00:00"},
			"2011-12-28T00:00:00Z", "2012-01-03T00:00:00Z",
			[]string{"2011-12-30T10:00:00Z/2011-12-30T16:00:00Z"},
		},
		{
			"Casablanca leaves its summer for Ramadan", "Africa/Casablanca",
			schema.Window{Start: "2025-02-23T02:30:00", End: "2025-02-23T03:30:00"},
			"2025-02-22T00:00:00Z", "2025-02-24T00:00:00Z",
			[]string{"2025-02-23T01:30:00Z/2025-02-23T03:30:00Z"},
		},
		{
			"Monrovia was 44 minutes and 30 seconds behind", "Africa/Monrovia",
			schema.Window{Start: "1972-01-06T23:00:00", End: "1972-01-07T01:00:00"},
			"1972-01-05T00:00:00Z", "1972-01-09T00:00:00Z",
			[]string{"1972-01-06T23:44:30Z/1972-01-07T01:00:00Z"},
		},
		{
			"a leap year beyond the zone's table ends like any other", "America/New_York",
			schema.Window{Start: "2040-12-30T22:00:00", End: "2040-12-31T06:00:00", Rule: "FREQ=DAILY;COUNT=2"},
			"2040-12-30T00:00:00Z", "2041-01-02T00:00:00Z",
			[]string{"2040-12-31T03:00:00Z/2040-12-31T11:00:00Z", "2041-01-01T03:00:00Z/2041-01-01T11:00:00Z"},
		},
		{
			"weekdays are those of the start", "Asia/Tokyo",
			schema.Window{
				Start: "2026-06-05T22:00:00", End: "2026-06-06T02:00:00", Rule: "FREQ=WEEKLY;BYDAY=FR",
			},
			"2026-06-05T00:00:00Z", "2026-06-13T00:00:00Z",
			[]string{"2026-06-05T13:00:00Z/2026-06-05T17:00:00Z", "2026-06-12T13:00:00Z/2026-06-12T17:00:00Z"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ws := []schema.Window{test.window}
			if faults := schedule.CheckWindows(ws); len(faults) > 0 {
				t.Fatal(faults)
			}
			table := schedule.Compile(ws, nil, zone(t, test.zone),
				instant(t, test.from), instant(t, test.to))
			equal(t, openings(t, table), test.want)
		})
	}
}

func equal(tb testing.TB, got, want []string) {
	tb.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			tb.Errorf("missing: %s", want[i])
		case i >= len(want):
			tb.Errorf("too many: %s", got[i])
		case got[i] != want[i]:
			tb.Errorf("got %s, want %s", got[i], want[i])
		}
	}
}

var workingWeek = []schema.Window{
	{
		Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00",
		Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", Summary: "Front desk",
	},
	{Start: "2026-01-03T10:00:00", End: "2026-01-03T14:00:00", Rule: "FREQ=WEEKLY"},
}

func BenchmarkCompile(b *testing.B) {
	berlin := zone(b, "Europe/Berlin")
	holidays := []schema.Holiday{{Name: "Christmas", First: "2026-12-25", Last: "2026-12-26", Yearly: true}}
	from := instant(b, "2026-05-01T00:00:00Z")
	b.ReportAllocs()
	for b.Loop() {
		schedule.Compile(workingWeek, holidays, berlin, from, from.AddDate(0, 0, 400))
	}
}

func BenchmarkCompileOldDaily(b *testing.B) {
	ws := []schema.Window{{Start: "1970-01-01T08:00:00", End: "1970-01-01T18:00:00", Rule: "FREQ=DAILY"}}
	berlin, from := zone(b, "Europe/Berlin"), instant(b, "2026-05-01T00:00:00Z")
	for b.Loop() {
		schedule.Compile(ws, nil, berlin, from, from.AddDate(0, 0, 400))
	}
}

func BenchmarkAt(b *testing.B) {
	from := instant(b, "2026-05-01T00:00:00Z")
	table := schedule.Compile(workingWeek, nil, zone(b, "Europe/Berlin"), from, from.AddDate(0, 0, 400))
	at := from.AddDate(0, 0, 123)
	b.ReportAllocs()
	for b.Loop() {
		table.At(at)
	}
}
