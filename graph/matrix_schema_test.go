package graph_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
)

// isComplete fails for whatever the schema has that no row is about, and for rows about what it has
// not.
func (m *matrix) isComplete(t *testing.T) {
	for _, table := range []struct {
		name string
		def  *ast.Definition
		rows []row
	}{
		{"queries", m.schema.Query, queries}, {"mutations", m.schema.Mutation, mutations},
		{"subscriptions", m.schema.Subscription, subscriptions},
	} {
		named := map[string]bool{}
		for _, r := range table.rows {
			named[r.name] = true
			if table.def.Fields.ForName(r.name) == nil {
				t.Errorf("%s: the schema has no %s any more: take its row away", table.name, r.name)
			}
		}
		for _, f := range table.def.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			if !named[f.Name] {
				t.Errorf("%s: add a row for %s (graph/matrix_rows_test.go)", table.name, f.Name)
				continue
			}
			for _, r := range table.rows {
				if r.name == f.Name {
					m.namesAll(t, table.name, f, r)
				}
			}
		}
	}
	m.kindsAreComplete(t)
	owner := m.caller("owner", m.a, m.a.owner)
	for _, r := range slices.Concat(queries, mutations, subscriptions) {
		if owner.reach[r.action] != access.ReachAll && !orders(r) {
			t.Errorf("%s: %s reaches %q for an owner", r.name, r.action, owner.reach[r.action])
		}
	}
	for name, k := range kinds {
		if owner.reach[k.action] != access.ReachAll {
			t.Errorf("%s: %s reaches %q for an owner", name, k.action, owner.reach[k.action])
		}
	}
}

// namesAll fails unless the arguments of a row name every identifier that the field takes.
func (m *matrix) namesAll(t *testing.T, table string, f *ast.FieldDefinition, r row) {
	t.Helper()
	given := vars{}
	switch {
	case r.given != nil && table == "mutations":
		given = vars{"input": map[string]any(m.given(m.a, r))}
	case r.given != nil:
		given = r.given(m.a)
	}
	for _, a := range f.Arguments {
		if isList(f) && filters[a.Name] == "" && a.Type.Name() == "ID" {
			t.Errorf("filters: say what %s.%s names", f.Name, a.Name)
		}
		if !isList(f) {
			m.names(t, table+": "+f.Name, a.Name, a.Type, given[a.Name])
		}
	}
}

// exclusive are the inputs of which a row gives one field of many: each of the others is an input of
// a mutation, or of a row of its own.
var exclusive = map[string]bool{"AccessChangeInput": true, "PresentedCredentialInput": true}

// optional are identifiers that a row leaves out, with the reason.
var optional = map[string]string{
	"GrantKeyInput.userGroupId": "takes the place of userId, and is checked alike",
}

func (m *matrix) names(t *testing.T, row, name string, is *ast.Type, given any) {
	t.Helper()
	def := m.schema.Types[is.Name()]
	if def.Name == "ID" && given == nil {
		t.Errorf("%s: let the row give %s", row, name)
	}
	if def.Kind != ast.InputObject || exclusive[def.Name] {
		return
	}
	inside, _ := given.(map[string]any)
	if inside == nil {
		return
	}
	for _, f := range def.Fields {
		if optional[def.Name+"."+f.Name] == "" {
			m.names(t, row, name+"."+f.Name, f.Type, inside[f.Name])
		}
	}
}

// kindsAreComplete fails unless every object type is a kind, and every nested argument is known.
func (m *matrix) kindsAreComplete(t *testing.T) {
	t.Helper()
	roots := []string{"Query", "Mutation", "Subscription", "PageInfo"}
	for name, def := range m.schema.Types {
		if def.Kind != ast.Object || strings.HasPrefix(name, "__") || slices.Contains(roots, name) ||
			strings.HasSuffix(name, "Connection") || strings.HasSuffix(name, "Edge") ||
			strings.HasSuffix(name, "Payload") {
			continue
		}
		k, known := kinds[name]
		if !known {
			t.Errorf("kinds: add a row for the type %s (graph/matrix_rows_test.go)", name)
		}
		if k.table != "" && (len(m.a.of(name)) == 0 || len(m.b.of(name)) == 0) {
			t.Errorf("kinds: there is no %s: let realm have one (graph/matrix_world_test.go)", name)
		}
		if m.isNode(name) != (k.table != "") && name != "WebhookAttempt" {
			t.Errorf("kinds: %s is a Node or has no table", name)
		}
		for _, f := range def.Fields {
			for _, a := range f.Arguments {
				if a.Type.NonNull && a.DefaultValue == nil && needed[name+"."+f.Name][a.Name] == "" {
					t.Errorf("needed: say what %s.%s(%s) names", name, f.Name, a.Name)
				}
			}
		}
	}
	for name := range kinds {
		if m.schema.Types[name] == nil {
			t.Errorf("kinds: the schema has no %s any more: take its row away", name)
		}
	}
}

// kept are the names of what is set by nobody: whose a row is, and what the record says of it.
var kept = regexp.MustCompile(`(?i)^(org|organi[sz]ation|tenant)(id)?$|` +
	`^(created|updated|revoked|suspended|redeemed|ended|requested|activated|released|arrived|enrolled|` +
	`observed|received|occurred|dispatched|acknowledged|blocked|invited|lastused|lastseen)` +
	`(at|by|byid|until|id|address)?$|` +
	`^(sequence|seq|hash|secret|epoch|revision|depth|actor|actorid|actorkind|sharedby|sharedbyid|` +
	`requesterid|stage|usesleft|sharesleft|permissions|reach|verified|emailverified)$`)

// rights are the fields that give somebody rights, and the inputs that may have them: each is refused
// to whoever may not give as much (matrix.stays).
var rights = map[string][]string{
	"role":    {"CreateUserInput", "InviteUserInput", "UpdateUserInput"},
	"status":  {"UpdateUserInput"},
	"scopes":  {"CreateApiTokenInput", "CreateApplicationInput", "UpdateApplicationInput"},
	"ownerId": nil,
	"owner":   nil,
}

// inputsSetNothingElse fails for an input that sets what is nobody's to set, whether it is in the
// schema or only tried.
func (m *matrix) inputsSetNothingElse(t *testing.T) {
	for name, def := range m.schema.Types {
		if def.Kind != ast.InputObject || strings.HasPrefix(name, "__") {
			continue
		}
		for _, f := range def.Fields {
			if in, right := rights[f.Name]; kept.MatchString(f.Name) ||
				right && !slices.Contains(in, name) {
				t.Errorf("%s.%s is nothing that a caller sets", name, f.Name)
			}
			if f.Name == "id" && strings.HasPrefix(name, "Create") {
				t.Errorf("%s.id: identifiers are drawn, not given", name)
			}
		}
	}
	before := m.a.rows(t)
	owner := m.caller("owner", m.a, m.a.owner)
	for _, r := range mutations {
		for field, value := range map[string]any{"organizationId": m.b.org, "orgId": m.b.org,
			"createdAt": soon(), "revokedAt": nil, "createdBy": m.a.keeper.user.ID} {
			input := vars{field: value}
			maps.Copy(input, m.given(m.a, r))
			a := m.asks(t, owner, m.mutation(r), vars{"input": input})
			if !a.has("BAD_USER_INPUT") && !a.has("GRAPHQL_VALIDATION_FAILED") {
				t.Errorf("%s takes %s: %s", r.name, field, a.raw)
			}
		}
	}
	m.a.unchanged(t, before)
}
