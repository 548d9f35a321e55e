package access_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// report records entries, at the present instant unless they say otherwise.
func (b *bench) report(epoch int64, reports ...access.Report) (acked int64) {
	b.t.Helper()
	for i := range reports {
		if reports[i].OccurredAt.IsZero() {
			reports[i].OccurredAt = b.clock.Now()
		}
	}
	acked, err := b.access.RecordReports(b.device, epoch, reports)
	must(b.t, err)
	return acked
}

func (b *bench) stored() (lock door.LockState, position door.Position) {
	b.t.Helper()
	d := b.db.Door.GetX(b.system, b.door.ID)
	return d.LockState, d.Position
}

func TestReportChangesTheDoorAndTheJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	before := b.head()
	acked := b.report(epoch,
		access.Report{Sequence: 1, Port: 1, Type: "access.granted", User: b.memberID,
			Method: event.MethodCARD, Outcome: event.OutcomeGRANTED, Reason: schema.ReasonGranted},
		access.Report{Sequence: 2, Port: 1, Type: "lock.unlocked"},
		access.Report{Sequence: 3, Port: 1, Type: "door.opened"})
	if acked != 3 {
		t.Fatalf("acked %d", acked)
	}
	if lock, position := b.stored(); lock != door.LockStateUNLOCKED || position != door.PositionOPEN {
		t.Errorf("door is %s and %s", lock, position)
	}
	if got := b.events(before); !slices.Equal(got, []string{"access.granted", "lock.unlocked", "door.opened"}) {
		t.Errorf("events %v", got)
	}
	first := b.db.Event.Query().Where(event.SeqEQ(before + 1)).OnlyX(b.system)
	if first.UserID == nil || *first.UserID != b.memberID || *first.DoorID != b.door.ID ||
		*first.SiteID != b.site.ID || first.ActorID != b.dev.ID.String() {
		t.Errorf("event %v", first)
	}
}

func TestReportedTwiceIsRecordedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	b.report(epoch, access.Report{Sequence: 1, Port: 1, Type: "door.opened"})
	before := b.head()
	if acked := b.report(epoch, access.Report{Sequence: 1, Port: 1, Type: "door.closed"}); acked != 1 {
		t.Errorf("acked %d", acked)
	}
	if b.head() != before {
		t.Error("it was recorded again")
	}
	if _, position := b.stored(); position != door.PositionOPEN {
		t.Errorf("position %s", position)
	}
}

func TestHoleIsJournalled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	before := b.head()
	b.report(epoch, access.Report{Sequence: 4, Port: 1, Type: "door.opened"})
	if got := b.events(before); !slices.Equal(got, []string{"device.events_lost", "door.opened"}) {
		t.Fatalf("events %v", got)
	}
	lost := b.db.Event.Query().Where(event.SeqEQ(before + 1)).OnlyX(b.system)
	if got := string(lost.Data); got != `{"to": 3, "from": 1}` {
		t.Errorf("data %s", got)
	}
}

func TestLateReportDoesNotOverwriteNewerState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	b.report(epoch, access.Report{Sequence: 1, Port: 1, Type: "door.closed"})
	b.report(epoch, access.Report{Sequence: 2, Port: 1, Type: "door.opened",
		Delivery: event.DeliveryBUFFERED, OccurredAt: b.clock.Now().Add(-time.Minute)})
	if _, position := b.stored(); position != door.PositionCLOSED {
		t.Errorf("position %s", position)
	}
	b.clock.Advance(time.Minute)
	b.report(epoch, access.Report{Sequence: 3, Port: 1, Type: "door.opened",
		Delivery: event.DeliveryBUFFERED})
	if _, position := b.stored(); position != door.PositionOPEN {
		t.Errorf("a later one: position %s", position)
	}
}

func TestClockAheadDoesNotFreezeTheState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	b.report(epoch, access.Report{Sequence: 1, Port: 1, Type: "door.opened",
		OccurredAt: b.clock.Now().Add(time.Hour)})
	b.clock.Advance(time.Second)
	b.report(epoch, access.Report{Sequence: 2, Port: 1, Type: "door.closed",
		Delivery: event.DeliveryBUFFERED})
	if _, position := b.stored(); position != door.PositionCLOSED {
		t.Errorf("position %s", position)
	}
}

