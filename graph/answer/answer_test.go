package answer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/graph/answer"
)

const sdl = `
	interface Named { name: String }
	interface Titled { name: String }
	type Door implements Named & Titled { name: String  must: String!  site: Site  twin(of: Int): Door
		doors: [Door] firm: [Door!] }
	type Site implements Named { name: String  must: String!  any: Named  doors: [Door!]! }
	type Query { door: Door  site: Site! }
	type Mutation { open(n: Int!): Door }`

// thing is a door or a site. What it is made of is in its fields.
type thing struct {
	name, must string
	err        error
	of         []*thing
}

// house is the schema, and what its resolvers have seen.
type house struct {
	schema          *ast.Schema
	door, site      *answer.Object
	query, mutation *answer.Object
	root            *thing
	fetches         [][]string // names that batches were fetched for
	asked, opened   []string
	open            []string
	known           map[string]bool
}

func (h *house) Schema() *ast.Schema { return h.schema }

func (h *house) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (h *house) Exec(ctx context.Context) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
		return answer.Execute(ctx, h, h.mutation)
	}
	return answer.Execute(ctx, h, h.query)
}

func text(of func(*thing) string) func(*bytes.Buffer, any) bool {
	return func(w *bytes.Buffer, v any) bool {
		s := of(v.(*thing)) //nolint:forcetypeassert // ours
		if s != "" {
			answer.String(w, s)
		}
		return s != ""
	}
}

// each is a list of things; some may be nil.
func each(elem *answer.Type, nonNull bool) *answer.Type {
	return &answer.Type{
		NonNull: nonNull, Elem: elem,
		Len: func(list any) int { return len(list.([]*thing)) },
		At: func(list any, i int) any {
			if t := list.([]*thing)[i]; t != nil {
				return t
			}
			return nil
		},
	}
}

func newHouse(t *testing.T, root *thing) *house {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: sdl})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{schema: schema, root: root, known: map[string]bool{}}
	h.door = &answer.Object{Name: "Door", Satisfies: []string{"Door", "Named", "Titled"}}
	h.site = &answer.Object{Name: "Site", Satisfies: []string{"Site", "Named"}}
	named := &answer.Type{Concrete: func(v any) (*answer.Object, any) { return h.door, v }}
	door, site, str := &answer.Type{Object: h.door}, &answer.Type{Object: h.site}, &answer.Type{}
	firmDoor := &answer.Type{Object: h.door, NonNull: true}
	name := &answer.Field{Type: str, Leaf: text(func(t *thing) string { return t.name })}
	must := &answer.Field{
		Type: &answer.Type{NonNull: true}, Leaf: text(func(t *thing) string { return t.must }),
	}
	of := func(t *answer.Type) *answer.Field {
		return &answer.Field{Type: t, Part: func(v any) any { return v.(*thing).of }}
	}
	h.door.Fields = map[string]*answer.Field{
		"name": name, "must": must, "doors": of(each(door, false)), "firm": of(each(firmDoor, false)),
		"site": {Type: site, Resolve: h.batched},
		"twin": {Type: door, Resolve: h.twin, Args: func(
			_ context.Context, _ any, given map[string]any,
		) (map[string]any, error) {
			if given["of"] == nil {
				return nil, errors.New("of what")
			}
			return given, nil
		}},
	}
	h.site.Fields = map[string]*answer.Field{
		"name": name, "must": must, "doors": of(each(firmDoor, true)),
		"any": {Type: named, Resolve: h.twin},
	}
	give := func(context.Context, any, any, *graphql.FieldContext) (any, error) { return h.root, nil }
	h.query = &answer.Object{Name: "Query", Satisfies: []string{"Query"}, Fields: map[string]*answer.Field{
		"door": {Type: door, Resolve: give},
		"site": {Type: &answer.Type{Object: h.site, NonNull: true}, Resolve: give},
	}}
	h.mutation = &answer.Object{Name: "Mutation", Satisfies: []string{"Mutation"},
		Fields: map[string]*answer.Field{"open": {Type: door, Resolve: h.opens}}}
	return h
}

// batched is a site by the name of its door, fetched with those that are asked for meanwhile.
func (h *house) batched(ctx context.Context, _, v any, _ *graphql.FieldContext) (any, error) {
	of := v.(*thing) //nolint:forcetypeassert // ours
	if !h.known[of.name] {
		if len(h.open) == 0 {
			_ = answer.Later(ctx, func() {
				h.fetches = append(h.fetches, h.open)
				for _, name := range h.open {
					h.known[name] = true
				}
				h.open = nil
			})
		}
		h.open = append(h.open, of.name)
		return nil, fmt.Errorf("site of %s: %w", of.name, answer.ErrLater)
	}
	return &thing{name: "site of " + of.name}, nil
}

func (h *house) twin(_ context.Context, _, v any, fc *graphql.FieldContext) (any, error) {
	of := v.(*thing) //nolint:forcetypeassert // ours
	if of.name == "panics" {
		panic("no twin")
	}
	h.asked = append(h.asked, fc.Path().String())
	return of, of.err
}

func (h *house) opens(ctx context.Context, _, _ any, fc *graphql.FieldContext) (any, error) {
	if answer.Later(ctx, nil) != nil {
		return nil, errors.New("a mutation would be asked twice")
	}
	h.opened = append(h.opened, fc.Path().String())
	return &thing{name: fc.Field.Alias}, nil
}

