package graph_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
)

// reads tries every way of reading as one caller: every noun by its identifier, whatever leads on from
// those, every query, every list with every filter, and cursors of others.
func (m *matrix) reads(t *testing.T, c caller) {
	t.Helper()
	if c.dead {
		m.readsNothing(t, c)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if kinds[name].table != "" && m.isNode(name) {
			m.readsNodes(t, c, name)
		}
	}
	for _, q := range queries {
		switch f := m.schema.Query.Fields.ForName(q.name); {
		case isList(f):
			m.readsList(t, c, f, q)
		case f.Arguments.ForName("id") != nil && len(f.Arguments) == 1 && f.Type.Name() != "Node":
			m.readsByID(t, c, f, q)
		default:
			m.readsQuery(t, c, f, q)
		}
	}
}

// isList says whether a field is a plain list: all that there is, by pages.
func isList(f *ast.FieldDefinition) bool {
	for _, a := range f.Arguments {
		if a.Type.NonNull && a.DefaultValue == nil {
			return false
		}
	}
	return strings.HasSuffix(f.Type.Name(), "Connection")
}

func (m *matrix) isNode(name string) bool {
	return slices.Contains(m.schema.Types[name].Interfaces, "Node")
}

// element is the type of what a field returns, of a list of which its items are.
func (m *matrix) element(f *ast.FieldDefinition) string {
	if name, ok := strings.CutSuffix(f.Type.Name(), "Connection"); ok {
		return m.schema.Types[name+"Connection"].Fields.ForName("nodes").Type.Name()
	}
	return f.Type.Name()
}

// allows says whether somebody may ask for a field at all.
func (m *matrix) allows(c caller, of string, f *ast.FieldDefinition) bool {
	actions := append([]access.Action{kinds[m.element(f)].action}, guards[of+"."+f.Name]...)
	return !slices.ContainsFunc(actions, func(a access.Action) bool { return c.reach[a] == "" })
}

// leads says whether a field leads to a noun, or to a list of something.
func (m *matrix) leads(f *ast.FieldDefinition) bool {
	return kinds[m.element(f)].table != "" || strings.HasSuffix(f.Type.Name(), "Connection")
}

// fields selects all fields of a type that somebody may ask for, and those of what it leads to, so deep.
func (m *matrix) fields(c caller, of string, depth int) string {
	text := "__typename"
	for _, f := range m.schema.Types[of].Fields {
		if m.allows(c, of, f) && (depth > 0 || !m.leads(f)) {
			text += " " + m.field(c, of, f, depth, "")
		}
	}
	return text
}

// field selects a field. Extra are more arguments.
func (m *matrix) field(
	c caller, of string, f *ast.FieldDefinition, depth int, extra string,
) string {
	def, arguments := m.schema.Types[f.Type.Name()], []string{}
	for name, kind := range needed[of+"."+f.Name] {
		arguments = append(arguments, fmt.Sprintf("%s: %q", name, m.someSeen(c, kind)))
	}
	if strings.HasPrefix(f.Name, "__") || slices.Contains(arguments, `siteId: ""`) {
		return ""
	}
	list := strings.HasSuffix(def.Name, "Connection")
	if list {
		arguments = append(arguments, fmt.Sprintf("first: %d", []int{2, 4, 50}[min(depth, 2)]))
	}
	if extra != "" {
		arguments = append(arguments, extra)
	}
	text := f.Name
	if len(arguments) > 0 {
		text += "(" + strings.Join(arguments, ", ") + ")"
	}
	switch {
	case list:
		return text + " { " + m.page(c, def, depth-1) + " }"
	case def.Kind != ast.Object:
		return text
	case kinds[def.Name].table != "":
		depth--
	}
	return text + " { " + m.fields(c, def.Name, depth) + " }"
}

// page selects a page of a list.
func (m *matrix) page(c caller, def *ast.Definition, depth int) string {
	item := def.Fields.ForName("nodes").Type.Name()
	text := "edges { cursor node { " + m.fields(c, item, depth) + " } } nodes { __typename } pageInfo { endCursor }"
	for _, f := range def.Fields {
		if !slices.Contains([]string{"edges", "nodes", "pageInfo"}, f.Name) {
			text += " " + m.field(c, def.Name, f, depth, "")
		}
	}
	return text
}

// someSeen is the identifier of something of a kind that somebody sees.
func (m *matrix) someSeen(c caller, kind string) string {
	for _, one := range c.realm.of(kind) {
		if c.sees(one) {
			return one.id
		}
	}
	return ""
}

