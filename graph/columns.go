package graph

import (
	"context"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/ent/event"
)

// columns are groups of an event's columns: those that a page of events is read for. They are groups so
// that there are no more than a few dozen statements to prepare.
type columns uint8

// eventGroups are the fields that need more than what is always read, each group with its columns. The
// hash of an event is for the log, and is read by nobody here.
var eventGroups = []struct{ fields, columns []string }{
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
}

// only narrows a query of events to groups of columns.
func (c columns) only(s *sql.Selector) {
	read := []string{
		event.FieldID, event.FieldOrgID, event.FieldSeq, event.FieldType, event.FieldOccurredAt,
	}
	for i, group := range eventGroups {
		if c&(1<<i) != 0 {
			read = append(read, group.columns...)
		}
	}
	s.Select(s.Columns(read...)...)
}

// columnsAsked are those that the field of ctx, a list of events, is asked for.
func columnsAsked(ctx context.Context) (c columns) {
	field, all := graphql.GetFieldContext(ctx).Field, loadedOf(ctx)
	all.mu.Lock()
	defer all.mu.Unlock()
	if known, ok := all.columns[field.Field]; ok {
		return known
	}
	op := graphql.GetOperationContext(ctx)
	for _, f := range graphql.CollectFields(op, field.Selections, nil) {
		switch f.Name {
		case "nodes":
			c |= columnsOf(op, f.Selections)
		case "edges":
			for _, inner := range graphql.CollectFields(op, f.Selections, nil) {
				c |= columnsOf(op, inner.Selections)
			}
		}
	}
	if all.columns == nil {
		all.columns = map[*ast.Field]columns{}
	}
	all.columns[field.Field] = c
	return c
}

func columnsOf(op *graphql.OperationContext, events ast.SelectionSet) (c columns) {
	for _, f := range graphql.CollectFields(op, events, nil) {
		for i, group := range eventGroups {
			if slices.Contains(group.fields, f.Name) {
				c |= 1 << i
			}
		}
	}
	return c
}
