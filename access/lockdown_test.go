package access_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// plan makes a plan for all of the site.
func (b *bench) plan(change func(*access.CreateLockdownPlanInput)) *ent.LockdownPlan {
	b.t.Helper()
	in := access.CreateLockdownPlanInput{Name: "Close the quay", SiteIDs: []typeid.Site{b.site.ID}}
	if change != nil {
		change(&in)
	}
	made, err := b.access.CreateLockdownPlan(b.admin, in)
	must(b.t, err)
	return made.LockdownPlan
}

func (b *bench) trigger(ctx context.Context, p *ent.LockdownPlan) *ent.Lockdown {
	b.t.Helper()
	made, err := b.access.TriggerLockdown(ctx, access.TriggerLockdownInput{PlanID: p.ID})
	must(b.t, err)
	return made.Lockdown
}

func (b *bench) release(ctx context.Context, l *ent.Lockdown) *ent.Lockdown {
	b.t.Helper()
	made, err := b.access.ReleaseLockdown(ctx, access.ReleaseLockdownInput{LockdownID: l.ID})
	must(b.t, err)
	return made.Lockdown
}

// group is one with the people in it, part of another if one is given.
func (b *bench) group(whole *ent.UserGroup, people ...typeid.User) *ent.UserGroup {
	b.t.Helper()
	create := b.db.UserGroup.Create().SetName(typeid.New[typeid.UserGroup]().String())
	if whole != nil {
		create.SetParentID(whole.ID)
	}
	g := create.SaveX(b.system)
	for _, who := range people {
		b.db.UserGroupMember.Create().SetUserGroupID(g.ID).SetUserID(who).SaveX(b.system)
	}
	return g
}

func (b *bench) modeOf(d *ent.Door) (door.EffectiveMode, schema.ModeCause) {
	b.t.Helper()
	now := b.db.Door.GetX(b.system, d.ID)
	return now.EffectiveMode, now.EffectiveCause
}

func (b *bench) outcome(d *ent.Door) lockdowndoor.Outcome {
	b.t.Helper()
	return b.db.LockdownDoor.Query().
		Where(lockdowndoor.DoorID(d.ID), lockdowndoor.ReleasedAtIsNil()).OnlyX(b.system).Outcome
}

func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}

func TestLockdownClosesAndReleases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	shed := b.newDoor("Shed") // has no device
	p := b.plan(nil)
	waiting, locking := b.unlock(b.admin), b.lock()
	before := b.head()
	l := b.trigger(b.admin, p)
	wantEqual(t, "state", l.State, lockdown.StateACTIVE)
	got := b.events(before)
	slices.Sort(got)
	if want := []string{"command.cancelled", "door.mode_changed", "door.mode_changed",
		"lockdown.activated", "lockdown.door_unreached"}; !slices.Equal(got, want) {
		t.Fatalf("events %v", got)
	}
	for _, d := range []*ent.Door{b.door, shed} {
		mode, cause := b.modeOf(d)
		wantEqual(t, d.Name, mode, door.EffectiveModeLOCKDOWN)
		wantEqual(t, d.Name, cause, schema.ModeCauseLockdown)
	}
	wantEqual(t, "gate", b.outcome(b.door), lockdowndoor.OutcomeAPPLIED)
	wantEqual(t, "shed", b.outcome(shed), lockdowndoor.OutcomeUNREACHED)
	cancelled := b.db.Command.GetX(b.system, waiting.ID)
	wantEqual(t, "unlock", cancelled.Stage, command.StageCANCELLED)
	wantEqual(t, "unlock", *cancelled.Reason, schema.ReasonLockdown)
	wantEqual(t, "lock", b.db.Command.GetX(b.system, locking.ID).Stage, command.StageCREATED)

	// Nothing opens: no key, no right.
	why := "there is smoke"
	wantEqual(t, "by key", *b.unlock(b.admin).Reason, schema.ReasonLockdown)
	by, err := b.access.UnlockDoor(b.admin,
		access.UnlockDoorInput{DoorID: b.door.ID, OperatorReason: &why})
	must(t, err)
	wantEqual(t, "by right", *by.Command.Reason, schema.ReasonLockdown)

	// Again changes nothing.
	before = b.head()
	wantEqual(t, "again", b.trigger(b.admin, p).ID, l.ID)
	wantEqual(t, "head", b.head(), before)

	wantEqual(t, "state", b.release(b.admin, l).State, lockdown.StateRELEASED)
	got = b.events(before)
	if want := []string{"lockdown.released", "door.mode_changed", "door.mode_changed"}; !slices.Equal(got, want) {
		t.Fatalf("events %v", got)
	}
	wantEqual(t, "afterwards", b.unlock(b.admin).Stage, command.StageCREATED)
	before = b.head()
	b.release(b.admin, l)
	wantEqual(t, "head", b.head(), before)
}

