package graph

import (
	"context"
	"fmt"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/cardea/cardea/access"
)

// The limits of a document. Each is counted in one linear walk, before gqlgen validates, which
// takes quadratic time, and executes.
const (
	maxText     = 16 << 10 // bytes
	maxTokens   = 1500
	maxDepth    = 16    // the introspection query of common tools has 14
	maxFields   = 1000  // with every fragment written out
	maxSameKey  = 8     // fields of one selection set under one response key
	maxLiterals = 12    // depth of nested lists and objects
	maxCost     = 10000 // nouns and other objects that one operation may return
)

// guard is a gqlgen extension that refuses documents that would cost too much.
type guard struct {
	schema *ast.Schema
	known  *documents
}

// ExtensionName implements graphql.HandlerExtension.
func (guard) ExtensionName() string { return "Guard" }

// Validate implements graphql.HandlerExtension.
func (guard) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters measures a document that has not been seen before.
func (g guard) MutateOperationParameters(
	ctx context.Context, params *graphql.RawParams,
) *gqlerror.Error {
	if len(params.Query) > maxText {
		return tooLarge("the document is longer than %d bytes", maxText)
	}
	if _, known := g.known.Get(ctx, params.Query); known {
		return nil
	}
	source := &ast.Source{Input: params.Query}
	doc, err := parser.ParseQueryWithTokenLimit(source, maxTokens)
	if err != nil {
		return nil //nolint:nilerr // gqlgen parses again and says so with its own code
	}
	m := measure{doc: doc, seen: map[string]size{}}
	for _, op := range doc.Operations {
		m.directives(op.Directives)
		m.check(m.selections(op.SelectionSet))
	}
	if m.fault != "" {
		return tooLarge("%s", m.fault)
	}
	return nil
}

// MutateOperationContext counts what the operation may return, now that its variables are known.
func (g guard) MutateOperationContext(
	_ context.Context, op *graphql.OperationContext,
) *gqlerror.Error {
	op.DisableIntrospection = false // of a public schema, for whoever has a token
	if fault := strictVariables(g.schema, op); fault != nil {
		return fault
	}
	c := costs{doc: op.Doc, variables: op.Variables, seen: map[string]int{}}
	if cost := c.selections(op.Operation.SelectionSet); cost > maxCost {
		return tooLarge("it may return more than %d objects: ask for smaller pages", maxCost)
	}
	return nil
}

func tooLarge(format string, args ...any) *gqlerror.Error {
	return refusal(codeTooLarge, fmt.Sprintf(format, args...))
}

func refusal(code access.Code, message string) *gqlerror.Error {
	return &gqlerror.Error{Message: message, Extensions: map[string]any{"code": string(code)}}
}

// size is what a selection set comes to with its fragments written out.
type size struct{ fields, depth int }

// measure walks a document that nobody has validated. Each fragment is measured once.
type measure struct {
	doc   *ast.QueryDocument
	seen  map[string]size
	fault string
}

func (m *measure) check(s size) size {
	switch {
	case s.fields > maxFields:
		m.fault = fmt.Sprintf("it has more than %d fields", maxFields)
		s.fields = maxFields + 1 // no overflow, however often a fragment is spread
	case s.depth > maxDepth:
		m.fault = fmt.Sprintf("it is deeper than %d fields", maxDepth)
	}
	return s
}

func (m *measure) selections(set ast.SelectionSet) size {
	return m.add(set, map[string]int{})
}

func (m *measure) add(set ast.SelectionSet, keys map[string]int) (total size) {
	for _, selection := range set {
		var s size
		switch selected := selection.(type) {
		case *ast.Field:
			s = m.field(selected, keys)
		case *ast.InlineFragment:
			m.directives(selected.Directives)
			s = m.add(selected.SelectionSet, keys)
		case *ast.FragmentSpread:
			m.directives(selected.Directives)
			s = m.fragment(selected.Name)
		}
		total = m.check(size{total.fields + s.fields, max(total.depth, s.depth)})
	}
	return total
}

