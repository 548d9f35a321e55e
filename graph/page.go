package graph

import (
	"context"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

const (
	defaultPage = 50
	maxPage     = 100 // also what gqlgen.yml's worker_limit has to exceed
)

// page is which part of a list to read. It is comparable: equal pages of several parents are one
// statement.
type page struct {
	limit         int
	backward      bool // the last items rather than the first
	after, before string
}

// newPage checks the four arguments of a connection.
func newPage(first *int, after *string, last *int, before *string) (page, error) {
	p := page{limit: defaultPage, after: value(after), before: value(before)}
	faults := slices.Concat(checkSize("first", first), checkSize("last", last))
	switch {
	case first != nil && last != nil:
		faults = append(faults, badInput("last", "give either first or last"))
	case first != nil:
		p.limit = *first
	case last != nil:
		p.limit, p.backward = *last, true
	}
	if len(faults) > 0 {
		return page{}, faults
	}
	return p, nil
}

func checkSize(field string, size *int) access.Errors {
	if size == nil || *size >= 0 && *size <= maxPage {
		return nil
	}
	return access.Errors{badInput(field, fmt.Sprintf("must be from 0 to %d", maxPage))}
}

// list is an order that pages are cut along. Its columns together are unique, so that no item is
// met twice or missed between two pages.
type list[T any] struct {
	code    byte     // in cursors: one list's are refused by another
	columns []string // of the order, the unique one last
	newest  bool     // descending
	key     func(T) []any
}

// cut returns what narrows a query to the page, one item more, in the order of the list or, for a
// backward page, in its reverse.
func (l list[T]) cut(ctx context.Context, p page) (func(*sql.Selector), error) {
	org, err := organization(ctx)
	if err != nil {
		return nil, err
	}
	after, errAfter := l.decode(org, "after", p.after)
	before, errBefore := l.decode(org, "before", p.before)
	if faults := slices.Concat(errAfter, errBefore); len(faults) > 0 {
		return nil, faults
	}
	return func(s *sql.Selector) {
		columns := s.Columns(l.columns...)
		if after != nil {
			s.Where(beyond(l.newest, columns, after))
		}
		if before != nil {
			s.Where(beyond(!l.newest, columns, before))
		}
		for _, column := range columns {
			if l.newest != p.backward {
				column = sql.Desc(column)
			}
			s.OrderBy(column)
		}
		s.Limit(p.limit + 1)
	}, nil
}

func beyond(descending bool, columns []string, values []any) *sql.Predicate {
	if descending {
		return sql.CompositeLT(columns, values...)
	}
	return sql.CompositeGT(columns, values...)
}

func (l list[T]) decode(org typeid.Organization, field, cursor string) ([]any, access.Errors) {
	if cursor == "" {
		return nil, nil
	}
	values, err := decodeCursor(org, l.code, cursor)
	if err != nil || len(values) < len(l.columns) {
		return nil, access.Errors{badInput(field, errCursor.Error())}
	}
	return values[:len(l.columns)], nil
}

// connection is the page made of what cut let through.
func (l list[T]) connection(org typeid.Organization, p page, rows []T) *shape.Connection[T] {
	more := len(rows) > p.limit
	rows = rows[:min(len(rows), p.limit)]
	info := shape.PageInfo{HasNextPage: more, HasPreviousPage: p.after != ""}
	if p.backward {
		slices.Reverse(rows)
		info.HasNextPage, info.HasPreviousPage = p.before != "", more
	}
	edges := make([]shape.Edge[T], len(rows))
	for i, row := range rows {
		edges[i] = shape.Edge[T]{Cursor: encodeCursor(org, l.code, l.key(row)...), Node: row}
	}
	if len(edges) > 0 {
		info.StartCursor, info.EndCursor = &edges[0].Cursor, &edges[len(edges)-1].Cursor
	}
	return &shape.Connection[T]{Edges: edges, PageInfo: info}
}

// query is an Ent query of T.
type query[T, S any] interface {
	Modify(...func(*sql.Selector)) S
	All(context.Context) ([]T, error)
}

// paginate reads a page with one statement.
func paginate[T, S any, Q query[T, S]](
	ctx context.Context, l list[T], p page, q Q,
) (*shape.Connection[T], error) {
	cut, err := l.cut(ctx, p)
	if err != nil {
		return nil, err
	}
	q.Modify(cut)
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read page: %w", err)
	}
	org, err := organization(ctx)
	return l.connection(org, p, rows), err
}

// organization is the actor's.
func organization(ctx context.Context) (typeid.Organization, error) {
	by, ok := actor.FromContext(ctx)
	if !ok {
		return typeid.Organization{}, rule.ErrNoActor
	}
	return by.Organization, nil
}

// rawID is how a cursor holds an identifier.
func rawID(id interface{ UUID() [16]byte }) uuid.UUID { return id.UUID() }

func badInput(field, message string) access.Error {
	return access.Error{Code: access.CodeBadUserInput, Message: message, Field: field}
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
