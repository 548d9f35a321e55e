package access_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// histories is how many times as long as usual the histories are: make histories.
var histories = flag.Int("histories", 1, "length of the histories of Test…Histories")

// fact is one of what a person at a door depends on.
type fact uint8

const (
	keyHeld     fact = 1 << iota // they, or their group, have a key that is not revoked
	parentHeld                   // so has whoever it was shared from, who is not suspended
	inGroup                      // they are in the group that has the key
	notInactive                  // they are not suspended
	notClosed                    // no lockdown of the site is in force
	notShut                      // nor one of the door alone
	allow       = keyHeld | parentHeld | inGroup | notInactive | notClosed | notShut
)

// action turns a fact on or off; the zero value is an unlock.
type action struct {
	fact fact
	on   bool
}

// rights says what a history means: an unlock is granted exactly while all facts hold, and each
// action takes effect at one instant between its call and its return.
var rights = porcupine.Model{
	Init: func() any { return allow },
	Step: func(state, input, output any) (bool, any) {
		now, a := state.(fact), input.(action)
		switch {
		case a.fact == 0:
			return output.(bool) == (now == allow), now
		case a.on:
			return true, now | a.fact
		}
		return true, now &^ a.fact
	},
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v: %v", input, output)
	},
}

// theatre is two nodes over one database, and a history of what was done there.
type theatre struct {
	*bench
	nodes [2]*access.Service
	began time.Time

	mu      sync.Mutex
	history []porcupine.Operation
}

func openTheatre(t *testing.T) *theatre {
	t.Helper()
	databaseURL := testenv.Postgres(t)
	b := setupOn(t, testenv.OpenClient(t, databaseURL))
	other := access.New(access.Config{
		DB: testenv.OpenClient(t, databaseURL), Devices: b.hardware, Log: testenv.Logger(t),
	})
	return &theatre{bench: b, nodes: [2]*access.Service{b.access, other}, began: time.Now()}
}