func (b *bench) lock() *ent.Command {
	b.t.Helper()
	made, err := b.access.LockDoor(b.admin, access.LockDoorInput{DoorID: b.door.ID})
	must(b.t, err)
	return made.Command
}

// TestLockdownBeatsWhatOpens: whatever opens a door while nothing is amiss does not in a lockdown, and
// does again after it.
func TestLockdownBeatsWhatOpens(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*bench){
		"standing unlocked": func(b *bench) {
			mode := door.ModeUNLOCKED
			_, err := b.access.UpdateDoor(b.admin, access.UpdateDoorInput{ID: b.door.ID, Mode: &mode})
			must(b.t, err)
		},
		"override": func(b *bench) {
			b.db.Door.UpdateOne(b.door).SetOverrideMode(door.OverrideModeUNLOCKED).
				SetOverrideUntil(b.clock.Now().Add(time.Hour)).ExecX(b.system)
		},
		"schedule": func(b *bench) {
			today := b.clock.Now().UTC().AddDate(0, 0, -2).Format("2006-01-02")
			always := b.db.Schedule.Create().SetName("Always").SetWindows([]schema.Window{{
				Start: today + "T00:00:00", End: today + "T23:59:59", Rule: "FREQ=DAILY",
			}}).SaveX(b.system)
			b.db.Door.UpdateOne(b.door).SetUnlockScheduleID(always.ID).ExecX(b.system)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			open(b)
			wantEqual(t, "before", *verdictOf(b.unlock(b.member), b), schema.ReasonGrantedUnlockedMode)
			l := b.trigger(b.admin, b.plan(nil))
			wantEqual(t, "during", *b.unlock(b.member).Reason, schema.ReasonLockdown)
			mode, _ := b.modeOf(b.door)
			wantEqual(t, "mode", mode, door.EffectiveModeLOCKDOWN)
			b.release(b.admin, l)
			mode, _ = b.modeOf(b.door)
			wantEqual(t, "mode", mode, door.EffectiveModeUNLOCKED)
		})
	}
}

// verdictOf is the reason of the decision on a command.
func verdictOf(c *ent.Command, b *bench) *schema.Reason {
	b.t.Helper()
	e := b.db.Event.Query().Where(event.CommandID(c.ID), event.TypeIn("access.granted", "access.denied")).
		OnlyX(b.system)
	return e.Reason
}

// TestLockdownReturnsUses: a use that a cancelled unlock took comes back.
func TestLockdownReturnsUses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.grant(-time.Hour, time.Hour)
	b.db.Key.UpdateOneID(id).SetUses(3).SetUsesLeft(3).ExecX(b.system)
	b.unlock(b.member)
	wantEqual(t, "taken", *b.db.Key.GetX(b.system, id).UsesLeft, 2)
	b.trigger(b.admin, b.plan(nil))
	wantEqual(t, "given back", *b.db.Key.GetX(b.system, id).UsesLeft, 3)
}

// TestNothingUnlocksAfterALockdown races unlocks through two services against a lockdown: when it is
// acknowledged, no unlock is open, and none is created any more.
func TestNothingUnlocksAfterALockdown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	other := access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(t),
	})
	p := b.plan(nil)
	var group sync.WaitGroup
	racing := make(chan struct{}, 64)
	for _, through := range []*access.Service{b.access, other} {
		for range 4 {
			group.Go(func() {
				for range 12 {
					_, err := through.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: b.door.ID})
					if err != nil {
						t.Error(err)
					}
					select {
					case racing <- struct{}{}:
					default:
					}
				}
			})
		}
	}
	for range 8 {
		<-racing
	}
	b.trigger(b.admin, p)
	open := b.db.Command.Query().
		Where(command.VerbEQ(command.VerbUNLOCK), command.EndedAtIsNil()).CountX(b.system)
	wantEqual(t, "open unlocks", open, 0)
	group.Wait()

	var cut int64
	granted, refused := 0, 0
	for _, e := range b.db.Event.Query().Order(event.BySeq()).AllX(b.system) {
		switch {
		case e.Type == "lockdown.activated":
			cut = e.Seq
		case e.Type == "access.granted" && cut == 0:
			granted++
		case e.Type == "access.granted":
			t.Errorf("granted at %d, after the lockdown at %d", e.Seq, cut)
		case e.Type == "access.denied":
			refused++
		}
	}
	if granted == 0 || refused == 0 {
		t.Errorf("no race: %d granted, %d refused", granted, refused)
	}
	for _, c := range b.db.Command.Query().Where(command.VerbEQ(command.VerbUNLOCK)).AllX(b.system) {
		if c.Stage != command.StageCANCELLED && c.Stage != command.StageREJECTED {
			t.Errorf("command %s is %s", c.ID, c.Stage)
		}
	}
}

