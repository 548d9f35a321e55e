package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// built is GraphiQL as graphiql/build.js leaves it: nothing in it asks another origin, every file
// is gzipped, and every name below assets carries a hash of the content.
//
//go:embed graphiql/dist
var built embed.FS

// pagePolicy lets the page run our own scripts and speak to our own origin, WebSockets included,
// and nothing else: it holds a token. The editor writes style attributes and inline fonts.
const pagePolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; " +
	"connect-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

func servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	serveBuilt(w, r, "index.html", "no-cache")
}

func serveLicences(w http.ResponseWriter, r *http.Request) {
	serveBuilt(w, r, "licences.txt", "no-cache")
}

func serveAsset(w http.ResponseWriter, r *http.Request) {
	serveBuilt(w, r, "assets/"+r.PathValue("name"), "public, max-age=31536000, immutable")
}

// serveBuilt sends a file as it is stored, or unpacked to a client that does not take gzip.
func serveBuilt(w http.ResponseWriter, r *http.Request, name, caching string) {
	content, err := built.ReadFile("graphiql/dist/" + name + ".gz")
	if err != nil {
		notFound(w, r)
		return
	}
	sum := sha256.Sum256(content)
	header := w.Header()
	header.Set("Content-Type", contentTypes[path.Ext(name)])
	header.Set("Cache-Control", caching)
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", `W/"`+hex.EncodeToString(sum[:8])+`"`) // weak: one for both encodings
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
	} else {
		content = unpack(content)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// unpack panics on damage: the content is compiled in, and a test reads all of it.
func unpack(packed []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		panic(err)
	}
	return content
}

func takesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, weighted := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if strings.EqualFold(name, "gzip") {
			q, err := strconv.ParseFloat(weight, 64)
			return !weighted || err == nil && q > 0
		}
	}
	return false
}