// record runs an action and keeps when it was called and when it returned.
func (th *theatre) record(client int, a any, do func() (any, error)) {
	call := time.Since(th.began)
	output, err := do()
	returned := time.Since(th.began)
	if err != nil {
		th.t.Errorf("%+v: %v", a, err)
		return
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	th.history = append(th.history, porcupine.Operation{
		ClientId: client, Input: a, Call: int64(call), Output: output, Return: int64(returned),
	})
}

// scene is a person at a door, and what they depend on.
type scene struct {
	door  typeid.Door
	as    context.Context //nolint:containedctx // who they act as
	facts map[fact]func(s *access.Service, on bool) error
}

// stage gives the member a way into the gate, by a key of their own, of their group, or shared with
// them, and ways to turn each fact on and off.
func (th *theatre) stage(way string) scene {
	th.t.Helper()
	p, d := th.memberID, th.door
	sc := scene{door: d.ID, as: th.member}
	sc.facts = map[fact]func(*access.Service, bool) error{
		notInactive: th.activity(p),
		notClosed: th.lockdown(access.CreateLockdownPlanInput{
			Name: "Close the quay", SiteIDs: []typeid.Site{d.SiteID}}),
		notShut: th.lockdown(access.CreateLockdownPlanInput{
			Name: "Close the gate", DoorIDs: []typeid.Door{d.ID}}),
	}
	switch way {
	case "own key":
		sc.facts[keyHeld] = th.keyOf(p, d.ID)
	case "group":
		sc.facts[inGroup] = th.membership(p, d.ID)
	case "share":
		sc.facts[parentHeld] = th.sharing(p, d.ID)
	}
	return sc
}

// lockdown triggers a plan, and releases the lockdown.
func (th *theatre) lockdown(in access.CreateLockdownPlanInput) func(*access.Service, bool) error {
	th.t.Helper()
	plan, err := th.access.CreateLockdownPlan(th.admin, in)
	must(th.t, err)
	var inForce typeid.Lockdown
	return func(s *access.Service, on bool) error {
		if on {
			_, err := s.ReleaseLockdown(th.admin, access.ReleaseLockdownInput{LockdownID: inForce})
			return err
		}
		l, err := s.TriggerLockdown(th.admin,
			access.TriggerLockdownInput{PlanID: plan.LockdownPlan.ID})
		if err == nil {
			inForce = l.Lockdown.ID
		}
		return err
	}
}

func (th *theatre) newPerson(email string) typeid.User {
	th.t.Helper()
	p, err := th.access.CreateUser(th.admin, access.CreateUserInput{Name: "Guest", Email: email})
	must(th.t, err)
	return p.User.ID
}

func (th *theatre) activity(p typeid.User) func(*access.Service, bool) error {
	return func(s *access.Service, on bool) error {
		status := map[bool]user.Status{true: user.StatusACTIVE, false: user.StatusSUSPENDED}[on]
		_, err := s.UpdateUser(th.admin, access.UpdateUserInput{ID: p, Status: &status})
		return err
	}
}

// keyOf revokes the key that a person has, and grants them another.
func (th *theatre) keyOf(p typeid.User, at typeid.Door) func(*access.Service, bool) error {
	var present typeid.Key
	turn := func(s *access.Service, on bool) error {
		if !on {
			_, err := s.RevokeKey(th.admin, access.RevokeKeyInput{ID: present})
			return err
		}
		k, err := s.GrantKey(th.admin, access.GrantKeyInput{UserID: p, DoorIDs: []typeid.Door{at}})
		if err == nil {
			present = k.Key.ID
		}
		return err
	}
	must(th.t, turn(th.access, true))
	return turn
}

// membership takes a person out of the group that has the key, and back.
func (th *theatre) membership(p typeid.User, at typeid.Door) func(*access.Service, bool) error {
	group, err := th.access.CreateUserGroup(th.admin, access.CreateUserGroupInput{Name: "Crew"})
	must(th.t, err)
	g, people := group.UserGroup.ID, []typeid.User{p}
	k := th.db.Key.Create().SetOrgID(th.org).SetUserGroupID(g).SaveX(th.system)
	th.db.KeyTarget.Create().SetOrgID(th.org).SetKeyID(k.ID).SetUserGroupID(g).SetDoorID(at).
		ExecX(th.system)
	turn := func(s *access.Service, on bool) (err error) {
		if on {
			_, err = s.AddUserGroupMembers(th.admin,
				access.AddUserGroupMembersInput{UserGroupID: g, UserIDs: people})
			return err
		}
		_, err = s.RemoveUserGroupMembers(th.admin,
			access.RemoveUserGroupMembersInput{UserGroupID: g, UserIDs: people})
		return err
	}
	must(th.t, turn(th.access, true))
	return turn
}

// sharing suspends whoever shared a key with a person, and lets them be.
func (th *theatre) sharing(p typeid.User, at typeid.Door) func(*access.Service, bool) error {
	host := th.newPerson("host@example.com")
	parent, err := th.access.GrantKey(th.admin,
		access.GrantKeyInput{UserID: host, DoorIDs: []typeid.Door{at}})
	must(th.t, err)
	k := th.db.Key.Create().SetOrgID(th.org).SetUserID(p).SetParentID(parent.Key.ID).SetDepth(1).
		SetSharedByID(host).SaveX(th.system)
	th.db.KeyTarget.Create().SetOrgID(th.org).SetKeyID(k.ID).SetUserID(p).SetDoorID(at).
		ExecX(th.system)
	return th.activity(host)
}

// play runs clients against a scene: three unlock, two close and open the door by lockdowns that
// overlap, and one takes what else the person depends on and gives it back. In between all of it is
// there for a while, so that unlocks are granted too.
func (th *theatre) play(sc scene, turns int) {
	var clients sync.WaitGroup
	unlock := func(client, round int) {
		th.record(client, action{}, func() (any, error) {
			p, err := th.nodes[(client+round)%2].UnlockDoor(sc.as, access.UnlockDoorInput{DoorID: sc.door})
			if err != nil {
				return nil, err
			}
			return p.Command.Stage == command.StageCREATED, nil
		})
	}
	turn := func(client, round int, f fact) {
		for _, on := range []bool{false, true} {
			th.record(client, action{f, on}, func() (any, error) {
				return nil, sc.facts[f](th.nodes[round%2], on)
			})
			unlock(client, round)
		}
	}
	for client := range 3 {
		clients.Go(func() {
			for round := range 8 * turns {
				unlock(client, round)
			}
		})
	}
	for client, closing := range map[int]fact{3: notClosed, 4: notShut} {
		clients.Go(func() {
			for round := range turns {
				turn(client, round, closing)
				for i := range 3 {
					unlock(client, i)
				}
			}
		})
	}
	clients.Go(func() {
		for round := range turns {
			for f := range sc.facts {
				if f != notClosed && f != notShut {
					turn(5, round, f)
				}
			}
		}
	})
	clients.Wait()
}

// TestHistories has two nodes grant and take away rights while people unlock, and checks that all of
// it could have happened one after the other: no unlock is granted that began after the right to it
// was taken away, and none is refused while it was there. The journal must tell the same story, and
// it is stricter: it has one order, whoever waited for whom.
func TestHistories(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"own key", "group", "share"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			th := openTheatre(t)
			before := th.head()
			th.play(th.stage(way), 8**histories)
			granted, unlocks := 0, 0
			for _, op := range th.history {
				if op.Input.(action).fact == 0 {
					unlocks++
				}
				if op.Output == true {
					granted++
				}
			}
			t.Logf("%d operations, %d of %d unlocks granted", len(th.history), granted, unlocks)
			if granted == 0 || granted == unlocks {
				t.Error("that shows nothing")
			}
			th.check(rights)
			th.replay(before)
			mode, _ := th.modeOf(th.door)
			wantEqual(t, "mode in the end", mode, door.EffectiveModeCONTROLLED)
		})
	}
}

