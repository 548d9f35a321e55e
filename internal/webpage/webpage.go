// Package webpage shows pages to people: plain HTML, in one frame and one style.
//
// A page may look as its style sheet says and send its forms to where it came from; its policy forbids
// everything else, whatever slips into it. The few that need a script have one of their own, and may
// run that one alone. No page is kept by a cache or found by a search engine.
//
// The package imports only the standard library.
package webpage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed frame.html
var frame embed.FS

//go:embed style.css
var style string

// policy allows the style sheet, which is inside every page, by its hash.
var policy = "default-src 'none'; style-src " + byHash(style) +
	"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// byHash names a text in a policy.
func byHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Head is what every page's view has: templates begin with {{template "begin" .}} and end with
// {{template "end"}}.
type Head struct {
	Title string
	// Again has the page loaded once more after some seconds; 0: never.
	Again int
	// To sends the browser on to another address at once; "": nowhere.
	To string
}

// Pages are the templates of one part of the system.
type Pages struct {
	templates *template.Template
	referrer  string
	scripts   map[string]string // by the name of their page
}

// Parse reads the templates pages/*.html, which are compiled in: it panics if one is wrong. The
// referrer policy says what the pages let a browser tell about themselves.
//
// pages/x.js is the script of the page x.html, which has it as <script>{{script "x.html"}}</script>.
func Parse(files fs.FS, referrer string) *Pages {
	p := &Pages{referrer: referrer, scripts: map[string]string{}}
	names, _ := fs.Glob(files, "pages/*.js") // the pattern is right
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err)
		}
		p.scripts[strings.TrimSuffix(path.Base(name), ".js")+".html"] = string(text)
	}
	parts := template.New("").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },                    //nolint:gosec // our own file
		"script": func(page string) template.JS { return template.JS(p.scripts[page]) }, //nolint:gosec // our own files
	})
	parts = template.Must(parts.ParseFS(frame, "frame.html"))
	p.templates = template.Must(parts.ParseFS(files, "pages/*.html"))
	return p
}

// policyOf is what a page may do.
func (p *Pages) policyOf(page string) string {
	if script, ok := p.scripts[page]; ok {
		return policy + "; script-src " + byHash(script)
	}
	return policy
}

// leadingTo is a policy that lets forms lead to an origin, too.
func leadingTo(policy, origin string) string {
	if origin == "" || strings.ContainsAny(origin, " ;,'") {
		return policy
	}
	return strings.Replace(policy, "form-action 'self'", "form-action 'self' "+origin, 1)
}

// Write answers with a page. That the browser has gone is nothing to act on. It panics if the template
// and its view disagree.
func (p *Pages) Write(w http.ResponseWriter, status int, name string, view any) {
	p.WriteLeadingTo(w, status, name, view, "")
}

// WriteLeadingTo is Write for a page whose form has the browser sent on, to an origin such as
// https://example.com or a scheme such as app.example:, which browsers let the policy of the page forbid.
// Without one it may not be.
func (p *Pages) WriteLeadingTo(
	w http.ResponseWriter, status int, name string, view any, origin string,
) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, view); err != nil {
		panic(err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", leadingTo(p.policyOf(name), origin))
	header.Set("Referrer-Policy", p.referrer)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex, nofollow")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}