// TestLockdownGoesBeforeUnlocks: they share the door's lock, and there is always one that has it.
func TestLockdownGoesBeforeUnlocks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.plan(nil)
	var crowd sync.WaitGroup
	over, began := make(chan struct{}), make(chan struct{}, 1)
	for range 8 {
		crowd.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				_, err := b.access.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: b.door.ID})
				if err != nil {
					t.Error(err)
				}
				select {
				case began <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 8 {
		<-began
	}
	ctx, cancel := context.WithTimeout(b.admin, 5*time.Second)
	defer cancel()
	_, err := b.access.TriggerLockdown(ctx, access.TriggerLockdownInput{PlanID: p.ID})
	close(over)
	crowd.Wait()
	must(t, err)
}

func TestDoorsJoinTheLockdownOfTheirSite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.trigger(b.admin, b.plan(nil))
	shed := b.newDoor("Shed")
	mode, _ := b.modeOf(shed)
	wantEqual(t, "mode", mode, door.EffectiveModeLOCKDOWN)
	wantEqual(t, "outcome", b.outcome(shed), lockdowndoor.OutcomeUNREACHED)
	b.link()
	_, err := b.access.BindDoor(b.admin,
		access.BindDoorInput{DoorID: shed.ID, DeviceID: b.dev.ID, Port: 2})
	must(t, err)
	wantEqual(t, "bound", b.outcome(shed), lockdowndoor.OutcomeAPPLIED)
	_, err = b.access.RemoveDevice(b.admin, access.RemoveDeviceInput{ID: b.dev.ID})
	must(t, err)
	wantEqual(t, "its device removed", b.outcome(shed), lockdowndoor.OutcomeUNREACHED)
	b.release(b.admin, l)
	mode, _ = b.modeOf(shed)
	wantEqual(t, "mode", mode, door.EffectiveModeCONTROLLED)
	after := b.newDoor("Loft")
	mode, _ = b.modeOf(after)
	wantEqual(t, "mode of a later door", mode, door.EffectiveModeCONTROLLED)
}

// TestNoDoorIsLeftInALockdown races new doors against lockdowns that come and go.
func TestNoDoorIsLeftInALockdown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.plan(nil)
	var group sync.WaitGroup
	group.Go(func() {
		for range 6 {
			b.release(b.admin, b.trigger(b.admin, p))
		}
	})
	for i := range 3 {
		group.Go(func() {
			for n := range 8 {
				b.newDoor("Door " + string(rune('a'+i)) + string(rune('a'+n)))
			}
		})
	}
	group.Wait()
	left := b.db.LockdownDoor.Query().Where(lockdowndoor.ReleasedAtIsNil()).CountX(b.system)
	wantEqual(t, "doors left in a lockdown", left, 0)
	shut := b.db.Door.Query().Where(door.EffectiveModeEQ(door.EffectiveModeLOCKDOWN)).CountX(b.system)
	wantEqual(t, "doors shut", shut, 0)
}

func TestOverlappingLockdowns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	site := b.trigger(b.admin, b.plan(nil))
	single := b.trigger(b.admin, b.plan(func(in *access.CreateLockdownPlanInput) {
		in.Name, in.SiteIDs, in.DoorIDs = "Close the gate", nil, []typeid.Door{b.door.ID}
	}))
	b.release(b.admin, site)
	wantEqual(t, "one is left", *b.unlock(b.admin).Reason, schema.ReasonLockdown)
	b.release(b.admin, single)
	wantEqual(t, "none is left", b.unlock(b.admin).Stage, command.StageCREATED)
}

func TestLockdownRevertsByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seconds := 90
	p := b.plan(func(in *access.CreateLockdownPlanInput) { in.RevertSeconds = &seconds })
	l := b.trigger(b.admin, p)
	b.clock.Advance(89 * time.Second)
	b.sweep(0)
	wantEqual(t, "before", *b.unlock(b.admin).Reason, schema.ReasonLockdown)
	b.clock.Advance(time.Second)
	wantEqual(t, "though the sweep is late", b.unlock(b.admin).Stage, command.StageCREATED)
	before := b.head()
	var sweepers sync.WaitGroup
	for range 4 {
		sweepers.Go(func() {
			if _, err := b.access.SweepLockdowns(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	sweepers.Wait()
	if got := b.events(before); !slices.Equal(got, []string{"lockdown.released", "door.mode_changed"}) {
		t.Fatalf("events %v", got)
	}
	mode, _ := b.modeOf(b.door)
	wantEqual(t, "mode", mode, door.EffectiveModeCONTROLLED)
	l = b.db.Lockdown.GetX(b.system, l.ID)
	wantEqual(t, "released by", *l.ReleasedBy, "sweeper")
	b.sweep(0)

	// Triggered when it is over and nobody has noticed, it is another one.
	l = b.trigger(b.admin, p)
	b.clock.Advance(90 * time.Second)
	if again := b.trigger(b.admin, p); again.ID == l.ID || again.State != lockdown.StateACTIVE {
		t.Fatalf("got %v", again)
	}
	wantEqual(t, "in force", b.db.Lockdown.Query().
		Where(lockdown.StateEQ(lockdown.StateACTIVE)).CountX(b.system), 1)
}

func (b *bench) sweep(want int) {
	b.t.Helper()
	ended, err := b.access.SweepLockdowns(context.Background())
	must(b.t, err)
	wantEqual(b.t, "ended", ended, want)
	_, err = b.access.TellDevices(context.Background())
	must(b.t, err)
}

func TestTwoPeople(t *testing.T) {
	t.Parallel()
	b := setup(t)
	two := true
	staff := b.group(nil, b.memberID)
	p := b.plan(func(in *access.CreateLockdownPlanInput) {
		in.TwoPersonTrigger, in.TwoPersonRelease = &two, &two
		in.TriggerGroupID, in.ReleaseGroupID = &staff.ID, &staff.ID
	})
	before := b.head()
	l := b.trigger(b.admin, p)
	wantEqual(t, "asked", l.State, lockdown.StateREQUESTED)
	wantEqual(t, "meanwhile", b.unlock(b.admin).Stage, command.StageCREATED)

	// The same person, with whatever token, is no second one.
	wantEqual(t, "the same person", b.trigger(b.admin, p).State, lockdown.StateREQUESTED)
	token, err := b.access.CreateAPIToken(b.admin, access.CreateAPITokenInput{Name: "laptop"})
	must(t, err)
	asToken := actor.NewContext(t.Context(),
		actor.Token(b.org, token.Token.ID, b.adminID, actor.RoleAdmin))
	wantEqual(t, "their token", b.trigger(asToken, p).State, lockdown.StateREQUESTED)
	_, err = b.access.ReleaseLockdown(b.admin, access.ReleaseLockdownInput{LockdownID: l.ID})
	wantCode(t, err, access.CodeConflict)

	confirmed := b.trigger(b.member, p)
	wantEqual(t, "confirmed", confirmed.State, lockdown.StateACTIVE)
	wantEqual(t, "confirmed", confirmed.ID, l.ID)

	wantEqual(t, "release asked", b.release(asToken, l).State, lockdown.StateACTIVE)
	wantEqual(t, "the same person", b.release(b.admin, l).State, lockdown.StateACTIVE)
	b.clock.Advance(access.SecondPersonWindow)
	wantEqual(t, "too late, so asked anew", b.release(b.member, l).State, lockdown.StateACTIVE)
	wantEqual(t, "released", b.release(b.admin, l).State, lockdown.StateRELEASED)
	var told []string
	for _, kind := range b.events(before) {
		if len(kind) > 9 && kind[:9] == "lockdown." {
			told = append(told, kind)
		}
	}
	if want := []string{"lockdown.requested", "lockdown.activated",
		"lockdown.release_requested", "lockdown.release_requested", "lockdown.released"}; !slices.Equal(told, want) {
		t.Fatalf("events %v", told)
	}
}

func TestRequestLapses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	two := true
	p := b.plan(func(in *access.CreateLockdownPlanInput) { in.TwoPersonTrigger = &two })
	first := b.trigger(b.admin, p)
	b.clock.Advance(access.SecondPersonWindow - time.Second)
	b.sweep(0)
	b.clock.Advance(time.Second)
	before := b.head()
	b.sweep(1)
	if got := b.events(before); !slices.Equal(got, []string{"lockdown.lapsed"}) {
		t.Fatalf("events %v", got)
	}
	second := b.trigger(b.admin, p)
	if second.ID == first.ID || second.State != lockdown.StateREQUESTED {
		t.Fatalf("got %v", second)
	}
	b.clock.Advance(access.SecondPersonWindow)
	third := b.trigger(b.admin, p) // before the sweep
	if third.ID == second.ID || b.db.Lockdown.GetX(b.system, second.ID).State != lockdown.StateLAPSED {
		t.Fatalf("got %v", third)
	}
}

func TestWhoMayLockDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := b.group(nil)
	b.group(whole, b.memberID)
	others := b.group(nil)
	p := b.plan(func(in *access.CreateLockdownPlanInput) {
		in.TriggerGroupID, in.ReleaseGroupID = &whole.ID, &others.ID
	})
	outsider, err := b.access.CreateUser(b.admin,
		access.CreateUserInput{Name: "Front desk", Email: "front@example.com"})
	must(t, err)
	as := func(id typeid.User, role actor.Role) context.Context {
		return actor.NewContext(t.Context(), actor.User(b.org, id, role))
	}
	for name, c := range map[string]struct {
		ctx  context.Context //nolint:containedctx // who asks
		code access.Code
	}{
		"member of no group": {as(outsider.User.ID, actor.RoleMember), access.CodeNotFound},
		"guest":              {as(b.memberID, actor.RoleGuest), access.CodeForbidden},
		"device":             {b.device, access.CodeForbidden},
	} {
		before := b.head()
		_, err := b.access.TriggerLockdown(c.ctx, access.TriggerLockdownInput{PlanID: p.ID})
		if !access.IsCode(err, c.code) {
			t.Errorf("%s: %v", name, err)
		}
		wantEqual(t, name, b.head(), before)
	}
	l := b.trigger(b.member, p)
	wantEqual(t, "member of a part", l.State, lockdown.StateACTIVE)
	release := func(ctx context.Context) error {
		_, err := b.access.ReleaseLockdown(ctx, access.ReleaseLockdownInput{LockdownID: l.ID})
		return err
	}
	wantCode(t, release(b.member), access.CodeForbidden)
	wantCode(t, release(as(outsider.User.ID, actor.RoleMember)), access.CodeNotFound)
	wantCode(t, release(as(b.memberID, actor.RoleGuest)), access.CodeForbidden)
	b.db.UserGroupMember.Create().SetUserGroupID(others.ID).SetUserID(outsider.User.ID).
		SetValidUntil(b.clock.Now().Add(time.Hour)).SaveX(b.system)
	must(t, release(as(outsider.User.ID, actor.RoleMember)))
	b.clock.Advance(time.Hour + time.Second)
	wantCode(t, release(as(outsider.User.ID, actor.RoleMember)), access.CodeNotFound)
}

func TestLockdownPlans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	short, nobody := 59, typeid.New[typeid.UserGroup]()
	_, err := b.access.CreateLockdownPlan(b.admin,
		access.CreateLockdownPlanInput{Name: " ", RevertSeconds: &short})
	var faults access.Errors
	if !errors.As(err, &faults) || len(faults) != 3 || faults[0].Field != "name" ||
		faults[1].Field != "siteIds" || faults[2].Field != "revertSeconds" {
		t.Errorf("got %v", err)
	}
	_, err = b.access.CreateLockdownPlan(b.admin, access.CreateLockdownPlanInput{Name: "x",
		SiteIDs: []typeid.Site{typeid.New[typeid.Site]()}, DoorIDs: []typeid.Door{typeid.New[typeid.Door]()}})
	if !errors.As(err, &faults) || len(faults) != 2 || faults[0].Field != "siteIds" ||
		faults[1].Field != "doorIds" {
		t.Errorf("got %v", err)
	}
	_, err = b.access.CreateLockdownPlan(b.admin, access.CreateLockdownPlanInput{Name: "x",
		SiteIDs: []typeid.Site{b.site.ID}, TriggerGroupID: &nobody})
	wantCode(t, err, access.CodeNotFound)
	_, err = b.access.CreateLockdownPlan(b.member, access.CreateLockdownPlanInput{Name: "x"})
	wantCode(t, err, access.CodeForbidden)
	wantEqual(t, "head", b.head(), before)

	p := b.plan(nil)
	none, name, yes := []typeid.Site{}, "Close it all", true
	_, err = b.access.UpdateLockdownPlan(b.admin,
		access.UpdateLockdownPlanInput{ID: p.ID, SiteIDs: none})
	wantCode(t, err, access.CodeBadUserInput)
	changed, err := b.access.UpdateLockdownPlan(b.admin, access.UpdateLockdownPlanInput{ID: p.ID,
		Name: &name, SiteIDs: none, DoorIDs: []typeid.Door{b.door.ID}, TwoPersonRelease: &yes})
	must(t, err)
	if got := changed.LockdownPlan; got.Name != name || len(got.SiteIds) != 0 || !got.TwoPersonRelease {
		t.Errorf("got %v", got)
	}
	l := b.trigger(b.admin, p)
	no := false
	_, err = b.access.UpdateLockdownPlan(b.admin,
		access.UpdateLockdownPlanInput{ID: p.ID, TwoPersonRelease: &no})
	wantCode(t, err, access.CodeConflict)
	_, err = b.access.DeleteLockdownPlan(b.admin, access.DeleteLockdownPlanInput{ID: p.ID})
	wantCode(t, err, access.CodeConflict)
	b.release(b.admin, l)
	staff := b.group(nil, b.memberID)
	b.db.LockdownPlan.UpdateOneID(p.ID).SetReleaseGroupID(staff.ID).ExecX(b.system)
	b.release(b.member, l)
	_, err = b.access.DeleteLockdownPlan(b.admin, access.DeleteLockdownPlanInput{ID: p.ID})
	must(t, err)
	wantEqual(t, "lockdowns", b.db.Lockdown.Query().CountX(b.system), 0)
}

