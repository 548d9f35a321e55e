package signin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv/chromium"
)

// signInByCode goes through the pages of a real browser, and ends at a path.
func (w *world) signInByCode(p *chromium.Page, next string) {
	w.t.Helper()
	p.Go(w.public + "/sign-in?" + url.Values{"next": {next}}.Encode())
	p.Fill("#email", "desk@example.com")
	p.Press("Send me a code")
	p.Shows("Six digits")
	p.Fill("#code", w.code())
	p.Press("Sign in")
	p.At(next)
}

// signOut does so, in a browser that is signed in.
func (w *world) signOut(p *chromium.Page) {
	w.t.Helper()
	p.Go(w.public + "/sign-out")
	p.Press("Sign out of this browser")
	p.Shows("You are signed out")
}

// usePasskey goes on from the page where people sign in, until a text is shown.
func (w *world) usePasskey(p *chromium.Page, shows string) {
	w.t.Helper()
	p.Go(w.public + "/sign-in?next=%2Fsign-in%2Fpasskeys")
	p.Press("Use a passkey")
	p.Shows(shows)
}

// told returns the types of events, in their order.
func (w *world) told(kinds ...string) (told []string) {
	w.t.Helper()
	for _, e := range w.db.Event.Query().Where(event.TypeIn(kinds...)).Order(event.BySeq()).
		AllX(w.everywhere()) {
		told = append(told, e.Type+" "+string(e.Data))
	}
	return told
}

const session = "__Host-cardea"

// A real browser with a real authenticator's software: a passkey is added, signs in with no e-mail
// address typed, and is deleted.
func TestPasskeyInABrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	p := chromium.Open(t).Page()
	device := p.Authenticator()
	planted := "cardeasession_" + strings.Repeat("A", 36)
	p.Plant(w.public, session, planted)

	w.signInByCode(p, "/sign-in/passkeys")
	first := p.Cookies()[session]
	if first.Value == planted || !strings.HasPrefix(first.Value, "cardeasession_") {
		t.Errorf("the planted session was adopted: %q", first.Value)
	}
	if !first.Secure || !first.HTTPOnly || first.SameSite != "Lax" || first.Path != "/" ||
		first.Domain != "localhost" || first.Expires < float64(time.Now().Unix()) {
		t.Errorf("cookie %+v", first)
	}
	var seen string
	if p.Eval("document.cookie", &seen); seen != "" {
		t.Errorf("the page reads cookies: %s", seen)
	}
	p.Shows("You have none yet")
	p.Fill("#name", "Phone <1>")
	p.Press("Add a passkey")
	p.Shows("not used yet")
	p.Shows("Phone <1>")
	if held := device.Passkeys(); len(held) != 1 || held[0]["rpId"] != "localhost" ||
		held[0]["isResidentCredential"] != true {
		t.Fatalf("the device holds %v", held)
	}
	p.Fill("#name", "Again") // the same device will not make another
	p.Press("Add a passkey")
	p.Shows("That did not work")

	w.signOut(p)
	if left := p.Cookies(); len(left) != 1 || left["__Host-cardea-passkey"].Value == "" {
		t.Errorf("cookies %v", left) // what goes with the challenge that nothing answered
	}
	w.usePasskey(p, "last used on")
	second := p.Cookies()
	if got := second[session]; got.Value == first.Value || !got.HTTPOnly || len(second) != 1 {
		t.Errorf("cookies %+v", second)
	}
	if got := w.as(second[session].Value); got != "you are "+w.desk.ID.String() {
		t.Error(got)
	}
	if got := w.as(first.Value); strings.HasPrefix(got, "you are user") {
		t.Errorf("signed out, and still %s", got)
	}
	made := w.told("session.created", "passkey.created", "session.ended")
	if len(made) != 4 || !strings.Contains(made[0], "EMAIL_CODE") || !strings.HasPrefix(made[1], "passkey.created") ||
		!strings.HasPrefix(made[2], "session.ended") || !strings.Contains(made[3], "PASSKEY") {
		t.Errorf("events %v", made)
	}
	if got := p.Complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %v", got)
	}
	p.Press("Delete Phone <1>")
	p.Shows("You have none yet")
	w.signOut(p)
	w.usePasskey(p, "That passkey is not good here")
}

