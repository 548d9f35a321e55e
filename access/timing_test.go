package access_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// timing is what is asked of, and a clock by which no try counts for the next.
type timing struct {
	*testing.B
	*access.Service
	db    *ent.Client
	at    time.Time
	admin context.Context //nolint:containedctx // who asks
	desk  typeid.User
}

// BenchmarkTiming compares what an answer takes that must not tell whether something exists: of two
// questions that take turns, the medians and their difference.
//
//	make bench-timing
func BenchmarkTiming(b *testing.B) {
	t := newTiming(b)
	other := t.house("Elsewhere")
	t.house("Harbour")
	revoked, removed := t.tokens()
	ended := t.endedLink()
	pin, weak, gone, nobodys := t.pins()
	keypad := t.door("Gate")
	door, key := other.door("Gate"), other.key()
	noDoor, noKey := typeid.New[typeid.Door](), typeid.New[typeid.Key]()
	for _, pair := range []struct {
		name         string
		first, other func(int) error
	}{
		{"sign-in, known and unknown e-mail", t.code("desk@Harbour.example"), t.code("nobody@Harbour.example")},
		{"token, revoked and unknown", t.authenticate(revoked), t.authenticate(removed)},
		{"invitation, revoked and unknown", t.redeem(ended), t.redeem("cardeakey_" + removed[len("cardea_"):])},
		{"door to unlock, elsewhere and nowhere", t.unlock(door), t.unlock(noDoor)},
		{"door to rename, elsewhere and nowhere", t.rename(door), t.rename(noDoor)},
		{"key to revoke, elsewhere and nowhere", t.revoke(key), t.revoke(noKey)},
		{"person to rename, elsewhere and nowhere", t.call(other.desk), t.call(typeid.New[typeid.User]())},
		{"PIN to give, taken and weak", t.give(pin), t.give(weak)},
		{"PIN at a keypad, revoked and unknown", t.present(keypad, gone, schema.ReasonCredentialRevoked),
			t.present(keypad, nobodys, schema.ReasonInvalidPIN)},
	} {
		b.Run(pair.name, func(b *testing.B) { t.compare(b, pair.first, pair.other) })
	}
}

func newTiming(b *testing.B) *timing {
	b.Helper()
	t := &timing{B: b, db: testenv.Client(b), at: time.Now()}
	t.Service = access.New(access.Config{DB: t.db, Log: testenv.Logger(b), Send: func(access.Letter) {},
		Now: func() time.Time { return t.at }})
	return t
}

// house makes an organization, and has its owner ask from now on. It returns what asks there.
func (t *timing) house(name string) *timing {
	t.Helper()
	org, desk, err := t.CreateOrganization(actor.NewContext(t.Context(), actor.System("bench")),
		access.CreateOrganizationInput{Name: name, AdminName: "Front desk", AdminEmail: "desk@" + name + ".example"})
	t.must(err)
	t.admin = actor.NewContext(t.Context(), actor.User(org.ID, desk.ID, actor.RoleOwner))
	t.desk = desk.ID
	there := *t
	return &there
}

func (t *timing) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tokens are the secrets of one that is revoked, and of one that there is not.
func (t *timing) tokens() (revoked, removed string) {
	t.Helper()
	var made [2]*access.CreateAPITokenPayload
	for i := range made {
		var err error
		made[i], err = t.CreateAPIToken(t.admin, access.CreateAPITokenInput{Name: "CI"})
		t.must(err)
	}
	_, err := t.RevokeAPIToken(t.admin, access.RevokeAPITokenInput{ID: made[0].Token.ID})
	t.must(err)
	t.must(t.db.APIToken.DeleteOneID(made[1].Token.ID).Exec(t.admin))
	return made[0].Secret, made[1].Secret
}

func (t *timing) door(name string) typeid.Door {
	t.Helper()
	site, err := t.CreateSite(t.admin, access.CreateSiteInput{Name: "Quay " + name, TimeZone: "UTC"})
	t.must(err)
	made, err := t.CreateDoor(t.admin, access.CreateDoorInput{SiteID: site.Site.ID, Name: name})
	t.must(err)
	return made.Door.ID
}

func (t *timing) key() typeid.Key {
	t.Helper()
	made, err := t.GrantKey(t.admin,
		access.GrantKeyInput{UserID: t.desk, DoorIDs: []typeid.Door{t.door("Cellar")}})
	t.must(err)
	return made.Key.ID
}

// endedLink is the secret of a link to a key that was revoked before anybody came.
func (t *timing) endedLink() string {
	t.Helper()
	one := 1
	from, err := t.GrantKey(t.admin, access.GrantKeyInput{UserID: t.desk,
		DoorIDs: []typeid.Door{t.door("Hatch")}, Shares: &one})
	t.must(err)
	shared, err := t.ShareKey(t.admin, access.ShareKeyInput{KeyID: from.Key.ID, Recipient: "guest@example.com"})
	t.must(err)
	_, err = t.RevokeKey(t.admin, access.RevokeKeyInput{ID: shared.Key.ID})
	t.must(err)
	return shared.Link[len(access.LinkPath):]
}

