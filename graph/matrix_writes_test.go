package graph_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
)

// volatile are the columns that asking changes: when somebody was last heard of.
const volatile = `'last_used_at' - 'last_used_address' - 'known_addresses' - 'last_seen_at' - 'updated_at'`

// rows is all that the database has of the organization, and all that is of none, as text.
func (e *realm) rows(t *testing.T) map[string]bool {
	t.Helper()
	const tables = `SELECT t.table_name::text, EXISTS (
			SELECT FROM information_schema.columns c WHERE c.table_name = t.table_name
				AND c.table_schema = t.table_schema AND c.column_name = 'org_id')
		FROM information_schema.tables t WHERE t.table_schema = 'public' AND table_type = 'BASE TABLE'`
	owned := map[string]bool{}
	e.each(t, tables, nil, func(rows *sql.Rows) {
		var name string
		var is bool
		must(t, rows.Scan(&name, &is))
		owned[name] = is
	})
	all := map[string]bool{}
	for name, is := range owned {
		which, arguments := "", []any{e.org}
		switch {
		case is:
			which = " WHERE r.org_id = $1"
		case name == "organizations":
			which = " WHERE r.id = $1"
		default:
			arguments = nil
		}
		e.each(t, "SELECT (to_jsonb(r) - "+volatile+")::text FROM "+name+" r"+which, arguments,
			func(rows *sql.Rows) {
				var text string
				must(t, rows.Scan(&text))
				all[name+": "+text] = true
			})
	}
	return all
}

// unchanged fails with each row that is not as it was.
func (e *realm) unchanged(t *testing.T, before map[string]bool) {
	t.Helper()
	after := e.rows(t)
	for row := range before {
		if !after[row] {
			t.Errorf("an effect: gone is %s", row)
		}
	}
	for row := range after {
		if !before[row] {
			t.Errorf("an effect: there is %s", row)
		}
	}
}

// mutation is a document with one mutation of a row.
func (m *matrix) mutation(r row) string {
	f := m.schema.Mutation.Fields.ForName(r.name)
	return operation("mutation", f, vars{"input": nil}, "{ __typename }")
}

// orders are the rows that record who may not: refused, there is a command that says so.
func orders(r row) bool { return r.action == access.CommandDoors }

// refuses tries every mutation on what is keeper's and at the site there, as somebody who does not
// reach that.
func (m *matrix) refuses(t *testing.T, c caller) {
	t.Helper()
	for _, r := range mutations {
		if c.realm == m.a && (c.reach[r.action] == access.ReachAll || orders(r)) {
			continue
		}
		a := m.asks(t, c, m.mutation(r), vars{"input": m.given(m.a, r)})
		m.inspect(t, c, "mutation "+r.name, a)
		if c.dead {
			m.isNobody(t, c, a)
			continue
		}
		nothing := c.reach[r.action] == ""
		if len(a.Errors) == 0 || !a.has("FORBIDDEN") && (nothing || !a.has("NOT_FOUND")) {
			if c.realm == m.a || identifier.MatchString(fmt.Sprint(m.given(m.a, r))) {
				t.Errorf("mutation %s as %s: %s", r.name, c.name, a.raw)
			}
		}
	}
	m.previewsNothing(t, c)
	if !c.dead && c.realm == m.a {
		m.stays(t, c)
	}
}

// previews ask what a mutation would do, where one can.
const (
	impactOf = `query($change: AccessChangeInput!) { impact(change: $change) { doorsAffected } }`
	replayOf = `query($change: AccessChangeInput!) { policyReplay(change: $change,
		from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z") { examined nodes { __typename } } }`
)

// previewsNothing asks what mutations would do that the caller may not make.
func (m *matrix) previewsNothing(t *testing.T, c caller) {
	t.Helper()
	for _, r := range mutations {
		if m.schema.Types["AccessChangeInput"].Fields.ForName(r.name) == nil ||
			c.realm == m.a && c.reach[r.action] == access.ReachAll {
			continue
		}
		for _, document := range []string{impactOf, replayOf} {
			a := m.asks(t, c, document, vars{"change": vars{r.name: m.given(m.a, r)}})
			m.inspect(t, c, "impact of "+r.name, a)
			if c.dead {
				m.isNobody(t, c, a)
			} else if !a.has("FORBIDDEN") && !a.has("NOT_FOUND") {
				t.Errorf("impact of %s as %s: %s", r.name, c.name, a.raw)
			}
		}
	}
}

