package oauth

import (
	"embed"
	"net/http"
	"net/url"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/internal/webpage"
)

//go:embed pages
var files embed.FS

// pages are the templates. The referrer policy lets older browsers name our origin with our forms.
var pages = webpage.Parse(files, "same-origin")

// page is a template with what it shows.
type page struct {
	status   int
	template string
	leadsTo  string // what its form may send the browser to, besides here
	view     view
}

// view is what a page shows; each shows a part of it.
type view struct {
	webpage.Head
	*access.Consent
	Lines   []string
	Asked   map[string]string // to ask once more
	Can     []string
	Host    string
	SignOut string
}

func (p *page) write(w http.ResponseWriter) {
	pages.WriteLeadingTo(w, p.status, p.template, p.view, p.leadsTo)
}

func consentPage(q *request, c *access.Consent, signOut string) *page {
	v := view{Head: webpage.Head{Title: "Let " + c.Application.Name + " act for you?"}, Consent: c,
		Asked: map[string]string{}, SignOut: signOut}
	for name, values := range again(q.r) {
		v.Asked[name] = values[0]
	}
	for _, scope := range c.Scopes {
		v.Can = append(v.Can, words[scope])
	}
	to, _ := url.Parse(q.RedirectURI) // it was registered
	leadsTo := to.Scheme + ":"
	if v.Host = to.Host; to.Host != "" {
		leadsTo += "//" + to.Host
	} else {
		v.Host = "the app on this device"
	}
	return &page{http.StatusOK, "consent.html", leadsTo, v}
}

func message(status int, signOut, title string, lines ...string) *page {
	return &page{status, "message.html", "",
		view{Head: webpage.Head{Title: title}, Lines: lines, SignOut: signOut}}
}

func unknown() *page {
	return message(http.StatusBadRequest, "", "This application is not known here",
		"It named itself, or where to send you back, in a way that nobody has registered. Nothing was done.")
}

func malformed() *page {
	return message(http.StatusBadRequest, "", "That cannot be understood", "Nothing was done.")
}

func elsewhere(signOut string) *page {
	return message(http.StatusForbidden, signOut, "Not for this organization",
		"The application is not one of the organization that you are signed in to, or something that you "+
			"chose is gone.",
		"If you are somebody elsewhere too, sign out, and sign in there.")
}

func notAllowed(signOut string) *page {
	return message(http.StatusForbidden, signOut, "You may not do that",
		"You may not let applications act for you.")
}

func foreign() *page {
	return message(http.StatusForbidden, "", "That did not come from this page", "Nothing was done.")
}

func broken(request string) *page {
	return message(http.StatusInternalServerError, "", "Something went wrong here",
		"Try again in a moment.", "If you tell somebody about it, tell them this number: "+request)
}
