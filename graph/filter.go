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

// opens is true of keys for a door: for itself, for a group that it is in, or for its site.
func opens(s *sql.Selector, of operand) *sql.Predicate {
	column := s.C(key.FieldID)
	return sql.P(func(b *sql.Builder) {
		b.Ident(column).WriteString(` IN (SELECT via.key_id FROM key_targets AS via WHERE
			(via.org_id, via.target) IN (
			SELECT d.org_id, unnest(ARRAY[d.id, d.site_id]) FROM doors AS d WHERE d.id = `)
		of(b)
		b.WriteString(` UNION ALL SELECT m.org_id, unnest(ARRAY[g.id, g.parent_id])
			FROM door_group_doors AS m JOIN door_groups AS g
			ON g.org_id = m.org_id AND g.id = m.door_group_id WHERE m.door_id = `)
		of(b)
		b.WriteString("))")
	})
}

// openedBy is true of doors that a key is for, by whatever way.
func openedBy(s *sql.Selector, of operand) *sql.Predicate {
	id, site := s.C(door.FieldID), s.C(door.FieldSiteID)
	return sql.P(func(b *sql.Builder) {
		b.WriteByte('(').Ident(id).WriteString(
			" IN (SELECT via.door_id FROM key_targets AS via WHERE via.key_id = ")
		of(b)
		b.WriteString(` UNION ALL SELECT m.door_id FROM key_targets AS via JOIN door_groups AS g
			ON g.org_id = via.org_id AND via.door_group_id IN (g.id, g.parent_id)
			JOIN door_group_doors AS m ON m.org_id = g.org_id AND m.door_group_id = g.id
			WHERE via.key_id = `)
		of(b)
		b.WriteString(") OR ").Ident(site).WriteString(
			" IN (SELECT via.site_id FROM key_targets AS via WHERE via.key_id = ")
		of(b)
		b.WriteString("))")
	})
}

// hasStatus is true of keys that access.StatusOf gives the status at an instant.
func hasStatus(status access.KeyStatus, at time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) {
		revoked, until, uses := s.C(key.FieldRevokedAt), s.C(key.FieldValidUntil), s.C(key.FieldUsesLeft)
		suspended, from := s.C(key.FieldSuspendedAt), s.C(key.FieldValidFrom)
		person, group := s.C(key.FieldUserID), s.C(key.FieldUserGroupID)
		s.Where(sql.P(func(b *sql.Builder) {
			b.WriteString("CASE WHEN ").Ident(revoked).WriteString(" IS NOT NULL THEN 'REVOKED' WHEN ").
				Ident(until).WriteString(" <= ").Arg(at).WriteString(" THEN 'EXPIRED' WHEN ").
				Ident(uses).WriteString(" = 0 THEN 'USED_UP' WHEN ").
				Ident(suspended).WriteString(" IS NOT NULL THEN 'SUSPENDED' WHEN (").
				Ident(person).WriteString(" IS NULL AND ").Ident(group).WriteString(" IS NULL) OR ").
				Ident(from).WriteString(" > ").Arg(at).
				WriteString(" THEN 'PENDING' ELSE 'ACTIVE' END = ").Arg(string(status))
		}))
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
		{"siteIds", len(f.SiteIDs)}, {"userIds", len(f.UserIDs)}, {"actorIds", len(f.ActorIDs)},
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
			s.Where(among(s.C(event.FieldType), f.Types))
		}
		if f.DoorIDs != nil {
			s.Where(among(s.C(event.FieldDoorID), f.DoorIDs))
		}
		if f.SiteIDs != nil {
			s.Where(among(s.C(event.FieldSiteID), f.SiteIDs))
		}
		if f.UserIDs != nil {
			s.Where(among(s.C(event.FieldUserID), f.UserIDs))
		}
		if f.ActorIDs != nil {
			s.Where(among(s.C(event.FieldActorID), f.ActorIDs))
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

// among is isAny, and for one item a plain comparison: Postgres then walks that item's index in order.
func among[K any](column string, items []K) *sql.Predicate {
	if len(items) == 1 {
		return sql.EQ(column, items[0])
	}
	return isAny(column, items)
}

// matches says whether an event matches the filter.
func matches(f *shape.EventFilter, e *journal.Event) bool {
	return oneOf(f.Types, e.Type) && oneOf(f.DoorIDs, e.Door) && oneOf(f.SiteIDs, e.Site) &&
		oneOf(f.UserIDs, e.User) && oneOf(f.ActorIDs, e.Actor.ID) &&
		(f.Outcome == nil || *f.Outcome == e.Outcome) &&
		(f.Severity == nil || *f.Severity == e.Severity) &&
		(f.From == nil || !e.OccurredAt.Before(*f.From)) &&
		(f.To == nil || e.OccurredAt.Before(*f.To))
}

func oneOf[T comparable](wanted []T, v T) bool {
	return wanted == nil || slices.Contains(wanted, v)
}
