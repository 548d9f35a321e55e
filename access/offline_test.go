package access_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// populate fills the organization: 1,000 people in ten groups, a key for most and one for each group, by
// the office's hours or not, for four doors of the device.
func (b *bench) populate() {
	b.t.Helper()
	window := schema.Window{
		Start: "2026-01-05T09:00:00", End: "2026-01-05T17:00:00", Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
	}
	office := b.db.Schedule.Create().SetOrgID(b.org).SetName("Office").
		SetWindows([]schema.Window{window}).SaveX(b.system)
	doors := []typeid.Door{b.door.ID}
	for port := 2; port <= 4; port++ {
		d := b.newDoor(fmt.Sprintf("Gate %d", port))
		_, err := b.access.BindDoor(b.admin,
			access.BindDoorInput{DoorID: d.ID, DeviceID: b.dev.ID, Port: port})
		must(b.t, err)
		doors = append(doors, d.ID)
	}
	b.db.Door.UpdateOneID(doors[3]).SetUnlockScheduleID(office.ID).ExecX(b.system)
	var groups []*ent.UserGroup
	for i := range 10 {
		g := b.db.UserGroup.Create().SetOrgID(b.org).SetName(fmt.Sprintf("Crew %d", i)).SaveX(b.system)
		groups = append(groups, g)
		b.keyFor(func(k *ent.KeyCreate) { k.SetUserGroupID(g.ID).SetScheduleID(office.ID) },
			func(t *ent.KeyTargetCreate) { t.SetDoorID(doors[i%4]) })
	}
	now := b.clock.Now()
	var people []*ent.UserCreate
	for i := range 1000 {
		status := user.StatusACTIVE
		if i%50 == 0 {
			status = user.StatusSUSPENDED
		}
		people = append(people, b.db.User.Create().SetOrgID(b.org).SetName("Guest").
			SetEmail(fmt.Sprintf("guest%d@example.com", i)).SetStatus(status))
	}
	var keys []*ent.KeyCreate
	var members []*ent.UserGroupMemberCreate
	for i, p := range b.db.User.CreateBulk(people...).SaveX(b.system) {
		members = append(members, b.db.UserGroupMember.Create().SetOrgID(b.org).SetUserID(p.ID).
			SetUserGroupID(groups[i%10].ID).SetValidUntil(now.Add(time.Duration(i)*time.Minute)))
		k := b.db.Key.Create().SetOrgID(b.org).SetUserID(p.ID).
			SetValidFrom(now.Add(time.Duration(i-500) * time.Minute))
		if i%3 == 0 {
			k.SetUses(1).SetUsesLeft(1)
		}
		if i%7 != 0 { // the others come by their group alone
			keys = append(keys, k)
		}
	}
	b.db.UserGroupMember.CreateBulk(members...).ExecX(b.system)
	var targets []*ent.KeyTargetCreate
	for i, k := range b.db.Key.CreateBulk(keys...).SaveX(b.system) {
		targets = append(targets, b.db.KeyTarget.Create().SetOrgID(b.org).SetKeyID(k.ID).
			SetUserID(*k.UserID).SetDoorID(doors[i%4]))
	}
	b.db.KeyTarget.CreateBulk(targets...).ExecX(b.system)
}

