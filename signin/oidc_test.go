package signin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/internal/testenv/chromium"
	"github.com/cardea/cardea/signin"
)

// provider lets an issuer say who people are.
func (w *world) provider(in access.CreateIdentityProviderInput) *ent.IdentityProvider {
	w.t.Helper()
	in.Name, in.Client, in.ClientSecret = "Harbour ID", "doors", "secret"
	made, err := w.access.CreateIdentityProvider(w.asOwner(), in)
	must(w.t, err)
	return made.Provider
}

// member makes a user.
func (w *world) member(email string) *ent.User {
	w.t.Helper()
	made, err := w.access.CreateUser(w.asOwner(), access.CreateUserInput{Name: "Night shift", Email: email})
	must(w.t, err)
	return made.User
}

// realProvider is an OpenID provider that others wrote, as its examples set it up. It knows
// test-user@zitadel.ch.
func (w *world) realProvider(more access.CreateIdentityProviderInput) *ent.IdentityProvider {
	w.t.Helper()
	var handler http.Handler
	op := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(op.Close)
	issuer := strings.Replace(op.URL, "127.0.0.1", "localhost", 1)
	more.Issuer = issuer + "/"
	p := w.provider(more)
	registering.Lock()
	defer registering.Unlock()
	client := storage.WebClient("doors", "secret", w.access.RedirectURL(p.ID))
	storage.RegisterClients(client)
	handler = exampleop.SetupServer(more.Issuer, storage.NewStorage(storage.NewUserStore(more.Issuer)),
		testenv.Logger(w.t), false)
	return p
}

// registering guards the examples' list of clients, which is one for all.
var registering sync.Mutex

// A real browser goes to a provider that others wrote, signs in there, and comes back signed in: as the
// user who has the address, the first time, and as the same user from then on, whatever the address.
func TestSignInAtARealProvider(t *testing.T) {
	w := setup(t)
	known := w.member("test-user@zitadel.ch")
	p := w.realProvider(access.CreateIdentityProviderInput{Domains: []string{"zitadel.ch"}})
	page := chromium.Open(t).Page()
	through := func() {
		t.Helper()
		page.Go(w.public + "/sign-in?next=%2Fsign-in%2Fpasskeys")
		page.Fill("#email", "anybody@zitadel.ch")
		page.Press("Send me a code")
		page.Shows("For Harbour <1>, at " + p.Issuer)
		page.Press("Go on with Harbour ID")
		page.Wait("location.pathname.startsWith('/login') || location.pathname === '/sign-in/passkeys'")
		page.Fill("#username", "test-user@localhost")
		page.Fill("#password", "verysecure")
		page.Eval("document.querySelector('button[type=submit]').click()", nil)
		page.At("/sign-in/passkeys")
	}
	through()
	is := page.Cookies()[session]
	if got := w.as(is.Value); got != "you are "+known.ID.String() || is.SameSite != "Lax" || !is.HTTPOnly {
		t.Errorf("%s, %+v", got, is)
	}
	if made := w.told("session.created"); len(made) != 1 || !strings.Contains(made[0], "OIDC") {
		t.Errorf("events %v", made)
	}
	if left := page.Cookies()["__Host-cardea-provider"]; left.Value != "" {
		t.Errorf("kept %+v", left)
	}
	_, err := w.access.UpdateUser(w.asOwner(), access.UpdateUserInput{ID: known.ID, Email: new("night@example.com")})
	must(t, err)
	page.Go(w.public + "/sign-out")
	page.Press("Sign out of this browser")
	page.Shows("You are signed out")
	through()
	if got := w.as(page.Cookies()[session].Value); got != "you are "+known.ID.String() {
		t.Error(got)
	}
}

