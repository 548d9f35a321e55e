package verdict_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

var (
	noon  = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	guest = typeid.New[typeid.User]()
	host  = typeid.New[typeid.User]()
	gate  = typeid.New[typeid.Door]()
	quay  = typeid.New[typeid.Site]()
	crew  = typeid.New[typeid.UserGroup]()
)

func hours(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }

// facts are those of a guest and a host at a gate, with some keys.
func facts(keys ...verdict.Key) verdict.Facts {
	for i := range keys {
		if keys[i].ID.IsZero() {
			keys[i].ID = typeid.New[typeid.Key]()
		}
		keys[i].Doors = []typeid.Door{gate}
	}
	return verdict.Facts{
		People: []verdict.Person{{ID: guest}, {ID: host}},
		Doors:  []verdict.Door{{ID: gate, Site: quay, Mode: door.ModeCONTROLLED}},
		Keys:   keys,
	}
}

func ask(f verdict.Facts, at time.Time) verdict.Verdict {
	return verdict.Compile(f).Decide(verdict.Question{
		Person: guest, Door: gate, At: at, Manner: verdict.AtDoor,
	})
}

func wantVerdict(t *testing.T, got verdict.Verdict, reason schema.Reason, until time.Time) {
	t.Helper()
	if got.Reason != reason || !got.Until.Equal(until) {
		t.Errorf("got %s until %v, want %s until %v", got.Reason, got.Until, reason, until)
	}
}

// TestRefusalsEnd: what refuses is exact about when another reason takes its place.
func TestRefusalsEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key    verdict.Key
		reason schema.Reason
		until  time.Time
	}{
		"used up, then expired": {
			verdict.Key{User: guest, Limited: true, Until: hours(3)}, "KEY_USED_UP", hours(3)},
		"suspended, then expired": {
			verdict.Key{User: guest, Suspended: true, Until: hours(3)}, "KEY_SUSPENDED", hours(3)},
		"ends before it begins": {
			verdict.Key{User: guest, From: hours(5), Until: hours(3)}, "NOT_YET_VALID", hours(3)},
		"revoked for good": {
			verdict.Key{User: guest, Revoked: true, Until: hours(3)}, "KEY_REVOKED", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts(c.key)
			wantVerdict(t, ask(f, noon), c.reason, c.until)
			if !c.until.IsZero() {
				wantVerdict(t, ask(f, c.until), "EXPIRED", time.Time{})
			}
		})
	}
}

// TestSharerHoldsByManyWays: whoever shared a key of their group may be in it for several times.
func TestSharerHoldsByManyWays(t *testing.T) {
	t.Parallel()
	part := typeid.New[typeid.UserGroup]()
	parent := verdict.Key{ID: typeid.New[typeid.Key](), Group: crew}
	f := facts(parent, verdict.Key{User: guest, Parent: parent.ID, SharedBy: host})
	f.UserParents = map[typeid.UserGroup]typeid.UserGroup{part: crew}
	f.Members = []verdict.Member{
		{Group: crew, User: host, From: hours(-1), Until: hours(1)},
		{Group: part, User: host, From: hours(2), Until: hours(4)},
	}
	wantVerdict(t, ask(f, noon), "GRANTED", hours(1))
	wantVerdict(t, ask(f, hours(1)), "NOT_YET_VALID", hours(2))
	wantVerdict(t, ask(f, hours(2)), "GRANTED", hours(4))
	wantVerdict(t, ask(f, hours(4)), "EXPIRED", time.Time{})
	f.Members = nil // left
	wantVerdict(t, ask(f, noon), "EXPIRED", time.Time{})
	f.People[1].Suspended = true
	wantVerdict(t, ask(f, noon), "KEY_SUSPENDED", time.Time{})
}

// TestClosestKeyIsNamed: of keys that do not grant yet, the one that will first.
func TestClosestKeyIsNamed(t *testing.T) {
	t.Parallel()
	next := verdict.Key{ID: typeid.New[typeid.Key](), User: guest, From: hours(3)}
	later := verdict.Key{ID: typeid.New[typeid.Key](), User: guest, From: hours(30)}
	for _, f := range []verdict.Facts{facts(next, later), facts(later, next)} {
		got := ask(f, noon)
		wantVerdict(t, got, "NOT_YET_VALID", hours(3))
		if got.Key != next.ID {
			t.Error("the later key was named")
		}
	}
}

// TestEqualFactsDecideAlike: in whatever order they were loaded, the same key and groups are named.
func TestEqualFactsDecideAlike(t *testing.T) {
	t.Parallel()
	other := typeid.New[typeid.UserGroup]()
	f := facts(verdict.Key{Group: crew}, verdict.Key{Group: other}, verdict.Key{Group: crew})
	f.Members = []verdict.Member{{Group: crew, User: guest}, {Group: other, User: guest}}
	first := ask(f, noon)
	slices.Reverse(f.Keys)
	slices.Reverse(f.Members)
	if again := ask(f, noon); again != first || first.UserGroup.IsZero() {
		t.Errorf("got %+v, then %+v", first, again)
	}
}

