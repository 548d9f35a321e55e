package oauth

import (
	"net/http"
	"net/url"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

// maxAsked is how long the parameters are at most, so that a browser comes back with them from signing in.
const maxAsked = 1800

// asks are the parameters of an authorization request.
var asks = []string{"client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge",
	"code_challenge_method"}

// request is an application that asks a person who is signed in.
type request struct {
	*server.AuthorizeRequest
	app *ent.Application
	r   *http.Request // with the person as its actor
}

// answer writes the page that show returns; nil if it has answered.
func (o *room) answer(show func(http.ResponseWriter, *http.Request) (*page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		shown, err := show(w, r)
		if err != nil {
			id := actor.RequestID(r.Context())
			o.Log.ErrorContext(r.Context(), "page not shown", "request", id, "error", err)
			shown = broken(id)
		}
		if shown != nil {
			shown.write(w)
		}
	}
}

// ask shows a person what an application wants.
func (o *room) ask(w http.ResponseWriter, r *http.Request) (*page, error) {
	q, p, err := o.read(w, r)
	if q == nil {
		return p, err
	}
	c, err := o.Access.AskConsent(q.r.Context(), q.app.ID, scopesOf(q.Scope))
	if err != nil {
		return o.notAsked(w, q, err)
	}
	return consentPage(q, c, o.SignOut), nil
}

// decide does what the person has decided, and sends them back.
func (o *room) decide(w http.ResponseWriter, r *http.Request) (*page, error) {
	q, p, err := o.read(w, r)
	if q == nil {
		return p, err
	}
	if r.PostForm.Get("decision") != "allow" {
		return o.sendError(w, q, errors.ErrAccessDenied)
	}
	sites, err := sitesOf(r)
	if err != nil {
		return o.sendError(w, q, errors.ErrInvalidRequest)
	}
	code, err := o.Access.GiveGrant(q.r.Context(), access.GiveGrantInput{
		ApplicationID: q.app.ID, RedirectURI: q.RedirectURI, Scopes: scopesOf(q.Scope),
		SiteIDs: sites, Challenge: q.CodeChallenge,
	})
	if err != nil {
		return o.notAsked(w, q, err)
	}
	return o.send(w, q, map[string]any{"code": code})
}

// read returns what an application asks of the person who is signed in; nil if there is a page to show
// about it, or if the browser was sent elsewhere.
func (o *room) read(w http.ResponseWriter, r *http.Request) (*request, *page, error) {
	if r.ParseForm() != nil || twice(r, "site") {
		return nil, malformed(), nil //nolint:nilerr // who is told is the browser
	}
	app, err := o.Access.AskingApplication(r.Context(), r.Form.Get("client_id"), r.Form.Get("redirect_uri"))
	switch {
	case access.IsCode(err, access.CodeNotFound):
		return nil, unknown(), nil
	case err != nil:
		return nil, nil, err
	}
	q := &request{app: app, AuthorizeRequest: &server.AuthorizeRequest{
		ResponseType: oauth2.Code, RedirectURI: r.Form.Get("redirect_uri"), State: r.Form.Get("state"),
	}}
	asked, err := o.protocol.ValidationAuthorizeRequest(r)
	switch {
	case err == errors.ErrUnauthorizedClient: //nolint:errorlint // of a response type that there is not
		err = errors.ErrUnsupportedResponseType
	case r.Form.Get("response_type") == "":
		err = errors.ErrInvalidRequest
	case err == nil && (!access.IsChallenge(asked.CodeChallenge) || len(again(r).Encode()) > maxAsked):
		err = errors.ErrInvalidRequest
	}
	if err != nil {
		p, err := o.sendError(w, q, err)
		return nil, p, err
	}
	q.AuthorizeRequest = asked
	by, err := o.Access.Authenticate(r.Context(), o.session(r))
	switch {
	case access.IsCode(err, access.CodeUnauthenticated) || err == nil && by.Session.IsZero():
		back := url.Values{"next": {authorizePath + "?" + again(r).Encode()}}
		http.Redirect(w, r, o.SignIn+"?"+back.Encode(), http.StatusSeeOther)
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	}
	q.r = r.WithContext(actor.NewContext(r.Context(), by))
	return q, nil, nil
}

// session is the secret of the browser's session, or "".
func (o *room) session(r *http.Request) string {
	cookie, err := r.Cookie(o.Cookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// again is the parameters of a request, to ask once more.
func again(r *http.Request) url.Values {
	again := url.Values{}
	for _, name := range asks {
		if r.Form.Has(name) {
			again.Set(name, r.Form.Get(name))
		}
	}
	return again
}

// notAsked says why a person was not asked, or could not agree: to them, or to the application if it is
// at fault.
func (o *room) notAsked(w http.ResponseWriter, q *request, err error) (*page, error) {
	switch {
	case access.IsCode(err, access.CodeNotFound):
		return elsewhere(o.SignOut), nil
	case access.IsCode(err, access.CodeForbidden):
		return notAllowed(o.SignOut), nil
	case access.IsCode(err, access.CodeBadUserInput):
		return o.sendError(w, q, errors.ErrInvalidScope)
	}
	return nil, err
}

// sendError sends the browser back to the application with an error.
func (o *room) sendError(w http.ResponseWriter, q *request, why error) (*page, error) {
	data, _, _ := o.protocol.GetErrorData(why)
	return o.send(w, q, data)
}

// send sends the browser back to the application, to the URI that is known to be its own.
func (o *room) send(w http.ResponseWriter, q *request, data map[string]any) (*page, error) {
	data["iss"] = o.PublicURL()
	to, err := o.protocol.GetRedirectURI(q.AuthorizeRequest, data)
	if err != nil {
		return nil, err
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil, nil
}

// sitesOf is what a person confines an application to; nil for not at all.
func sitesOf(r *http.Request) (sites []typeid.Site, err error) {
	if r.PostForm.Get("confined") == "" {
		return nil, nil
	}
	sites = []typeid.Site{}
	for _, text := range r.PostForm["site"] {
		id, err := typeid.Parse[typeid.Site](text)
		if err != nil {
			return nil, err
		}
		sites = append(sites, id)
	}
	return sites, nil
}
