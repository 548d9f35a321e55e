package scim

import (
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
)

// condition is a part of a WHERE clause. It is true or false, never null: what is not there equals
// nothing, and differs from everything.
type condition func(q *sql.Selector) *sql.Predicate

// attribute makes a condition of a comparison with a value, or fails if SQL has none for it.
type attribute func(verb string, value any) (condition, error)

// attributes are those that can be filtered by, by their names in lower case.
type attributes struct {
	one  map[string]attribute
	many map[string]values // those with several values, each of which has parts
}

// values are those of an attribute: what can be said of one, and what it is that some are so.
type values struct {
	parts attributes
	some  func(condition) condition
}

// where makes a condition of a filter. What has none is refused: nothing is looked through here.
func (a attributes) where(e *expression) (condition, error) {
	switch e.verb {
	case "and", "or", "not":
		return a.join(e)
	case "has":
		return a.has(e.attribute, e.inside[0])
	}
	name, part, _ := strings.Cut(e.attribute, ".")
	if _, ok := a.many[name]; ok {
		if part == "" {
			part = "value"
		}
		return a.has(name, &expression{verb: e.verb, attribute: part, value: e.value})
	}
	compare, ok := a.one[e.attribute]
	if !ok {
		return nil, invalidFilter("%s is nothing to filter by", clip(e.attribute))
	}
	return compared(compare, e)
}

// has is that some values of an attribute are so.
func (a attributes) has(name string, so *expression) (condition, error) {
	of, ok := a.many[name]
	if !ok {
		return nil, invalidFilter("%s has no values to choose from", clip(name))
	}
	one, err := of.parts.where(so)
	if err != nil {
		return nil, err
	}
	return of.some(one), nil
}

// compared asks of null whether there is a value, and makes "ne" of "eq".
func compared(compare attribute, e *expression) (condition, error) {
	if e.verb != "eq" && e.verb != "ne" {
		return compare(e.verb, e.value)
	}
	verb, no := "eq", e.verb == "ne"
	if e.value == nil {
		verb, no = "pr", !no
	}
	is, err := compare(verb, e.value)
	if err == nil && no {
		is = negated(is)
	}
	return is, err
}

