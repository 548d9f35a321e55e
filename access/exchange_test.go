package access_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// The verifier and the challenge of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

type (
	credentials = access.ClientCredentials
	tokens      = access.IssuedTokens
)

// consent has somebody let an application act for them, and returns the code.
func (b *bench) consent(ctx context.Context, app *ent.Application) string {
	b.t.Helper()
	code, err := b.access.GiveGrant(ctx, access.GiveGrantInput{
		ApplicationID: app.ID, RedirectURI: home, Challenge: challenge})
	must(b.t, err)
	return code
}

// connected is tokens of an application that acts for somebody.
func (b *bench) connected(
	ctx context.Context, app *ent.Application, c access.ClientCredentials,
) *access.IssuedTokens {
	b.t.Helper()
	issued, err := b.access.RedeemCode(b.t.Context(), c, b.consent(ctx, app), home, verifier)
	must(b.t, err)
	return issued
}

func (b *bench) refresh(c access.ClientCredentials, token string) (*access.IssuedTokens, error) {
	return b.access.RefreshTokens(b.t.Context(), c, token, nil)
}

// speaks says whether an access token speaks for somebody now.
func (b *bench) speaks(secret string) bool {
	b.t.Helper()
	_, err := b.access.Authenticate(b.t.Context(), secret)
	if err != nil {
		wantCode(b.t, err, access.CodeUnauthenticated)
	}
	return err == nil
}

// ended is the reason of the last grant that was revoked.
func (b *bench) ended() string {
	b.t.Helper()
	last := b.lastEvent()
	if last.Type != "grant.revoked" {
		return ""
	}
	var facts struct{ Reason string }
	must(b.t, json.Unmarshal(last.Data, &facts))
	return facts.Reason
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestAnApplicationActsForAPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	b.always()
	tokens := b.connected(b.member, app, c)
	by, err := b.access.Authenticate(t.Context(), tokens.Access)
	must(t, err)
	one := b.db.Grant.Query().OnlyX(b.admin)
	equal(t, by.Kind, actor.KindApplication)
	equal(t, by.ID(), one.ID.String())
	equal(t, by.Application, app.ID)
	equal(t, by.User, b.memberID)
	equal(t, tokens.Lifetime, time.Hour)
	ctx := actor.NewContext(t.Context(), by)
	b.unlock(ctx)
	told := b.lastEvent()
	equal(t, told.ActorKind, actor.KindApplication)
	equal(t, told.ActorID, one.ID.String())
	equal(t, *told.ActorApplicationID, app.ID)
	_, err = b.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "another"})
	wantCode(t, err, access.CodeForbidden)
	visible, err := b.access.VisibleTokens(b.admin)
	must(t, err)
	equal(t, b.db.APIToken.Query().Where(visible).CountX(b.admin), 0)
	hidden := b.db.APIToken.Query().OnlyX(b.admin)
	_, err = b.access.RotateAPIToken(b.admin, access.RotateAPITokenInput{ID: hidden.ID})
	wantCode(t, err, access.CodeNotFound)
	_, err = b.access.RevokeAPIToken(b.admin, access.RevokeAPITokenInput{ID: hidden.ID})
	wantCode(t, err, access.CodeNotFound)
	b.clock.Advance(access.AccessLife)
	equal(t, b.speaks(tokens.Access), false)
	if b.db.Grant.Query().OnlyX(b.admin).LastUsedAt == nil {
		t.Error("that the grant was used is not noted")
	}
}

func TestCodesAreForOneUse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	other, d := b.application("Other")
	ctx := t.Context()
	for name, try := range map[string]func(code string) error{
		"wrong verifier": func(code string) error {
			_, err := b.access.RedeemCode(ctx, c, code, home, strings.Repeat("x", 43))
			return err
		},
		"no verifier": func(code string) error {
			_, err := b.access.RedeemCode(ctx, c, code, home, "")
			return err
		},
		"the challenge as verifier": func(code string) error {
			_, err := b.access.RedeemCode(ctx, c, code, home, challenge)
			return err
		},
		"another redirect URI": func(code string) error {
			_, err := b.access.RedeemCode(ctx, c, code, home+"/", verifier)
			return err
		},
		"code of another application": func(code string) error {
			_, err := b.access.RedeemCode(ctx, d, code, home, verifier)
			return err
		},
		"no code": func(string) error {
			_, err := b.access.RedeemCode(ctx, c, "x", home, verifier)
			return err
		},
	} {
		code := b.consent(b.member, app)
		wantError(t, try(code), access.ErrInvalidGrant)
		if _, err := b.access.RedeemCode(ctx, c, code, home, verifier); err != nil {
			t.Errorf("%s: the code is spoiled for whose it is: %v", name, err)
		}
	}
	late := b.consent(b.member, app)
	b.clock.Advance(access.CodeLife)
	_, err := b.access.RedeemCode(ctx, c, late, home, verifier)
	wantError(t, err, access.ErrInvalidGrant)

	code := b.consent(b.member, app)
	tokens, err := b.access.RedeemCode(ctx, c, code, home, verifier)
	must(t, err)
	_, err = b.access.RedeemCode(ctx, d, code, home, verifier)
	wantError(t, err, access.ErrInvalidGrant)
	equal(t, b.speaks(tokens.Access), true)
	_, err = b.access.RedeemCode(ctx, c, code, home, verifier)
	wantError(t, err, access.ErrInvalidGrant)
	equal(t, b.ended(), "REUSED_CODE")
	equal(t, b.speaks(tokens.Access), false)
	_, err = b.refresh(c, tokens.Refresh)
	wantError(t, err, access.ErrInvalidGrant)
	_ = other
}

