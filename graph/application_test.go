package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/user"
)

// The verifier and the challenge of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	back      = "https://voice.example.com/back"
)

type (
	credentials = access.ClientCredentials
	tokens      = access.IssuedTokens
)

// voice makes an application that may ask for so much.
func (w *world) voice(scopes ...actor.Scope) (*ent.Application, access.ClientCredentials) {
	w.t.Helper()
	made, err := w.access.CreateApplication(w.admin.ctx, access.CreateApplicationInput{
		Name: "Voice", Type: application.TypeCONFIDENTIAL, RedirectURIs: []string{back}, Scopes: scopes})
	must(w.t, err)
	return made.Application,
		access.ClientCredentials{ID: made.Application.ID.String(), Secret: made.Secret}
}

// through is a person as an application acts for them.
func (w *world) through(
	app *ent.Application, c access.ClientCredentials, p person,
) (person, *access.IssuedTokens) {
	w.t.Helper()
	by, _ := actor.FromContext(p.ctx)
	signedIn := actor.NewContext(w.t.Context(), actor.User(by.Organization, by.User, by.Role))
	code, err := w.access.GiveGrant(signedIn, access.GiveGrantInput{
		ApplicationID: app.ID, RedirectURI: back, Challenge: challenge})
	must(w.t, err)
	got, err := w.access.RedeemCode(w.t.Context(), c, code, back, verifier)
	must(w.t, err)
	p.secret = got.Access
	return p, got
}

