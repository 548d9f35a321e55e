package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What would cost much is refused before it costs anything.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	w := setup(t)
	spread := func(levels, width int) string {
		var b strings.Builder
		b.WriteString("{ ...f0 }")
		for i := range levels {
			fmt.Fprintf(&b, " fragment f%d on Query { %s }", i,
				strings.Repeat(fmt.Sprintf("...f%d ", i+1), width))
		}
		fmt.Fprintf(&b, " fragment f%d on Query { __typename }", levels)
		return b.String()
	}
	for name, document := range map[string]string{
		"fragments 10 by 8":     spread(10, 8),
		"fragments 60 by 2":     spread(60, 2),
		"one field 1000 times":  "{ " + strings.Repeat("a ", 1000) + "}",
		"one field nested":      strings.Repeat("a{a{a{a{b}}}} ", 100),
		"deep":                  strings.Repeat("{ a ", 40) + strings.Repeat("}", 40),
		"deep literal":          "{ a(b: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + ") }",
		"long":                  "{ a } #" + strings.Repeat("x", 16<<10),
		"large pages of pages":  "{ doors(first: 100) { nodes { keys(first: 100) { nodes { id user { id } } } } } }",
		"default pages, thrice": "{ doors { nodes { keys { nodes { doors { nodes { id } } } } } } }",
		"cycle":                 "{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a ...a }",
	} {
		start := time.Now()
		a := w.ask(w.admin, document)
		code := ""
		if len(a.Errors) > 0 {
			code = a.Errors[0].Extensions.Code
		}
		if code != "OPERATION_TOO_LARGE" && (name != "cycle" || code != "GRAPHQL_VALIDATION_FAILED") &&
			(name != "one field nested" || code != "GRAPHQL_PARSE_FAILED") {
			t.Errorf("%s: %s", name, a.raw)
		}
		if len(a.raw) > 4<<10 || time.Since(start) > time.Second {
			t.Errorf("%s: %d bytes after %s", name, len(a.raw), time.Since(start))
		}
	}
	many := w.ask(w.admin, "{ "+strings.Repeat("a b c d ", 1000)+"}")
	equal(t, many.Errors[0].Extensions.Code, "GRAPHQL_PARSE_FAILED") // by its tokens
	w.ask(w.admin, `query($n: Int) { doors(first: $n) { nodes { keys(first: $n) { nodes { id user { id } } } } } }`,
		vars{"n": 100}).refused("OPERATION_TOO_LARGE")
	w.ask(w.admin, `query($n: Int) { doors(first: $n) { nodes { keys(first: $n) { nodes { id user { id } } } } } }`,
		vars{"n": 10}).ok()
}

// What tools send to learn the schema is within the limits.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	reference := strings.Repeat("kind name ofType { ", 9) + "kind name" + strings.Repeat(" }", 9)
	a := w.ask(w.member, `query IntrospectionQuery { __schema { description queryType { name } mutationType { name }
		subscriptionType { name } types { ...FullType } directives { name description locations
		args(includeDeprecated: true) { ...InputValue } } } }
	fragment FullType on __Type { kind name description specifiedByURL
		fields(includeDeprecated: true) { name description
		args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
		inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
		enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
		possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated
		deprecationReason }
	fragment TypeRef on __Type { `+reference+` }`).ok()
	equal(t, a.text("__schema.queryType.name"), "Query")
}
