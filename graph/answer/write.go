package answer

import "errors"

// errNull is an answer that has nothing where the schema promises something.
var errNull = errors.New("the value is null, which the schema does not allow")

// Everything that writes returns false, having written nothing, if there is nothing to write: the
// value is null, or something within it is that must not be.

// writeObject writes an object, of which the parts are known.
func (e *execution) writeObject(s *selection, of any, parts []part, at *place) bool {
	start := e.out.Len()
	e.out.WriteByte('{')
	for i := range s.fields {
		f := &s.fields[i]
		if i > 0 {
			e.out.WriteByte(',')
		}
		e.out.Write(f.key)
		switch {
		case f.def == nil:
			String(&e.out, s.object.Name)
		case e.writeField(s, f, of, parts, at):
		case f.def.Type.NonNull:
			e.out.Truncate(start)
			return false
		default:
			e.out.WriteString("null")
		}
	}
	e.out.WriteByte('}')
	return true
}

func (e *execution) writeField(s *selection, f *selected, of any, parts []part, at *place) bool {
	switch {
	case f.part >= 0:
		return e.writePart(f, f.def.Type, &parts[f.part], f.in(s.object, at))
	case f.def.Leaf == nil:
		return e.writeValue(f, f.def.Type, f.def.Part(of), f.in(s.object, at))
	case f.def.Leaf(&e.out, of):
		return true
	}
	return e.missing(f.def.Type, f.in(s.object, at))
}

func (e *execution) writePart(f *selected, of *Type, p *part, at *place) bool {
	switch {
	case p.failed:
		return false
	case p.node != nil:
		return e.writeObject(p.node.selection, p.node.of, p.node.parts, at)
	case p.items != nil:
		return e.writeItems(of.Elem, len(p.items), func(i int, at *place) bool {
			return e.writePart(f, of.Elem, &p.items[i], at)
		}, at)
	}
	return e.writeValue(f, of, p.value, at)
}

// writeValue writes what has no parts that have to be known before.
func (e *execution) writeValue(f *selected, of *Type, value any, at *place) bool {
	switch {
	case value == nil:
		return e.missing(of, at)
	case of.Leaf != nil:
		return of.Leaf(&e.out, value) || e.missing(of, at)
	case of.Elem == nil:
		return e.writeObject(f.one, value, nil, at)
	}
	n := of.Len(value)
	return n >= 0 && e.writeItems(of.Elem, n, func(i int, at *place) bool {
		return e.writeValue(f, of.Elem, of.At(value, i), at)
	}, at)
}

func (e *execution) writeItems(
	of *Type, n int, item func(i int, at *place) bool, at *place,
) bool {
	start := e.out.Len()
	e.out.WriteByte('[')
	for i := range n {
		if i > 0 {
			e.out.WriteByte(',')
		}
		switch {
		case item(i, &place{parent: at, index: i}):
		case of.NonNull:
			e.out.Truncate(start)
			return false
		default:
			e.out.WriteString("null")
		}
	}
	e.out.WriteByte(']')
	return true
}

// missing says that nothing is where something has to be, if that is so.
func (e *execution) missing(of *Type, at *place) bool {
	if of.NonNull {
		e.op.Error(e.at(at), errNull)
	}
	return false
}
