package graph

import (
	"context"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// columns are groups of a noun's columns: those that it is read for. They are groups so that there are no
// more than a few dozen statements to prepare.
type columns uint8

// whole is every column there is: for whatever asks for a field that no group has.
const whole columns = 1 << 7

// portion says what a noun is read for. What a field needs that is neither free nor in a group is not
// known, and so is everything.
type portion struct {
	always []string // with what orders its lists
	free   []string // fields that need no more
	groups []group
}

// group is of columns, and of fields that need no others.
type group struct{ fields, columns []string }

// The hash of an event is for the log, and the longest of its columns.
var eventReading = portion{
	always: []string{
		event.FieldID, event.FieldOrgID, event.FieldSeq, event.FieldType, event.FieldOccurredAt,
	},
	free: []string{"__typename", "id", "sequence", "type", "occurredAt"},
	groups: []group{
		{[]string{"receivedAt", "delivery", "severity"},
			[]string{event.FieldReceivedAt, event.FieldDelivery, event.FieldSeverity}},
		{[]string{"actor"},
			[]string{event.FieldActorKind, event.FieldActorID, event.FieldActorApplicationID}},
		{[]string{"site", "door", "device", "key", "command"},
			[]string{event.FieldSiteID, event.FieldDoorID, event.FieldDeviceID, event.FieldKeyID,
				event.FieldCommandID}},
		{[]string{"user"}, []string{event.FieldUserID}},
		{[]string{"outcome", "reason", "method"},
			[]string{event.FieldOutcome, event.FieldReason, event.FieldMethod}},
		{[]string{"data"}, []string{event.FieldData}},
	},
}

var doorReading = portion{
	always: []string{door.FieldID, door.FieldOrgID, door.FieldName},
	free:   []string{"__typename", "id", "name", "events", "keys", "groups"},
	groups: []group{
		{[]string{"site"}, []string{door.FieldSiteID}},
		{[]string{"device", "devicePort"}, []string{door.FieldDeviceID, door.FieldDevicePort}},
		{[]string{"lockState", "position", "mode", "connectivity", "observedAt", "isStale"},
			[]string{door.FieldLockState, door.FieldPosition, door.FieldMode, door.FieldConnectivity,
				door.FieldObservedAt}},
	},
}

var userReading = portion{
	always: []string{user.FieldID, user.FieldOrgID, user.FieldName},
	free:   []string{"__typename", "id", "name"},
}

// of narrows a query of the noun to columns.
func (r *portion) of(c columns) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if c&whole != 0 {
			return
		}
		read := slices.Clone(r.always)
		for i, group := range r.groups {
			if c&(1<<i) != 0 {
				read = append(read, group.columns...)
			}
		}
		s.Select(s.Columns(read...)...)
	}
}

// forFields is what some fields of the noun need.
func (r *portion) forFields(op *graphql.OperationContext, of ast.SelectionSet) (c columns) {
	for _, f := range graphql.CollectFields(op, of, nil) {
		if slices.Contains(r.free, f.Name) {
			continue
		}
		i := slices.IndexFunc(r.groups, func(g group) bool { return slices.Contains(g.fields, f.Name) })
		if i < 0 {
			return whole
		}
		c |= 1 << i
	}
	return c
}

// forList is what a list of the noun needs, which is the field of ctx.
func (r *portion) forList(ctx context.Context) columns {
	return asked(ctx, func(op *graphql.OperationContext, list ast.SelectionSet) (c columns) {
		for _, f := range graphql.CollectFields(op, list, nil) {
			switch f.Name {
			case "nodes":
				c |= r.forFields(op, f.Selections)
			case "edges":
				for _, inner := range graphql.CollectFields(op, f.Selections, nil) {
					if inner.Name == "node" {
						c |= r.forFields(op, inner.Selections)
					}
				}
			}
		}
		return c
	})
}

// forOne is what the noun needs that is the field of ctx.
func (r *portion) forOne(ctx context.Context) columns { return asked(ctx, r.forFields) }

// spot is what is asked of a field in one place of the operation: a fragment may have it in several, with
// more beside it in one than in another.
type spot struct {
	first *ast.Selection
	count int
}

// asked finds out what the field of ctx needs, once for all objects that it is a field of.
func asked(
	ctx context.Context, needs func(*graphql.OperationContext, ast.SelectionSet) columns,
) columns {
	set := graphql.GetFieldContext(ctx).Field.Selections
	if len(set) == 0 {
		return whole
	}
	here, all := spot{&set[0], len(set)}, loadedOf(ctx)
	all.mu.Lock()
	defer all.mu.Unlock()
	if known, ok := all.columns[here]; ok {
		return known
	}
	c := needs(graphql.GetOperationContext(ctx), set)
	if all.columns == nil {
		all.columns = map[spot]columns{}
	}
	all.columns[here] = c
	return c
}

// usersAsked loads users for the field of ctx: most are asked for their names alone.
func usersAsked(ctx context.Context) *loader[typeid.User, *ent.User] {
	if userReading.forOne(ctx) == 0 {
		return loadersOf(ctx).names
	}
	return loadersOf(ctx).users
}
