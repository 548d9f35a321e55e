package schedule

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits on a rule.
const (
	maxRule     = 500 // characters
	maxCount    = 10_000
	maxInterval = 1_000
	maxTimes    = 24 // occurrences on one day
)

type frequency int

const (
	daily frequency = iota
	weekly
	monthly
	yearly
)

var frequencies = map[string]frequency{
	"DAILY": daily, "WEEKLY": weekly, "MONTHLY": monthly, "YEARLY": yearly,
}

var weekdays = map[string]time.Weekday{
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday,
	"TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

// weekday is an element of BYDAY. With nth it is that one of the month or year, from the end if it
// is negative.
type weekday struct {
	day time.Weekday
	nth int
}

// rule is an RRULE with the start that completes it.
//
// It is expanded here and not by a library so that the work has a bound: a library's iterator runs
// to the year 9999 when a rule never occurs. Its tests compare it with one.
type rule struct {
	start      int64
	freq       frequency
	interval   int
	count      int // 0: no limit
	until      int64
	weekStart  time.Weekday
	byMonth    []int
	byWeekNo   []int
	byYearDay  []int
	byMonthDay []int
	byDay      []weekday
	bySetPos   []int
	times      []int64 // seconds of the day, in order
}

// parseRule reads the value of an RRULE for windows that first start at start.
func parseRule(text string, start int64) (*rule, error) {
	if len(text) > maxRule {
		return nil, fmt.Errorf("must have at most %d characters", maxRule)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII }) {
		return nil, errors.New("must be plain ASCII") // of which capitals are made
	}
	parts, err := splitRule(text)
	if err != nil {
		return nil, err
	}
	r := &rule{start: start, interval: 1, until: math.MaxInt64, weekStart: time.Monday}
	for _, read := range []func(map[string]string) error{
		r.readFrequency, r.readEnd, r.readDates, r.readWeekdays, r.readTimes, r.checkParts,
	} {
		if err := read(parts); err != nil {
			return nil, err
		}
	}
	for name := range parts {
		if !slices.Contains(ruleParts, name) {
			return nil, fmt.Errorf("has the unknown part %q", name)
		}
	}
	r.complete()
	return r, nil
}

var ruleParts = []string{
	"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY",
	"BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS",
}

func splitRule(text string) (map[string]string, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(text), ";") {
		name, value, found := strings.Cut(part, "=")
		if !found || value == "" {
			return nil, errors.New("must be parts such as FREQ=WEEKLY;BYDAY=MO,TU")
		}
		if _, twice := parts[name]; twice {
			return nil, fmt.Errorf("has two parts %s", name)
		}
		parts[name] = value
	}
	return parts, nil
}

