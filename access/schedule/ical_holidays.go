package schedule

import (
	"fmt"
	"time"

	"github.com/cardea/cardea/ent/schema"
)

const maxYears = 50

// ImportHolidays reads each event of an iCalendar text as a holiday. Events must be of whole days.
// One that recurs on the same date of every year, without end, is a yearly holiday; another that
// recurs must have an end, and becomes a holiday for each occurrence of its first fifty years.
func ImportHolidays(text []byte) ([]schema.Holiday, []Fault) {
	r := &reader{zone: time.UTC}
	r.read(text, maxHolidays)
	var hs []schema.Holiday
	for _, e := range r.kept() {
		if hs = append(hs, r.holidays(e)...); len(hs) > maxHolidays {
			r.faults.add("text", "must have at most %d holidays", maxHolidays)
			break
		}
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return hs, nil
}

func (r *reader) holidays(e *event) []schema.Holiday {
	if e.window.End == "" {
		return nil // could not be read
	}
	if !e.allDay {
		r.fault(e, "DTSTART", "must be a date, such as 20261225")
		return nil
	}
	w, ok := r.dates(e)
	if !ok {
		return nil
	}
	starts := []int64{w.start}
	yearly := w.rule != nil && w.rule.anniversary() && len(w.except)+len(w.extra) == 0
	if !yearly {
		starts = w.starts(w.start, w.start+maxYears*366*daySeconds)
	}
	var hs []schema.Holiday
	for _, start := range starts {
		h := schema.Holiday{Name: e.window.Summary, Yearly: yearly, First: formatDate(start)}
		if w.length > daySeconds {
			h.Last = formatDate(start + w.length - daySeconds)
		}
		hs = append(hs, h)
	}
	for _, h := range hs[:min(len(hs), 1)] {
		_, found := parseHoliday(h)
		r.judge(e, found)
	}
	return hs
}

func formatDate(local int64) string { return dateOf(dayOf(local)).Format(time.DateOnly) }

// dates is the event as a window, which for holidays may be older and longer than a window.
func (r *reader) dates(e *event) (window, bool) {
	var w window
	var f faults
	start, _ := time.Parse(localLayout, e.window.Start)
	end, _ := time.Parse(localLayout, e.window.End)
	w.start, w.length = start.Unix(), end.Unix()-start.Unix()
	if w.length <= 0 {
		f.add("end", "must be after DTSTART")
	}
	if e.window.Rule != "" {
		w.rule = f.rule(e.window.Rule, w.start)
	}
	w.except, w.extra = f.locals("except", e.window.Except), f.locals("extra", e.window.Extra)
	endless := w.rule != nil && w.rule.endless()
	if endless && (!w.rule.anniversary() || len(w.except)+len(w.extra) > 0) {
		f.add("rule", "must be FREQ=YEARLY alone, or end by COUNT or UNTIL")
	}
	r.judge(e, f)
	return w, len(f) == 0
}

// ExportHolidays writes holidays that CheckHolidays accepts as an iCalendar text, from which
// ImportHolidays makes the same holidays.
func ExportHolidays(name string, hs []schema.Holiday) []byte {
	c := &calendar{}
	c.begin(name)
	ids := uids{}
	for _, h := range hs {
		first, end := h.First, h.First
		if h.Last != "" {
			end = h.Last
		}
		if day, err := time.Parse(time.DateOnly, end); err == nil {
			end = day.AddDate(0, 0, 1).Format(time.DateOnly)
		}
		c.line("BEGIN", "VEVENT")
		c.line("UID", ids.next(fmt.Sprintf("%q %t", []string{h.Name, h.First, h.Last}, h.Yearly)))
		c.line("DTSTAMP", "19700101T000000Z") // required, and unknown
		c.line("DTSTART;VALUE=DATE", basic(first))
		c.line("DTEND;VALUE=DATE", basic(end))
		if h.Yearly {
			c.line("RRULE", "FREQ=YEARLY")
		}
		c.line("TRANSP", "TRANSPARENT")
		c.text("SUMMARY", h.Name)
		c.line("END", "VEVENT")
	}
	c.line("END", "VCALENDAR")
	return c.Bytes()
}
