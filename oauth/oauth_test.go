package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/oauth"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/signin"
	"github.com/cardea/cardea/typeid"
)

const back = "https://voice.example.com/back?x=1"

// world is a node with the pages, behind the real server, whose /graphql says who asks.
type world struct {
	t      *testing.T
	db     *ent.Client
	access *access.Service
	url    string
	desk   *ent.User
	admin  context.Context //nolint:containedctx // who the tests act as
	app    *ent.Application
	secret string
	letter access.Letter
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: testenv.Client(t)}
	log := testenv.Logger(t)
	w.access = access.New(access.Config{DB: w.db, Log: log,
		Send: func(l access.Letter) { w.letter = l }})
	org, desk, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Harbour <1>", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	w.desk = desk
	w.admin = actor.NewContext(t.Context(), actor.User(org.ID, desk.ID, desk.Role))
	_, err = w.access.CreateSite(w.admin, access.CreateSiteInput{Name: "Quay", TimeZone: "UTC"})
	must(t, err)
	w.app, w.secret = w.application("Voice <2>", application.TypeCONFIDENTIAL, back)
	routes := server.Routes{
		Ready: func(context.Context) error { return nil }, Cookie: signin.Cookie,
		SignIn: signin.New(signin.Config{Access: w.access, Home: "/graphiql", Log: log}),
		OAuth: oauth.New(oauth.Config{Access: w.access, Cookie: signin.Cookie, SignIn: signin.Path,
			SignOut: signin.OutPath, PublicURL: func() string { return w.url }, Log: log}),
		Authenticate: func(ctx context.Context, token string) (actor.Actor, error) {
			by, err := w.access.Authenticate(ctx, token)
			if err != nil {
				err = server.ErrBadToken
			}
			return by, err
		},
		GraphQL: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			by, _ := actor.FromContext(r.Context())
			_, _ = io.WriteString(rw, string(by.Kind)+" for "+by.User.String())
		}),
	}
	s, err := server.New(t.Context(), server.Config{
		Addr: "127.0.0.1:0", Log: log, Registry: prometheus.NewRegistry(), Routes: routes})
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	w.url = "http://" + s.Addr().String()
	return w
}

func (w *world) everywhere() context.Context {
	return actor.NewContext(w.t.Context(), actor.System("test"))
}

func (w *world) application(
	name string, kind application.Type, uris ...string,
) (*ent.Application, string) {
	w.t.Helper()
	made, err := w.access.CreateApplication(w.admin, access.CreateApplicationInput{Name: name,
		Type: kind, RedirectURIs: uris, Scopes: []actor.Scope{"doors:read", "doors:unlock"}})
	must(w.t, err)
	return made.Application, made.Secret
}

// config is a client of golang.org/x/oauth2, which knows nothing of ours.
func (w *world) config() *oauth2.Config {
	return &oauth2.Config{ClientID: w.app.ID.String(), ClientSecret: w.secret, RedirectURL: back,
		Endpoint: oauth2.Endpoint{AuthURL: w.url + "/oauth/authorize", TokenURL: w.url + "/oauth/token"}}
}

// browser keeps the cookie of a session and follows no redirect.
type browser struct {
	*world
	cookies map[string]string
}

// browser is one in which a user is signed in.
func (w *world) browser(of *ent.User) *browser {
	w.t.Helper()
	within := actor.NewContext(w.t.Context(), actor.System("test").Within(of.OrgID))
	in, err := w.access.StartSession(within, of.ID, session.MethodEMAIL_CODE, access.Client{})
	must(w.t, err)
	return &browser{w, map[string]string{signin.Cookie: in.Secret}}
}

type answer struct {
	*http.Response
	body string
}

