package graph

import (
	"context"
	"database/sql/driver"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/shape"
)

// nested asks for one parent's page of a list. Filter is whatever else narrows the list, written so
// that equal filters are equal.
type nested[K comparable] struct {
	parent  K
	page    page
	filter  string
	columns columns // of events, and of the doors of sites
}

// parent is an identifier of a noun with lists of its own.
type parent interface {
	comparable
	driver.Valuer
}

// child is an Ent noun, asked for the column that says which parent it was found for.
type child interface {
	Value(string) (ent.Value, error)
}

const parentColumn = "found_for" // no noun has a column of this name

// newNested loads pages of many parents: one statement for all that ask for equal pages.
func newNested[K parent, T any](
	read func(context.Context, nested[K], []K) (map[K]*shape.Connection[T], error),
) *loader[nested[K], *shape.Connection[T]] {
	return newLoader(func(
		ctx context.Context, asked []nested[K],
	) (map[nested[K]]*shape.Connection[T], error) {
		groups := map[nested[K]][]K{}
		for _, a := range asked {
			same := a
			same.parent = *new(K)
			groups[same] = append(groups[same], a.parent)
		}
		found := make(map[nested[K]]*shape.Connection[T], len(asked))
		for same, parents := range groups {
			pages, err := read(ctx, same, parents)
			if err != nil {
				return nil, err
			}
			for id, page := range pages {
				same.parent = id
				found[same] = page
			}
		}
		return found, nil
	})
}

// paginateEach reads one page for each parent with one statement. Belongs is true of a child (whose
// columns the selector names) of the parent (which the operand writes).
func paginateEach[K parent, T child, S any, Q query[T, S]](
	ctx context.Context, l list[T], p page, q Q, parents []K,
	belongs func(s *sql.Selector, of operand) *sql.Predicate,
) (map[K]*shape.Connection[T], error) {
	cut, err := l.cut(ctx, p)
	if err != nil {
		return nil, err
	}
	q.Modify(func(s *sql.Selector) {
		cut(s)
		s.Where(belongs(s, parentID))
		perParent(s, parents)
	})
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read pages: %w", err)
	}
	org, err := organization(ctx)
	if err != nil {
		return nil, err
	}
	found, err := byParent(parents, rows)
	if err != nil {
		return nil, err
	}
	pages := make(map[K]*shape.Connection[T], len(parents))
	for _, id := range parents {
		pages[id] = l.connection(org, p, found[id])
	}
	return pages, nil
}

// perParent turns a query that speaks of parent.id into one that runs it for every parent:
//
//	SELECT page.*, parent.id AS found_for
//	FROM unnest($1::uuid[]) AS parent(id) CROSS JOIN LATERAL (…) AS page
//
// So an index serves each parent's page, and whatever narrows the query, tenancy included, stays
// inside it.
func perParent[K parent](s *sql.Selector, parents []K) {
	inner := *s
	*s = *sql.Dialect(dialect.Postgres).Select("page.*").
		AppendSelectExprAs(sql.Raw("parent.id::text"), parentColumn).
		FromExpr(sql.ExprFunc(func(b *sql.Builder) {
			b.WriteString("unnest(").Arg(pq.Array(parents)).
				WriteString("::uuid[]) AS parent(id) CROSS JOIN LATERAL (").
				Join(&inner).WriteString(") AS page")
		})).
		WithContext(s.Context())
}

// byParent sorts rows by the parent that they were found for, and keeps their order.
func byParent[K parent, T child](parents []K, rows []T) (map[K][]T, error) {
	ids := make(map[driver.Value]K, len(parents))
	for _, id := range parents {
		text, err := id.Value()
		if err != nil {
			return nil, fmt.Errorf("group by parent: %w", err)
		}
		ids[text] = id
	}
	found := make(map[K][]T, len(parents))
	for _, row := range rows {
		of, err := row.Value(parentColumn)
		if err != nil {
			return nil, fmt.Errorf("group by parent: %w", err)
		}
		if bytes, ok := of.([]byte); ok {
			of = string(bytes)
		}
		found[ids[of]] = append(found[ids[of]], row)
	}
	return found, nil
}
