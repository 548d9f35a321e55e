package answer

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"
)

// node is an object of the answer of which more than its own content is asked.
type node struct {
	*selection
	of    any
	place *place
	parts []part
}

// part is a field of a node, or an item of a list. Its zero value is null.
type part struct {
	value  any    // a scalar, or what is written straight
	node   *node  // an object
	items  []part // a list of objects
	failed bool   // why has been said
}

// waiting is a field that has to be asked again.
type waiting struct {
	*node
	field *selected
	place *place
	ctx   context.Context //nolint:containedctx // that it was first asked with
}

// finish asks until everything is answered.
func (e *execution) finish() {
	for len(e.later) > 0 {
		e.queue.run()
		again := e.later
		e.later = nil
		for _, w := range again {
			e.field(w.ctx, w.node, w.field, w.place)
		}
	}
}

// resolve finds the parts of a node.
func (e *execution) resolve(n *node) {
	for i := range n.fields {
		f := &n.fields[i]
		switch {
		case f.part < 0:
		case f.def.Part != nil:
			e.complete(&n.parts[f.part], f, f.def.Type, f.def.Part(n.of), f.in(n.object, n.place))
		default:
			at := f.in(n.object, n.place)
			e.field(e.at(at), n, f, at)
		}
	}
}

// field asks for a field of a node.
func (e *execution) field(ctx context.Context, n *node, f *selected, at *place) {
	value, err := e.ask(ctx, n, f, at)
	switch {
	case errors.Is(err, ErrLater):
		e.later = append(e.later, waiting{node: n, field: f, place: at, ctx: ctx})
	case err != nil:
		n.parts[f.part].failed = true
		e.op.Error(ctx, graphql.AddFieldLocationToError(ctx, err))
	default:
		e.complete(&n.parts[f.part], f, f.def.Type, value, at)
	}
}

// ask calls the resolver.
func (e *execution) ask(ctx context.Context, n *node, f *selected, at *place) (value any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			value, err = nil, e.op.Recover(ctx, cause)
		}
	}()
	fc := at.context()
	if f.def.Args != nil && fc.Args == nil {
		if fc.Args, err = e.arguments(ctx, f); err != nil {
			return nil, err
		}
	}
	return f.def.Resolve(ctx, e.by, n.of, fc)
}

// arguments are read once for all objects that a field is asked of, unless they are at fault: every
// error has a path of its own.
func (e *execution) arguments(ctx context.Context, f *selected) (map[string]any, error) {
	if f.args != nil {
		return f.args, nil
	}
	args, err := f.def.Args(ctx, e.by, f.ArgumentMap(e.op.Variables))
	if err == nil {
		f.args = args
	}
	return args, err
}

// complete takes a value for what its type says that it is.
func (e *execution) complete(p *part, f *selected, of *Type, value any, at *place) {
	switch {
	case value == nil:
	case of.Elem != nil:
		e.list(p, f, of, value, at)
	case of.Concrete != nil:
		if object, concrete := of.Concrete(value); object != nil {
			e.object(p, e.below(f, object), concrete, at)
		}
	case of.Object != nil:
		e.object(p, f.one, value, at)
	default:
		p.value = value
	}
}

func (e *execution) object(p *part, s *selection, of any, at *place) {
	p.node = &node{selection: s, of: of, place: at}
	if s.parts > 0 {
		p.node.parts = make([]part, s.parts)
		e.resolve(p.node)
	}
}

func (e *execution) list(p *part, f *selected, of *Type, value any, at *place) {
	n := of.Len(value)
	if n < 0 {
		return
	}
	if of.Elem.Leaf != nil || f.one != nil && f.one.parts == 0 {
		p.value = value // written straight
		return
	}
	p.items = make([]part, n)
	for i := range p.items {
		e.complete(&p.items[i], f, of.Elem, of.At(value, i), &place{parent: at, index: i})
	}
}
