package verdict_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// horizon is how long before and after the middle of a world its schedules are worked out.
const horizon = 3 * 24 * time.Hour

// maxSteps is the package's: with fewer edges than that before it, Until is exact.
const maxSteps = 16

var zones = []string{
	"UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Istanbul", "Europe/Moscow",
	"America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "America/Caracas",
	"America/Santiago", "America/Nuuk", "Africa/Casablanca", "Africa/Cairo", "Asia/Kathmandu",
	"Asia/Tehran", "Asia/Gaza", "Asia/Kolkata", "Australia/Lord_Howe", "Australia/Sydney",
	"Australia/Eucla", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Antarctica/Troll",
}

// world is facts, and how to ask about them.
type world struct {
	oracle
	t      *rapid.T
	middle time.Time
}

func (w *world) pick(name string, of int) int { return rapid.IntRange(0, of-1).Draw(w.t, name) }

func (w *world) chance(name string, percent int) bool { return w.pick(name, 100) < percent }

// instant is zero, far away, or near the middle: at a full hour, a minute or a microsecond.
func (w *world) instant(name string) time.Time {
	switch roll := w.pick(name+" kind", 20); {
	case roll < 6:
		return time.Time{}
	case roll == 6:
		return time.Date(1931, 5, 17, 3, 0, 0, 1000, time.UTC)
	case roll == 7:
		return time.Date(9998, 1, 1, 0, 0, 0, 0, time.UTC)
	case roll < 14:
		return w.middle.Truncate(time.Hour).Add(time.Duration(w.pick(name, 96)-48) * time.Hour)
	case roll < 18:
		return w.middle.Add(time.Duration(w.pick(name, 96*60)-48*60) * time.Minute)
	}
	return w.middle.Add(time.Duration(w.pick(name, 7_200_000_000)-3_600_000_000) * time.Microsecond)
}

// near is an instant close to the middle, or zero.
func (w *world) near(name string) time.Time {
	if w.chance(name+" is not", 30) {
		return time.Time{}
	}
	return w.middle.Add(time.Duration(w.pick(name, 96*60)-48*60) * time.Minute)
}

// drawMiddle prefers changes of the clock, leap days and the turn of the year.
func drawMiddle(t *rapid.T, zone *time.Location) time.Time {
	year := rapid.IntRange(1973, 2090).Draw(t, "year")
	at := time.Date(year, 1, rapid.IntRange(1, 366).Draw(t, "day"), 12, 0, 0, 0, time.UTC)
	switch rapid.IntRange(0, 5).Draw(t, "middle") {
	case 0:
		return time.Date(year, 2, 28, 23, 0, 0, 0, time.UTC)
	case 1:
		return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	case 2, 3, 4:
		if _, change := at.In(zone).ZoneBounds(); change.After(at) && change.Year() < 2100 {
			return change.UTC()
		}
	}
	return at
}

func drawWorld(t *rapid.T) *world {
	names := rapid.SliceOfN(rapid.SampledFrom(zones), 1, 2).Draw(t, "zones")
	places := make([]*time.Location, len(names))
	for i, name := range names {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		places[i] = zone
	}
	w := &world{t: t, middle: drawMiddle(t, places[0]).Truncate(time.Minute)}
	w.UserParents = map[typeid.UserGroup]typeid.UserGroup{}
	w.DoorParents = map[typeid.DoorGroup]typeid.DoorGroup{}
	w.Timetables = map[verdict.Timing]*schedule.Timetable{}
	w.openings = map[verdict.Timing]opening{}
	sites := fresh(len(places), typeid.New[typeid.Site])
	schedules := fresh(w.pick("schedules", 3), typeid.New[typeid.Schedule])
	w.drawSchedules(schedules, sites, places)
	schedules = append(schedules, typeid.New[typeid.Schedule]()) // one that is missing
	for range 3 {
		w.People = append(w.People,
			verdict.Person{ID: typeid.New[typeid.User](), Suspended: w.chance("suspended", 8)})
	}
	w.drawAreas()
	w.drawDoors(sites, schedules)
	userGroups, doorGroups := w.drawGroups()
	w.drawKeys(userGroups, doorGroups, sites, schedules)
	w.gatherEdges()
	return w
}

func fresh[T any](n int, one func() T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = one()
	}
	return all
}