func (b *browser) do(method, url, body string, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, url, strings.NewReader(body))
	must(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	got, err := client.Do(r)
	must(b.t, err)
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	must(b.t, err)
	for _, c := range got.Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return answer{got, string(text)}
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// decide opens the page that an application sends a browser to, and submits its form.
func (b *browser) decide(page, decision string, more ...string) answer {
	b.t.Helper()
	shown := b.do(http.MethodGet, page, "")
	if shown.StatusCode != http.StatusOK {
		b.t.Fatalf("%d %s %s", shown.StatusCode, shown.Header.Get("Location"), shown.body)
	}
	form := url.Values{"decision": {decision}}
	for _, field := range hidden.FindAllStringSubmatch(shown.body, -1) {
		form.Set(field[1], unescape(field[2]))
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Add(more[i], more[i+1])
	}
	return b.do(http.MethodPost, b.url+"/oauth/authorize", form.Encode(), "Sec-Fetch-Site", "same-origin")
}

func unescape(text string) string {
	return strings.NewReplacer("&#43;", "+", "&amp;", "&", "&#39;", "'", "&#34;", `"`, "&lt;", "<").
		Replace(text)
}

// sentTo is the parameters that a browser was sent on with, to the URI of the application.
func (w *world) sentTo(a answer, uri string) url.Values {
	w.t.Helper()
	to, err := url.Parse(a.Header.Get("Location"))
	must(w.t, err)
	want, err := url.Parse(uri)
	must(w.t, err)
	if a.StatusCode != http.StatusSeeOther || to.Host != want.Host || to.Path != want.Path ||
		to.Scheme != want.Scheme || to.Fragment != "" {
		w.t.Fatalf("%d leads to %s, want %s: %s", a.StatusCode, to, uri, a.body)
	}
	if to.Query().Get("iss") != w.url {
		w.t.Errorf("the issuer is not named: %s", to)
	}
	return to.Query()
}

func (w *world) whoami(client *http.Client) string {
	w.t.Helper()
	got, err := client.Post(w.url+"/graphql", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	must(w.t, err)
	return string(text)
}

func TestARealClient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, verifier := w.config(), oauth2.GenerateVerifier()
	state := "st&te +/=\"'<"
	a := w.browser(w.desk).decide(c.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), "allow")
	to := w.sentTo(a, back)
	if to.Get("state") != state || to.Get("x") != "1" || to.Has("error") {
		t.Errorf("came back with %v", to)
	}
	token, err := c.Exchange(t.Context(), to.Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	if token.Type() != "Bearer" || token.RefreshToken == "" || token.ExpiresIn != 3600 ||
		token.Extra("scope") != "doors:read doors:unlock" {
		t.Errorf("got %+v", token)
	}
	want := "APPLICATION for " + w.desk.ID.String()
	if got := w.whoami(c.Client(t.Context(), token)); got != want {
		t.Errorf("it is %s", got)
	}
	old := *token
	old.Expiry = old.Expiry.AddDate(-1, 0, 0) // as the client sees it
	next, err := c.TokenSource(t.Context(), &old).Token()
	must(t, err)
	if next.RefreshToken == token.RefreshToken || next.AccessToken == token.AccessToken {
		t.Error("the tokens are the same")
	}
	if got := w.whoami(c.Client(t.Context(), next)); got != want {
		t.Errorf("it is %s", got)
	}
	if _, err = c.TokenSource(t.Context(), &old).Token(); !isError(err, "invalid_grant") {
		t.Errorf("a refresh token is good twice: %v", err)
	}
	if got := w.whoami(oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(next))); got == want {
		t.Error("the grant has not ended")
	}

	_, err = w.access.UpdateApplication(w.admin,
		access.UpdateApplicationInput{ID: w.app.ID, ActsForID: &w.desk.ID})
	must(t, err)
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		own := clientcredentials.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret,
			TokenURL: c.Endpoint.TokenURL, Scopes: []string{"doors:read"}, AuthStyle: style}
		if got := w.whoami(own.Client(t.Context())); got != want {
			t.Errorf("it is %s", got)
		}
	}
}

func isError(err error, code string) bool {
	refused, ok := err.(*oauth2.RetrieveError) //nolint:errorlint // as the client returns it
	return ok && refused.ErrorCode == code
}

