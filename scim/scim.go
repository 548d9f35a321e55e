// Package scim provisions: an organization's directory, such as Okta or Entra, makes, changes and ends
// people and groups by SCIM 2.0 (RFC 7643 and 7644).
//
// Guarantees:
//
//   - A directory says who there is and who is in which group, and nothing of what they may do: whoever
//     it makes is a MEMBER, and it neither raises nor lowers a role.
//   - What it makes inactive is suspended, with all that this entails, at the commit of its request.
//   - A filter becomes SQL, or is refused; nothing is looked through here, and no list is read by more
//     statements for having more items.
//   - A request with If-Match changes what it names as it was read, or nothing.
//
// Requests come with an actor, or are refused. Reads go to ent, narrowed as graph's are; writes to access.
// The package imports access, ent, actor and typeid.
package scim

import (
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
)

// Path is below which everything is.
const Path = "/scim/v2"

// The schemas and messages that are spoken here.
const (
	userSchema   = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema  = "urn:ietf:params:scim:schemas:core:2.0:Group"
	listMessage  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchMessage = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorMessage = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// mediaType is that of bodies, both ways. JSON's own is taken too.
const mediaType = "application/scim+json"

// maxBody is the size of the largest body, in bytes: a group of 20,000 people fits.
const maxBody = 4 << 20

// Config is what the handler needs.
type Config struct {
	Access *access.Service
	// DB carries the tenancy rule (rule.Guard).
	DB *ent.Client
	// PublicURL returns where people reach this installation.
	PublicURL func() string
	// Now is the clock; nil means the wall clock.
	Now func() time.Time
	Log *slog.Logger
}

type directory struct {
	access    *access.Service
	db        *ent.Client
	publicURL func() string
	now       func() time.Time
	log       *slog.Logger
}

// New returns the handler of everything below Path, by the full path.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := &directory{cfg.Access, cfg.DB, cfg.PublicURL, cfg.Now, cfg.Log}
	mux := http.NewServeMux()
	for pattern, do := range map[string]func(*http.Request) (*reply, error){
		"GET /Users":                 d.listUsers,
		"POST /Users/.search":        d.listUsers,
		"POST /Users":                d.createUser,
		"GET /Users/{id}":            d.getUser,
		"PUT /Users/{id}":            d.putUser,
		"PATCH /Users/{id}":          d.patchUser,
		"DELETE /Users/{id}":         d.deleteUser,
		"GET /Groups":                d.listGroups,
		"POST /Groups/.search":       d.listGroups,
		"POST /Groups":               d.createGroup,
		"GET /Groups/{id}":           d.getGroup,
		"PUT /Groups/{id}":           d.putGroup,
		"PATCH /Groups/{id}":         d.patchGroup,
		"DELETE /Groups/{id}":        d.deleteGroup,
		"GET /Schemas":               d.listDocuments("schemas"),
		"GET /Schemas/{id}":          d.getDocument("schemas"),
		"GET /ResourceTypes":         d.listDocuments("types"),
		"GET /ResourceTypes/{id}":    d.getDocument("types"),
		"GET /ServiceProviderConfig": d.config,
		"/Me":                        notHere,
		"/Bulk":                      notHere,
	} {
		mux.HandleFunc(below(pattern), d.answer(do))
	}
	for _, path := range []string{"/Users", "/Users/{id}", "/Groups", "/Groups/{id}", "/Schemas",
		"/Schemas/{id}", "/ResourceTypes", "/ResourceTypes/{id}", "/ServiceProviderConfig"} {
		mux.HandleFunc(below(path), d.answer(notSo))
	}
	mux.HandleFunc("/", d.answer(nowhere))
	return mux
}

// below puts Path before the path of a pattern.
func below(pattern string) string {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		return Path + pattern
	}
	return method + " " + Path + path
}

// reply is an answer without a fault.
type reply struct {
	status   int
	body     any
	version  string // of the resource in the body
	location string // of the resource that was made
}

func (d *directory) answer(do func(*http.Request) (*reply, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		_, known := actor.FromContext(r.Context())
		if !known {
			w.Header().Set("WWW-Authenticate", "Bearer")
			d.fail(w, r, &failure{status: http.StatusUnauthorized, detail: "a valid token is needed"})
			return
		}
		got, err := do(r)
		switch {
		case err != nil:
			d.fail(w, r, err)
		default:
			got.write(w, r)
		}
	}
}

