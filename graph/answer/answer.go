// Package answer executes queries and mutations: it calls the resolvers, and writes what they return.
//
// It takes the place of the object and field code that gqlgen generates, whose cost (a closure, a
// context and a boxed writer for each field, a goroutine for each item of a list) was most of an
// answer's. What a field is, which resolver it has and how a scalar is written comes from gqlgen's own
// reading of the schema: graph/generate writes it as tables of the types below.
//
// Guarantees:
//   - One goroutine serves an operation. A resolver that waits for a batch returns ErrLater and is
//     asked again; a batch is fetched when nothing else is left to do. So what is batched together
//     does not depend on timing, and neither does the number of statements.
//   - A mutation's fields are executed one after the other, each to its end, and asked once.
//   - Errors, paths and nulls are GraphQL's: what fails is null, or takes along what must not be.
package answer

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Object is a type of the schema with fields.
type Object struct {
	Name      string
	Satisfies []string // names that a fragment may have it by: its own, and those of its interfaces
	Fields    map[string]*Field
}

// Field is a field of an object. It has one of Leaf, Part and Resolve.
type Field struct {
	Type *Type
	// Leaf writes a scalar that the object holds, or nothing and false if there is none.
	Leaf func(w *bytes.Buffer, of any) bool
	// Part is what the object holds; nil for none.
	Part func(of any) any
	// Resolve asks for the value; nil for none. Args reads the arguments, if there may be any.
	Resolve func(ctx context.Context, by, of any, fc *graphql.FieldContext) (any, error)
	Args    func(ctx context.Context, by any, given map[string]any) (map[string]any, error)
}

// Type is what a field returns. It has one of Leaf, Object, Concrete and Elem.
type Type struct {
	NonNull  bool
	Leaf     func(w *bytes.Buffer, value any) bool
	Object   *Object
	Concrete func(value any) (*Object, any) // of an interface or a union; nil for none
	Elem     *Type
	Len      func(list any) int // -1: there is no list
	At       func(list any, i int) any
}

// Execute answers the operation of the context. By is handed to the fields.
func Execute(ctx context.Context, by any, root *Object) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		e := &execution{op: op, by: by, ctx: ctx}
		return &graphql.Response{Data: e.answer(root)}
	}
}

// execution is one operation being executed.
type execution struct {
	op    *graphql.OperationContext
	by    any
	ctx   context.Context //nolint:containedctx // of the response
	queue queue
	later []waiting // fields to ask again, once the queue is done
	out   bytes.Buffer
}

func (e *execution) answer(root *Object) []byte {
	n := &node{selection: e.selection(root, e.op.Operation.SelectionSet)}
	n.parts = make([]part, n.selection.parts)
	if e.op.Operation.Operation == ast.Mutation {
		e.inTurn(n)
	} else {
		e.ctx = context.WithValue(e.ctx, queueKey{}, &e.queue)
		e.resolve(n)
		e.finish()
	}
	if !e.writeObject(n.selection, nil, n.parts, nil) {
		e.out.WriteString("null")
	}
	return e.out.Bytes()
}

// inTurn executes the fields of a mutation. Each is asked at once and never again; what its answer is
// made of may be batched.
func (e *execution) inTurn(n *node) {
	direct := e.ctx
	e.ctx = context.WithValue(direct, queueKey{}, &e.queue)
	for i := range n.selection.fields {
		if f := &n.selection.fields[i]; f.part >= 0 {
			at := f.in(n.object, nil)
			e.field(at.within(direct), n, f, at)
			e.finish()
		}
	}
}
