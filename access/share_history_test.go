package access_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/typeid"
)

// The keys of a round: the first was granted, the second shared from it, and what is shared from
// these two is numbered from there on.
const (
	rootKey = iota
	branchKey
	firstShare
	maxKeys = 16
)

// deed is what is done to a key of a round.
type deed struct {
	round int
	verb  string // share, redeem, revoke or unlock
	key   int
}

// family is the keys of a round.
type family struct {
	parent   [maxKeys]int
	revoked  [maxKeys]bool
	redeemed [maxKeys]bool
}

func (f family) alive(k int) bool {
	for ; k != rootKey; k = f.parent[k] {
		if f.revoked[k] {
			return false
		}
	}
	return !f.revoked[rootKey]
}

// shares says what a history of shares means: while a key and all that it was shared from are not
// revoked, it can be shared, redeemed once, and opens; and from then on not. The output of a share is
// the number of the new key, 0 if it was refused; that of the others, whether it was done.
var shares = porcupine.Model{
	Init: func() any { return family{} },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		rounds := map[int][]porcupine.Operation{}
		for _, op := range history {
			round := op.Input.(deed).round
			rounds[round] = append(rounds[round], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range rounds {
			parts = append(parts, part)
		}
		return parts
	},
	Step: func(state, input, output any) (bool, any) {
		now, d := state.(family), input.(deed)
		can := now.alive(d.key)
		switch d.verb {
		case "share":
			made := output.(int)
			if made != 0 {
				now.parent[made] = d.key
			}
			return can == (made != 0), now
		case "revoke":
			now.revoked[d.key] = true
			return true, now
		case "redeem":
			can = can && !now.redeemed[d.key]
			now.redeemed[d.key] = now.redeemed[d.key] || can
		}
		return output.(bool) == can, now
	},
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%+v: %v", input, output)
	},
}

// round is one key, and all that is done with it.
type round struct {
	*theatre
	number int
	tried  func()        // closes open
	open   chan struct{} // when somebody has tried a share at the door
	over   chan struct{} // when all is revoked

	mu    sync.Mutex
	count int
	ids   [maxKeys]typeid.Key
	links [maxKeys]string
}

// openRound grants a key, and shares another from it, before anything is recorded.
func (th *theatre) openRound(number int) *round {
	th.t.Helper()
	r := &round{theatre: th, number: number, count: firstShare, open: make(chan struct{}),
		over: make(chan struct{})}
	r.tried = sync.OnceFunc(func() { close(r.open) })
	root := th.grantKey(access.GrantKeyInput{
		UserID: th.memberID, DoorIDs: th.gate(), Shares: new(2 * maxKeys)})
	branch := th.share(th.admin, access.ShareKeyInput{KeyID: root.ID, Shares: new(maxKeys)})
	r.ids[rootKey], r.ids[branchKey] = root.ID, branch.Key.ID
	return r
}

func (r *round) do(client int, verb string, k int, what func(*access.Service) (any, error)) {
	r.record(client, deed{r.number, verb, k}, func() (any, error) {
		return what(r.nodes[(client+r.number)%2])
	})
}

// shareOn makes more keys from one, and tries it once more when all is revoked.
func (r *round) shareOn(as context.Context, client, from int, to ...chan int) {
	share := func() {
		r.do(client, "share", from, func(s *access.Service) (any, error) {
			made, err := s.ShareKey(as,
				access.ShareKeyInput{KeyID: r.ids[from], Recipient: "guest@example.com"})
			if access.IsCode(err, access.CodeConflict) {
				return 0, nil
			}
			if err != nil {
				return nil, err
			}
			number := r.keep(made)
			for _, user := range to {
				user <- number
			}
			return number, nil
		})
	}
	for range sharesEach - 1 {
		share()
	}
	<-r.over
	share()
}

func (r *round) keep(made *access.ShareKeyPayload) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.count
	r.count++
	r.ids[number], r.links[number] = made.Key.ID, secretOf(made.Link)
	return number
}

// use redeems the shares as they come, and opens the door with each until it is refused.
func (r *round) use(client int, shares <-chan int) {
	for k := range shares {
		var guest typeid.User
		r.do(client, "redeem", k, func(s *access.Service) (any, error) {
			made, err := s.RedeemLink(context.Background(), r.linkOf(k))
			if access.IsCode(err, access.CodeNotFound) {
				return false, nil
			}
			if err != nil {
				return nil, err
			}
			guest = made.Guest.ID
			return true, nil
		})
		as := actor.NewContext(r.t.Context(), actor.User(r.org, guest, actor.RoleGuest))
		for granted := !guest.IsZero(); granted; r.tried() {
			r.do(client, "unlock", k, func(s *access.Service) (any, error) {
				p, err := s.UnlockDoor(as, access.UnlockDoorInput{DoorID: r.door.ID})
				granted = err == nil && p.Command.Stage == command.StageCREATED
				return granted, err
			})
		}
	}
}

func (r *round) linkOf(k int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[k]
}

// revoke ends a key once somebody has come to the door with a share, and then what it was shared from.
func (r *round) revoke(client int) {
	<-r.open
	for _, k := range []int{branchKey, rootKey} {
		r.do(client+k, "revoke", k, func(s *access.Service) (any, error) {
			_, err := s.RevokeKey(r.admin, access.RevokeKeyInput{ID: r.ids[k]})
			return nil, err
		})
	}
	close(r.over)
}

// sharesEach is how often each of the two who share tries to.
const sharesEach = (maxKeys - firstShare) / 2

// run has the administrator share from the branch and its holder from the root, three redeem and
// open, and one revoke.
func (r *round) run() {
	var sharers, others sync.WaitGroup
	users := make([]chan int, 3)
	for i := range users {
		users[i] = make(chan int, maxKeys)
		others.Go(func() { r.use(i, users[i]) })
	}
	others.Go(func() { r.revoke(len(users)) })
	sharers.Go(func() { r.shareOn(r.member, 5, rootKey, users...) })
	sharers.Go(func() { r.shareOn(r.admin, 6, branchKey, users...) })
	sharers.Wait()
	for _, user := range users {
		close(user)
	}
	others.Wait()
}

// TestShareHistories has two nodes share keys, redeem them and open a door with them while what they
// were shared from is revoked. After that is acknowledged none is shared, none is redeemed, and
// none opens; and a link is redeemed once.
func TestShareHistories(t *testing.T) {
	t.Parallel()
	th := openTheatre(t)
	before := th.head()
	for number := range 6 * *histories {
		th.openRound(number).run()
	}
	outcomes := map[string]int{}
	for _, op := range th.history {
		if d := op.Input.(deed); d.verb != "revoke" {
			outcomes[fmt.Sprint(d.verb, " ", op.Output != 0 && op.Output != false)]++
		}
	}
	t.Logf("%d operations: %v", len(th.history), outcomes)
	if len(outcomes) != 6 {
		t.Error("that shows nothing")
	}
	th.check(shares)
	th.replay(before)
	alive := th.db.Key.Query().Where(key.ParentIDNotNil(), key.RevokedAtIsNil()).CountX(th.system)
	wantEqual(t, "keys left below those that were revoked", alive, 0)
}
