// Package signin signs people in: they give an e-mail address, get a code by mail, and show it; or
// they have a passkey; or an identity provider of their organization says who they are. A browser
// then keeps a session in a cookie; an app gets its secret, to send as bearer token.
//
// The pages are plain HTML and load nothing. One has a script, which passkeys need.
//
// Guarantees:
//
//   - What is said to an address that is nobody's is what is said to any other, after the same work.
//   - A code, and a passkey's answer, is worth something only where it was asked for: the browser keeps
//     a nonce in a cookie of its own, which goes with it.
//   - Every sign-in is a session of its own, with a secret that was nobody's before; the one that the
//     browser had ends.
//   - A page of another origin can post nothing here, and nobody is sent anywhere else from here.
//   - Secrets stand in cookies and bodies, never in a path, a log or a referrer.
//
// The package imports access, ent, actor and typeid.
package signin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// Where the pages are.
const (
	Path    = "/sign-in"
	OutPath = "/sign-out"

	codePath   = Path + "/code"
	choicePath = Path + "/organization"

	passkeyPath  = Path + "/passkey"
	passkeysPath = Path + "/passkeys"

	organizationsPath = Path + "/organizations"
)

// Config is what the pages need.
type Config struct {
	Access *access.Service
	// Home is the path that a browser is sent to that had asked for no other.
	Home string
	// AllowInside permits identity providers on this machine, by plain http.
	AllowInside bool
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger
}

type signin struct {
	access    *access.Service
	home      string
	inside    bool
	providers *http.Client // asks identity providers
	said      *discoveries // by them
	log       *slog.Logger
}

// New returns the handler of /sign-in, everything below it, and /sign-out, by the full path.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &signin{
		access: cfg.Access, home: cfg.Home, log: cfg.Log,
		inside: cfg.AllowInside, providers: newProviderClient(cfg.AllowInside),
		said: &discoveries{now: cfg.Now, known: map[string]discovery{}},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path, s.answer(s.showEmail))
	mux.HandleFunc("POST "+Path, s.answer(s.sendCode))
	mux.HandleFunc("GET "+codePath, s.answer(s.showCode))
	mux.HandleFunc("POST "+codePath, s.answer(s.checkCode))
	mux.HandleFunc("POST "+choicePath, s.answer(s.choose))
	mux.HandleFunc("POST "+passkeyPath, s.answer(s.askPasskey))
	mux.HandleFunc("POST "+passkeyPath+"/answer", s.answer(s.checkPasskey))
	mux.HandleFunc("GET "+passkeysPath, s.answer(s.member(s.showPasskeys)))
	mux.HandleFunc("POST "+passkeysPath, s.answer(s.member(s.askNewPasskey)))
	mux.HandleFunc("POST "+passkeysPath+"/answer", s.answer(s.member(s.addPasskey)))
	mux.HandleFunc("POST "+passkeysPath+"/delete", s.answer(s.member(s.deletePasskey)))
	mux.HandleFunc("GET "+organizationsPath, s.answer(s.member(s.showOrganizations)))
	mux.HandleFunc("POST "+organizationsPath, s.answer(s.member(s.switchOrganization)))
	mux.HandleFunc("GET "+access.ProviderPath+"{provider}", s.answer(s.showProvider))
	mux.HandleFunc("POST "+access.ProviderPath+"{provider}", s.answer(s.toProvider))
	mux.HandleFunc("GET "+access.ProviderPath+"{provider}/callback", s.answer(s.fromProvider))
	mux.HandleFunc("GET "+OutPath, s.answer(s.showOut))
	mux.HandleFunc("POST "+OutPath, s.answer(s.signOut))
	mux.HandleFunc("POST "+Path+"/v1/codes", s.answerJSON(s.apiCode))
	mux.HandleFunc("POST "+Path+"/v1/sessions", s.answerJSON(s.apiSession))
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		foreign().write(w)
	}))
	return protection.Handler(mux)
}

// maxForm is the size of the largest form, in bytes: an authenticator's answer with an RSA key fits.
const maxForm = 16 << 10

// answer writes the page that show returns; nil if it has answered.
func (s *signin) answer(
	show func(http.ResponseWriter, *http.Request) (*page, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		shown, err := show(w, r)
		switch {
		case access.IsCode(err, access.CodeRateLimited):
			w.Header().Set("Retry-After", retryAfter)
			shown = tooMany()
		case err != nil:
			s.log.ErrorContext(r.Context(), "page not shown",
				"request", actor.RequestID(r.Context()), "error", err)
			shown = broken(actor.RequestID(r.Context()))
		}
		if shown != nil {
			shown.write(w)
		}
	}
}

// retryAfter is the header that tells of access.TryWindow.
const retryAfter = "600"

func (s *signin) showEmail(_ http.ResponseWriter, r *http.Request) (*page, error) {
	return s.emailPage(http.StatusOK, s.next(r), "", ""), nil
}

