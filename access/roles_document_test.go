package access_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cardea/cardea/access"
)

const rolesDocument = "../docs/roles.md"

// TestRolesDocument proves that docs/roles.md has the table that TestPolicy proves. With -update it
// writes it.
func TestRolesDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	scopes := scopeOf(b.admin)
	var table strings.Builder
	table.WriteString("| scope | action |")
	for _, role := range roles {
		fmt.Fprintf(&table, " %s |", role)
	}
	table.WriteString("\n|---|---|" + strings.Repeat("---|", len(roles)) + "\n")
	rows := actions(t)
	slices.SortStableFunc(rows, func(x, y access.Action) int {
		return strings.Compare(string(scopes[x]), string(scopes[y]))
	})
	for _, action := range rows {
		fmt.Fprintf(&table, "| `%s` | %s |", scopes[action], action)
		for i := range roles {
			fmt.Fprintf(&table, " %s |", strings.ToLower(reaches[action][i]))
		}
		table.WriteByte('\n')
	}
	text, err := os.ReadFile(rolesDocument)
	must(t, err)
	begin, end := "<!-- begin: what each role reaches -->\n", "<!-- end -->\n"
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatal("the document has no place for the table")
	}
	current := before + begin + table.String() + end + after
	if *update {
		must(t, os.WriteFile(rolesDocument, []byte(current), 0o600))
	} else if current != string(text) {
		t.Errorf("%s is not what the policy is: run this test with -update", rolesDocument)
	}
}
