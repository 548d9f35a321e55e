package schedule

import (
	"slices"
	"time"
)

// span is [start, end), in seconds.
type span struct{ start, end int64 }

// Timetable is when windows are open within a horizon. It never changes.
type Timetable struct {
	from, to int64 // the horizon; as all instants here, in microseconds of Unix time
	edges    []edge
}

// edge is where another state begins. The first is at or before from.
type edge struct {
	at    int64
	state state
}

type state uint8

const (
	closed state = iota
	open
	closedByHoliday
)

// State is what a timetable says of an instant. Times are in UTC.
type State struct {
	Open    bool
	Holiday bool // closed, and only because of a holiday
	// Since is when it opened; zero if it is closed. Windows that overlap or touch are one. Of what
	// opened before the horizon, Since is the earliest start of an occurrence that reaches into it.
	Since time.Time
	Until time.Time // the first instant after that where Open or Holiday changes; zero: none known
}

// Holds says for which instants the timetable can be asked: from, and until before to.
func (t *Timetable) Holds() (from, to time.Time) {
	return time.UnixMicro(t.from).UTC(), time.UnixMicro(t.to).UTC()
}

// At says what holds at an instant. Outside of the horizon nothing is open.
func (t *Timetable) At(at time.Time) State {
	now := at.UnixMicro()
	if now < t.from || now >= t.to {
		return State{}
	}
	low, high := 0, len(t.edges) // edges[low] is at or before now, edges[high] after it
	for high-low > 1 {
		if middle := int(uint(low+high) >> 1); t.edges[middle].at <= now {
			low = middle
		} else {
			high = middle
		}
	}
	present := t.edges[low]
	s := State{Open: present.state == open, Holiday: present.state == closedByHoliday}
	if s.Open {
		s.Since = time.UnixMicro(present.at).UTC()
	}
	if high < len(t.edges) {
		s.Until = time.UnixMicro(t.edges[high].at).UTC()
	}
	return s
}

// newTimetable lays open over shut.
func newTimetable(opened, shut []span, from, to time.Time) *Timetable {
	opened, shut = merge(opened), merge(shut)
	t := &Timetable{from: from.UnixMicro(), to: to.UnixMicro()}
	t.edges = []edge{{at: t.from}}
	for _, at := range moments(opened, shut) {
		t.turn(edge{at * int64(time.Second/time.Microsecond), stateAt(&opened, &shut, at)})
	}
	return t
}

func (t *Timetable) turn(e edge) {
	last := &t.edges[len(t.edges)-1]
	switch {
	case e.at >= t.to:
	case len(t.edges) == 1 && e.at <= t.from:
		// Only what holds at from is of interest, and since when.
		if e.state != last.state {
			*last = e
		}
	case e.state != last.state:
		t.edges = append(t.edges, e)
	}
}

// stateAt drops the spans that end by then, so that it is asked in order of time.
func stateAt(opened, shut *[]span, at int64) state {
	switch {
	case within(opened, at):
		return open
	case within(shut, at):
		return closedByHoliday
	}
	return closed
}

func within(spans *[]span, at int64) bool {
	for len(*spans) > 0 && (*spans)[0].end <= at {
		*spans = (*spans)[1:]
	}
	return len(*spans) > 0 && (*spans)[0].start <= at
}

// merge orders spans and makes one of those that overlap or touch.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(min(max(a.start-b.start, -1), 1)) })
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.start <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, s.end)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func moments(opened, shut []span) []int64 {
	all := make([]int64, 0, 2*(len(opened)+len(shut)))
	for _, spans := range [][]span{opened, shut} {
		for _, s := range spans {
			all = append(all, s.start, s.end)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
