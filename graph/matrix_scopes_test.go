package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

// demand is a field of a root that is asked for, with its arguments.
type demand struct {
	row
	with vars
}

// beyond are the fields that no scope is enough for by itself, and why.
var beyond = map[string]string{
	"policyReplay":      "reads the events of what was decided, too",
	"createApplication": "to act for somebody by itself it takes all that a user may (actsForId)",
}

// scopes gives the owner a token for each scope of the API, with nothing but that: it may do what the
// policy says that the scope is for, and nothing else of all that the schema has.
func (m *matrix) scopes(t *testing.T) {
	start := m.now(m.a.owner)
	needs, tokens := map[access.Action]actor.Scope{}, map[actor.Scope]caller{}
	for _, p := range access.Permissions(m.a.owner.ctx) {
		if needs[access.Action(p.Action)] = p.Scope; tokens[p.Scope].name == "" {
			tokens[p.Scope] = m.caller(string(p.Scope), m.a, m.a.newToken(access.CreateAPITokenInput{
				Name: m.name("CI"), Scopes: []actor.Scope{p.Scope}}))
		}
	}
	equal(t, len(tokens), len(m.schema.Types["ApiScope"].EnumValues))
	mine := func(c caller) func(demand) bool {
		return func(d demand) bool {
			return d.action == "" || string(needs[d.action]) == c.name && beyond[d.name] == ""
		}
	}
	reads, before := m.readable(), m.a.rows(t)
	t.Run("alone", func(t *testing.T) {
		for name, c := range tokens {
			t.Run(string(name), func(t *testing.T) {
				t.Parallel()
				m.isLimited(t, c, m.schema.Query, reads, mine(c))
				m.isLimited(t, c, m.schema.Mutation, slices.DeleteFunc(m.writable(text), mine(c)), mine(c))
				m.listens(t, c, start, mine(c))
			})
		}
	})
	m.a.unchanged(t, before)
	for _, c := range tokens {
		refused := func(d demand) bool { return !mine(c)(d) }
		m.isLimited(t, c, m.schema.Mutation, slices.DeleteFunc(m.writable(unknown), refused), mine(c))
	}
}

// unknown are variables whose identifiers nobody has: what is allowed then goes on, and finds nothing.
func unknown(v vars) string { return renewed(text(v)) }

// readable are all queries, and a noun of each kind by its identifier.
func (m *matrix) readable() (all []demand) {
	for _, q := range queries {
		switch {
		case strings.HasPrefix(q.name, "node"):
		case q.given == nil:
			all = append(all, demand{q, nil})
		default:
			all = append(all, demand{q, q.given(m.a)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if kinds[name].table != "" && m.isNode(name) {
			r := row{name: "node", action: kinds[name].action}
			all = append(all, demand{r, vars{"id": m.a.of(name)[0].id}})
		}
	}
	return all
}

// writable are all mutations, with inputs as they are written.
func (m *matrix) writable(written func(vars) string) (all []demand) {
	for _, r := range mutations {
		var given vars
		if err := json.Unmarshal([]byte(written(m.given(m.a, r))), &given); err != nil {
			panic(err)
		}
		all = append(all, demand{r, vars{"input": map[string]any(given)}})
	}
	return all
}

// isLimited fails unless somebody may ask for just those fields that are theirs.
func (m *matrix) isLimited(
	t *testing.T, c caller, root *ast.Definition, all []demand, mine func(demand) bool,
) {
	t.Helper()
	for some := range slices.Chunk(all, 10) { // no more may be asked for at once
		codes := m.codes(t, c, root, some)
		for i, d := range some {
			code := codes[fmt.Sprintf("f%d", i)]
			switch forbidden := code == string(access.CodeForbidden); {
			case forbidden == mine(d), code != "" && !forbidden && root == m.schema.Query:
				t.Errorf("%s with %v, by a token for %s alone: %q", d.name, d.with, c.name, code)
			}
		}
	}
}

// codes asks for fields side by side, and returns how those were refused that were.
func (m *matrix) codes(
	t *testing.T, c caller, root *ast.Definition, some []demand,
) map[string]string {
	t.Helper()
	var declared, fields []string
	variables := vars{}
	for i, d := range some {
		f, arguments := root.Fields.ForName(d.name), []string{}
		for name, value := range d.with {
			unique := fmt.Sprintf("v%d_%s", i, name)
			variables[unique] = value
			declared = append(declared, "$"+unique+": "+f.Arguments.ForName(name).Type.String())
			arguments = append(arguments, name+": $"+unique)
		}
		fields = append(fields, fmt.Sprintf("f%d: %s%s%s", i, d.name, inBrackets(arguments), m.least(f)))
	}
	a := m.asks(t, c, strings.ToLower(root.Name)+inBrackets(declared)+
		" { "+strings.Join(fields, " ")+" }", variables)
	codes := map[string]string{}
	for _, fault := range a.Errors {
		if len(fault.Path) == 0 {
			t.Fatalf("not answered: %s", a.raw)
		}
		codes[fmt.Sprint(fault.Path[0])] = fault.Extensions.Code
	}
	return codes
}

func inBrackets(some []string) string {
	if len(some) == 0 {
		return ""
	}
	return "(" + strings.Join(some, ", ") + ")"
}

// least is the smallest body that a field can have.
func (m *matrix) least(f *ast.FieldDefinition) string {
	if m.schema.Types[f.Type.Name()].IsLeafType() {
		return ""
	}
	return " { __typename }"
}

// listens opens every subscription as a stream.
func (m *matrix) listens(t *testing.T, c caller, start string, mine func(demand) bool) {
	t.Helper()
	for _, r := range subscriptions {
		f, given := m.schema.Subscription.Fields.ForName(r.name), r.given(m.a)
		if r.name == "events" {
			given["after"] = start
		}
		l := m.listen(c.person, http.MethodPost, operation("subscription", f, given, "{ __typename }"), given)
		l.t = t
		if a := l.next(); mine(demand{r, given}) {
			a.ok()
		} else {
			a.refused("FORBIDDEN")
			l.ended()
		}
		l.stop()
	}
}