// TestUnreachedDevices: a device that cannot be told is listed, and told when it can.
func TestUnreachedDevices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	b.hardware.fail(errors.New("redis is gone"))
	began := time.Now()
	b.trigger(b.admin, b.plan(nil))
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	wantEqual(t, "outcome", b.outcome(b.door), lockdowndoor.OutcomeUNREACHED)
	wantEqual(t, "in force", *b.unlock(b.admin).Reason, schema.ReasonLockdown)
	b.sweep(0)
	wantEqual(t, "still", b.outcome(b.door), lockdowndoor.OutcomeUNREACHED)
	b.hardware.fail(nil)
	b.sweep(0)
	wantEqual(t, "told again", b.outcome(b.door), lockdowndoor.OutcomeAPPLIED)
}

// TestLockdownAnswersInTime: a device does not read, or reads and never says that it is told.
func TestLockdownAnswersInTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.link()
	for _, name := range []string{"asked in vain", "stuck"} {
		release := b.hardware.ignore(map[typeid.Device]bool{b.dev.ID: true})
		if name == "asked in vain" {
			b.hardware.stuck = nil
		}
		p := b.plan(func(in *access.CreateLockdownPlanInput) { in.Name = name })
		began := time.Now()
		l := b.trigger(b.admin, p)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		wantEqual(t, name, b.outcome(b.door), lockdowndoor.OutcomeUNREACHED)
		release()
		b.release(b.admin, l)
	}
}

// TestPendingDoorsAreNotForgotten: a node died while it was telling devices.
func TestPendingDoorsAreNotForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.trigger(b.admin, b.plan(nil))
	b.db.LockdownDoor.Update().SetOutcome(lockdowndoor.OutcomePENDING).ExecX(b.system)
	b.sweep(0)
	wantEqual(t, "too early", b.outcome(b.door), lockdowndoor.OutcomePENDING)
	b.clock.Advance(10 * time.Second)
	before := b.head()
	b.sweep(0)
	wantEqual(t, "given up", b.outcome(b.door), lockdowndoor.OutcomeUNREACHED)
	if got := b.events(before); !slices.Equal(got, []string{"lockdown.door_unreached"}) {
		t.Fatalf("events %v", got)
	}
}
