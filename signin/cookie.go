package signin

import (
	"net/http"
	"time"
)

// Cookie is the name of the cookie that holds a session's secret. Its prefix has browsers refuse it
// unless it is Secure and of this host alone, so no neighbour can plant one. They take it over plain
// http from localhost only.
const Cookie = "__Host-cardea"

// nonceCookie holds what goes with the code that the browser asked for.
const nonceCookie = "__Host-cardea-sign-in"

// challengeCookie holds what goes with the challenge that the browser asked for.
const challengeCookie = "__Host-cardea-passkey"

// providerCookie holds what goes with a way to a provider and back.
const providerCookie = "__Host-cardea-provider"

func keep(w http.ResponseWriter, name, value string, until time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Expires: until,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func forget(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// kept is the value of a cookie, or "".
func kept(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}
