package signin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/signin"
)

// world is a node with the pages, behind the real server, whose /graphql says who asks.
type world struct {
	t      *testing.T
	db     *ent.Client
	access *access.Service
	url    string
	public string // the same, by the name that browsers have passkeys for
	org    *ent.Organization
	desk   *ent.User
	mu     sync.Mutex
	post   []access.Letter
	later  atomic.Int64 // by how much the pages' clock is ahead
	ahead  atomic.Int64 // by how much that of package access is
}

func (w *world) send(l access.Letter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.post = append(w.post, l)
}

func (w *world) code() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.post[len(w.post)-1].Code
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, db: testenv.Client(t)}
	log := testenv.Logger(t)
	w.access = access.New(access.Config{DB: w.db, Send: w.send, Log: log,
		PublicURL: func() string { return w.public }, AllowInsideWebhooks: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	var err error
	w.org, w.desk, err = w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Harbour <1>", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	s, err := server.New(t.Context(), server.Config{
		Addr: "127.0.0.1:0", Log: log, Registry: prometheus.NewRegistry(),
		Routes: server.Routes{
			Ready: func(context.Context) error { return nil }, Cookie: signin.Cookie,
			SignIn: signin.New(signin.Config{Access: w.access, Home: "/graphiql", AllowInside: true, Log: log,
				Now: func() time.Time { return time.Now().Add(time.Duration(w.later.Load())) }}),
			Authenticate: func(ctx context.Context, token string) (actor.Actor, error) {
				by, err := w.access.Authenticate(ctx, token)
				if err != nil {
					err = server.ErrBadToken
				}
				return by, err
			},
			GraphQL: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				by, _ := actor.FromContext(r.Context())
				_, _ = io.WriteString(rw, "you are "+by.ID())
			}),
		},
	})
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	w.url = "http://" + s.Addr().String()
	w.public = strings.Replace(w.url, "127.0.0.1", "localhost", 1)
	return w
}

func (w *world) everywhere() context.Context {
	return actor.NewContext(w.t.Context(), actor.System("test"))
}

// browser keeps cookies, whatever they say, and follows no redirect.
type browser struct {
	*world
	cookies map[string]*http.Cookie
}

func (w *world) browser() *browser { return &browser{w, map[string]*http.Cookie{}} }

type answer struct {
	*http.Response
	body string
}

func (b *browser) do(method, path, kind, body string, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	must(b.t, err)
	r.Header.Set("Content-Type", kind)
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
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
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
			c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("%s sets %v", path, c)
		}
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer{got, string(text)}
}

func (b *browser) get(path string) answer { return b.do(http.MethodGet, path, "", "") }

func (b *browser) submit(path string, form url.Values, headers ...string) answer {
	b.t.Helper()
	headers = append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)
	return b.do(http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode(), headers...)
}

// signIn goes through the pages.
func (b *browser) signIn(next string) answer {
	b.t.Helper()
	a := b.submit("/sign-in", url.Values{"email": {"desk@example.com"}, "next": {next}})
	if a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	to, err := url.Parse(a.Header.Get("Location"))
	must(b.t, err)
	if page := b.get(a.Header.Get("Location")); page.StatusCode != http.StatusOK {
		b.t.Fatalf("%d %s", page.StatusCode, page.body)
	}
	return b.submit("/sign-in/code", url.Values{"code": {b.code()}, "next": {to.Query().Get("next")}})
}

