package access_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// keyFor makes a key as it stands in the database.
func (b *bench) keyFor(shape func(*ent.KeyCreate), opens ...func(*ent.KeyTargetCreate)) *ent.Key {
	b.t.Helper()
	create := b.db.Key.Create().SetOrgID(b.org)
	shape(create)
	k := create.SaveX(b.system)
	for _, open := range opens {
		target := b.db.KeyTarget.Create().SetOrgID(b.org).SetKeyID(k.ID).
			SetNillableUserID(k.UserID).SetNillableUserGroupID(k.UserGroupID)
		open(target)
		target.ExecX(b.system)
	}
	return k
}

func (b *bench) forMember(k *ent.KeyCreate) { k.SetUserID(b.memberID) }

func (b *bench) opensDoor(t *ent.KeyTargetCreate) { t.SetDoorID(b.door.ID) }

func (b *bench) wantUnlock(stage command.Stage, reason schema.Reason) {
	b.t.Helper()
	c := b.unlock(b.member)
	if c.Stage != stage || orNone(c.Reason) != reason {
		b.t.Errorf("got %s %s, want %s %s", c.Stage, orNone(c.Reason), stage, reason)
	}
}

// TestKeyThatChangesWhileItIsAwaited: what a key opened before a change and when it is valid after
// it are not taken for one key.
func TestKeyThatChangesWhileItIsAwaited(t *testing.T) {
	t.Parallel()
	databaseURL := testenv.Postgres(t)
	b := setupOn(t, testenv.OpenClient(t, databaseURL))
	k := b.keyFor(func(k *ent.KeyCreate) {
		b.forMember(k)
		k.SetValidUntil(b.clock.Now().Add(-time.Hour))
	}, b.opensDoor)
	tx, err := b.db.Tx(b.system)
	must(t, err)
	must(t, tx.Key.UpdateOneID(k.ID).ClearValidUntil().Exec(b.system))
	_, err = tx.KeyTarget.Delete().Where(keytarget.KeyID(k.ID)).Exec(b.system)
	must(t, err)
	unlocked := make(chan *ent.Command)
	go func() {
		p, err := b.access.UnlockDoor(b.member, access.UnlockDoorInput{DoorID: b.door.ID})
		if err != nil {
			t.Error(err)
			p = &access.UnlockDoorPayload{Command: &ent.Command{}}
		}
		unlocked <- p.Command
	}()
	awaitLock(t, testenv.OpenSQL(t, databaseURL))
	must(t, tx.Commit())
	if c := <-unlocked; c.Stage != command.StageREJECTED || orNone(c.Reason) != schema.ReasonNoGrant {
		t.Errorf("got %s %s", c.Stage, orNone(c.Reason))
	}
}

// awaitLock returns when somebody waits for a lock in the database.
func awaitLock(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for waiting := 0; waiting == 0; {
		must(t, db.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
	}
}

// TestFactsOfAnotherOrganization: what stands under the same identifiers in another organization
// does not count, whichever table it is in.
func TestFactsOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	org, admin, err := b.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Mill desk", AdminEmail: "desk@example.com",
	})
	must(t, err)
	there := actor.NewContext(t.Context(), actor.System("test").Within(org.ID))
	site := b.db.Site.Create().SetOrgID(org.ID).SetName("Mill").SetTimeZone("UTC").SaveX(there)
	d := b.db.Door.Create().SetOrgID(org.ID).SetSiteID(site.ID).SetName("Gate").SaveX(there)
	// Its groups have the identifiers of our people and doors.
	g := b.db.UserGroup.Create().SetOrgID(org.ID).SetID(sameAs[typeid.UserGroup](b.memberID)).
		SetName("Crew").SaveX(there)
	whole := b.db.DoorGroup.Create().SetOrgID(org.ID).SetID(sameAs[typeid.DoorGroup](b.door.ID)).
		SetName("Gates").SaveX(there)
	around := b.db.DoorGroup.Create().SetOrgID(org.ID).SetID(sameAs[typeid.DoorGroup](b.site.ID)).
		SetName("Quay").SaveX(there)
	b.db.UserGroupMember.Create().SetOrgID(org.ID).SetUserGroupID(g.ID).SetUserID(admin.ID).
		ExecX(there)
	for _, of := range []typeid.DoorGroup{whole.ID, around.ID} {
		b.db.DoorGroupDoor.Create().SetOrgID(org.ID).SetDoorGroupID(of).SetDoorID(d.ID).ExecX(there)
		k := b.db.Key.Create().SetOrgID(org.ID).SetUserGroupID(g.ID).SaveX(there)
		b.db.KeyTarget.Create().SetOrgID(org.ID).SetKeyID(k.ID).SetUserGroupID(g.ID).
			SetDoorGroupID(of).ExecX(there)
	}
	b.wantUnlock(command.StageREJECTED, schema.ReasonNoGrant)
	desk := actor.NewContext(t.Context(), actor.User(org.ID, admin.ID, actor.RoleAdmin))
	p, err := b.access.UnlockDoor(desk, access.UnlockDoorInput{DoorID: d.ID})
	must(t, err)
	if p.Command.Stage != command.StageFAILED || *p.Command.Reason != schema.ReasonUnsupported {
		t.Errorf("at home: got %s %s", p.Command.Stage, orNone(p.Command.Reason))
	}
}