// hostile is a provider that says what a test has it say.
type hostile struct {
	*httptest.Server
	t      *testing.T
	named  bool // names itself in answers
	mu     sync.Mutex
	codes  map[string]url.Values // what was asked for, by the code given for it
	key    *rsa.PrivateKey
	id     string // of the key
	asked  int    // how often a code was traded
	told   int    // how often it was asked of itself
	shown  int    // how often it was asked for its keys
	claims func(map[string]any)
	sign   func(payload []byte) string
	person map[string]any // what it says when it is asked for user info; nil: it is not offered
	leads  string         // where it says that browsers go; "": its own page
	moved  string         // where it sends whoever asks it of itself; "": nowhere
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	h := &hostile{t: t, key: key, id: "k", codes: map[string]url.Values{}, claims: func(map[string]any) {}}
	h.sign = func(payload []byte) string { return h.signed(jose.RS256, h.key, payload) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", h.discovery)
	mux.HandleFunc("GET /keys", h.keys)
	mux.HandleFunc("POST /token", h.token)
	mux.HandleFunc("GET /person", h.userInfo)
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

func (h *hostile) signed(alg jose.SignatureAlgorithm, key any, payload []byte) string {
	h.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
		(&jose.SignerOptions{}).WithHeader("kid", h.id))
	must(h.t, err)
	jws, err := signer.Sign(payload)
	must(h.t, err)
	text, err := jws.CompactSerialize()
	must(h.t, err)
	return text
}

func (h *hostile) keys(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shown++
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: h.key.Public(), KeyID: h.id, Algorithm: "RS256", Use: "sig"}}})
}

// rotates has it sign with another key from now on.
func (h *hostile) rotates(id string) {
	h.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(h.t, err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key, h.id = key, id
}

// counted is how often it was asked of itself, and for its keys.
func (h *hostile) counted() [2]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return [2]int{h.told, h.shown}
}

func (h *hostile) discovery(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told++
	if h.moved != "" {
		http.Redirect(w, r, h.moved, http.StatusFound)
		return
	}
	said := map[string]any{
		"issuer": h.URL, "authorization_endpoint": h.URL + "/authorize", "token_endpoint": h.URL + "/token",
		"jwks_uri": h.URL + "/keys", "authorization_response_iss_parameter_supported": h.named,
		"id_token_signing_alg_values_supported": []string{"RS256", "RS512", "HS256", "none"},
	}
	if h.person != nil {
		said["userinfo_endpoint"] = h.URL + "/person"
	}
	if h.leads != "" {
		said["authorization_endpoint"] = h.leads
	}
	_ = json.NewEncoder(w).Encode(said)
}

func (h *hostile) userInfo(w http.ResponseWriter, _ *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h.person)
}

// token trades a code, once, to whoever proves to have asked for it.
func (h *hostile) token(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	asked, ok := h.codes[r.PostFormValue("code")]
	delete(h.codes, r.PostFormValue("code"))
	client, secret, _ := r.BasicAuth()
	proof := asS256(r.PostFormValue("code_verifier"))
	if !ok || client != "doors" || secret != "secret" || proof != asked.Get("code_challenge") ||
		r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") {
		http.Error(w, `{"error": "invalid_grant"}`, http.StatusBadRequest)
		return
	}
	claims := map[string]any{"iss": h.URL, "sub": "7", "aud": "doors", "nonce": asked.Get("nonce"),
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"email": "night@example.com", "email_verified": true, "name": "Night shift"}
	h.claims(claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "x", "token_type": "Bearer", "id_token": h.sign(payload)})
}