// readsNodes asks for every row of a kind, and for all that it leads to.
func (m *matrix) readsNodes(t *testing.T, c caller, kind string) {
	t.Helper()
	all, want := m.a.of(kind), map[string]bool{}
	var ids []string
	for _, one := range all {
		ids = append(ids, one.id)
		if c.sees(one) {
			want[one.id] = true
		}
	}
	got := map[string]bool{}
	for some := range slices.Chunk(ids, 100) {
		a := m.asks(t, c, `query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`, vars{"ids": some})
		if c.reach[kinds[kind].action] == "" {
			forbidden(t, "node of kind "+kind, c, a)
			continue
		}
		maps.Copy(got, m.inspect(t, c, "nodes of kind "+kind, a.ok()))
	}
	same(t, "nodes of kind "+kind, c, got, want)
	if len(ids) > 60 { // events: what the newest lead to is enough
		ids = ids[len(ids)-60:]
	}
	if c.reach[kinds[kind].action] == "" || len(want) == 0 && c.realm == m.a {
		return
	}
	m.follows(t, c, kind, ids, m.edges(c, kind))
	some := slices.Sorted(maps.Keys(want))
	for _, f := range m.schema.Types[kind].Fields {
		if len(some) > 0 && !m.allows(c, kind, f) {
			everything := c
			everything.reach = m.caller("", m.a, m.a.owner).reach
			text := m.field(everything, kind, f, 1, "")
			a := m.asks(t, c, m.nodes(kind, "edge: "+text), vars{"ids": some[:1]})
			if len(a.Errors) > 0 || a.at("nodes.0.edge") != nil {
				forbidden(t, kind+"."+f.Name, c, a)
			}
		}
	}
}

// edges select each field of a kind by itself, under a name that begins with the field's: two steps far
// if it leads to nouns, once for all that may be there and once for each of its filters.
func (m *matrix) edges(c caller, kind string) (edges []string) {
	for _, f := range m.schema.Types[kind].Fields {
		if strings.HasPrefix(f.Name, "__") || !m.allows(c, kind, f) {
			continue
		}
		if text := m.field(c, kind, f, 2, ""); text != "" {
			edges = append(edges, f.Name+"_: "+text)
		}
		for i, variant := range m.variants(f) {
			edges = append(edges, fmt.Sprintf("%s_%d: %s", f.Name, i, m.field(c, kind, f, 1, variant)))
		}
	}
	return edges
}

func (m *matrix) nodes(kind string, edges ...string) string {
	return "query($ids: [ID!]!) { nodes(ids: $ids) { __typename ... on " + kind + " { id " +
		strings.Join(edges, " ") + " } } }"
}

// follows asks for edges of some rows, in as many documents as it takes.
func (m *matrix) follows(t *testing.T, c caller, kind string, ids, edges []string) {
	t.Helper()
	a := m.asks(t, c, m.nodes(kind, edges...), vars{"ids": ids})
	switch {
	case a.tooLarge() && len(edges) > 1:
		m.follows(t, c, kind, ids, edges[:len(edges)/2])
		m.follows(t, c, kind, ids, edges[len(edges)/2:])
	case a.tooLarge() && len(ids) > 1:
		m.follows(t, c, kind, ids[:len(ids)/2], edges)
		m.follows(t, c, kind, ids[len(ids)/2:], edges)
	default:
		m.inspect(t, c, "what leads on from "+kind, a)
		if len(a.Errors) > 0 {
			t.Errorf("%s of %s, as %s: %s", edges, kind, c.name, a.raw)
		}
	}
}

// tooLarge says whether a document was refused for its size.
func (a answer) tooLarge() bool {
	return slices.ContainsFunc(a.Errors, func(f fault) bool {
		return strings.HasPrefix(f.Extensions.Code, "TOO_MANY_") || f.Extensions.Code == "COST_TOO_HIGH" ||
			f.Extensions.Code == "DOCUMENT_TOO_LONG"
	})
}

func (a answer) has(code string) bool {
	return slices.ContainsFunc(a.Errors, func(f fault) bool { return f.Extensions.Code == code })
}

// forbidden fails unless an answer has nothing but that it is forbidden.
func forbidden(t *testing.T, what string, c caller, a answer) {
	t.Helper()
	if len(a.Errors) == 0 || slices.ContainsFunc(a.Errors, func(f fault) bool {
		return f.Extensions.Code != string(access.CodeForbidden)
	}) {
		t.Errorf("%s is not forbidden to %s: %s", what, c.name, a.raw)
	}
}

func same(t *testing.T, what string, c caller, got, want map[string]bool) {
	t.Helper()
	for id := range got {
		if !want[id] {
			t.Errorf("%s: %s sees %s", what, c.name, id)
		}
	}
	for id := range want {
		if !got[id] {
			t.Errorf("%s: %s does not see %s", what, c.name, id)
		}
	}
}

