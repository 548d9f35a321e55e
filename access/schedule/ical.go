package schedule

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/cardea/cardea/ent/schema"
)

// holidaysName is the property of an event that carries its window's holiday rule.
const holidaysName = "X-CARDEA-HOLIDAYS"

// Import reads each event of an iCalendar text (RFC 5545) as a window of a site in the zone. Times
// must be floating or in that zone, by its IANA name; an event of whole days lasts from midnight to
// midnight. A changed occurrence (RECURRENCE-ID) becomes an exception and a window of its own, a
// cancelled one an exception.
//
// It returns windows that CheckWindows accepts, or every fault. A fault's field names the event,
// counted from 0, and its property: events.3.dtstart.
func Import(text []byte, zone string) ([]schema.Window, []Fault) {
	location, err := time.LoadLocation(zone)
	if err != nil || location == time.Local {
		return nil, []Fault{{"zone", "must be an IANA time zone"}}
	}
	r := &reader{zone: location}
	r.read(text, maxWindows)
	kept := r.kept()
	var ws []schema.Window
	dailies := 0
	for _, e := range kept {
		parsed, found := parseWindow(e.window)
		r.judge(e, found)
		ws = append(ws, e.window)
		dailies += parsed.dailies()
	}
	if dailies > maxDailies {
		r.faults.add("text", "must not have more than %d occurrences on one day", maxDailies)
	}
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return ws, nil
}

// kept applies what replaces or cancels an occurrence, and returns the other events with it.
func (r *reader) kept() []*event {
	series := map[string]*event{}
	for _, e := range r.events {
		if uid := e.value("UID"); uid != "" && e.replaces == "" && !e.cancelled() {
			series[uid] = e
		}
	}
	var kept []*event
	for _, e := range r.events {
		if e.replaces != "" {
			e.replace(series[e.value("UID")])
		}
		if !e.cancelled() {
			kept = append(kept, e)
		}
	}
	return kept
}

// replace excepts the occurrence from its series. Without one in the text it stands for itself.
func (e *event) replace(series *event) {
	if series == nil {
		return
	}
	series.window.Except = append(series.window.Except, e.replaces)
	if e.window.Holidays == "" {
		e.window.Holidays = series.window.Holidays
	}
}

// properties has the names of fields in a calendar.
var properties = map[string]string{
	"start": "DTSTART", "end": "DTEND", "rule": "RRULE", "except": "EXDATE", "extra": "RDATE",
	"holidays": holidaysName, "summary": "SUMMARY",
	"name": "SUMMARY", "first": "DTSTART", "last": "DTEND",
}

// judge adds what is wrong with an event's window or holiday, but for what could not be read: that
// is a fault already.
func (r *reader) judge(e *event, found []Fault) {
	for _, f := range found {
		field, _, _ := strings.Cut(f.Field, ".")
		if field == "start" && e.window.Start == "" || field == "end" && e.window.End == "" {
			continue
		}
		r.fault(e, properties[field], "%s", f.Message)
	}
}

// Export writes windows that CheckWindows accepts as an iCalendar text with floating times, from
// which Import makes the same windows. The same windows give the same text, and a window keeps its
// UID whatever happens to others.
func Export(name string, ws []schema.Window) []byte {
	c := &calendar{}
	c.begin(name)
	ids := uids{}
	for _, w := range ws {
		c.line("BEGIN", "VEVENT")
		c.line("UID", ids.next(fmt.Sprintf("%q", w)))
		c.line("DTSTAMP", "19700101T000000Z") // required, and unknown
		c.line("DTSTART", basic(w.Start))
		c.line("DTEND", basic(w.End))
		for _, property := range []struct{ name, value string }{
			{"RRULE", w.Rule}, {"EXDATE", basic(w.Except...)}, {"RDATE", basic(w.Extra...)},
			{holidaysName, string(w.Holidays)},
		} {
			if property.value != "" {
				c.line(property.name, property.value)
			}
		}
		if w.Summary != "" {
			c.text("SUMMARY", w.Summary)
		}
		c.line("END", "VEVENT")
	}
	c.line("END", "VCALENDAR")
	return c.Bytes()
}

func (c *calendar) begin(name string) {
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//Cardea//Schedule//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.text("NAME", name)
	c.text("X-WR-CALNAME", name) // what most programs read
}

// basic writes local times or dates in the basic format of ISO 8601, as a list.
func basic(times ...string) string {
	return strings.NewReplacer("-", "", ":", "").Replace(strings.Join(times, ","))
}

// uids gives equal contents different identifiers.
type uids map[string]int

func (u uids) next(content string) string {
	u[content]++
	hash := sha256.Sum256([]byte(content))
	return fmt.Sprintf("%x-%d@cardea", hash[:16], u[content])
}
