package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// yard is a bench with two areas and three doors: Gate into the hall, Wicket out of it, and Hatch
// from the hall into the vault.
type yard struct {
	*bench
	hall, vault         *ent.Area
	gate, wicket, hatch *ent.Door
	epoch, sequence     int64
}

func setupYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{bench: setup(t)}
	y.gate, y.wicket, y.hatch = y.door, y.bound("Wicket", 2), y.bound("Hatch", 3)
	y.epoch = y.link().Epoch
	y.build("Hall", "Vault")
	return y
}

func (y *yard) bound(name string, port int) *ent.Door {
	y.t.Helper()
	made, err := y.access.BindDoor(y.admin, access.BindDoorInput{
		DoorID: y.newDoor(name).ID, DeviceID: y.dev.ID, Port: port})
	must(y.t, err)
	return made.Door
}

// build makes two areas, and has the doors lead there.
func (y *yard) build(hall, vault string) {
	y.t.Helper()
	for name, to := range map[string]**ent.Area{hall: &y.hall, vault: &y.vault} {
		made, err := y.access.CreateArea(y.admin, access.CreateAreaInput{SiteID: y.site.ID, Name: name})
		must(y.t, err)
		*to = made.Area
	}
	for _, in := range []access.SetDoorAreasInput{
		{DoorID: y.gate.ID, IntoAreaID: &y.hall.ID},
		{DoorID: y.wicket.ID, OutOfAreaID: &y.hall.ID},
		{DoorID: y.hatch.ID, IntoAreaID: &y.vault.ID, OutOfAreaID: &y.hall.ID},
	} {
		_, err := y.access.SetDoorAreas(y.admin, in)
		must(y.t, err)
	}
}

func (y *yard) set(a *ent.Area, in access.UpdateAreaInput) {
	y.t.Helper()
	in.ID = a.ID
	_, err := y.access.UpdateArea(y.admin, in)
	must(y.t, err)
}

// someone is a member with a key to the site.
func (y *yard) someone(name string) (typeid.User, context.Context) {
	y.t.Helper()
	made, err := y.access.CreateUser(y.admin,
		access.CreateUserInput{Name: name, Email: typeid.New[typeid.User]().String() + "@example.com"})
	must(y.t, err)
	_, err = y.access.GrantKey(y.admin,
		access.GrantKeyInput{UserID: made.User.ID, SiteID: &y.site.ID})
	must(y.t, err)
	return made.User.ID, actor.NewContext(y.t.Context(),
		actor.User(y.org, made.User.ID, actor.RoleMember))
}

func (y *yard) pass(ctx context.Context, d *ent.Door) *ent.Command {
	y.t.Helper()
	p, err := y.access.UnlockDoor(ctx, access.UnlockDoorInput{DoorID: d.ID})
	must(y.t, err)
	return p.Command
}

func (y *yard) fail(c *ent.Command) {
	y.t.Helper()
	must(y.t, y.access.RecordUndelivered(y.system, c.ID, schema.ReasonDeviceBusy))
}

func (y *yard) tell(r access.Report) {
	y.t.Helper()
	y.sequence++
	r.Sequence = y.sequence
	y.report(y.epoch, r)
}

// state is where a person is with respect to an area; "" if nobody knows.
func (y *yard) state(a *ent.Area, who typeid.User) presence.State {
	y.t.Helper()
	row, err := y.db.Presence.Query().
		Where(presence.AreaID(a.ID), presence.UserID(who)).Only(y.system)
	if ent.IsNotFound(err) {
		return ""
	}
	must(y.t, err)
	return row.State
}

func (y *yard) wantState(a *ent.Area, who typeid.User, want presence.State) {
	y.t.Helper()
	if got := y.state(a, who); got != want {
		y.t.Errorf("in %s: %q, want %q", a.Name, got, want)
	}
}

func (y *yard) occupancy(a *ent.Area) int {
	y.t.Helper()
	return y.db.Presence.Query().
		Where(presence.AreaID(a.ID), presence.StateEQ(presence.StateIN)).CountX(y.system)
}

// told returns the data of events of a type, oldest first.
func (y *yard) told(kind string) (data []map[string]any) {
	y.t.Helper()
	for _, row := range y.db.Event.Query().Where(event.Type(kind)).
		Order(event.BySeq()).AllX(y.system) {
		var facts map[string]any
		must(y.t, json.Unmarshal(row.Data, &facts))
		data = append(data, facts)
	}
	return data
}