// readsByID asks a query for every row of its kind, and with one identifier of each other kind.
func (m *matrix) readsByID(t *testing.T, c caller, f *ast.FieldDefinition, q row) {
	t.Helper()
	want, got, what := map[string]bool{}, map[string]bool{}, "query "+f.Name
	for some := range slices.Chunk(m.a.of(f.Type.Name()), 10) {
		text := ""
		for i, one := range some {
			text += fmt.Sprintf(" a%d: %s(id: %q) { __typename id }", i, f.Name, one.id)
			if c.sees(one) {
				want[one.id] = true
			}
		}
		a := m.asks(t, c, "{"+text+" }", nil)
		if c.reach[q.action] == "" {
			forbidden(t, what, c, a)
			continue
		}
		maps.Copy(got, m.inspect(t, c, what, a.ok()))
	}
	same(t, what, c, got, want)
}

// readsQuery asks a query with its row's arguments. Somebody who does not reach all is refused, or
// shown what they may see of it.
func (m *matrix) readsQuery(t *testing.T, c caller, f *ast.FieldDefinition, q row) {
	t.Helper()
	given := vars{}
	if q.given != nil {
		given = q.given(m.a)
	}
	a := m.asks(t, c, operation("query", f, given, m.body(c, f, 2)), given)
	if a.tooLarge() {
		a = m.asks(t, c, operation("query", f, given, m.body(c, f, 1)), given)
	}
	m.inspect(t, c, "query "+f.Name, a)
	switch {
	case c.reach[q.action] == "":
		forbidden(t, "query "+f.Name, c, a)
	case c.realm == m.a && c.reach[q.action] == access.ReachAll && q.action != "":
		a.ok()
	case len(a.Errors) > 0 && !a.has("NOT_FOUND") && !a.has("FORBIDDEN"):
		t.Errorf("query %s, as %s: %s", f.Name, c.name, a.raw)
	}
}

// body is what follows a field in a document.
func (m *matrix) body(c caller, f *ast.FieldDefinition, depth int) string {
	def := m.schema.Types[f.Type.Name()]
	switch {
	case def.Kind == ast.Interface:
		return "{ __typename id }"
	case def.Kind != ast.Object:
		return ""
	case strings.HasSuffix(def.Name, "Connection"):
		return "{ " + m.page(c, def, depth-1) + " }"
	}
	return "{ " + m.fields(c, def.Name, depth) + " }"
}

// operation is a document with one field, whose arguments are given as variables.
func operation(of string, f *ast.FieldDefinition, given vars, body string) string {
	var declared, passed []string
	for _, a := range f.Arguments {
		if _, ok := given[a.Name]; ok {
			declared = append(declared, "$"+a.Name+": "+a.Type.String())
			passed = append(passed, a.Name+": $"+a.Name)
		}
	}
	head, arguments := of, ""
	if len(declared) > 0 {
		head += "(" + strings.Join(declared, ", ") + ")"
		arguments = "(" + strings.Join(passed, ", ") + ")"
	}
	return head + " { " + f.Name + arguments + " " + body + " }"
}

// readsList reads a list page by page, with each of its filters, and from others' cursors on.
func (m *matrix) readsList(t *testing.T, c caller, f *ast.FieldDefinition, q row) {
	t.Helper()
	what := "query " + f.Name
	page := func(arguments string) answer {
		return m.asks(t, c, "{ "+f.Name+"("+arguments+
			") { edges { cursor node { __typename id } } pageInfo { hasNextPage endCursor } } }", nil)
	}
	if c.reach[q.action] == "" {
		forbidden(t, what, c, page("first: 2"))
		return
	}
	got, want, after := map[string]bool{}, map[string]bool{}, ""
	for more := true; more; {
		a := page("first: 20" + after).ok()
		maps.Copy(got, m.inspect(t, c, what, a))
		if more = a.at(f.Name+".pageInfo.hasNextPage") == any(true); more {
			after = fmt.Sprintf(", after: %q", a.text(f.Name+".pageInfo.endCursor"))
		}
	}
	for _, one := range c.realm.of(m.element(f)) {
		if c.sees(one) {
			want[one.id] = true
		}
	}
	same(t, what, c, got, want)
	m.filters(t, c, f)
	m.cursors(t, c, f)
}

// filters asks with every value of every filter.
func (m *matrix) filters(t *testing.T, c caller, f *ast.FieldDefinition) {
	t.Helper()
	for some := range slices.Chunk(m.variants(f), 10) {
		text := ""
		for i, variant := range some {
			text += fmt.Sprintf(" a%d: %s(first: 30, %s) { nodes { __typename id } }", i, f.Name, variant)
		}
		a := m.asks(t, c, "{"+text+" }", nil)
		m.inspect(t, c, "filters of "+f.Name, a.ok())
	}
}

