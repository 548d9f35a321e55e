package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// at sets the clock to an instant.
func (c *clock) at(t *testing.T, instant string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = instantOf(t, instant)
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	must(t, err)
	return at
}

// schedule makes a schedule with a window from start to end on every day.
func (b *bench) schedule(name, start, end string) *ent.Schedule {
	b.t.Helper()
	made, err := b.access.CreateSchedule(b.admin, access.CreateScheduleInput{
		Name: name, Windows: []schema.Window{{Start: start, End: end, Rule: "FREQ=DAILY"}}})
	must(b.t, err)
	return made.Schedule
}

func (b *bench) unlockBy(plan *ent.Schedule, firstPersonIn bool) {
	b.t.Helper()
	_, err := b.access.UpdateDoor(b.admin, access.UpdateDoorInput{
		ID: b.door.ID, UnlockScheduleID: &plan.ID, FirstPersonIn: &firstPersonIn})
	must(b.t, err)
}

// turn sweeps, and returns what is told of since the last call: types with reasons and modes.
func (b *bench) turn() string {
	b.t.Helper()
	_, err := b.access.TurnModes(actor.NewContext(b.t.Context(), actor.System("test")))
	must(b.t, err)
	return b.news()
}

// news is what the journal tells of modes since the last call.
func (b *bench) news() string {
	b.t.Helper()
	rows, err := b.db.Event.Query().Where(event.SeqGT(b.read)).Order(event.BySeq()).All(b.system)
	must(b.t, err)
	var told []string
	for _, e := range rows {
		b.read = e.Seq
		noun, _, _ := strings.Cut(e.Type, ".")
		if noun != "schedule" && noun != "override" && e.Type != "door.mode_changed" {
			continue
		}
		var facts struct{ From, To, Cause string }
		must(b.t, json.Unmarshal(e.Data, &facts))
		one := e.Type
		if e.Reason != nil {
			one += " " + string(*e.Reason)
		}
		if facts.To != "" {
			one = fmt.Sprintf("%s>%s %s", facts.From, facts.To, facts.Cause)
		}
		told = append(told, one)
	}
	return strings.Join(told, ", ")
}

func (b *bench) mode() verdict.Mode {
	b.t.Helper()
	d, err := b.db.Door.Query().Where(door.ID(b.door.ID)).Only(b.system)
	must(b.t, err)
	modes, err := b.access.Modes(b.system, b.db, []*ent.Door{d})
	must(b.t, err)
	return modes[d.ID]
}

func (b *bench) override(mode door.OverrideMode, seconds int) {
	b.t.Helper()
	_, err := b.access.OverrideDoorMode(b.admin, access.OverrideDoorModeInput{
		DoorID: b.door.ID, Mode: mode, Seconds: &seconds})
	must(b.t, err)
}

// step is an instant and what a sweep then tells.
type step struct{ at, told string }

func (b *bench) walk(steps ...step) {
	b.t.Helper()
	for _, s := range steps {
		b.clock.at(b.t, s.at)
		if got := b.turn(); got != s.told {
			b.t.Fatalf("at %s\ngot  %s\nwant %s", s.at, got, s.told)
		}
		if again := b.turn(); again != "" {
			b.t.Fatalf("at %s again: %s", s.at, again)
		}
	}
}

const (
	opens  = "schedule.started, CONTROLLED>UNLOCKED SCHEDULE"
	closes = "schedule.ended, UNLOCKED>CONTROLLED STANDING"
)

func TestUnlockScheduleFollowsTheClockOfTheSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-03-27T12:00:00Z")
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), false)
	equal(t, b.news(), "schedule.created, "+opens)
	b.walk( // Rome puts its clock forward on the 29th of March, and back on the 25th of October
		step{"2026-03-27T16:59:59Z", ""},
		step{"2026-03-27T17:00:00Z", closes},
		step{"2026-03-28T07:00:00Z", opens},
		step{"2026-03-28T17:00:00Z", closes},
		step{"2026-03-29T05:59:59Z", ""},
		step{"2026-03-29T06:00:00Z", opens},
		step{"2026-03-29T16:00:00Z", closes},
		step{"2026-10-24T07:30:00Z", opens}, // months late: one step
		step{"2026-10-24T16:00:00Z", closes},
		step{"2026-10-25T06:59:59Z", ""},
		step{"2026-10-25T07:00:00Z", opens},
		step{"2026-10-26T07:00:00Z", "schedule.ended, schedule.started"}, // a night late: nothing turns
	)
	if len(b.hardware.configured) == 0 {
		t.Error("the device was not told")
	}
}

