package graph_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"github.com/cardea/cardea/graph/generated"
)

var update = flag.Bool("update", false, "write docs/schema.graphql")

const printed = "../docs/schema.graphql"

// TestSchemaIsPrinted keeps docs/schema.graphql what the code serves. To write it:
//
//	go test ./graph -run TestSchemaIsPrinted -update
func TestSchemaIsPrinted(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(schema)
	if *update {
		must(t, os.WriteFile(printed, b.Bytes(), 0o600))
	}
	kept, err := os.ReadFile(printed)
	must(t, err)
	if !bytes.Equal(kept, b.Bytes()) {
		t.Errorf("%s is not what the code serves: run this test with -update", printed)
	}
}

func TestEveryElementIsDescribed(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	describe := func(text string, path ...string) {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s is not described", strings.Join(path, "."))
		}
	}
	describe(schema.Description, "schema")
	for name, def := range schema.Types {
		if def.BuiltIn || strings.HasPrefix(name, "__") {
			continue
		}
		describe(def.Description, name)
		for _, value := range def.EnumValues {
			describe(value.Description, name, value.Name)
		}
		for _, field := range def.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			describe(field.Description, name, field.Name)
			for _, argument := range field.Arguments {
				describe(argument.Description, name, field.Name, argument.Name)
			}
		}
	}
}

// forwardOnly are the lists whose items are decided as they are looked for.
var forwardOnly = map[string]bool{"whoCanOpen": true, "doorsFor": true, "policyReplay": true}

// Every list of nouns is a page, and every mutation takes one input and returns one payload.
func TestSchemaFollowsTheRules(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, m := range schema.Mutation.Fields {
		title := strings.ToUpper(m.Name[:1]) + m.Name[1:]
		if len(m.Arguments) != 1 || m.Arguments[0].Type.String() != title+"Input!" ||
			m.Type.String() != title+"Payload!" {
			t.Errorf("mutation %s is shaped unlike the others", m.Name)
		}
	}
	for _, def := range schema.Types {
		for _, f := range def.Fields {
			if !strings.HasSuffix(f.Type.Name(), "Connection") {
				continue
			}
			arguments := []string{"first", "after", "last", "before"}
			if forwardOnly[f.Name] {
				arguments = arguments[:2]
			}
			for _, argument := range arguments {
				if f.Arguments.ForName(argument) == nil {
					t.Errorf("%s.%s has no argument %s", def.Name, f.Name, argument)
				}
			}
		}
		if def.Kind == ast.Object && def.Fields.ForName("id") != nil && def.Name != "Actor" &&
			def.Name != "WebhookAttempt" && len(def.Interfaces) == 0 {
			t.Errorf("%s has an identifier and is no Node", def.Name)
		}
	}
}