func TestApplication(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const create = `mutation($name: String!, $for: ID) { createApplication(input: {name: $name,
		type: CONFIDENTIAL, redirectUris: ["https://voice.example.com/back"], homepageUrl: "https://voice.example.com",
		scopes: [DOORS_READ, USERS_READ, TOKENS_READ, APPLICATIONS_READ], actsForId: $for}) {
		application { id name type homepageUrl redirectUris scopes actsFor { name } createdBy { name }
			disabledAt previousSecretUntil grants { nodes { byItself } } } secret } }`
	made := w.ask(w.admin, create, vars{"name": "Voice", "for": w.member.user.ID}).ok()
	id, secret := made.text("createApplication.application.id"), made.text("createApplication.secret")
	equal(t, strings.HasPrefix(id, "app_") && strings.HasPrefix(secret, "cardea_app_"), true)
	equal(t, made.text("createApplication.application.actsFor.name"), "Night shift")
	equal(t, made.text("createApplication.application.createdBy.name"), w.admin.user.Name)
	equal(t, made.at("createApplication.application.grants.nodes.0.byItself"), any(true))
	w.ask(w.member, create, vars{"name": "Mine"}).refused("FORBIDDEN")
	w.ask(w.admin, create, vars{"name": "Voice"}).refused("CONFLICT name")
	w.ask(w.stranger, create, vars{"name": "Voice", "for": w.member.user.ID}).refused("NOT_FOUND actsForId")
	w.ask(w.admin, create, vars{"name": ""}).refused("BAD_USER_INPUT name")

	const all = `{ applications { nodes { id name } } }`
	equal(t, w.ask(w.admin, all).ok().text("applications.nodes.0.id"), id)
	equal(t, len(w.ask(w.stranger, all).ok().at("applications.nodes").([]any)), 0)
	equal(t, len(w.ask(w.member, all).ok().at("applications.nodes").([]any)), 1) // acts for them
	const one = `query($id: ID!) { application(id: $id) { name } node(id: $id) { id } }`
	equal(t, w.ask(w.stranger, one, vars{"id": id}).ok().at("application"), nil)
	equal(t, w.ask(w.stranger, one, vars{"id": id}).ok().at("node"), nil)
	equal(t, w.ask(w.admin, one, vars{"id": id}).ok().text("node.id"), id)

	const update = `mutation($id: ID!, $off: Boolean, $uris: [String!]) { updateApplication(input: {id: $id,
		disabled: $off, redirectUris: $uris, clearHomepageUrl: true}) {
		application { disabledAt homepageUrl redirectUris } } }`
	w.ask(w.stranger, update, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, update, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.admin, update, vars{"id": id, "uris": []string{"http://x/"}}).refused("BAD_USER_INPUT redirectUris.0")
	off := w.ask(w.admin, update, vars{"id": id, "off": true}).ok()
	equal(t, off.at("updateApplication.application.disabledAt") != nil, true)
	equal(t, off.at("updateApplication.application.homepageUrl"), nil)
	equal(t, w.ask(w.admin, update, vars{"id": id, "off": false}).ok().
		at("updateApplication.application.disabledAt"), nil)

	const rotate = `mutation($id: ID!, $for: Int) { rotateApplicationSecret(input: {id: $id, overlapSeconds: $for}) {
		application { previousSecretUntil } secret } }`
	w.ask(w.stranger, rotate, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, rotate, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.admin, rotate, vars{"id": id, "for": -1}).refused("BAD_USER_INPUT overlapSeconds")
	equal(t, w.ask(w.admin, rotate, vars{"id": id}).ok().text("rotateApplicationSecret.secret") != secret, true)

	const remove = `mutation($id: ID!) { deleteApplication(input: {id: $id}) { deletedId } }`
	w.ask(w.stranger, remove, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, remove, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, remove, vars{"id": id}).ok().text("deleteApplication.deletedId"), id)
	w.ask(w.admin, remove, vars{"id": id}).refused("NOT_FOUND id")
	equal(t, len(w.ask(w.admin, all).ok().at("applications.nodes").([]any)), 0)
	if logged := w.logged.String(); strings.Contains(logged, secret) {
		t.Error("a secret is logged")
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	w := setup(t)
	app, c := w.voice("doors:read", "users:read", "tokens:read", "applications:read")
	them, _ := w.through(app, c, w.member)
	const read = `{ viewer { user { name } apiToken { id } session { id }
		actor { kind id name user { name } application { name } }
		grant { id user { name } application { name } scopes siteIds byItself lastUsedAt expiresAt revokedAt }
		apiTokens { nodes { name } } grants { nodes { id application { name } } } } }`
	a := w.ask(them, read).ok()
	equal(t, a.text("viewer.actor.kind"), "APPLICATION")
	equal(t, a.text("viewer.actor.name"), "Voice")
	equal(t, a.text("viewer.actor.user.name"), "Night shift")
	equal(t, a.text("viewer.actor.application.name"), "Voice")
	equal(t, a.at("viewer.apiToken"), nil)
	equal(t, a.at("viewer.session"), nil)
	equal(t, a.text("viewer.grant.id"), a.text("viewer.actor.id"))
	equal(t, a.text("viewer.grant.application.name"), "Voice")
	equal(t, len(a.at("viewer.apiTokens.nodes").([]any)), 1) // none of them the application's
	id := a.text("viewer.grant.id")
	equal(t, w.ask(w.member, read).ok().text("viewer.grants.nodes.0.id"), id)
	w.ask(them, `{ keys { nodes { id } } }`).refused("FORBIDDEN")
	w.ask(them, `mutation { createApiToken(input: {name: "another"}) { secret } }`).refused("FORBIDDEN")
	const all = `{ organization { apiTokens(first: 100) { nodes { name } } } }`
	if text := string(w.ask(w.admin, all).ok().raw); strings.Contains(text, "Voice") {
		t.Errorf("access tokens are listed among API tokens: %s", text)
	}

	const revoke = `mutation($id: ID!) { revokeGrant(input: {id: $id}) { grant { revokedAt revokedReason } } }`
	w.ask(w.stranger, revoke, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(them, revoke, vars{"id": id}).refused("FORBIDDEN")
	other, _ := w.through(app, c, w.admin)
	theirs := w.ask(other, read).ok().text("viewer.grant.id")
	w.ask(w.member, revoke, vars{"id": theirs}).refused("NOT_FOUND id")
	equal(t, w.ask(w.member, revoke, vars{"id": id}).ok().text("revokeGrant.grant.revokedReason"), "REQUESTED")
	w.ask(w.member, revoke, vars{"id": id}).ok()
	equal(t, w.ask(them, read).status, 401)
	equal(t, len(w.ask(w.member, read).ok().at("viewer.grants.nodes").([]any)), 0)
	equal(t, w.ask(w.admin, `{ auditLog(first: 1, filter: {types: ["grant.revoked"]}) {
		nodes { data } } }`).ok().text("auditLog.nodes.0.data.reason"), "REQUESTED")
}

// However the leave of an application ends, what lives by it ends within two seconds, and on every node.
func TestEndedGrantEndsEverything(t *testing.T) {
	t.Parallel()
	suspended, yes := user.StatusSUSPENDED, true
	for name, end := range map[string]func(*world, *ent.Application, credentials, *tokens) error{
		"revoked": func(w *world, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := w.access.RevokeGrant(w.member.ctx,
				access.RevokeGrantInput{ID: w.db.Grant.Query().OnlyX(w.admin.ctx).ID})
			return err
		},
		"refresh token used again": func(w *world, _ *ent.Application, c credentials, got *tokens) error {
			_, err := w.access.RefreshTokens(w.t.Context(), c, got.Refresh, nil)
			must(w.t, err)
			_, _ = w.access.RefreshTokens(w.t.Context(), c, got.Refresh, nil)
			return nil
		},
		"access token given back": func(w *world, _ *ent.Application, c credentials, got *tokens) error {
			return w.access.RevokeIssued(w.t.Context(), c, got.Access)
		},
		"application disabled": func(w *world, app *ent.Application, _ credentials, _ *tokens) error {
			_, err := w.access.UpdateApplication(w.admin.ctx,
				access.UpdateApplicationInput{ID: app.ID, Disabled: &yes})
			return err
		},
		"application deleted": func(w *world, app *ent.Application, _ credentials, _ *tokens) error {
			_, err := w.access.DeleteApplication(w.admin.ctx, access.DeleteApplicationInput{ID: app.ID})
			return err
		},
		"person suspended": func(w *world, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := w.access.UpdateUser(w.admin.ctx,
				access.UpdateUserInput{ID: w.member.user.ID, Status: &suspended})
			return err
		},
		"person deleted": func(w *world, _ *ent.Application, _ credentials, _ *tokens) error {
			_, err := w.access.DeleteUser(w.admin.ctx, access.DeleteUserInput{ID: w.member.user.ID})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			there := w.another()
			w.key(w.admin, w.member.user, w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"))
			app, c := w.voice("doors:read", "sites:read", "keys:read")
			p, got := w.through(app, c, w.member)
			here, far := w.connectAs(p), there.connectAs(p)
			for _, one := range []*client{here, far} {
				one.start("s", watch)
				one.expect("s", "Gate: present")
			}
			start := time.Now()
			must(t, end(w, app, c, got))
			equal(t, here.failed("s"), "UNAUTHENTICATED")
			equal(t, far.failed("s"), "UNAUTHENTICATED")
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it lived on for %s", took)
			}
		})
	}
}
