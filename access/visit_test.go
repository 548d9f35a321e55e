package access_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// invite is a visit to the door, from now on for an hour.
func (b *bench) invite(by context.Context) (*ent.Visit, error) {
	b.t.Helper()
	p, err := b.inviteBy(by)
	if err != nil {
		return nil, err
	}
	return p.Visit, nil
}

func (b *bench) inviteBy(by context.Context) (*access.InviteVisitorPayload, error) {
	b.t.Helper()
	mail := "guest@example.com"
	return b.access.InviteVisitor(by, access.InviteVisitorInput{
		Name: "Guest of the quay", Recipient: &mail, SiteID: b.site.ID,
		DoorIDs: []typeid.Door{b.door.ID}, StartsAt: b.in(0), EndsAt: b.in(time.Hour),
	})
}

func (b *bench) visit(id typeid.Visit) *ent.Visit { return b.db.Visit.GetX(b.admin, id) }

// However a visit ends, its key ends with it.
func TestVisitsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(*bench, *ent.Visit, string)
		state  visit.State
		events []string
	}{
		"departed": {func(b *bench, v *ent.Visit, link string) {
			guest, _ := b.redeem(link)
			if got := b.unlock(guest); got.Stage != command.StageCREATED {
				b.t.Errorf("stage %s, reason %v", got.Stage, got.Reason)
			}
			if got := b.visit(v.ID); got.State != visit.StateARRIVED || got.ArrivedAt == nil {
				b.t.Errorf("after the first unlock: %s", got.State)
			}
			for range 2 {
				_, err := b.access.RecordVisitorDeparture(b.admin,
					access.RecordVisitorDepartureInput{VisitID: v.ID})
				must(b.t, err)
			}
		}, visit.StateDEPARTED, []string{
			"user.created", "key.redeemed", "api_token.created", "access.granted", "command.created",
			"visitor.arrived", "key.revoked", "command.cancelled", "visitor.departed"}},
		"cancelled": {func(b *bench, v *ent.Visit, _ string) {
			for range 2 {
				_, err := b.access.CancelVisit(b.admin, access.CancelVisitInput{VisitID: v.ID})
				must(b.t, err)
			}
		}, visit.StateCANCELLED, []string{"key.revoked", "visitor.cancelled"}},
		"over, not come": {func(b *bench, _ *ent.Visit, _ string) {
			b.clock.Advance(time.Hour)
			b.sweepVisits()
		}, visit.StateNO_SHOW, []string{"visitor.no_show"}},
		"over, still there": {func(b *bench, v *ent.Visit, _ string) {
			for range 2 {
				_, err := b.access.RecordVisitorArrival(b.admin,
					access.RecordVisitorArrivalInput{VisitID: v.ID})
				must(b.t, err)
			}
			b.clock.Advance(time.Hour)
			b.sweepVisits()
		}, visit.StateDEPARTED, []string{"visitor.arrived", "visitor.departed"}},
		"over, but the key would open longer": {func(b *bench, v *ent.Visit, _ string) {
			b.db.Key.UpdateOneID(v.KeyID).SetValidUntil(b.in(9 * time.Hour)).ExecX(b.admin)
			b.clock.Advance(time.Hour)
			b.sweepVisits()
		}, visit.StateNO_SHOW, []string{"key.revoked", "visitor.no_show"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p, err := b.inviteBy(b.admin)
			must(t, err)
			v, before := p.Visit, b.head()
			c.end(b, v, p.Link)
			if got := b.events(before); !slices.Equal(got, c.events) {
				t.Errorf("events %v", got)
			}
			if got := b.visit(v.ID); got.State != c.state || got.EndedAt == nil {
				t.Errorf("state %s, ended %v", got.State, got.EndedAt)
			}
			k := b.db.Key.GetX(b.admin, v.KeyID)
			if status := access.StatusOf(k, b.clock.Now()); status != access.KeyRevoked && status != access.KeyExpired {
				t.Errorf("the key is %s", status)
			}
			if k.UserID != nil {
				guest := actor.NewContext(t.Context(), actor.User(b.org, *k.UserID, actor.RoleGuest))
				if got := b.unlock(guest); got.Stage != command.StageREJECTED {
					t.Errorf("the key still opens: %s", got.Stage)
				}
			}
			_, err = b.access.RecordVisitorArrival(b.admin, access.RecordVisitorArrivalInput{VisitID: v.ID})
			wantCode(t, err, access.CodeConflict)
			_, err = b.access.UpdateVisit(b.admin, access.UpdateVisitInput{ID: v.ID})
			wantCode(t, err, access.CodeConflict)
		})
	}
}

