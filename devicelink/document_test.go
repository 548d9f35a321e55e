package devicelink_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
)

const document = "../docs/protocol.md"

// TestDocument proves that docs/protocol.md shows the golden files and lists the codes and values
// that the code has. With -update it writes them.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	must(t, err)
	current := string(text)
	shown := map[string]bool{}
	examples := regexp.MustCompile("(?s)(<!-- golden: ([a-z-]+) -->\n```json\n)(.*?)(```)")
	current = examples.ReplaceAllStringFunc(current, func(match string) string {
		parts := examples.FindStringSubmatch(match)
		file, err := os.ReadFile(filepath.Join("testdata", parts[2]+".json"))
		must(t, err)
		shown[parts[2]] = true
		return parts[1] + string(file) + parts[4]
	})
	files, err := filepath.Glob("testdata/*.json")
	must(t, err)
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); !shown[name] {
			t.Errorf("the document does not show %s", name)
		}
	}
	current = section(t, current, "close codes", closeCodes())
	current = section(t, current, "values", values())
	for _, name := range []string{"hello", "welcome", "command"} {
		current = section(t, current, "transcript of "+name, hexadecimal(goldenTranscripts(t)[name]))
	}
	if current == string(text) {
		return
	}
	if !*update {
		t.Fatal("the document is not current: go test ./devicelink -run TestDocument -update")
	}
	must(t, os.WriteFile(document, []byte(current), 0o600))
}

// section replaces what stands between a marker and its end.
func section(t *testing.T, text, name, content string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n\n", "\n<!-- end "+name+" -->\n"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("the document has no section %s", name)
	}
	return before + begin + content + end + after
}

func closeCodes() string {
	var table strings.Builder
	table.WriteString("| code | name | then | meaning |\n|---|---|---|---|\n")
	for _, code := range devicelink.CloseCodes {
		then := "go away"
		if code.Code.Reconnect() {
			then = "reconnect"
		}
		if code.Code == devicelink.CloseNormal {
			then = "as it likes"
		}
		fmt.Fprintf(&table, "| %d | `%s` | %s | %s |\n", int(code.Code), code.Name, then, code.Meaning)
	}
	return table.String()
}

// values lists enumerations by asking the generated validators about every candidate in the schema.
func values() string {
	var table strings.Builder
	table.WriteString("| field | values |\n|---|---|\n")
	row := func(field string, values []string) {
		fmt.Fprintf(&table, "| `%s` | `%s` |\n", field, strings.Join(values, "` `"))
	}
	row("mode", known(door.ModeValidator, "CONTROLLED", "UNLOCKED", "LOCKED", "LOCKDOWN", "DISABLED"))
	row("lockState", known(door.LockStateValidator, "LOCKED", "UNLOCKED", "LOCKING", "UNLOCKING",
		"UNLATCHED", "JAMMED", "UNKNOWN"))
	row("position", known(door.PositionValidator, "OPEN", "CLOSED", "UNKNOWN"))
	row("method", known(event.MethodValidator, "CARD", "PIN", "MOBILE", "REMOTE", "REX", "SCHEDULE",
		"MECHANICAL_KEY", "LINK", "EMERGENCY", "UNKNOWN"))
	row("outcome", known(event.OutcomeValidator, "GRANTED", "DENIED", "FAILED"))
	row("reason", schema.Reason("").Values())
	return table.String()
}

func known[E ~string](valid func(E) error, candidates ...string) (values []string) {
	for _, c := range candidates {
		if valid(E(c)) == nil {
			values = append(values, c)
		}
	}
	return values
}

// hexadecimal is a block of bytes.
func hexadecimal(raw []byte) string {
	text := hex.EncodeToString(raw)
	var block strings.Builder
	block.WriteString("```\n")
	for text != "" {
		line := text[:min(len(text), 96)]
		text = text[len(line):]
		block.WriteString(line + "\n")
	}
	block.WriteString("```\n")
	return block.String()
}

// TestDocumentNamesEveryField looks for every field of every frame and body in the tables.
func TestDocumentNamesEveryField(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	must(t, err)
	bodies := []any{
		devicelink.Enrolment{}, devicelink.Enrolled{}, devicelink.Refusal{}, devicelink.Challenge{},
		devicelink.Hello{}, devicelink.Welcome{}, devicelink.Report{}, devicelink.Result{},
		devicelink.Ack{}, devicelink.Command{}, devicelink.Config{}, devicelink.Door{},
		devicelink.Keys{}, devicelink.ServerKey{}, devicelink.Time{}, devicelink.Clock{},
		devicelink.Renew{}, devicelink.Rotate{}, devicelink.Rotated{},
	}
	for _, body := range bodies {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(body)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			pattern := regexp.MustCompile("(?m)^\\|.*`((doors|serverKeys)\\[\\]\\.)?" + name + "`")
			if !field.Anonymous && field.IsExported() && name != "type" && !pattern.Match(text) {
				t.Errorf("%T: no table has %s", body, name)
			}
		}
	}
}
