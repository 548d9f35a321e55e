package graph_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	plain  = "application/json; charset=utf-8"
	strict = "application/graphql-response+json; charset=utf-8"
)

func TestHTTPStatusesAndMediaTypes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const good, bad = `{"query": "{ __typename }"}`, `{"query": "{ nothing }"}`
	for _, c := range []struct {
		name, accept, kind, body string
		status                   int
		answer                   string
	}{
		{"plain", "application/json", "application/json", good, 200, plain},
		{"strict", "application/graphql-response+json", "application/json", good, 200, strict},
		{"anything", "*/*", "application/json", good, 200, plain},
		{"first that fits", "text/html, application/graphql-response+json;q=0.9",
			"application/json", good, 200, strict},
		{"nothing that fits", "text/html", "application/json", good, 406, plain},
		{"with charset", "", "application/json; charset=UTF-8", good, 200, plain},
		{"invalid, plain", "application/json", "application/json", bad, 200, plain},
		{"invalid, strict", "application/graphql-response+json", "application/json", bad, 400, strict},
		{"text", "", "text/plain", good, 415, plain},
		{"form", "", "application/x-www-form-urlencoded", "query=x", 415, plain},
		{"latin", "", "application/json; charset=latin1", good, 415, plain},
		{"no JSON", "", "application/json", `{"query": "secret`, 400, plain},
		{"two values", "", "application/json", good + good, 400, plain},
		{"batch", "", "application/json", `[` + good + `]`, 400, plain},
		{"no query", "", "application/json", `{}`, 400, plain},
		{"query of a number", "", "application/json", `{"query": 1}`, 400, plain},
		{"variables of a list", "", "application/json", `{"query": "{ __typename }", "variables": []}`, 400, plain},
		{"nulls", "", "application/json", `{"query": "{ __typename }", "variables": null, "operationName": null,
			"extensions": null, "more": 1}`, 200, plain},
		{"too long", "", "application/json", `{"query": "` + strings.Repeat("x", 70<<10) + `"}`, 413, plain},
	} {
		headers := []string{"Content-Type", c.kind}
		if c.accept != "" {
			headers = append(headers, "Accept", c.accept)
		}
		a := w.request(w.admin, http.MethodPost, "", c.body, headers...)
		if a.status != c.status || a.header.Get("Content-Type") != c.answer {
			t.Errorf("%s: %d %s: %s", c.name, a.status, a.header.Get("Content-Type"), a.raw)
		}
		if strings.Contains(string(a.raw), "secret") {
			t.Errorf("%s: the body comes back: %s", c.name, a.raw)
		}
		if a.status != 200 || c.body == bad {
			if len(a.Errors) == 0 || strings.Contains(string(a.raw), `"data"`) {
				t.Errorf("%s: not the answer of what was not executed: %s", c.name, a.raw)
			}
		}
	}
}

func TestHTTPMethods(t *testing.T) {
	t.Parallel()
	w := setup(t)
	get := func(query string) answer {
		t.Helper()
		return w.request(w.admin, http.MethodGet, "?query="+url.QueryEscape(query), "")
	}
	equal(t, get(`{ viewer { role } }`).ok().text("viewer.role"), "OWNER")
	variables := "&variables=" + url.QueryEscape(`{"id": "`+w.org.String()+`"}`)
	named := w.request(w.admin, http.MethodGet, "?operationName=B&query="+url.QueryEscape(
		`query A { __typename } query B($id: ID!) { node(id: $id) { id } }`)+variables, "")
	equal(t, named.ok().text("node.id"), w.org.String())
	mutation := get(`mutation { createSite(input: {name: "x", timeZone: "UTC"}) { site { id } } }`)
	equal(t, mutation.status, http.StatusMethodNotAllowed)
	equal(t, mutation.header.Get("Allow"), "POST")
	equal(t, len(w.ask(w.admin, `{ sites { nodes { id } } }`).ok().at("sites.nodes").([]any)), 0)
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions} {
		a := w.request(w.admin, method, "", "")
		equal(t, a.status, http.StatusMethodNotAllowed)
		equal(t, a.header.Get("Allow"), "GET, POST")
	}
	w.request(w.admin, http.MethodGet, "?query={__typename}&variables=[]", "").refused("BAD_REQUEST")
	equal(t, w.request(w.admin, http.MethodGet, "", "").status, http.StatusBadRequest)
}
