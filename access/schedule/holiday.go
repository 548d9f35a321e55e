package schedule

import (
	"time"

	"github.com/cardea/cardea/ent/schema"
)

// holidays knows the holidays among the days of a horizon.
type holidays struct {
	base int // day
	days []bool
}

func (h holidays) has(day int) bool {
	i := day - h.base
	return i >= 0 && i < len(h.days) && h.days[i]
}

func newHolidays(hs []schema.Holiday, from, to time.Time) holidays {
	margin := longest/daySeconds + 3
	h := holidays{base: dayOf(from.Unix()) - margin}
	if len(hs) == 0 {
		return h
	}
	h.days = make([]bool, max(0, dayOf(to.Unix())+margin-h.base))
	for _, holiday := range hs {
		if parsed, faults := parseHoliday(holiday); len(faults) == 0 {
			h.mark(parsed)
		}
	}
	return h
}

func (h holidays) mark(d dates) {
	if !d.yearly {
		for day := max(d.first, h.base); day <= min(d.last, h.base+len(h.days)-1); day++ {
			h.days[day-h.base] = true
		}
		return
	}
	first, last := monthAndDay(dateOf(d.first)), monthAndDay(dateOf(d.last))
	for i := range h.days {
		md := monthAndDay(dateOf(h.base + i))
		if first <= last && first <= md && md <= last || first > last && (md >= first || md <= last) {
			h.days[i] = true
		}
	}
}

// monthAndDay orders the days of any year. A yearly 29 February so exists in leap years alone.
func monthAndDay(date time.Time) int { return int(date.Month())*100 + date.Day() }

// dates are a schema.Holiday that was checked.
type dates struct {
	first, last int
	yearly      bool
}