func wantReason(t *testing.T, c *ent.Command, want schema.Reason) {
	t.Helper()
	if c.Stage != command.StageREJECTED || c.Reason == nil || *c.Reason != want {
		t.Errorf("stage %s, reason %v, want %s", c.Stage, c.Reason, want)
	}
}

func TestPassingMovesWhoeverAskedForThemselves(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	who, ctx := y.someone("Night shift")
	before := y.head()
	y.pass(ctx, y.gate)
	if got := y.events(before); !slices.Equal(got,
		[]string{"access.granted", "command.created", "occupancy.changed"}) {
		t.Errorf("events %v", got)
	}
	y.wantState(y.hall, who, presence.StateIN)
	y.pass(ctx, y.hatch)
	y.wantState(y.hall, who, presence.StateOUT)
	y.wantState(y.vault, who, presence.StateIN)

	reason := "delivery"
	_, err := y.access.UnlockDoor(y.admin,
		access.UnlockDoorInput{DoorID: y.gate.ID, OperatorReason: &reason})
	must(t, err)
	_, err = y.access.LockDoor(y.admin, access.LockDoorInput{DoorID: y.gate.ID})
	must(t, err)
	y.wantState(y.hall, y.adminID, "")
	y.wantState(y.hall, y.memberID, "")
	wantReason(t, y.pass(y.member, y.gate), schema.ReasonNoGrant)
	y.wantState(y.hall, y.memberID, "")
	if counts := y.told("occupancy.changed"); len(counts) != 3 ||
		counts[2]["count"] != float64(1) && counts[1]["count"] != float64(1) {
		t.Errorf("told %v", counts)
	}
}

// TestLimitHolds has 50 people at a door at the same moment, on two nodes.
func TestLimitHolds(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	limit, enforce := 7, area.LimitModeENFORCE
	y.set(y.hall, access.UpdateAreaInput{OccupancyLimit: &limit, LimitMode: &enforce})
	nodes := []*access.Service{y.access, access.New(access.Config{
		DB: y.db, Devices: y.hardware, Now: y.clock.Now, Log: testenv.Logger(t)})}
	var people []context.Context
	for i := range 50 {
		_, ctx := y.someone(fmt.Sprintf("Guest %d", i))
		people = append(people, ctx)
	}
	var mu sync.Mutex
	var granted []*ent.Command
	var group sync.WaitGroup
	for i, ctx := range people {
		group.Go(func() {
			p, err := nodes[i%2].UnlockDoor(ctx, access.UnlockDoorInput{DoorID: y.gate.ID})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if p.Command.Stage == command.StageCREATED {
				granted = append(granted, p.Command)
			} else {
				wantReason(t, p.Command, schema.ReasonOccupancyLimit)
			}
		})
	}
	group.Wait()
	if len(granted) != limit || y.occupancy(y.hall) != limit {
		t.Fatalf("%d granted, %d in, limit %d", len(granted), y.occupancy(y.hall), limit)
	}
	if full := y.told("occupancy.limit_reached"); len(full) != 1 ||
		full[0]["count"] != float64(limit) || full[0]["limit"] != float64(limit) {
		t.Errorf("told %v", full)
	}

	y.fail(granted[0]) // whose place is then free
	_, late := y.someone("Late guest")
	if c := y.pass(late, y.gate); c.Stage != command.StageCREATED {
		t.Errorf("after one gave way: %s", c.Stage)
	}
	_, later := y.someone("Later guest")
	wantReason(t, y.pass(later, y.gate), schema.ReasonOccupancyLimit)

	alert := area.LimitModeALERT
	y.set(y.hall, access.UpdateAreaInput{LimitMode: &alert})
	if c := y.pass(later, y.gate); c.Stage != command.StageCREATED {
		t.Errorf("alert refused: %s", c.Stage)
	}
	full := y.told("occupancy.limit_reached")
	if last := full[len(full)-1]; last["count"] != float64(limit+1) {
		t.Errorf("told %v", full)
	}
	yes := true
	y.set(y.hall, access.UpdateAreaInput{ClearOccupancyLimit: &yes, LimitMode: &enforce})
	_, last := y.someone("Last guest")
	if c := y.pass(last, y.gate); c.Stage != command.StageCREATED {
		t.Errorf("without a limit: %s", c.Stage)
	}
}