func TestAPublicClientOnAnyPort(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.app, w.secret = w.application("Phone", application.TypePUBLIC, "http://127.0.0.1/back",
		"com.example.voice:/back")
	for _, uri := range []string{"http://127.0.0.1:49152/back", "com.example.voice:/back"} {
		c, verifier := w.config(), oauth2.GenerateVerifier()
		c.RedirectURL, c.Endpoint.AuthStyle = uri, oauth2.AuthStyleInParams
		a := w.browser(w.desk).decide(c.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "allow")
		_, err := c.Exchange(t.Context(), w.sentTo(a, uri).Get("code"), oauth2.VerifierOption(verifier))
		must(t, err)
	}
}

// The port alone may be another, and only for the addresses of one's own machine: its name may be taken by
// another (RFC 8252, 8.3).
func TestOnlyThePortIsFree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.app, w.secret = w.application("Phone", application.TypePUBLIC, "http://127.0.0.1/back",
		"http://localhost:8080/back")
	for _, uri := range []string{
		"http://localhost:8081/back", "http://localhost/back", "http://127.0.0.1:8081/back/",
		"http://127.0.0.1:8081/other", "http://127.0.0.1:8081/back?x=1", "http://127.0.0.2:8081/back",
		"http://[::1]:8081/back", "https://127.0.0.1:8081/back", "http://user@127.0.0.1:8081/back",
		"http://127.0.0.1.evil.example:8081/back", "http://127.0.0.1:8081@evil.example/back",
	} {
		c := w.config()
		c.RedirectURL = uri
		a := w.browser(w.desk).do(http.MethodGet, c.AuthCodeURL("s", oauth2.S256ChallengeOption("v")), "")
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("%q: %d to %s", uri, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

// Nobody is sent to where nobody has registered.
func TestRedirectsAreExact(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser(w.desk)
	other, _ := w.application("Other", application.TypeCONFIDENTIAL, "https://other.example.com/back")
	for _, uri := range []string{
		"", back + "/", back + "&y=2", back + "#x", back + "#", "https://voice.example.com/back",
		"https://voice.example.com:443/back?x=1", "https://voice.example.com:8443/back?x=1",
		"http://voice.example.com/back?x=1", "https://VOICE.example.com/back?x=1",
		"https://evil.voice.example.com/back?x=1", "https://voice.example.com.evil.example/back?x=1",
		"https://voice.example.com/./back?x=1", "https://voice.example.com/b%61ck?x=1",
		"https://*.example.com/back?x=1", "https://voice.example.com@evil.example/back?x=1",
		"https://other.example.com/back", "javascript:alert(1)", "//voice.example.com/back?x=1",
	} {
		c := w.config()
		c.RedirectURL = uri
		a := b.do(http.MethodGet, c.AuthCodeURL("s", oauth2.S256ChallengeOption("v")), "")
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("%q: %d to %s", uri, a.StatusCode, a.Header.Get("Location"))
		}
	}
	for _, id := range []string{"", "x", typeid.New[typeid.Application]().String(), other.ID.String()} {
		c := w.config()
		c.ClientID = id
		a := b.do(http.MethodGet, c.AuthCodeURL("s", oauth2.S256ChallengeOption("v")), "")
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("client %q: %d to %s", id, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

// What else is wrong with a request, the application is told, with the state that it gave.
func TestWhatApplicationsAreTold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser(w.desk)
	s256 := oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	set := oauth2.SetAuthURLParam
	for name, one := range map[string]struct {
		options []oauth2.AuthCodeOption
		want    string
	}{
		"no PKCE":          {nil, "invalid_request"},
		"plain":            {[]oauth2.AuthCodeOption{s256, set("code_challenge_method", "plain")}, "invalid_request"},
		"method left out":  {[]oauth2.AuthCodeOption{s256, set("code_challenge_method", "")}, "invalid_request"},
		"odd challenge":    {[]oauth2.AuthCodeOption{s256, set("code_challenge", "short")}, "invalid_request"},
		"implicit":         {[]oauth2.AuthCodeOption{s256, set("response_type", "token")}, "unsupported_response_type"},
		"no response type": {[]oauth2.AuthCodeOption{s256, set("response_type", "")}, "invalid_request"},
		"scope of others":  {[]oauth2.AuthCodeOption{s256, set("scope", "doors:read users:write")}, "invalid_scope"},
		"unknown scope":    {[]oauth2.AuthCodeOption{s256, set("scope", "openid")}, "invalid_scope"},
		"endless":          {[]oauth2.AuthCodeOption{s256, set("scope", strings.Repeat("x", 2000))}, "invalid_request"},
	} {
		to := w.sentTo(b.do(http.MethodGet, w.config().AuthCodeURL("the state", one.options...), ""), back)
		if to.Get("error") != one.want || to.Get("state") != "the state" || to.Has("code") {
			t.Errorf("%s: %v", name, to)
		}
	}
	for _, decision := range []string{"deny", "", "ALLOW"} { // nothing but the one word lets it
		denied := w.sentTo(b.decide(w.config().AuthCodeURL("the state", s256), decision), back)
		if denied.Get("error") != "access_denied" || denied.Get("state") != "the state" || denied.Has("code") {
			t.Errorf("denied by %q: %v", decision, denied)
		}
	}
	page := w.config().AuthCodeURL("one", s256) + "&state=two"
	if a := b.do(http.MethodGet, page, ""); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a parameter twice: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if n := w.db.Grant.Query().CountX(w.admin); n != 0 {
		t.Errorf("%d grants were made all the same", n)
	}
}

func TestWhoIsAsked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	page := w.config().AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	shown := w.browser(w.desk).do(http.MethodGet, page, "")
	for _, text := range []string{"Harbour &lt;1&gt;", "Voice &lt;2&gt;", "Front desk", "desk@example.com",
		"Unlock and lock the doors that your keys open", "voice.example.com", "Quay"} {
		if !strings.Contains(shown.body, text) {
			t.Errorf("the page does not say %s: %s", text, shown.body)
		}
	}
	policy := shown.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "script") ||
		!strings.Contains(policy, "form-action 'self' https://voice.example.com;") ||
		shown.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", shown.Header)
	}

	_, miller, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Miller", AdminEmail: "mill@example.com"})
	must(t, err)
	stranger := w.browser(miller).do(http.MethodGet, page, "")
	if stranger.StatusCode != http.StatusForbidden || strings.Contains(stranger.body, "Voice") ||
		strings.Contains(stranger.body, "Harbour") {
		t.Errorf("a stranger: %d %s", stranger.StatusCode, stranger.body)
	}

	nobody := &browser{w, map[string]string{}}
	a := nobody.do(http.MethodGet, page, "")
	in, err := url.Parse(a.Header.Get("Location"))
	must(t, err)
	asked, err := url.Parse(page)
	must(t, err)
	next, err := url.Parse(in.Query().Get("next"))
	must(t, err)
	if a.StatusCode != http.StatusSeeOther || in.Path != signin.Path || in.Host != "" ||
		next.Host != "" || next.Path != "/oauth/authorize" || next.Query().Encode() != asked.Query().Encode() {
		t.Errorf("%d %s", a.StatusCode, in)
	}
	same := []string{"Sec-Fetch-Site", "same-origin"}
	form := url.Values{"email": {"desk@example.com"}, "next": {in.Query().Get("next")}}
	nobody.do(http.MethodPost, w.url+"/sign-in", form.Encode(), same...)
	form = url.Values{"code": {w.letter.Code}, "next": {in.Query().Get("next")}}
	a = nobody.do(http.MethodPost, w.url+"/sign-in/code", form.Encode(), same...)
	if to := a.Header.Get("Location"); to != in.Query().Get("next") {
		t.Fatalf("signing in leads to %s: %s", to, a.body)
	}
	w.sentTo(nobody.decide(w.url+a.Header.Get("Location"), "allow"), back)
}