func TestUnlockScheduleOverMidnightAndTheClocksChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-03-28T12:00:00Z")
	b.unlockBy(b.schedule("Night shift", "2026-01-01T22:00:00", "2026-01-02T02:30:00"), false)
	equal(t, b.news(), "schedule.created")
	b.walk(
		step{"2026-03-28T21:00:00Z", opens},
		step{"2026-03-29T00:59:59Z", ""},
		step{"2026-03-29T01:00:00Z", closes}, // 2:30 does not exist
		step{"2026-03-29T20:00:00Z", opens},
		step{"2026-03-30T00:30:00Z", closes},
		step{"2026-10-24T20:00:00Z", opens},
		step{"2026-10-25T00:30:00Z", ""}, // 2:30 comes twice
		step{"2026-10-25T01:30:00Z", closes},
	)
}

func TestHolidaySkipsAWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T12:00:00Z")
	days, err := b.access.CreateHolidayCalendar(b.admin, access.CreateHolidayCalendarInput{
		Name: "Italy", Holidays: []schema.Holiday{{Name: "Feast", First: "2026-05-05"}}})
	must(t, err)
	_, err = b.access.UpdateSite(b.admin, access.UpdateSiteInput{
		ID: b.site.ID, HolidayCalendarID: &days.HolidayCalendar.ID})
	must(t, err)
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), false)
	b.news()
	b.walk(
		step{"2026-05-04T16:00:00Z", closes},
		step{"2026-05-05T05:59:59Z", ""},
		step{"2026-05-05T06:00:00Z", "schedule.skipped HOLIDAY"},
		step{"2026-05-05T16:00:00Z", ""},
		step{"2026-05-06T06:00:00Z", opens},
		step{"2026-05-06T07:00:00Z", ""},
	)
	_, err = b.access.UpdateHolidayCalendar(b.admin, access.UpdateHolidayCalendarInput{
		ID: days.HolidayCalendar.ID, Holidays: []schema.Holiday{{Name: "Strike", First: "2026-05-06"}}})
	must(t, err)
	equal(t, b.mode().Mode, door.ModeCONTROLLED)
	equal(t, b.turn(), closes)
	_, err = b.access.UpdateSite(b.admin, access.UpdateSiteInput{
		ID: b.site.ID, ClearHolidayCalendar: true})
	must(t, err)
	equal(t, b.turn(), opens)
	zone := "America/New_York"
	_, err = b.access.UpdateSite(b.admin, access.UpdateSiteInput{ID: b.site.ID, TimeZone: &zone})
	must(t, err)
	equal(t, b.mode().Mode, door.ModeCONTROLLED)
	equal(t, b.turn(), closes)
}

func TestScheduleChangesCountAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T12:00:00Z")
	plan := b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00")
	must(t, b.db.Key.UpdateOne(b.key).SetScheduleID(plan.ID).Exec(b.admin))
	granted(t, b.unlock(b.admin))
	b.unlockBy(plan, false)
	b.news()
	_, err := b.access.UpdateSchedule(b.admin, access.UpdateScheduleInput{
		ID: plan.ID, Windows: []schema.Window{{Start: "2026-01-01T20:00:00", End: "2026-01-01T21:00:00"}}})
	must(t, err)
	equal(t, *b.unlock(b.admin).Reason, schema.ReasonOutsideSchedule)
	equal(t, b.turn(), "schedule.updated, "+closes)
	_, err = b.access.UpdateSchedule(b.admin, access.UpdateScheduleInput{
		ID: plan.ID, Windows: []schema.Window{{Start: "2026-05-04T08:00:00", End: "2026-05-04T21:00:00"}}})
	must(t, err)
	granted(t, b.unlock(b.admin))
	equal(t, b.turn(), "schedule.updated, "+opens)
	_, err = b.access.UpdateDoor(b.admin,
		access.UpdateDoorInput{ID: b.door.ID, ClearUnlockSchedule: true})
	must(t, err)
	equal(t, b.news(), closes)
	equal(t, b.turn(), "")
}

