package graph_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/typeid"
)

// matrix is two organizations with everything in them, and everybody who may ask: every field of the
// schema, for each of them, shows and does what access.Permissions says and nothing else. Its rows
// are in matrix_rows_test.go.
type matrix struct {
	*world
	schema *ast.Schema
	a, b   *realm
	count  int
	things map[string]*thing   // of both, by identifier
	marks  map[string][]*thing // by the text that they have

	inputs sync.Mutex
	made   map[string]vars // what mutations are given
	faults sync.Map        // that were reported
}

// thing is a row of the database with an identifier.
type thing struct {
	*realm
	kind, id string
	at       []typeid.Site
	of       []typeid.User
}

// caller is somebody who asks.
type caller struct {
	name string
	person
	*realm
	by    actor.Actor
	user  typeid.User
	reach map[access.Action]access.Reach // none: they may not
	dead  bool                           // they are nobody any more
}

// TestMatrix is the proof of isolation.
func TestMatrix(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	t.Run("complete", m.isComplete)
	t.Run("inputs", m.inputsSetNothingElse)
	before := m.a.rows(t)
	t.Run("reads", func(t *testing.T) {
		for _, c := range m.callers() {
			t.Run(c.name, func(t *testing.T) { t.Parallel(); m.reads(t, c) })
		}
	})
	t.Run("refusals", func(t *testing.T) {
		for _, c := range m.callers() {
			t.Run(c.name, func(t *testing.T) { t.Parallel(); m.refuses(t, c) })
		}
		t.Run("indistinguishable", func(t *testing.T) { t.Parallel(); m.strangersLearnNothing(t) })
	})
	m.a.unchanged(t, before)
	t.Run("scopes", m.scopes)
	before = m.a.rows(t)
	t.Run("an owner may", m.ownersMay)
	m.a.unchanged(t, before)
	t.Run("orders", m.ordersAreRejected)
	t.Run("live", m.live)
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{world: setup(t), schema: generated.NewExecutableSchema(generated.Config{}).Schema(),
		things: map[string]*thing{}, marks: map[string][]*thing{}, made: map[string]vars{}}
	by, _ := actor.FromContext(m.stranger.ctx)
	m.b = m.realm(m.stranger, by.Organization)
	m.a = m.realm(m.admin, m.org)
	return m
}

// callers are everybody who may ask for what is of the organization a.
func (m *matrix) callers() []caller {
	a := m.a
	all := []caller{
		m.caller("stranger", m.b, m.b.owner), m.caller("owner", a, a.owner),
		m.caller("admin", a, a.admin), m.caller("manager", a, a.manager),
		m.caller("manager of nothing", a, a.idle), m.caller("auditor", a, a.auditor),
		m.caller("member with a key", a, a.holder), m.caller("member", a, a.member),
		m.caller("guest", a, a.guest), m.caller("token without scope", a, a.bare),
		m.caller("token of a site", a, a.confined), m.caller("application of a member", a, a.voice),
	}
	for name, p := range map[string]person{
		"expired": a.expired, "revoked": a.revoked, "suspended": a.suspended, "nobody": {},
	} {
		all = append(all, caller{name: name, person: p, realm: a, dead: true})
	}
	device := actor.Device(a.org, a.here.device.ID)
	return append(all, caller{name: "device", realm: a, by: device, dead: true,
		person: person{ctx: actor.NewContext(m.t.Context(), device)}})
}

func (m *matrix) caller(name string, e *realm, p person) caller {
	by := done(m.access.Authenticate(m.t.Context(), p.secret))
	c := caller{name: name, realm: e, person: p, by: by, user: by.User,
		reach: map[access.Action]access.Reach{"": access.ReachAll}}
	for _, allowed := range access.Permissions(actor.NewContext(m.t.Context(), by)) {
		c.reach[access.Action(allowed.Action)] = allowed.Reach
	}
	return c
}

// sees says whether somebody may see a thing, by the plain words of the policy.
func (c caller) sees(t *thing) bool {
	here := slices.ContainsFunc(t.at, func(s typeid.Site) bool { return slices.Contains(c.by.Sites, s) })
	mine := slices.Contains(t.of, c.user)
	reached := c.reach[kinds[t.kind].action]
	switch {
	case t.realm != c.realm || c.dead || reached == "":
		return false
	case reached == access.ReachAll:
		return true
	case reached == access.ReachSites && here:
		return true
	case c.by.Confined && (reached == access.ReachSites || len(t.at) > 0 && !here):
		return false
	}
	return mine
}

// things of a kind that are an realm's, in the order of their identifiers.
func (e *realm) of(kind string) (found []*thing) {
	for _, t := range e.things {
		if t.kind == kind {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *thing) int { return strings.Compare(a.id, b.id) })
	return found
}

var (
	mark       = regexp.MustCompile(`q\d{5}q`)
	identifier = regexp.MustCompile(`\b[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}\b`)
)