// A page of another origin can neither press the button nor have it pressed.
func TestConsentIsNotForged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser(w.desk)
	asked, err := url.Parse(w.config().AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	must(t, err)
	form := asked.Query()
	form.Set("decision", "allow")
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		a := b.do(http.MethodPost, w.url+"/oauth/authorize", form.Encode(), headers...)
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%v: %d", headers, a.StatusCode)
		}
	}
	get := b.do(http.MethodGet, w.url+"/oauth/authorize?"+form.Encode(), "")
	if get.StatusCode != http.StatusOK {
		t.Errorf("%d", get.StatusCode)
	}
	suspended := user.StatusSUSPENDED
	deputy := w.deputy()
	_, err = w.access.UpdateUser(w.admin, access.UpdateUserInput{ID: deputy.user.ID, Status: &suspended})
	must(t, err)
	a := deputy.do(http.MethodPost, w.url+"/oauth/authorize", form.Encode(), "Sec-Fetch-Site", "same-origin")
	if to, _ := url.Parse(a.Header.Get("Location")); to == nil || to.Path != signin.Path {
		t.Errorf("somebody suspended: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	token, err := w.access.CreateAPIToken(w.admin, access.CreateAPITokenInput{Name: "CI"})
	must(t, err)
	program := &browser{w, map[string]string{signin.Cookie: token.Secret}}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		a := program.do(method, w.url+"/oauth/authorize?"+asked.RawQuery, "decision=allow",
			"Sec-Fetch-Site", "same-origin")
		if to, _ := url.Parse(a.Header.Get("Location")); a.StatusCode != http.StatusSeeOther || to.Path != signin.Path {
			t.Errorf("a program: %s %d %s", method, a.StatusCode, a.Header.Get("Location"))
		}
	}
	if n := w.db.Grant.Query().CountX(w.admin); n != 0 {
		t.Errorf("%d grants", n)
	}
}

