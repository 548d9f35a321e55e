package access_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
)

var update = flag.Bool("update", false, "write the examples of docs/access.md anew")

const accessDocument = "../docs/access.md"

// example leads to a reason code, as somebody could who has the API and a device.
type example struct {
	reason  schema.Reason
	meaning string
	given   string // what is so before
	ask     string // what is asked then
	run     func(*bench)
}

// TestAccessDocument lives through an example for each reason code, and proves that docs/access.md
// tells it. With -update it writes it.
func TestAccessDocument(t *testing.T) {
	t.Parallel()
	told := make([]string, len(examples))
	t.Run("examples", func(t *testing.T) {
		for i, e := range examples {
			t.Run(string(e.reason), func(t *testing.T) {
				t.Parallel()
				told[i] = e.live(t)
			})
		}
	})
	shown := map[schema.Reason]bool{}
	for _, e := range examples {
		shown[e.reason] = true
	}
	for _, reason := range schema.Reasons {
		if !shown[reason] {
			t.Errorf("%s has no example", reason)
		}
	}
	text, err := os.ReadFile(accessDocument)
	must(t, err)
	begin, end := "<!-- examples -->\n\n", "\n<!-- end examples -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("the document has no place for examples")
	}
	current := before + begin + strings.Join(told, "\n") + end + after
	switch {
	case t.Failed() || current == string(text):
	case *update:
		must(t, os.WriteFile(accessDocument, []byte(current), 0o600))
	default:
		t.Error("the document is not current: go test ./access -run TestAccessDocument -update")
	}
}

// live leads to the reason and returns the example's text.
func (e example) live(t *testing.T) string {
	t.Helper()
	b := setup(t)
	b.clock.now = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) // Friday, 10:00 at the site
	b.badge("4711")
	e.run(b)
	answers := b.told(e.reason)
	if len(answers) == 0 {
		t.Fatalf("nothing tells of it: %v", b.events(0))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "### %s\n\n%s\n\n", e.reason, e.meaning)
	fmt.Fprintf(&text, "*Example.* %s %s Told by %s.\n", e.given, e.ask, strings.Join(answers, " and "))
	return text.String()
}

// told lists the last decision, and what came of its command, as far as they give the reason.
func (b *bench) told(reason schema.Reason) (types []string) {
	for _, e := range b.db.Event.Query().Where(event.ReasonEQ(reason)).Order(event.BySeq()).AllX(b.system) {
		if kind, _, _ := strings.Cut(e.Type, "."); kind == "access" || kind == "command" {
			types = append(types, "`"+e.Type+"`")
		}
	}
	return types[max(0, len(types)-2):]
}