func TestAntiPassback(t *testing.T) {
	t.Parallel()
	for _, mode := range []area.AntiPassback{
		area.AntiPassbackOFF, area.AntiPassbackALERT, area.AntiPassbackENFORCE,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			y := setupYard(t)
			y.set(y.hall, access.UpdateAreaInput{AntiPassback: &mode})
			violations := 0
			try := func(who context.Context, d *ent.Door, violates bool) {
				t.Helper()
				c := y.pass(who, d)
				switch {
				case violates && mode == area.AntiPassbackENFORCE:
					wantReason(t, c, schema.ReasonAntiPassback)
				case c.Stage != command.StageCREATED:
					t.Errorf("at %s: %s", d.Name, c.Stage)
				}
				if violates && mode != area.AntiPassbackOFF {
					violations++
				}
				told := y.told("antipassback.violated")
				if len(told) != violations {
					t.Fatalf("at %s: %d violations, want %d", d.Name, len(told), violations)
				}
				if violates && violations > 0 && (told[violations-1]["mode"] != string(mode) ||
					told[violations-1]["areaId"] != y.hall.ID.String()) {
					t.Errorf("told %v", told[violations-1])
				}
			}
			first, one := y.someone("Day shift")
			_, other := y.someone("Night shift")
			try(one, y.gate, false)
			try(one, y.gate, true)
			try(one, y.wicket, false)
			try(one, y.wicket, true)
			try(one, y.hatch, true)
			try(other, y.wicket, false) // nobody knows where they were: free
			try(other, y.gate, false)
			try(other, y.gate, true)

			_, err := y.access.ResetAntiPassback(y.admin,
				access.ResetAntiPassbackInput{AreaID: y.hall.ID, UserID: &first})
			must(t, err)
			y.wantState(y.hall, first, presence.StateUNKNOWN)
			try(one, y.wicket, false)
			try(other, y.gate, true)
			_, err = y.access.ResetAntiPassback(y.admin,
				access.ResetAntiPassbackInput{AreaID: y.hall.ID})
			must(t, err)
			if n := y.occupancy(y.hall); n != 0 {
				t.Errorf("%d are in", n)
			}
			try(one, y.wicket, false)
			try(other, y.gate, false)
		})
	}
}

func TestPassThatNeverHappenedIsTakenBack(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	who, ctx := y.someone("Night shift")
	in := y.pass(ctx, y.gate)
	out := y.pass(ctx, y.wicket)
	y.fail(in) // the later pass stands
	y.wantState(y.hall, who, presence.StateOUT)
	y.fail(out)
	y.wantState(y.hall, who, "")

	in = y.pass(ctx, y.gate)
	y.tell(access.Report{Port: 1, Result: &access.Result{
		Command: in.ID, Stage: command.StageCONFIRMED}})
	over := y.pass(ctx, y.hatch)
	y.wantState(y.vault, who, presence.StateIN)
	before := y.head()
	y.tell(access.Report{Port: 3, Result: &access.Result{
		Command: over.ID, Stage: command.StageFAILED, Reason: schema.ReasonJammed}})
	y.wantState(y.vault, who, "")
	y.wantState(y.hall, who, presence.StateIN)
	if got := y.events(before); !slices.Equal(got,
		[]string{"command.failed", "occupancy.changed", "occupancy.changed"}) {
		t.Errorf("events %v", got)
	}

	y.hardware.offline = true
	y.pass(ctx, y.wicket)
	y.wantState(y.hall, who, presence.StateIN)
	y.hardware.offline = false
	late := y.pass(ctx, y.wicket)
	must(t, y.access.RecordUndelivered(y.system, late.ID, schema.ReasonExpiredBeforeDelivery))
	y.wantState(y.hall, who, presence.StateIN)

	out = y.pass(ctx, y.wicket)
	must(t, y.access.RecordDispatched(y.system, out.ID, y.clock.Now()))
	y.clock.Advance(access.CommandDeadline + access.ConfirmationWindow)
	_, err := y.access.ExpireCommands(t.Context())
	must(t, err)
	y.wantState(y.hall, who, presence.StateOUT) // unconfirmed is not undone
}

