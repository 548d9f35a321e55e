package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keydoor"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
)

const (
	maxSearch = 200 // characters
	maxFilter = 100 // items of one criterion
)

// operand writes an identifier into a predicate: a column of a parent, or an argument.
type operand func(*sql.Builder)

func parentID(b *sql.Builder) { b.WriteString("parent.id") }

func argument(id any) operand { return func(b *sql.Builder) { b.Arg(id) } }

// childOf is true of rows whose column names the parent.
func childOf(column string) func(*sql.Selector, operand) *sql.Predicate {
	return func(s *sql.Selector, of operand) *sql.Predicate {
		column := s.C(column) // now: s is another query by the time that this is written
		return sql.P(func(b *sql.Builder) { of(b.Ident(column).WriteString(" = ")) })
	}
}

// opens is true of keys for a door: for itself, or for its site.
func opens(s *sql.Selector, of operand) *sql.Predicate {
	return sql.Or(
		among(s.C(key.FieldID), keydoor.FieldKeyID, keydoor.Table, keydoor.FieldDoorID, of),
		among(s.C(key.FieldSiteID), door.FieldSiteID, door.Table, door.FieldID, of),
	)
}

// openedBy is true of doors that a key is for, or whose site it is for.
func openedBy(s *sql.Selector, of operand) *sql.Predicate {
	return sql.Or(
		among(s.C(door.FieldID), keydoor.FieldDoorID, keydoor.Table, keydoor.FieldKeyID, of),
		among(s.C(door.FieldSiteID), key.FieldSiteID, key.Table, key.FieldID, of),
	)
}

// among is: column IN (SELECT selected FROM table WHERE matched = of).
func among(column, selected, table, matched string, of operand) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		b.Ident(column).WriteString(" IN (SELECT ").Ident("via").WriteByte('.').Ident(selected).
			WriteString(" FROM ").Ident(table).WriteString(" AS via WHERE via.").Ident(matched).
			WriteString(" = ")
		of(b)
		b.WriteByte(')')
	})
}

// hasStatus is true of keys that access.StatusOf gives the status at an instant.
func hasStatus(status access.KeyStatus, at time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) {
		revoked := sql.NotNull(s.C(key.FieldRevokedAt))
		expired := sql.LTE(s.C(key.FieldValidUntil), at)
		started := sql.Or(sql.IsNull(s.C(key.FieldValidFrom)), sql.LTE(s.C(key.FieldValidFrom), at))
		current := sql.And(sql.IsNull(s.C(key.FieldRevokedAt)), sql.Or(
			sql.IsNull(s.C(key.FieldValidUntil)), sql.GT(s.C(key.FieldValidUntil), at)))
		switch status {
		case access.KeyRevoked:
			s.Where(revoked)
		case access.KeyExpired:
			s.Where(sql.And(sql.IsNull(s.C(key.FieldRevokedAt)), expired))
		case access.KeyPending:
			s.Where(sql.And(current, sql.GT(s.C(key.FieldValidFrom), at)))
		case access.KeyActive:
			s.Where(sql.And(current, started))
		}
	}
}

// checkSearch refuses what no name contains.
func checkSearch(search *string) error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case search == nil:
		return nil
	case utf8.RuneCountInString(*search) > maxSearch:
		return badInput("search", fmt.Sprintf("must have at most %d characters", maxSearch))
	case strings.ContainsFunc(*search, control):
		return badInput("search", "must not contain control characters")
	}
	return nil
}

// checkFilter refuses what no event matches by mistake. The result is not nil.
func checkFilter(f *shape.EventFilter) (*shape.EventFilter, error) {
	if f == nil {
		return &shape.EventFilter{}, nil
	}
	var faults access.Errors
	for i, name := range f.Types {
		if _, ok := journal.Lookup(name); !ok {
			faults = append(faults, badInput(fmt.Sprintf("types.%d", i), "no such type of event"))
		}
	}
	for _, criterion := range []struct {
		field string
		size  int
	}{
		{"types", len(f.Types)}, {"doorIds", len(f.DoorIDs)},
		{"siteIds", len(f.SiteIDs)}, {"userIds", len(f.UserIDs)},
	} {
		if criterion.size > maxFilter {
			faults = append(faults, badInput(criterion.field, fmt.Sprintf("at most %d", maxFilter)))
		}
	}
	if len(faults) > 0 {
		return nil, faults[:min(len(faults), maxErrors)]
	}
	return f, nil
}

// filterKey writes a filter so that equal ones are equal.
func filterKey(f *shape.EventFilter) (string, error) {
	bytes, err := json.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write filter: %w", err)
	}
	return string(bytes), nil
}

// matching is true of rows that match the filter. It says the same as matches.
func matching(f *shape.EventFilter) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if f.Types != nil {
			s.Where(isAny(s.C(event.FieldType), f.Types))
		}
		if f.DoorIDs != nil {
			s.Where(isAny(s.C(event.FieldDoorID), f.DoorIDs))
		}
		if f.SiteIDs != nil {
			s.Where(isAny(s.C(event.FieldSiteID), f.SiteIDs))
		}
		if f.UserIDs != nil {
			s.Where(isAny(s.C(event.FieldUserID), f.UserIDs))
		}
		if f.Outcome != nil {
			s.Where(sql.EQ(s.C(event.FieldOutcome), *f.Outcome))
		}
		if f.Severity != nil {
			s.Where(sql.EQ(s.C(event.FieldSeverity), *f.Severity))
		}
		if f.From != nil {
			s.Where(sql.GTE(s.C(event.FieldOccurredAt), *f.From))
		}
		if f.To != nil {
			s.Where(sql.LT(s.C(event.FieldOccurredAt), *f.To))
		}
	}
}

// matches says whether an event matches the filter.
func matches(f *shape.EventFilter, e *journal.Event) bool {
	return oneOf(f.Types, e.Type) && oneOf(f.DoorIDs, e.Door) && oneOf(f.SiteIDs, e.Site) &&
		oneOf(f.UserIDs, e.User) &&
		(f.Outcome == nil || *f.Outcome == e.Outcome) &&
		(f.Severity == nil || *f.Severity == e.Severity) &&
		(f.From == nil || !e.OccurredAt.Before(*f.From)) &&
		(f.To == nil || e.OccurredAt.Before(*f.To))
}

func oneOf[T comparable](wanted []T, v T) bool {
	return wanted == nil || slices.Contains(wanted, v)
}