// given is the input of a row, made once: names are not given twice.
func (m *matrix) given(e *realm, r row) vars {
	key := fmt.Sprint(e.org, r.name, r.action)
	m.inputs.Lock()
	defer m.inputs.Unlock()
	if m.made[key] == nil {
		m.made[key] = r.given(e)
	}
	return m.made[key]
}

// stays tries to become more than one is.
func (m *matrix) stays(t *testing.T, c caller) {
	t.Helper()
	for _, try := range []struct {
		mutation string
		action   access.Action
		input    vars
	}{
		{"updateUser", access.WriteOwners, vars{"id": c.user, "role": "OWNER"}},
		{"updateUser", access.WriteUsers, vars{"id": c.user, "role": "ADMIN"}},
		{"updateUser", access.WriteUsers,
			vars{"id": c.user, "role": "MANAGER", "siteIds": []any{m.a.there.site.ID}}},
		{"updateUser", access.WriteUsers, vars{"id": c.user, "status": "ACTIVE"}},
		{"createUser", access.WriteOwners, vars{"name": "Deputy", "email": "deputy@example.com", "role": "OWNER"}},
		{"inviteUser", access.WriteOwners, vars{"name": "Deputy", "email": "deputy@example.com", "role": "OWNER"}},
		{"createApiToken", access.WriteOwners, vars{"name": "CI", "userId": m.a.owner.user.ID}},
		{"revokeApiToken", access.WriteOwners, vars{"id": m.a.owner.token.ID}},
		{"rotateApiToken", access.WriteOwners, vars{"id": m.a.owner.token.ID}},
		{"createApplication", access.WriteOwners, vars{"name": "Voice", "type": "CONFIDENTIAL",
			"redirectUris": []any{}, "scopes": []any{"DOORS_READ"}, "actsForId": m.a.owner.user.ID}},
		{"endOtherSessions", access.WriteOwners, vars{"userId": m.a.owner.user.ID}},
		{"deleteUser", access.WriteOwners, vars{"id": m.a.owner.user.ID}},
		{"eraseUser", access.WriteOwners, vars{"id": m.a.owner.user.ID, "name": m.a.owner.user.Name}},
		{"grantKey", access.WriteKeys, vars{"userId": c.user, "siteId": m.a.there.site.ID}},
		{"addUserGroupMembers", access.WriteGroups,
			vars{"userGroupId": m.a.spareCrew.ID, "userIds": []any{c.user}}},
	} {
		if c.reach[try.action] == access.ReachAll || try.action == access.WriteOwners && c.user == m.a.owner.user.ID {
			continue
		}
		a := m.asks(t, c, m.mutation(row{name: try.mutation}), vars{"input": try.input})
		if len(a.Errors) == 0 || !a.has("FORBIDDEN") && !a.has("NOT_FOUND") {
			t.Errorf("%s of %s with %v: %s", try.mutation, c.name, try.input, a.raw)
		}
	}
}

// ownersMay does as the owner of the other organization, one after the other, what nobody may above:
// so those were refused for who they are.
func (m *matrix) ownersMay(t *testing.T) {
	owner := m.caller("owner", m.b, m.b.owner)
	for _, r := range mutations {
		a := m.asks(t, owner, m.mutation(r), vars{"input": m.given(m.b, r)})
		if len(a.Errors) > 0 {
			t.Errorf("mutation %s: %s", r.name, a.raw)
		}
	}
}

// ordersAreRejected asks doors to open as everybody without a key. It is recorded, and nothing else.
func (m *matrix) ordersAreRejected(t *testing.T) {
	doors := func() map[string]bool {
		all := m.a.rows(t)
		maps.DeleteFunc(all, func(row string, _ bool) bool { return !strings.HasPrefix(row, "doors: ") })
		return all
	}
	before := doors()
	for _, c := range m.callers() {
		for _, r := range slices.DeleteFunc(slices.Clone(mutations), func(r row) bool { return !orders(r) }) {
			f := m.schema.Mutation.Fields.ForName(r.name)
			a := m.asks(t, c, operation("mutation", f, vars{"input": nil},
				"{ command { stage door { __typename id } } }"), vars{"input": m.given(m.a, r)})
			m.inspect(t, c, r.name, a)
			switch {
			case c.dead:
				m.isNobody(t, c, a)
			case c.realm != m.a:
				a.refused("NOT_FOUND doorId")
			case c.reach[r.action] == "":
				forbidden(t, r.name, c, a)
			case len(a.Errors) == 0:
				equal(t, a.text(r.name+".command.stage"), "REJECTED")
			case !a.has("NOT_FOUND"):
				t.Errorf("%s by %s: %s", r.name, c.name, a.raw)
			}
		}
	}
	for row := range doors() {
		if !before[row] {
			t.Errorf("an effect: %s", row)
		}
	}
}

