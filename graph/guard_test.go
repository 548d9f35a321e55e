package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// times writes texts one after the other, each with its number.
func times(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return b.String()
}

func nested(n int, open, inside, closed string) string {
	return strings.Repeat(open, n) + inside + strings.Repeat(closed, n)
}

// Each limit lets through what is just within it, and refuses the next by its own code.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	padded := func(bytes int) string { return "{ __typename } #" + strings.Repeat("x", bytes-16) }
	for _, c := range []struct {
		code   string
		most   int
		ask    func(n int) (query string, variables vars)
		within string // what is wrong with what is within the limit, if it is not carried out
	}{
		{"DOCUMENT_TOO_LONG", 16 << 10, func(n int) (string, vars) { return padded(n), nil }, ""},
		{"TOO_MANY_TOKENS", 1000, func(n int) (string, vars) {
			return "{ __typename" + strings.Repeat("\n#", n-3) + "\n}", nil
		}, ""},
		{"DOCUMENT_TOO_DEEP", 12, func(n int) (string, vars) {
			return "{ sites { nodes { " + nested(n-3, "a { ", "b", " }") + " } } }", nil
		}, "GRAPHQL_VALIDATION_FAILED"},
		{"TOO_MANY_FIELDS", 2000, func(n int) (string, vars) { // the fragment is written out five times
			rest := n - 6
			return "{ viewer { " + times(rest%5, "b# ") + "c } " + times(3, "a#: viewer { ...f } ") +
				"... { a3: viewer { ...f } } } fragment f on Viewer { " + times(rest/5-1, "f# ") + "x }", nil
		}, "GRAPHQL_VALIDATION_FAILED"},
		{"TOO_MANY_ALIASES", 30, func(n int) (string, vars) {
			return "{ viewer { " + times(n, "a#: role ") + "} }", nil
		}, ""},
		{"TOO_MANY_DIRECTIVES", 20, func(n int) (string, vars) {
			return "{ viewer { " + times(n-1, "a#: role @skip(if: false) ") + "role @include(if: true) } }", nil
		}, ""},
		{"TOO_MANY_ROOT_FIELDS", 10, func(n int) (string, vars) {
			return "{ ...f } fragment f on Query { " + times(n, "a#: __typename ") + "}", nil
		}, ""},
		{"TOO_MANY_FRAGMENTS", 50, func(n int) (string, vars) {
			return "{ ...f0 }" + times(n, " fragment f# on Query { a }"), nil
		}, "GRAPHQL_VALIDATION_FAILED"},
		{"TOO_MANY_OVERLAPS", 45, func(n int) (string, vars) { // 990 pairs, or 1035
			return "{ viewer { " + strings.Repeat("role ", n) + "} }", nil
		}, ""},
		{"VALUE_TOO_DEEP", 12, func(n int) (string, vars) {
			return "{ node(id: " + nested(n, "[", "", "]") + ") { id } }", nil
		}, "GRAPHQL_VALIDATION_FAILED"},
		{"PAGE_TOO_LONG first", 100, func(n int) (string, vars) {
			return fmt.Sprintf("{ doors(first: %d) { nodes { id } } }", n), nil
		}, ""},
		{"PAGE_TOO_LONG last", 100, func(n int) (string, vars) {
			return "query($n: Int) { doors(last: $n) { nodes { id } } }", vars{"n": n}
		}, ""},
		{"PAGE_TOO_LONG ids", 100, func(n int) (string, vars) {
			return "query($ids: [ID!]!) { nodes(ids: $ids) { id } }",
				vars{"ids": strings.Fields(strings.Repeat(w.org.String()+" ", n))}
		}, ""},
		{"COST_TOO_HIGH", 5000, func(n int) (string, vars) { // 100 × (1 + 24 × 2) + 2 + 98
			return fmt.Sprintf(`{ doors(first: 100) { nodes { keys(first: 24) { nodes { user { id } } } } }
				viewer { user { id } } sites(first: %d) { nodes { id } } }`, n-4902), nil
		}, ""},
		{"COST_TOO_HIGH", 24, func(n int) (string, vars) {
			return `query($n: Int = 25) { doors(first: 100) { nodes { keys(first: $n) { nodes { user { id } } } } }
				sites(first: 100) { nodes { id } } }`, vars{"n": n}
		}, ""},
		{"VARIABLES_TOO_LONG", 32 << 10, func(n int) (string, vars) {
			return "query($x: String) { __typename @skip(if: false) viewer { role } }",
				vars{"x": strings.Repeat("x", n-len(`{"x":""}`))}
		}, "GRAPHQL_VALIDATION_FAILED"},
		{"VALUE_TOO_DEEP", 12, func(n int) (string, vars) {
			var x any = 1
			for range n {
				x = []any{x}
			}
			return "{ __typename }", vars{"x": x}
		}, ""},
		{"LIST_TOO_LONG", 1000, func(n int) (string, vars) {
			return "{ __typename }", vars{"x": make([]int, n)}
		}, ""},
	} {
		for n, want := range map[int]string{c.most: c.within, c.most + 1: c.code} {
			query, variables := c.ask(n)
			a, got := w.ask(w.admin, query, variables), ""
			if len(a.Errors) > 0 {
				got = a.Errors[0].codeAndField()
			}
			if got != want {
				t.Errorf("%s: %d: %.300s", c.code, n, a.raw)
			}
		}
	}
}