// A verifier that could be guessed, or is more than one can be, is none (RFC 7636, 4.1).
func TestVerifiersAreLongEnough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	for length, want := range map[int]error{1: access.ErrInvalidGrant, 42: access.ErrInvalidGrant, 43: nil,
		128: nil, 129: access.ErrInvalidGrant} {
		verifier := strings.Repeat("v", length)
		sum := sha256.Sum256([]byte(verifier))
		code, err := b.access.GiveGrant(b.member, access.GiveGrantInput{ApplicationID: app.ID, RedirectURI: home,
			Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
		must(t, err)
		_, err = b.access.RedeemCode(t.Context(), c, code, home, verifier)
		wantError(t, err, want)
	}
}

func TestOfManyAtOnceOneRedeems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	code := b.consent(b.member, app)
	var all sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for range 8 {
		all.Go(func() {
			_, err := b.access.RedeemCode(t.Context(), c, code, home, verifier)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			} else if !errors.Is(err, access.ErrInvalidGrant) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	equal(t, got, 1)
	equal(t, b.ended(), "REUSED_CODE")
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	_, d := b.application("Other")
	first := b.connected(b.member, app, c)
	unconcerned := b.connected(b.member, app, c)
	_, err := b.refresh(d, first.Refresh)
	wantError(t, err, access.ErrInvalidGrant)
	_, err = b.access.RefreshTokens(t.Context(), c, first.Refresh,
		[]actor.Scope{"doors:read", "users:write"})
	wantError(t, err, access.ErrInvalidScope)
	narrow, err := b.access.RefreshTokens(t.Context(), c, first.Refresh, []actor.Scope{"doors:read"})
	must(t, err)
	equal(t, len(narrow.Scopes), 1)
	by, err := b.access.Authenticate(t.Context(), narrow.Access)
	must(t, err)
	equal(t, len(by.Scopes), 1)
	second, err := b.refresh(c, narrow.Refresh)
	must(t, err)
	equal(t, len(second.Scopes), 3) // the grant is as it was
	_, err = b.refresh(c, first.Refresh)
	wantError(t, err, access.ErrInvalidGrant)
	equal(t, b.ended(), "REUSED_TOKEN")
	for _, secret := range []string{first.Access, narrow.Access, second.Access} {
		equal(t, b.speaks(secret), false)
	}
	_, err = b.refresh(c, second.Refresh)
	wantError(t, err, access.ErrInvalidGrant)
	equal(t, b.speaks(unconcerned.Access), true)
	b.clock.Advance(access.RefreshLife)
	_, err = b.refresh(c, unconcerned.Refresh)
	wantError(t, err, access.ErrInvalidGrant)
}

// However the leave ends that an application has, nothing is left that speaks, and nothing comes anew.
func TestWhatEndsAnApplication(t *testing.T) {
	t.Parallel()
	suspended, yes := user.StatusSUSPENDED, true
	for name, one := range map[string]struct {
		end  func(*bench, *ent.Application, access.ClientCredentials, *access.IssuedTokens) error
		want string // the reason, or "" if the grant stands
		err  error
	}{
		"revoked by the person": {func(b *bench, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := b.access.RevokeGrant(b.member,
				access.RevokeGrantInput{ID: b.db.Grant.Query().OnlyX(b.admin).ID})
			return err
		}, "REQUESTED", access.ErrInvalidGrant},
		"given back": {func(b *bench, _ *ent.Application, c credentials, got *tokens) error {
			return b.access.RevokeIssued(b.t.Context(), c, got.Refresh)
		}, "APPLICATION", access.ErrInvalidGrant},
		"disabled": {func(b *bench, app *ent.Application, _ credentials, _ *tokens) error {
			_, err := b.access.UpdateApplication(b.admin,
				access.UpdateApplicationInput{ID: app.ID, Disabled: &yes})
			return err
		}, "", access.ErrInvalidClient},
		"deleted": {func(b *bench, app *ent.Application, _ credentials, _ *tokens) error {
			_, err := b.access.DeleteApplication(b.admin, access.DeleteApplicationInput{ID: app.ID})
			return err
		}, "", access.ErrInvalidClient},
		"person suspended": {func(b *bench, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := b.access.UpdateUser(b.admin,
				access.UpdateUserInput{ID: b.memberID, Status: &suspended})
			return err
		}, "USER_SUSPENDED", access.ErrInvalidGrant},
		"person deleted": {func(b *bench, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := b.access.DeleteUser(b.admin, access.DeleteUserInput{ID: b.memberID})
			return err
		}, "", access.ErrInvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			app, c := b.application("Voice")
			tokens := b.connected(b.member, app, c)
			waiting := ""
			if name == "disabled" || name == "deleted" {
				waiting = b.consent(b.member, app)
			}
			must(t, one.end(b, app, c, tokens))
			if one.want != "" {
				equal(t, b.ended(), one.want)
			}
			equal(t, b.speaks(tokens.Access), false)
			_, err := b.refresh(c, tokens.Refresh)
			wantError(t, err, one.err)
			if waiting != "" {
				_, err = b.access.RedeemCode(t.Context(), c, waiting, home, verifier)
				wantError(t, err, one.err)
			}
		})
	}
}

func TestEnabledAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	tokens := b.connected(b.member, app, c)
	for _, off := range []bool{true, false} {
		_, err := b.access.UpdateApplication(b.admin,
			access.UpdateApplicationInput{ID: app.ID, Disabled: &off})
		must(t, err)
	}
	equal(t, b.speaks(tokens.Access), false)
	next, err := b.refresh(c, tokens.Refresh)
	must(t, err)
	_, err = b.access.UpdateApplication(b.admin, access.UpdateApplicationInput{ID: app.ID,
		Scopes: []actor.Scope{"doors:read", "keys:read"}})
	must(t, err)
	equal(t, b.speaks(next.Access), false)
	last, err := b.refresh(c, next.Refresh)
	must(t, err)
	equal(t, len(last.Scopes), 1) // what was agreed to, of what it may still ask for
}

func TestClientSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	if !strings.HasPrefix(c.Secret, "cardea_app_") {
		t.Error("the secret has no prefix that scanners know")
	}
	tokens := b.connected(b.member, app, c)
	for _, bad := range []access.ClientCredentials{
		{ID: c.ID}, {ID: c.ID, Secret: c.Secret[:len(c.Secret)-1] + "x"}, {Secret: c.Secret},
		{ID: typeid.New[typeid.Application]().String(), Secret: c.Secret}, {ID: "x"},
	} {
		_, err := b.refresh(bad, tokens.Refresh)
		wantError(t, err, access.ErrInvalidClient)
		wantError(t, b.access.RevokeIssued(t.Context(), bad, tokens.Refresh), access.ErrInvalidClient)
	}
	overlap := 60
	rotated, err := b.access.RotateApplicationSecret(b.admin,
		access.RotateApplicationSecretInput{ID: app.ID, OverlapSeconds: &overlap})
	must(t, err)
	equal(t, b.lastEvent().Type, "application.secret_rotated")
	if tokens, err = b.refresh(c, tokens.Refresh); err != nil {
		t.Errorf("the old secret is not good within the overlap: %v", err)
	}
	b.clock.Advance(time.Minute)
	_, err = b.refresh(c, tokens.Refresh)
	wantError(t, err, access.ErrInvalidClient)
	c.Secret = rotated.Secret
	if _, err = b.refresh(c, tokens.Refresh); err != nil {
		t.Error(err)
	}

	in := newApplication("Phone")
	in.Type = application.TypePUBLIC
	made, err := b.access.CreateApplication(b.admin, in)
	must(t, err)
	equal(t, made.Secret, "")
	phone := access.ClientCredentials{ID: made.Application.ID.String()}
	b.connected(b.member, made.Application, phone)
	_, err = b.access.OwnToken(t.Context(), phone, nil)
	wantError(t, err, access.ErrUnauthorizedClient)
	_, err = b.access.RotateApplicationSecret(b.admin,
		access.RotateApplicationSecretInput{ID: made.Application.ID})
	wantCode(t, err, access.CodeConflict)
}

func TestAnApplicationActsByItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Night patrol")
	ctx := t.Context()
	_, err := b.access.OwnToken(ctx, c, nil)
	wantError(t, err, access.ErrUnauthorizedClient)
	_, err = b.access.UpdateApplication(b.admin,
		access.UpdateApplicationInput{ID: app.ID, ActsForID: &b.memberID})
	must(t, err)
	one, err := b.access.OwnToken(ctx, c, []actor.Scope{"doors:read"})
	must(t, err)
	two, err := b.access.OwnToken(ctx, c, nil)
	must(t, err)
	equal(t, one.Refresh+two.Refresh, "")
	equal(t, b.speaks(one.Access) && b.speaks(two.Access), true)
	by, err := b.access.Authenticate(ctx, two.Access)
	must(t, err)
	equal(t, by.User, b.memberID)
	_, err = b.access.OwnToken(ctx, c, []actor.Scope{"users:write"})
	wantError(t, err, access.ErrInvalidScope)
	_, err = b.access.UpdateApplication(b.admin,
		access.UpdateApplicationInput{ID: app.ID, ActsForID: &b.adminID})
	must(t, err)
	equal(t, b.speaks(one.Access) || b.speaks(two.Access), false)
	three, err := b.access.OwnToken(ctx, c, nil)
	must(t, err)
	_, err = b.access.UpdateApplication(b.admin,
		access.UpdateApplicationInput{ID: app.ID, ClearActsFor: true})
	must(t, err)
	equal(t, b.speaks(three.Access), false)
	_, err = b.access.OwnToken(ctx, c, nil)
	wantError(t, err, access.ErrUnauthorizedClient)
}

func TestConsentIsGivenByThePersonAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	tokens := b.connected(b.member, app, c)
	by, err := b.access.Authenticate(t.Context(), tokens.Access)
	must(t, err)
	in := access.GiveGrantInput{ApplicationID: app.ID, RedirectURI: home, Challenge: challenge}
	for _, ctx := range []context.Context{actor.NewContext(t.Context(), by),
		b.tokenOf(b.member, access.CreateAPITokenInput{Name: "portal"}), b.system} {
		_, err := b.access.GiveGrant(ctx, in)
		wantCode(t, err, access.CodeForbidden)
		_, err = b.access.AskConsent(ctx, app.ID, nil)
		wantCode(t, err, access.CodeForbidden)
	}
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	mill, miller, err := b.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Miller", AdminEmail: "mill@example.com"})
	must(t, err)
	stranger := actor.NewContext(t.Context(), actor.User(mill.ID, miller.ID, miller.Role))
	_, err = b.access.GiveGrant(stranger, in)
	wantCode(t, err, access.CodeNotFound)
	_, err = b.access.AskConsent(stranger, app.ID, nil)
	wantCode(t, err, access.CodeNotFound)
	for name, bad := range map[string]access.GiveGrantInput{
		"plain":        {ApplicationID: app.ID, RedirectURI: home, Challenge: verifier + "x"},
		"no challenge": {ApplicationID: app.ID, RedirectURI: home},
		"elsewhere":    {ApplicationID: app.ID, RedirectURI: home + "x", Challenge: challenge},
		"another scope": {ApplicationID: app.ID, RedirectURI: home, Challenge: challenge,
			Scopes: []actor.Scope{"users:write"}},
		"unseen site": {ApplicationID: app.ID, RedirectURI: home, Challenge: challenge,
			SiteIDs: []typeid.Site{b.site.ID}},
	} {
		if code, err := b.access.GiveGrant(b.member, bad); err == nil {
			t.Errorf("%s: %s", name, code)
		}
	}
	b.always()
	in.SiteIDs = []typeid.Site{b.site.ID}
	code, err := b.access.GiveGrant(b.member, in)
	must(t, err)
	tokens, err = b.access.RedeemCode(t.Context(), c, code, home, verifier)
	must(t, err)
	by, err = b.access.Authenticate(t.Context(), tokens.Access)
	must(t, err)
	equal(t, by.Confined && len(by.Sites) == 1, true)
	suspended := user.StatusSUSPENDED
	_, err = b.access.UpdateUser(b.admin, access.UpdateUserInput{ID: b.memberID, Status: &suspended})
	must(t, err)
	_, err = b.access.GiveGrant(b.member, in)
	wantCode(t, err, access.CodeNotFound)
}

func TestForgetIssued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app, c := b.application("Voice")
	tokens := b.connected(b.member, app, c)
	b.clock.Advance(23 * time.Hour)
	if n, err := b.access.ForgetIssued(t.Context()); n != 0 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	tokens, err := b.refresh(c, tokens.Refresh)
	must(t, err)
	b.clock.Advance(3 * time.Hour)
	if n, err := b.access.ForgetIssued(t.Context()); n != 2 || err != nil { // a code and an access token
		t.Errorf("forgot %d, %v", n, err)
	}
	if _, err = b.refresh(c, tokens.Refresh); err != nil {
		t.Error(err)
	}
	equal(t, b.db.Grant.Query().Where(grant.RevokedAtIsNil()).CountX(b.admin), 1)
}