func (w *world) drawSchedules(
	ids []typeid.Schedule, sites []typeid.Site, places []*time.Location,
) {
	for _, id := range ids {
		var windows []pattern
		for range 1 + w.pick("windows", 3) {
			windows = append(windows, w.drawPattern())
		}
		texts := make([]schema.Window, len(windows))
		for i, p := range windows {
			texts[i] = p.window(w.middle)
		}
		for i, site := range sites {
			var holidays []schema.Holiday
			for range w.pick("holidays", 3) {
				day := w.middle.AddDate(0, 0, w.pick("holiday", 7)-3).Format(time.DateOnly)
				holidays = append(holidays, schema.Holiday{Name: "Closed", First: day})
			}
			if faults := schedule.CheckWindows(texts); len(faults) > 0 {
				w.t.Fatal(faults)
			}
			begin, end := w.middle.Add(-horizon), w.middle.Add(horizon)
			timing := verdict.Timing{Schedule: id, Site: site}
			w.Timetables[timing] = schedule.Compile(texts, holidays, places[i], begin, end)
			w.openings[timing] = walk(windows, holidays, places[i], begin, end)
		}
	}
}

// pattern is a window of which more is known than its text.
type pattern struct {
	weekdays []time.Weekday
	start    int // minute of the day
	minutes  int // on the clock
	holidays schema.HolidayRule
}

func (w *world) drawPattern() pattern {
	p := pattern{start: w.pick("start", 24*60), minutes: 1 + w.pick("minutes", 24*60)}
	if w.chance("at night", 40) { // where clocks are changed
		p.start, p.minutes = w.pick("start", 4*60), 1+w.pick("minutes", 3*60)
	}
	for day := range time.Weekday(7) {
		if w.chance("weekday", 70) {
			p.weekdays = append(p.weekdays, day)
		}
	}
	if len(p.weekdays) == 0 {
		p.weekdays = []time.Weekday{time.Friday}
	}
	p.holidays = rapid.SampledFrom([]schema.HolidayRule{"", "SKIP", "KEEP", "ONLY"}).
		Draw(w.t, "holidays")
	return p
}

func (p pattern) window(around time.Time) schema.Window {
	const local = "2006-01-02T15:04:05"
	first := around.AddDate(0, 0, -20).Truncate(24 * time.Hour)
	for !slices.Contains(p.weekdays, first.Weekday()) {
		first = first.AddDate(0, 0, 1)
	}
	names := make([]string, len(p.weekdays))
	for i, day := range p.weekdays {
		names[i] = strings.ToUpper(day.String()[:2])
	}
	first = first.Add(time.Duration(p.start) * time.Minute)
	return schema.Window{
		Start: first.Format(local), End: first.Add(time.Duration(p.minutes) * time.Minute).Format(local),
		Rule: "FREQ=WEEKLY;BYDAY=" + strings.Join(names, ","), Holidays: p.holidays,
	}
}

// walk reads the clock of a zone minute by minute: a window opens when it first shows the start or
// later, and closes when it last shows the end or earlier.
func walk(
	windows []pattern, holidays []schema.Holiday, zone *time.Location, begin, end time.Time,
) opening {
	const early = 4 * 24 * 60
	minutes := int(end.Sub(begin)/time.Minute) + 2*early
	shown := make([]time.Time, minutes)
	highest, lowest := make([]time.Time, minutes), make([]time.Time, minutes)
	for i := range shown {
		at := begin.Add(time.Duration(i-early) * time.Minute)
		_, east := at.In(zone).Zone()
		shown[i] = at.Add(time.Duration(east) * time.Second)
		highest[i], lowest[i] = shown[i], shown[i]
		if i > 0 && highest[i-1].After(shown[i]) {
			highest[i] = highest[i-1]
		}
	}
	for i := minutes - 2; i >= 0; i-- {
		if lowest[i+1].Before(lowest[i]) {
			lowest[i] = lowest[i+1]
		}
	}
	state := []byte(strings.Repeat("c", minutes))
	for day := shown[0].Truncate(24 * time.Hour); day.Before(shown[minutes-1]); day = day.AddDate(0, 0, 1) {
		for _, p := range windows {
			off := slices.ContainsFunc(holidays, func(h schema.Holiday) bool {
				return h.First == day.Format(time.DateOnly)
			})
			mark := byte('o')
			switch {
			case !slices.Contains(p.weekdays, day.Weekday()), p.holidays == "ONLY" && !off:
				continue
			case off && (p.holidays == "" || p.holidays == "SKIP"):
				mark = 'h'
			}
			start := day.Add(time.Duration(p.start) * time.Minute)
			stop := start.Add(time.Duration(p.minutes) * time.Minute)
			for i := range minutes - 1 {
				inside := !highest[i].Before(start) && (shown[i].Before(stop) || !lowest[i+1].After(stop))
				if inside && state[i] != 'o' {
					state[i] = mark
				}
			}
		}
	}
	return opening{begin, state[early : minutes-early]}
}

