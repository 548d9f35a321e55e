package oauth_test

import (
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/internal/testenv/chromium"
)

// visitor is somebody in a real browser, and an application of their own computer's, that has pages.
type visitor struct {
	*world
	*chromium.Page
	public string // where the browser finds us: by a name, or it would keep no cookie
	home   string // of the application, likewise: another origin of the same site
	config *oauth2.Config
	came   chan url.Values // what the browser came back to the application with
	shows  string          // the application's page
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	v := &visitor{world: setup(t), came: make(chan url.Values, 1)}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/back" {
			v.came <- r.URL.Query()
		}
		_, _ = io.WriteString(w, "<!doctype html><title>Voice</title><p>This is Voice.</p>"+v.shows)
	}))
	t.Cleanup(app.Close)
	v.public = strings.Replace(v.url, "127.0.0.1", "localhost", 1)
	v.home = strings.Replace(app.URL, "127.0.0.1", "localhost", 1)
	v.app, v.secret = v.application("Voice <3>", application.TypePUBLIC, "http://127.0.0.1/back")
	v.config = v.world.config()
	v.config.RedirectURL = app.URL + "/back"
	v.config.Endpoint.AuthURL = v.public + "/oauth/authorize"
	v.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	v.Page = chromium.Open(t).Page()
	return v
}

// signIn goes where the application sends people, by way of signing in.
func (v *visitor) signIn(verifier string) {
	v.t.Helper()
	v.Go(v.ask(verifier))
	v.Fill("#email", "desk@example.com")
	v.Press("Send me a code")
	v.Shows("Six digits")
	v.Fill("#code", v.letter.Code)
	v.Press("Sign in")
	v.Shows("Let Voice <3> act for you?")
}

func (v *visitor) ask(verifier string) string {
	return v.config.AuthCodeURL("st&te", oauth2.S256ChallengeOption(verifier))
}

// grants is how many applications may act for anybody.
func (v *visitor) grants() int { return v.db.Grant.Query().CountX(v.admin) }

// A person signs in, is told which application wants what, and lets it: the client of x/oauth2 gets its
// tokens. Asked again, they do not.
func TestConsentInARealBrowser(t *testing.T) {
	v := newVisitor(t)
	verifier := oauth2.GenerateVerifier()
	v.signIn(verifier)
	for _, text := range []string{"Harbour <1>", "You are Front desk, desk@example.com", "127.0.0.1",
		"See doors: whether they are open, and whether they are locked",
		"Unlock and lock the doors that your keys open"} {
		v.Shows(text)
	}
	var more bool
	v.Eval("document.body.innerText.includes('Give people keys')", &more)
	if more || v.grants() != 0 {
		t.Errorf("asks for more: %t; %d grants before anybody decided", more, v.grants())
	}
	v.Press("Let it")
	to := <-v.came
	v.Shows("This is Voice.")
	if to.Get("state") != "st&te" || to.Get("iss") != v.url || to.Has("error") {
		t.Fatalf("came back with %v", to)
	}
	token, err := v.config.Exchange(t.Context(), to.Get("code"), oauth2.VerifierOption(verifier))
	must(t, err)
	if got := v.whoami(v.config.Client(t.Context(), token)); got != "APPLICATION for "+v.desk.ID.String() {
		t.Errorf("it is %s", got)
	}
	if _, err := v.config.Exchange(t.Context(), to.Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a code is good twice")
	}

	v.Go(v.ask(verifier))
	v.Press("Do not")
	if to := <-v.came; to.Get("error") != "access_denied" || to.Get("state") != "st&te" || to.Has("code") {
		t.Errorf("came back with %v", to)
	}
	if got := v.Complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %s", got)
	}
}

// A page of another origin of the same site, which the session's cookie goes along from, can neither
// decide for somebody nor show them the question in a frame.
func TestConsentIsGivenOnOurPageOnly(t *testing.T) {
	v := newVisitor(t)
	verifier := oauth2.GenerateVerifier()
	v.signIn(verifier)
	asked, err := url.Parse(v.ask(verifier))
	must(t, err)
	v.shows = `<form method="post" action="` + v.public + `/oauth/authorize">`
	for name, values := range asked.Query() {
		v.shows += `<input type="hidden" name="` + name + `" value="` + html.EscapeString(values[0]) + `">`
	}
	v.shows += `<button name="decision" value="allow">Win a prize</button></form>`
	v.Go(v.home)
	v.Press("Win a prize")
	v.Shows("That did not come from this page")
	if n := v.grants(); n > 0 {
		t.Errorf("%d grants", n)
	}

	v.shows = `<iframe src="` + html.EscapeString(asked.String()) + `"></iframe>`
	v.Go(v.home)
	refused := func(text string) bool {
		return strings.Contains(text, "frame-ancestors") || strings.Contains(text, "X-Frame-Options")
	}
	v.Wait("document.readyState === 'complete'")
	if got := v.Complaints(); !slices.ContainsFunc(got, refused) {
		t.Errorf("it may be framed: %s", got)
	}
	if v.home == v.public || len(v.came) > 0 {
		t.Error("the application was told of it")
	}
}