func granted(t *testing.T, c *ent.Command) {
	t.Helper()
	if c.Reason != nil {
		t.Fatalf("refused: %s", *c.Reason)
	}
}

func TestOverrideInsideAndOutsideOfAWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T05:00:00Z")
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), false)
	b.news()
	b.override("LOCKED", 2*3600) // until 7:00 UTC, an hour into the window
	equal(t, b.news(), "override.applied, CONTROLLED>LOCKED OVERRIDE")
	b.walk(
		step{"2026-05-04T06:00:00Z", "schedule.started"},
		step{"2026-05-04T06:59:59Z", ""},
		step{"2026-05-04T07:00:00Z", "override.expired, LOCKED>UNLOCKED SCHEDULE"},
		step{"2026-05-04T15:30:00Z", ""},
	)
	b.override("UNLOCKED", 3600) // from within to without
	equal(t, b.news(), "override.applied")
	b.walk(
		step{"2026-05-04T16:00:00Z", "schedule.ended"},
		step{"2026-05-04T16:30:00Z", "override.expired, UNLOCKED>CONTROLLED STANDING"},
	)
	b.override("UNLOCKED", 3600)
	equal(t, b.news(), "override.applied, CONTROLLED>UNLOCKED OVERRIDE")
	equal(t, b.mode().Until, instantOf(t, "2026-05-04T17:30:00Z"))
	before := b.head()
	until := instantOf(t, "2026-05-04T17:30:00Z")
	_, err := b.access.OverrideDoorMode(b.admin, access.OverrideDoorModeInput{
		DoorID: b.door.ID, Mode: "UNLOCKED", Until: &until})
	must(t, err)
	equal(t, b.head(), before)
	for range 2 {
		_, err := b.access.CancelDoorOverride(b.admin,
			access.CancelDoorOverrideInput{DoorID: b.door.ID})
		must(t, err)
	}
	equal(t, b.news(), "override.cancelled, UNLOCKED>CONTROLLED STANDING")
	b.override("UNLOCKED", 60)
	b.news()
	b.clock.at(t, "2026-05-04T18:00:00Z") // nobody has swept
	b.override("LOCKED", 60)
	equal(t, b.news(), "override.expired, UNLOCKED>CONTROLLED STANDING, "+
		"override.applied, CONTROLLED>LOCKED OVERRIDE")
}

func TestLockdownIsOverAnOverride(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T05:00:00Z")
	b.override("UNLOCKED", 3600)
	equal(t, b.news(), "override.applied, CONTROLLED>UNLOCKED OVERRIDE")
	lockdown := door.ModeLOCKDOWN
	_, err := b.access.UpdateDoor(b.admin, access.UpdateDoorInput{ID: b.door.ID, Mode: &lockdown})
	must(t, err)
	equal(t, b.news(), "UNLOCKED>LOCKDOWN STANDING")
	b.walk(step{"2026-05-04T06:00:00Z", "override.expired"})
	equal(t, b.mode().Mode, door.ModeLOCKDOWN)
}

func TestFirstPersonIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T05:00:00Z")
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), true)
	b.unlock(b.admin) // too early to count
	b.news()
	b.walk(step{"2026-05-04T06:00:00Z", "schedule.skipped FIRST_PERSON_PENDING"})
	equal(t, b.mode().Pending, true)
	b.unlock(b.member) // has no key
	reason := "Delivery"
	_, err := b.access.UnlockDoor(b.admin,
		access.UnlockDoorInput{DoorID: b.door.ID, OperatorReason: &reason})
	must(t, err)
	equal(t, b.news(), "")
	b.hardware.configured = nil
	b.unlock(b.admin)
	equal(t, b.news(), "schedule.first_in_satisfied, CONTROLLED>UNLOCKED SCHEDULE")
	equal(t, len(b.hardware.configured), 1)
	b.unlock(b.admin)
	equal(t, b.news(), "")
	b.walk(
		step{"2026-05-04T16:00:00Z", closes},
		step{"2026-05-05T06:00:00Z", "schedule.skipped FIRST_PERSON_PENDING"},
	)
	link, err := b.access.OpenLink(b.device, access.OpenLinkInput{LogEpoch: 1, Firmware: "1"})
	must(t, err)
	report := func(sequence int64, at string, who typeid.User) {
		t.Helper()
		_, err := b.access.RecordReports(b.device, link.Epoch, []access.Report{{
			Sequence: sequence, OccurredAt: instantOf(t, at), Delivery: event.DeliveryBUFFERED, Port: 1,
			Type: "access.granted", User: who, Outcome: "GRANTED", Reason: "GRANTED"}})
		must(t, err)
	}
	report(1, "2026-05-05T05:59:00Z", b.adminID) // before the window
	report(2, "2026-05-05T06:00:00Z", typeid.User{})
	equal(t, b.news(), "")
	report(3, "2026-05-05T06:00:00Z", b.memberID)
	equal(t, b.news(), "schedule.first_in_satisfied, CONTROLLED>UNLOCKED SCHEDULE")
	b.walk(
		step{"2026-05-05T16:00:00Z", closes},
		step{"2026-05-06T06:00:00Z", "schedule.skipped FIRST_PERSON_PENDING"},
		step{"2026-05-06T16:00:00Z", ""}, // nobody came
	)
	b.clock.at(t, "2026-05-07T06:00:00Z") // before the sweep
	b.unlock(b.admin)
	equal(t, b.news(), "schedule.first_in_satisfied, "+opens)
	equal(t, b.turn(), "")
}

func TestManyFirstPersonsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T07:00:00Z")
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), true)
	b.news()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := b.access.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: b.door.ID})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	equal(t, b.news(), "schedule.first_in_satisfied, CONTROLLED>UNLOCKED SCHEDULE")
}

// Two services sweep the same doors of two organizations; each change is told of once.
func TestManyNodesTurnModes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T05:00:00Z")
	plan := b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00")
	const doors = 250 // more than one batch
	for i := range doors {
		d := b.newDoor(fmt.Sprintf("Door %03d", i))
		must(t, b.db.Door.UpdateOne(d).SetUnlockScheduleID(plan.ID).
			SetEffectiveUntil(b.clock.Now()).Exec(b.admin))
	}
	b.turn()
	nodes := []*access.Service{b.access, access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(t)})}
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	b.clock.at(t, "2026-05-04T06:00:00Z")
	var all sync.WaitGroup
	for range 3 {
		for _, node := range nodes {
			all.Go(func() {
				if _, err := node.TurnModes(everywhere); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	told := strings.Split(b.turn()+", "+b.news(), ", ")
	count := map[string]int{}
	for _, one := range told {
		count[one]++
	}
	equal(t, count["schedule.started"], doors)
	equal(t, count["CONTROLLED>UNLOCKED SCHEDULE"], doors)
}

func TestDevicesAreToldTheModeInForce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.at(t, "2026-05-04T05:00:00Z")
	b.unlockBy(b.schedule("Day shift", "2026-01-01T08:00:00", "2026-01-01T18:00:00"), false)
	told := func() door.EffectiveMode {
		t.Helper()
		doors, err := b.access.DoorsOf(b.device)
		must(t, err)
		return doors[0].EffectiveMode
	}
	equal(t, told(), door.EffectiveModeCONTROLLED)
	b.clock.at(t, "2026-05-04T06:00:00Z") // nobody has swept
	equal(t, told(), door.EffectiveModeUNLOCKED)
	b.override("LOCKED", 60)
	equal(t, told(), door.EffectiveModeLOCKED)
}

func TestOverrideInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	past, seconds := b.clock.Now().Add(-time.Second), 0
	before := b.head()
	for name, in := range map[string]access.OverrideDoorModeInput{
		"past":    {DoorID: b.door.ID, Mode: "LOCKED", Until: &past},
		"seconds": {DoorID: b.door.ID, Mode: "LOCKED", Seconds: &seconds},
		"mode":    {DoorID: b.door.ID, Mode: "DISABLED"},
	} {
		_, err := b.access.OverrideDoorMode(b.admin, in)
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, use := range map[string]func(context.Context, typeid.Door) error{
		"override": func(ctx context.Context, id typeid.Door) error {
			_, err := b.access.OverrideDoorMode(ctx,
				access.OverrideDoorModeInput{DoorID: id, Mode: "LOCKED"})
			return err
		},
		"cancel": func(ctx context.Context, id typeid.Door) error {
			_, err := b.access.CancelDoorOverride(ctx, access.CancelDoorOverrideInput{DoorID: id})
			return err
		},
	} {
		if err := use(b.member, b.door.ID); !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("%s by a member: %v", name, err)
		}
		if err := use(b.admin, typeid.New[typeid.Door]()); !access.IsCode(err, access.CodeNotFound) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	equal(t, b.head(), before)
}

// Whatever happens to a door, its door.mode_changed events replayed are its mode at every instant.
func TestReplayedModesAreTheModes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { b.replay(t, seed) })
	}
}