func (w *world) drawAreas() {
	for range w.pick("areas", 3) {
		a := verdict.Area{
			ID: typeid.New[typeid.Area](), Limit: w.pick("limit", 3), Count: w.pick("count", 3),
			LimitMode:    rapid.SampledFrom([]area.LimitMode{"OFF", "ALERT", "ENFORCE"}).Draw(w.t, "limit"),
			AntiPassback: rapid.SampledFrom([]area.AntiPassback{"OFF", "ALERT", "ENFORCE"}).Draw(w.t, "apb"),
		}
		w.Areas = append(w.Areas, a)
		for _, p := range w.People {
			if state := w.pick("presence", 3); state > 0 {
				w.Presences = append(w.Presences, verdict.Presence{
					Area: a.ID, User: p.ID, State: []presence.State{"IN", "OUT"}[state-1],
				})
			}
		}
	}
}

func (w *world) drawDoors(sites []typeid.Site, schedules []typeid.Schedule) {
	for range 2 {
		d := verdict.Door{
			ID: typeid.New[typeid.Door](), Site: sites[w.pick("site", len(sites))],
			Mode:          door.ModeCONTROLLED,
			FirstPersonIn: w.chance("first person in", 40),
		}
		if w.chance("standing", 15) {
			d.Mode = rapid.SampledFrom([]door.Mode{"UNLOCKED", "LOCKED", "LOCKDOWN", "DISABLED"}).
				Draw(w.t, "mode")
		}
		if w.chance("override", 15) {
			d.Override = rapid.SampledFrom([]door.Mode{"CONTROLLED", "UNLOCKED", "LOCKED"}).
				Draw(w.t, "override")
			d.OverrideUntil = w.instant("override until")
		}
		if w.chance("unlock schedule", 40) {
			d.UnlockSchedule = schedules[w.pick("unlock schedule", len(schedules))]
			d.FirstInAt = w.near("first in")
		}
		if w.chance("lockdown", 10) {
			d.Lockdown, d.LockdownUntil = true, w.instant("lockdown until")
		}
		if len(w.Areas) > 0 && w.chance("into", 50) {
			d.Into = w.Areas[w.pick("into", len(w.Areas))].ID
		}
		if len(w.Areas) > 0 && w.chance("out of", 50) {
			d.OutOf = w.Areas[w.pick("out of", len(w.Areas))].ID
		}
		w.Doors = append(w.Doors, d)
	}
}

func (w *world) drawGroups() ([]typeid.UserGroup, []typeid.DoorGroup) {
	userGroups, doorGroups := fresh(3, typeid.New[typeid.UserGroup]), fresh(3, typeid.New[typeid.DoorGroup])
	for i := 1; i < 3; i++ { // the first may be the whole of the others
		if w.chance("nested", 50) {
			w.UserParents[userGroups[i]] = userGroups[0]
		}
		if w.chance("nested", 50) {
			w.DoorParents[doorGroups[i]] = doorGroups[0]
		}
	}
	for i := range userGroups {
		for _, p := range w.People {
			if w.chance("member", 45) {
				w.Members = append(w.Members, verdict.Member{
					Group: userGroups[i], User: p.ID,
					From: w.instant("member from"), Until: w.instant("member until"),
				})
			}
		}
		for _, d := range w.Doors {
			if w.chance("in group", 45) {
				w.GroupDoors = append(w.GroupDoors, verdict.GroupDoor{
					Group: doorGroups[i], Door: d.ID,
					From: w.instant("door from"), Until: w.instant("door until"),
				})
			}
		}
	}
	return userGroups, doorGroups
}

