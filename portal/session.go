package portal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// doorsPath is the page that lists a guest's doors.
const doorsPath = access.LinkPath + "open"

// errForeign refuses a form that this installation's pages did not send.
var errForeign = errors.New("form of another origin")

// errNobody says that the browser is no guest's. It is told like a link that is not valid.
var errNobody = access.Error{Code: access.CodeNotFound, Message: "no session"}

// session is a guest's browser.
type session struct {
	guest  actor.Actor
	secret string
}

// cookie is the name of the cookie that holds a session's secret.
func (p *portal) cookie() string {
	if p.secure() {
		return "__Secure-cardea_key"
	}
	return "cardea_key"
}

func (p *portal) secure() bool { return strings.HasPrefix(p.publicURL(), "https://") }

// remember has the browser keep the session's secret until it expires, for these pages alone.
func (p *portal) remember(w http.ResponseWriter, secret string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // secure wherever we are reached by https
		Name: p.cookie(), Value: secret, Path: strings.TrimSuffix(access.LinkPath, "/"),
		Expires: expires, HttpOnly: true, Secure: p.secure(), SameSite: http.SameSiteStrictMode,
	})
}

// session returns whose browser asks. Nobody but guests has one, whatever their cookie holds.
func (p *portal) session(r *http.Request) (session, error) {
	kept, err := r.Cookie(p.cookie())
	if err != nil {
		return session{}, errNobody
	}
	by, err := p.access.Authenticate(r.Context(), kept.Value)
	switch {
	case access.IsCode(err, access.CodeUnauthenticated), err == nil && by.Role != actor.RoleGuest:
		return session{}, errNobody
	case err != nil:
		return session{}, err
	}
	return session{by, kept.Value}, nil
}

// token is what the session's forms carry, and nobody else can know.
func (s session) token() string {
	mac := hmac.New(sha256.New, []byte(s.secret))
	_, _ = mac.Write([]byte("cardea form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// wrote says whether a form is one of the session's.
func (s session) wrote(token string) bool { return hmac.Equal([]byte(token), []byte(s.token())) }

// onceSize is how long the text is that tells one showing of a form from another.
const onceSize = 26

// sameOrigin says that the form was not sent by another site's page, as far as the browser tells.
// One that knows Sec-Fetch-Site tells. An older one names no origin, because our pages let it name
// none.
func (p *portal) sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return true
	case "":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	if origin == "" || origin == "null" || origin == p.publicURL() {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}
