package access

import (
	"testing"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

func TestCarriers(t *testing.T) {
	t.Parallel()
	db, now := testenv.Client(t), time.Now().UTC().Truncate(time.Second)
	s := New(Config{DB: db, Now: func() time.Time { return now }, Log: testenv.Logger(t)})
	org, desk, err := s.CreateOrganization(actor.NewContext(t.Context(), actor.System("test")),
		CreateOrganizationInput{Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := actor.NewContext(t.Context(), actor.User(org.ID, desk.ID, actor.RoleAdmin))
	later := now.Add(time.Hour)
	made, err := s.CreatePIN(ctx, CreatePINInput{UserID: desk.ID, ValidFrom: &now, ValidUntil: &later})
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, at time.Time, want bool) {
		t.Helper()
		nobody := typeid.New[typeid.User]()
		got, err := s.carriers(ctx, db, []typeid.User{desk.ID, nobody}, at)
		if err != nil || got[desk.ID] != want || got[nobody] {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	check("valid", now, true)
	check("before", now.Add(-time.Second), false)
	check("after", later, false)
	change := func(how func(*ent.CredentialUpdateOne)) {
		t.Helper()
		update := db.Credential.UpdateOneID(made.Credential.ID)
		how(update)
		if err := update.Exec(ctx); err != nil {
			t.Fatal(err)
		}
	}
	change(func(u *ent.CredentialUpdateOne) { u.SetSuspendedAt(now) })
	check("suspended", now, false)
	change(func(u *ent.CredentialUpdateOne) { u.ClearSuspendedAt().SetBlockedUntil(later) })
	check("blocked for a while", now, true)
	change(func(u *ent.CredentialUpdateOne) { u.SetRevokedAt(now) })
	check("revoked", now, false)
}
