package graph

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// Who may listen together: those whose documents, variables and rights are equal, so that what is
// executed for one of them is what would be for each.
//
// Rights are equal, without doubt, of one actor: the same user by the same session or token, with the
// same role, scopes and sites. Beyond that, of those whom nothing narrows (access.Alike), as long as
// the document reads only nouns in which nothing depends on who reads them, but only on how much they
// may read: those are executed as an actor with that role and those scopes and without a name, whose
// answers hold nothing of anybody's own.

// likeness stands for a document, its variables and how it may be executed.
type likeness struct {
	sum        [sha256.Size]byte
	impersonal bool
}

// audienceKey is equal for those who may listen together.
type audienceKey [sha256.Size]byte

// keyOf returns an operation's. Where a subscription starts, if a variable says so, is not part of it.
func keyOf(of *graphql.OperationContext) likeness {
	use := usage{variables: map[string]int{}, impersonal: true}
	use.set(of.Operation.SelectionSet)
	for _, f := range of.Doc.Fragments {
		use.set(f.SelectionSet)
		use.directives(f.Directives)
	}
	use.directives(of.Operation.Directives)
	variables := of.Variables
	if name := start(of.Operation); use.variables[name] == 1 {
		variables = map[string]any{}
		for other, value := range of.Variables {
			if other != name {
				variables[other] = value
			}
		}
	}
	return likeness{
		sum:        digest(of.Operation.Position.Src.Input, of.Operation.Name, variables),
		impersonal: use.impersonal,
	}
}

// within is the key of those who are alike, and the actor that stands for them. View is what else
// tells a subscription from others with the same document.
func (d likeness) within(by actor.Actor, view string) (audienceKey, actor.Actor) {
	as := by.Ending(time.Time{})
	if d.impersonal {
		as = access.Alike(as)
	}
	return digest(d.sum, as, view), as
}

// digest is of values that JSON can tell apart.
func digest(values ...any) audienceKey {
	text, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings, numbers and what came as JSON
	}
	return sha256.Sum256(text)
}

// start is the variable that says after what a subscription starts, or "".
func start(operation *ast.OperationDefinition) string {
	if len(operation.SelectionSet) != 1 {
		return ""
	}
	root, ok := operation.SelectionSet[0].(*ast.Field)
	if !ok {
		return ""
	}
	after := root.Arguments.ForName("after")
	if after == nil || after.Value.Kind != ast.Variable {
		return ""
	}
	return after.Value.Raw
}

// usage is what a document, each of its fragments once, makes of its variables and of the schema.
type usage struct {
	variables  map[string]int
	impersonal bool
}

func (u *usage) set(selections ast.SelectionSet) {
	for _, selection := range selections {
		switch s := selection.(type) {
		case *ast.Field:
			u.field(s)
		case *ast.InlineFragment:
			u.directives(s.Directives)
			u.set(s.SelectionSet)
		case *ast.FragmentSpread:
			u.directives(s.Directives)
		}
	}
}

func (u *usage) field(f *ast.Field) {
	of := f.ObjectDefinition
	u.impersonal = u.impersonal && of != nil && slices.Contains(impersonal, of.Name)
	for _, a := range f.Arguments {
		u.value(a.Value)
	}
	u.directives(f.Directives)
	u.set(f.SelectionSet)
}

func (u *usage) directives(all ast.DirectiveList) {
	for _, d := range all {
		for _, a := range d.Arguments {
			u.value(a.Value)
		}
	}
}

func (u *usage) value(v *ast.Value) {
	if v.Kind == ast.Variable {
		u.variables[v.Raw]++
	}
	for _, child := range v.Children {
		u.value(child.Value)
	}
}

// impersonal are the types of which no field depends on who the viewer is, only on how far their rights
// reach. TestImpersonalTypes knows them.
var impersonal = []string{
	"Subscription", "DoorUpdate", "EventUpdate", "Door", "Site", "Device", "Event", "Actor",
	"EffectiveMode", "DoorOverride",
}
