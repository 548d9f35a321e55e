package signin

import (
	"net/http"
	"net/url"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// providersPage offers what people with an e-mail address of a domain may sign in at. Nobody is sent
// there unasked: a domain is not proved to be whoever's who names it, and so is a code always offered.
func providersPage(next, email string, offers []access.Offer) *page {
	return &page{http.StatusOK, "providers.html", view{
		Head: titled("How do you want to sign in?"), Next: next, Email: email, Offers: offers,
	}}
}

// showProvider is the address that an organization gives its people. It only shows a button, or any
// page could sign a browser in, at a provider of its own, as somebody of its own.
func (s *signin) showProvider(_ http.ResponseWriter, r *http.Request) (*page, error) {
	id, err := typeid.Parse[typeid.IdentityProvider](r.PathValue("provider"))
	if err != nil {
		return noProvider(), nil //nolint:nilerr // who is told is the browser
	}
	offer, err := s.access.Provider(r.Context(), id)
	if access.IsCode(err, access.CodeNotFound) {
		return noProvider(), nil
	}
	if err != nil {
		return nil, err
	}
	return providersPage(s.next(r), "", []access.Offer{*offer}), nil
}

func noProvider() *page {
	return message(http.StatusNotFound, "Nobody signs in here", "Ask whoever gave you this address for another.")
}

func failedAtProvider() *page {
	return message(http.StatusUnprocessableEntity, "That did not sign you in",
		"Try again. If it goes on like this, tell whoever runs this place.")
}

// toProvider sends a browser to a provider. It goes by a page: browsers hold a form to where the
// policy of its page lets it go, also when an answer sends it on.
func (s *signin) toProvider(w http.ResponseWriter, r *http.Request) (*page, error) {
	id, err := typeid.Parse[typeid.IdentityProvider](r.PathValue("provider"))
	if err != nil {
		return noProvider(), nil //nolint:nilerr // who is told is the browser
	}
	q, err := s.access.AskProvider(r.Context(), id, s.next(r), clientOf(r))
	if access.IsCode(err, access.CodeNotFound) {
		return noProvider(), nil
	}
	if err != nil {
		return nil, err
	}
	to, err := s.authURL(r.Context(), q)
	if err != nil {
		s.said.forget(q.Provider.Issuer)
		s.providerFailed(r, id, err)
		return failedAtProvider(), nil
	}
	keep(w, providerCookie, q.Nonce, q.ExpiresAt)
	shown := &page{http.StatusOK, "leave.html", view{Head: titled("On the way"), Name: q.Provider.Name}}
	shown.view.To = to
	return shown, nil
}

// fromProvider signs in whoever comes back from a provider, if that says who they are.
func (s *signin) fromProvider(w http.ResponseWriter, r *http.Request) (*page, error) {
	id, err := typeid.Parse[typeid.IdentityProvider](r.PathValue("provider"))
	if err != nil {
		return noProvider(), nil //nolint:nilerr // who is told is the browser
	}
	brought, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return over(), nil //nolint:nilerr // who is told is the browser
	}
	nonce := kept(r, providerCookie)
	answer, err := s.access.TakeProviderAnswer(r.Context(), id, brought.Get("state"), nonce)
	if access.IsCode(err, access.CodeUnauthenticated) {
		return over(), nil
	}
	if err != nil {
		return nil, err
	}
	forget(w, providerCookie)
	said, err := s.claims(r.Context(), answer, brought, nonce)
	if err != nil {
		s.said.forget(answer.Provider.Issuer)
		s.providerFailed(r, id, err)
		return failedAtProvider(), nil
	}
	in, err := s.access.ShowIdentity(r.Context(), answer, *said, clientOf(r))
	if access.IsCode(err, access.CodeUnauthenticated) {
		return failedAtProvider(), nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.enter(w, r, in, answer.Next)
}

// providerFailed logs what a provider did wrong, for whoever set it up. What it says is not a person's.
func (s *signin) providerFailed(r *http.Request, id typeid.IdentityProvider, err error) {
	s.log.WarnContext(r.Context(), "identity provider failed",
		"request", actor.RequestID(r.Context()), "provider", id.String(), "error", err)
}
