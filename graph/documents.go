package graph

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

const (
	// cacheBytes bounds what the documents that are kept take, with what they parse to.
	cacheBytes = 8 << 20
	textBytes  = 2 << 20 // of texts that are known by their hashes
	nodeBytes  = 400     // of one node, with its position and its share of the lists around it, about
	faultBytes = 640     // of one fault
	bareBytes  = 1 << 10
)

// judgement is all that is known of a text without its variables: a valid document, or why it is not
// executed.
type judgement struct {
	text    string
	trusted bool
	doc     *ast.QueryDocument
	faults  gqlerror.List // nil: it is valid
	bytes   int
	prices  map[*ast.OperationDefinition]int // of those whose cost does not vary
}

// judge parses and validates a text. What nobody trusts goes past the guard first.
func judge(schema *ast.Schema, text string, trusted bool) *judgement {
	v := &judgement{text: text, trusted: trusted, bytes: bareBytes + len(text)}
	v.judge(schema)
	v.bytes += len(v.faults) * faultBytes
	return v
}

func (v *judgement) judge(schema *ast.Schema) {
	limit := maxTokens
	if v.trusted {
		limit = 0
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: v.text}, limit)
	if err != nil {
		v.faults = gqlerror.List{parseFault(err)}
		return
	}
	nodes, fault := inspect(doc)
	switch {
	case fault != nil && !v.trusted:
		v.faults = gqlerror.List{fault}
	case len(doc.Operations) == 0:
		v.faults = gqlerror.List{refusal(codeValidation, "the document has no operation")}
	default:
		v.faults = validate(schema, doc)
	}
	if v.faults == nil {
		v.doc = doc
		v.bytes += nodes * nodeBytes
		v.price()
	}
}

func parseFault(err error) *gqlerror.Error {
	fault, ok := err.(*gqlerror.Error) //nolint:errorlint // the parser wraps nothing
	switch {
	case !ok:
		return refusal(codeParse, "the document is not GraphQL")
	case strings.HasPrefix(fault.Message, "exceeded token limit"):
		return refusal(codeManyTokens, fmt.Sprintf("the document has more than %d tokens", maxTokens))
	}
	errcode.Set(fault, errcode.ParseFailed)
	shorten(fault)
	return fault
}

// validate returns the first faults of a document. None suggests what may have been meant: to look for
// that takes longer than all the rest.
func validate(schema *ast.Schema, doc *ast.QueryDocument) gqlerror.List {
	all := rules.NewDefaultRules()
	for _, r := range []struct{ with, without validator.Rule }{
		{rules.FieldsOnCorrectTypeRule, rules.FieldsOnCorrectTypeRuleWithoutSuggestions},
		{rules.ScalarLeafsRule, rules.ScalarLeafsRuleWithoutSuggestions},
		{rules.KnownTypeNamesRule, rules.KnownTypeNamesRuleWithoutSuggestions},
		{rules.KnownArgumentNamesRule, rules.KnownArgumentNamesRuleWithoutSuggestions},
		{rules.ValuesOfCorrectTypeRule, rules.ValuesOfCorrectTypeRuleWithoutSuggestions},
	} {
		all.RemoveRule(r.with.Name)
		all.AddRule(r.without.Name, r.without.RuleFunc)
	}
	faults := validator.ValidateWithRules(schema, doc, all)
	faults = faults[:min(len(faults), maxErrors)]
	for _, f := range faults {
		errcode.Set(f, errcode.ValidationFailed)
		shorten(f)
	}
	return faults
}

// shorten leaves of a fault what is shown of it: some repeat the document.
func shorten(f *gqlerror.Error) {
	f.Message = strings.Clone(f.Message[:min(len(f.Message), maxShown)])
}

// price keeps what the document's operations cost, of those that cost the same whatever their variables.
func (v *judgement) price() {
	v.prices = map[*ast.OperationDefinition]int{}
	for _, op := range v.doc.Operations {
		if cost, varies, fault := price(op, nil); !varies && fault == nil {
			v.prices[op] = cost
		}
	}
}

// generations keeps what was asked for lately, by name: in two generations, of which the older is
// dropped whole. It is bounded by bytes, of both together.
type generations[T any] struct {
	most       int
	mu         sync.Mutex
	young, old map[string]weighed[T]
	bytes      int // of young
}

type weighed[T any] struct {
	is    T
	bytes int
}

func (g *generations[T]) get(name string) (is T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.young[name]; ok {
		return w.is
	}
	w, ok := g.old[name]
	if ok {
		delete(g.old, name)
		g.put(name, w)
	}
	return w.is
}

func (g *generations[T]) add(name string, is T, bytes int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(name, weighed[T]{is, bytes})
}

func (g *generations[T]) put(name string, w weighed[T]) {
	if g.young == nil || g.bytes+w.bytes > g.most/2 {
		g.young, g.old, g.bytes = map[string]weighed[T]{}, g.young, 0
	}
	g.bytes += w.bytes - g.young[name].bytes
	g.young[name] = w
}

// judged is gqlgen's cache of documents: it has the one that was judged for the request.
type judged struct{}

// Get implements graphql.Cache.
func (judged) Get(ctx context.Context, _ string) (*ast.QueryDocument, bool) {
	doc, ok := ctx.Value(documentKey).(*ast.QueryDocument)
	return doc, ok
}

// Add implements graphql.Cache.
func (judged) Add(context.Context, string, *ast.QueryDocument) {}
