package access

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/typeid"
)

// What an application lists at most.
const (
	maxRedirects   = 20
	maxRedirectURI = 500
)

func (f *faults) homepage(text *string) {
	if text == nil {
		return
	}
	u, err := url.Parse(*text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(*text) > 2048 ||
		strings.ContainsFunc(*text, isStrange) {
		f.add("homepageUrl", "must be an https URL")
	}
}

// redirects checks where codes may be sent. An application without a secret has no other use than to be
// sent some.
func (f *faults) redirects(uris []string, to application.Type) {
	if len(uris) > maxRedirects || len(uris) == 0 && to == application.TypePUBLIC {
		f.add("redirectUris", "name from 1 to %d", maxRedirects)
	}
	for i, text := range uris {
		if why := wrongRedirect(text, to); why != "" {
			f.add(fmt.Sprintf("redirectUris.%d", i), "%s", why)
		}
	}
}

// wrongRedirect says why a code must not be sent to a URI; "" if it may be.
func wrongRedirect(text string, to application.Type) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || len(text) > maxRedirectURI || strings.ContainsFunc(text, isStrange):
		return "must be a URI"
	case strings.ContainsAny(text, "#*") || u.User != nil:
		return "must have no fragment, no wildcard and no user"
	case u.Scheme == "https" && u.Host != "" && u.Path != "":
		return ""
	case u.Scheme == "http" && isLocal(u) && u.Path != "":
		return ""
	case to == application.TypePUBLIC && strings.Contains(u.Scheme, ".") && u.Host == "" && u.Path != "":
		return "" // RFC 8252, 7.1: an app's own scheme is a domain name backwards
	}
	return "must be https with a path, http to the same machine, or an app's own scheme with a dot"
}

// isStrange is true of what has no place in a URI.
func isStrange(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\\\"<>^`{|}", c) }

// isLocal says that a URI leads to the machine that the browser runs on.
func isLocal(u *url.URL) bool { return u.Hostname() == "localhost" || isLoopback(u) }

func isLoopback(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && ip.IsLoopback()
}

// maySendTo says whether a code may be sent to a URI: one that was registered, letter by letter. Only the
// port of a loopback address may differ: programs take the one that is free (RFC 8252, 7.3).
func maySendTo(registered []string, uri string) bool {
	if slices.Contains(registered, uri) {
		return true
	}
	asked, err := url.Parse(uri)
	if err != nil || asked.Scheme != "http" || !isLoopback(asked) {
		return false
	}
	return slices.ContainsFunc(registered, func(text string) bool {
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" || u.Hostname() != asked.Hostname() {
			return false
		}
		u.Host = asked.Host
		return u.String() == uri
	})
}

// askable checks the scopes that an application may ask for.
func (f *faults) askable(scopes []actor.Scope) {
	if len(scopes) == 0 {
		f.add("scopes", "name at least one")
	}
	can := ApplicationScopes()
	for i, scope := range scopes {
		if !slices.Contains(can, scope) {
			f.add(fmt.Sprintf("scopes.%d", i), "no application may ask for it")
		}
	}
}

func (f *faults) byItself(actsFor *typeid.User, is application.Type) {
	if actsFor != nil && is == application.TypePUBLIC {
		f.add("actsForId", "an application without a secret does nothing by itself")
	}
}
