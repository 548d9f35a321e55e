package server

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/cardea/cardea/actor"
)

// ErrBadToken is what Routes.Authenticate returns, wrapped or not, for a token that speaks for
// nobody: unknown, expired or revoked. The client is not told which.
var ErrBadToken = errors.New("token is not valid")

// authenticate lets a request without a token pass as nobody: a WebSocket sends its token later,
// and next refuses what nobody may do. A token that is sent has to be good.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return s.known(next, http.HandlerFunc(refuseToken))
}

// identify lets a request whose token is not good pass as nobody too: next refuses it in its own way.
func (s *Server) identify(next http.Handler) http.Handler { return s.known(next, next) }

// known gives a request to next, with the actor that its token stands for, or without one if it has no
// token. One with a token that is not good goes to bad.
func (s *Server) known(next, bad http.Handler) http.Handler {
	return addressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, sent := bearer(r.Header)
		if !sent {
			next.ServeHTTP(w, r)
			return
		}
		if token == "" {
			bad.ServeHTTP(w, r)
			return
		}
		who, err := s.routes.Authenticate(r.Context(), token)
		switch {
		case errors.Is(err, ErrBadToken):
			bad.ServeHTTP(w, r)
		case err != nil:
			s.log.LogAttrs(r.Context(), slog.LevelError, "authenticate",
				slog.String("request", actor.RequestID(r.Context())), slog.Any("error", err))
			w.Header().Set("Retry-After", "1")
			refuse(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", "try again shortly")
		default:
			if e, ok := w.(*exchange); ok {
				e.actor = who
			}
			next.ServeHTTP(w, r.WithContext(actor.NewContext(r.Context(), who)))
		}
	}))
}

// addressed lets what serves a request know where it comes from.
func addressed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(actor.WithAddress(r.Context(), addressOf(r))))
	})
}

// addressOf is where a request comes from; not valid if that cannot be told.
func addressOf(r *http.Request) netip.Addr {
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return from.Addr().Unmap()
	}
	from, _ := netip.ParseAddr(r.RemoteAddr)
	return from.Unmap()
}

// bearer returns the request's token. Sent without a token means that the client tried to
// authenticate in a way that we do not know.
func bearer(header http.Header) (token string, sent bool) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

func refuseToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, r, http.StatusUnauthorized, "UNAUTHENTICATED", "the token is not valid")
}
