package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent/schema"
)

var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Istanbul",
	"Europe/Moscow", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "America/Havana",
	"America/St_Johns", "America/Caracas", "America/Santiago", "America/Asuncion", "America/Nuuk",
	"America/Scoresbysund", "America/Adak", "Africa/Casablanca", "Africa/Cairo", "Africa/Khartoum",
	"Africa/Monrovia", "Asia/Kathmandu", "Asia/Tehran", "Asia/Gaza", "Asia/Pyongyang", "Asia/Kolkata",
	"Asia/Beirut", "Asia/Amman", "Australia/Lord_Howe", "Australia/Sydney", "Australia/Eucla",
	"Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham", "Pacific/Norfolk", "Pacific/Kiritimati",
	"Pacific/Easter", "Antarctica/Troll", "Antarctica/Casey",
}

const local = "2006-01-02T15:04:05"

// pattern is a window of which the oracle knows more than its text.
type pattern struct {
	schema.Window
	first    time.Time // as all local times of the oracle, in UTC
	length   time.Duration
	weekly   bool
	interval int
	weekdays []time.Weekday
	count    int
	until    time.Time
}

// starts goes through every day from the first on.
func (p pattern) starts(end time.Time) []time.Time {
	var all []time.Time
	count := 0
	monday := p.first.AddDate(0, 0, -(int(p.first.Weekday())+6)%7)
	for day := p.first; day.Before(end); day = day.AddDate(0, 0, 1) {
		since := int(day.Sub(p.first).Hours()) / 24
		if p.weekly {
			since = int(day.Sub(monday).Hours()) / 24 / 7
		}
		if since%p.interval != 0 || !slices.Contains(p.weekdays, day.Weekday()) ||
			!p.until.IsZero() && day.After(p.until) || p.count > 0 && count >= p.count {
			continue
		}
		count++
		all = append(all, day)
	}
	for _, extra := range p.Extra {
		at, _ := time.Parse(local, extra)
		all = append(all, at)
	}
	return slices.DeleteFunc(all, func(at time.Time) bool {
		return slices.Contains(p.Except, at.Format(local))
	})
}

func drawPattern(t *rapid.T, around time.Time) pattern {
	p := pattern{interval: rapid.IntRange(1, 3).Draw(t, "interval")}
	p.first = around.AddDate(0, 0, rapid.IntRange(-25, 3).Draw(t, "first day")).Truncate(24 * time.Hour).
		Add(time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, "minute")) * time.Minute)
	p.length = time.Duration(rapid.OneOf(
		rapid.IntRange(1, 180), rapid.IntRange(1, 24*60), rapid.IntRange(1, 7*24*60),
	).Draw(t, "minutes")) * time.Minute
	p.weekly = rapid.Bool().Draw(t, "weekly")
	p.weekdays = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) time.Weekday {
		return time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday"))
	}), 0, 7, rapid.ID).Draw(t, "weekdays")
	if !slices.Contains(p.weekdays, p.first.Weekday()) {
		p.weekdays = append(p.weekdays, p.first.Weekday())
	}
	names := make([]string, len(p.weekdays))
	for i, day := range p.weekdays {
		names[i] = strings.ToUpper(day.String()[:2])
	}
	freq := map[bool]string{true: "WEEKLY", false: "DAILY"}[p.weekly]
	p.Rule = fmt.Sprintf("FREQ=%s;INTERVAL=%d;BYDAY=%s", freq, p.interval, strings.Join(names, ","))
	switch rapid.IntRange(0, 3).Draw(t, "end") {
	case 1:
		p.count = rapid.IntRange(1, 40).Draw(t, "count")
		p.Rule += fmt.Sprintf(";COUNT=%d", p.count)
	case 2:
		p.until = p.first.AddDate(0, 0, rapid.IntRange(0, 40).Draw(t, "until"))
		p.Rule += ";UNTIL=" + p.until.Format("20060102T150405")
	}
	p.Start, p.End = p.first.Format(local), p.first.Add(p.length).Format(local)
	for range rapid.IntRange(0, 3).Draw(t, "exceptions") {
		day := p.first.AddDate(0, 0, rapid.IntRange(0, 30).Draw(t, "exception"))
		p.Except = append(p.Except, day.Format(local))
	}
	for range rapid.IntRange(0, 2).Draw(t, "extras") {
		extra := p.first.Add(time.Duration(rapid.IntRange(0, 30*24*60).Draw(t, "extra")) * time.Minute)
		p.Extra = append(p.Extra, extra.Format(local))
	}
	p.Holidays = rapid.SampledFrom([]schema.HolidayRule{"", "SKIP", "KEEP", "ONLY"}).Draw(t, "holidays")
	return p
}

func drawHoliday(t *rapid.T, around time.Time) schema.Holiday {
	first := around.AddDate(0, 0, rapid.IntRange(-12, 8).Draw(t, "holiday"))
	h := schema.Holiday{Name: "Closed", First: first.Format(time.DateOnly)}
	if days := rapid.IntRange(0, 4).Draw(t, "days"); days > 0 {
		h.Last = first.AddDate(0, 0, days-1).Format(time.DateOnly)
	}
	h.Yearly = rapid.Bool().Draw(t, "yearly")
	return h
}

// isHoliday steps through the days of a holiday, of the leap year 2024 if it is yearly.
func isHoliday(hs []schema.Holiday, day time.Time) bool {
	return slices.ContainsFunc(hs, func(h schema.Holiday) bool {
		first, last, date := h.First, h.Last, day.Format(time.DateOnly)
		if last == "" {
			last = first
		}
		if h.Yearly {
			begin, end := "2024", "2024"
			if first[4:] > last[4:] {
				begin = "2023"
			}
			first, last, date = begin+first[4:], end+last[4:], date[4:]
		}
		at, _ := time.Parse(time.DateOnly, first)
		for ; at.Format(time.DateOnly) <= last; at = at.AddDate(0, 0, 1) {
			if strings.HasSuffix(at.Format(time.DateOnly), date) {
				return true
			}
		}
		return false
	})
}

