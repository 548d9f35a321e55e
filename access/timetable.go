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

// plans are the schedules that were read for some facts, with the sites that they run at and the
// calendars of these. None is read twice.
type plans struct {
	schedules map[typeid.Schedule]*ent.Schedule
	sites     map[typeid.Site]*ent.Site
	calendars map[typeid.HolidayCalendar]*ent.HolidayCalendar
}

// loadTimetables loads the schedules of the keys and doors, as they run at the sites of the doors.
func (l *factLoader) loadTimetables(ctx context.Context) error {
	wanted := l.timings()
	if len(wanted) == 0 {
		return nil
	}
	if err := l.loadPlans(ctx, wanted); err != nil {
		return err
	}
	l.facts.Timetables = make(map[verdict.Timing]*schedule.Timetable, len(wanted))
	for timing := range wanted {
		plan, place := l.plans.schedules[timing.Schedule], l.plans.sites[timing.Site]
		if plan == nil || place == nil {
			continue
		}
		calendar := l.plans.calendars[orZero(place.HolidayCalendarID)]
		made, err := l.timetable(plan, place, calendar)
		if err != nil {
			return err
		}
		l.facts.Timetables[timing] = made
	}
	return nil
}

// timetable is a schedule at a site: with the windows that it has, or is to have.
func (l *factLoader) timetable(
	plan *ent.Schedule, place *ent.Site, calendar *ent.HolidayCalendar,
) (*schedule.Timetable, error) {
	if l.revised.windows == nil || l.revised.schedule != plan.ID {
		made, _, err := l.s.Timetable(plan, place, calendar, l.at)
		return made, err
	}
	zone, err := l.s.timetables.zone(place.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("load time zone: %w", err)
	}
	revised := *plan
	revised.Windows = l.revised.windows
	return new(timetables).get(&revised, zone, calendar, l.at), nil // nobody else shall find it
}

// timings are the schedules that doors unlock by, each at its door's site, and those of keys at all
// sites.
func (l *factLoader) timings() map[verdict.Timing]bool {
	wanted, sites := map[verdict.Timing]bool{}, map[typeid.Site]bool{}
	for _, d := range l.facts.Doors {
		sites[d.Site] = true
		if !d.UnlockSchedule.IsZero() {
			wanted[verdict.Timing{Schedule: d.UnlockSchedule, Site: d.Site}] = true
		}
	}
	for _, k := range l.facts.Keys {
		if k.Schedule.IsZero() {
			continue
		}
		for at := range sites {
			wanted[verdict.Timing{Schedule: k.Schedule, Site: at}] = true
		}
	}
	return wanted
}

// loadPlans reads what timings are about.
func (l *factLoader) loadPlans(ctx context.Context, wanted map[verdict.Timing]bool) error {
	var schedules []typeid.Schedule
	var sites []typeid.Site
	for timing := range wanted {
		schedules, sites = append(schedules, timing.Schedule), append(sites, timing.Site)
	}
	if err := l.loadSchedules(ctx, schedules); err != nil {
		return err
	}
	if err := l.loadSites(ctx, sites); err != nil {
		return err
	}
	var calendars []typeid.HolidayCalendar
	for _, id := range sites {
		if place := l.plans.sites[id]; place != nil {
			calendars = append(calendars, orZero(place.HolidayCalendarID))
		}
	}
	return l.loadCalendars(ctx, calendars)
}

func (l *factLoader) loadSchedules(ctx context.Context, wanted []typeid.Schedule) error {
	ids := unread(wanted, l.plans.schedules)
	if len(ids) == 0 {
		return nil
	}
	rows, err := l.db.Schedule.Query().Where(whose(entschedule.FieldID, ids)).All(ctx)
	if err != nil {
		return fmt.Errorf("load schedules: %w", err)
	}
	for _, row := range rows {
		l.plans.schedules[row.ID] = row
	}
	return nil
}

func (l *factLoader) loadSites(ctx context.Context, wanted []typeid.Site) error {
	ids := unread(wanted, l.plans.sites)
	if len(ids) == 0 {
		return nil
	}
	rows, err := l.db.Site.Query().Where(whose(site.FieldID, ids)).All(ctx)
	if err != nil {
		return fmt.Errorf("load sites: %w", err)
	}
	for _, row := range rows {
		l.plans.sites[row.ID] = row
	}
	return nil
}

func (l *factLoader) loadCalendars(ctx context.Context, wanted []typeid.HolidayCalendar) error {
	ids := unread(wanted, l.plans.calendars)
	if len(ids) == 0 {
		return nil
	}
	rows, err := l.db.HolidayCalendar.Query().Where(whose(holidaycalendar.FieldID, ids)).All(ctx)
	if err != nil {
		return fmt.Errorf("load holiday calendars: %w", err)
	}
	for _, row := range rows {
		l.plans.calendars[row.ID] = row
	}
	return nil
}

// unread lists those that are wanted and not known, each once.
func unread[K interface {
	comparable
	IsZero() bool
}, T any](wanted []K, known map[K]T) (ids []K) {
	listed := map[K]bool{}
	for _, id := range wanted {
		if _, found := known[id]; !found && !listed[id] && !id.IsZero() {
			listed[id], ids = true, append(ids, id)
		}
	}
	return ids
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
