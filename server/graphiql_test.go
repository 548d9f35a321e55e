package server_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea/cardea/server"
)

// Every built file arrives whole, packed or not, with the right type; nothing names a CDN.
func TestGraphiQLIsEmbedded(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	files, err := filepath.Glob("graphiql/dist/assets/*.gz")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d built files, %v", len(files), err)
	}
	types := map[string]string{".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	cdn := regexp.MustCompile(`https?://[^"' )]*(cdn|unpkg|jsdelivr|esm\.sh|googleapis)`)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".gz")
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		answer, got := n.get(t, "/graphiql/assets/"+name, "Accept-Encoding", "br, gzip;q=0.5")
		if got != string(packed) || answer.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: not the packed file", name)
		}
		answer, plain := n.get(t, "/graphiql/assets/"+name, "Accept-Encoding", "gzip;q=0, br")
		if plain != unpacked(t, packed) || answer.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: not the file", name)
		}
		kind, caching := answer.Header.Get("Content-Type"), answer.Header.Get("Cache-Control")
		if want := types[filepath.Ext(name)]; want == "" || !strings.HasPrefix(kind, want) {
			t.Errorf("%s: type %q, want %q", name, kind, want)
		}
		if !strings.Contains(caching, "immutable") || answer.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: caching %q, vary %q", name, caching, answer.Header.Get("Vary"))
		}
		if found := cdn.FindString(plain); found != "" {
			t.Errorf("%s: names %s", name, found)
		}
	}
}

func unpacked(t *testing.T, packed []byte) string {
	t.Helper()
	reader, err := gzip.NewReader(strings.NewReader(string(packed)))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The page asks for nothing that is not there, is checked again on each visit, and may run and
// reach only what comes from its own origin.
func TestGraphiQLPage(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	answer, page := n.get(t, "/graphiql")
	links := regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) != 4 {
		t.Fatalf("%d links, want icon, licences, style and script: %s", len(links), page)
	}
	for _, link := range links {
		if linked, _ := n.get(t, "/"+link[1]); linked.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", link[1], linked.StatusCode)
		}
	}
	policy := answer.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "connect-src 'self';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %q", policy, want)
		}
	}
	again, _ := n.get(t, "/graphiql", "If-None-Match", answer.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d, want 304", again.StatusCode)
	}
}
