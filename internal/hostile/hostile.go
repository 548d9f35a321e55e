// Package hostile has documents that cost a GraphQL server without a guard seconds, gigabytes or its
// life, for the tests and the bench of package graph. Those that are large are made here; those that
// fuzzing found are files of the folder found.
package hostile

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed found
var found embed.FS

// Documents are all of them, by name. None is one that an honest client would send.
func Documents() map[string]string {
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
	all := map[string]string{
		"directives":              "{ __typename " + strings.Repeat("@aa ", 4000) + "}",
		"directives that fit":     "{ __typename " + strings.Repeat("@aa ", 20) + "}",
		"one field 300 times":     "{ viewer { " + strings.Repeat("role ", 300) + "} }",
		"one field 5000 times":    "{ " + strings.Repeat("viewer ", 5000) + "}",
		"one field 900 times":     "{ " + strings.Repeat("viewer ", 900) + "}",
		"repeats within repeats":  "{ " + strings.Repeat("a{a{a{a{b}}}} ", 80) + "}",
		"repeats, wide":           "{ " + strings.Repeat("a{"+strings.Repeat("b ", 20)+"} ", 20) + "}",
		"object literal":          "{ a(b: " + nested(3000, "{a:", "1", "}") + ") }",
		"object literal that fit": "{ node(id: " + nested(12, "{a:", "1", "}") + ") { id } }",
		"list literal":            "{ a(b: " + nested(8000, "[", "", "]") + ") }",
		"list literal, unclosed":  "{ a(b: " + strings.Repeat("[", 16000),
		"type, nested":            "query($a: " + nested(8000, "[", "Int", "]") + ") { a }",
		"selections, nested":      nested(4000, "{a", "", "}"),
		"unknown fields":          "{ " + times(990, "nothing# ") + "}",
		"unknown fields, one set": "{ viewer { " + times(900, "nothing# ") + "} }",
		"similar fields":          "{ " + times(9, "door#ss ") + "viewer { " + times(800, "permission# ") + "} }",
		"unknown arguments":       "{ viewer(" + times(320, "a#: 1 ") + ") { role } }",
		"unknown types":           "query(" + times(240, "$a#: T# ") + ") { viewer { role } }",
		"unused variables":        "query(" + times(240, "$a#: Int ") + ") { viewer { role } }",
		"undefined variables": "{ " + times(9, "a#: node(id: $a#) { id } ") +
			"viewer { " + times(120, "f(a: $b#) ") + "} }",
		"equal variables":       "query(" + strings.Repeat("$a: Int ", 240) + ") { viewer { role } }",
		"operations":            times(190, "query Q# { a } "),
		"operations, one name":  strings.Repeat("query Q { a } ", 190),
		"operations, anonymous": strings.Repeat("{ a } ", 330),
		"unused fragments":      "{ a }" + times(49, " fragment f# on Query { a }"),
		"equal fragments":       "{ ...f }" + strings.Repeat(" fragment f on Query { a }", 49),
		"fragments 10 by 8":     spread(10, 8),
		"fragments 40 by 2":     spread(40, 2),
		"fragments 26 by 2":     spread(26, 2),
		"fragments 8 by 3":      spread(8, 3),
		"spreads of one":        "{ " + strings.Repeat("...f ", 450) + "} fragment f on Query { a }",
		"spreads of all":        "{ " + times(40, "...f# ") + "}" + times(40, " fragment f# on Query { a b c d e }"),
		"fragments of one field": "{ " + times(14, "...f# ") + "}" +
			times(14, " fragment f# on Query { viewer { user { id name } organization { id } } }"),
		"cycle":        "{ ...a } fragment a on Query { ...b ...b } fragment b on Query { ...a ...a }",
		"cycle of one": "{ ...a } fragment a on Query { viewer { role } ...a }",
		"cycle below": "{ viewer { ...a } } fragment a on Viewer { user { ...b } } " +
			"fragment b on User { x { ...a } }",
		"inline fragments":  nested(11, "{ ... on Query ", "{ "+strings.Repeat("... { a } ", 200)+"}", " }"),
		"conflicts":         "{ viewer { " + strings.Repeat("a: role a: user ", 16) + "} }",
		"conflicts, nested": "{ " + strings.Repeat("viewer { user { a: id } } viewer { user { a: name } } ", 15) + "}",
		"conflicting arguments": "{ viewer { " +
			times(40, "keys(first: #) { nodes { id } } ") + "} }",
		"long name":        "{ " + strings.Repeat("x", 16000) + " }",
		"long names":       "{ " + times(8, strings.Repeat("x", 1900)+"# ") + "}",
		"long string":      `{ node(id: "` + strings.Repeat("<", 16000) + `") { id } }`,
		"wrong values":     "{ " + times(9, `a#: doors(first: "`+strings.Repeat("<", 300)+`") { nodes { id } } `) + "}",
		"escapes":          `{ node(id: "` + strings.Repeat(`\u0000`, 2600) + `") { id } }`,
		"block string":     `{ node(id: """` + strings.Repeat("\n  \t", 4000) + `""") { id } }`,
		"number":           "{ doors(first: " + strings.Repeat("9", 16000) + ") { nodes { id } } }",
		"comments":         strings.Repeat("#\n", 8000) + "{ a }",
		"commas":           strings.Repeat(",", 16000) + "{ a }",
		"byte order marks": strings.Repeat("\ufeff", 5000) + "{ a }",
		"no text":          strings.Repeat("\x00", 16000),
		"no UTF-8":         strings.Repeat("\xff", 16000),
		"dots":             "{ " + strings.Repeat("... ", 5000) + "}",
		"ampersands":       strings.Repeat("&", 16000),
		"introspection":    "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
		"introspections":   "{ " + times(9, "a#: __schema { types { fields { name } } } ") + "}",
		"types": "{ " +
			times(10, `a#: __type(name: "Query") { fields { type { fields { name } } } } `) + "}",
		"introspected by fragments": "{ __schema { types { ...t } } } fragment t on __Type { " +
			"fields { type { ...u } } } fragment u on __Type { fields { type { ...v } } } " +
			"fragment v on __Type { fields { name } }",
		"pages of pages": "{ doors(first: 100) { nodes { keys(first: 100) { nodes { id user { id } } } } } }",
		"pages, default": "{ doors { nodes { keys { nodes { doors { nodes { id } } } } } } }",
		"pages by edges": "{ doors { edges { node { keys { edges { node { user { " +
			"keys { edges { node { id } } } } } } } } } } }",
		"a page too long": "{ doors(first: 2147483647) { nodes { id } } }",
		"less than none":  "{ doors(first: -2147483648) { nodes { keys(first: -1) { nodes { id } } } } }",
		"roots":           "{ " + times(300, "a#: viewer { role } ") + "}",
		"mutations": "mutation { " +
			times(11, `a#: createSite(input: {name: "x", timeZone: "UTC"}) { site { id } } `) + "}",
		"subscriptions": "subscription { " + times(10, "a#: events { cursor } ") + "}",
		"aliases":       "{ " + times(31, "a#: __typename ") + "}",
	}
	files, _ := found.ReadDir("found") // the compiler has seen it
	for _, file := range files {
		text, _ := found.ReadFile("found/" + file.Name())
		all[file.Name()] = string(text)
	}
	return all
}

// times writes texts one after the other, each with its number for every #.
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