// sendCode has a code sent, and has the browser keep what goes with it. Where the address may be
// vouched for by a provider, it asks which of both, whether or not the address is anybody's.
func (s *signin) sendCode(w http.ResponseWriter, r *http.Request) (*page, error) {
	email := strings.TrimSpace(r.PostFormValue("email"))
	if r.PostFormValue("by") != "code" {
		offers, err := s.access.ProvidersFor(r.Context(), email)
		if err != nil {
			return nil, err
		}
		if len(offers) > 0 {
			return providersPage(s.next(r), email, offers), nil
		}
	}
	asked, err := s.access.SendSignInCode(r.Context(), email, clientOf(r))
	switch {
	case access.IsCode(err, access.CodeBadUserInput):
		return s.emailPage(http.StatusUnprocessableEntity, s.next(r), email,
			"That is not an e-mail address."), nil
	case err != nil:
		return nil, err
	}
	keep(w, nonceCookie, asked.Nonce, asked.ExpiresAt)
	http.Redirect(w, r, codePath+"?"+url.Values{"next": {s.next(r)}}.Encode(), http.StatusSeeOther)
	return nil, nil
}

func (s *signin) showCode(_ http.ResponseWriter, r *http.Request) (*page, error) {
	return codePage(http.StatusOK, s.next(r), ""), nil
}

// checkCode signs in, or lets somebody who is a user of several organizations choose.
func (s *signin) checkCode(w http.ResponseWriter, r *http.Request) (*page, error) {
	code := strings.ReplaceAll(strings.TrimSpace(r.PostFormValue("code")), " ", "")
	proven, err := s.access.ShowSignInCode(r.Context(), kept(r, nonceCookie), code, clientOf(r))
	switch {
	case access.IsCode(err, access.CodeUnauthenticated):
		return codePage(http.StatusUnprocessableEntity, s.next(r),
			"That code is not right, or not any more."), nil
	case err != nil:
		return nil, err
	case proven.SignedIn == nil:
		return choicePage(s.next(r), proven), nil
	}
	return nil, s.enter(w, r, proven.SignedIn, s.next(r))
}

func (s *signin) choose(w http.ResponseWriter, r *http.Request) (*page, error) {
	org, err := typeid.Parse[typeid.Organization](r.PostFormValue("organization"))
	if err != nil {
		return over(), nil //nolint:nilerr // who is told is the browser
	}
	in, err := s.access.ChooseOrganization(r.Context(), kept(r, nonceCookie),
		r.PostFormValue("proof"), org, clientOf(r))
	switch {
	case access.IsCode(err, access.CodeUnauthenticated):
		return over(), nil
	case err != nil:
		return nil, err
	}
	return nil, s.enter(w, r, in, s.next(r))
}

// enter has the browser keep its new session, ends the one that it had, and sends it on to a path of
// ours.
func (s *signin) enter(
	w http.ResponseWriter, r *http.Request, in *access.SignedIn, next string,
) error {
	if err := s.leave(r); err != nil {
		return err
	}
	forget(w, nonceCookie)
	keep(w, Cookie, in.Secret, in.Session.ExpiresAt)
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // G710: next is a path of ours
	return nil
}

// leave ends the session of the browser, if it has one.
func (s *signin) leave(r *http.Request) error {
	by, err := s.access.Authenticate(r.Context(), kept(r, Cookie))
	if access.IsCode(err, access.CodeUnauthenticated) || err == nil && by.Session.IsZero() {
		return nil
	}
	if err == nil {
		ctx := actor.NewContext(r.Context(), by)
		_, err = s.access.EndSession(ctx, access.EndSessionInput{ID: by.Session})
	}
	return err
}

func (*signin) showOut(http.ResponseWriter, *http.Request) (*page, error) { return outPage(), nil }

func (s *signin) signOut(w http.ResponseWriter, r *http.Request) (*page, error) {
	if err := s.leave(r); err != nil {
		return nil, err
	}
	forget(w, Cookie)
	return message(http.StatusOK, "You are signed out", "This browser can open nothing here now."), nil
}

// next is where the browser wants to go after it has signed in: a path of ours, or home.
func (s *signin) next(r *http.Request) string {
	next := r.FormValue("next")
	if !isPath(next) {
		return s.home
	}
	return next
}

// isPath says that a browser takes a text for a path on the site that it is on, and for nothing else.
func isPath(text string) bool {
	strange := func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil && len(text) < 2000 &&
		strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") &&
		!strings.ContainsFunc(text, strange)
}

// clientOf is who asks, as far as the connection tells.
func clientOf(r *http.Request) access.Client {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return access.Client{Address: host, UserAgent: r.UserAgent()}
}

var errBody = errors.New("the body is not a JSON object of the fields that are known")