func TestSenselessReportsAreRefusedWhole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	before := b.head()
	good := access.Report{Sequence: 1, Port: 1, Type: "door.opened", OccurredAt: b.clock.Now()}
	for name, spoil := range map[string]func(*access.Report){
		"sequence 0":     func(r *access.Report) { r.Sequence = 0 },
		"unknown type":   func(r *access.Report) { r.Type = "door.exploded" },
		"not reportable": func(r *access.Report) { r.Type = "key.revoked" },
		"no type":        func(r *access.Report) { r.Type = "" },
		"no instant":     func(r *access.Report) { r.OccurredAt = time.Time{} },
		"lock state":     func(r *access.Report) { r.LockState = "AJAR" },
		"position":       func(r *access.Report) { r.Position = "AJAR" },
		"result's stage": func(r *access.Report) { r.Result = &access.Result{Stage: command.StageCREATED} },
		"reason of result": func(r *access.Report) {
			r.Result = &access.Result{Stage: command.StageFAILED, Reason: "X"}
		},
	} {
		bad := good
		bad.Sequence = 2
		spoil(&bad)
		_, err := b.access.RecordReports(b.device, epoch, []access.Report{good, bad})
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.head() != before {
		t.Error("something was recorded")
	}
}

func TestUnknownPortUserAndCommandAreKeptOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	b.report(epoch,
		access.Report{Sequence: 1, Port: 9, Type: "door.opened", User: typeid.New[typeid.User]()},
		access.Report{Sequence: 2, Port: 1, LockState: door.LockStateUNLOCKED, Result: &access.Result{
			Command: typeid.New[typeid.Command](), Stage: command.StageCONFIRMED}})
	rows := b.db.Event.Query().Where(event.ActorID(b.dev.ID.String()),
		event.TypeIn("door.opened", "lock.unlocked")).AllX(b.system)
	if len(rows) != 2 || rows[0].DoorID != nil || rows[0].UserID != nil || rows[1].CommandID != nil {
		t.Fatalf("events %v", rows)
	}
}

func TestNewerLinkFencesOffTheOlder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, fresh := b.link().Epoch, b.link().Epoch
	if fresh <= old {
		t.Fatalf("epochs %d, %d", old, fresh)
	}
	_, err := b.access.RecordReports(b.device, old, []access.Report{
		{Sequence: 1, Port: 1, Type: "door.opened", OccurredAt: b.clock.Now()}})
	if !errors.Is(err, access.ErrStaleEpoch) {
		t.Fatalf("got %v", err)
	}
	must(t, b.access.CloseLink(b.device, old))
	if d := b.db.Device.GetX(b.system, b.dev.ID); d.Connectivity != schema.ConnectivityOnline {
		t.Error("the end of the old link took the device offline")
	}
	must(t, b.access.CloseLink(b.device, fresh))
	if d := b.db.Door.GetX(b.system, b.door.ID); d.Connectivity != schema.ConnectivityOffline {
		t.Error("the door is not offline")
	}
}

func TestLogEpochs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	b.report(epoch, access.Report{Sequence: 7, Port: 1, Type: "door.opened"})
	again := b.link()
	if again.Sequence != 7 {
		t.Fatalf("the log resumes at %d", again.Sequence)
	}
	state, err := b.access.OpenLink(b.device, access.OpenLinkInput{LogEpoch: 2, Firmware: "1.1"})
	must(t, err)
	if state.Sequence != 0 {
		t.Fatalf("a new log resumes at %d", state.Sequence)
	}
	_, err = b.access.OpenLink(b.device, access.OpenLinkInput{LogEpoch: 1, Firmware: "1.1"})
	if !errors.Is(err, access.ErrStaleLog) {
		t.Fatalf("an older log: %v", err)
	}
}

func TestChallengesAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := time.Now()
	for _, c := range []struct {
		ahead time.Duration
		want  error
	}{
		{0, nil}, {0, nil}, {-time.Microsecond, access.ErrStaleHello}, {5 * time.Second, nil},
		{-54 * time.Second, access.ErrStaleHello}, {-55 * time.Second, nil}, // a clock that was wrong
	} {
		_, err := b.access.OpenLink(b.device, access.OpenLinkInput{
			LogEpoch: 1, Firmware: "1", Challenged: now.Add(c.ahead),
		})
		if !errors.Is(err, c.want) {
			t.Errorf("challenged %s after the first: %v", c.ahead, err)
		}
	}
}

func TestMarkedOfflineComesBackWithItsNextReport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	must(t, b.access.MarkOffline(b.system, []typeid.Device{b.dev.ID}))
	if d := b.db.Door.GetX(b.system, b.door.ID); d.Connectivity != schema.ConnectivityOffline {
		t.Fatal("not offline")
	}
	before := b.head()
	b.report(epoch, access.Report{Sequence: 1, Port: 1, Type: "door.opened"})
	d := b.db.Door.GetX(b.system, b.door.ID)
	if d.Connectivity != schema.ConnectivityOnline || d.Position != door.PositionOPEN {
		t.Errorf("door %v", d)
	}
	if got := b.events(before); !slices.Equal(got, []string{"device.connected", "door.opened"}) {
		t.Errorf("events %v", got)
	}
}
