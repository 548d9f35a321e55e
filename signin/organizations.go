package signin

import (
	"net/http"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/typeid"
)

// showOrganizations shows where else whoever is signed in may go on.
func (s *signin) showOrganizations(_ http.ResponseWriter, r *http.Request) (*page, error) {
	others, err := s.access.OtherOrganizations(r.Context())
	if err != nil {
		return nil, err
	}
	return &page{http.StatusOK, "organizations.html", view{
		Head: titled("Where else you are somebody"), Next: s.next(r), Organizations: others,
	}}, nil
}

// switchOrganization has the browser keep a session there, and ends the one here.
func (s *signin) switchOrganization(w http.ResponseWriter, r *http.Request) (*page, error) {
	to, err := typeid.Parse[typeid.Organization](r.PostFormValue("organization"))
	if err != nil {
		return over(), nil //nolint:nilerr // who is told is the browser
	}
	in, err := s.access.SwitchOrganization(r.Context(), to, clientOf(r))
	if access.IsCode(err, access.CodeNotFound) {
		return over(), nil
	}
	if err != nil {
		return nil, err
	}
	return nil, s.enter(w, r, in, s.next(r))
}