func (w *world) drawKeys(
	userGroups []typeid.UserGroup, doorGroups []typeid.DoorGroup,
	sites []typeid.Site, schedules []typeid.Schedule,
) {
	depths := map[typeid.Key]int{}
	for range w.pick("keys", 7) {
		k := verdict.Key{
			ID: typeid.New[typeid.Key](), From: w.instant("key from"), Until: w.instant("key until"),
			Limited: w.chance("limited", 25), UsesLeft: w.pick("uses left", 3),
			AtDoorOnly: w.chance("at door only", 20), Suspended: w.chance("key suspended", 8),
			Revoked: w.chance("key revoked", 8),
		}
		switch roll := w.pick("holder", 20); {
		case roll == 0: // not yet redeemed
		case roll < 11:
			k.User = w.People[w.pick("holder", len(w.People))].ID
		default:
			k.Group = userGroups[w.pick("holder", len(userGroups))]
		}
		if w.chance("scheduled", 40) {
			k.Schedule = schedules[w.pick("schedule", len(schedules))]
		}
		for _, d := range w.Doors {
			if w.chance("door", 50) {
				k.Doors = append(k.Doors, d.ID)
			}
		}
		for _, g := range doorGroups {
			if w.chance("door group", 30) {
				k.DoorGroups = append(k.DoorGroups, g)
			}
		}
		if w.chance("site", 20) {
			k.Sites = append(k.Sites, sites[w.pick("site", len(sites))])
		}
		if len(w.Keys) > 0 && w.chance("shared", 40) {
			parent := w.Keys[w.pick("parent", len(w.Keys))]
			if depths[parent.ID] < 3 {
				depths[k.ID] = depths[parent.ID] + 1
				k.Parent = parent.ID
				switch w.pick("sharer", 5) {
				case 0: // by right
				case 1: // by somebody who is gone
					k.SharedBy = typeid.New[typeid.User]()
				default:
					k.SharedBy = w.People[w.pick("sharer", len(w.People))].ID
				}
			}
			if w.chance("parent is gone", 3) {
				k.Parent = typeid.New[typeid.Key]()
			}
		}
		w.Keys = append(w.Keys, k)
	}
}

func (w *world) gatherEdges() {
	note := func(all ...time.Time) {
		for _, t := range all {
			if !t.IsZero() {
				w.edges = append(w.edges, t)
			}
		}
	}
	for _, d := range w.Doors {
		note(d.OverrideUntil, d.LockdownUntil, d.FirstInAt)
	}
	for _, k := range w.Keys {
		note(k.From, k.Until)
	}
	for _, m := range w.Members {
		note(m.From, m.Until)
	}
	for _, m := range w.GroupDoors {
		note(m.From, m.Until)
	}
	for _, o := range w.openings {
		for i := 1; i < len(o.state); i++ {
			if o.state[i] != o.state[i-1] {
				note(o.begin.Add(time.Duration(i) * time.Minute))
			}
		}
	}
	w.sortEdges()
}

func (w *world) sortEdges() {
	slices.SortFunc(w.edges, time.Time.Compare)
	w.edges = slices.CompactFunc(w.edges, time.Time.Equal)
}

func (w *world) drawQuestion() verdict.Question {
	q := verdict.Question{
		Person: w.People[w.pick("person", len(w.People))].ID,
		Door:   w.Doors[w.pick("door", len(w.Doors))].ID,
		Manner: []verdict.Manner{0, 1, 1, 0, 1, 2}[w.pick("manner", 6)],
		Lock:   w.chance("lock", 12), Offline: w.chance("offline", 20),
	}
	if w.chance("credential", 15) {
		q.Credential = &verdict.Credential{
			From: w.instant("credential from"), Until: w.instant("credential until"),
			Suspended: w.chance("credential suspended", 10), Revoked: w.chance("credential revoked", 10),
			BlockedUntil: w.instant("blocked until"),
		}
	}
	return q
}

// TestOracle compares verdicts with a second implementation, at every instant at which anything
// happens, right before and right after it, and in between.
func TestOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		policy := verdict.Compile(w.Facts)
		for range 4 {
			q := w.drawQuestion()
			edges := w.edges
			if c := q.Credential; c != nil {
				for _, at := range []time.Time{c.From, c.Until, c.BlockedUntil} {
					if !at.IsZero() {
						w.edges = append(slices.Clone(w.edges), at)
					}
				}
				w.sortEdges()
			}
			w.compare(policy, q)
			w.edges = edges
		}
		for _, d := range w.Doors {
			w.compareModes(policy, d)
			w.compareSheet(policy, d)
		}
	})
}