// The same where nothing of the document is read yet.
func TestLimitsOfRequests(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const head, tail = `{"query": "{ __typename }", "more": "`, `"}`
	fill := func(n int) string { return head + strings.Repeat("x", n-len(head)-len(tail)) + tail }
	w.post(w.admin, fill(64<<10)).ok()
	a := w.post(w.admin, fill(64<<10+1)).refused("BODY_TOO_LONG")
	equal(t, a.status, http.StatusRequestEntityTooLarge)
	for _, body := range []string{`[{"query": "{ __typename }"}]`, "\n [ ]"} {
		equal(t, w.post(w.admin, body).refused("BATCH_REFUSED").status, http.StatusBadRequest)
	}
	c := w.connectAs(w.admin)
	c.start("v", `{ __typename }`, vars{"x": make([]int, 1001)})
	equal(t, c.failed("v"), "LIST_TOO_LONG")
	c.start("v", `{ viewer { role } }`, vars{"x": make([]int, 1000)}) // the socket lives on
	c.next("v")
	c.complete("v")
	c.start("s", `subscription { a: events { cursor } b: events { cursor } }`)
	equal(t, c.failed("s"), "TOO_MANY_ROOT_FIELDS")
}

// What portals and apps ask for fits.
func TestNaturalQueriesFit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for query, cost := range map[string]int{
		`{ doors(first: 50) { nodes { id name lockState events(first: 5) {
			edges { cursor node { type actor { name } user { name } } } pageInfo { hasNextPage } }
			} } }`: 50 * (1 + 5*(1+1+1)),
		`{ viewer { user { name } } }`: 1 + 1,
		`{ doors(first: 100) { nodes { keys(first: 10) { nodes { user { name } } } } } }`: 100 * (1 + 10*(1+1)),
		`{ sites { nodes { name } } }`:    50,
		`{ __schema { types { name } } }`: 1000,
		`mutation { createSite(input: {name: "Quay", timeZone: "UTC"}) { site { id } } }`: 10 + 1 + 1,
		`mutation { ...on Mutation {
			a: createSite(input: {name: "Yard", timeZone: "UTC"}) { site { id } }
			b: createSite(input: {name: "Mill", timeZone: "UTC"}) { site { id } } } }`: 2 * (10 + 1 + 1),
	} {
		equal(t, w.ask(w.admin, query).ok().cost(t), cost)
	}
}

// What tools send to learn the schema is within the limits, deep as it is.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	reference := nested(9, "kind name ofType { ", "kind name", " }")
	a := w.ask(w.member, `query IntrospectionQuery { __schema { description queryType { name kind }
		mutationType { name kind } subscriptionType { name kind } types { ...FullType } directives { name description
		isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
	fragment FullType on __Type { kind name description specifiedByURL isOneOf
		fields(includeDeprecated: true) { name description
		args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
		inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
		enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
		possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated
		deprecationReason }
	fragment TypeRef on __Type { `+reference+` }`).ok()
	equal(t, a.text("__schema.queryType.name"), "Query")
	// The form of older tools, without fragments for references: 14 fields deep.
	w.ask(w.member, `{ __schema { types { fields { args { type { `+reference+` } } } } } }`).ok()
	w.ask(w.member, `{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`).
		refused("GRAPHQL_VALIDATION_FAILED")
	w.ask(w.member, `{ `+times(6, "a#: __schema { queryType { name } } ")+`}`).refused("COST_TOO_HIGH")
}

// cost is what an answer says that its operation cost.
func (a answer) cost(t *testing.T) int {
	t.Helper()
	var told struct {
		Extensions struct{ Cost struct{ Requested int } }
	}
	must(t, json.Unmarshal(a.raw, &told))
	return told.Extensions.Cost.Requested
}
