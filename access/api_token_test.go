package access_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/user"
)

func TestTokenStandsForItsUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone"})
	must(t, err)
	got, err := b.access.Authenticate(t.Context(), p.Secret)
	must(t, err)
	if want := actor.Token(b.org, p.Token.ID, b.memberID, actor.RoleMember); !got.Equal(want) {
		t.Fatalf("got %+v", got)
	}
	if strings.Contains(p.Token.String(), p.Secret) {
		t.Error("the row shows the secret")
	}
}

func TestTokenIsRefused(t *testing.T) {
	t.Parallel()
	suspended := user.StatusSUSPENDED
	for name, spoil := range map[string]func(*bench, *access.CreateAPITokenPayload){
		"revoked": func(b *bench, p *access.CreateAPITokenPayload) {
			_, err := b.access.RevokeAPIToken(b.admin, access.RevokeAPITokenInput{ID: p.Token.ID})
			must(b.t, err)
		},
		"expired": func(b *bench, _ *access.CreateAPITokenPayload) { b.clock.Advance(365 * 24 * time.Hour) },
		"user suspended": func(b *bench, _ *access.CreateAPITokenPayload) {
			_, err := b.access.UpdateUser(b.admin,
				access.UpdateUserInput{ID: b.memberID, Status: &suspended})
			must(b.t, err)
		},
		"user deleted": func(b *bench, _ *access.CreateAPITokenPayload) {
			_, err := b.access.DeleteUser(b.admin, access.DeleteUserInput{ID: b.memberID})
			must(b.t, err)
		},
		"changed": func(_ *bench, p *access.CreateAPITokenPayload) { p.Secret += "x" },
		"empty":   func(_ *bench, p *access.CreateAPITokenPayload) { p.Secret = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone"})
			must(t, err)
			spoil(b, p)
			_, err = b.access.Authenticate(t.Context(), p.Secret)
			wantCode(t, err, access.CodeUnauthenticated)
		})
	}
}

// TestRevokedIsRefusedAtOnce has many ask at the same time whom tokens stand for, which is found out for
// several of them at once: each gets their own, and nobody by a token that was revoked before they asked.
func TestRevokedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other, err := b.access.CreateAPIToken(b.admin, access.CreateAPITokenInput{Name: "portal"})
	must(t, err)
	for range 5 {
		p, err := b.access.CreateAPIToken(b.member, access.CreateAPITokenInput{Name: "phone"})
		must(t, err)
		var revoked atomic.Bool
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				for over := false; !over; {
					over = revoked.Load()
					who, err := b.access.Authenticate(t.Context(), p.Secret)
					if good := err == nil && who.Token == p.Token.ID && who.User == b.memberID; good && over {
						t.Error("a token is good that was revoked")
					} else if !good && !access.IsCode(err, access.CodeUnauthenticated) {
						t.Errorf("%+v, %v", who, err)
					}
					who, err = b.access.Authenticate(t.Context(), other.Secret)
					if err != nil || who.Token != other.Token.ID || who.User != b.adminID {
						t.Errorf("the other is %+v, %v", who, err)
					}
				}
			})
		}
		_, err = b.access.RevokeAPIToken(b.admin, access.RevokeAPITokenInput{ID: p.Token.ID})
		must(t, err)
		revoked.Store(true)
		all.Wait()
	}
}

func TestMembersMakeTheirOwnTokensOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.access.CreateAPIToken(b.member,
		access.CreateAPITokenInput{Name: "theirs", UserID: &b.adminID})
	wantCode(t, err, access.CodeForbidden)
	theirs, err := b.access.CreateAPIToken(b.admin, access.CreateAPITokenInput{Name: "portal"})
	must(t, err)
	_, err = b.access.RevokeAPIToken(b.member, access.RevokeAPITokenInput{ID: theirs.Token.ID})
	wantCode(t, err, access.CodeNotFound)
}
