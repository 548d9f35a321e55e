package graph

import (
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The cost of an operation is how many objects it may return: a page counts what is in it as often as
// it is long. Wrappers, that is connections, edges and pageInfo, are free, and so are scalars. What
// the server works harder for has a weight beside. docs/api.md tells clients.
const (
	maxCost = 5000

	costOfUnpaged      = 10 // as many objects a list without pages is taken to have
	costOfMutation     = 10
	costOfSubscription = 10
	costOfSchema       = 1000 // __schema or __type, with all that is below: some two thousand fields
)

// weights are fields that take more work than to read what they return.
var weights = map[string]int{
	"effectiveAccess": 10,
	"whoCanOpen":      100,
	"doorsFor":        100,
	"impact":          200,
	"policyReplay":    500,
}

// pricing walks a valid operation. Each fragment is counted once.
type pricing struct {
	variables map[string]any
	seen      map[*ast.FragmentDefinition]int
	varies    bool // a length came from a variable
	fault     *gqlerror.Error
}

// price is the cost of an operation with these variables, which fit it, and whether others may cost
// otherwise. Pages that nobody makes so long are a fault.
func price(
	op *ast.OperationDefinition, variables map[string]any,
) (cost int, varies bool, fault *gqlerror.Error) {
	p := &pricing{variables: variables}
	cost = p.set(op.SelectionSet)
	if op.Operation == ast.Subscription {
		cost += costOfSubscription
	}
	if cost > maxCost && p.fault == nil {
		p.fault = refusal(codeCost, fmt.Sprintf(
			"the operation may cost more than %d: ask for smaller pages, or for less of each item", maxCost))
	}
	return cost, p.varies, p.fault
}

func (p *pricing) set(set ast.SelectionSet) (total int) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			total += p.field(s)
		case *ast.InlineFragment:
			total += p.set(s.SelectionSet)
		case *ast.FragmentSpread:
			total += p.fragment(s.Definition)
		}
	}
	return min(total, maxCost+1)
}

func (p *pricing) fragment(f *ast.FragmentDefinition) int {
	cost, counted := p.seen[f]
	if !counted {
		if p.seen == nil {
			p.seen = map[*ast.FragmentDefinition]int{}
		}
		cost = p.set(f.SelectionSet)
		p.seen[f] = cost
	}
	return cost
}

func (p *pricing) field(f *ast.Field) int {
	if isIntrospection(f) {
		return costOfSchema
	}
	if len(f.SelectionSet) == 0 || f.Definition == nil {
		return 0
	}
	content := p.set(f.SelectionSet)
	of := f.Definition.Type
	switch {
	case of.Name() == "PageInfo":
		return 0
	case strings.HasSuffix(of.Name(), "Connection"):
		content *= p.length(f)
	case strings.HasSuffix(of.Name(), "Edge"):
	case of.Elem == nil || isPage(f):
		content++
	case isPaged(f):
		content = (1 + content) * p.length(f)
	default:
		content = (1 + content) * costOfUnpaged
	}
	if f.ObjectDefinition.Name == "Mutation" {
		content += costOfMutation
	}
	return min(weights[f.Name]+content, maxCost+1)
}

// isPage says whether a field is the "nodes" of a connection, which has been counted for its length.
func isPage(f *ast.Field) bool {
	return f.Name == "nodes" && strings.HasSuffix(f.ObjectDefinition.Name, "Connection")
}

// isPaged says whether an argument tells how long a list may be.
func isPaged(f *ast.Field) bool {
	return f.Definition.Arguments.ForName("first") != nil || f.Definition.Arguments.ForName("ids") != nil
}

// length is how many items a page may have.
func (p *pricing) length(f *ast.Field) int {
	for _, name := range []string{"first", "last", "ids"} {
		n := p.argument(f, name)
		if n > maxPage && p.fault == nil {
			p.fault = refusal(codePage, fmt.Sprintf("pages have at most %d items", maxPage))
			p.fault.Path = ast.Path{ast.PathName("variable"), ast.PathName(name)}
		}
		if n >= 0 {
			return min(n, maxPage)
		}
	}
	return defaultPage
}

// argument is a length that an argument gives; -1 if it gives none. What is less than none is refused
// when it is read.
func (p *pricing) argument(f *ast.Field, name string) int {
	value := f.Arguments.ForName(name)
	var of *ast.Value
	switch declared := f.Definition.Arguments.ForName(name); {
	case value != nil:
		of = value.Value
	case declared != nil:
		of = declared.DefaultValue
	}
	if of == nil {
		return -1
	}
	p.varies = p.varies || of.Kind == ast.Variable
	given, _ := of.Value(p.variables)
	if list, ok := given.([]any); ok {
		return len(list)
	}
	if n, err := graphql.UnmarshalInt(given); err == nil && given != nil {
		return max(n, 0)
	}
	return -1
}
