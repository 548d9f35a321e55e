package pool

import "container/list"

// keep is how many statements a connection keeps. Cardea has fewer; lists of unusual lengths come
// and go.
const keep = 256

// statements are those that a connection has prepared, the most recently used first.
type statements struct {
	limit  int
	recent *list.List // of *kept
	byText map[string]*list.Element
}

type kept struct {
	query string
	statement
}

func newStatements(limit int) *statements {
	return &statements{limit: limit, recent: list.New(), byText: map[string]*list.Element{}}
}

func (s *statements) get(query string) (statement, bool) {
	element, ok := s.byText[query]
	if !ok {
		return nil, false
	}
	s.recent.MoveToFront(element)
	return element.Value.(*kept).statement, true //nolint:forcetypeassert // holds nothing else
}

func (s *statements) add(query string, prepared statement) {
	if s.recent.Len() >= s.limit {
		oldest := s.recent.Back().Value.(*kept) //nolint:forcetypeassert // holds nothing else
		s.drop(oldest.query)
	}
	s.byText[query] = s.recent.PushFront(&kept{query, prepared})
}

// drop forgets a statement. If the server cannot be told, the connection is in no state to be used
// again, and lib/pq says so itself.
func (s *statements) drop(query string) {
	if element, ok := s.byText[query]; ok {
		_ = s.recent.Remove(element).(*kept).Close() //nolint:forcetypeassert // holds nothing else
		delete(s.byText, query)
	}
}
