package graph_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/stream"
)

// costly is a document beyond every limit that a trusted one need not keep.
var costly = "{ doors(first: 100) { nodes { keys(first: 100) { nodes { id user { id } } } } } " +
	times(40, "a#: viewer { role } ") + "}" + strings.Repeat(" #\n", 6000)

func trusting(only bool) option {
	return func(c *graph.Config, _ *stream.HubConfig) {
		c.Trusted = map[string]string{"0a1b": costly, "sha256:7c": `{ viewer { role } }`, "old": `{ nothing }`}
		c.TrustedOnly = only
	}
}

// Trusted documents are asked for by their identifiers, over every transport, and have no limits.
func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	w := setup(t, trusting(false))
	equal(t, w.post(w.admin, `{"documentId": "0a1b"}`).ok().text("a39.role"), "OWNER")
	for _, id := range []string{"7c", "sha256:7c"} {
		equal(t, w.post(w.admin, `{"documentId": "`+id+`"}`).ok().text("viewer.role"), "OWNER")
		got := w.request(w.admin, http.MethodGet, "?documentId="+url.QueryEscape(id), "").ok()
		equal(t, got.text("viewer.role"), "OWNER")
	}
	w.post(w.admin, `{"documentId": "old"}`).refused("GRAPHQL_VALIDATION_FAILED")
	w.post(w.admin, `{"documentId": "none"}`).refused("PERSISTED_QUERY_NOT_FOUND")
	w.post(w.admin, `{"documentId": "7c", "query": "{ __typename }"}`).refused("BAD_REQUEST")
	w.post(w.admin, `{"documentId": "`+strings.Repeat("x", 129)+`"}`).refused("BAD_REQUEST")
	w.post(person{}, `{"documentId": "7c"}`).refused("UNAUTHENTICATED")
	w.ask(w.admin, `{ viewer { user { name } } }`).ok() // others still are executed

	c := w.connectAs(w.admin)
	c.send(frame{ID: "d", Type: "subscribe", Payload: json.RawMessage(`{"documentId": "7c"}`)})
	equal(t, dig(t, c.next("d"), "viewer.role").(string), "OWNER")
	c.complete("d")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(`{"documentId": "7c"}`))
	must(t, err)
	r.Header.Set("Authorization", "Bearer "+w.admin.secret)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	events, err := io.ReadAll(response.Body)
	must(t, errors.Join(err, response.Body.Close()))
	if !strings.Contains(string(events), `"role":"OWNER"`) {
		t.Errorf("as events: %s", events)
	}
}

// An installation may execute nothing else.
func TestOnlyTrustedDocuments(t *testing.T) {
	t.Parallel()
	w := setup(t, trusting(true))
	w.post(w.admin, `{"documentId": "7c"}`).ok()
	w.ask(w.admin, `{ viewer { role } }`).ok() // the same text
	w.ask(w.admin, `{ viewer { role  } }`).refused("DOCUMENT_NOT_TRUSTED")
	w.ask(w.admin, `{ __schema { queryType { name } } }`).refused("DOCUMENT_NOT_TRUSTED")
	w.post(w.admin, `{"documentId": "none"}`).refused("DOCUMENT_NOT_TRUSTED")
	w.post(w.admin, persisted("{ __typename }", true)).refused("DOCUMENT_NOT_TRUSTED")
	c := w.connectAs(w.admin)
	c.start("q", `{ __typename }`)
	equal(t, c.failed("q"), "DOCUMENT_NOT_TRUSTED")
}

// persisted is a request for a document by its hash, with the text or without.
func persisted(text string, with bool) string {
	sum := sha256.Sum256([]byte(text))
	request := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{
		"version": 1, "sha256Hash": hex.EncodeToString(sum[:])}}}
	if with {
		request["query"] = text
	}
	body, _ := json.Marshal(request)
	return string(body)
}

// A text that was sent with its hash is known by it, on every node, to its organization alone.
func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const text = `{ viewer { role } }`
	unknown := w.post(w.admin, persisted(text, false)).refused("PERSISTED_QUERY_NOT_FOUND")
	equal(t, unknown.Errors[0].Message, "PersistedQueryNotFound")
	w.post(person{}, persisted(text, true)).refused("UNAUTHENTICATED")
	w.post(w.admin, persisted(text, false)).refused("PERSISTED_QUERY_NOT_FOUND")
	equal(t, w.post(w.admin, persisted(text, true)).ok().text("viewer.role"), "OWNER")
	for _, node := range []*world{w, w.another()} {
		for _, p := range []person{w.admin, w.member} {
			node.post(p, persisted(text, false)).ok()
		}
		node.post(w.stranger, persisted(text, false)).refused("PERSISTED_QUERY_NOT_FOUND")
		c := node.connectAs(w.admin)
		c.send(frame{ID: "d", Type: "subscribe", Payload: json.RawMessage(persisted(text, false))})
		c.next("d")
	}
	given := `{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}`
	for _, wrong := range []string{
		`{"query": "{ __typename }", "extensions": {"persistedQuery": ` + given + `}}`,
		`{"extensions": {"persistedQuery": ` + strings.Replace(given, "1", "2", 1) + `}}`,
		`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0"}}}`,
		`{"extensions": {"persistedQuery": 1}}`, `{"extensions": {}}`,
	} {
		w.post(w.admin, wrong).refused("BAD_REQUEST")
	}
	for _, bad := range []string{`{ nothing }`, `{ viewer { ` + times(31, "a#: role ") + `} }`} {
		w.post(w.admin, persisted(bad, true))
		w.post(w.admin, persisted(bad, false)).refused("PERSISTED_QUERY_NOT_FOUND")
	}
}

// What clients register is bounded, and pushes out only what is of their own organization.
func TestPersistedQueriesAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	by := func(n int) string { return fmt.Sprintf("{ __typename } # %d %s", n, strings.Repeat("x", 15000)) }
	w.post(w.stranger, persisted(by(0), true)).ok()
	const many = 90 // some 1.3 MB
	for n := range many {
		w.post(w.admin, persisted(by(n), true)).ok()
	}
	fresh := w.another() // which knows only what is shared
	fresh.post(w.admin, persisted(by(many-1), false)).ok()
	fresh.post(w.admin, persisted(by(0), false)).refused("PERSISTED_QUERY_NOT_FOUND")
	fresh.post(w.stranger, persisted(by(0), false)).ok()
}
