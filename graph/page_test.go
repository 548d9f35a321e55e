package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pageOf reads a page of doors: names, cursors and whether there is more.
type pageOf struct {
	names          []string
	start, end     string
	next, previous bool
}

func (w *world) page(t interface{ Fatalf(string, ...any) }, arguments string) pageOf {
	a := w.ask(w.admin, `{ doors(`+arguments+`) { edges { cursor node { name } } nodes { name }
		pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`).ok()
	var p pageOf
	edges := a.at("doors.edges").([]any)
	for i, edge := range edges {
		name := dig(w.t, edge, "node.name").(string)
		p.names = append(p.names, name)
		if dig(w.t, a.at("doors.nodes").([]any)[i], "name") != name {
			t.Fatalf("nodes differ from edges: %s", a.raw)
		}
	}
	p.next = a.at("doors.pageInfo.hasNextPage").(bool)
	p.previous = a.at("doors.pageInfo.hasPreviousPage").(bool)
	p.start, _ = a.at("doors.pageInfo.startCursor").(string)
	p.end, _ = a.at("doors.pageInfo.endCursor").(string)
	return p
}

func TestPagesMeetEveryItemOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const total = 23
	var all []string
	for s := range 2 { // the same names at two sites: the identifier decides
		site := w.site(w.admin, fmt.Sprintf("Site %d", s))
		for i := range total {
			if i%2 == s {
				w.door(w.admin, site, fmt.Sprintf("Door %02d", i/2))
			}
		}
	}
	all = w.page(t, "first: 100").names
	equal(t, len(all), total)
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(1, total+1).Draw(r, "size")
		forward := rapid.Bool().Draw(r, "forward")
		count, cursor := "first", "after"
		if !forward {
			count, cursor = "last", "before"
		}
		var met []string
		arguments := fmt.Sprintf("%s: %d", count, size)
		for {
			p := w.page(r, arguments)
			more, behind, at := p.next, p.previous, p.end
			if forward {
				met = append(met, p.names...)
			} else {
				more, behind, at = p.previous, p.next, p.start
				met = append(append([]string{}, p.names...), met...)
			}
			if behind != strings.Contains(arguments, cursor) {
				r.Fatalf("page after a cursor says that nothing is behind it")
			}
			if !more {
				break
			}
			if len(p.names) != size {
				r.Fatalf("page of %d has %d items", size, len(p.names))
			}
			arguments = fmt.Sprintf(`%s: %d, %s: %q`, count, size, cursor, at)
		}
		if strings.Join(met, ";") != strings.Join(all, ";") {
			r.Fatalf("met %v of %v", met, all)
		}
	})
}

func TestPageArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	w.door(w.admin, site, "Gate")
	w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	cursor := w.page(t, "first: 1").end
	foreign := w.ask(w.stranger, `{ doors { pageInfo { endCursor } } }`).ok().text("doors.pageInfo.endCursor")
	for arguments, code := range map[string]string{
		`first: 101`:                     "PAGE_TOO_LONG first",
		`first: -1`:                      "BAD_USER_INPUT first",
		`last: 101`:                      "PAGE_TOO_LONG last",
		`first: 1, last: 1`:              "BAD_USER_INPUT last",
		`after: "nonsense"`:              "BAD_USER_INPUT after",
		`after: "` + foreign + `"`:       "BAD_USER_INPUT after",
		`before: "` + cursor[1:] + `"`:   "BAD_USER_INPUT before",
		`after: "` + cursor[:20] + `AA"`: "BAD_USER_INPUT after",
	} {
		w.ask(w.admin, `{ doors(`+arguments+`) { nodes { id } } }`).refused(code)
	}
	w.ask(w.admin, `{ sites(after: "`+cursor+`") { nodes { id } } }`).refused("BAD_USER_INPUT after")
	w.ask(w.admin, `{ site(id: "`+site.ID.String()+`") { doors(first: 200) { nodes { id } } } }`).
		refused("PAGE_TOO_LONG first")
	equal(t, len(w.page(t, "first: 0").names), 0)
}
