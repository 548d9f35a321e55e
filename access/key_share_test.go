package access_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

func TestSharedKeyIsRedeemedAndOpens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	until := b.clock.Now().Add(time.Hour).Truncate(time.Second)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(1),
		ValidUntil: &until, Uses: new(3)})
	before := b.head()
	made := b.share(b.member, access.ShareKeyInput{KeyID: k.ID, Recipient: "Guest@example.com",
		RecipientName: new("Front desk guest")})
	if got := access.StatusOf(made.Key, b.clock.Now()); got != access.KeyPending {
		t.Errorf("before: %s", got)
	}
	guest, r := b.redeem(made.Link)
	if !r.Expires.Equal(until) || r.Guest.Name != "Front desk guest" ||
		r.Guest.Email != nil || r.Guest.Role != actor.RoleGuest {
		t.Errorf("expires %s, %v", r.Expires, r.Guest)
	}
	want := []string{"key.shared", "user.created", "key.redeemed", "api_token.created"}
	if got := b.events(before); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	for i, want := range []string{"CREATED", "CREATED", "CREATED", "REJECTED KEY_USED_UP"} {
		if got := outcome(b.unlock(guest)); got != want {
			t.Errorf("unlock %d: %s", i, got)
		}
	}
	// The uses of a share are its parent's, too.
	if got := outcome(b.unlock(b.member)); got != "REJECTED KEY_USED_UP" {
		t.Errorf("parent: %s", got)
	}
	for _, secret := range []string{secretOf(made.Link), "", "cardeakey_x", secretOf(made.Link) + "x"} {
		_, err := b.access.RedeemLink(t.Context(), secret)
		wantCode(t, err, access.CodeNotFound)
		_, err = b.access.ReadLink(t.Context(), secret)
		wantCode(t, err, access.CodeNotFound)
	}
	_, err := b.access.ShareKey(b.member, access.ShareKeyInput{KeyID: k.ID, Recipient: "+390612345678"})
	wantCode(t, err, access.CodeConflict)
	b.clock.Advance(time.Hour)
	_, err = b.access.Authenticate(t.Context(), r.Secret)
	wantCode(t, err, access.CodeUnauthenticated)
}

func TestReadLinkShowsAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cellar, far := b.newDoor("Cellar"), b.newDoor("Quay 9")
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: []typeid.Door{b.door.ID},
		DoorGroupIDs: []typeid.DoorGroup{b.newDoorGroup(cellar).ID}, Shares: new(2)})
	made := b.share(b.admin, access.ShareKeyInput{KeyID: k.ID})
	before := b.head()
	l, err := b.access.ReadLink(t.Context(), secretOf(made.Link))
	must(t, err)
	if len(l.Doors) != 2 || l.Doors[0].ID != cellar.ID || l.Doors[1].ID != b.door.ID ||
		l.Organization.Name != "Harbour" || len(l.Sites) != 1 {
		t.Errorf("doors %v, sites %v", l.Doors, l.Sites)
	}
	if b.head() != before || b.db.Key.GetX(b.system, made.Key.ID).RedeemedAt != nil {
		t.Error("it changed something")
	}
	_, err = b.access.ShareKey(b.admin, access.ShareKeyInput{KeyID: k.ID, Recipient: "x@example.com",
		DoorIDs: []typeid.Door{cellar.ID, far.ID}})
	if got := fieldsOf(err); !slices.Equal(got, []string{"doorIds"}) {
		t.Errorf("a door that it does not open: %v", err)
	}
}