// pins are one in force, one that is guessed first, one that was revoked, and one that is nobody's.
func (t *timing) pins() (taken, weak, revoked, unknown string) {
	t.Helper()
	var drawn [3]*access.CreatePINPayload
	for i := range drawn {
		var err error
		drawn[i], err = t.CreatePIN(t.admin, access.CreatePINInput{UserID: t.desk})
		t.must(err)
	}
	for _, one := range drawn[1:] {
		_, err := t.RevokeCredential(t.admin, access.RevokeCredentialInput{ID: one.Credential.ID})
		t.must(err)
	}
	t.must(t.db.Credential.DeleteOneID(drawn[2].Credential.ID).Exec(t.admin))
	return drawn[0].PIN, "111111", drawn[1].PIN, drawn[2].PIN
}

// The questions. Each is answered with a refusal, which is all that it may be.

func onlyRefused(err error, code access.Code) error {
	if !access.IsCode(err, code) {
		return fmt.Errorf("got %w", err)
	}
	return nil
}

func (t *timing) code(email string) func(int) error {
	return func(n int) error {
		_, err := t.SendSignInCode(t.Context(), email, from(n))
		return err
	}
}

func (t *timing) authenticate(secret string) func(int) error {
	return func(int) error {
		_, err := t.Authenticate(t.Context(), secret)
		return onlyRefused(err, access.CodeUnauthenticated)
	}
}

func (t *timing) redeem(secret string) func(int) error {
	return func(int) error {
		_, err := t.RedeemLink(t.Context(), secret)
		return onlyRefused(err, access.CodeNotFound)
	}
}

func (t *timing) unlock(id typeid.Door) func(int) error {
	return func(int) error {
		_, err := t.UnlockDoor(t.admin, access.UnlockDoorInput{DoorID: id})
		return onlyRefused(err, access.CodeNotFound)
	}
}

func (t *timing) rename(id typeid.Door) func(int) error {
	name := "Barn"
	return func(int) error {
		_, err := t.UpdateDoor(t.admin, access.UpdateDoorInput{ID: id, Name: &name})
		return onlyRefused(err, access.CodeNotFound)
	}
}

func (t *timing) revoke(id typeid.Key) func(int) error {
	return func(int) error {
		_, err := t.RevokeKey(t.admin, access.RevokeKeyInput{ID: id})
		return onlyRefused(err, access.CodeNotFound)
	}
}

func (t *timing) call(id typeid.User) func(int) error {
	name := "Nobody"
	return func(int) error {
		_, err := t.UpdateUser(t.admin, access.UpdateUserInput{ID: id, Name: &name})
		return onlyRefused(err, access.CodeNotFound)
	}
}

func (t *timing) give(pin string) func(int) error {
	return func(int) error {
		_, err := t.CreatePIN(t.admin, access.CreatePINInput{UserID: t.desk, PIN: &pin})
		return onlyRefused(err, access.CodeBadUserInput)
	}
}

// present tells whoever operates the door why not; at the keypad both are no.
func (t *timing) present(at typeid.Door, pin string, why schema.Reason) func(int) error {
	return func(int) error {
		p, err := t.PresentCredential(t.admin, access.PresentCredentialInput{DoorID: at,
			Credential: access.PresentedCredentialInput{PIN: &pin}})
		if err == nil && p.Reason != why {
			err = fmt.Errorf("got %s", p.Reason)
		}
		return err
	}
}

// compare asks both in turns.
func (t *timing) compare(b *testing.B, pair ...func(int) error) {
	b.Helper()
	var took [2][]time.Duration
	for n := 0; b.Loop(); n++ {
		for i := range pair {
			t.at = t.at.Add(2 * access.TryWindow) // no try counts for the next
			which := (n + i) % 2
			begun := time.Now()
			if err := pair[which](n); err != nil {
				b.Fatal(err)
			}
			took[which] = append(took[which], time.Since(begun))
		}
		if n%500 == 0 {
			_, err := t.ForgetSignIns(b.Context())
			t.must(err)
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	one, other := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(float64(one.Microseconds()), "first-µs")
	b.ReportMetric(float64(other.Microseconds()), "second-µs")
	b.ReportMetric(float64((one - other).Abs().Microseconds()), "apart-µs")
}

// from is a network of its own for each number.
func from(n int) access.Client {
	return access.Client{Address: fmt.Sprintf("198.%d.%d.7", 18+n/256%2, n%256)}
}