// sameAs is an identifier of another noun with the same bits.
func sameAs[T any, P interface {
	*T
	Scan(src any) error
}](id driver.Valuer) T {
	var same T
	bits, err := id.Value()
	if err == nil {
		err = P(&same).Scan(bits)
	}
	if err != nil {
		panic(err)
	}
	return same
}

// TestManyGroups: one of very many leads to the door.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var people []*ent.UserGroupCreate
	var doors []*ent.DoorGroupCreate
	for i := range 200 {
		name := fmt.Sprintf("Group %d", i)
		people = append(people, b.db.UserGroup.Create().SetOrgID(b.org).SetName(name))
		doors = append(doors, b.db.DoorGroup.Create().SetOrgID(b.org).SetName(name))
	}
	ours := b.db.UserGroup.CreateBulk(people...).SaveX(b.system)
	theirs := b.db.DoorGroup.CreateBulk(doors[:100]...).SaveX(b.system)
	for _, g := range ours {
		b.db.UserGroupMember.Create().SetOrgID(b.org).SetUserGroupID(g.ID).SetUserID(b.memberID).
			ExecX(b.system)
	}
	for _, g := range theirs {
		b.db.DoorGroupDoor.Create().SetOrgID(b.org).SetDoorGroupID(g.ID).SetDoorID(b.door.ID).
			ExecX(b.system)
	}
	b.wantUnlock(command.StageREJECTED, schema.ReasonNoGrant)
	b.keyFor(func(k *ent.KeyCreate) { k.SetUserGroupID(ours[173].ID) },
		func(t *ent.KeyTargetCreate) { t.SetDoorGroupID(theirs[88].ID) })
	b.wantUnlock(command.StageCREATED, "")
}

// TestMembershipThatRanOut says that it did, as long as nobody clears it away.
func TestMembershipThatRanOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	g := b.db.UserGroup.Create().SetOrgID(b.org).SetName("Crew").SaveX(b.system)
	b.keyFor(func(k *ent.KeyCreate) { k.SetUserGroupID(g.ID) }, b.opensDoor)
	b.db.UserGroupMember.Create().SetOrgID(b.org).SetUserGroupID(g.ID).SetUserID(b.memberID).
		SetValidUntil(b.clock.Now().Add(time.Minute).Truncate(time.Microsecond)).ExecX(b.system)
	b.wantUnlock(command.StageCREATED, "")
	b.clock.Advance(time.Minute)
	b.wantUnlock(command.StageREJECTED, schema.ReasonExpired)
}

// TestUsesAreReturnedOnce: however often the end of a command is told, and never more than the key
// has.
func TestUsesAreReturnedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.keyFor(func(k *ent.KeyCreate) {
		b.forMember(k)
		k.SetUses(3).SetUsesLeft(3)
	}, b.opensDoor)
	left := func() int { return *b.db.Key.GetX(b.system, k.ID).UsesLeft }
	first, second := b.unlock(b.member), b.unlock(b.member)
	if left() != 1 {
		t.Fatalf("%d left", left())
	}
	for range 3 {
		must(t, b.access.RecordUndelivered(b.system, first.ID, schema.ReasonDeviceBusy))
	}
	if left() != 2 {
		t.Errorf("%d left", left())
	}
	b.db.Key.UpdateOneID(k.ID).SetUses(2).SetUsesLeft(2).ExecX(b.system)
	must(t, b.access.RecordUndelivered(b.system, second.ID, schema.ReasonDeviceBusy))
	if left() != 2 {
		t.Errorf("%d left of 2", left())
	}
}

// TestShareWithoutItsParent: the parent's end is the share's, and so is its removal.
func TestShareWithoutItsParent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	share := b.keyFor(func(k *ent.KeyCreate) {
		b.forMember(k)
		k.SetParentID(b.key.ID).SetDepth(1).SetSharedByID(b.adminID)
	}, b.opensDoor)
	b.wantUnlock(command.StageCREATED, "")
	_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: b.key.ID})
	must(t, err)
	b.wantUnlock(command.StageREJECTED, schema.ReasonKeyRevoked)
	b.db.Key.DeleteOneID(b.key.ID).ExecX(b.system)
	b.wantUnlock(command.StageREJECTED, schema.ReasonNoGrant)
	if _, err := b.db.Key.Get(b.system, share.ID); !ent.IsNotFound(err) {
		t.Errorf("the share is there: %v", err)
	}
}