func (got *reply) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if got.version != "" {
		header.Set("ETag", got.version)
	}
	if got.location != "" {
		header.Set("Location", got.location)
	}
	if r.Method == http.MethodGet && got.version != "" && matches(r.Header.Get("If-None-Match"), got.version) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if got.body == nil {
		w.WriteHeader(got.status)
		return
	}
	writeJSON(w, got.status, got.body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	to := json.NewEncoder(w)
	to.SetEscapeHTML(false)
	_ = to.Encode(body) // that the client has gone is nothing to act on
}

// failure is a refusal, as RFC 7644, section 3.12, has it.
type failure struct {
	status int
	kind   string // scimType
	detail string
}

func (f *failure) Error() string { return f.detail }

// fail shows what is the caller's, and logs and masks the rest.
func (d *directory) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := d.failureOf(err)
	if f == nil {
		d.log.ErrorContext(r.Context(), "provisioning failed",
			"request", actor.RequestID(r.Context()), "error", err)
		f = &failure{status: http.StatusInternalServerError,
			detail: "something went wrong here: request " + actor.RequestID(r.Context())}
	}
	writeJSON(w, f.status, errorBody{[]string{errorMessage}, f.status, f.kind, f.detail})
}

type errorBody struct {
	Schemas []string `json:"schemas"`
	Status  int      `json:"status,string"`
	Kind    string   `json:"scimType,omitempty"`
	Detail  string   `json:"detail,omitempty"`
}

func (*directory) failureOf(err error) *failure {
	var f *failure
	var refusal access.Error
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &tooLong):
		return &failure{status: http.StatusRequestEntityTooLarge, detail: "the body is too long"}
	case errors.Is(err, rule.ErrNoActor):
		return &failure{status: http.StatusUnauthorized, detail: "a valid token is needed"}
	case errors.As(err, &refusal):
		return refusedBy(err, refusal)
	}
	return nil
}

// words are SCIM's for the fields of access.
var words = map[string]string{
	"email": "userName", "name": "displayName", "givenName": "name.givenName", "familyName": "name.familyName",
}

// inOurWords tells of all faults of an input.
func inOurWords(err error, first access.Error) string {
	all := access.Errors{first}
	_ = errors.As(err, &all)
	all = slices.Clone(all)
	for i, fault := range all {
		if word, ok := words[fault.Field]; ok {
			all[i].Field = word
		}
	}
	return all.Error()
}

// refusedBy is a refusal of access in the words of SCIM.
func refusedBy(err error, first access.Error) *failure {
	detail := inOurWords(err, first)
	switch first.Code {
	case access.CodeForbidden:
		return &failure{status: http.StatusForbidden, detail: detail}
	case access.CodeNotFound:
		return &failure{status: http.StatusNotFound, detail: detail}
	case access.CodeBadUserInput:
		return &failure{status: http.StatusBadRequest, kind: "invalidValue", detail: detail}
	case access.CodeConflict:
		kind := ""
		switch first.Field {
		case "email", "name", "externalId":
			kind = "uniqueness"
		}
		return &failure{status: http.StatusConflict, kind: kind, detail: detail}
	default:
		return nil
	}
}

// readBody reads a body with the schema in it.
func readBody(r *http.Request, schema string, to any) error {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != mediaType && kind != "application/json" {
		return &failure{status: http.StatusUnsupportedMediaType, detail: "send " + mediaType}
	}
	var raw json.RawMessage
	var head struct{ Schemas []string }
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			return err
		}
		return invalidSyntax("the body is no JSON")
	}
	named := func(one string) bool { return strings.EqualFold(one, schema) }
	if json.Unmarshal(raw, &head) != nil || !slices.ContainsFunc(head.Schemas, named) {
		return invalidSyntax("schemas has to name " + schema)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		if f, ok := errors.AsType[*failure](err); ok {
			return f
		}
		return invalidSyntax("the body has a value of another type than " + schema + " says")
	}
	return nil
}

func invalidSyntax(detail string) error {
	return &failure{status: http.StatusBadRequest, kind: "invalidSyntax", detail: detail}
}

func invalidValue(detail string) error {
	return &failure{status: http.StatusBadRequest, kind: "invalidValue", detail: detail}
}

func notFound() error { return &failure{status: http.StatusNotFound, detail: "no such resource"} }

func nowhere(*http.Request) (*reply, error) { return nil, notFound() }

func notHere(*http.Request) (*reply, error) {
	return nil, &failure{status: http.StatusNotImplemented, detail: "this is not offered here"}
}

func notSo(*http.Request) (*reply, error) {
	return nil, &failure{status: http.StatusMethodNotAllowed, detail: "the method is not allowed here"}
}