// as is what /graphql says to whoever has a session's secret in the cookie.
func (w *world) as(secret string) string {
	w.t.Helper()
	b := w.browser()
	b.cookies[session] = &http.Cookie{Name: session, Value: secret}
	return b.graphql("Sec-Fetch-Site", "same-origin").body
}

// What a passkey's holder is told when it is refused is one thing, and the journal knows more.
func TestPasskeyIsRefusedInABrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, err := w.access.CreateUser(actor.NewContext(t.Context(), actor.System("test").Within(w.org.ID)),
		access.CreateUserInput{Name: "Owner", Email: "owner@example.com", Role: new(actor.RoleOwner)})
	must(t, err)
	one := chromium.Open(t)
	p, copied := one.Page(), one.Page()
	device := p.Authenticator()
	w.signInByCode(p, "/sign-in/passkeys")
	p.Fill("#name", "Phone")
	p.Press("Add a passkey")
	p.Shows("not used yet")
	copied.Authenticator().Take(device.Passkeys()[0])
	w.signOut(p)
	for range 2 {
		w.usePasskey(p, "last used on")
		w.signOut(p)
	}
	w.usePasskey(copied, "That passkey is not good here") // it has counted less
	if got := w.told("sign_in.failed"); len(got) != 1 || !strings.Contains(got[0], `"cloned": true`) {
		t.Errorf("told %v", got)
	}
	w.usePasskey(p, "last used on")
	suspended := user.StatusSUSPENDED
	_, err = w.access.UpdateUser(actor.NewContext(t.Context(), actor.System("test").Within(w.org.ID)),
		access.UpdateUserInput{ID: w.desk.ID, Status: &suspended})
	must(t, err)
	w.usePasskey(p, "That passkey is not good here")
	if left := p.Cookies()[session]; left.Value != "" && w.as(left.Value) != "" {
		if got := w.as(left.Value); strings.HasPrefix(got, "you are user") {
			t.Errorf("suspended, and still %s", got)
		}
	}
	if got := p.Complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %v", got)
	}
}

// A page of another origin can post what it likes: nothing comes of it, in a browser that is signed in.
func TestOtherOriginsInABrowser(t *testing.T) {
	t.Parallel()
	w := setup(t)
	posted := make(chan string, 10)
	trap := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(rw, `<form method="post" action="%s"><input name="passkey" value="%s"></form>
			<script>document.forms[0].submit()</script>`, w.public+r.URL.Path, r.URL.RawQuery)
		posted <- r.URL.Path
	}))
	t.Cleanup(trap.Close)
	p := chromium.Open(t).Page()
	p.Authenticator()
	w.signInByCode(p, "/sign-in/passkeys")
	p.Fill("#name", "Phone")
	p.Press("Add a passkey")
	p.Shows("not used yet")
	kept, passkey := p.Cookies()[session], w.db.Passkey.Query().OnlyX(w.everywhere())
	for _, path := range []string{"/sign-out", "/sign-in/passkeys/delete", "/sign-in/passkeys", "/sign-in/passkey"} {
		p.Go(trap.URL + path + "?" + passkey.ID.String())
		p.Shows("That did not come from this page")
		if got := <-posted; got != path {
			t.Errorf("posted to %s", got)
		}
	}
	if got := p.Cookies(); got[session].Value != kept.Value {
		t.Errorf("cookies %v", got)
	}
	if got := w.as(kept.Value); got != "you are "+w.desk.ID.String() {
		t.Error(got)
	}
	p.Go(w.public + "/sign-in/passkeys")
	p.Shows("Phone")
	if n := w.db.PasskeyChallenge.Query().CountX(w.everywhere()); n != 0 {
		t.Errorf("%d challenges were asked for", n)
	}
}
