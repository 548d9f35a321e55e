package graph

import (
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/cardea/cardea/access"
)

// The limits of a document. docs/api.md has them for those who write documents.
const (
	maxText       = 16 << 10 // bytes
	maxTokens     = 1000     // comments are tokens, too
	maxDepth      = 12       // fields within fields, but for what introspection asks
	maxAliases    = 30       // as written, like directives and fragments
	maxDirectives = 20
	maxFragments  = 50
	maxRoots      = 10   // of one operation, with fragments written out
	maxFields     = 2000 // of all operations and fragments, with fragments written out
	maxOverlaps   = 1000 // pairs of fields, or of fragments, that validation has to compare
)

// guard walks a document that nobody has validated, and says why it would cost too much to do so.
// Validation takes quadratic time: it compares each two fields that would be one in the answer. The
// guard counts these pairs without comparing them. Its own time is linear in the document: what it
// learns of a fragment it learns once, and what it writes out is bounded first.
type guard struct {
	doc       *ast.QueryDocument
	fragments map[string]*ast.FragmentDefinition // the first of each name counts, as in validation
	sizes     map[string]size
	fault     *gqlerror.Error // the first

	nodes, aliases, directives, fields, overlaps int
}

// size is what a selection set comes to with its fragments written out.
type size struct{ fields, depth, roots int }

// inspect returns why a document is not looked at any further; nil: validation will be quick. Nodes
// are how many it has.
func inspect(doc *ast.QueryDocument) (nodes int, fault *gqlerror.Error) {
	g := &guard{
		doc: doc, fragments: make(map[string]*ast.FragmentDefinition, len(doc.Fragments)),
		sizes: make(map[string]size, len(doc.Fragments)),
	}
	for _, f := range doc.Fragments {
		if g.fragments[f.Name] == nil {
			g.fragments[f.Name] = f
		}
	}
	for _, step := range []func(){g.count, g.measure, g.compare} {
		if g.fault == nil {
			step()
		}
	}
	return g.nodes, g.fault
}

func (g *guard) check(n, most int, code access.Code, format string) {
	if n > most && g.fault == nil {
		g.fault = refusal(code, fmt.Sprintf(format, most))
	}
}

// count looks at what is written, each node once.
func (g *guard) count() {
	g.check(len(g.doc.Fragments), maxFragments, codeManyFragments, "the document has more than %d fragments")
	for _, op := range g.doc.Operations {
		for _, v := range op.VariableDefinitions {
			g.nodes++
			g.countDirectives(v.Directives)
			g.countValue(v.DefaultValue, 0)
		}
		g.countDirectives(op.Directives)
		g.countSet(op.SelectionSet)
	}
	for _, f := range g.doc.Fragments {
		g.countDirectives(f.Directives)
		g.countSet(f.SelectionSet)
	}
	g.nodes += len(g.doc.Operations) + len(g.doc.Fragments)
	g.check(g.aliases, maxAliases, codeManyAliases, "the document has more than %d aliases")
	g.check(g.directives, maxDirectives, codeManyDirectives, "the document has more than %d directives")
}

func (g *guard) countSet(set ast.SelectionSet) {
	g.nodes += len(set)
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			if s.Alias != s.Name {
				g.aliases++
			}
			g.countDirectives(s.Directives)
			g.countArguments(s.Arguments)
			g.countSet(s.SelectionSet)
		case *ast.InlineFragment:
			g.countDirectives(s.Directives)
			g.countSet(s.SelectionSet)
		case *ast.FragmentSpread:
			g.countDirectives(s.Directives)
		}
	}
}

func (g *guard) countDirectives(list ast.DirectiveList) {
	g.directives += len(list)
	for _, d := range list {
		g.countArguments(d.Arguments)
	}
}

func (g *guard) countArguments(list ast.ArgumentList) {
	g.nodes += len(list)
	for _, a := range list {
		g.countValue(a.Value, 0)
	}
}

func (g *guard) countValue(v *ast.Value, depth int) {
	if v == nil {
		return
	}
	g.nodes++
	if v.Kind == ast.ListValue || v.Kind == ast.ObjectValue {
		depth++
	}
	g.check(depth, maxNesting, codeDeepValue, "a value is nested deeper than %d")
	for _, child := range v.Children {
		g.countValue(child.Value, depth)
	}
}