func TestShareStaysWithinItsParent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	from := b.clock.Now().Truncate(time.Second)
	until := from.Add(time.Hour)
	earlier, later := from.Add(-1), until.Add(time.Second)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(5),
		ValidFrom: &from, ValidUntil: &until, Uses: new(2), Remote: new(false)})
	_, err := b.access.ShareKey(b.member, access.ShareKeyInput{KeyID: k.ID, Recipient: "x",
		RecipientName: new(""), ValidFrom: &until, ValidUntil: &from, Uses: new(0), Shares: new(-1)})
	want := []string{"recipient", "recipientName", "validUntil", "uses", "shares"}
	if got := fieldsOf(err); !slices.Equal(got, want) {
		t.Errorf("malformed: %v", err)
	}
	_, err = b.access.ShareKey(b.member, access.ShareKeyInput{KeyID: k.ID, Recipient: "x@example.com",
		ValidFrom: new(earlier.Add(-time.Second)), ValidUntil: &later, Uses: new(3), Remote: new(true),
		Shares: new(5)})
	want = []string{"validFrom", "validUntil", "remote", "uses", "shares"}
	if got := fieldsOf(err); !slices.Equal(got, want) {
		t.Errorf("beyond the parent: %v", err)
	}
	child := b.share(b.member, access.ShareKeyInput{KeyID: k.ID, Shares: new(4)}).Key
	if child.Remote || *child.Uses != 2 || child.SharesLeft != 4 || *child.SharedByID != b.memberID ||
		!child.ValidUntil.Equal(until) || child.Depth != 1 {
		t.Errorf("defaults %v", child)
	}
	byRight := b.share(b.admin, access.ShareKeyInput{KeyID: child.ID, Shares: new(1)}).Key
	if byRight.SharedByID != nil {
		t.Error("an administrator's share has a sharer")
	}
	deepest := b.share(b.admin, access.ShareKeyInput{KeyID: byRight.ID}).Key
	b.db.Key.UpdateOne(deepest).SetSharesLeft(1).ExecX(b.system)
	_, err = b.access.ShareKey(b.admin, access.ShareKeyInput{KeyID: deepest.ID, Recipient: "x@example.com"})
	wantCode(t, err, access.CodeConflict)
	_, err = b.access.UpdateKey(b.admin, access.UpdateKeyInput{ID: child.ID, ClearValidUntil: true,
		Remote: new(true), Uses: new(3)})
	want = []string{"validUntil", "remote", "uses"}
	if got := fieldsOf(err); !slices.Equal(got, want) {
		t.Errorf("update beyond the parent: %v", err)
	}
}

func TestWhoMayShare(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserGroupID: b.newGroup(b.memberID).ID,
		SiteID: &b.site.ID, Shares: new(3)})
	child := b.share(b.member, access.ShareKeyInput{KeyID: k.ID, Shares: new(1)})
	share := func(ctx context.Context, id typeid.Key) error {
		_, err := b.access.ShareKey(ctx, access.ShareKeyInput{KeyID: id, Recipient: "x@example.com"})
		return err
	}
	// Whoever shared a key sees it, renews its link and revokes it, but does not hold it.
	wantCode(t, share(b.member, child.Key.ID), access.CodeForbidden)
	wantCode(t, share(b.member, b.key.ID), access.CodeNotFound)
	renewed, err := b.access.RenewKeyLink(b.member, access.RenewKeyLinkInput{KeyID: child.Key.ID})
	must(t, err)
	_, err = b.access.RedeemLink(t.Context(), secretOf(child.Link))
	wantCode(t, err, access.CodeNotFound)
	guest, _ := b.redeem(renewed.Link)
	wantCode(t, share(guest, child.Key.ID), access.CodeForbidden)
	_, err = b.access.RenewKeyLink(b.member, access.RenewKeyLinkInput{KeyID: child.Key.ID})
	wantCode(t, err, access.CodeConflict)
	_, err = b.access.RevokeKey(b.member, access.RevokeKeyInput{ID: k.ID})
	wantCode(t, err, access.CodeForbidden)

	// It opens as long as its sharer is in the group.
	if got := outcome(b.unlock(guest)); got != "CREATED" {
		t.Errorf("the guest: %s", got)
	}
	b.db.UserGroupMember.Delete().ExecX(b.system)
	if got := outcome(b.unlock(guest)); got != "REJECTED EXPIRED" {
		t.Errorf("of a sharer who left: %s", got)
	}
	_, err = b.access.RevokeKey(b.member, access.RevokeKeyInput{ID: child.Key.ID})
	must(t, err)
	if got := outcome(b.unlock(guest)); got != "REJECTED KEY_REVOKED" {
		t.Errorf("revoked: %s", got)
	}
}