// graphql asks who asks.
func (b *browser) graphql(headers ...string) answer {
	b.t.Helper()
	return b.do(http.MethodPost, "/graphql", "application/json", "{}", headers...)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSignInInABrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	a := b.signIn("/graphiql?query=x")
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/graphiql?query=x" {
		t.Fatalf("%d %s %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	c := b.cookies["__Host-cardea"]
	if c == nil || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" ||
		c.Domain != "" || c.Expires.IsZero() {
		t.Errorf("cookie %v", c)
	}
	if b.cookies["__Host-cardea-sign-in"] != nil {
		t.Error("the nonce is kept")
	}
	own := []string{"Sec-Fetch-Site", "same-origin"}
	if got := b.graphql(own...).body; got != "you are "+w.desk.ID.String() {
		t.Error(got)
	}
	first := *c
	b.signIn("")
	if b.cookies["__Host-cardea"].Value == first.Value {
		t.Error("a sign-in keeps the session that was there")
	}
	old := w.browser()
	old.cookies[first.Name] = &first
	if got := old.graphql(own...); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session before lives on: %d %s", got.StatusCode, got.body)
	}
	secret := *b.cookies["__Host-cardea"]
	if page := b.get("/sign-out"); page.StatusCode != http.StatusOK {
		t.Errorf("%d", page.StatusCode)
	}
	if a := b.submit("/sign-out", nil); a.StatusCode != http.StatusOK || len(b.cookies) != 0 {
		t.Errorf("%d, cookies %v", a.StatusCode, b.cookies)
	}
	b.cookies[secret.Name] = &secret
	if got := b.graphql(own...); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed out, and still: %d %s", got.StatusCode, got.body)
	}
}

// A session that somebody planted is not the one that a sign-in begins.
func TestFixation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	planted := "cardeasession_" + strings.Repeat("A", 36)
	b.cookies["__Host-cardea"] = &http.Cookie{Name: "__Host-cardea", Value: planted}
	b.signIn("")
	if b.cookies["__Host-cardea"].Value == planted {
		t.Error("the planted secret is good now")
	}
}

// What a page of another origin sends does nothing, whatever cookies go along.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	b.signIn("")
	session := b.cookies["__Host-cardea"].Value
	for name, headers := range map[string][]string{
		"another site":       {"Sec-Fetch-Site", "cross-site"},
		"another host of it": {"Sec-Fetch-Site", "same-site"},
		"an older browser":   {"Sec-Fetch-Site", "", "Origin", "https://elsewhere.example.com"},
		"no origin to name":  {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		if got := b.graphql(headers...); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: a POST to /graphql: %d %s", name, got.StatusCode, got.body)
		}
		for _, path := range []string{"/sign-in", "/sign-in/code", "/sign-in/organization", "/sign-out",
			"/sign-in/passkey", "/sign-in/passkey/answer", "/sign-in/passkeys", "/sign-in/passkeys/answer",
			"/sign-in/passkeys/delete", "/sign-in/organizations", "/sign-in/oidc/x"} {
			got := b.submit(path, url.Values{"email": {"desk@example.com"}}, headers...)
			if got.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s: %d", name, path, got.StatusCode)
			}
		}
		upgrade := append([]string{"Upgrade", "websocket", "Connection", "Upgrade"}, headers...)
		if got := b.do(http.MethodGet, "/graphql", "", "", upgrade...); got.body != "you are " {
			t.Errorf("%s: a WebSocket: %s", name, got.body)
		}
	}
	if got := b.get("/graphql"); got.body != "you are " {
		t.Errorf("a GET with a cookie: %s", got.body)
	}
	upgrade := []string{"Upgrade", "websocket", "Connection", "Upgrade"}
	if got := b.do(http.MethodGet, "/graphql", "", "", upgrade...); got.body != "you are " {
		t.Errorf("a WebSocket of no origin: %s", got.body)
	}
	for _, said := range []string{"none", "same-origin"} { // whatever else it says, it names another origin
		other := append([]string{"Origin", "https://elsewhere.example.com", "Sec-Fetch-Site", said}, upgrade...)
		if got := b.do(http.MethodGet, "/graphql", "", "", other...); got.body != "you are " {
			t.Errorf("a WebSocket of another origin, %s: %s", said, got.body)
		}
	}
	stream := []string{"Accept", "text/event-stream", "Sec-Fetch-Site", "same-origin"}
	if got := b.do(http.MethodGet, "/graphql?query=%7B%7D", "", "", stream...); got.body != "you are " {
		t.Errorf("a stream by GET with a cookie: %s", got.body)
	}
	own := append([]string{"Origin", w.url, "Sec-Fetch-Site", "same-origin"}, upgrade...)
	if got := b.do(http.MethodGet, "/graphql", "", "", own...); got.body != "you are "+w.desk.ID.String() {
		t.Errorf("a WebSocket of ours: %s", got.body)
	}
	b.cookies["__Host-cardea"].Value = strings.Repeat("x", 50)
	if got := b.do(http.MethodGet, "/graphql", "", "", own...); got.body != "you are " {
		t.Errorf("a WebSocket of ours with an old cookie: %d %s", got.StatusCode, got.body)
	}
	bearer := []string{"Authorization", "Bearer " + session, "Sec-Fetch-Site", "cross-site"}
	if got := b.graphql(bearer...); got.body != "you are "+w.desk.ID.String() {
		t.Errorf("a token does not depend on cookies: %s", got.body)
	}
}

