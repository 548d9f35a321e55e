package signin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
)

//go:embed pages
var files embed.FS

// pages are the templates; they are compiled in, and a test shows each of them.
var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// style is the one style sheet. It is inside every page, and its hash allows it and no other.
var style = template.CSS(read("pages/style.css")) //nolint:gosec // our own file

// policy lets a page look as we say and send its forms to us, and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

func read(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(content)
}

// page is a template with what it shows.
type page struct {
	status   int
	template string
	view     view
}

// view is what a page shows; each shows a part of it.
type view struct {
	Title         string
	Style         template.CSS
	Lines         []string
	Next          string
	Email         string
	Fault         string
	Proof         string
	Organizations []*ent.Organization
}

// write sends the page. That the browser has gone is nothing to act on. The referrer policy is one
// that lets older browsers name our origin with our forms.
func (p *page) write(w http.ResponseWriter) {
	var body bytes.Buffer
	p.view.Style = style
	if err := pages.ExecuteTemplate(&body, p.template, p.view); err != nil {
		panic(err) // a template and its view disagree
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex, nofollow")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(p.status)
	_, _ = w.Write(body.Bytes())
}

func emailPage(status int, next, email, fault string) *page {
	return &page{status, "email.html", view{Title: "Sign in", Next: next, Email: email, Fault: fault}}
}

func codePage(status int, next, fault string) *page {
	return &page{status, "code.html", view{Title: "Your code", Next: next, Fault: fault}}
}

func choicePage(next string, proven *access.Proven) *page {
	return &page{http.StatusOK, "choice.html", view{
		Title: "Where do you want to go?", Next: next,
		Proof: proven.Proof, Organizations: proven.Organizations,
	}}
}

func outPage() *page { return &page{http.StatusOK, "out.html", view{Title: "Sign out"}} }

func message(status int, title string, lines ...string) *page {
	return &page{status, "message.html", view{Title: title, Lines: lines}}
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