func (b *bench) replay(t *testing.T, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	b.clock.at(t, "2026-03-27T12:00:00Z")
	b.door = b.newDoor(fmt.Sprintf("Gate %d", seed))
	_, err := b.access.BindDoor(b.admin,
		access.BindDoorInput{DoorID: b.door.ID, DeviceID: b.dev.ID, Port: int(seed) + 2})
	must(t, err)
	windows := func() []schema.Window {
		var all []schema.Window
		for range 1 + random.IntN(2) {
			begin := time.Date(2026, 3, 27, random.IntN(24), random.IntN(60), 0, 0, time.UTC)
			end := begin.Add(time.Duration(1+random.IntN(20)) * 30 * time.Minute)
			const local = "2006-01-02T15:04:05"
			all = append(all, schema.Window{Start: begin.Format(local), End: end.Format(local), Rule: "FREQ=DAILY"})
		}
		return all
	}
	made, err := b.access.CreateSchedule(b.admin, access.CreateScheduleInput{
		Name: fmt.Sprintf("Shift %d", seed), Windows: windows()})
	must(t, err)
	b.unlockBy(made.Schedule, seed%2 == 1)
	modes := []door.Mode{"CONTROLLED", "CONTROLLED", "CONTROLLED", "LOCKED", "UNLOCKED", "DISABLED"}
	now, told := b.clock.Now(), door.ModeCONTROLLED
	for range 150 {
		switch random.IntN(12) {
		case 0:
			b.override([]door.OverrideMode{"UNLOCKED", "LOCKED", "CONTROLLED"}[random.IntN(3)],
				1+random.IntN(8*3600))
		case 1:
			_, err := b.access.CancelDoorOverride(b.admin, access.CancelDoorOverrideInput{DoorID: b.door.ID})
			must(t, err)
		case 2:
			_, err := b.access.UpdateDoor(b.admin,
				access.UpdateDoorInput{ID: b.door.ID, Mode: &modes[random.IntN(len(modes))]})
			must(t, err)
		case 3:
			_, err := b.access.UpdateSchedule(b.admin,
				access.UpdateScheduleInput{ID: made.Schedule.ID, Windows: windows()})
			must(t, err)
			b.turnOnly()
		case 4:
			b.unlock(b.admin)
		default:
			now = now.Add(time.Duration(random.IntN(3*3600)) * time.Second)
			b.clock.Advance(now.Sub(b.clock.Now()))
			b.turnOnly()
		}
		told = b.replayed(t, told)
		if want := b.mode().Mode; told != want {
			t.Fatalf("at %s: replayed %s, in force %s", b.clock.Now(), told, want)
		}
	}
}

func (b *bench) turnOnly() {
	b.t.Helper()
	_, err := b.access.TurnModes(actor.NewContext(b.t.Context(), actor.System("test")))
	must(b.t, err)
}

// replayed applies the events since the last call to a mode.
func (b *bench) replayed(t *testing.T, mode door.Mode) door.Mode {
	t.Helper()
	rows, err := b.db.Event.Query().Where(event.SeqGT(b.read)).Order(event.BySeq()).All(b.system)
	must(t, err)
	for _, e := range rows {
		b.read = e.Seq
		if e.Type != "door.mode_changed" || *e.DoorID != b.door.ID {
			continue
		}
		var facts struct{ From, To door.Mode }
		must(t, json.Unmarshal(e.Data, &facts))
		if facts.From != mode || facts.To == mode {
			t.Fatalf("told %s>%s while %s was told", facts.From, facts.To, mode)
		}
		mode = facts.To
	}
	return mode
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}