// measure writes fragments out, each once.
func (g *guard) measure() {
	for _, op := range g.doc.Operations {
		s := g.measureSet(op.SelectionSet)
		g.check(s.depth, maxDepth, codeDeep, "the document is deeper than %d fields")
		most := maxRoots
		if op.Operation == ast.Subscription {
			most = 1
		}
		g.check(s.roots, most, codeManyRoots, "the operation has more than %d fields of its own")
		g.fields = min(g.fields+s.fields, maxFields+1)
	}
	for _, f := range g.doc.Fragments {
		g.fields = min(g.fields+g.measureFragment(f.Name).fields, maxFields+1)
	}
	g.check(g.fields, maxFields, codeManyFields,
		"the document has more than %d fields, each counted wherever its fragment is spread")
}

func (g *guard) measureSet(set ast.SelectionSet) (total size) {
	for _, selection := range set {
		var s size
		switch selected := selection.(type) {
		case *ast.Field:
			s = g.measureSet(selected.SelectionSet)
			if isIntrospection(selected) { // how deep that goes is validation's to say
				s.depth = 0
			}
			s = size{1 + s.fields, 1 + s.depth, 1}
		case *ast.InlineFragment:
			s = g.measureSet(selected.SelectionSet)
		case *ast.FragmentSpread:
			s = g.measureFragment(selected.Name)
		}
		// The sums are bounded, however often a fragment is spread.
		total.fields = min(total.fields+s.fields, maxFields+1)
		total.roots = min(total.roots+s.roots, maxRoots+1)
		total.depth = max(total.depth, s.depth)
	}
	return total
}

func isIntrospection(f *ast.Field) bool { return f.Name == "__schema" || f.Name == "__type" }

func (g *guard) measureFragment(name string) size {
	if s, measured := g.sizes[name]; measured {
		if s.fields < 0 && g.fault == nil {
			g.fault = refusal(codeValidation, "a fragment spreads itself")
		}
		return s
	}
	f := g.fragments[name]
	if f == nil {
		return size{}
	}
	g.sizes[name] = size{fields: -1}
	s := g.measureSet(f.SelectionSet)
	g.sizes[name] = s
	return s
}

// compare counts the pairs that validation compares. It walks all that measure has found to be little
// enough, and nothing twice but what is spread twice.
func (g *guard) compare() {
	for _, op := range g.doc.Operations {
		g.compareSets(op.SelectionSet)
	}
	for _, f := range g.doc.Fragments {
		g.compareSets(f.SelectionSet)
	}
	g.check(g.overlaps, maxOverlaps, codeOverlaps,
		"the document asks for the same too often: more than %d pairs of fields or fragments would be one")
}

// compareSets counts the pairs of selection sets that are one in the answer.
func (g *guard) compareSets(sets ...ast.SelectionSet) {
	merged := merged{guard: g}
	for _, set := range sets {
		merged.add(set)
	}
	g.overlaps += pairs(merged.spreads)
	for _, f := range merged.fields {
		g.overlaps += pairs(f.count)
		if len(f.sets) > 0 && g.overlaps <= maxOverlaps {
			g.compareSets(f.sets...)
		}
	}
}

func pairs(n int) int { return n * (n - 1) / 2 }

// merged are the fields of an object of the answer.
type merged struct {
	*guard
	byKey   map[string]int
	fields  []mergedField
	spreads int
}

type mergedField struct {
	count int
	sets  []ast.SelectionSet
}

func (m *merged) add(set ast.SelectionSet) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			m.addField(s)
		case *ast.InlineFragment:
			m.add(s.SelectionSet)
		case *ast.FragmentSpread:
			m.spreads++
			if f := m.guard.fragments[s.Name]; f != nil {
				m.add(f.SelectionSet)
			}
		}
	}
}

func (m *merged) addField(f *ast.Field) {
	at, known := m.byKey[f.Alias]
	if !known {
		if m.byKey == nil {
			m.byKey = map[string]int{}
		}
		at = len(m.fields)
		m.byKey[f.Alias] = at
		m.fields = append(m.fields, mergedField{})
	}
	m.fields[at].count++
	if len(f.SelectionSet) > 0 {
		m.fields[at].sets = append(m.fields[at].sets, f.SelectionSet)
	}
}

func refusal(code access.Code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": string(code)}}
}
