package access_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

func TestUnlockIsCommittedThenDispatched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	c := b.unlock(b.admin)
	if c.Stage != command.StageCREATED || !c.ExpiresAt.Equal(c.RequestedAt.Add(access.CommandDeadline)) {
		t.Fatalf("stage %s, expires %s after", c.Stage, c.ExpiresAt.Sub(c.RequestedAt))
	}
	if got := b.events(before); !slices.Equal(got, []string{"access.granted", "command.created"}) {
		t.Fatalf("events %v", got)
	}
	want := access.Dispatch{
		Organization: b.org, Device: b.dev.ID, Command: c.ID, Door: b.door.ID, Port: 1,
		Verb: command.VerbUNLOCK, Seconds: b.door.RelockSeconds,
		IssuedAt: c.RequestedAt, NotAfter: c.ExpiresAt,
	}
	if len(b.hardware.dispatched) != 1 || b.hardware.dispatched[0] != want {
		t.Fatalf("dispatched %+v", b.hardware.dispatched)
	}
}

func TestUnlockRefusedByTheRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(*bench)
		reason  schema.Reason
	}{
		"no key":  {func(*bench) {}, schema.ReasonNoGrant},
		"pending": {func(b *bench) { b.grant(time.Hour, 2*time.Hour) }, schema.ReasonNotYetValid},
		"expired": {func(b *bench) { b.grant(-2*time.Hour, -time.Hour) }, schema.ReasonExpired},
		"revoked": {func(b *bench) {
			key := b.grant(-time.Hour, time.Hour)
			_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: key})
			must(b.t, err)
		}, schema.ReasonKeyRevoked},
		"lockdown": {func(b *bench) {
			b.grant(-time.Hour, time.Hour)
			mode := door.ModeLOCKDOWN
			_, err := b.access.UpdateDoor(b.admin, access.UpdateDoorInput{ID: b.door.ID, Mode: &mode})
			must(b.t, err)
		}, schema.ReasonLockdown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			c.prepare(b)
			before := b.head()
			got := b.unlock(b.member)
			if got.Stage != command.StageREJECTED || got.Reason == nil || *got.Reason != c.reason ||
				got.EndedAt == nil {
				t.Errorf("got %v", got)
			}
			if got := b.events(before); !slices.Equal(got, []string{"access.denied", "command.rejected"}) {
				t.Errorf("events %v", got)
			}
			if len(b.hardware.dispatched) != 0 {
				t.Error("it was dispatched")
			}
		})
	}
}

func (b *bench) grant(from, until time.Duration) (id typeid.Key) {
	b.t.Helper()
	start, end := b.clock.Now().Add(from), b.clock.Now().Add(until)
	p, err := b.access.GrantKey(b.admin, access.GrantKeyInput{
		UserID: b.memberID, DoorIDs: []typeid.Door{b.door.ID, b.door.ID},
		ValidFrom: &start, ValidUntil: &end,
	})
	must(b.t, err)
	return p.Key.ID
}

func TestUnlockByKeyForTheDoor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grant(-time.Hour, time.Hour)
	if c := b.unlock(b.member); c.Stage != command.StageCREATED {
		t.Fatalf("stage %s, reason %v", c.Stage, c.Reason)
	}
}

func TestUnlockOfAnOfflineDeviceFailsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hardware.offline = true
	c := b.unlock(b.admin)
	if c.Stage != command.StageFAILED || *c.Reason != schema.ReasonDeviceOffline || c.EndedAt == nil {
		t.Fatalf("got %v", c)
	}
}

func TestUnlockOfADoorWithoutDevice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.door = b.newDoor("Shed")
	if c := b.unlock(b.admin); c.Stage != command.StageFAILED || *c.Reason != schema.ReasonUnsupported {
		t.Fatalf("got %v", c)
	}
}

func TestStrangerFindsNoDoor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	org, admin, err := b.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Mill desk", AdminEmail: "desk@example.com",
	})
	must(t, err)
	stranger := actor.NewContext(t.Context(), actor.User(org.ID, admin.ID, actor.RoleAdmin))
	before := b.head()
	_, err = b.access.UnlockDoor(stranger, access.UnlockDoorInput{DoorID: b.door.ID})
	wantCode(t, err, access.CodeNotFound)
	if b.head() != before || len(b.hardware.dispatched) != 0 {
		t.Error("it had an effect")
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := "7c0e"
	in := access.UnlockDoorInput{DoorID: b.door.ID, IdempotencyKey: &key}

	var mu sync.Mutex
	seen := map[typeid.Command]bool{}
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			p, err := b.access.UnlockDoor(b.admin, in)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[p.Command.ID] = true
		})
	}
	group.Wait()
	if len(seen) != 1 || len(b.hardware.dispatched) != 1 {
		t.Fatalf("%d commands, %d dispatches", len(seen), len(b.hardware.dispatched))
	}

	_, err := b.access.LockDoor(b.admin, access.LockDoorInput{DoorID: b.door.ID, IdempotencyKey: &key})
	wantCode(t, err, access.CodeConflict)
	other, err := b.access.UnlockDoor(b.member, in)
	must(t, err)
	if seen[other.Command.ID] {
		t.Error("another requester got the command")
	}

	b.clock.Advance(access.IdempotencyWindow)
	later, err := b.access.UnlockDoor(b.admin, in)
	must(t, err)
	if seen[later.Command.ID] {
		t.Error("the key outlived its window")
	}
}

func TestClientContextComesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.access.UnlockDoor(b.admin, access.UnlockDoorInput{
		DoorID: b.door.ID, ClientContext: json.RawMessage(`{"ticket":"A7"}`),
	})
	must(t, err)
	last := b.db.Event.Query().Order(event.BySeq()).AllX(b.system)
	var told struct {
		Verb          string
		ClientContext struct{ Ticket string }
	}
	must(t, json.Unmarshal(last[len(last)-1].Data, &told))
	if told.Verb != "UNLOCK" || told.ClientContext.Ticket != "A7" {
		t.Fatalf("data %s", last[len(last)-1].Data)
	}
	without := b.unlock(b.admin)
	must(t, b.access.RecordDispatched(b.system, without.ID, b.clock.Now()))
	last = b.db.Event.Query().Order(event.BySeq()).AllX(b.system)
	if got := string(last[len(last)-1].Data); got != `{"verb": "UNLOCK"}` {
		t.Errorf("without one: data %s", got)
	}
	_, err = b.access.UnlockDoor(b.admin, access.UnlockDoorInput{
		DoorID: b.door.ID, ClientContext: json.RawMessage(`[1]`),
	})
	wantCode(t, err, access.CodeBadUserInput)
}

// TestRevokedIsRevoked races unlocks against a revocation: a command that was created after the
// revocation's commit is refused.
func TestRevokedIsRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var group sync.WaitGroup
	var revoked time.Time
	for range 8 {
		group.Go(func() {
			for range 5 {
				b.unlock(b.admin)
			}
		})
	}
	group.Go(func() {
		_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: b.key.ID})
		must(t, err)
	})
	group.Wait()
	var cut int64
	for _, e := range b.db.Event.Query().Order(event.BySeq()).AllX(b.system) {
		switch {
		case e.Type == "key.revoked":
			cut, revoked = e.Seq, e.ReceivedAt
		case e.Type == "access.granted" && cut > 0 && e.Seq > cut:
			t.Errorf("granted at %d, revoked at %d (%s)", e.Seq, cut, revoked)
		}
	}
	if cut == 0 {
		t.Fatal("nothing was revoked")
	}
}

func TestStagesOnlyMoveForward(t *testing.T) {
	t.Parallel()
	b := setup(t)
	epoch := b.link().Epoch
	c := b.unlock(b.admin)
	b.report(epoch, access.Report{Sequence: 1, Port: 1, LockState: door.LockStateUNLOCKED,
		Result: &access.Result{Command: c.ID, Stage: command.StageCONFIRMED,
			Confirmation: command.ConfirmationLOCK_STATE}})
	must(t, b.access.RecordDispatched(b.system, c.ID, b.clock.Now()))
	b.report(epoch, access.Report{Sequence: 2, Port: 1,
		Result: &access.Result{Command: c.ID, Stage: command.StageACKNOWLEDGED}})
	b.report(epoch, access.Report{Sequence: 3, Port: 1,
		Result: &access.Result{Command: c.ID, Stage: command.StageFAILED, Reason: schema.ReasonJammed}})
	c = b.db.Command.GetX(b.system, c.ID)
	if c.Stage != command.StageCONFIRMED || c.DispatchedAt == nil || c.Reason != nil ||
		c.Confirmation != command.ConfirmationLOCK_STATE {
		t.Fatalf("got %v", c)
	}
}

// TestCommandsExpire: a command of which nobody knows whether it reached its device, or what it did there,
// is not said to be undone.
func TestCommandsExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unknown, written, late := b.unlock(b.admin), b.unlock(b.admin), b.unlock(b.admin)
	must(t, b.access.RecordDispatched(b.system, written.ID, b.clock.Now()))
	must(t, b.access.RecordUndelivered(b.system, late.ID, schema.ReasonExpiredBeforeDelivery))
	everywhere := context.Background()

	b.clock.Advance(access.CommandDeadline + access.ConfirmationWindow - time.Second)
	if n, err := b.access.ExpireCommands(everywhere); n != 0 || err != nil {
		t.Fatalf("too early: %d, %v", n, err)
	}
	b.clock.Advance(time.Second)
	if n, err := b.access.ExpireCommands(everywhere); n != 2 || err != nil {
		t.Fatalf("unconfirmed %d, %v", n, err)
	}
	for _, id := range []typeid.Command{unknown.ID, written.ID} {
		c := b.db.Command.GetX(b.system, id)
		if c.Stage != command.StageUNCONFIRMED || *c.Reason != schema.ReasonNotConfirmed {
			t.Errorf("ended as %v", c)
		}
	}
	c := b.db.Command.GetX(b.system, late.ID)
	if c.Stage != command.StageEXPIRED || *c.Reason != schema.ReasonExpiredBeforeDelivery {
		t.Errorf("never written: %v", c)
	}
}