// load learns what there is in the organization, and where each text is.
func (e *realm) load() {
	e.t.Helper()
	e.things = map[string]*thing{}
	for name, k := range kinds {
		if k.table == "" {
			continue
		}
		org := "r.org_id"
		if name == "Organization" {
			org = "r.id"
		}
		query := `SELECT r.id::text, to_jsonb(r)::text,
			array_remove(ARRAY[` + k.at + `]::uuid[], NULL), array_remove(ARRAY[` + k.of + `]::uuid[], NULL)
			FROM ` + k.table + ` r WHERE ` + org + ` = $1`
		e.each(e.t, query, []any{e.org}, func(rows *sql.Rows) {
			one, text := &thing{realm: e, kind: name}, ""
			must(e.t, rows.Scan(&one.id, &text, pq.Array(&one.at), pq.Array(&one.of)))
			one.id = k.named(one.id)
			one.at, one.of = append(one.at, e.at[one.id]...), append(one.of, e.own[one.id]...)
			e.things[one.id], e.matrix.things[one.id] = one, one
			for _, text := range mark.FindAllString(text, -1) {
				e.marks[text] = append(e.marks[text], one)
			}
		})
	}
	e.each(e.t, `SELECT id::text, data->>'lockdownId' FROM events WHERE org_id = $1 AND type LIKE 'lockdown.%'
		AND type <> 'lockdown.door_unreached'`, []any{e.org}, func(rows *sql.Rows) {
		var id, of string
		must(e.t, rows.Scan(&id, &of))
		told := e.things[kinds["Event"].named(id)]
		told.at = append(told.at, e.at[of]...) // an event of a lockdown is wherever that is
	})
}

// everywhere is the context of a system actor over all organizations: what a test does past the rule
// has one too, or Postgres shows it no row.
func everywhere(t *testing.T) context.Context {
	t.Helper()
	return actor.NewContext(t.Context(), actor.System("test"))
}

// each reads rows, past the rule.
func (m *matrix) each(t *testing.T, query string, arguments []any, scan func(*sql.Rows)) {
	t.Helper()
	rows, err := m.pool.QueryContext(everywhere(t), query, arguments...)
	must(t, err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		scan(rows)
	}
	must(t, rows.Err())
}

// asks sends an operation as somebody.
func (m *matrix) asks(t *testing.T, c caller, query string, variables vars) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	must(t, err)
	ctx := context.Background()
	if c.secret == "" && c.ctx != nil {
		ctx = c.ctx
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if c.secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.secret)
	}
	recorder := httptest.NewRecorder()
	m.serve(recorder, r)
	a := answer{t: t, status: recorder.Code, header: recorder.Header(), raw: recorder.Body.Bytes()}
	if err := json.Unmarshal(a.raw, &a); err != nil && a.status == http.StatusOK {
		t.Fatalf("not JSON: %s", a.raw)
	}
	return a
}

// inspect fails if an answer has anything that its caller may not see, and returns the nouns in it.
func (m *matrix) inspect(t *testing.T, c caller, what string, a answer) map[string]bool {
	t.Helper()
	i := &inspection{matrix: m, t: t, caller: c, what: what, found: map[string]bool{}}
	i.look(a.Data, "", nil)
	i.text(string(a.raw), "", nil, true) // errors, too
	return i.found
}

type inspection struct {
	*matrix
	caller
	t     *testing.T
	what  string
	found map[string]bool
}

// look walks through what a field returned. Shown is what it may show beyond what the caller sees.
func (i *inspection) look(v any, field string, shown *thing) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			i.look(item, field, shown)
		}
	case map[string]any:
		is, _ := v["__typename"].(string)
		if kinds[is].table != "" {
			shown = i.noun(v, is, field, shown)
		}
		for key, item := range v {
			if is != "" && !strings.HasSuffix(is, "Connection") && !strings.HasSuffix(is, "Edge") {
				name, _, _ := strings.Cut(key, "_") // see edges
				field = is + "." + name
			}
			i.look(item, field, shown)
		}
	case string:
		i.text(v, field, shown, false)
	}
}

// fails reports each fault once.
func (i *inspection) fails(format string, arguments ...any) {
	i.t.Helper()
	fault := fmt.Sprintf(format, arguments...)
	if _, known := i.faults.LoadOrStore(fault, true); !known {
		i.t.Error(fault)
	}
}

func (i *inspection) noun(v map[string]any, is, field string, shown *thing) *thing {
	id, named := v["id"].(string)
	one := i.matrix.things[id]
	switch {
	case !named:
		return shown
	case one == nil:
		i.fails("%s: %s is unknown, at %s", i.what, id, field)
		return shown
	case one.kind != is:
		i.fails("%s: %s is a %s, at %s", i.what, id, is, field)
	}
	i.found[id] = true
	if may := shows[field]; may != nil && may(i.caller.realm, i.caller, one) {
		return one
	}
	return shown
}

// text fails if identifiers or marks in it are of what the caller may not see.
func (i *inspection) text(text, field string, shown *thing, raw bool) {
	if !raw && !references[field] {
		for _, id := range identifier.FindAllString(text, -1) {
			if one := i.matrix.things[id]; one != nil && one != shown && !i.sees(one) {
				i.fails("%s: %s learns of %s %s, at %s", i.what, i.caller.name, one.kind, id, field)
			}
		}
	}
	for _, text := range mark.FindAllString(text, -1) {
		owners := i.marks[text]
		if len(owners) > 0 && !slices.ContainsFunc(owners, func(one *thing) bool {
			return one == shown || i.sees(one) || raw && i.shownAnywhere(one)
		}) {
			i.fails("%s: %s learns the text of %s %s, at %s", i.what, i.caller.name, owners[0].kind,
				owners[0].id, field)
		}
	}
}

func (i *inspection) shownAnywhere(one *thing) bool {
	for _, may := range shows {
		if may(i.caller.realm, i.caller, one) {
			return true
		}
	}
	return false
}