func TestNextIsAPathOfOurs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for next, want := range map[string]string{
		"": "/graphiql", "/doors?x=1#y": "/doors?x=1#y", "//elsewhere.example.com": "/graphiql",
		"https://elsewhere.example.com/": "/graphiql", `/\elsewhere.example.com`: "/graphiql",
		"/\telsewhere": "/graphiql", "javascript:alert(1)": "/graphiql", "doors": "/graphiql",
		`\\elsewhere.example.com`: "/graphiql", "/\r\nSet-Cookie: x=y": "/graphiql",
		"///elsewhere.example.com": "/graphiql",
	} {
		if got := w.browser().signIn(next).Header.Get("Location"); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

func TestPagesRefuse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	if a := b.submit("/sign-in", url.Values{"email": {"<b>desk"}}); a.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(a.body, "not an e-mail address") || strings.Contains(a.body, "<b>") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	known := b.submit("/sign-in", url.Values{"email": {"desk@example.com"}})
	unknown := b.submit("/sign-in", url.Values{"email": {"nobody@example.com"}})
	if known.StatusCode != unknown.StatusCode || known.body != unknown.body ||
		known.Header.Get("Location") != unknown.Header.Get("Location") {
		t.Errorf("%d %s and %d %s", known.StatusCode, known.body, unknown.StatusCode, unknown.body)
	}
	a := b.submit("/sign-in/code", url.Values{"code": {"12345"}})
	if a.StatusCode != http.StatusUnprocessableEntity || b.cookies["__Host-cardea"] != nil {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	policy := a.Header.Get("Content-Security-Policy")
	if strings.Contains(policy, "script") || !strings.Contains(policy, "default-src 'none'") ||
		strings.Contains(a.body, "<script") || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.Header)
	}
	a = b.submit("/sign-in/organization", url.Values{"organization": {"x"}})
	if a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for range access.MaxTries {
		a = b.submit("/sign-in", url.Values{"email": {"desk@example.com"}})
	}
	if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "600" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestChoiceOfOrganizations(t *testing.T) {
	t.Parallel()
	w := setup(t)
	mill, user, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	b := w.browser()
	a := b.signIn("/doors")
	proof := regexp.MustCompile(`name="proof" value="([^"]+)"`).FindStringSubmatch(a.body)
	if a.StatusCode != http.StatusOK || proof == nil || !strings.Contains(a.body, "Harbour &lt;1&gt;") {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	a = b.submit("/sign-in/organization", url.Values{
		"proof": {proof[1]}, "organization": {mill.ID.String()}, "next": {"/doors"}})
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/doors" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if got := b.graphql("Sec-Fetch-Site", "same-origin").body; got != "you are "+user.ID.String() {
		t.Error(got)
	}
}

