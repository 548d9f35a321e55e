package signin

import (
	"embed"
	"net/http"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/internal/webpage"
)

//go:embed pages
var files embed.FS

// pages are the templates; a test shows each of them. The referrer policy lets older browsers name our
// origin with our forms.
var pages = webpage.Parse(files, "same-origin")

// page is a template with what it shows.
type page struct {
	status   int
	template string
	view     view
}

// view is what a page shows; each shows a part of it.
type view struct {
	webpage.Head
	Lines         []string
	Next          string
	Email         string
	Fault         string
	Proof         string
	Organizations []*ent.Organization
	Passkeys      bool           // whether there can be any
	Kept          []*ent.Passkey // those of whoever is signed in
	Offers        []access.Offer
	Name          string
	Verb          string // of navigator.credentials
	Options       string // what it takes
	Action        string // where its answer goes
	Back          string
}

func (p *page) write(w http.ResponseWriter) { pages.Write(w, p.status, p.template, p.view) }

func titled(title string) webpage.Head { return webpage.Head{Title: title} }

func (s *signin) emailPage(status int, next, email, fault string) *page {
	return &page{status, "email.html", view{
		Head: titled("Sign in"), Next: next, Email: email, Fault: fault, Passkeys: s.access.OffersPasskeys(),
	}}
}

func codePage(status int, next, fault string) *page {
	return &page{status, "code.html", view{Head: titled("Your code"), Next: next, Fault: fault}}
}

func choicePage(next string, proven *access.Proven) *page {
	return &page{http.StatusOK, "choice.html", view{
		Head: titled("Where do you want to go?"), Next: next,
		Proof: proven.Proof, Organizations: proven.Organizations,
	}}
}

func outPage() *page { return &page{http.StatusOK, "out.html", view{Head: titled("Sign out")}} }

func message(status int, title string, lines ...string) *page {
	return &page{status, "message.html", view{Head: titled(title), Lines: lines}}
}

func over() *page {
	return message(http.StatusUnprocessableEntity, "That took too long",
		"What you proved is not good any more, or was used already.")
}

func tooMany() *page {
	return message(http.StatusTooManyRequests, "Too many tries",
		"There were too many for this address, or from your network. Wait ten minutes.")
}

func foreign() *page {
	return message(http.StatusForbidden, "That did not come from this page", "Nothing was done.")
}

func broken(request string) *page {
	return message(http.StatusInternalServerError, "Something went wrong here",
		"Try again in a moment.", "If you tell somebody about it, tell them this number: "+request)
}