type deputy struct {
	*browser
	user *ent.User
}

func (w *world) deputy() deputy {
	w.t.Helper()
	made, err := w.access.CreateUser(w.admin,
		access.CreateUserInput{Name: "Night shift", Email: "night@example.com"})
	must(w.t, err)
	return deputy{w.browser(made.User), made.User}
}

func TestSitesAreChosen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.db.Site.Query().OnlyX(w.admin)
	b := w.browser(w.desk)
	page := w.config().AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	w.sentTo(b.decide(page, "allow", "confined", "yes", "site", site.ID.String()), back)
	if one := w.db.Grant.Query().OnlyX(w.admin); !slices.Equal(one.SiteIds, []typeid.Site{site.ID}) {
		t.Errorf("confined to %v", one.SiteIds)
	}
	for _, none := range [][]string{{}, {"site", "x"}, {"site", typeid.New[typeid.Site]().String()}} {
		a := b.decide(page, "allow", append([]string{"confined", "yes"}, none...)...)
		if to, _ := url.Parse(a.Header.Get("Location")); to.Query().Has("code") {
			t.Errorf("%v: %s", none, to)
		}
	}
}

// The token endpoint takes forms by POST, and says what RFC 6749, 5.2, says.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nobody := &browser{w, map[string]string{}}
	public, _ := w.application("Phone", application.TypePUBLIC, "http://127.0.0.1/back")
	id, good := w.app.ID.String(), "&client_id="+w.app.ID.String()+"&client_secret="+w.secret
	const (
		own  = "grant_type=client_credentials"
		code = "grant_type=authorization_code"
		next = "grant_type=refresh_token"
	)
	for name, one := range map[string]struct {
		path, body string
		headers    []string
		status     int
		code       string
	}{
		"nothing":   {"token", "", nil, 400, "unsupported_grant_type"},
		"password":  {"token", "grant_type=password&username=x&" + good, nil, 400, "unsupported_grant_type"},
		"no client": {"token", own, nil, 401, "invalid_client"},
		"a secret of none": {"token", own + "&client_secret=x&client_id=" + public.ID.String(), nil, 401,
			"invalid_client"},
		"wrong secret":     {"token", own + "&client_secret=x&client_id=" + id, nil, 401, "invalid_client"},
		"acts for nobody":  {"token", own + good, nil, 400, "unauthorized_client"},
		"no code":          {"token", code + good, nil, 400, "invalid_request"},
		"no verifier":      {"token", code + "&code=x&redirect_uri=y" + good, nil, 400, "invalid_request"},
		"no refresh token": {"token", next + good, nil, 400, "invalid_request"},
		"unknown refresh":  {"token", next + "&refresh_token=x" + good, nil, 400, "invalid_grant"},
		"unknown code": {"token", code + "&code=x&redirect_uri=y&code_verifier=z" + good, nil, 400,
			"invalid_grant"},
		"secret in the URL": {"token?" + good, own, nil, 400, "invalid_request"},
		"said twice":        {"token", own + "&" + next + good, nil, 400, "invalid_request"},
		"two ways": {"token", own + good, []string{"Authorization", "Basic eDp5"}, 400,
			"invalid_request"},
		"JSON":             {"token", "{}", []string{"Content-Type", "application/json"}, 400, "invalid_request"},
		"revoke by nobody": {"revoke", "token=x", nil, 401, "invalid_client"},
		"revoke nothing":   {"revoke", good, nil, 400, "invalid_request"},
	} {
		a := nobody.do(http.MethodPost, w.url+"/oauth/"+one.path, one.body, one.headers...)
		var got struct{ Error string }
		must(t, json.Unmarshal([]byte(a.body), &got))
		if a.StatusCode != one.status || got.Error != one.code || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
		if basic := a.Header.Get("WWW-Authenticate"); (basic != "") != (a.StatusCode == http.StatusUnauthorized) {
			t.Errorf("%s: WWW-Authenticate %q", name, basic)
		}
	}
	a := nobody.do(http.MethodGet, w.url+"/oauth/token?grant_type=client_credentials"+good, "")
	if a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a GET: %d", a.StatusCode)
	}
	if a := nobody.do(http.MethodPost, w.url+"/oauth/revoke", good+"&token=unknown"); a.StatusCode != http.StatusOK {
		t.Errorf("an unknown token: %d", a.StatusCode)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	w := setup(t)
	nobody := &browser{w, map[string]string{}}
	c, verifier := w.config(), oauth2.GenerateVerifier()
	a := w.browser(w.desk).decide(c.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "allow")
	token, err := c.Exchange(t.Context(), w.sentTo(a, back).Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	other, secret := w.application("Other", application.TypeCONFIDENTIAL, back)
	speaks := func() bool {
		_, err := w.access.Authenticate(t.Context(), token.AccessToken)
		return err == nil
	}
	revoke := func(id, secret, token string) {
		form := url.Values{"client_id": {id}, "client_secret": {secret}, "token": {token}}
		if a := nobody.do(http.MethodPost, w.url+"/oauth/revoke", form.Encode()); a.StatusCode != http.StatusOK {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
	revoke(other.ID.String(), secret, token.AccessToken)
	revoke(other.ID.String(), secret, token.RefreshToken)
	if !speaks() {
		t.Error("another application ended it")
	}
	revoke(c.ClientID, c.ClientSecret, token.AccessToken)
	if speaks() {
		t.Error("the access token is good still")
	}
	old := *token
	old.Expiry = old.Expiry.AddDate(-1, 0, 0)
	if token, err = c.TokenSource(t.Context(), &old).Token(); err != nil || !speaks() {
		t.Fatalf("the grant ended with an access token: %v", err)
	}
	revoke(c.ClientID, c.ClientSecret, token.RefreshToken)
	if speaks() {
		t.Error("the grant has not ended")
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := (&browser{w, map[string]string{}}).do(http.MethodGet, w.url+oauth.MetadataPath, "")
	var got map[string]any
	must(t, json.Unmarshal([]byte(a.body), &got))
	if got["issuer"] != w.url || got["token_endpoint"] != w.url+"/oauth/token" ||
		got["authorization_response_iss_parameter_supported"] != true ||
		!slices.Equal(got["code_challenge_methods_supported"].([]any), []any{"S256"}) {
		t.Errorf("%s", a.body)
	}
}

// Every scope that an application may ask for is in plain words.
func TestScopesAreInWords(t *testing.T) {
	t.Parallel()
	w := setup(t)
	all := access.ApplicationScopes()
	_, err := w.access.UpdateApplication(w.admin, access.UpdateApplicationInput{ID: w.app.ID, Scopes: all})
	must(t, err)
	page := w.config().AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))
	shown := w.browser(w.desk).do(http.MethodGet, page, "")
	if n := strings.Count(shown.body, "<li>"); n != len(all) || strings.Contains(shown.body, "<li></li>") {
		t.Errorf("%d of %d: %s", n, len(all), shown.body)
	}
}
