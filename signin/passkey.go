package signin

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// askPasskey asks for a passkey, whosever it is.
func (s *signin) askPasskey(w http.ResponseWriter, r *http.Request) (*page, error) {
	question, err := s.access.AskPasskey(r.Context(), clientOf(r))
	if err != nil {
		return nil, err
	}
	keep(w, challengeCookie, question.Nonce, question.ExpiresAt)
	return &page{http.StatusOK, "passkey.html", view{
		Head: titled("Use a passkey"), Next: s.next(r), Verb: "get", Options: string(question.Options),
		Action: passkeyPath + "/answer", Back: Path + "?" + url.Values{"next": {s.next(r)}}.Encode(),
	}}, nil
}

// checkPasskey signs in whoever's passkey has answered.
func (s *signin) checkPasskey(w http.ResponseWriter, r *http.Request) (*page, error) {
	in, err := s.access.ShowPasskey(r.Context(), kept(r, challengeCookie),
		[]byte(r.PostFormValue("credential")), clientOf(r))
	forget(w, challengeCookie)
	switch {
	case access.IsCode(err, access.CodeUnauthenticated):
		return s.emailPage(http.StatusUnprocessableEntity, s.next(r), "",
			"That passkey is not good here. Sign in with a code."), nil
	case err != nil:
		return nil, err
	}
	return nil, s.enter(w, r, in, s.next(r))
}

// member has a page shown to whoever is signed in in this browser; others are to sign in first.
func (s *signin) member(
	show func(http.ResponseWriter, *http.Request) (*page, error),
) func(http.ResponseWriter, *http.Request) (*page, error) {
	return func(w http.ResponseWriter, r *http.Request) (*page, error) {
		by, err := s.access.Authenticate(r.Context(), kept(r, Cookie))
		if access.IsCode(err, access.CodeUnauthenticated) || err == nil && by.Session.IsZero() {
			to := Path + "?" + url.Values{"next": {ownPage(r.URL.Path)}}.Encode()
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		shown, err := show(w, r.WithContext(actor.NewContext(r.Context(), by)))
		if access.IsCode(err, access.CodeForbidden) {
			return message(http.StatusForbidden, "That is not for you",
				"Whoever runs this place has not let you do that."), nil
		}
		return shown, err
	}
}

// ownPage is the page of whoever is signed in that a path is of, or below.
func ownPage(path string) string {
	if path == organizationsPath {
		return organizationsPath
	}
	return passkeysPath
}

func (s *signin) showPasskeys(_ http.ResponseWriter, r *http.Request) (*page, error) {
	return s.passkeysPage(r.Context(), http.StatusOK, "", "")
}

func (s *signin) passkeysPage(
	ctx context.Context, status int, name, fault string,
) (*page, error) {
	own, err := s.access.OwnPasskeys(ctx)
	if err != nil {
		return nil, err
	}
	return &page{status, "passkeys.html", view{
		Head: titled("Your passkeys"), Next: s.home, Fault: fault, Name: name, Kept: own,
		Passkeys: s.access.OffersPasskeys(),
	}}, nil
}

// askNewPasskey asks for a passkey to be made. Its name goes along, and comes back with the answer.
func (s *signin) askNewPasskey(w http.ResponseWriter, r *http.Request) (*page, error) {
	question, err := s.access.AskNewPasskey(r.Context())
	if err != nil {
		return nil, err
	}
	keep(w, challengeCookie, question.Nonce, question.ExpiresAt)
	return &page{http.StatusOK, "passkey.html", view{
		Head: titled("Add a passkey"), Verb: "create", Options: string(question.Options),
		Name: strings.TrimSpace(r.PostFormValue("name")), Action: passkeysPath + "/answer",
		Back: passkeysPath,
	}}, nil
}

func (s *signin) addPasskey(w http.ResponseWriter, r *http.Request) (*page, error) {
	name := r.PostFormValue("name")
	_, err := s.access.AddPasskey(r.Context(), access.AddPasskeyInput{
		Name: name, Nonce: kept(r, challengeCookie), Credential: []byte(r.PostFormValue("credential")),
	})
	forget(w, challengeCookie)
	var fault string
	switch {
	case access.IsCode(err, access.CodeBadUserInput):
		fault = "A name has 1 to 100 characters."
	case access.IsCode(err, access.CodeUnauthenticated):
		fault = "That passkey was not what was asked for, or came too late. Try again."
	case access.IsCode(err, access.CodeConflict):
		fault = "You have that passkey already, or as many as can be."
	case err != nil:
		return nil, err
	default:
		http.Redirect(w, r, passkeysPath, http.StatusSeeOther)
		return nil, nil
	}
	return s.passkeysPage(r.Context(), http.StatusUnprocessableEntity, name, fault)
}

func (s *signin) deletePasskey(w http.ResponseWriter, r *http.Request) (*page, error) {
	id, err := typeid.Parse[typeid.Passkey](r.PostFormValue("passkey"))
	if err == nil {
		_, err = s.access.DeletePasskey(r.Context(), access.DeletePasskeyInput{ID: id})
		if err != nil && !access.IsCode(err, access.CodeNotFound) { // gone is gone
			return nil, err
		}
	}
	http.Redirect(w, r, passkeysPath, http.StatusSeeOther)
	return nil, nil
}
