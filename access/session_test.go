package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// signIn begins a session of the member.
func (b *bench) signIn() *access.SignedIn {
	b.t.Helper()
	in, err := b.access.StartSession(b.system, b.memberID, session.MethodEMAIL_CODE,
		access.Client{Address: "192.0.2.7", UserAgent: "Browser"})
	must(b.t, err)
	return in
}

// refused checks that the secret of a session stands for nobody.
func (b *bench) refused(in *access.SignedIn) {
	b.t.Helper()
	_, err := b.access.Authenticate(b.t.Context(), in.Secret)
	wantCode(b.t, err, access.CodeUnauthenticated)
}

func TestSessionStandsForItsUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.head()
	in := b.signIn()
	if !strings.HasPrefix(in.Secret, "cardeasession_") || len(in.Secret) != len("cardeasession_")+36 {
		t.Errorf("a secret of %d characters", len(in.Secret))
	}
	got, err := b.access.Authenticate(t.Context(), in.Secret)
	must(t, err)
	if !got.Equal(actor.User(b.org, b.memberID, actor.RoleMember).WithSession(in.Session.ID)) {
		t.Errorf("got %+v", got)
	}
	if got := strings.Join(b.events(before), " "); got != "session.created" {
		t.Errorf("events %s", got)
	}
	if strings.Contains(in.Session.String(), in.Secret) {
		t.Error("the row shows the secret")
	}
	if again := b.signIn(); again.Secret == in.Secret || again.Session.ID == in.Session.ID {
		t.Error("two sign-ins are one session")
	}
}

func TestSessionIsRefused(t *testing.T) {
	t.Parallel()
	suspended, active := user.StatusSUSPENDED, user.StatusACTIVE
	set := func(b *bench, to *user.Status) {
		_, err := b.access.UpdateUser(b.admin, access.UpdateUserInput{ID: b.memberID, Status: to})
		must(b.t, err)
	}
	for name, spoil := range map[string]func(*bench, *access.SignedIn){
		"ended by an administrator": func(b *bench, in *access.SignedIn) {
			_, err := b.access.EndSession(b.admin, access.EndSessionInput{ID: in.Session.ID})
			must(b.t, err)
		},
		"ended by its user elsewhere": func(b *bench, _ *access.SignedIn) {
			_, err := b.access.EndOtherSessions(b.member, access.EndOtherSessionsInput{})
			must(b.t, err)
		},
		"user suspended": func(b *bench, _ *access.SignedIn) { set(b, &suspended) },
		"user suspended, and active again": func(b *bench, _ *access.SignedIn) {
			set(b, &suspended)
			set(b, &active)
		},
		"user deleted": func(b *bench, _ *access.SignedIn) {
			_, err := b.access.DeleteUser(b.admin, access.DeleteUserInput{ID: b.memberID})
			must(b.t, err)
		},
		"idle":    func(b *bench, _ *access.SignedIn) { b.clock.Advance(access.MaxIdleSession) },
		"changed": func(_ *bench, in *access.SignedIn) { in.Secret += "x" },
		"of a token": func(_ *bench, in *access.SignedIn) {
			in.Secret = strings.Replace(in.Secret, "cardeasession_", "cardea_", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			in := b.signIn()
			spoil(b, in)
			b.refused(in)
		})
	}
}

// A session that is used lives on, but not for ever; its use is noted once a minute.
func TestSessionInUseEndsAfterNinetyDays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := b.signIn()
	seen := func() time.Time {
		_, err := b.access.Authenticate(t.Context(), in.Secret)
		must(t, err)
		return b.db.Session.GetX(b.member, in.Session.ID).LastSeenAt
	}
	b.clock.Advance(59 * time.Second)
	if got := seen(); !got.Equal(in.Session.LastSeenAt) {
		t.Errorf("noted after 59 seconds: %s", got)
	}
	b.clock.Advance(time.Second)
	if got := seen(); !got.Equal(b.clock.Now()) {
		t.Errorf("not noted after a minute: %s", got)
	}
	for b.clock.Now().Add(13 * 24 * time.Hour).Before(in.Session.ExpiresAt) {
		b.clock.Advance(13 * 24 * time.Hour)
		seen()
	}
	b.clock.Advance(in.Session.ExpiresAt.Sub(b.clock.Now()) - time.Microsecond)
	seen()
	b.clock.Advance(time.Microsecond)
	b.refused(in)
}

func TestSessionsAreEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	here, there, gone := b.signIn(), b.signIn(), b.signIn()
	before := b.head()
	me, err := b.access.Authenticate(t.Context(), here.Secret)
	must(t, err)
	ctx := actor.NewContext(t.Context(), me)
	for range 2 { // the second time changes nothing
		p, err := b.access.EndSession(ctx, access.EndSessionInput{ID: gone.Session.ID})
		must(t, err)
		if p.Session.EndedAt == nil {
			t.Error("not ended")
		}
	}
	p, err := b.access.EndOtherSessions(ctx, access.EndOtherSessionsInput{})
	must(t, err)
	if len(p.EndedIDs) != 1 || p.EndedIDs[0] != there.Session.ID {
		t.Errorf("ended %v", p.EndedIDs)
	}
	if got := strings.Join(b.events(before), " "); got != "session.ended session.ended" {
		t.Errorf("events %s", got)
	}
	_, err = b.access.Authenticate(t.Context(), here.Secret)
	must(t, err)
	b.refused(there)
	b.refused(gone)
}

func TestSessionsAreTheirUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	theirs, err := b.access.StartSession(b.system, b.adminID, session.MethodEMAIL_CODE, access.Client{})
	must(t, err)
	end := access.EndSessionInput{ID: theirs.Session.ID}
	_, err = b.access.EndSession(b.member, end)
	wantCode(t, err, access.CodeNotFound)
	_, err = b.access.EndOtherSessions(b.member, access.EndOtherSessionsInput{UserID: &b.adminID})
	wantCode(t, err, access.CodeNotFound)
	_, err = b.access.EndSession(b.device, end)
	wantCode(t, err, access.CodeForbidden)
	administrator := actor.RoleAdmin
	second, err := b.access.CreateUser(b.admin, access.CreateUserInput{Name: "Night shift",
		Email: "second@example.com", Role: &administrator})
	must(t, err)
	admin := actor.NewContext(t.Context(), actor.User(b.org, second.User.ID, administrator))
	_, err = b.access.EndSession(admin, end)
	wantCode(t, err, access.CodeForbidden)
	_, err = b.access.EndOtherSessions(admin, access.EndOtherSessionsInput{UserID: &b.adminID})
	wantCode(t, err, access.CodeForbidden)
	if one := b.db.Session.GetX(b.system, theirs.Session.ID); one.EndedAt != nil {
		t.Error("an administrator has signed an owner out")
	}
	for name, ctx := range map[string]func() error{
		"administrator": func() error {
			_, err := b.access.StartSession(b.admin, b.memberID, session.MethodEMAIL_CODE, access.Client{})
			return err
		},
		"system everywhere": func() error {
			everywhere := actor.NewContext(t.Context(), actor.System("test"))
			_, err := b.access.StartSession(everywhere, b.memberID, session.MethodEMAIL_CODE, access.Client{})
			return err
		},
	} {
		if err := ctx(); !access.IsCode(err, access.CodeForbidden) {
			t.Errorf("%s begins a session: %v", name, err)
		}
	}
	_, err = b.access.StartSession(b.system, typeid.New[typeid.User](), session.MethodEMAIL_CODE,
		access.Client{})
	wantCode(t, err, access.CodeNotFound)
}

// What a browser says of itself cannot break the row.
func TestSessionKeepsWhatFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in, err := b.access.StartSession(b.system, b.memberID, session.MethodEMAIL_CODE, access.Client{
		Address: strings.Repeat("x", 99), UserAgent: "\x00\xff" + strings.Repeat("é", 200)})
	must(t, err)
	if in.Session.UserAgent != strings.Repeat("é", 150) || len(in.Session.Address) != 45 {
		t.Errorf("kept %q %q", in.Session.Address, in.Session.UserAgent)
	}
}
