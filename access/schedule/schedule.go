// Package schedule tells when recurring windows are open, in the wall-clock time of a site. It is
// pure: it reads no clock and no database.
//
// An occurrence of a window is the local interval [start, end). Its local end is its local start
// plus the wall-clock difference of the window's End and Start, so that a window from 22:00 to 06:00
// ends at 06:00 on the clock in every night of the year.
//
// Where the clock is changed:
//   - A local time that does not exist (the clock was put forward over it) stands for the next
//     instant that does: the change itself.
//   - Of a local time that exists twice (the clock was put back), a start is the first and an end is
//     the last. The window is open over both, and over what lies between.
//   - An occurrence that vanishes altogether, because the clock was put forward over it, does not
//     open. Nor does one that begins on a day that a zone skipped, unless it outlasts that day.
//
// In other words: it opens at the first instant at which the clock shows its start or later, and
// closes at the last at which the clock shows its end or earlier.
//
// An occurrence belongs to the day on which it starts: for the weekdays and months of its rule, and
// for holidays. A window's rule is an RRULE of RFC 5545, down to DAILY; its Start is always the
// first occurrence, and CheckWindows refuses a rule that says otherwise.
package schedule

import (
	"slices"
	"time"

	"github.com/cardea/cardea/ent/schema"
)

const (
	daySeconds = 24 * 60 * 60
	longest    = 7 * daySeconds // from an occurrence's start to its end
)

// Compile works out when the windows are open within [from, to), in the zone and with its holidays.
// What opened before from and is still open then is part of it.
//
// It takes time in proportion to the horizon, and to the age of windows with a COUNT; not to that of
// others. A window or holiday that CheckWindows or CheckHolidays refuses has no effect.
func Compile(
	ws []schema.Window, hs []schema.Holiday, zone *time.Location, from, to time.Time,
) *Timetable {
	plan := planner{
		from: from.Unix(), to: to.Unix(), clock: newClock(zone, from, to),
		holidays: newHolidays(hs, from, to),
	}
	for _, w := range ws {
		if parsed, faults := parseWindow(w); len(faults) == 0 {
			plan.add(parsed)
		}
	}
	return newTimetable(plan.open, plan.shut, from, to)
}

// planner gathers occurrences as instants.
type planner struct {
	from, to   int64
	clock      clock
	holidays   holidays
	open, shut []span // shut: by a holiday
}

func (p *planner) add(w window) {
	// Two days cover any offset from UTC.
	starts := w.starts(p.from-longest-2*daySeconds, p.to+2*daySeconds)
	for _, local := range starts {
		s := span{p.clock.first(local), p.clock.last(local + w.length)}
		if s.start >= s.end || s.end <= p.from || s.start > p.to {
			continue
		}
		holiday := p.holidays.has(dayOf(local))
		switch {
		case w.holidays == schema.HolidayKeep || holiday == (w.holidays == schema.HolidayOnly):
			p.open = append(p.open, s)
		case holiday:
			p.shut = append(p.shut, s)
		}
	}
}

// window is a schema.Window that was checked. Local times count the seconds of the wall clock since
// 1970, as if it were UTC's.
type window struct {
	start, length int64
	rule          *rule // none: once
	except, extra []int64
	holidays      schema.HolidayRule
}

// starts lists the occurrences' starts within [from, to), unordered if there are extra ones.
func (w *window) starts(from, to int64) []int64 {
	var all []int64
	switch {
	case w.rule != nil:
		all = w.rule.between(from, to)
	case w.start >= from && w.start < to:
		all = []int64{w.start}
	}
	for _, extra := range w.extra {
		if extra >= from && extra < to {
			all = append(all, extra)
		}
	}
	if len(w.except) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(start int64) bool {
		_, found := slices.BinarySearch(w.except, start)
		return found
	})
}

// dailies is how often it starts on one day, at most; extra starts are not counted.
func (w *window) dailies() int {
	if w.rule == nil {
		return 1
	}
	return len(w.rule.times)
}

// dayOf counts the days since 1970-01-01.
func dayOf(local int64) int {
	day := local / daySeconds
	if local%daySeconds < 0 {
		day--
	}
	return int(day)
}

func dateOf(day int) time.Time { return time.Unix(int64(day)*daySeconds, 0).UTC() }

func dayNumber(year int, month time.Month, day int) int {
	return dayOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix())
}