// moments lists the edges with the instants right beside them, and some others.
func (w *world) moments() []time.Time {
	all := []time.Time{
		w.middle, time.Date(1702, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	for _, edge := range w.edges {
		all = append(all, edge.Add(-time.Microsecond), edge, edge.Add(time.Microsecond))
	}
	for range 5 {
		at := w.middle.Add(-horizon).Add(time.Duration(w.pick("at", int(2*horizon/time.Microsecond))) *
			time.Microsecond)
		all = append(all, at)
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

func (w *world) compare(policy *verdict.Policy, q verdict.Question) {
	results := map[int64]answer{} // at the edges
	at := func(t time.Time) answer {
		known, ok := results[t.UnixMicro()]
		if !ok {
			asked := q
			asked.At = t
			known = w.decide(asked)
			results[t.UnixMicro()] = known
		}
		return known
	}
	for _, q.At = range w.moments() {
		got, want := policy.Decide(q), at(q.At)
		if got.Granted != want.granted || got.Reason != want.reason || got.Alert != want.alert {
			w.t.Fatalf("%s\ngot %+v, want %+v", w.describe(q), got, want)
		}
		if len(want.keys) == 0 != got.Key.IsZero() || len(want.keys) > 0 && !want.keys[got.Key] ||
			want.granted && got.Limited != want.limited {
			w.t.Fatalf("%s\ngot %+v, want one of %+v", w.describe(q), got, want)
		}
		between, change := 0, time.Time{}
		for _, edge := range w.after(q.At) {
			if then := at(edge); then.granted != want.granted || then.reason != want.reason {
				change = edge
				break
			}
			if got.Until.IsZero() || edge.Before(got.Until) {
				between++
			}
		}
		w.checkUntil(fmt.Sprint(w.describe(q), got), q.At, got.Until, change, between)
	}
}

// after lists the edges after an instant, as far as schedules are known.
func (w *world) after(at time.Time) []time.Time {
	begin, end := w.middle.Add(-horizon), w.middle.Add(horizon)
	if at.Before(begin) || !at.Before(end) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.edges), func(edge time.Time) bool {
		return !edge.After(at) || !edge.Before(end)
	})
}

// checkUntil: nothing changes before it, and with few edges in between it is where something does.
func (w *world) checkUntil(about string, at, until, change time.Time, between int) {
	begin, end := w.middle.Add(-horizon), w.middle.Add(horizon)
	if at.Before(begin) || !at.Before(end) {
		return
	}
	if !until.IsZero() && !until.After(at) {
		w.t.Fatalf("%s: until %v, before %v", about, until, at)
	}
	late := !change.IsZero() && (until.IsZero() || until.After(change))
	early := until.Before(end) && !until.IsZero() && !until.Equal(change) && between < maxSteps
	if late || early {
		w.t.Fatalf("%s: until %v, but it changes at %v (%d edges between)", about, until, change, between)
	}
}

func (w *world) compareModes(policy *verdict.Policy, d verdict.Door) {
	for _, at := range w.moments() {
		got, known := policy.Mode(d.ID, at)
		mode, cause, pending := w.mode(d, at)
		if !known || got.Mode != mode || got.Cause != cause || got.Pending != pending {
			w.t.Fatalf("door %+v at %v: got %+v, want %s %s %v", d, at, got, mode, cause, pending)
		}
		change := time.Time{}
		for _, edge := range w.after(at) {
			if then, why, _ := w.mode(d, edge); then != mode || why != cause {
				change = edge
				break
			}
		}
		w.checkUntil(fmt.Sprintf("door %+v at %v: %+v", d, at, got), at, got.Until, change, 0)
	}
}

func (w *world) describe(q verdict.Question) string {
	return fmt.Sprintf("question %+v\ndoors %+v\nkeys %+v\nmembers %+v\ngroup doors %+v\n",
		q, w.Doors, w.Keys, w.Members, w.GroupDoors)
}

// compareSheet: a device that decides by its sheet decides as the server would. But where the door
// stands unlocked it lets in everybody, for it does not know who is suspended.
func (w *world) compareSheet(policy *verdict.Policy, d verdict.Door) {
	from, until := w.middle.Add(-12*time.Hour), w.middle.Add(12*time.Hour)
	people := []typeid.User{typeid.New[typeid.User]()}
	for _, p := range w.People {
		people = append(people, p.ID)
	}
	sheet, known := policy.Sheet(d.ID, people, from, until)
	if !known {
		w.t.Fatal("no sheet")
	}
	for _, at := range w.moments() {
		mode, _, _ := w.mode(d, at)
		inTime := !at.Before(from) && at.Before(until)
		for _, who := range people {
			got, want := sheet.Decide(who, at), policy.Decide(verdict.Question{
				Person: who, Door: d.ID, At: at, Manner: verdict.AtDoor, Offline: true,
			})
			unlocked := inTime && mode == door.ModeUNLOCKED
			if got.Granted != (inTime && (want.Granted || unlocked)) ||
				unlocked != (got.Reason == schema.ReasonGrantedUnlockedMode) ||
				inTime != (got.Reason != schema.ReasonDeviceOffline) {
				w.t.Fatalf("%v at %v, door %+v\nkeys %+v\nby the sheet %+v\ngot %+v, want %+v",
					who, at, d, w.Keys, sheet, got, want)
			}
		}
	}
}