// ask returns the answer and, one a line, the errors with their paths.
func (h *house) ask(t *testing.T, document string) (data, faults string) {
	t.Helper()
	e := executor.New(h)
	ctx := graphql.StartOperationTrace(t.Context())
	op, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: document})
	if errs != nil {
		t.Fatal(errs)
	}
	respond, ctx := e.DispatchOperation(ctx, op)
	response := respond(ctx)
	if !json.Valid(response.Data) {
		t.Errorf("no JSON: %s", response.Data)
	}
	if respond(ctx) != nil {
		t.Error("it answers twice")
	}
	lines := make([]string, len(response.Errors))
	for i, err := range response.Errors {
		lines[i] = err.Path.String() + ": " + err.Message
	}
	return string(response.Data), strings.Join(lines, "\n")
}

func door(name string, of ...*thing) *thing { return &thing{name: name, must: "is", of: of} }

func TestAnswers(t *testing.T) {
	t.Parallel()
	const null = "the value is null, which the schema does not allow"
	broken := &thing{name: "broken", must: "is", err: errors.New("no answer")}
	for _, c := range []struct {
		name, document, data, faults string
		root                         *thing
	}{
		{"fields, once each, in order", `{ door { b: name a: name ...x name b: name } } fragment x on Named { name }`,
			`{"door":{"b":"Gate","a":"Gate","name":"Gate"}}`, "", door("Gate")},
		{"fields by way of an interface", `{ site { any { ... on Named { name } ... on Door { name must } } } }`,
			`{"site":{"any":{"name":"Gate","must":"is"}}}`, "", door("Gate")},
		{"fields by way of two", `{ site { any { ... on Named { name } ... on Titled { name } } } }`,
			`{"site":{"any":{"name":"Gate"}}}`, "", door("Gate")},
		{"types", `{ __typename door { __typename } site { any { __typename } } }`,
			`{"__typename":"Query","door":{"__typename":"Door"},"site":{"any":{"__typename":"Door"}}}`,
			"", door("Gate")},
		{"left out", `{ door { name @skip(if: true) must @include(if: true) } }`,
			`{"door":{"must":"is"}}`, "", door("Gate")},
		{"text that needs care", `{ door { name } }`,
			`{"door":{"name":"a\"\\\n\t\r\u0001é"}}`, "", door("a\"\\\n\t\r\x01é")},
		{"an error is null", `{ door { twin(of: 1) { name } name } }`,
			`{"door":{"twin":null,"name":"broken"}}`, "door.twin: no answer", broken},
		{"so is a panic", `{ door { twin(of: 1) { name } name } }`,
			`{"door":{"twin":null,"name":"panics"}}`, "door.twin: internal system error", door("panics")},
		{"so are arguments at fault, in each place", `{ door { doors { twin { name } } } }`,
			`{"door":{"doors":[{"twin":null},{"twin":null}]}}`,
			"door.doors[0].twin: of what\ndoor.doors[1].twin: of what", door("", door("a"), door("b"))},
		{"null takes along what must not be", `{ door { name doors { name must } } }`,
			`{"door":{"name":"a","doors":[{"name":"b","must":"is"},null,null]}}`,
			"door.doors[1].must: " + null, door("a", door("b"), &thing{name: "c"}, nil)},
		{"up to a list", `{ door { name firm { must } } }`, `{"door":{"name":"a","firm":null}}`,
			"door.firm[1].must: " + null, door("a", door("b"), &thing{name: "c"})},
		{"an item that must not be null", `{ door { name firm { must } } }`, `{"door":{"name":"a","firm":null}}`,
			"door.firm[1]: " + null, door("a", door("b"), nil)},
		{"up to the root", `{ site { doors { must } } }`, `null`,
			"site.doors[0].must: " + null, door("a", &thing{})},
		{"below resolvers too", `{ site { doors { must twin(of: 1) { must } } } }`, `null`,
			"site.doors[0].must: " + null, &thing{of: []*thing{{name: "x"}}}},
		{"no items", `{ door { firm { name } doors { twin(of: 1) { name } } } }`,
			`{"door":{"firm":[],"doors":[]}}`, "", door("a")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data, faults := newHouse(t, c.root).ask(t, c.document)
			if data != c.data {
				t.Errorf("answers\n%s, not\n%s", data, c.data)
			}
			if faults != c.faults {
				t.Errorf("faults are\n%s, not\n%s", faults, c.faults)
			}
		})
	}
}

// TestBatches: what can be asked for together is, at every depth, and whatever lies between.
func TestBatches(t *testing.T) {
	t.Parallel()
	h := newHouse(t, door("a", door("b", door("c")), door("d", door("e"), door("f"))))
	data, faults := h.ask(t, `{ door { site { name } doors { site { name } doors { name site { name } } } } }`)
	if faults != "" || !strings.Contains(data, `{"name":"f","site":{"name":"site of f"}}`) {
		t.Errorf("answers %s, %s", data, faults)
	}
	if len(h.fetches) != 1 || len(h.fetches[0]) != 6 {
		t.Errorf("fetches %v", h.fetches)
	}
}

// TestMutationsAreExecutedInTurn: and each once, though what they return waits for batches.
func TestMutationsAreExecutedInTurn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	data, faults := h.ask(t, `mutation { a: open(n: 1) { site { name } } b: open(n: 2) { name site { name } } }`)
	if data != `{"a":{"site":{"name":"site of a"}},"b":{"name":"b","site":{"name":"site of b"}}}` || faults != "" {
		t.Errorf("answers %s, %s", data, faults)
	}
	if !slices.Equal(h.opened, []string{"a", "b"}) || len(h.fetches) != 2 {
		t.Errorf("opened %v, fetches %v", h.opened, h.fetches)
	}
}
