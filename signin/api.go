package signin

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/typeid"
)

// The API is for apps: what the pages do, in JSON. Its errors have the shape of GraphQL's.

// codeRequest asks for a code.
type codeRequest struct {
	Email string `json:"email"`
}

// codeAnswer is the same whether or not the address is anybody's.
type codeAnswer struct {
	Nonce     string    `json:"nonce"` // goes with the code; the app keeps it to itself
	ExpiresAt time.Time `json:"expiresAt"`
}

// sessionRequest shows a code or, with a proof, chooses an organization.
type sessionRequest struct {
	Nonce        string               `json:"nonce"`
	Code         string               `json:"code"`
	Proof        string               `json:"proof"`
	Organization *typeid.Organization `json:"organizationId"`
}

// sessionAnswer is a session or, for a user of several organizations, the choice between them.
type sessionAnswer struct {
	Session       *sessionMade     `json:"session,omitempty"`
	Proof         string           `json:"proof,omitempty"`
	Organizations []organizationOf `json:"organizations,omitempty"`
}

type sessionMade struct {
	ID           typeid.Session      `json:"id"`
	Secret       string              `json:"secret"` // shown this once; to send as bearer token
	ExpiresAt    time.Time           `json:"expiresAt"`
	User         typeid.User         `json:"userId"`
	Organization typeid.Organization `json:"organizationId"`
}

type organizationOf struct {
	ID   typeid.Organization `json:"id"`
	Name string              `json:"name"`
}

func (s *signin) apiCode(r *http.Request) (int, any, error) {
	var in codeRequest
	if err := readJSON(r, &in); err != nil {
		return 0, nil, err
	}
	asked, err := s.access.SendSignInCode(r.Context(), in.Email, clientOf(r))
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, codeAnswer{asked.Nonce, asked.ExpiresAt}, nil
}

func (s *signin) apiSession(r *http.Request) (int, any, error) {
	var in sessionRequest
	if err := readJSON(r, &in); err != nil {
		return 0, nil, err
	}
	if in.Organization != nil {
		made, err := s.access.ChooseOrganization(r.Context(), in.Nonce, in.Proof, *in.Organization,
			clientOf(r))
		if err != nil {
			return 0, nil, err
		}
		return http.StatusCreated, sessionAnswer{Session: madeOf(made)}, nil
	}
	proven, err := s.access.ShowSignInCode(r.Context(), in.Nonce, in.Code, clientOf(r))
	switch {
	case err != nil:
		return 0, nil, err
	case proven.SignedIn != nil:
		return http.StatusCreated, sessionAnswer{Session: madeOf(proven.SignedIn)}, nil
	}
	choice := sessionAnswer{Proof: proven.Proof}
	for _, o := range proven.Organizations {
		choice.Organizations = append(choice.Organizations, organizationOf{o.ID, o.Name})
	}
	return http.StatusOK, choice, nil
}

func madeOf(in *access.SignedIn) *sessionMade {
	return &sessionMade{in.Session.ID, in.Secret, in.Session.ExpiresAt, in.User.ID, in.User.OrgID}
}

// readJSON insists on the media type, which a form of another site's page cannot have.
func readJSON(r *http.Request, to any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return errBody
	}
	body := json.NewDecoder(r.Body)
	body.DisallowUnknownFields()
	if body.Decode(to) != nil || body.More() {
		return errBody
	}
	return nil
}

// statuses are those of the codes that can come of a request here.
var statuses = map[access.Code]int{
	access.CodeBadUserInput: http.StatusBadRequest, access.CodeUnauthenticated: http.StatusUnauthorized,
	access.CodeRateLimited: http.StatusTooManyRequests,
}

type fault struct {
	Message    string `json:"message"`
	Extensions struct {
		Code      access.Code `json:"code"`
		Field     string      `json:"field,omitempty"`
		RequestID string      `json:"requestId"`
	} `json:"extensions"`
}

func (s *signin) answerJSON(do func(*http.Request) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		status, body, err := do(r)
		if err != nil {
			status, body = s.fault(r, err)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // that the client has gone is nothing to act on
	}
}

// fault is what is shown of an error: what is not the client's is logged, and masked.
func (s *signin) fault(r *http.Request, err error) (int, any) {
	refusal := access.Error{Code: "INTERNAL", Message: "something went wrong here"}
	status, known := http.StatusInternalServerError, false
	if errors.Is(err, errBody) {
		err = access.Error{Code: access.CodeBadUserInput, Message: errBody.Error()}
	}
	if shown := (access.Error{}); errors.As(err, &shown) {
		if status, known = statuses[shown.Code]; known {
			refusal = shown
		}
	}
	if !known {
		status = http.StatusInternalServerError
		s.log.ErrorContext(r.Context(), "sign-in failed",
			"request", actor.RequestID(r.Context()), "error", err)
	}
	f := fault{Message: refusal.Message}
	f.Extensions.Code, f.Extensions.Field = refusal.Code, refusal.Field
	f.Extensions.RequestID = actor.RequestID(r.Context())
	return status, map[string][]fault{"errors": {f}}
}