func (m *measure) field(f *ast.Field, keys map[string]int) size {
	if keys[f.Alias]++; keys[f.Alias] > maxSameKey {
		m.fault = fmt.Sprintf("it has a field more than %d times in one place", maxSameKey)
	}
	m.directives(f.Directives)
	m.arguments(f.Arguments)
	s := m.selections(f.SelectionSet)
	return m.check(size{1 + s.fields, 1 + s.depth})
}

func (m *measure) fragment(name string) size {
	if s, measured := m.seen[name]; measured {
		return s
	}
	m.seen[name] = size{} // a cycle ends here; it is not valid anyway
	if f := m.doc.Fragments.ForName(name); f != nil {
		m.directives(f.Directives)
		m.seen[name] = m.selections(f.SelectionSet)
	}
	return m.seen[name]
}

func (m *measure) directives(list ast.DirectiveList) {
	for _, d := range list {
		m.arguments(d.Arguments)
	}
}

func (m *measure) arguments(list ast.ArgumentList) {
	for _, a := range list {
		m.literal(a.Value, 0)
	}
}

func (m *measure) literal(v *ast.Value, depth int) {
	if depth > maxLiterals {
		m.fault = fmt.Sprintf("a value is nested deeper than %d", maxLiterals)
		return
	}
	for _, child := range v.Children {
		m.literal(child.Value, depth+1)
	}
}

// costs counts the objects that a valid operation may return: a page counts its content as often as
// it is long. Each fragment is counted once.
type costs struct {
	doc       *ast.QueryDocument
	variables map[string]any
	seen      map[string]int
}

func (c costs) selections(set ast.SelectionSet) (total int) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			total += c.field(s)
		case *ast.InlineFragment:
			total += c.selections(s.SelectionSet)
		case *ast.FragmentSpread:
			total += c.fragment(s.Name)
		}
	}
	return min(total, maxCost+1)
}

func (c costs) field(f *ast.Field) int {
	if len(f.SelectionSet) == 0 || f.Name == "pageInfo" {
		return 0
	}
	return min(1+c.length(f)*c.selections(f.SelectionSet), maxCost+1)
}

// length is how many items a field may return: 1 if it is no list. What is no sensible length is
// refused later.
func (c costs) length(f *ast.Field) int {
	for _, name := range []string{"first", "last", "ids"} {
		argument := f.Arguments.ForName(name)
		if argument == nil {
			continue
		}
		switch given, _ := argument.Value.Value(c.variables); n := given.(type) {
		case int64:
			return int(min(max(n, 0), maxPage))
		case []any:
			return min(len(n), maxPage)
		}
	}
	if f.Definition != nil && f.Definition.Arguments.ForName("first") != nil {
		return defaultPage
	}
	return 1
}

func (c costs) fragment(name string) int {
	if cost, counted := c.seen[name]; counted {
		return cost
	}
	c.seen[name] = 0
	if f := c.doc.Fragments.ForName(name); f != nil {
		c.seen[name] = c.selections(f.SelectionSet)
	}
	return c.seen[name]
}

// cacheBytes bounds the text of the documents that are kept; what they parse to is some 30 times
// larger.
const cacheBytes = 512 << 10

// documents keeps documents that were parsed and validated: those asked for lately, in two
// generations, of which the older is dropped whole.
type documents struct {
	mu         sync.Mutex
	young, old map[string]*ast.QueryDocument
	bytes      int // of young
}

// Get implements graphql.Cache.
func (d *documents) Get(_ context.Context, text string) (*ast.QueryDocument, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if doc, ok := d.young[text]; ok {
		return doc, true
	}
	doc, ok := d.old[text]
	if ok {
		d.put(text, doc)
	}
	return doc, ok
}

// Add implements graphql.Cache.
func (d *documents) Add(_ context.Context, text string, doc *ast.QueryDocument) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.put(text, doc)
}

func (d *documents) put(text string, doc *ast.QueryDocument) {
	if d.young == nil || d.bytes+len(text) > cacheBytes/2 {
		d.young, d.old, d.bytes = map[string]*ast.QueryDocument{}, d.young, 0
	}
	d.young[text] = doc
	d.bytes += len(text)
}
