package answer

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
)

// place is where in the answer something is. The contexts that resolvers and errors find it by are
// made when they are first asked for.
type place struct {
	parent *place
	field  *selected // nil: an item
	object *Object   // whose field it is
	index  int
	fc     *graphql.FieldContext
}

func (f *selected) in(object *Object, parent *place) *place {
	return &place{parent: parent, field: f, object: object}
}

// context is gqlgen's description of the place; nil of none, which is the root.
func (p *place) context() *graphql.FieldContext {
	if p == nil {
		return nil
	}
	if p.fc != nil {
		return p.fc
	}
	if p.field == nil {
		p.fc = &graphql.FieldContext{Index: &p.index}
	} else {
		p.fc = &graphql.FieldContext{
			Object: p.object.Name, Field: p.field.CollectedField, IsMethod: true,
			IsResolver: p.field.def.Resolve != nil,
		}
	}
	p.fc.Parent = p.parent.context()
	return p.fc
}

// at is the context of whatever happens at a place.
func (e *execution) at(p *place) context.Context { return p.within(e.ctx) }

func (p *place) within(ctx context.Context) context.Context {
	fc := p.context()
	ctx = graphql.WithFieldContext(ctx, fc)
	fc.Parent = p.parent.context() // not that of ctx
	return ctx
}