// check fails unless everything in the history could have happened one after the other.
func (th *theatre) check(model porcupine.Model) {
	th.t.Helper()
	result := porcupine.CheckOperationsTimeout(model, th.history, time.Minute)
	if result != porcupine.Ok {
		th.t.Errorf("the history is %s", result)
	}
}

// replay reads the journal: after it tells that a right was taken away, it tells of no grant by it,
// and of no key that came into being below one that was revoked.
func (th *theatre) replay(after int64) {
	closed, revoked, left := map[typeid.Door]bool{}, map[typeid.Key]bool{}, map[typeid.User]bool{}
	rows := th.db.Event.Query().Where(event.SeqGT(after)).Order(event.BySeq()).AllX(th.system)
	for _, e := range rows {
		switch e.Type {
		case "door.mode_changed":
			var data struct{ To door.Mode }
			must(th.t, json.Unmarshal(e.Data, &data))
			closed[*e.DoorID] = data.To == door.ModeLOCKDOWN
		case "key.revoked":
			revoked[*e.KeyID] = true
		case "user_group.member_removed", "user_group.member_added":
			left[*e.UserID] = e.Type == "user_group.member_removed"
		case "key.shared":
			var data struct{ FromKeyID typeid.Key }
			must(th.t, json.Unmarshal(e.Data, &data))
			if revoked[data.FromKeyID] {
				th.t.Errorf("at %d, a key was shared from one that is revoked", e.Seq)
			}
		case "key.redeemed":
			if revoked[*e.KeyID] {
				th.t.Errorf("at %d, a key was redeemed that is revoked", e.Seq)
			}
		case "access.granted":
			if closed[*e.DoorID] || revoked[*e.KeyID] || left[*e.UserID] {
				th.t.Errorf("granted at %d: lockdown %v, revoked %v, left %v", e.Seq,
					closed[*e.DoorID], revoked[*e.KeyID], left[*e.UserID])
			}
		}
	}
}

// TestOneTimeKeyOpensOnce: whoever is first, on whichever node.
func TestOneTimeKeyOpensOnce(t *testing.T) {
	t.Parallel()
	th := openTheatre(t)
	k := th.db.Key.Create().SetOrgID(th.org).SetUserID(th.memberID).SetUses(1).SetUsesLeft(1).
		SaveX(th.system)
	th.db.KeyTarget.Create().SetOrgID(th.org).SetKeyID(k.ID).SetUserID(th.memberID).
		SetDoorID(th.door.ID).ExecX(th.system)
	var clients sync.WaitGroup
	var mu sync.Mutex
	stages := map[string]int{}
	for i := range 200 {
		clients.Go(func() {
			p, err := th.nodes[i%2].UnlockDoor(th.member, access.UnlockDoorInput{DoorID: th.door.ID})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			stages[fmt.Sprint(p.Command.Stage, orNone(p.Command.Reason))]++
		})
	}
	clients.Wait()
	if stages["CREATED"] != 1 || stages["REJECTEDKEY_USED_UP"] != 199 {
		t.Error(stages)
	}
}

func orNone[T ~string](v *T) T {
	if v == nil {
		return ""
	}
	return *v
}