func TestRevokingCascades(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(3),
		Uses: new(9)})
	first := b.share(b.member, access.ShareKeyInput{KeyID: k.ID, Shares: new(2)})
	second := b.share(b.admin, access.ShareKeyInput{KeyID: first.Key.ID})
	unused := b.share(b.admin, access.ShareKeyInput{KeyID: first.Key.ID})
	guest, _ := b.redeem(first.Link)
	deep, _ := b.redeem(second.Link)
	waiting := []typeid.Command{b.unlock(guest).ID, b.unlock(deep).ID}
	own := b.unlock(b.member)
	before := b.head()
	_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: first.Key.ID})
	must(t, err)
	for _, id := range waiting {
		if got := outcome(b.db.Command.GetX(b.system, id)); got != "CANCELLED KEY_REVOKED" {
			t.Errorf("on its way: %s", got)
		}
	}
	if got := outcome(b.db.Command.GetX(b.system, own.ID)); got != "CREATED" {
		t.Errorf("by the parent: %s", got)
	}
	want := []string{"key.revoked", "key.revoked", "key.revoked", "command.cancelled",
		"key.use_returned", "command.cancelled", "key.use_returned"}
	if got := b.events(before); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	if got := *b.db.Key.GetX(b.system, k.ID).UsesLeft; got != 8 {
		t.Errorf("%d uses left", got)
	}
	_, err = b.access.RedeemLink(t.Context(), secretOf(unused.Link))
	wantCode(t, err, access.CodeNotFound)
	for _, ctx := range []context.Context{guest, deep} {
		if got := outcome(b.unlock(ctx)); got != "REJECTED KEY_REVOKED" {
			t.Errorf("afterwards: %s", got)
		}
	}
}

func TestDeletingAPersonEndsWhatTheyShared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	people := b.newGroup(b.memberID)
	own := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(1)})
	group := b.grantKey(access.GrantKeyInput{UserGroupID: people.ID, SiteID: &b.site.ID, Shares: new(1)})
	guest, _ := b.redeem(b.share(b.member, access.ShareKeyInput{KeyID: own.ID}).Link)
	other, _ := b.redeem(b.share(b.member, access.ShareKeyInput{KeyID: group.ID}).Link)
	waiting := []typeid.Command{b.unlock(guest).ID, b.unlock(other).ID}
	before := b.head()
	_, err := b.access.DeleteUser(b.admin, access.DeleteUserInput{ID: b.memberID})
	must(t, err)
	for _, id := range waiting {
		if got := outcome(b.db.Command.GetX(b.system, id)); got != "CANCELLED KEY_REVOKED" {
			t.Errorf("on its way: %s", got)
		}
	}
	got := b.events(before)
	if revoked := len(slices.DeleteFunc(slices.Clone(got),
		func(e string) bool { return e != "key.revoked" })); revoked != 3 || got[len(got)-1] != "user.deleted" {
		t.Errorf("events %v", got)
	}
	if left := b.db.Key.Query().CountX(b.system); left != 2 { // the administrator's and the group's
		t.Errorf("%d keys left", left)
	}
}

// crowd runs something many times at once, over two services on one database, and counts successes.
func (b *bench) crowd(n int, do func(*access.Service) (bool, error)) int {
	b.t.Helper()
	second := access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(b.t),
	})
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			s := b.access
			if i%2 == 0 {
				s = second
			}
			ok, err := do(s)
			switch {
			case ok:
				done.Add(1)
			case err != nil && !access.IsCode(err, access.CodeConflict) &&
				!access.IsCode(err, access.CodeNotFound):
				b.t.Error(err)
			}
		})
	}
	group.Wait()
	return int(done.Load())
}

func TestLastSharesAreSharedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(3)})
	in := access.ShareKeyInput{KeyID: k.ID, Recipient: "guest@example.com"}
	made := b.crowd(200, func(s *access.Service) (bool, error) {
		_, err := s.ShareKey(b.member, in)
		return err == nil, err
	})
	if made != 3 || b.db.Key.Query().Where(key.ParentID(k.ID)).CountX(b.system) != 3 ||
		b.db.Key.GetX(b.system, k.ID).SharesLeft != 0 {
		t.Errorf("%d keys were shared", made)
	}
}

func TestALinkIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Shares: new(1)})
	link := b.share(b.member, access.ShareKeyInput{KeyID: k.ID}).Link
	made := b.crowd(200, func(s *access.Service) (bool, error) {
		_, err := s.RedeemLink(t.Context(), secretOf(link))
		return err == nil, err
	})
	if made != 1 || b.db.User.Query().CountX(b.system) != 3 {
		t.Errorf("it was redeemed %d times", made)
	}
}

func TestAOneTimeKeyOpensOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.grantKey(access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID, Uses: new(1)})
	unlock := func(s *access.Service) (bool, error) {
		p, err := s.UnlockDoor(b.member, access.UnlockDoorInput{DoorID: b.door.ID})
		return err == nil && p.Command.EndedAt == nil, err
	}
	if n := b.crowd(200, unlock); n != 1 || len(b.hardware.dispatched) != 1 {
		t.Errorf("%d unlocks, %d dispatches", n, len(b.hardware.dispatched))
	}
	// One that failed gives its use back, and then one more succeeds.
	must(t, b.access.RecordUndelivered(b.system, b.hardware.dispatched[0].Command, "DEVICE_BUSY"))
	if n := b.crowd(20, unlock); n != 1 {
		t.Errorf("%d unlocks after the failed one", n)
	}
	returned := b.db.Event.Query().Where(event.Type("key.use_returned")).CountX(b.system)
	if returned != 1 {
		t.Errorf("%d uses were given back", returned)
	}
}

// A guest may do what their page needs, and is refused all else before it is looked at.
func TestGuestsMayOpenTheirDoorsOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	guest := actor.NewContext(t.Context(),
		actor.Token(b.org, typeid.New[typeid.APIToken](), typeid.New[typeid.User](), actor.RoleGuest))
	allowed := []string{"LockDoor", "UnlockDoor", "Enrol", "OpenLink"} // the last two are devices'
	var refused []string
	for name, err := range useCases(guest, b.access) {
		if slices.Contains(allowed, name) {
			continue
		}
		refused = append(refused, name)
		if !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(refused) < 20 {
		t.Errorf("only %d use cases were found: %v", len(refused), refused)
	}
	for _, action := range []access.Action{access.ReadOrganization, access.ReadSites, access.ReadDoors,
		access.ReadKeys, access.ReadCommands, access.CommandDoors} {
		must(t, access.Authorize(guest, action))
	}
	for _, action := range []access.Action{access.ReadUsers, access.ReadEvents, access.ReadDevices,
		access.ReadTokens, access.ReadSchedules, access.ReadGroups, access.ReadAccess,
		access.ReadCredentials, access.ReadVisits, access.ReadAreas, access.ReadLockdowns,
		access.ReadWebhooks, access.ShareKeys, access.OperateDoors} {
		if err := access.Authorize(guest, action); !errors.As(err, new(access.Error)) {
			t.Errorf("%s: %v", action, err)
		}
	}
}

// useCases calls every use case that has an input, with an empty one.
func useCases(ctx context.Context, s *access.Service) map[string]error {
	outcomes := map[string]error{}
	service := reflect.ValueOf(s)
	for i := range service.NumMethod() {
		name, use := service.Type().Method(i).Name, service.Method(i)
		kind := use.Type()
		if kind.NumIn() != 2 || kind.NumOut() != 2 || kind.In(1).Name() != name+"Input" {
			continue
		}
		out := use.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.Zero(kind.In(1))})
		outcomes[name], _ = reflect.TypeAssert[error](out[1])
	}
	return outcomes
}