// sweepVisits sweeps on several nodes at once: each visit ends once.
func (b *bench) sweepVisits() {
	b.t.Helper()
	second := access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(b.t)})
	var group sync.WaitGroup
	for _, s := range []*access.Service{b.access, second, b.access, second} {
		group.Go(func() {
			_, err := s.EndVisits(context.Background())
			must(b.t, err)
		})
	}
	group.Wait()
	left, err := b.access.EndVisits(context.Background())
	must(b.t, err)
	if left != 0 {
		b.t.Errorf("%d visits are left", left)
	}
}

func TestWhoMayHost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.invite(b.member)
	wantCode(t, err, access.CodeNotFound) // they do not see the door
	b.grant(-time.Hour, time.Hour)
	v, err := b.invite(b.member)
	must(t, err)
	if v.HostID != b.memberID {
		t.Errorf("host %s", v.HostID)
	}
	in := access.InviteVisitorInput{Name: "Guest", SiteID: b.site.ID, HostID: &b.adminID,
		DoorIDs: []typeid.Door{b.door.ID}, StartsAt: b.in(0), EndsAt: b.in(time.Hour)}
	_, err = b.access.InviteVisitor(b.member, in)
	wantCode(t, err, access.CodeForbidden)
	in.HostID, in.DoorGroupIDs = nil, []typeid.DoorGroup{b.doorGroup("Outside").ID}
	_, err = b.access.InviteVisitor(b.member, in)
	wantCode(t, err, access.CodeForbidden)
	_, err = b.access.InviteVisitor(b.admin, in)
	must(t, err)
	in.HostID, in.DoorGroupIDs = &b.memberID, nil
	other, err := b.access.InviteVisitor(b.admin, in)
	must(t, err)
	_, err = b.access.CancelVisit(b.member, access.CancelVisitInput{VisitID: other.Visit.ID})
	must(t, err)
	own, err := b.invite(b.admin)
	must(t, err)
	_, err = b.access.CancelVisit(b.member, access.CancelVisitInput{VisitID: own.ID})
	wantCode(t, err, access.CodeNotFound)

	// A key that is suspended leaves the door in nobody's sight, one that is used up does.
	b.db.Key.Update().SetUses(1).SetUsesLeft(0).ExecX(b.admin)
	_, err = b.invite(b.member)
	wantCode(t, err, access.CodeForbidden)
	shed := b.newDoor("Shed")
	_, err = b.access.UpdateVisit(b.member,
		access.UpdateVisitInput{ID: v.ID, DoorIDs: []typeid.Door{shed.ID}})
	wantCode(t, err, access.CodeNotFound)
}

func TestUpdateVisit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := b.inviteBy(b.admin)
	must(t, err)
	v := p.Visit
	guest, _ := b.redeem(p.Link)
	start, end := b.in(time.Hour), b.in(2*time.Hour)
	before := b.head()
	_, err = b.access.UpdateVisit(b.admin, access.UpdateVisitInput{ID: v.ID, StartsAt: &start, EndsAt: &end})
	must(t, err)
	if got := b.events(before); !slices.Equal(got, []string{"key.updated", "visitor.updated"}) {
		t.Errorf("events %v", got)
	}
	if got := b.unlock(guest); got.Stage != command.StageREJECTED {
		t.Errorf("before the new window: %s", got.Stage)
	}
	b.clock.Advance(time.Hour)
	if got := b.unlock(guest); got.Stage != command.StageCREATED {
		t.Errorf("in the new window: %s, %v", got.Stage, got.Reason)
	}
	shed := b.newDoor("Shed")
	_, err = b.access.UpdateVisit(b.admin, access.UpdateVisitInput{ID: v.ID, DoorIDs: []typeid.Door{shed.ID}})
	must(t, err)
	if got := b.unlock(guest); got.Stage != command.StageREJECTED {
		t.Errorf("at a door that was taken out: %s", got.Stage)
	}
	past := b.in(-time.Minute)
	_, err = b.access.UpdateVisit(b.admin, access.UpdateVisitInput{ID: v.ID, EndsAt: &past})
	wantCode(t, err, access.CodeBadUserInput)
}

// Names and addresses of guests stay out of the journal.
func TestVisitsTellNoNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	v, err := b.invite(b.admin)
	must(t, err)
	_, err = b.access.CancelVisit(b.admin, access.CancelVisitInput{VisitID: v.ID})
	must(t, err)
	for _, e := range b.db.Event.Query().Where(event.SeqGT(before)).AllX(b.system) {
		if bytes.Contains(e.Data, []byte("quay")) || bytes.Contains(e.Data, []byte("guest@")) {
			t.Errorf("%s: %s", e.Type, e.Data)
		}
	}
}
