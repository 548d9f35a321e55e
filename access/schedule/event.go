package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cardea/cardea/ent/schema"
)

// event is a VEVENT. Its number counts from 0 in the order of the text.
type event struct {
	number int
	lines  map[string][]line

	window   schema.Window
	replaces string // the local start of an occurrence of the event with the same UID
	allDay   bool
}

// reader takes events from a calendar and gathers their faults.
type reader struct {
	zone   *time.Location
	events []*event
	faults faults
}

// fault is about one property of an event.
func (r *reader) fault(e *event, name, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if lines := e.lines[name]; len(lines) > 0 {
		message += fmt.Sprintf(" (line %d)", lines[0].number)
	}
	r.faults.add(fmt.Sprintf("events.%d.%s", e.number, strings.ToLower(name)), "%s", message)
}

// read finds the events of a calendar and what each says. Cancelled ones are not kept.
func (r *reader) read(text []byte, limit int) {
	lines, err := readLines(text)
	if err != nil {
		r.faults.add("text", "%s", err)
		return
	}
	found, err := components(lines)
	if err == nil && len(found) > limit {
		err = fmt.Errorf("must have at most %d events", limit)
	}
	if err != nil {
		r.faults.add("text", "%s", err)
		return
	}
	for _, e := range found {
		r.describe(e)
	}
	r.events = found
}

// components splits lines into events. Other components, also within an event, are passed over.
func components(lines []line) ([]*event, error) {
	var events []*event
	var open []string
	var within *event
	for _, l := range lines {
		switch {
		case l.name == "BEGIN":
			open = append(open, strings.ToUpper(l.value))
			if len(open) == 2 && open[1] == "VEVENT" {
				within = &event{number: len(events), lines: map[string][]line{}}
				events = append(events, within)
			}
		case len(open) == 0 || open[0] != "VCALENDAR":
			return nil, errors.New("must begin with BEGIN:VCALENDAR")
		case l.name == "END":
			if open[len(open)-1] != strings.ToUpper(l.value) {
				return nil, fmt.Errorf("ends what did not begin (line %d)", l.number)
			}
			open = open[:len(open)-1]
		case len(open) == 2 && open[1] == "VEVENT":
			within.lines[l.name] = append(within.lines[l.name], l)
		}
	}
	if len(open) > 0 || len(lines) == 0 {
		return nil, errors.New("must be a whole VCALENDAR")
	}
	return events, nil
}

// describe reads an event's properties into its window.
func (r *reader) describe(e *event) {
	for _, name := range []string{
		"DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "SUMMARY", holidaysName,
	} {
		if len(e.lines[name]) > 1 {
			r.fault(e, name, "must be given once")
		}
	}
	start, allDay, ok := r.time(e, "DTSTART")
	if !ok {
		return
	}
	e.allDay = allDay
	e.window = schema.Window{
		Start:    formatLocal(start),
		Except:   r.times(e, "EXDATE"),
		Extra:    r.times(e, "RDATE"),
		Holidays: schema.HolidayRule(strings.ToUpper(e.value(holidaysName))),
	}
	if end, ok := r.end(e, start); ok {
		e.window.End = formatLocal(end)
	}
	if lines := e.lines["SUMMARY"]; len(lines) > 0 {
		e.window.Summary = lines[0].text()
	}
	e.window.Rule = r.rule(e)
	if lines := e.lines["RECURRENCE-ID"]; len(lines) > 0 {
		if lines[0].parameters["RANGE"] != "" {
			r.fault(e, "RECURRENCE-ID", "must not have a RANGE")
		}
		if at, _, ok := r.time(e, "RECURRENCE-ID"); ok {
			e.replaces = formatLocal(at)
		}
	}
}

func (e *event) value(name string) string {
	if lines := e.lines[name]; len(lines) > 0 {
		return lines[0].value
	}
	return ""
}

func (e *event) cancelled() bool { return strings.EqualFold(e.value("STATUS"), "CANCELLED") }

// time reads a property that is one local time, or one date.
func (r *reader) time(e *event, name string) (local int64, date, ok bool) {
	if len(e.lines[name]) == 0 {
		r.fault(e, name, "must be given")
		return 0, false, false
	}
	local, date, err := r.local(e.lines[name][0], e.lines[name][0].value)
	if err != nil {
		r.fault(e, name, "%s", err)
	}
	return local, date, err == nil
}

// times reads a property that may be given often, and list several each time.
func (r *reader) times(e *event, name string) []string {
	var all []string
	for _, l := range e.lines[name] {
		for value := range strings.SplitSeq(l.value, ",") {
			at, date, err := r.local(l, value)
			if err == nil && date != e.allDay {
				err = errors.New("must be of the same kind as DTSTART, date or time")
			}
			if err != nil {
				r.fault(e, name, "%s", err)
				return nil
			}
			all = append(all, formatLocal(at))
		}
	}
	return all
}

func (r *reader) local(l line, value string) (local int64, date bool, err error) {
	zone := l.parameters["TZID"]
	switch {
	case strings.HasSuffix(value, "Z"):
		return 0, false, errors.New("is in UTC, and must be in the site's local time")
	case zone != "" && zone != r.zone.String():
		return 0, false, fmt.Errorf("is in the time zone %.80q, and must be in the site's, %q",
			zone, r.zone)
	case len(value) == len("20060102"):
		day, err := time.Parse("20060102", value)
		if err != nil {
			return 0, false, errors.New("must be a date such as 20260302")
		}
		return day.Unix(), true, nil
	}
	at, err := time.Parse("20060102T150405", value)
	if err != nil || len(value) != len("20060102T150405") {
		return 0, false, errors.New("must be a local time such as 20260302T080000")
	}
	return at.Unix(), false, nil
}

// end is that of DTEND, or of DURATION, or of the day.
func (r *reader) end(e *event, start int64) (end int64, ok bool) {
	switch {
	case len(e.lines["DTEND"]) > 0:
		end, date, ok := r.time(e, "DTEND")
		if ok && date != e.allDay {
			r.fault(e, "DTEND", "must be of the same kind as DTSTART, date or time")
		}
		return end, ok
	case len(e.lines["DURATION"]) > 0:
		length, err := duration(e.value("DURATION"))
		if err != nil {
			r.fault(e, "DURATION", "%s", err)
		}
		return start + length, err == nil
	case e.allDay:
		return start + daySeconds, true
	}
	r.fault(e, "DTEND", "must be given, or DURATION")
	return 0, false
}

var durations = regexp.MustCompile(
	`^\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)

func duration(text string) (seconds int64, err error) {
	parts := durations.FindStringSubmatch(text)
	if parts == nil {
		return 0, errors.New("must be a duration such as PT8H")
	}
	for i, unit := range []int64{7 * daySeconds, daySeconds, 3600, 60, 1} {
		n, _ := strconv.ParseInt(parts[i+1], 10, 64) // none is 0
		seconds += n * unit
	}
	return seconds, nil
}

// rule has UNTIL in local time: RFC 5545 wants it in UTC where DTSTART has a zone.
func (r *reader) rule(e *event) string {
	parts := strings.Split(e.value("RRULE"), ";")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		if at, err := time.Parse("20060102T150405Z", value); err == nil && strings.EqualFold(name, "UNTIL") {
			parts[i] = "UNTIL=" + at.In(r.zone).Format("20060102T150405")
		}
	}
	return strings.Join(parts, ";")
}