var request = regexp.MustCompile(`"requestId":"[^"]*"`)

// alike is an answer without what differs between any two: identifiers and the request's number.
func alike(a answer) string {
	text := identifier.ReplaceAllString(string(a.raw), "ID")
	return fmt.Sprint(a.status, " ", request.ReplaceAllString(text, ""))
}

// strangersLearnNothing names what is of the organization to everything that takes an identifier, and
// then the same with identifiers that nobody has: the answers are equal, byte for byte.
func (m *matrix) strangersLearnNothing(t *testing.T) {
	t.Helper()
	c := m.caller("stranger", m.b, m.b.owner)
	for _, q := range queries {
		f := m.schema.Query.Fields.ForName(q.name)
		if q.given != nil {
			m.cannotTell(t, c, operation("query", f, q.given(m.a), m.body(c, f, 1)), q.given(m.b), q.given(m.a))
		}
		for _, variant := range m.variants(f) {
			if !isList(f) || !identifier.MatchString(variant) {
				continue
			}
			text := func(v string) string { return "{ " + f.Name + "(" + v + ") { nodes { __typename id } } }" }
			named, fresh := m.asks(t, c, text(variant), nil), m.asks(t, c, text(renewed(variant)), nil)
			if alike(named) != alike(fresh) {
				t.Errorf("a stranger can tell %s: %s is not %s", variant, named.raw, fresh.raw)
			}
		}
	}
	for _, r := range mutations {
		input := func(e *realm) vars { return vars{"input": map[string]any(m.given(e, r))} }
		m.cannotTell(t, c, m.mutation(r), input(m.b), input(m.a))
		if m.schema.Types["AccessChangeInput"].Fields.ForName(r.name) != nil {
			change := func(e *realm) vars { return vars{"change": vars{r.name: m.given(e, r)}} }
			m.cannotTell(t, c, impactOf, change(m.b), change(m.a))
		}
	}
}

// cannotTell asks with all identifiers of the organization, and then with each of them alone among
// those of the stranger's own.
func (m *matrix) cannotTell(t *testing.T, c caller, document string, own, theirs vars) {
	t.Helper()
	mine, foreign := texts(own), texts(theirs)
	tries := [][]string{foreign}
	for i := range foreign {
		mixed := slices.Clone(mine)
		mixed[i] = foreign[i]
		tries = append(tries, mixed)
	}
	for n, ids := range tries {
		if len(foreign) == 0 || n > 0 && len(foreign) == 1 {
			continue
		}
		other := slices.Clone(ids)
		for i := range other {
			if ids[i] == foreign[i] {
				other[i] = renewed(ids[i])
			}
		}
		named := m.asks(t, c, document, with(theirs, ids))
		fresh := m.asks(t, c, document, with(theirs, other))
		m.inspect(t, c, document, named)
		if alike(named) != alike(fresh) {
			t.Errorf("a stranger can tell with %s of %s:\n%s\n%s", document, ids, named.raw, fresh.raw)
		}
	}
}

// renewed is a text with all identifiers in it exchanged for some that nobody has.
func renewed(text string) string {
	return identifier.ReplaceAllStringFunc(text, func(id string) string {
		for _, k := range kinds {
			if k.fresh != nil && strings.HasPrefix(k.fresh(), id[:len(id)-26]) {
				return k.fresh()
			}
		}
		panic("kinds: nothing has the prefix of " + id)
	})
}

// texts are the identifiers in variables, in a fixed order.
func texts(v vars) []string { return identifier.FindAllString(text(v), -1) }

// with is variables with other identifiers, in the same order.
func with(v vars, ids []string) (changed vars) {
	i := -1
	renamed := identifier.ReplaceAllStringFunc(text(v), func(string) string { i++; return ids[i] })
	if err := json.Unmarshal([]byte(renamed), &changed); err != nil {
		panic(err)
	}
	return changed
}

func text(v vars) string { return string(done(json.Marshal(v))) }