func TestTakingBackOutlivesTheDoor(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	who, ctx := y.someone("Night shift")
	y.pass(ctx, y.gate)
	out := y.pass(ctx, y.wicket)
	_, err := y.access.DeleteDoor(y.admin, access.DeleteDoorInput{ID: y.gate.ID})
	must(t, err)
	y.fail(out)
	y.wantState(y.hall, who, presence.StateIN)
	_, err = y.access.DeleteArea(y.admin, access.DeleteAreaInput{ID: y.hall.ID})
	must(t, err)
	if d := y.db.Door.GetX(y.system, y.wicket.ID); d.OutOfAreaID != nil {
		t.Errorf("the door leads out of %v", d.OutOfAreaID)
	}
	y.pass(ctx, y.wicket)
}

func TestReportsMove(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	mode := area.AntiPassbackENFORCE
	y.set(y.hall, access.UpdateAreaInput{AntiPassback: &mode})
	who, _ := y.someone("Night shift")
	granted := access.Report{Port: 1, Type: "access.granted", User: who}
	y.tell(granted)
	y.wantState(y.hall, who, presence.StateIN)
	y.clock.Advance(time.Minute)
	y.tell(granted) // it happened, whatever the rules say
	if told := y.told("antipassback.violated"); len(told) != 1 || told[0]["mode"] != "ALERT" {
		t.Errorf("told %v", told)
	}

	left := access.Report{Port: 2, Type: "access.granted", User: who}
	late := left
	late.Delivery, late.OccurredAt = event.DeliveryBUFFERED, y.clock.Now().Add(-30*time.Second)
	y.tell(late)
	y.wantState(y.hall, who, presence.StateIN)

	y.clock.Advance(6 * time.Minute)
	y.tell(left)
	y.wantState(y.hall, who, presence.StateOUT)
	y.clock.Advance(5 * time.Second)
	y.tell(access.Report{Port: 1, Type: "access.no_entry", User: who}) // not by that door
	y.tell(access.Report{Port: 2, Type: "access.no_entry"})            // who?
	y.wantState(y.hall, who, presence.StateOUT)
	y.tell(access.Report{Port: 2, Type: "access.no_entry", User: who})
	y.wantState(y.hall, who, presence.StateIN)
	y.tell(access.Report{Port: 2, Type: "access.no_entry", User: who}) // the late one is too old
	y.wantState(y.hall, who, presence.StateIN)

	_, err := y.access.ResetAntiPassback(y.admin, access.ResetAntiPassbackInput{AreaID: y.hall.ID})
	must(t, err)
	y.tell(late)
	y.wantState(y.hall, who, "")
	y.tell(access.Report{Port: 1, Type: "access.granted", User: typeid.New[typeid.User]()})
	y.tell(access.Report{Port: 1, Type: "access.granted"})
	y.tell(access.Report{Port: 9, Type: "access.granted", User: who})
	if n := y.occupancy(y.hall); n != 0 {
		t.Errorf("%d are in", n)
	}
}

func TestRecordPresence(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	who, ctx := y.someone("Night shift")
	in := access.RecordPresenceInput{AreaID: y.hall.ID, UserID: who, State: presence.StateIN}
	before := y.head()
	for range 2 {
		_, err := y.access.RecordPresence(y.admin, in)
		must(t, err)
	}
	if got := y.events(before); !slices.Equal(got,
		[]string{"presence.recorded", "occupancy.changed"}) {
		t.Errorf("events %v", got)
	}
	y.wantState(y.hall, who, presence.StateIN)
	out := y.pass(ctx, y.wicket)
	in.State = presence.StateOUT
	_, err := y.access.RecordPresence(y.admin, in)
	must(t, err)
	y.fail(out)
	y.wantState(y.hall, who, presence.StateIN)
	in.State = presence.StateUNKNOWN
	_, err = y.access.RecordPresence(y.admin, in)
	wantCode(t, err, access.CodeBadUserInput)
}

func TestDoorStandingOpenEnforcesNothing(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	enforce, unlocked := area.AntiPassbackENFORCE, door.ModeUNLOCKED
	y.set(y.hall, access.UpdateAreaInput{AntiPassback: &enforce})
	_, err := y.access.UpdateDoor(y.admin, access.UpdateDoorInput{ID: y.gate.ID, Mode: &unlocked})
	must(t, err)
	_, ctx := y.someone("Night shift")
	for range 2 {
		if c := y.pass(ctx, y.gate); c.Stage != command.StageCREATED {
			t.Errorf("stage %s", c.Stage)
		}
	}
	if told := y.told("antipassback.violated"); len(told) != 1 || told[0]["mode"] != "ALERT" {
		t.Errorf("told %v", told)
	}
}
