package graph_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/session"
)

// provider lets an issuer say who people with an address at example.com are.
func (w *world) provider(issuer string, required bool) *ent.IdentityProvider {
	w.t.Helper()
	made, err := w.access.CreateIdentityProvider(w.admin.ctx, access.CreateIdentityProviderInput{
		Name: "Harbour", Issuer: issuer, Client: "doors", ClientSecret: "secret",
		Domains: []string{"example.com"}, Required: &required})
	must(w.t, err)
	return made.Provider
}

// signInAt begins a session of a person's at a provider.
func (w *world) signInAt(p person, at *ent.IdentityProvider) (person, error) {
	w.t.Helper()
	asked, err := w.access.AskProvider(w.t.Context(), at.ID, "/", access.Client{})
	must(w.t, err)
	answer, err := w.access.TakeProviderAnswer(w.t.Context(), at.ID, asked.State, asked.Nonce)
	must(w.t, err)
	in, err := w.access.ShowIdentity(w.t.Context(), answer, access.Claims{Issuer: at.Issuer,
		Subject: p.user.ID.String(), Email: *p.user.Email, EmailVerified: true}, access.Client{})
	if err != nil {
		return p, err
	}
	by, _ := actor.FromContext(p.ctx)
	p.secret, p.ctx = in.Secret, actor.NewContext(w.t.Context(), by.WithSession(in.Session.ID))
	return p, nil
}

func (w *world) signedInAt(p person, at *ent.IdentityProvider) person {
	w.t.Helper()
	p, err := w.signInAt(p, at)
	must(w.t, err)
	return p
}

func (w *world) signInBy(p person, method session.Method) (*access.SignedIn, error) {
	by, _ := actor.FromContext(p.ctx)
	system := actor.NewContext(w.t.Context(), actor.System("test").Within(by.Organization))
	return w.access.StartSession(system, p.user.ID, method, access.Client{})
}

// Whoever is unbound is signed out where that had signed them in, and nowhere else.
func TestIdentity(t *testing.T) {
	t.Parallel()
	w := setup(t)
	here, there := w.provider("https://id.example.com", false), w.provider("https://id.quay.example", false)
	in, other, byCode := w.signedInAt(w.member, here), w.signedInAt(w.member, there), w.signIn(w.member)
	w.signedInAt(w.member, here)
	w.signedInAt(w.admin, here)
	const read = `{ viewer { user { identities { nodes { id issuer subject createdAt user { id } } } } } }`
	a := w.ask(w.member, read).ok()
	equal(t, len(a.at("viewer.user.identities.nodes").([]any)), 2)
	equal(t, a.text("viewer.user.identities.nodes.0.issuer"), here.Issuer)
	equal(t, a.text("viewer.user.identities.nodes.0.subject"), w.member.user.ID.String())
	equal(t, a.text("viewer.user.identities.nodes.0.user.id"), w.member.user.ID.String())
	id := a.text("viewer.user.identities.nodes.0.id")
	theirs := w.ask(w.admin, read).ok().text("viewer.user.identities.nodes.0.id")
	const node = `query($id: ID!) { node(id: $id) { ... on Identity { issuer } } }`
	equal(t, w.ask(w.admin, node, vars{"id": id}).ok().text("node.issuer"), here.Issuer)
	equal(t, w.ask(w.member, node, vars{"id": theirs}).ok().at("node"), nil)
	equal(t, w.ask(w.stranger, node, vars{"id": id}).ok().at("node"), nil)

	const del = `mutation($id: ID!) { deleteIdentity(input: {id: $id}) { deletedId endedIds } }`
	w.ask(w.stranger, del, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, del, vars{"id": theirs}).refused("NOT_FOUND id")
	w.ask(w.member, del, vars{"id": w.member.user.ID}).refused("BAD_USER_INPUT id")
	a = w.ask(w.admin, del, vars{"id": id}).ok()
	equal(t, a.text("deleteIdentity.deletedId"), id)
	equal(t, len(a.at("deleteIdentity.endedIds").([]any)), 2)
	w.ask(w.admin, del, vars{"id": id}).refused("NOT_FOUND id")
	equal(t, w.ask(in, read).status, http.StatusUnauthorized)
	w.ask(other, read).ok()
	w.ask(byCode, read).ok()
	for kind, want := range map[string]int{"identity.created": 2, "identity.deleted": 1, "session.ended": 2} {
		equal(t, w.db.Event.Query().Where(event.Type(kind), event.UserID(w.member.user.ID)).
			CountX(w.admin.ctx), want)
	}
	w.ask(w.signedInAt(w.member, here), read).ok() // known anew

	w.db.User.UpdateOne(w.member.user).SetRole(actor.RoleGuest).ExecX(w.admin.ctx)
	w.ask(w.member, del, vars{"id": theirs}).refused("FORBIDDEN")
}

// An administrator unbinds no owner, who could not sign in any more where that is required.
func TestIdentitiesOfOwners(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.signedInAt(w.admin, w.provider("https://id.example.com", false))
	id := w.db.Identity.Query().OnlyX(w.admin.ctx).ID
	_, err := w.access.DeleteIdentity(w.administrator(1).ctx, access.DeleteIdentityInput{ID: id})
	if !access.IsCode(err, access.CodeForbidden) {
		t.Error(err)
	}
}

