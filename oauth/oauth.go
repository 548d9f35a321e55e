// Package oauth lends out: applications of others ask people to let them act for them, and get tokens,
// by OAuth 2.1: authorization code with PKCE, refresh tokens that rotate, client credentials,
// revocation (RFC 7009) and metadata (RFC 8414).
//
// What is decided, package access decides, each request in one transaction. The protocol's outer shape,
// its parameters, errors and answers, is go-oauth2's, within what is corrected here (docs/adr/0022).
//
// Guarantees:
//
//   - Nobody is sent to a URI that is not the application's own, letter by letter; until it is known to
//     be, what is wrong is said on a page here.
//   - A person is asked each time, on a page that nobody can frame and that no other origin can post to,
//     and sees whose the application is and what it may do, in plain words.
//   - Every answer that goes through a browser names its issuer (RFC 9207).
//   - PKCE is needed, with S256. Parameters that come twice are refused; secrets are read from bodies and
//     the Authorization header alone.
//
// The package imports access, ent, actor, typeid and internal/webpage, and alone go-oauth2.
package oauth

import (
	"log/slog"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/cardea/cardea/access"
)

// Where it is.
const (
	Path         = "/oauth/"
	MetadataPath = "/.well-known/oauth-authorization-server"

	authorizePath = Path + "authorize"
	tokenPath     = Path + "token"
	revokePath    = Path + "revoke"
)

// Config is what the room needs.
type Config struct {
	Access *access.Service
	// Cookie is the name of the one that holds the session of a browser.
	Cookie string
	// SignIn and SignOut are paths: a browser comes back from the first to the path that next names.
	SignIn, SignOut string
	// PublicURL returns where people reach this installation: the issuer.
	PublicURL func() string
	Log       *slog.Logger
}

type room struct {
	Config
	protocol *server.Server
}

// New returns the handler of everything below Path, and of MetadataPath, by the full path.
func New(cfg Config) http.Handler {
	o := &room{Config: cfg}
	o.protocol = server.NewServer(&server.Config{
		TokenType:            "Bearer",
		AllowedResponseTypes: []oauth2.ResponseType{oauth2.Code},
		AllowedGrantTypes: []oauth2.GrantType{
			oauth2.AuthorizationCode, oauth2.ClientCredentials, oauth2.Refreshing,
		},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256},
		ForcePKCE:                   true,
	}, exchange{access: cfg.Access})
	o.protocol.SetClientInfoHandler(credentials)
	o.protocol.SetInternalErrorHandler(o.internal)
	o.protocol.SetResponseErrorHandler(correct)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+authorizePath, o.answer(o.ask))
	mux.HandleFunc("POST "+authorizePath, o.answer(o.decide))
	pages := http.NewCrossOriginProtection()
	pages.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		foreign().write(w)
	}))
	whole := http.NewServeMux()
	whole.Handle(authorizePath, pages.Handler(mux))
	whole.HandleFunc("POST "+tokenPath, o.direct(o.token))
	whole.HandleFunc("POST "+revokePath, o.direct(o.revoke))
	whole.HandleFunc("GET "+MetadataPath, o.metadata)
	return whole
}
