package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/server"
)

// who answers with the actor that reached the handler.
func who(w http.ResponseWriter, r *http.Request) {
	a, found := actor.FromContext(r.Context())
	_, _ = fmt.Fprintf(w, "%v %s", found, a.ID())
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{Routes: server.Routes{
		GraphQL: http.HandlerFunc(who), Devices: http.HandlerFunc(who),
	}})
	for name, c := range map[string]struct {
		path   string
		tokens []string // the Authorization headers
		want   string   // the body of an answer of 200, or the code of another
		status int
	}{
		"no header":           {"/graphql", nil, "false ", 200},
		"a good token":        {"/graphql", []string{"Bearer good"}, "true test", 200},
		"any case, any space": {"/graphql", []string{"bEARER  good "}, "true test", 200},
		"elsewhere":           {"/devices/v1/", []string{"Bearer bad"}, "false ", 200},
		"a bad token":         {"/graphql", []string{"Bearer bad"}, "UNAUTHENTICATED", 401},
		"an empty token":      {"/graphql", []string{"Bearer "}, "UNAUTHENTICATED", 401},
		"no scheme":           {"/graphql", []string{"good"}, "UNAUTHENTICATED", 401},
		"another scheme":      {"/graphql", []string{"Basic good"}, "UNAUTHENTICATED", 401},
		"an empty header":     {"/graphql", []string{""}, "UNAUTHENTICATED", 401},
		"two":                 {"/graphql", []string{"Bearer good", "Bearer a"}, "UNAUTHENTICATED", 401},
		"no way to know":      {"/graphql", []string{"Bearer unlucky"}, "UNAVAILABLE", 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			for _, token := range c.tokens {
				headers = append(headers, "Authorization", token)
			}
			answer, body := n.get(t, c.path, headers...)
			if c.status == http.StatusOK {
				if answer.StatusCode != c.status || body != c.want {
					t.Errorf("%d %q, want 200 %q", answer.StatusCode, body, c.want)
				}
				return
			}
			wantRefusal(t, answer, body, c.status, c.want)
			challenge := answer.Header.Get("WWW-Authenticate")
			if (challenge == "Bearer") != (c.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
		})
	}
}

// What Authenticate could not do is in the log and nowhere else; the token is nowhere at all.
func TestAuthenticateKeepsSecrets(t *testing.T) {
	t.Parallel()
	n := start(t, server.Config{})
	answer, body := n.get(t, "/graphql", "Authorization", "Bearer unlucky")
	_, refused := n.get(t, "/graphql", "Authorization", "Bearer hush-hush")
	_ = n.stop()
	if strings.Contains(body, "postgres") || !strings.Contains(n.log.String(), "dial postgres") {
		t.Errorf("answer %s and log %s", body, n.log)
	}
	lines := n.log.lines(t, "authenticate")
	if len(lines) != 1 || lines[0]["request"] != answer.Header.Get("X-Request-Id") {
		t.Errorf("logged %v, want one line with the request ID", lines)
	}
	for _, text := range []string{body, refused, n.log.String()} {
		if strings.Contains(text, "hush-hush") || strings.Contains(text, "unlucky") {
			t.Errorf("a token shows in %s", text)
		}
	}
}