// leave sends a browser to the provider, and returns what it is asked with there.
func (b *browser) leave(p *ent.IdentityProvider) url.Values {
	b.t.Helper()
	a := b.submit("/sign-in/oidc/"+p.ID.String(), url.Values{"next": {"/doors"}})
	to := regexp.MustCompile(`<a href="([^"]+)">Go on`).FindStringSubmatch(a.body)
	if a.StatusCode != http.StatusOK || to == nil {
		b.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	u, err := url.Parse(html.UnescapeString(to[1]))
	must(b.t, err)
	if !strings.HasPrefix(u.String(), p.Issuer+"/authorize?") ||
		!strings.Contains(a.body, `http-equiv="refresh"`) {
		b.t.Fatalf("sent to %s\n%s", u, a.body)
	}
	return u.Query()
}

// grant is a code of the provider's for what it was asked.
func (h *hostile) grant(asked url.Values) url.Values {
	h.mu.Lock()
	defer h.mu.Unlock()
	code := rand.Text()
	h.codes[code] = asked
	back := url.Values{"code": {code}, "state": {asked.Get("state")}}
	if h.named {
		back.Set("iss", h.URL)
	}
	return back
}

// back brings a browser back from a provider.
func (b *browser) back(p *ent.IdentityProvider, with url.Values) answer {
	b.t.Helper()
	return b.do(http.MethodGet, "/sign-in/oidc/"+p.ID.String()+"/callback?"+with.Encode(), "", "",
		"Sec-Fetch-Site", "cross-site")
}

// visit is a way to the hostile provider and back, before it is spoilt.
type visit struct {
	*browser
	h     *hostile
	p     *ent.IdentityProvider
	known *ent.User
	asked url.Values
	with  url.Values
}

func newVisit(t *testing.T) *visit {
	t.Helper()
	w, h := setup(t), newHostile(t)
	v := &visit{browser: w.browser(), h: h, known: w.member("night@example.com")}
	v.p = w.provider(access.CreateIdentityProviderInput{Issuer: h.URL, Domains: []string{"example.com"}})
	v.asked = v.leave(v.p)
	v.with = h.grant(v.asked)
	return v
}

func TestSignInAtAProvider(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	for name, want := range map[string]string{
		"client_id": "doors", "response_type": "code", "scope": "openid email profile",
		"code_challenge_method": "S256", "redirect_uri": v.public + "/sign-in/oidc/" + v.p.ID.String() + "/callback",
	} {
		if got := v.asked.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	v.cookies[session] = &http.Cookie{Name: session, Value: "cardeasession_" + strings.Repeat("A", 36)}
	a := v.back(v.p, v.with)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/doors" {
		t.Fatalf("%d %s %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	if got := v.as(v.cookies[session].Value); got != "you are "+v.known.ID.String() {
		t.Error(got)
	}
	if len(v.cookies) != 1 {
		t.Errorf("cookies %v", v.cookies)
	}
}

// Whatever is wrong with what a provider or a browser brings, nobody is signed in.
func TestProviderIsRefused(t *testing.T) {
	t.Parallel()
	says := func(name string, value any) func(*visit) {
		return func(v *visit) { v.h.claims = func(c map[string]any) { c[name] = value } }
	}
	known := func(email string) func(*visit) { // here, though the provider may not vouch for them
		return func(v *visit) { v.world.member(email); says("email", email)(v) }
	}
	asksAgain := func(person map[string]any) func(*visit) { // what the token does not say
		return func(v *visit) {
			v.h.person = person
			says("email_verified", nil)(v)
			v.later.Store(int64(10 * time.Minute)) // or what it said before would hold
		}
	}
	signs := func(with func(v *visit, payload []byte) string) func(*visit) {
		return func(v *visit) { v.h.sign = func(payload []byte) string { return with(v, payload) } }
	}
	disabled := false
	for name, spoil := range map[string]func(*visit){
		"alg none": signs(func(_ *visit, payload []byte) string {
			return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + "."
		}),
		"HS256 with the public key, DER": signs(func(v *visit, payload []byte) string {
			return v.h.signed(jose.HS256, x509.MarshalPKCS1PublicKey(&v.h.key.PublicKey), payload)
		}),
		"HS256 with the public key, PEM": signs(func(v *visit, payload []byte) string {
			der, err := x509.MarshalPKIXPublicKey(&v.h.key.PublicKey)
			must(v.t, err)
			return v.h.signed(jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), payload)
		}),
		"HS256 with the client secret": signs(func(v *visit, payload []byte) string {
			return v.h.signed(jose.HS256, []byte(strings.Repeat("secret", 8)), payload)
		}),
		"another key": signs(func(v *visit, payload []byte) string {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			must(v.t, err)
			return v.h.signed(jose.RS256, key, payload)
		}),
		"an algorithm that is not on the list": signs(func(v *visit, payload []byte) string {
			return v.h.signed(jose.RS512, v.h.key, payload)
		}),
		"no token":                 signs(func(*visit, []byte) string { return "" }),
		"another audience":         says("aud", "other"),
		"several audiences":        says("aud", []string{"doors", "other"}),
		"another authorized":       says("azp", "other"),
		"another issuer":           says("iss", "https://elsewhere.example.com"),
		"another nonce":            says("nonce", "other"),
		"no nonce":                 says("nonce", ""),
		"expired":                  says("exp", time.Now().Add(-time.Minute).Unix()),
		"issued long ago":          says("iat", time.Now().Add(-time.Hour).Unix()),
		"no subject":               says("sub", ""),
		"e-mail not verified":      says("email_verified", false),
		"e-mail hardly verified":   says("email_verified", "no"),
		"no e-mail":                says("email", ""),
		"a domain not listed":      known("night@elsewhere.example"),
		"a domain below":           known("night@below.example.com"),
		"a domain that ends alike": known("night@notexample.com"),
		"two at signs":             says("email", "night@elsewhere.example@example.com"),
		"user info of somebody else": asksAgain(map[string]any{
			"sub": "8", "email": "night@example.com", "email_verified": true}),
		"user info not verified": asksAgain(map[string]any{"sub": "7", "email": "night@example.com"}),
		"not a customer's domain": func(v *visit) {
			v.h.claims = func(c map[string]any) { c["email_verified"], c["xms_edov"] = nil, false }
		},
		"nobody who is known": says("email", "nobody@example.com"),
		"later":               func(v *visit) { v.ahead.Store(int64(access.ProviderWindow)) },
		"another state": func(v *visit) {
			v.with.Set("state", v.leave(v.p).Get("state"))
			delete(v.cookies, providerCookie)
		},
		"a state of nobody's":     func(v *visit) { v.with.Set("state", "cardeastate_"+strings.Repeat("0", 36)) },
		"no state":                func(v *visit) { v.with.Del("state") },
		"state twice":             func(v *visit) { v.with.Add("state", "x") },
		"another browser":         func(v *visit) { v.cookies = v.world.browser().cookies },
		"another browser's nonce": func(v *visit) { b := v.world.browser(); b.leave(v.p); v.cookies = b.cookies },
		"another code":            func(v *visit) { v.with.Set("code", "x") },
		"no code":                 func(v *visit) { v.with.Del("code") },
		"a code of another request": func(v *visit) {
			v.with.Set("code", v.h.grant(v.world.browser().leave(v.p)).Get("code"))
		},
		"an answer of another issuer": func(v *visit) { v.with.Set("iss", "https://elsewhere.example.com") },
		"no issuer, though promised": func(v *visit) {
			v.h.named = true
			v.later.Store(int64(10 * time.Minute)) // or what it said before would hold
		},
		"refused there": func(v *visit) { v.with.Set("error", "access_denied") },
		"another provider of the organization": func(v *visit) {
			v.p = v.provider(access.CreateIdentityProviderInput{
				Issuer: newHostile(v.t).URL, Domains: []string{"example.com"}})
		},
		"a provider of another organization": func(v *visit) {
			var err error
			v.org, v.desk, err = v.access.CreateOrganization(v.everywhere(), access.CreateOrganizationInput{
				Name: "Mill", AdminName: "Owner", AdminEmail: "owner@example.com"})
			must(v.t, err)
			v.p = v.provider(access.CreateIdentityProviderInput{Issuer: v.h.URL, Domains: []string{"example.com"}})
		},
		"provider disabled": func(v *visit) { v.change(access.UpdateIdentityProviderInput{Enabled: &disabled}) },
		"domain taken away": func(v *visit) {
			v.change(access.UpdateIdentityProviderInput{Domains: []string{"quay.example"}})
		},
		"user suspended": func(v *visit) {
			suspended := user.StatusSUSPENDED
			_, err := v.access.UpdateUser(v.asOwner(), access.UpdateUserInput{ID: v.known.ID, Status: &suspended})
			must(v.t, err)
		},
		"the address is somebody else's by now": func(v *visit) {
			if a := v.back(v.p, v.with); a.StatusCode != http.StatusSeeOther {
				v.t.Fatalf("%d %s", a.StatusCode, a.body)
			}
			v.submit("/sign-out", nil)
			v.with = v.h.grant(v.leave(v.p))
			says("sub", "8")(v)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVisit(t)
			spoil(v)
			before := len(v.told("session.created"))
			a := v.back(v.p, v.with)
			if a.StatusCode != http.StatusUnprocessableEntity || v.cookies[session] != nil ||
				len(v.told("session.created")) != before {
				t.Errorf("%d %s, cookies %v", a.StatusCode, a.body, v.cookies)
			}
			if strings.Contains(a.body, "example.com") || strings.Contains(a.body, "suspended") {
				t.Errorf("it says why: %s", a.body)
			}
		})
	}
}