// drawMoment prefers changes of the clock, leap days and the turn of the year.
func drawMoment(t *rapid.T, zone *time.Location) time.Time {
	year := rapid.IntRange(1973, 2100).Draw(t, "year")
	at := time.Date(year, 1, rapid.IntRange(1, 366).Draw(t, "day"), 12, 0, 0, 0, time.UTC)
	switch rapid.IntRange(0, 4).Draw(t, "moment") {
	case 0:
		return time.Date(year, 2, 28, 12, 0, 0, 0, time.UTC)
	case 1:
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	case 2, 3:
		if _, change := at.In(zone).ZoneBounds(); change.After(at) {
			return change.UTC()
		}
	}
	return at
}

// wall is the clock of a zone, read every minute.
type wall struct {
	begin           time.Time
	shown           []time.Time
	highest, lowest []time.Time // shown so far, and from then on
}

func readWall(zone *time.Location, begin time.Time, minutes int) wall {
	w := wall{begin: begin}
	for i := range minutes {
		at := begin.Add(time.Duration(i) * time.Minute)
		_, east := at.In(zone).Zone()
		w.shown = append(w.shown, at.Add(time.Duration(east)*time.Second))
	}
	w.highest, w.lowest = slices.Clone(w.shown), slices.Clone(w.shown)
	for i := 1; i < minutes; i++ {
		if w.highest[i].Before(w.highest[i-1]) {
			w.highest[i] = w.highest[i-1]
		}
		if j := minutes - 1 - i; w.lowest[j].After(w.lowest[j+1]) {
			w.lowest[j] = w.lowest[j+1]
		}
	}
	return w
}

// isOpen says whether the clock has shown the start or later, and shows what is before the end, or
// will show the end or earlier once more.
func (w wall) isOpen(minute int, start, end time.Time) bool {
	return !w.highest[minute].Before(start) &&
		(w.shown[minute].Before(end) || !w.lowest[minute+1].After(end))
}

// TestOracle compares every minute of six days with a second implementation, which looks at
// calendar days and at the wall clock one by one.
func TestOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		around := drawMoment(t, zone).Truncate(time.Minute)
		from, to := around.AddDate(0, 0, -3), around.AddDate(0, 0, 3)
		patterns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pattern {
			return drawPattern(t, around)
		}), 1, 3).Draw(t, "windows")
		hs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) schema.Holiday {
			return drawHoliday(t, around)
		}), 0, 3).Draw(t, "calendar")
		ws := make([]schema.Window, len(patterns))
		for i, p := range patterns {
			ws[i] = p.Window
		}
		if faults := append(schedule.CheckWindows(ws), schedule.CheckHolidays(hs)...); len(faults) > 0 {
			t.Fatal(faults)
		}
		table := schedule.Compile(ws, hs, zone, from, to)
		compare(t, table, patterns, hs, readWall(zone, from.AddDate(0, 0, -12), 20*24*60))
		walk(t, table)
	})
}

func compare(t *rapid.T, table *schedule.Timetable, patterns []pattern, hs []schema.Holiday, w wall) {
	type occurrence struct {
		start, end time.Time
		shut       bool
	}
	var occurrences []occurrence
	from, to := table.Holds()
	for _, p := range patterns {
		for _, start := range p.starts(to.AddDate(0, 0, 2)) {
			holiday := isHoliday(hs, start)
			skips := p.Holidays == "" || p.Holidays == schema.HolidaySkip
			o := occurrence{start, start.Add(p.length), holiday && skips}
			if p.Holidays == schema.HolidayOnly && !holiday {
				continue
			}
			if o.end.After(from.AddDate(0, 0, -2)) {
				occurrences = append(occurrences, o)
			}
		}
	}
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		minute := int(at.Sub(w.begin).Minutes())
		var open, shut bool
		for _, o := range occurrences {
			if w.isOpen(minute, o.start, o.end) {
				open, shut = open || !o.shut, shut || o.shut
			}
		}
		if s := table.At(at); s.Open != open || s.Holiday != (shut && !open) {
			t.Fatalf("at %v (%v on the clock): got %+v, want open %v, holiday %v",
				at, w.shown[minute], s, open, shut && !open)
		}
	}
}

// walk checks that Since and Until are exact, to the microsecond.
func walk(t *rapid.T, table *schedule.Timetable) {
	same := func(a, b schedule.State) bool { return a.Open == b.Open && a.Holiday == b.Holiday }
	from, to := table.Holds()
	at := from
	for {
		s := table.At(at)
		if s.Open == s.Since.IsZero() || s.Since.After(at) {
			t.Fatalf("at %v: %+v", at, s)
		}
		if s.Open && s.Since.After(from) && table.At(s.Since.Add(-time.Microsecond)).Open {
			t.Fatalf("at %v it is open since before %v", at, s.Since)
		}
		if s.Until.IsZero() {
			break
		}
		before := table.At(s.Until.Add(-time.Microsecond))
		if !s.Until.After(at) || before != s || same(table.At(s.Until), s) {
			t.Fatalf("at %v: %+v is not exact: %+v, then %+v", at, s, before, table.At(s.Until))
		}
		at = s.Until
	}
	if last := table.At(to.Add(-time.Microsecond)); last != table.At(at) {
		t.Fatalf("no change is known after %v, and yet %+v", at, last)
	}
	if table.At(to) != (schedule.State{}) || table.At(from.Add(-1)) != (schedule.State{}) {
		t.Fatal("it knows more than it holds")
	}
}
