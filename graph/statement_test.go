package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
)

// statements returns the fewest that a query took in some tries: on a starved machine a loader's
// batch may be torn in two.
func (w *world) statements(p person, query string, variables vars) []string {
	w.t.Helper()
	var fewest []string
	for try := range 5 {
		sent := w.counter.during(func() { w.asActor(p, query, variables).ok() })
		if try == 0 || len(sent) < len(fewest) {
			fewest = sent
		}
	}
	return fewest
}

// fill makes doors with a device, keys and events each.
func (w *world) fill(site *ent.Site, doors int) {
	w.t.Helper()
	dev := w.device(w.admin, site)
	var made []*ent.Door
	for i := range doors {
		d := w.door(w.admin, site, fmt.Sprintf("Door %03d", i))
		w.bind(w.admin, d, dev, i+1)
		w.key(w.admin, w.member.user, d)
		w.key(w.admin, w.admin.user, d)
		made = append(made, d)
	}
	l := w.connect(w.admin, dev.ID)
	for i := range made {
		for range 3 {
			w.report(l, access.Report{Port: i + 1, Type: "door.opened", Position: "OPEN"})
		}
	}
}

func TestStatementsDoNotGrowWithThePage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.fill(site, 60)
	for name, q := range map[string]struct {
		query string
		most  int
	}{
		"Q1 door with site": {`query($n: Int, $s: ID!) { doors(first: $n, siteId: $s) { nodes {
			name site { name } } } }`, 2},
		"Q2 doors of a site with their last five events": {`query($n: Int, $s: ID!) { site(id: $s) { name
			doors(first: $n) { nodes { name lockState events(first: 5) { nodes { id type occurredAt } } } } } }`, 3},
		"three levels of lists": {`query($n: Int, $s: ID!) { site(id: $s) { doors(first: $n) { nodes {
			keys(first: 3) { nodes { user { name } doors(first: 3) { nodes { name device { name } } } } } } } } }`, 6},
		"edges, actors and commands": {`query($n: Int, $s: ID!) { site(id: $s) { doors(first: $n) { edges { node {
			device { name } events(first: 2) { edges { node {
				actor { name } user { name } site { name } door { name } device { name } } } } } } } } }`, 6},
		"everything of the log": {`query($n: Int, $s: ID!) { a: site(id: $s) { id } auditLog(first: $n) { nodes {
			actor { name user { name } } user { name } key { id } door { name } device { name } } } }`, 8},
	} {
		t.Run(name, func(t *testing.T) {
			few := w.statements(w.admin, q.query, vars{"n": 3, "s": site.ID})
			many := w.statements(w.admin, q.query, vars{"n": 50, "s": site.ID})
			if len(many) > q.most || len(few) > q.most {
				t.Errorf("%d and %d statements, want at most %d:\n%s",
					len(few), len(many), q.most, strings.Join(many, "\n"))
			}
		})
	}
}

// The text of a loader's statement does not depend on how much is loaded, so it is prepared once.
func TestStatementsKeepTheirText(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.fill(site, 8)
	const query = `query($n: Int, $s: ID!) { site(id: $s) { doors(first: 100) { nodes {
		events(first: 5) { nodes { actor { name } } } } } } auditLog(first: $n) { nodes { user { name } } } }`
	few := w.statements(w.admin, query, vars{"n": 99, "s": site.ID})
	w.door(w.admin, site, "One more")
	many := w.statements(w.admin, query, vars{"n": 99, "s": site.ID})
	for _, statement := range many {
		if !strings.Contains(strings.Join(few, "\n"), statement) {
			t.Errorf("another text: %s", statement)
		}
	}
}
