package graph_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestFieldsAloneAreAsWithAll asks for each field of what is read by columns by itself, and finds what is
// found when all are asked for.
func TestFieldsAloneAreAsWithAll(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.fill(site, 2)
	for _, c := range []struct{ noun, query string }{
		{"Event", `{ auditLog(first: 20) { nodes { %s } } }`},
		{"Event", `{ auditLog(first: 20) { edges { node { %s } } } }`},
		{"Event", `query($s: ID!) { at: site(id: $s) { doors(first: 2) { nodes {
			events(first: 9) { nodes { %s } } } } } }`},
		{"Door", `query($s: ID!) { at: site(id: $s) { doors(first: 2) { nodes { %s } } } }`},
		{"User", `{ auditLog(first: 20) { nodes { user { %s } } } }`},
	} {
		fields := w.fields(c.noun)
		if len(fields) < 5 {
			t.Fatalf("%s has the fields %v", c.noun, fields)
		}
		ask := func(what string) any {
			return w.ask(w.admin, fmt.Sprintf(c.query, what), vars{"s": site.ID}).ok().Data
		}
		all := ask(strings.Join(fields, " "))
		for _, field := range fields {
			name, _, _ := strings.Cut(field, " ")
			want, got := valuesOf(all, name), valuesOf(ask(field), name)
			if len(want) == 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%s.%s alone is %v, with all %v", c.noun, name, got, want)
			}
		}
	}
}

// fields are those of a type that take no arguments.
func (w *world) fields(noun string) (fields []string) {
	w.t.Helper()
	of := w.ask(w.admin, `query($n: String!) { __type(name: $n) { fields {
		name args { name } type { kind ofType { kind } } } } }`, vars{"n": noun}).ok().at("__type.fields")
	for _, f := range of.([]any) {
		if len(dig(w.t, f, "args").([]any)) > 0 {
			continue
		}
		name, kind := dig(w.t, f, "name").(string), dig(w.t, f, "type.kind").(string)
		if kind == "NON_NULL" {
			kind = dig(w.t, f, "type.ofType.kind").(string)
		}
		switch kind {
		case "SCALAR", "ENUM":
			fields = append(fields, name)
		case "OBJECT":
			fields = append(fields, name+" { __typename }")
		}
	}
	return fields
}

// valuesOf are those that some data has under a name, wherever.
func valuesOf(data any, name string) (all []any) {
	switch data := data.(type) {
	case []any:
		for _, item := range data {
			all = append(all, valuesOf(item, name)...)
		}
	case map[string]any:
		for key, value := range data {
			if key == name {
				all = append(all, value)
			} else {
				all = append(all, valuesOf(value, name)...)
			}
		}
	}
	return all
}

// TestFragmentsAreReadForEachPlace: what a fragment asks for may stand beside more in one place than in
// another.
func TestFragmentsAreReadForEachPlace(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	w.key(w.admin, w.member.user, gate)
	list := w.ask(w.admin, `query($d: ID!) {
		few: door(id: $d) { ...d } more: door(id: $d) { ...d events { nodes { severity data user { status } } } } }
		fragment d on Door { events { nodes { type user { name } } } }`, vars{"d": gate.ID}).ok()
	equal(t, list.text("few.events.nodes.0.user.name"), "Night shift")
	if list.text("more.events.nodes.0.severity") == "" {
		t.Error("the event has no severity")
	}
	equal(t, list.text("more.events.nodes.0.user.status"), "ACTIVE")
	if list.at("more.events.nodes.0.data") == nil {
		t.Error("the event has no data")
	}
}

// TestViewersDoNotShare has many ask for the same at the same time, of whom some may not see it.
func TestViewersDoNotShare(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	var all sync.WaitGroup
	for p, want := range map[person]string{w.admin: `"door":{"name":"Gate"}`, w.stranger: `"door":null`} {
		for range 4 {
			all.Go(func() {
				for range 25 {
					a := w.asActor(p, `query($d: ID!) { door(id: $d) { name } }`, vars{"d": gate.ID})
					if !strings.Contains(string(a.raw), want) {
						t.Errorf("not %s: %s", want, a.raw)
					}
				}
			})
		}
	}
	all.Wait()
}