// Whoever signed in by a code goes on in another organization, by a session that is another.
func TestSwitchOrganization(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.browser()
	b.signIn("")
	mill, user, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	quay, _, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Quay", AdminName: "Another", AdminEmail: "quay@example.com"})
	must(t, err)
	if a := b.get("/sign-in/organizations"); !strings.Contains(a.body, "Mill") || strings.Contains(a.body, "Quay") ||
		strings.Contains(a.body, "Harbour") {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	first := b.cookies["__Host-cardea"].Value
	a := b.submit("/sign-in/organizations", url.Values{"organization": {quay.ID.String()}})
	if a.StatusCode != http.StatusUnprocessableEntity || b.cookies["__Host-cardea"].Value != first {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	a = b.submit("/sign-in/organizations", url.Values{"organization": {mill.ID.String()}, "next": {"/doors"}})
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/doors" {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	own := []string{"Sec-Fetch-Site", "same-origin"}
	if got := b.graphql(own...).body; got != "you are "+user.ID.String() {
		t.Error(got)
	}
	b.cookies["__Host-cardea"].Value = first
	if got := b.graphql(own...); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session before lives on: %d %s", got.StatusCode, got.body)
	}
	if a := b.get("/sign-in/organizations"); a.Header.Get("Location") != "/sign-in?next=%2Fsign-in%2Forganizations" {
		t.Errorf("%d %s", a.StatusCode, a.Header.Get("Location"))
	}
}

func TestSignInOfAnApp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	app := w.browser()
	post := func(path string, body any) (int, map[string]any) {
		t.Helper()
		raw, err := json.Marshal(body)
		must(t, err)
		a := app.do(http.MethodPost, path, "application/json", string(raw))
		var got map[string]any
		must(t, json.NewDecoder(bytes.NewBufferString(a.body)).Decode(&got))
		if len(a.Cookies()) > 0 {
			t.Errorf("an app gets cookies: %v", a.Cookies())
		}
		return a.StatusCode, got
	}
	type fields = map[string]string
	status, asked := post("/sign-in/v1/codes", fields{"email": "desk@example.com"})
	if status != http.StatusAccepted {
		t.Fatal(status, asked)
	}
	nonce := asked["nonce"].(string)
	status, bad := post("/sign-in/v1/sessions", fields{"nonce": nonce, "code": "x"})
	code := bad["errors"].([]any)[0].(map[string]any)["extensions"].(map[string]any)["code"]
	if status != http.StatusUnauthorized || code != "UNAUTHENTICATED" {
		t.Error(status, bad)
	}
	status, made := post("/sign-in/v1/sessions", fields{"nonce": nonce, "code": w.code()})
	if status != http.StatusCreated {
		t.Fatal(status, made)
	}
	secret := made["session"].(map[string]any)["secret"].(string)
	if got := app.graphql("Authorization", "Bearer "+secret).body; got != "you are "+w.desk.ID.String() {
		t.Error(got)
	}
	mill, _, err := w.access.CreateOrganization(w.everywhere(), access.CreateOrganizationInput{
		Name: "Mill", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	_, asked = post("/sign-in/v1/codes", fields{"email": "desk@example.com"})
	nonce = asked["nonce"].(string)
	status, choice := post("/sign-in/v1/sessions", fields{"nonce": nonce, "code": w.code()})
	if status != http.StatusOK || len(choice["organizations"].([]any)) != 2 {
		t.Fatal(status, choice)
	}
	status, made = post("/sign-in/v1/sessions", fields{
		"nonce": nonce, "proof": choice["proof"].(string), "organizationId": mill.ID.String()})
	if status != http.StatusCreated {
		t.Fatal(status, made)
	}
	for _, body := range []any{"x", fields{"mail": "desk@example.com"}, fields{"email": "x"}} {
		if status, got := post("/sign-in/v1/codes", body); status != http.StatusBadRequest {
			t.Error(status, got)
		}
	}
	a := app.do(http.MethodPost, "/sign-in/v1/codes", "text/plain", `{"email": "desk@example.com"}`)
	if a.StatusCode != http.StatusBadRequest {
		t.Error(a.StatusCode, a.body)
	}
}
