package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent/schema"
)

func TestCheckRules(t *testing.T) {
	tests := []struct{ rule, message string }{
		{"WEEKLY", "parts such as"},
		{"FREQ=WEEKLY;", "parts such as"},
		{"FREQ=WEEKLY;FREQ=DAILY", "two parts FREQ"},
		{"INTERVAL=2", "must have FREQ"},
		{"FREQ=HOURLY", "must have FREQ"},
		{"FREQ=MINUTELY", "must have FREQ"},
		{"FREQ=SECONDLY", "must have FREQ"},
		{"FREQ=DA\u0131LY", "ASCII"},
		{"FREQ=DAILY;INTERVAL=0", "INTERVAL from 1 to 1000"},
		{"FREQ=DAILY;INTERVAL=1001", "INTERVAL from 1 to 1000"},
		{"FREQ=DAILY;COUNT=0", "COUNT from 1 to 10000"},
		{"FREQ=DAILY;COUNT=10001", "COUNT from 1 to 10000"},
		{"FREQ=DAILY;COUNT=2;UNTIL=20270101", "both COUNT and UNTIL"},
		{"FREQ=DAILY;UNTIL=20270101T000000Z", "without Z"},
		{"FREQ=DAILY;UNTIL=20270101T0000", "UNTIL such as"},
		{"FREQ=DAILY;UNTIL=20270101T000000.5", "UNTIL such as"},
		{"FREQ=DAILY;UNTIL=20251231", "before the start"},
		{"FREQ=DAILY;WKST=1", "WKST"},
		{"FREQ=DAILY;BYMONTH=13", "BYMONTH from 1 to 12"},
		{"FREQ=DAILY;BYMONTHDAY=0", "a 0 in BYMONTHDAY"},
		{"FREQ=YEARLY;BYYEARDAY=-367", "BYYEARDAY from -366 to 366"},
		{"FREQ=YEARLY;BYWEEKNO=1", "BYWEEKNO but with"},
		{"FREQ=MONTHLY;BYWEEKNO=1;BYDAY=MO", "BYWEEKNO but with"},
		{"FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY but with"},
		{"FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY with FREQ=WEEKLY"},
		{"FREQ=WEEKLY;BYDAY=1MO", "number a weekday"},
		{"FREQ=YEARLY;BYWEEKNO=2;BYDAY=1MO", "number a weekday"},
		{"FREQ=MONTHLY;BYDAY=6MO", "BYDAY from -5 to 5"},
		{"FREQ=MONTHLY;BYDAY=M", "BYDAY such as"},
		{"FREQ=MONTHLY;BYDAY=,MO", "BYDAY such as"},
		{"FREQ=DAILY;BYSETPOS=1", "BYSETPOS but with"},
		{"FREQ=DAILY;BYHOUR=24", "BYHOUR from 0 to 23"},
		{"FREQ=DAILY;BYSECOND=60", "BYSECOND from 0 to 59"},
		{"FREQ=DAILY;BYHOUR=0,1,2,3,4;BYMINUTE=0,1,2,3,4", "more than 24 times"},
		{"FREQ=DAILY;BYEASTER=1", `unknown part "BYEASTER"`},
		{"FREQ=DAILY;BYHOUR=" + strings.Repeat("8,", 250) + "8", "500 characters"},
		{"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "occur at the start"},
	}
	for _, test := range tests {
		w := schema.Window{Start: "2026-03-02T08:00:00", End: "2026-03-02T09:00:00", Rule: test.rule}
		faults := schedule.CheckWindows([]schema.Window{w})
		if len(faults) != 1 || faults[0].Field != "windows.0.rule" ||
			!strings.Contains(faults[0].Message, test.message) {
			t.Errorf("%s: got %v", test.rule, faults)
		}
	}
}

// TestCheckFindsAll has several faults in each window and holiday.
func TestCheckFindsAll(t *testing.T) {
	many := slices.Repeat([]string{"2026-03-02T08:00:00"}, 501)
	ws := []schema.Window{
		workingWeek[0],
		{Start: "2026-03-02T08:00:00", End: "2026-03-02T08:00:00", Rule: "FREQ=SECONDLY",
			Except: []string{"2026-03-02T08:00:00", "2026-03-02"}, Extra: many, Holidays: "NEVER",
			Summary: "two\nlines"},
		{Start: "1969-12-31T08:00:00", End: "2026-03-02T08:00:00.5", Rule: "is not looked at"},
		{Start: "2026-03-02T08:00:00", End: "2026-03-09T08:00:01", Summary: strings.Repeat("ä", 201)},
		{Start: "2026-03-02T08:00:00", End: "2026-03-09T08:00:00", Rule: "FREQ=WEEKLY;BYDAY=TU,TH"},
		{Start: "2026-02-30T08:00:00", End: "2026-03-02T24:00:00"},
	}
	equal(t, fields(schedule.CheckWindows(ws)), []string{
		"windows.1.end", "windows.1.rule", "windows.1.except.1", "windows.1.extra", "windows.1.holidays",
		"windows.1.summary", "windows.2.start", "windows.2.end", "windows.3.end", "windows.3.summary",
		"windows.4.start", "windows.5.start", "windows.5.end",
	})
	equal(t, fields(schedule.CheckWindows(slices.Repeat(workingWeek[:1], 201))), []string{"windows"})
	dense := workingWeek[0]
	dense.Rule = "FREQ=DAILY;BYHOUR=8,9,10,11;BYMINUTE=0,15,30,45"
	if faults := schedule.CheckWindows(slices.Repeat([]schema.Window{dense}, 25)); len(faults) > 0 {
		t.Error(faults)
	}
	equal(t, fields(schedule.CheckWindows(slices.Repeat([]schema.Window{dense}, 26))), []string{"windows"})

	hs := []schema.Holiday{
		{Name: "Leap day", First: "2024-02-29", Yearly: true},
		{First: "2026-02-29", Last: "2026-2-1"},
		{Name: " Easter", First: "2026-04-06", Last: "2026-04-05"},
		{Name: "Always", First: "2026-01-01", Last: "2027-01-01"},
		{Name: "Once", First: "1599-12-31"},
	}
	equal(t, fields(schedule.CheckHolidays(hs)), []string{
		"holidays.1.first", "holidays.1.last", "holidays.1.name", "holidays.2.last", "holidays.2.name",
		"holidays.3.last", "holidays.4.first",
	})
	equal(t, fields(schedule.CheckHolidays(slices.Repeat(hs[:1], 1001))), []string{"holidays"})
}

func fields(faults []schedule.Fault) []string {
	all := make([]string, len(faults))
	for i, f := range faults {
		all[i] = f.Field
	}
	return all
}

func TestFaultyWindowsDoNotOpen(t *testing.T) {
	from := instant(t, "2026-03-02T00:00:00Z")
	table := schedule.Compile([]schema.Window{
		{Start: "2026-03-02T08:00:00", End: "2026-03-02T18:00:00", Rule: "FREQ=SECONDLY"}, {},
	}, []schema.Holiday{{First: "never"}}, time.UTC, from, from.AddDate(0, 0, 7))
	if got := table.At(from.Add(9 * time.Hour)); got != (schedule.State{}) {
		t.Errorf("got %+v", got)
	}
	// Nor does anything within a horizon that ends before it begins.
	table = schedule.Compile(workingWeek, nil, time.UTC, from, from.AddDate(-1, 0, 0))
	if got := table.At(from); got != (schedule.State{}) {
		t.Errorf("got %+v", got)
	}
}

// TestAtAllocatesNothing: it is asked for every door at every decision.
func TestAtAllocatesNothing(t *testing.T) {
	from := instant(t, "2026-03-02T00:00:00Z")
	table := schedule.Compile(workingWeek, nil, zone(t, "Europe/Berlin"), from, from.AddDate(0, 0, 400))
	if n := testing.AllocsPerRun(100, func() { table.At(from.Add(100 * time.Hour)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzWindow: whatever is accepted compiles, in bounded time, to a timetable that is in order.
func FuzzWindow(f *testing.F) {
	f.Add("2026-03-02T08:00:00", "2026-03-02T18:00:00", "FREQ=WEEKLY;BYDAY=MO,TU", "", "", "SKIP",
		"2026-12-25", 1, int64(1_770_000_000))
	f.Add("1970-01-01T00:00:00", "1970-01-08T00:00:00", "FREQ=DAILY;COUNT=10000;BYMONTH=1,2;BYSETPOS=-1",
		"1970-01-02T00:00:00", "2040-12-31T02:30:00", "ONLY", "2024-02-29", 12, int64(2_240_500_000))
	f.Add("2004-02-29T23:59:59", "2004-03-01T00:00:00",
		"FREQ=YEARLY;INTERVAL=3;BYWEEKNO=9,-1;BYDAY=SU;WKST=TH;UNTIL=21991231", "", "", "KEEP", "",
		29, int64(-62_000_000_000))
	f.Fuzz(func(t *testing.T, start, end, rule, except, extra, holidays, holiday string, at int, unix int64) {
		w := schema.Window{Start: start, End: end, Rule: rule, Holidays: schema.HolidayRule(holidays)}
		if except != "" {
			w.Except = strings.Split(except, ",")
		}
		if extra != "" {
			w.Extra = strings.Split(extra, ",")
		}
		ws := []schema.Window{w}
		began := time.Now()
		accepted := len(schedule.CheckWindows(ws)) == 0
		hs := []schema.Holiday{{Name: "Closed", First: holiday, Yearly: at%2 == 0}}
		from := time.Unix(unix%10_000_000_000, 0) // 1653 to 2286
		table := schedule.Compile(ws, hs, zone(t, zones[uint(at)%uint(len(zones))]), from, from.AddDate(0, 0, 400))
		if took := time.Since(began); took > time.Second {
			t.Fatalf("it took %v", took)
		}
		if opened := openings(t, table); !accepted && len(opened) > 0 {
			t.Fatalf("it is refused, and yet opens: %v", opened)
		}
	})
}
