package access_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/typeid"
)

const home = "https://voice.example.com/back"

func newApplication(name string) access.CreateApplicationInput {
	return access.CreateApplicationInput{Name: name, Type: application.TypeCONFIDENTIAL,
		RedirectURIs: []string{home}, Scopes: []actor.Scope{"doors:read", "doors:unlock", "sites:read"}}
}

func (b *bench) application(name string) (*ent.Application, access.ClientCredentials) {
	b.t.Helper()
	made, err := b.access.CreateApplication(b.admin, newApplication(name))
	must(b.t, err)
	return made.Application, access.ClientCredentials{ID: made.Application.ID.String(),
		Secret: made.Secret}
}

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for uri, want := range map[string]string{
		"https://voice.example.com/back":                        "both",
		"https://voice.example.com/back?to=a%2F":                "both",
		"http://127.0.0.1/back":                                 "both",
		"http://[::1]:7/back":                                   "both",
		"http://localhost:7/back":                               "both",
		"com.example.voice:/back":                               "public",
		"voice:/back":                                           "",
		"javascript:alert(1)":                                   "",
		"data:text/html,x.y":                                    "",
		"https://voice.example.com":                             "",
		"https://*.example.com/back":                            "",
		"https://voice.example.com/back#x":                      "",
		"https://voice.example.com/back#":                       "",
		"https://desk@voice.example.com/back":                   "",
		"http://voice.example.com/back":                         "",
		"http://127.0.0.1.example.com/back":                     "",
		"//voice.example.com/back":                              "",
		"/back":                                                 "",
		"https:///back":                                         "",
		`https://voice.example.com\@evil/back`:                  "",
		"https://voice.example.com/ba ck":                       "",
		"https://voice.example.com/" + strings.Repeat("x", 500): "",
	} {
		got := ""
		for kind, counts := range map[application.Type]string{
			application.TypeCONFIDENTIAL: "both", application.TypePUBLIC: "public",
		} {
			in := newApplication("Voice")
			in.Type, in.RedirectURIs = kind, []string{uri}
			made, err := b.access.CreateApplication(b.admin, in)
			if err != nil {
				wantCode(t, err, access.CodeBadUserInput)
				continue
			}
			if got != "both" {
				got = counts
			}
			_, err = b.access.DeleteApplication(b.admin,
				access.DeleteApplicationInput{ID: made.Application.ID})
			must(t, err)
		}
		if got != want {
			t.Errorf("%s is good for %q, want %q", uri, got, want)
		}
	}
}

// Whoever has an application that acts by itself acts for whom it does: nobody gets there who could not
// act for them otherwise.
func TestApplicationsLendNoRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	admin := actor.RoleAdmin
	made, err := b.access.CreateUser(b.admin,
		access.CreateUserInput{Name: "Back office", Email: "back@example.com", Role: &admin})
	must(t, err)
	office := actor.NewContext(t.Context(), actor.User(b.org, made.User.ID, admin))

	for who, ctx := range map[string]context.Context{
		"administrator": office,
		"narrowed token": b.tokenOf(b.admin, access.CreateAPITokenInput{Name: "portal",
			Scopes: []actor.Scope{"applications:write"}}),
		"confined token": b.tokenOf(b.admin, access.CreateAPITokenInput{Name: "portal",
			Addresses: []string{"192.0.2.0/24"}}),
	} {
		in := newApplication("Voice")
		in.ActsForID = &b.adminID // an owner
		_, err := b.access.CreateApplication(ctx, in)
		wantCode(t, err, access.CodeForbidden)

		in.Name = "Voice of " + who
		made, err := b.access.CreateApplication(b.admin, in)
		must(t, err)
		id := made.Application.ID
		_, err = b.access.RotateApplicationSecret(ctx, access.RotateApplicationSecretInput{ID: id})
		wantCode(t, err, access.CodeForbidden)
		_, err = b.access.UpdateApplication(ctx, access.UpdateApplicationInput{ID: id,
			Scopes: []actor.Scope{"users:write"}})
		wantCode(t, err, access.CodeForbidden)
		_, err = b.access.UpdateApplication(ctx, access.UpdateApplicationInput{ID: id,
			ActsForID: &b.adminID})
		wantCode(t, err, access.CodeForbidden)
	}
	for _, scope := range []actor.Scope{"tokens:write", "applications:write", "doors:*", ""} {
		in := newApplication("Voice")
		in.Scopes = []actor.Scope{scope}
		_, err := b.access.CreateApplication(b.admin, in)
		wantCode(t, err, access.CodeBadUserInput)
	}
	if slices.Contains(access.ApplicationScopes(), "tokens:write") {
		t.Error("an application may make tokens, which would outlive its grant")
	}
}

// tokenOf is somebody by a token of theirs, from an address that it is good for.
func (b *bench) tokenOf(ctx context.Context, in access.CreateAPITokenInput) context.Context {
	b.t.Helper()
	made, err := b.access.CreateAPIToken(ctx, in)
	must(b.t, err)
	by, _ := actor.FromContext(ctx)
	who := actor.Token(by.Organization, made.Token.ID, by.User, by.Role).WithScopes(made.Token.Scopes)
	return actor.NewContext(b.t.Context(), who)
}

func TestApplicationInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bad := "http://voice.example.com"
	_, err := b.access.CreateApplication(b.admin, access.CreateApplicationInput{
		Type: application.TypePUBLIC, HomepageURL: &bad, ActsForID: &b.memberID})
	want := "name homepageUrl redirectUris scopes actsForId"
	equal(t, strings.Join(fieldsOf(err), " "), want)
	stranger := typeid.New[typeid.User]()
	in := newApplication("Voice")
	in.ActsForID = &stranger
	_, err = b.access.CreateApplication(b.admin, in)
	equal(t, strings.Join(fieldsOf(err), " "), "actsForId")
	wantCode(t, err, access.CodeNotFound)
	if n := b.db.Application.Query().CountX(b.admin); n != 0 {
		t.Errorf("%d applications were made all the same", n)
	}
}
