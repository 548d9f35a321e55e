package schedule

import (
	"math"
	"sort"
	"time"
)

// clock converts local times to instants within a horizon. It is never empty. It keeps the zone's
// offsets itself, because time.Date does not say which instant it takes for a local time that exists
// twice or not at all.
type clock []offset

// offset holds for the instants [start, end), in seconds.
type offset struct{ start, end, east int64 }

// A clock reaches this much further than its horizon, which is more than occurrences do.
const clockMargin = 14 * daySeconds

// No zone was ever this far from UTC.
const farthest = 26 * 60 * 60

func newClock(zone *time.Location, from, to time.Time) clock {
	var c clock
	at, end := from.Unix()-clockMargin, to.Unix()+clockMargin
	for len(c) == 0 || at < end {
		t := time.Unix(at, 0).In(zone)
		_, east := t.Zone()
		_, change := t.ZoneBounds()
		o := offset{at, math.MaxInt64, int64(east)}
		if !change.IsZero() {
			o.end = change.Unix()
		}
		if o.end <= at {
			// On 31 December of a leap year that has no table, ZoneBounds ends the year a day early.
			o.end = at + daySeconds
		}
		c = append(c, o)
		at = o.end
	}
	c[0].start, c[len(c)-1].end = math.MinInt64, math.MaxInt64
	return c
}

// first is the first instant at which the clock shows local or later.
func (c clock) first(local int64) int64 {
	i := sort.Search(len(c)-1, func(i int) bool { return c[i].end > local-farthest })
	for ; i < len(c)-1; i++ {
		if at := max(c[i].start, local-c[i].east); at < c[i].end {
			return at
		}
	}
	return max(c[i].start, local-c[i].east)
}

// last is the last instant at which the clock shows local or earlier. If the clock is put forward
// over local, that is the change.
func (c clock) last(local int64) int64 {
	i := sort.Search(len(c)-1, func(i int) bool { return c[i].end > local+farthest })
	for i > 0 && c[i].start > local-c[i].east {
		i--
	}
	return min(c[i].end, local-c[i].east)
}
