package answer

import (
	"bytes"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// selection is what is asked of an object of one type, in one place of the operation.
type selection struct {
	object *Object
	fields []selected
	parts  int // how many fields have to be known before the object can be written
}

// selected is a field that was asked for.
type selected struct {
	graphql.CollectedField
	def  *Field                 // nil: __typename
	key  []byte                 // "name":
	part int                    // -1: it is written straight from the object
	args map[string]any         // once they were read
	one  *selection             // of an object
	each map[*Object]*selection // of an interface or a union, as its types turn up
}

// selection collects what is asked of an object.
func (e *execution) selection(object *Object, set ast.SelectionSet) *selection {
	collected := graphql.CollectFields(e.op, set, object.Satisfies)
	s := &selection{object: object, fields: make([]selected, 0, len(collected))}
	for _, field := range collected {
		if s.has(field.Alias) {
			continue // asked for by way of an interface, too
		}
		s.fields = append(s.fields, selected{
			CollectedField: field, key: key(field.Alias), def: object.Fields[field.Name], part: -1,
		})
		f := &s.fields[len(s.fields)-1]
		switch {
		case f.def == nil && f.Name != "__typename":
			panic("no table has " + object.Name + "." + f.Name + ": go generate ./graph")
		case f.def != nil && e.isPart(f):
			f.part = s.parts
			s.parts++
		}
	}
	return s
}

func (s *selection) has(alias string) bool {
	for i := range s.fields {
		if s.fields[i].Alias == alias {
			return true
		}
	}
	return false
}

// isPart says whether a field has to be known before its object can be written: whatever is asked of
// a resolver, and whatever holds such a thing.
func (e *execution) isPart(f *selected) bool {
	of := f.def.Type
	for of.Elem != nil {
		of = of.Elem
	}
	switch {
	case of.Concrete != nil:
		return true
	case of.Object != nil:
		f.one = e.selection(of.Object, f.Selections)
		return f.def.Resolve != nil || f.one.parts > 0
	}
	return f.def.Resolve != nil
}

// below is what is asked of an object that a field returned.
func (e *execution) below(f *selected, object *Object) *selection {
	if f.one != nil {
		return f.one
	}
	if s := f.each[object]; s != nil {
		return s
	}
	if f.each == nil {
		f.each = map[*Object]*selection{}
	}
	f.each[object] = e.selection(object, f.Selections)
	return f.each[object]
}

// key is a field's name as it is written.
func key(alias string) []byte {
	var b bytes.Buffer
	b.Grow(len(alias) + 3)
	String(&b, alias)
	b.WriteByte(':')
	return b.Bytes()
}