// TestOfflineListDecidesAsTheServerDoes compares the list with decisions about everybody, whether they
// are listed or not, at instants of the next day.
func TestOfflineListDecidesAsTheServerDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.now = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // a Friday
	b.populate()
	began := time.Now()
	list, err := b.access.OfflineList(b.admin, b.dev.ID, b.clock.Now())
	must(t, err)
	t.Logf("%d doors in %v", len(list.Sheets), time.Since(began))
	if list.Sequence != b.head() || !list.NotAfter.Equal(b.clock.Now().Add(24*time.Hour)) ||
		len(list.Sheets) != 4 {
		t.Fatalf("sequence %d, until %v, %d doors", list.Sequence, list.NotAfter, len(list.Sheets))
	}
	facts, err := access.Everything(b.system, b.access, b.clock.Now())
	must(t, err)
	policy := verdict.Compile(facts)
	granted := 0
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		who := facts.People[random.IntN(len(facts.People))].ID
		sheet := list.Sheets[1+random.IntN(4)]
		at := b.clock.Now().Add(time.Duration(random.Int64N(int64(24*time.Hour))) / 1000 * 1000)
		got := sheet.Decide(who, at)
		want := policy.Decide(verdict.Question{
			Person: who, Door: sheet.Door, At: at, Manner: verdict.AtDoor, Offline: true,
		})
		if got.Reason == schema.ReasonGrantedUnlockedMode && want.Reason == schema.ReasonUserSuspended {
			continue
		}
		if got.Granted != want.Granted || got.Granted && got.Reason != want.Reason {
			t.Fatalf("%v at %v: by the list %+v, by the server %+v", who, at, got, want)
		}
		if got.Granted {
			granted++
		}
	}
	if granted < 1000 {
		t.Errorf("%d granted", granted)
	}
	for port, sheet := range list.Sheets {
		if turns := len(sheet.Modes); (port == 4) != (turns == 3) {
			t.Errorf("port %d has %d modes", port, turns)
		}
	}
}

// TestEffectiveAccessKnowsTheOfflineList: what is answered about a door without the server is what
// its device does with the list, for whoever has a card.
func TestEffectiveAccessKnowsTheOfflineList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.now = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC) // a Friday
	b.populate()
	list, err := b.access.OfflineList(b.admin, b.dev.ID, b.clock.Now())
	must(t, err)
	facts, err := access.Everything(b.system, b.access, b.clock.Now())
	must(t, err)
	random := rand.New(rand.NewPCG(3, 4))
	outcomes := map[bool]int{}
	for i := range 60 {
		who := facts.People[random.IntN(len(facts.People))]
		if who.Suspended { // the server knows that at once, and so does the list but for open doors
			continue
		}
		_, err := b.access.AddCard(b.admin, access.AddCardInput{UserID: who.ID,
			Format: access.CardWiegand26, FacilityCode: new(18), Number: strconv.Itoa(1000 + i)})
		must(t, err)
		for range 5 {
			sheet := list.Sheets[1+random.IntN(4)]
			at := b.clock.Now().Add(time.Duration(random.Int64N(int64(24*time.Hour))) / 1000 * 1000)
			answer, err := b.access.EffectiveAccess(b.admin, access.AccessQuestion{
				User: who.ID, Door: sheet.Door, At: &at, Manner: access.MannerRemote})
			must(t, err)
			got, want := answer.Offline, sheet.Decide(who.ID, at)
			if got.Granted != want.Granted || got.Granted && got.Reason != want.Reason {
				t.Fatalf("%v at %v: by the list %+v, it is answered %+v", who.ID, at, want, got)
			}
			outcomes[got.Granted]++
		}
	}
	if outcomes[true] < 20 || outcomes[false] < 20 {
		t.Errorf("that shows nothing: %v", outcomes)
	}
}

func TestOfflineListIsForAdministrators(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.access.OfflineList(b.member, b.dev.ID, b.clock.Now())
	wantCode(t, err, access.CodeForbidden)
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	org, admin, err := b.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Mill desk", AdminEmail: "desk@example.com",
	})
	must(t, err)
	stranger := actor.NewContext(t.Context(), actor.User(org.ID, admin.ID, actor.RoleAdmin))
	_, err = b.access.OfflineList(stranger, b.dev.ID, b.clock.Now())
	wantCode(t, err, access.CodeNotFound)
}

// TestOfflineListInLockdown lets in nobody.
func TestOfflineListInLockdown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mode := door.ModeLOCKDOWN
	_, err := b.access.UpdateDoor(b.admin, access.UpdateDoorInput{ID: b.door.ID, Mode: &mode})
	must(t, err)
	list, err := b.access.OfflineList(b.admin, b.dev.ID, b.clock.Now())
	must(t, err)
	sheet := list.Sheets[1]
	if v := sheet.Decide(b.adminID, b.clock.Now()); v.Granted || v.Reason != schema.ReasonLockdown ||
		len(sheet.People) != 0 {
		t.Errorf("got %+v of %+v", v, sheet)
	}
}