// paging are the arguments of a list that are no filters.
var paging = []string{"first", "after", "last", "before"}

// variants are the values of each filter of a list, as arguments.
func (m *matrix) variants(f *ast.FieldDefinition) (found []string) {
	if !strings.HasSuffix(f.Type.Name(), "Connection") {
		return nil
	}
	for _, a := range f.Arguments {
		if !slices.Contains(paging, a.Name) {
			for _, value := range m.values(a.Name, a.Type) {
				found = append(found, a.Name+": "+value)
			}
		}
	}
	return found
}

// values are what a filter may be given.
func (m *matrix) values(name string, is *ast.Type) (found []string) {
	def := m.schema.Types[is.Name()]
	switch {
	case def.Kind == ast.Enum:
		for _, value := range def.EnumValues {
			found = append(found, value.Name)
		}
	case def.Kind == ast.InputObject:
		for _, f := range def.Fields {
			for _, value := range m.values(f.Name, f.Type) {
				found = append(found, "{"+f.Name+": "+value+"}")
			}
		}
	case def.Name == "DateTime":
		found = []string{`"` + soon() + `"`}
	case strings.HasPrefix(filters[name], "="):
		found = []string{`"` + filters[name][1:] + `"`}
	default:
		for _, one := range m.a.of(filters[name]) {
			found = append(found, `"`+one.id+`"`)
		}
	}
	return found
}

// cursors goes on from where the owner of the organization is, and, as a stranger, with a cursor that
// was made theirs: the sum in it is no secret.
func (m *matrix) cursors(t *testing.T, c caller, f *ast.FieldDefinition) {
	t.Helper()
	owner := m.caller("owner", m.a, m.a.owner)
	first := m.asks(t, owner, "{ "+f.Name+"(first: 2) { pageInfo { endCursor } } }", nil).ok()
	cursor, _ := first.at(f.Name + ".pageInfo.endCursor").(string)
	other := "doors"
	if f.Name == other {
		other = "sites"
	}
	for _, argument := range []string{"after", "before"} {
		what := fmt.Sprintf("another's cursor %s of %s", argument, f.Name)
		ask := func(list, cursor string) answer {
			return m.asks(t, c, fmt.Sprintf("{ %s(%s: %q) { nodes { __typename id } } }", list, argument, cursor), nil)
		}
		a := ask(f.Name, cursor)
		if c.realm == m.a {
			m.inspect(t, c, what, a.ok())
		} else {
			a.refused("BAD_USER_INPUT " + argument)
			m.inspect(t, c, what, ask(f.Name, resigned(t, cursor, c)).ok())
		}
		if c.reach[access.ReadSites] != "" && c.reach[access.ReadDoors] != "" {
			ask(other, cursor).refused("BAD_USER_INPUT " + argument)
		}
		ask(f.Name, cursor[:len(cursor)-1]).refused("BAD_USER_INPUT " + argument)
	}
}

// resigned is a cursor with the sum of another organization.
func resigned(t *testing.T, cursor string, c caller) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	must(t, err)
	id := c.realm.org.UUID()
	b = b[:len(b)-8]
	sum := sha256.Sum256(append(id[:], b...))
	return base64.RawURLEncoding.EncodeToString(append(b, sum[:8]...))
}

// readsNothing asks every query as somebody who is nobody.
func (m *matrix) readsNothing(t *testing.T, c caller) {
	t.Helper()
	owner := m.caller("owner", m.a, m.a.owner)
	for _, q := range queries {
		given := vars{}
		if q.given != nil {
			given = q.given(m.a)
		}
		f := m.schema.Query.Fields.ForName(q.name)
		m.isNobody(t, c, m.asks(t, c, operation("query", f, given, m.body(owner, f, 1)), given))
	}
}

// isNobody fails unless nothing was answered but that.
func (m *matrix) isNobody(t *testing.T, c caller, a answer) {
	t.Helper()
	m.inspect(t, c, "an answer", a)
	refused := a.status == http.StatusUnauthorized || a.has("UNAUTHENTICATED") || a.has("FORBIDDEN")
	for name, value := range a.Data {
		if value != nil && !public[name] {
			t.Errorf("%s is answered %s: %s", c.name, name, a.raw)
		}
		refused = refused || public[name]
	}
	if !refused {
		t.Errorf("%s is not refused: %s", c.name, a.raw)
	}
}

// public is what is no organization's: a device that asked would be told.
var public = map[string]bool{"eventTypes": true}