const providerCookie = "__Host-cardea-provider"

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func asS256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return encode(sum[:])
}

// asOwner is whoever sets up how people sign in.
func (w *world) asOwner() context.Context {
	return actor.NewContext(w.t.Context(), actor.User(w.org.ID, w.desk.ID, actor.RoleOwner))
}

func (v *visit) change(in access.UpdateIdentityProviderInput) {
	v.t.Helper()
	in.ID = v.p.ID
	_, err := v.access.UpdateIdentityProvider(v.asOwner(), in)
	must(v.t, err)
}

// What came back once does not come back again, and the provider is not even asked.
func TestProviderAnswersOnce(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	kept := *v.cookies[providerCookie]
	if a := v.back(v.p, v.with); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	v.cookies = map[string]*http.Cookie{kept.Name: &kept}
	v.h.grant(v.asked)
	if a := v.back(v.p, v.with); a.StatusCode != http.StatusUnprocessableEntity || v.h.asked != 1 {
		t.Errorf("%d, asked %d times", a.StatusCode, v.h.asked)
	}
	v.with.Set("state", v.leave(v.p).Get("state")) // a new way, an old code
	if a := v.back(v.p, v.with); a.StatusCode != http.StatusUnprocessableEntity || v.cookies[session] != nil {
		t.Errorf("%d", a.StatusCode)
	}
}

