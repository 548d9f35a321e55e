package server

import (
	"net/http"
	"net/url"
	"strings"
)

// takeCookie turns the cookie of a signed-in browser into a bearer token, so that nothing behind it
// has to know of two ways to say who asks. Browsers send cookies along with what pages of other
// origins ask for: of a POST of theirs nothing is done, and whatever else has a cookie counts as sent
// without.
func (s *Server) takeCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(s.routes.Cookie)
		if err != nil || s.routes.Cookie == "" || len(r.Header.Values("Authorization")) > 0 {
			next.ServeHTTP(w, r)
			return
		}
		own := ownOrigin(r)
		switch {
		case r.Method == http.MethodPost && !own:
			refuse(w, r, http.StatusForbidden, "FORBIDDEN", "a page of another origin cannot use this session")
			return
		case own && (r.Method == http.MethodPost || isUpgrade(r)) && s.isGood(r, cookie.Value):
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+cookie.Value)
		}
		next.ServeHTTP(w, r)
	})
}

// isGood says whether a cookie still stands for somebody. One that does not is no reason to refuse
// somebody who goes on to say who they are, as by the first message of a WebSocket.
func (s *Server) isGood(r *http.Request, secret string) bool {
	if !isUpgrade(r) {
		return true
	}
	_, err := s.routes.Authenticate(r.Context(), secret)
	return err == nil
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// ownOrigin says that a page of ours asks, as far as the browser tells. To open a WebSocket is a GET,
// which net/http's protection lets pass: here it is checked like a POST, and has to name its origin.
func ownOrigin(r *http.Request) bool {
	if isUpgrade(r) {
		u, err := url.Parse(r.Header.Get("Origin"))
		if err != nil || !strings.EqualFold(u.Host, r.Host) || u.Host == "" {
			return false
		}
	}
	asked := *r
	asked.Method = http.MethodPost
	return http.NewCrossOriginProtection().Check(&asked) == nil
}
