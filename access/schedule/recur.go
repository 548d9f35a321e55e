package schedule

import (
	"math"
	"slices"
	"time"
)

// between lists the occurrences' starts within [from, to), in order. Without a COUNT it begins at
// from, however old the rule is.
func (r *rule) between(from, to int64) []int64 {
	var found, set []int64
	left := r.count
	if left == 0 {
		left = math.MaxInt
	}
	for i := r.periodOf(from); ; i++ {
		first, end := r.period(i)
		if begin := int64(first) * daySeconds; begin >= to || begin > r.until {
			return found
		}
		set = r.expand(first, end, set[:0])
		for _, at := range set {
			switch {
			case at < r.start:
				continue
			case left == 0, at > r.until, at >= to:
				return found
			case at >= from:
				found = append(found, at)
			}
			left--
		}
	}
}

// periodOf is the number of a period from which on nothing at or after from is missed.
func (r *rule) periodOf(from int64) int {
	if r.count > 0 || from <= r.start {
		return 0 // counting starts at the beginning
	}
	day, start := dayOf(from), dateOf(dayOf(r.start))
	since := 0
	switch r.freq {
	case daily:
		since = day - dayOf(r.start)
	case weekly:
		since = (day - r.weekOf(dayOf(r.start))) / 7
	case monthly:
		since = (dateOf(day).Year()-start.Year())*12 + int(dateOf(day).Month()-start.Month())
	case yearly:
		since = dateOf(day).Year() - start.Year()
	}
	return since / r.interval
}

// period is the days [first, end) of the i-th day, week, month or year that the rule looks at.
func (r *rule) period(i int) (first, end int) {
	i *= r.interval
	day := dayOf(r.start)
	date := dateOf(day)
	switch r.freq {
	case weekly:
		first = r.weekOf(day) + 7*i
		return first, first + 7
	case monthly:
		month := date.Month() + time.Month(i)
		return dayNumber(date.Year(), month, 1), dayNumber(date.Year(), month+1, 1)
	case yearly:
		return dayNumber(date.Year()+i, 1, 1), dayNumber(date.Year()+i+1, 1, 1)
	case daily:
	}
	return day + i, day + i + 1
}

// weekOf is the day on which the day's week begins.
func (r *rule) weekOf(day int) int {
	return day - int(dateOf(day).Weekday()-r.weekStart+7)%7
}

// expand appends a period's occurrences to set.
func (r *rule) expand(first, end int, set []int64) []int64 {
	for day := first; day < end; day++ {
		if !r.has(day) {
			continue
		}
		for _, t := range r.times {
			set = append(set, int64(day)*daySeconds+t)
		}
	}
	if len(r.bySetPos) == 0 {
		return set
	}
	return r.pick(set)
}

func (r *rule) pick(set []int64) []int64 {
	var picked []int64
	for _, position := range r.bySetPos {
		i := position - 1
		if position < 0 {
			i = len(set) + position
		}
		if i >= 0 && i < len(set) {
			picked = append(picked, set[i])
		}
	}
	slices.Sort(picked)
	return slices.Compact(picked)
}

// has says whether the rule occurs on a day of its periods.
func (r *rule) has(day int) bool {
	date := dateOf(day)
	return (len(r.byMonth) == 0 || slices.Contains(r.byMonth, int(date.Month()))) &&
		(len(r.byMonthDay) == 0 || named(r.byMonthDay, date.Day(), daysOfMonth(date))) &&
		(len(r.byDay) == 0 || r.hasWeekday(date)) &&
		(len(r.byYearDay) == 0 || named(r.byYearDay, date.YearDay(), daysOfYear(date.Year()))) &&
		(len(r.byWeekNo) == 0 || r.hasWeek(day))
}

// named says whether list holds the n-th of many, which may be counted from the end.
func named(list []int, n, many int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-many-1)
}

func (r *rule) hasWeekday(date time.Time) bool {
	n, many := date.Day(), 0
	switch {
	case r.freq == monthly || len(r.byMonth) > 0:
		many = daysOfMonth(date)
	default:
		n, many = date.YearDay(), daysOfYear(date.Year())
	}
	return slices.ContainsFunc(r.byDay, func(w weekday) bool {
		return w.day == date.Weekday() &&
			(w.nth == 0 || w.nth == (n-1)/7+1 || w.nth == -((many-n)/7+1))
	})
}

func (r *rule) hasWeek(day int) bool {
	year, week := r.week(day)
	_, weeks := r.week(dayNumber(year, time.December, 28)) // always in the last
	return named(r.byWeekNo, week, weeks)
}

// week is the number of a day's week and its year: that in which the week has four days or more.
func (r *rule) week(day int) (year, number int) {
	middle := dateOf(r.weekOf(day) + 3)
	return middle.Year(), (middle.YearDay()-1)/7 + 1
}

func daysOfMonth(date time.Time) int {
	return time.Date(date.Year(), date.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

func daysOfYear(year int) int {
	return time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC).YearDay()
}

func (r *rule) endless() bool { return r.count == 0 && r.until == math.MaxInt64 }

// anniversary says whether it is the start's date of every year, and no more.
func (r *rule) anniversary() bool {
	date := dateOf(dayOf(r.start))
	return r.freq == yearly && r.interval == 1 && r.endless() && len(r.times) == 1 &&
		slices.Equal(r.byMonth, []int{int(date.Month())}) &&
		slices.Equal(r.byMonthDay, []int{date.Day()}) &&
		len(r.byDay)+len(r.byYearDay)+len(r.byWeekNo)+len(r.bySetPos) == 0
}