// Of many that bring one answer at once, one has the provider asked, and is signed in.
func TestProviderAnswersOneOfMany(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	var signedIn atomic.Int32
	var all sync.WaitGroup
	for range 9 {
		copied := &browser{v.world, maps.Clone(v.cookies)}
		all.Go(func() {
			if copied.back(v.p, v.with).StatusCode == http.StatusSeeOther {
				signedIn.Add(1)
			}
		})
	}
	all.Wait()
	if n := signedIn.Load(); n != 1 || v.h.asked != 1 {
		t.Errorf("%d signed in, asked %d times", n, v.h.asked)
	}
}

// What goes to a provider is another each time, and what the browser can see of it tells neither what the
// code is traded with nor the rest.
func TestProviderIsAskedAnew(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	first, second := v.asked, v.leave(v.p)
	seen := map[string]bool{}
	for _, asked := range []url.Values{first, second} {
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			text := asked.Get(name)
			if len(text) < 43 && name != "state" || len(text) < 30 || seen[text] {
				t.Errorf("%s is %q", name, text)
			}
			seen[text] = true
		}
	}
	for text := range seen {
		if seen[asS256(text)] {
			t.Errorf("the verifier is in the address: %s", text)
		}
	}
}

// What the token does not say is asked for, of the same person; Entra ID says it in words of its own.
func TestProviderSaysMore(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(*hostile){
		"as user info": func(h *hostile) {
			h.person = map[string]any{"sub": "7", "email": "night@example.com", "email_verified": true}
			h.claims = func(c map[string]any) { delete(c, "email"); delete(c, "email_verified") }
		},
		"of a customer's domain": func(h *hostile) {
			h.claims = func(c map[string]any) { delete(c, "email_verified"); c["xms_edov"] = "1" }
		},
	} {
		v := newVisit(t)
		say(v.h)
		v.later.Store(int64(10 * time.Minute))
		if a := v.back(v.p, v.with); a.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// No provider answers for another, and no browser for another, nor uses up its answer.
func TestProviderAnswersForItself(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	other := v.provider(access.CreateIdentityProviderInput{
		Issuer: newHostile(t).URL, Domains: []string{"example.com"}})
	if a := v.back(other, v.with); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	stranger := v.world.browser()
	stranger.leave(v.p)
	if a := stranger.back(v.p, v.with); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := v.back(v.p, v.with); a.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// A provider is asked of itself seldom, and for its keys when it has others: whatever it calls them.
func TestProviderIsRemembered(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	again := func(status, told, shown int) {
		t.Helper()
		if a := v.back(v.p, v.with); a.StatusCode != status {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		if got := v.h.counted(); got != [2]int{told, shown} {
			t.Fatalf("asked of itself and for its keys %d times, not %d and %d", got, told, shown)
		}
		v.cookies = map[string]*http.Cookie{}
		v.with = v.h.grant(v.leave(v.p))
	}
	again(http.StatusSeeOther, 1, 1)
	again(http.StatusSeeOther, 1, 1)
	v.h.rotates("k2")
	again(http.StatusSeeOther, 1, 2)
	v.h.rotates("k2") // another by the same name
	again(http.StatusSeeOther, 1, 3)
	v.later.Store(int64(10 * time.Minute))
	again(http.StatusSeeOther, 2, 4)
	v.h.claims = func(c map[string]any) { c["aud"] = "other" }
	again(http.StatusUnprocessableEntity, 2, 4)
	v.h.claims = func(map[string]any) {}
	again(http.StatusSeeOther, 3, 5)
}

// Who is unknown becomes a member, if that is wanted.
func TestProviderCreatesUsers(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	yes := true
	v.change(access.UpdateIdentityProviderInput{CreateUsers: &yes})
	v.h.claims = func(c map[string]any) { c["email"], c["name"], c["email_verified"] = "New@Example.com", "", "true" }
	if a := v.back(v.p, v.with); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	made := v.db.User.Query().Where(user.Email("new@example.com")).OnlyX(v.everywhere())
	if made.Role != actor.RoleMember || made.Name != "new" || made.OrgID != v.org.ID {
		t.Errorf("made %v", made)
	}
	if got := v.as(v.cookies[session].Value); got != "you are "+made.ID.String() {
		t.Error(got)
	}
	for _, address := range []string{"x@elsewhere.example", "y@example.com"} {
		v.h.claims = func(c map[string]any) {
			c["sub"], c["email"], c["email_verified"] = address, address, address == "x@elsewhere.example"
		}
		v.with = v.h.grant(v.leave(v.p))
		if a := v.back(v.p, v.with); a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", address, a.StatusCode)
		}
	}
	if n := v.db.User.Query().CountX(v.everywhere()); n != 3 {
		t.Errorf("%d users", n)
	}
}

// Where a provider is required, codes sign nobody in but owners, and say so in no other way than to
// somebody who is nobody. Passkeys likewise: both begin sessions in one place.
func TestProviderIsRequired(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	byCode := func(email string) answer {
		t.Helper()
		v.cookies = map[string]*http.Cookie{}
		a := v.submit("/sign-in", url.Values{"email": {email}, "by": {"code"}})
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return v.submit("/sign-in/code", url.Values{"code": {v.code()}})
	}
	if a := byCode("night@example.com"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	yes, no := true, false
	v.change(access.UpdateIdentityProviderInput{Required: &yes})
	if a := byCode("night@example.com"); a.StatusCode != http.StatusUnprocessableEntity || v.cookies[session] != nil {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := byCode("desk@example.com"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("an owner: %d %s", a.StatusCode, a.body)
	}
	_, err := v.access.StartSession(actor.NewContext(t.Context(), actor.System("test").Within(v.org.ID)),
		v.known.ID, "PASSKEY", access.Client{})
	if !access.IsCode(err, access.CodeNotFound) {
		t.Errorf("by a passkey: %v", err)
	}
	v.cookies = map[string]*http.Cookie{}
	if a := v.back(v.p, v.h.grant(v.leave(v.p))); a.StatusCode != http.StatusSeeOther {
		t.Errorf("at the provider: %d %s", a.StatusCode, a.body)
	}
	v.change(access.UpdateIdentityProviderInput{Enabled: &no})
	if a := byCode("night@example.com"); a.StatusCode != http.StatusSeeOther {
		t.Errorf("disabled: %d %s", a.StatusCode, a.body)
	}
}

// Whom a provider has named is nobody once it is disabled, also if the browser was back before.
func TestProviderNamesNobody(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	said := access.Claims{Issuer: v.h.URL, Subject: "7", Email: "night@example.com", EmailVerified: true}
	enter := func(meanwhile func()) error {
		v.cookies = map[string]*http.Cookie{}
		state := v.leave(v.p).Get("state")
		answer, err := v.access.TakeProviderAnswer(t.Context(), v.p.ID, state, v.cookies[providerCookie].Value)
		must(t, err)
		meanwhile()
		_, err = v.access.ShowIdentity(t.Context(), answer, said, access.Client{})
		return err
	}
	must(t, enter(func() {}))
	disable := func() { v.change(access.UpdateIdentityProviderInput{Enabled: new(false)}) }
	if err := enter(disable); !access.IsCode(err, access.CodeUnauthenticated) {
		t.Errorf("it signs in: %v", err)
	}
}

// What is offered depends on the domain alone, and a code is always among it. A provider's own address
// only shows a button: nobody is sent anywhere by a link.
func TestOffers(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	known := v.submit("/sign-in", url.Values{"email": {"night@example.com"}})
	unknown := v.submit("/sign-in", url.Values{"email": {"nobody@example.com"}})
	if same := strings.ReplaceAll(unknown.body, "nobody@", "night@"); same != known.body ||
		!strings.Contains(known.body, "Send me a code") || !strings.Contains(known.body, "Harbour &lt;1&gt;") {
		t.Errorf("%s\n%s", known.body, unknown.body)
	}
	if a := v.submit("/sign-in", url.Values{"email": {"night@quay.example"}}); a.StatusCode != http.StatusSeeOther {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	direct := "/sign-in/oidc/" + v.p.ID.String()
	before := v.db.IdentityRequest.Query().CountX(v.everywhere())
	if a := v.get(direct); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Go on with Harbour ID") ||
		v.db.IdentityRequest.Query().CountX(v.everywhere()) != before {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := v.submit(direct, nil, "Sec-Fetch-Site", "cross-site"); a.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, path := range []string{"/sign-in/oidc/x", "/sign-in/oidc/" + v.org.ID.String()} {
		if a := v.get(path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	no := false
	v.change(access.UpdateIdentityProviderInput{Enabled: &no})
	if a := v.get(direct); a.StatusCode != http.StatusNotFound {
		t.Errorf("disabled: %d", a.StatusCode)
	}
	if a := v.submit(direct, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("disabled: %d", a.StatusCode)
	}
	sealed := v.db.IdentityProvider.Query().Where(identityprovider.ID(v.p.ID)).OnlyX(v.everywhere())
	if strings.Contains(string(sealed.ClientSecret), "secret") {
		t.Error("the secret can be read")
	}
}

// Discovery is no way into the inside network: neither by the issuer's address, nor by its name, nor by
// what it says of itself.
func TestProvidersAreOutside(t *testing.T) {
	t.Parallel()
	w := setup(t)
	strict := access.New(access.Config{DB: w.db, Log: testenv.Logger(t)})
	for _, issuer := range []string{
		"http://127.0.0.1:9998", "https://localhost", "https://10.0.0.1", "https://169.254.169.254/latest",
		"http://id.example.com", "https://id.example.com:6379", "https://id.example.com?x", "https://[::1]",
		"https://user@id.example.com", "ftp://id.example.com", "https://metadata.internal", "id.example.com",
	} {
		_, err := strict.CreateIdentityProvider(w.asOwner(), access.CreateIdentityProviderInput{Name: "Mill",
			Issuer: issuer, Client: "c", ClientSecret: "s", Domains: []string{"example.com"}})
		if !access.IsCode(err, access.CodeBadUserInput) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	// By name: it is let in where it may be inside, and then met by a node where it may not.
	h := newHostile(t)
	p := w.provider(access.CreateIdentityProviderInput{Issuer: h.URL, Domains: []string{"example.com"}})
	pages := signin.New(signin.Config{Access: w.access, Home: "/", Log: testenv.Logger(t)})
	a, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/sign-in/oidc/"+p.ID.String(), nil)
	pages.ServeHTTP(a, r)
	if a.Code != http.StatusUnprocessableEntity || strings.Contains(a.Body.String(), "127.0.0.1") ||
		h.counted()[0] > 0 {
		t.Errorf("%d %s, asked %v", a.Code, a.Body, h.counted())
	}
}

// A provider sends neither us nor a browser where it likes.
func TestProvidersDoNotSendElsewhere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := newHostile(t)
	for name, spoil := range map[string]func(*hostile){
		"us, to another":         func(h *hostile) { h.moved = other.URL + "/.well-known/openid-configuration" },
		"a browser, to a script": func(h *hostile) { h.leads = "javascript:alert(1)//https://id.example.com" },
		"a browser, by file":     func(h *hostile) { h.leads = "file:///etc/passwd" },
	} {
		h := newHostile(t)
		spoil(h)
		p := w.provider(access.CreateIdentityProviderInput{Issuer: h.URL, Domains: []string{"example.com"}})
		a := w.browser().submit("/sign-in/oidc/"+p.ID.String(), nil)
		if a.StatusCode != http.StatusUnprocessableEntity || other.counted()[0] > 0 || h.counted()[0] != 1 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

func TestTriesAtProviders(t *testing.T) {
	t.Parallel()
	v := newVisit(t)
	path := fmt.Sprintf("/sign-in/oidc/%s", v.p.ID)
	for range access.MaxTries - 1 { // and the one of newVisit
		if a := v.submit(path, nil); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if a := v.submit(path, nil); a.StatusCode != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