func (r *rule) readFrequency(parts map[string]string) error {
	freq, known := frequencies[parts["FREQ"]]
	if !known {
		return errors.New("must have FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
	}
	r.freq = freq
	var err error
	if value, given := parts["INTERVAL"]; given {
		if r.interval, err = number(value, "INTERVAL", 1, maxInterval); err != nil {
			return err
		}
	}
	if value, given := parts["WKST"]; given {
		if r.weekStart, given = weekdays[value]; !given {
			return errors.New("must have a WKST such as MO")
		}
	}
	return nil
}

func (r *rule) readEnd(parts map[string]string) error {
	count, counted := parts["COUNT"]
	until, ends := parts["UNTIL"]
	if counted && ends {
		return errors.New("must not have both COUNT and UNTIL")
	}
	var err error
	if counted {
		if r.count, err = number(count, "COUNT", 1, maxCount); err != nil {
			return err
		}
	}
	if ends {
		if r.until, err = parseUntil(until); err != nil {
			return err
		}
		if r.until < r.start {
			return errors.New("must not have an UNTIL before the start")
		}
	}
	return nil
}

// parseUntil reads 20261231T220000, or 20261231 which is the whole day.
func parseUntil(text string) (int64, error) {
	if strings.HasSuffix(text, "Z") {
		return 0, errors.New("must have an UNTIL in local time, without Z")
	}
	if day, err := time.Parse("20060102", text); err == nil && len(text) == 8 {
		return day.Unix() + daySeconds - 1, nil
	}
	at, err := time.Parse("20060102T150405", text)
	if err != nil || len(text) != 15 {
		return 0, errors.New("must have an UNTIL such as 20261231T220000 or 20261231")
	}
	return at.Unix(), nil
}

func (r *rule) readDates(parts map[string]string) error {
	for _, part := range []struct {
		name     string
		into     *[]int
		highest  int
		negative bool // counts from the end too
	}{
		{"BYMONTH", &r.byMonth, 12, false},
		{"BYWEEKNO", &r.byWeekNo, 53, true},
		{"BYYEARDAY", &r.byYearDay, 366, true},
		{"BYMONTHDAY", &r.byMonthDay, 31, true},
		{"BYSETPOS", &r.bySetPos, 366, true},
	} {
		value, given := parts[part.name]
		if !given {
			continue
		}
		lowest := 1
		if part.negative {
			lowest = -part.highest
		}
		var err error
		if *part.into, err = numbers(value, part.name, lowest, part.highest); err != nil {
			return err
		}
		if slices.Contains(*part.into, 0) {
			return fmt.Errorf("must not have a 0 in %s", part.name)
		}
	}
	return nil
}

func (r *rule) readWeekdays(parts map[string]string) error {
	value, given := parts["BYDAY"]
	if !given {
		return nil
	}
	highest := 53
	if r.freq == monthly || r.freq == yearly && len(r.byMonth) > 0 {
		highest = 5
	}
	for text := range strings.SplitSeq(value, ",") {
		nth, name := text[:max(0, len(text)-2)], text[max(0, len(text)-2):]
		day, known := weekdays[name]
		if !known {
			return errors.New("must have a BYDAY such as MO,TU or -1FR")
		}
		w := weekday{day: day}
		if nth != "" {
			var err error
			if w.nth, err = number(nth, "BYDAY", -highest, highest); err != nil {
				return err
			}
			if w.nth == 0 || r.freq < monthly || len(r.byWeekNo) > 0 {
				return errors.New("must not number a weekday of BYDAY but in a month or year")
			}
		}
		r.byDay = append(r.byDay, w)
	}
	return nil
}

func (r *rule) readTimes(parts map[string]string) error {
	second := r.start - int64(dayOf(r.start))*daySeconds
	fields := [3][]int{{int(second / 3600)}, {int(second / 60 % 60)}, {int(second % 60)}}
	for i, name := range []string{"BYHOUR", "BYMINUTE", "BYSECOND"} {
		value, given := parts[name]
		if !given {
			continue
		}
		var err error
		if fields[i], err = numbers(value, name, 0, []int{23, 59, 59}[i]); err != nil {
			return err
		}
	}
	if len(fields[0])*len(fields[1])*len(fields[2]) > maxTimes {
		return fmt.Errorf("must not occur more than %d times on one day", maxTimes)
	}
	for _, h := range fields[0] {
		for _, m := range fields[1] {
			for _, s := range fields[2] {
				r.times = append(r.times, int64(h)*3600+int64(m)*60+int64(s))
			}
		}
	}
	slices.Sort(r.times)
	r.times = slices.Compact(r.times)
	return nil
}

// checkParts refuses what RFC 5545 forbids, or leaves open.
func (r *rule) checkParts(parts map[string]string) error {
	_, timed := parts["BYHOUR"]
	timed = timed || parts["BYMINUTE"] != "" || parts["BYSECOND"] != ""
	switch {
	case len(r.byWeekNo) > 0 && (r.freq != yearly || len(r.byDay) == 0):
		return errors.New("must not have BYWEEKNO but with FREQ=YEARLY and BYDAY")
	case len(r.byYearDay) > 0 && r.freq != yearly:
		return errors.New("must not have BYYEARDAY but with FREQ=YEARLY")
	case len(r.byMonthDay) > 0 && r.freq == weekly:
		return errors.New("must not have BYMONTHDAY with FREQ=WEEKLY")
	case len(r.bySetPos) > 0 && !r.selects() && len(r.byMonth) == 0 && !timed:
		return errors.New("must not have BYSETPOS but with another BY part")
	}
	return nil
}

// selects says whether the rule itself names days, so that the start does not.
func (r *rule) selects() bool {
	return len(r.byWeekNo)+len(r.byYearDay)+len(r.byMonthDay)+len(r.byDay) > 0
}

// complete takes from the start what the rule does not say.
func (r *rule) complete() {
	day := dayOf(r.start)
	date := dateOf(day)
	if !r.selects() {
		switch r.freq {
		case yearly:
			if len(r.byMonth) == 0 {
				r.byMonth = []int{int(date.Month())}
			}
			r.byMonthDay = []int{date.Day()}
		case monthly:
			r.byMonthDay = []int{date.Day()}
		case weekly:
			r.byDay = []weekday{{day: date.Weekday()}}
		case daily:
		}
	}
}

func numbers(text, name string, low, high int) ([]int, error) {
	var all []int
	for element := range strings.SplitSeq(text, ",") {
		n, err := number(element, name, low, high)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func number(text, name string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("must have %s from %d to %d", name, low, high)
	}
	return n, nil
}
