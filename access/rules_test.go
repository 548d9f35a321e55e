package access_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

func TestMembersSeeWhatIsTheirs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newDoor("Shed")
	count := func(ctx context.Context) (sites, doors, users, keys int) {
		site, err := b.access.VisibleSites(ctx)
		must(t, err)
		door, err := b.access.VisibleDoors(ctx)
		must(t, err)
		user, err := b.access.VisibleUsers(ctx)
		must(t, err)
		key, err := b.access.VisibleKeys(ctx)
		must(t, err)
		return b.db.Site.Query().Where(site).CountX(ctx), b.db.Door.Query().Where(door).CountX(ctx),
			b.db.User.Query().Where(user).CountX(ctx), b.db.Key.Query().Where(key).CountX(ctx)
	}
	check := func(when string, ctx context.Context, want [4]int) {
		t.Helper()
		sites, doors, users, keys := count(ctx)
		if got := [4]int{sites, doors, users, keys}; got != want {
			t.Errorf("%s: sites, doors, users, keys %v, want %v", when, got, want)
		}
	}
	check("admin", b.admin, [4]int{1, 2, 2, 1})
	check("member without a key", b.member, [4]int{0, 0, 1, 0})
	id := b.grant(-1e9, 1e12)
	check("member with a key", b.member, [4]int{1, 1, 1, 1})
	_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: id})
	must(t, err)
	check("member with a revoked key", b.member, [4]int{0, 0, 1, 1})
	_, err = b.access.GrantKey(b.admin, access.GrantKeyInput{UserID: b.memberID, SiteID: &b.site.ID})
	must(t, err)
	check("member with a site's key", b.member, [4]int{1, 2, 1, 2})
}

func TestBadInputNamesEveryFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	long := 256
	_, err := b.access.CreateDoor(b.admin, access.CreateDoorInput{
		SiteID: b.site.ID, Name: " x", RelockSeconds: &long, HeldOpenSeconds: new(int),
	})
	var faults access.Errors
	if !errors.As(err, &faults) || len(faults) != 3 || faults[0].Field != "name" ||
		faults[1].Field != "relockSeconds" || faults[2].Field != "heldOpenSeconds" {
		t.Errorf("got %v", err)
	}
	for name, use := range map[string]func() error{
		"zone": func() error {
			_, err := b.access.CreateSite(b.admin, access.CreateSiteInput{Name: "x", TimeZone: "CEST2"})
			return err
		},
		"email": func() error {
			_, err := b.access.CreateUser(b.admin, access.CreateUserInput{Name: "x", Email: "x"})
			return err
		},
		"key for nothing": func() error {
			_, err := b.access.GrantKey(b.admin, access.GrantKeyInput{UserID: b.memberID})
			return err
		},
		"port": func() error {
			_, err := b.access.BindDoor(b.admin,
				access.BindDoorInput{DoorID: b.door.ID, DeviceID: b.dev.ID})
			return err
		},
		"webhook inside": func() error {
			_, err := b.access.CreateWebhookEndpoint(b.admin,
				access.CreateWebhookEndpointInput{URL: "https://127.0.0.1/hook"})
			return err
		},
		"event type": func() error {
			_, err := b.access.CreateWebhookEndpoint(b.admin, access.CreateWebhookEndpointInput{
				URL: "https://hooks.example.com/", EventTypes: []string{"door.exploded"}})
			return err
		},
	} {
		if err := use(); !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.head() != before {
		t.Error("something was recorded")
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	shed := b.newDoor("Shed")
	before := b.head()
	for name, use := range map[string]func() error{
		"site's name": func() error {
			_, err := b.access.CreateSite(b.admin, access.CreateSiteInput{Name: "Quay", TimeZone: "UTC"})
			return err
		},
		"door's name": func() error {
			_, err := b.access.UpdateDoor(b.admin,
				access.UpdateDoorInput{ID: shed.ID, Name: &b.door.Name})
			return err
		},
		"user's address": func() error {
			_, err := b.access.CreateUser(b.admin,
				access.CreateUserInput{Name: "x", Email: "Desk@example.com"})
			return err
		},
		"port taken": func() error {
			_, err := b.access.BindDoor(b.admin,
				access.BindDoorInput{DoorID: shed.ID, DeviceID: b.dev.ID, Port: 1})
			return err
		},
		"site with doors": func() error {
			_, err := b.access.DeleteSite(b.admin, access.DeleteSiteInput{ID: b.site.ID})
			return err
		},
		"last administrator": func() error {
			_, err := b.access.DeleteUser(b.admin, access.DeleteUserInput{ID: b.adminID})
			return err
		},
	} {
		if err := use(); !access.IsCode(err, access.CodeConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.head() != before {
		t.Error("something was recorded")
	}
}

func TestDeletesLeaveTheJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.unlock(b.admin)
	count := func() int { return b.db.Event.Query().CountX(b.system) }
	before := count()
	_, err := b.access.DeleteDoor(b.admin, access.DeleteDoorInput{ID: b.door.ID})
	must(t, err)
	_, err = b.access.RemoveDevice(b.admin, access.RemoveDeviceInput{ID: b.dev.ID})
	must(t, err)
	_, err = b.access.DeleteSite(b.admin, access.DeleteSiteInput{ID: b.site.ID})
	must(t, err)
	if got := count(); got != before+3 {
		t.Errorf("%d events, had %d", got, before)
	}
	if _, err := b.db.Door.Get(b.system, b.door.ID); !ent.IsNotFound(err) {
		t.Errorf("the door is there: %v", err)
	}
}

// TestOwnersCannotRemoveEachOther has each of two take the other's role at the same moment.
func TestOwnersCannotRemoveEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner, member := actor.RoleOwner, actor.RoleMember
	promote := access.UpdateUserInput{ID: b.memberID, Role: &owner}
	for range 10 {
		_, err := b.access.UpdateUser(b.admin, promote)
		must(t, err)
		errs := make(chan error, 2)
		for _, target := range []typeid.User{b.adminID, b.memberID} {
			go func() {
				_, err := b.access.UpdateUser(b.admin, access.UpdateUserInput{ID: target, Role: &member})
				errs <- err
			}()
		}
		first, second := <-errs, <-errs
		if (first == nil) == (second == nil) {
			t.Fatalf("got %v and %v", first, second)
		}
		wantCode(t, errors.Join(first, second), access.CodeConflict)
		_, err = b.access.UpdateUser(b.admin, access.UpdateUserInput{ID: b.adminID, Role: &owner})
		must(t, err)
	}
}
