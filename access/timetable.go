package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/holidaycalendar"
	entschedule "github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/typeid"
)

const (
	// timetableAhead is how far ahead of an instant schedules are worked out: until then, the end of
	// a decision is known.
	timetableAhead = 400 * 24 * time.Hour
	// maxTimetables bounds how many are kept.
	maxTimetables = 4096
)

// timetables keeps schedules as they run at sites. They are known by their versions, so what is kept
// is never out of date.
type timetables struct {
	mu    sync.Mutex
	kept  map[timetableKey]*schedule.Timetable
	zones sync.Map // by name
}

type timetableKey struct {
	schedule         typeid.Schedule
	scheduleRevision int
	zone             string
	calendar         typeid.HolidayCalendar
	calendarRevision int
	month            int // whose begin is in the middle of what is worked out
}

// loadTimetables loads the schedules of the keys and doors, as they run at the sites of the doors.
func (l *factLoader) loadTimetables(ctx context.Context) error {
	wanted := map[typeid.Schedule]bool{}
	for _, k := range l.facts.Keys {
		wanted[k.Schedule] = true
	}
	sites := map[typeid.Site]bool{}
	for _, d := range l.facts.Doors {
		wanted[d.UnlockSchedule], sites[d.Site] = true, true
	}
	delete(wanted, typeid.Schedule{})
	if len(wanted) == 0 {
		return nil
	}
	schedules, err := l.db.Schedule.Query().Where(entschedule.IDIn(keysOf(wanted)...)).All(ctx)
	if err != nil {
		return fmt.Errorf("load schedules: %w", err)
	}
	places, err := l.db.Site.Query().Where(site.IDIn(keysOf(sites)...)).All(ctx)
	if err != nil {
		return fmt.Errorf("load sites: %w", err)
	}
	calendars, err := l.loadCalendars(ctx, places)
	if err != nil {
		return err
	}
	l.facts.Timetables = map[verdict.Timing]*schedule.Timetable{}
	for _, place := range places {
		calendar := calendars[orZero(place.HolidayCalendarID)]
		for _, plan := range schedules {
			made, _, err := l.s.Timetable(plan, place, calendar, l.at)
			if err != nil {
				return err
			}
			l.facts.Timetables[verdict.Timing{Schedule: plan.ID, Site: place.ID}] = made
		}
	}
	return nil
}

func (l *factLoader) loadCalendars(
	ctx context.Context, places []*ent.Site,
) (map[typeid.HolidayCalendar]*ent.HolidayCalendar, error) {
	wanted := map[typeid.HolidayCalendar]bool{}
	for _, place := range places {
		if place.HolidayCalendarID != nil {
			wanted[*place.HolidayCalendarID] = true
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	rows, err := l.db.HolidayCalendar.Query().
		Where(holidaycalendar.IDIn(keysOf(wanted)...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load holiday calendars: %w", err)
	}
	calendars := make(map[typeid.HolidayCalendar]*ent.HolidayCalendar, len(rows))
	for _, row := range rows {
		calendars[row.ID] = row
	}
	return calendars, nil
}

func keysOf[K comparable](set map[K]bool) []K {
	all := make([]K, 0, len(set))
	for k := range set {
		all = append(all, k)
	}
	return all
}

// zone returns a time zone, which the standard library would read from a file each time.
func (t *timetables) zone(name string) (*time.Location, error) {
	if known, ok := t.zones.Load(name); ok {
		return known.(*time.Location), nil //nolint:forcetypeassert // nothing else is stored
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		t.zones.Store(name, zone)
	}
	return zone, err
}

// get returns a schedule as it runs in a zone around an instant. A nil calendar has no holidays.
func (t *timetables) get(
	plan *ent.Schedule, zone *time.Location, calendar *ent.HolidayCalendar, at time.Time,
) *schedule.Timetable {
	year, month, _ := at.UTC().Date()
	k := timetableKey{
		schedule: plan.ID, scheduleRevision: plan.Revision, zone: zone.String(),
		month: year*12 + int(month),
	}
	var holidays []schema.Holiday
	if calendar != nil {
		k.calendar, k.calendarRevision = calendar.ID, calendar.Revision
		holidays = calendar.Holidays
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if made, ok := t.kept[k]; ok {
		return made
	}
	begin := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	made := schedule.Compile(plan.Windows, holidays, zone,
		begin.AddDate(0, -1, 0), begin.AddDate(0, 1, 0).Add(timetableAhead))
	if t.kept == nil || len(t.kept) >= maxTimetables {
		t.kept = map[timetableKey]*schedule.Timetable{}
	}
	t.kept[k] = made
	return made
}

// Timetable is when a schedule is open at a site around an instant: from the month before it, and for
// a year after it at least. The calendar is the site's; nil if it has none.
func (s *Service) Timetable(
	plan *ent.Schedule, place *ent.Site, calendar *ent.HolidayCalendar, at time.Time,
) (*schedule.Timetable, *time.Location, error) {
	zone, err := s.timetables.zone(place.TimeZone)
	if err != nil {
		return nil, nil, fmt.Errorf("load time zone: %w", err)
	}
	return s.timetables.get(plan, zone, calendar, at), zone, nil
}
