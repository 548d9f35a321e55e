package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/server"
)

// echo answers with its own name and the path that it was asked for.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name+" "+r.Method+" "+r.URL.Path)
	})
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{
		Routes: server.Routes{
			GraphQL: echo("graphql"), Devices: echo("devices"), Portal: echo("portal"),
		},
	})
	for path, want := range map[string]string{
		"/k/open":                "portal GET /k/open",
		"/k/a/b":                 "portal GET /k/a/b",
		"/graphql":               "graphql GET /graphql",
		"/graphql?query={x}":     "graphql GET /graphql",
		"/devices/v1/":           "devices GET /devices/v1/",
		"/devices/v1/link?a=b":   "devices GET /devices/v1/link",
		"/livez":                 `{"status":"live"}` + "\n",
		"/graphiql":              "<title>Cardea · GraphiQL</title>",
		"/graphiql/licences.txt": "monaco-editor 0.52.2",
		"/metrics":               "",
	} {
		answer, body := n.get(t, path)
		if answer.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.80q, want 200 %q", path, answer.StatusCode, body, want)
		}
	}
	for _, path := range []string{"/", "/graphiql/"} {
		answer, _ := n.get(t, path)
		to := answer.Header.Get("Location")
		if answer.StatusCode != http.StatusFound || to != "/graphiql" {
			t.Errorf("%s: %d to %q, want 302 to /graphiql", path, answer.StatusCode, to)
		}
	}
	for _, path := range []string{
		"/nothing", "/devices/v2/", "/graphql/x", "/graphiql/assets/none.js",
		"/graphiql/assets/..%2findex.html", "/livez/x",
	} {
		answer, body := n.get(t, path)
		wantRefusal(t, answer, body, http.StatusNotFound, "NOT_FOUND")
	}
}

func TestRolesThatANodeDoesNotHave(t *testing.T) {
	t.Parallel()
	s, err := server.New(t.Context(), workerOnly(t))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{url: "http://" + s.Addr().String(), done: make(chan struct{})}
	n.run(t, s)
	for _, path := range []string{"/", "/graphql", "/graphiql", "/devices/v1/link"} {
		answer, body := n.get(t, path)
		wantRefusal(t, answer, body, http.StatusNotFound, "NOT_FOUND")
	}
	if answer, _ := n.get(t, "/livez"); answer.StatusCode != http.StatusOK {
		t.Errorf("/livez: %d", answer.StatusCode)
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	for _, path := range []string{"/graphql", "/livez", "/nothing", "/graphiql", "/metrics"} {
		answer, _ := n.get(t, path)
		for name, want := range map[string]string{
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"Content-Security-Policy": "frame-ancestors 'none'",
			"Cache-Control":           "no-",
		} {
			if got := answer.Header.Get(name); !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestRefusalsSpeakTheMediaTypeThatIsAskedFor(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	const modern = "application/graphql-response+json"
	for accept, want := range map[string]string{
		"":                            "application/json; charset=utf-8",
		"*/*":                         "application/json; charset=utf-8",
		modern + ", application/json": modern + "; charset=utf-8",
	} {
		answer, _ := n.get(t, "/graphql", "Accept", accept, "Authorization", "Bearer bad")
		if got := answer.Header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q: %q, want %q", accept, got, want)
		}
	}
}

func TestRequestIDsAreOurs(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, actor.RequestID(r.Context()))
		}),
	}})
	seen := map[string]bool{"theirs": true}
	for range 3 {
		answer, inContext := n.get(t, "/graphql", "X-Request-Id", "theirs")
		id := answer.Header.Get("X-Request-Id")
		if id == "" || seen[id] || id != inContext {
			t.Errorf("request ID %q, in the context %q", id, inContext)
		}
		seen[id] = true
	}
}