func workdays(t *testing.T, zone string) *schedule.Timetable {
	t.Helper()
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	windows := []schema.Window{
		{Start: "2026-01-05T08:00:00", End: "2026-01-05T12:00:00", Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"},
		{Start: "2026-01-05T13:00:00", End: "2026-01-05T18:00:00", Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"},
	}
	holidays := []schema.Holiday{{Name: "Closed", First: "2026-11-23", Last: "2026-12-11"}}
	return schedule.Compile(windows, holidays, place, noon.AddDate(0, -2, 0), noon.AddDate(1, 0, 0))
}

// TestModeAfterLongHolidays: the mode's end is found behind any number of windows that stay shut.
func TestModeAfterLongHolidays(t *testing.T) {
	t.Parallel()
	f := facts()
	office := typeid.New[typeid.Schedule]()
	f.Timetables = map[verdict.Timing]*schedule.Timetable{{Schedule: office, Site: quay}: workdays(t, "UTC")}
	f.Doors[0].UnlockSchedule = office
	evening := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	again := time.Date(2026, 12, 14, 8, 0, 0, 0, time.UTC)
	if m, _ := verdict.Compile(f).Mode(gate, evening); m.Mode != "CONTROLLED" || !m.Until.Equal(again) {
		t.Errorf("got %+v", m)
	}
	f.Doors[0].FirstPersonIn = true // nobody knows when they come
	if m, _ := verdict.Compile(f).Mode(gate, again); !m.Pending || !m.Until.IsZero() {
		t.Errorf("got %+v", m)
	}
	f.Doors[0].FirstInAt = again.Add(20 * time.Minute)
	if m, _ := verdict.Compile(f).Mode(gate, again); !m.Pending || !m.Until.Equal(f.Doors[0].FirstInAt) {
		t.Errorf("got %+v", m)
	}
	if m, _ := verdict.Compile(f).Mode(typeid.New[typeid.Door](), again); m != (verdict.Mode{}) {
		t.Errorf("a door of elsewhere: %+v", m)
	}
}

// TestFarInstants: no instant overflows.
func TestFarInstants(t *testing.T) {
	t.Parallel()
	far := time.Date(294276, 12, 31, 23, 59, 59, 0, time.UTC) // as far as Postgres goes
	before := time.Date(-4712, 1, 1, 0, 0, 0, 0, time.UTC)
	f := facts(verdict.Key{User: guest, From: before, Until: far})
	for _, at := range []time.Time{
		before, time.Date(1969, 12, 31, 23, 59, 59, 999_999_000, time.UTC), noon,
		time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		wantVerdict(t, ask(f, at), "GRANTED", time.Time{})
	}
	wantVerdict(t, ask(f, before.Add(-time.Microsecond)), "NOT_YET_VALID", before)
	old := time.Date(1931, 2, 3, 4, 5, 6, 7000, time.UTC)
	f = facts(verdict.Key{User: guest, From: old, Until: old.Add(time.Microsecond)})
	wantVerdict(t, ask(f, old.Add(-1)), "NOT_YET_VALID", old)
	wantVerdict(t, ask(f, old.Add(999)), "GRANTED", old.Add(time.Microsecond))
	wantVerdict(t, ask(f, old.Add(1000)), "EXPIRED", time.Time{})
}

// TestPackageIsPure: it reads no clock, no database and no network, and knows nobody who does.
func TestPackageIsPure(t *testing.T) {
	t.Parallel()
	pure := []string{
		"bytes", "cmp", "math", "slices", "sort", "time",
		"github.com/cardea/cardea/access/schedule", "github.com/cardea/cardea/typeid",
		"github.com/cardea/cardea/ent/area", "github.com/cardea/cardea/ent/door",
		"github.com/cardea/cardea/ent/presence", "github.com/cardea/cardea/ent/schema",
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); !slices.Contains(pure, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		for _, clock := range clocks(file) {
			t.Errorf("%s uses time.%s", name, clock)
		}
	}
}

func clocks(file *ast.File) (used []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			from, _ := s.X.(*ast.Ident)
			if from != nil && from.Name == "time" &&
				slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "NewTimer"}, s.Sel.Name) {
				used = append(used, s.Sel.Name)
			}
		}
		return true
	})
	return used
}

// TestMoreKeysThanUsual: however many lead to the door, none is passed over.
func TestMoreKeysThanUsual(t *testing.T) {
	t.Parallel()
	var keys []verdict.Key
	for i := range 100 {
		keys = append(keys, verdict.Key{User: guest, From: hours(i + 2), Until: hours(i + 3), Suspended: i%2 == 1})
	}
	for last := range keys {
		f := facts(slices.Clone(keys)...)
		f.Keys[last].From, f.Keys[last].Until = hours(-1), hours(1)
		f.Keys[last].Suspended = false
		wantVerdict(t, ask(f, noon), "GRANTED", hours(1))
	}
	f := facts(keys...)
	wantVerdict(t, ask(f, noon), "NOT_YET_VALID", hours(2))
	wantVerdict(t, ask(f, hours(2)), "GRANTED", hours(3))
	wantVerdict(t, ask(f, hours(3)), "NOT_YET_VALID", hours(4))
	wantVerdict(t, ask(f, hours(101)), "KEY_SUSPENDED", hours(102))
}
