package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cardea/cardea/actor"
)

// Routes are the parts of the node that are reached by HTTP. Handlers may hijack the connection
// and set deadlines through http.ResponseController; one that streams must extend the write
// deadline as it goes, or it is cut after a minute.
type Routes struct {
	// GraphQL answers all of /graphql, WebSocket upgrades included. Its requests carry an actor
	// when they came with a token that is good, and none when they came without; it alone decides
	// what that means. Nil on a node without the API: /graphql and /graphiql are then not found.
	GraphQL http.Handler

	// Devices answers everything below /devices/v1/, by the full path. It authenticates devices
	// itself. Nil on a node without device links.
	Devices http.Handler

	// Portal answers everything below /k/, by the full path: pages for people without an account. It
	// authenticates them itself. Nil on a node without the API.
	Portal http.Handler

	// SignIn answers /sign-in, everything below it, and /sign-out, by the full path. Nil on a node
	// without the API.
	SignIn http.Handler

	// Directory answers everything below /scim/v2/, by the full path. Its requests carry an actor when
	// they came with a token that is good, and else none: it alone decides what that means. Nil on a
	// node without the API.
	Directory http.Handler

	// Transfer answers everything below /import/v1/ and /export/v1/, and /.well-known/cardea-log-keys, by
	// the full path. Its requests carry an actor as GraphQL's do. Nil on a node without the API.
	Transfer http.Handler

	// OAuth answers everything below /oauth/, and /.well-known/oauth-authorization-server, by the full
	// path. It authenticates applications, and people by their cookie, itself. Nil on a node without the
	// API.
	OAuth http.Handler

	// Mail answers /mail, on a demo alone: the mails that it would have sent. Nil elsewhere.
	Mail http.Handler

	// Cookie names the cookie that holds a session's secret. A request to /graphql that has one and no
	// Authorization header is taken as if the secret had come as bearer token, but only if a page of
	// our own origin sent it: by POST, or to open a WebSocket. "" means that there is none.
	Cookie string

	// Ready returns nil when the node's critical dependencies answer. It is asked once a second.
	Ready func(context.Context) error

	// Authenticate returns who a token speaks for. Its error is ErrBadToken for a token that is
	// unknown, expired or revoked; any other error means that it could not find out. Required with
	// GraphQL and Directory.
	Authenticate func(ctx context.Context, token string) (actor.Actor, error)
}

// handler is every route, inside what holds for all of them.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", notFound)
	mux.HandleFunc("GET /livez", live)
	mux.Handle("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	if s.routes.Devices != nil {
		mux.Handle("/devices/v1/", addressed(s.routes.Devices))
	}
	if s.routes.Portal != nil {
		mux.Handle("/k/", s.routes.Portal)
	}
	if s.routes.SignIn != nil {
		mux.Handle("/sign-in", s.routes.SignIn)
		mux.Handle("/sign-in/", s.routes.SignIn)
		mux.Handle("/sign-out", s.routes.SignIn)
	}
	if s.routes.Directory != nil {
		mux.Handle("/scim/v2/", s.identify(s.routes.Directory))
	}
	if s.routes.Transfer != nil {
		mux.Handle("/import/v1/", s.authenticate(s.routes.Transfer))
		mux.Handle("/export/v1/", s.authenticate(s.routes.Transfer))
		mux.Handle("/.well-known/cardea-log-keys", s.routes.Transfer)
	}
	if s.routes.OAuth != nil {
		mux.Handle("/oauth/", s.routes.OAuth)
		mux.Handle("/.well-known/oauth-authorization-server", s.routes.OAuth)
	}
	if s.routes.Mail != nil {
		mux.Handle("GET /mail", s.routes.Mail)
	}
	if s.routes.GraphQL != nil {
		mux.Handle("/graphql", s.takeCookie(s.authenticate(s.routes.GraphQL)))
		mux.Handle("GET /{$}", http.RedirectHandler("/graphiql", http.StatusFound))
		mux.Handle("GET /graphiql/{$}", http.RedirectHandler("/graphiql", http.StatusFound))
		mux.HandleFunc("GET /graphiql", servePage)
		mux.HandleFunc("GET /graphiql/licences.txt", serveLicences)
		mux.HandleFunc("GET /graphiql/assets/{name}", serveAsset)
	}
	return s.observe(s.lookThrough(harden(mux)))
}

// harden sets what every answer should say unless its handler says otherwise: not to be sniffed,
// framed, stored, or named to other sites.
func harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	refuse(w, r, http.StatusNotFound, "NOT_FOUND", "nothing is served at this path")
}

type refusal struct {
	Errors []refusalError `json:"errors"`
}

type refusalError struct {
	Message    string            `json:"message"`
	Extensions refusalExtensions `json:"extensions"`
}

type refusalExtensions struct {
	Code      string `json:"code"`
	RequestID string `json:"requestId"`
}

// refuse answers with a GraphQL error: clients of this API read that shape anyway.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	kind := "application/json; charset=utf-8"
	if strings.Contains(r.Header.Get("Accept"), "application/graphql-response+json") {
		kind = "application/graphql-response+json; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	answer(w, status, refusal{Errors: []refusalError{{
		Message:    message,
		Extensions: refusalExtensions{Code: code, RequestID: actor.RequestID(r.Context())},
	}}})
}

// answer writes a value as JSON. That the client has gone is nothing to act on: the error of the
// write is dropped, as the log line of the request tells what was sent.
func answer(w http.ResponseWriter, status int, value any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