// Once an owner requires a provider, whoever signed in otherwise is out within two seconds, on each node;
// owners go on, and so does who signed in there.
func TestRequiredSignOnEndsSessions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nodes := []*world{w, w.another()}
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	this, that := w.provider("https://id.example.com", false), w.provider("https://id.quay.example", false)
	passkey := w.administrator(4)
	byPasskey, err := w.signInBy(passkey, session.MethodPASSKEY)
	must(t, err)
	passkey.secret = byPasskey.Secret
	out := map[string]person{"code": w.signIn(w.administrator(1)), "passkey": passkey,
		"another provider": w.signedInAt(w.administrator(2), that)}
	stay := map[string]person{"provider": w.signedInAt(w.administrator(3), this),
		"owner": w.signIn(w.admin), "token": w.administrator(5),
		"elsewhere": w.signIn(w.stranger)}
	sockets := map[string][]*client{}
	for name, p := range out {
		for _, n := range nodes {
			c := n.connectAs(p)
			c.start("doors", watch)
			c.expect("doors", "Gate: present")
			sockets[name] = append(sockets[name], c)
		}
	}
	start := time.Now()
	const require = `mutation($id: ID!) { updateIdentityProvider(input: {id: $id, required: true}) {
		provider { required } } }`
	w.ask(stay["owner"], require, vars{"id": this.ID}).ok()
	for name, p := range out {
		for i, n := range nodes {
			equal(t, sockets[name][i].failed("doors"), "UNAUTHENTICATED")
			equal(t, n.ask(p, `{ viewer { user { id } } }`).status, http.StatusUnauthorized)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("they lived on for %s", took)
	}
	for _, p := range stay {
		for _, n := range nodes {
			n.ask(p, `{ viewer { user { id } } }`).ok()
		}
	}
	equal(t, w.db.Event.Query().Where(event.Type("session.ended")).CountX(w.admin.ctx), len(out))
	if _, err := w.signInAt(w.administrator(6), that); !access.IsCode(err, access.CodeUnauthenticated) {
		t.Errorf("at another provider: %v", err)
	}
	w.signedInAt(w.administrator(7), this)
}

// However it comes that a session would not begin any more, it ends.
func TestSessionsThatWouldNotBegin(t *testing.T) {
	t.Parallel()
	no, yes, member := false, true, actor.RoleMember
	const read = `{ viewer { user { id } } }`
	for name, of := range map[string]struct {
		before func(w *world) person
		then   func(w *world, p person) error
	}{
		"a provider that is required from the beginning": {
			func(w *world) person { return w.signIn(w.member) },
			func(w *world, _ person) error { w.provider("https://id.example.com", true); return nil },
		},
		"a required provider that is enabled": {
			func(w *world) person {
				p := w.provider("https://id.example.com", true)
				_, err := w.access.UpdateIdentityProvider(w.admin.ctx,
					access.UpdateIdentityProviderInput{ID: p.ID, Enabled: &no})
				must(w.t, err)
				return w.signIn(w.member)
			},
			func(w *world, _ person) error {
				p := w.db.IdentityProvider.Query().OnlyX(w.admin.ctx)
				_, err := w.access.UpdateIdentityProvider(w.admin.ctx,
					access.UpdateIdentityProviderInput{ID: p.ID, Enabled: &yes})
				return err
			},
		},
		"a provider that is deleted, while another is required": {
			func(w *world) person {
				w.provider("https://id.quay.example", true)
				return w.signedInAt(w.member, w.provider("https://id.example.com", true))
			},
			func(w *world, _ person) error {
				p := w.db.Identity.Query().OnlyX(w.admin.ctx).ProviderID
				_, err := w.access.DeleteIdentityProvider(w.admin.ctx, access.DeleteIdentityProviderInput{ID: p})
				return err
			},
		},
		"an owner who is none any more": {
			func(w *world) person {
				w.provider("https://id.example.com", true)
				owner := actor.RoleOwner
				p := w.administrator(1)
				_, err := w.access.UpdateUser(w.admin.ctx, access.UpdateUserInput{ID: p.user.ID, Role: &owner})
				must(w.t, err)
				return w.signIn(p)
			},
			func(w *world, p person) error {
				_, err := w.access.UpdateUser(w.admin.ctx, access.UpdateUserInput{ID: p.user.ID, Role: &member})
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			p := of.before(w)
			w.ask(p, read).ok()
			must(t, of.then(w, p))
			equal(t, w.ask(p, read).status, http.StatusUnauthorized)
		})
	}
}

// Whoever signs in while a provider becomes required is refused, or signed out again.
func TestSignInWhileItBecomesRequired(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := w.provider("https://id.example.com", false)
	require := func(yes bool) {
		_, err := w.access.UpdateIdentityProvider(w.admin.ctx,
			access.UpdateIdentityProviderInput{ID: p.ID, Required: &yes})
		must(t, err)
	}
	for range 20 {
		ready, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for i := range 8 {
				if _, err := w.signInBy(w.member, session.MethodEMAIL_CODE); err != nil &&
					!access.IsCode(err, access.CodeNotFound) {
					t.Error(err)
				}
				if i == 1 {
					close(ready)
				}
			}
		}()
		<-ready
		require(true)
		<-done
		if n := w.db.Session.Query().Where(w.access.Running()).CountX(w.admin.ctx); n > 0 {
			t.Fatalf("%d sessions go on", n)
		}
		require(false)
	}
}
