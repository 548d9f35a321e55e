package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea/cardea/ent/schema"
)

// Limits on what is stored.
const (
	maxWindows  = 200
	maxDates    = 500 // of Except, and of Extra
	maxDailies  = 400 // occurrences of all windows on one day
	maxHolidays = 1_000
	maxText     = 200 // characters of a summary or name
)

// Fault says what is wrong with a field, such as windows.3.rule. The message continues its name.
type Fault struct{ Field, Message string }

// CheckWindows returns every fault of the windows.
func CheckWindows(ws []schema.Window) []Fault {
	if len(ws) > maxWindows {
		return []Fault{{"windows", fmt.Sprintf("must be at most %d", maxWindows)}}
	}
	var all []Fault
	dailies := 0
	for i, w := range ws {
		parsed, faults := parseWindow(w)
		for _, f := range faults {
			all = append(all, Fault{fmt.Sprintf("windows.%d.%s", i, f.Field), f.Message})
		}
		dailies += parsed.dailies()
	}
	if dailies > maxDailies {
		all = append(all, Fault{
			"windows", fmt.Sprintf("must not occur more than %d times on one day", maxDailies),
		})
	}
	return all
}

// CheckHolidays returns every fault of the holidays.
func CheckHolidays(hs []schema.Holiday) []Fault {
	if len(hs) > maxHolidays {
		return []Fault{{"holidays", fmt.Sprintf("must be at most %d", maxHolidays)}}
	}
	var all []Fault
	for i, h := range hs {
		_, faults := parseHoliday(h)
		for _, f := range faults {
			all = append(all, Fault{fmt.Sprintf("holidays.%d.%s", i, f.Field), f.Message})
		}
	}
	return all
}

// faults gathers what is wrong.
type faults []Fault

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, Fault{field, fmt.Sprintf(format, args...)})
}

func (f *faults) text(field, value string) {
	switch {
	case utf8.RuneCountInString(value) > maxText:
		f.add(field, "must have at most %d characters", maxText)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, isControl):
		f.add(field, "must not contain control characters")
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func (f *faults) local(field, value string) (int64, bool) {
	at, ok := parseLocal(value)
	if !ok {
		f.add(field, "must be a local time from 1970 to 2199, such as 2026-03-02T08:00:00")
	}
	return at, ok
}

// localLayout is of a local time. Dates are its first half.
const localLayout = "2006-01-02T15:04:05"

func parseLocal(text string) (int64, bool) {
	t, err := time.Parse(localLayout, text)
	// The length is checked because Parse accepts fractions of seconds.
	ok := err == nil && len(text) == len(localLayout) && t.Year() >= 1970 && t.Year() < 2200
	return t.Unix(), ok
}

func formatLocal(local int64) string { return time.Unix(local, 0).UTC().Format(localLayout) }

func parseWindow(w schema.Window) (window, []Fault) {
	var f faults
	parsed := window{holidays: w.Holidays}
	var end int64
	var starts, ends bool
	parsed.start, starts = f.local("start", w.Start)
	end, ends = f.local("end", w.End)
	parsed.length = end - parsed.start
	if starts && ends && (parsed.length <= 0 || parsed.length > longest) {
		f.add("end", "must be after start, and at most 7 days")
	}
	if w.Rule != "" && starts {
		parsed.rule = f.rule(w.Rule, parsed.start)
	}
	parsed.except = f.locals("except", w.Except)
	parsed.extra = f.locals("extra", w.Extra)
	if w.Holidays != "" && !slices.Contains(w.Holidays.Values(), string(w.Holidays)) {
		f.add("holidays", "must be SKIP, KEEP or ONLY")
	}
	f.text("summary", w.Summary)
	return parsed, f
}

// locals are returned in order.
func (f *faults) locals(field string, values []string) []int64 {
	if len(values) > maxDates {
		f.add(field, "must be at most %d", maxDates)
		return nil
	}
	all := make([]int64, 0, len(values))
	for i, value := range values {
		if at, ok := f.local(fmt.Sprintf("%s.%d", field, i), value); ok {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
}

func (f *faults) rule(text string, start int64) *rule {
	r, err := parseRule(text, start)
	if err != nil {
		f.add("rule", "%s", err)
		return nil
	}
	if first, end := r.period(0); slices.Contains(r.expand(first, end, nil), start) {
		return r
	}
	if next, found := r.next(); found {
		f.add("start", "must be an occurrence of the rule; the next is %s", formatLocal(next))
	} else {
		f.add("rule", "must occur at the start")
	}
	return nil
}

// next looks for the rule's first occurrence in the years that follow its start.
func (r *rule) next() (at int64, found bool) {
	within := *r
	within.count = 1
	all := within.between(r.start, r.start+8*366*daySeconds)
	if len(all) == 0 {
		return 0, false
	}
	return all[0], true
}

func parseHoliday(h schema.Holiday) (dates, []Fault) {
	var f faults
	d := dates{yearly: h.Yearly}
	var ok, ends bool
	d.first, ok = f.date("first", h.First)
	d.last, ends = d.first, ok
	if h.Last != "" {
		d.last, ends = f.date("last", h.Last)
	}
	if ok && ends && (d.last < d.first || d.last-d.first >= 365) {
		f.add("last", "must not be before first, nor a year after it")
	}
	if h.Name == "" || strings.TrimSpace(h.Name) != h.Name {
		f.add("name", "must not be empty or begin or end with space")
	}
	f.text("name", h.Name)
	return d, f
}

func (f *faults) date(field, value string) (int, bool) {
	t, err := time.Parse(time.DateOnly, value)
	if err != nil || len(value) != len(time.DateOnly) || t.Year() < 1600 || t.Year() > 2199 {
		f.add(field, "must be a date from 1600 to 2199, such as 2026-12-25")
		return 0, false
	}
	return dayOf(t.Unix()), true
}