func (a attributes) join(e *expression) (condition, error) {
	parts := make([]condition, len(e.inside))
	for i, inside := range e.inside {
		part, err := a.where(inside)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	if e.verb == "not" {
		return negated(parts[0]), nil
	}
	return func(q *sql.Selector) *sql.Predicate {
		all := make([]*sql.Predicate, len(parts))
		for i, part := range parts {
			all[i] = part(q)
		}
		if e.verb == "or" {
			return sql.Or(all...)
		}
		return sql.And(all...)
	}, nil
}

func negated(c condition) condition {
	return func(q *sql.Selector) *sql.Predicate { return sql.Not(c(q)) }
}

func always(*sql.Selector) *sql.Predicate { return sql.ExprP("TRUE") }
func never(*sql.Selector) *sql.Predicate  { return sql.ExprP("FALSE") }

// present is a column that is not null, and for which the rest holds.
func present(column string, rest ...func(name string) *sql.Predicate) condition {
	return func(q *sql.Selector) *sql.Predicate {
		all := []*sql.Predicate{sql.NotNull(q.C(column))}
		for _, one := range rest {
			all = append(all, one(q.C(column)))
		}
		return sql.And(all...)
	}
}

// orders are the operators of what has an order, in SQL.
var orders = map[string]string{"gt": " > ", "ge": " >= ", "lt": " < ", "le": " <= "}

// patterns are those of LIKE for a text that they hold escaped.
var patterns = map[string]func(string) string{
	"eq": func(text string) string { return text },
	"co": func(text string) string { return "%" + text + "%" },
	"sw": func(text string) string { return text + "%" },
	"ew": func(text string) string { return "%" + text },
}

var escapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// text is a column of text in which case means nothing.
func text(column string) attribute { return textual(column, "ILIKE", "lower(", ")") }

// exact is a column of text in which case counts.
func exact(column string) attribute { return textual(column, "LIKE", "(", ")") }

func textual(column, like, open, shut string) attribute {
	return func(verb string, value any) (condition, error) {
		if verb == "pr" {
			return present(column), nil
		}
		wanted, ok := value.(string)
		if !ok {
			return nil, invalidFilter("compare text with text in quotes")
		}
		if pattern, ok := patterns[verb]; ok {
			return present(column, func(name string) *sql.Predicate {
				return sql.P(func(b *sql.Builder) {
					b.Ident(name).Pad().WriteString(like).Pad().Arg(pattern(escapes.Replace(wanted)))
				})
			}), nil
		}
		return present(column, func(name string) *sql.Predicate {
			return sql.P(func(b *sql.Builder) {
				b.WriteString(open).Ident(name).WriteString(shut + ` COLLATE "C"` + orders[verb] + open).
					Arg(wanted).WriteString(shut)
			})
		}), nil
	}
}

// lowered is a column of text that is in lower case, and in which case means nothing.
func lowered(column string) attribute {
	other := text(column)
	return func(verb string, value any) (condition, error) {
		wanted, ok := value.(string)
		if verb != "eq" || !ok {
			return other(verb, value)
		}
		return present(column, func(name string) *sql.Predicate {
			return sql.EQ(name, strings.ToLower(wanted))
		}), nil
	}
}

// instant is a column of time.
func instant(column string) attribute {
	return func(verb string, value any) (condition, error) {
		if verb == "pr" {
			return present(column), nil
		}
		written, _ := value.(string)
		at, err := time.Parse(time.RFC3339Nano, written)
		if err != nil {
			return nil, invalidFilter("compare a time with one such as 2026-11-21T08:00:00Z")
		}
		operator, ok := orders[verb]
		switch {
		case verb == "eq":
			operator = " = "
		case !ok:
			return nil, invalidFilter("a time has no %s", verb)
		}
		return present(column, func(name string) *sql.Predicate {
			return sql.P(func(b *sql.Builder) { b.Ident(name).WriteString(operator).Arg(at) })
		}), nil
	}
}

// flag is an attribute that is true or false: true where the column has the value.
func flag(column string, value any) attribute {
	return func(verb string, asked any) (condition, error) {
		if verb == "pr" {
			return always, nil
		}
		wanted, ok := boolean(asked)
		if verb != "eq" || !ok {
			return nil, invalidFilter("compare true and false by eq and ne")
		}
		is := present(column, func(name string) *sql.Predicate { return sql.EQ(name, value) })
		if !wanted {
			return negated(is), nil
		}
		return is, nil
	}
}

// boolean reads true and false, and what directories write instead.
func boolean(value any) (is, ok bool) {
	switch value := value.(type) {
	case bool:
		return value, true
	case string:
		is, err := strconv.ParseBool(strings.ToLower(value))
		return is, err == nil
	}
	return false, false
}

// constant is an attribute that is the same for all: case means nothing.
func constant(fixed any) attribute {
	return func(verb string, value any) (condition, error) {
		if verb == "pr" || same(fixed, value) && verb == "eq" {
			return always, nil
		}
		if verb != "eq" {
			return nil, invalidFilter("compare this by eq and ne")
		}
		return never, nil
	}
}

func same(fixed, value any) bool {
	if truth, ok := fixed.(bool); ok {
		is, ok := boolean(value)
		return ok && is == truth
	}
	written, ok := value.(string)
	return ok && strings.EqualFold(fixed.(string), written)
}

// identifier is a column that holds identifiers, which parse reads. What is none of ours is nobody's.
func identifier[K any](column string, parse func(string) (K, error)) attribute {
	return func(verb string, value any) (condition, error) {
		if verb == "pr" {
			return present(column), nil
		}
		written, _ := value.(string)
		if verb != "eq" {
			return nil, invalidFilter("compare identifiers by eq and ne")
		}
		id, err := parse(written)
		if err != nil {
			return never, nil //nolint:nilerr // it is the identifier of nothing
		}
		return func(q *sql.Selector) *sql.Predicate { return sql.EQ(q.C(column), id) }, nil
	}
}
