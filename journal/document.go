//go:build ignore

// Document writes docs/events.md from the catalogue. It is run by go generate in this folder.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
)

const preamble = `# Events

Everything that happens is an event: one row of the journal, one number. The same event, with the
same ` + "`id`" + ` and ` + "`sequence`" + `, is in the audit log, in live subscriptions and in webhooks.

This page is generated from ` + "`journal/catalogue.go`" + `; nothing else can be recorded.

## The envelope

As webhooks carry it in ` + "`data`" + ` (the GraphQL type ` + "`Event`" + ` has the same facts as fields). It is
canonical JSON (RFC 8785); the leaf hash of the audit log covers exactly these bytes. Members that do
not apply are left out.

` + "```json\n%s\n```" + `

| member | meaning |
|---|---|
| ` + "`schemaVersion`" + ` | of this envelope; members may be added without a change of it |
| ` + "`sequence`" + ` | gapless within the organization, from 1: the cursor to resume from |
| ` + "`occurredAt`" + ` | when it happened, as the device claims or as the server knows; UTC, microseconds |
| ` + "`receivedAt`" + ` | when the server took it |
| ` + "`delivery`" + ` | ` + "`LIVE`, `BUFFERED` (the device was offline) or `REPLAYED`" + ` |
| ` + "`actor`" + ` | who caused it: ` + "`USER`, `API_TOKEN`, `APPLICATION`, `DEVICE` or `SYSTEM`" +
	`, and its identifier; of an application, that of the grant, and beside it ` + "`applicationId`" + ` |
| ` + "`outcome`, `reason`" + ` | of a decision: granted or denied, and why |
| ` + "`severity`" + ` | ` + "`INFO`, `NOTICE`, `WARNING` or `CRITICAL`" + ` |
| ` + "`data`" + ` | what else belongs to the type; never a name, a card number or a PIN |

## Types

Those marked ● may be reported by devices. Those marked ◷ are of access and kept for the organization's
` + "`accessRetentionDays`" + `, the others for its ` + "`adminRetentionDays`" + `.

| type | severity | | when |
|---|---|---|---|
`

func main() {
	golden, err := os.ReadFile("testdata/event.json")
	if err != nil {
		log.Fatal(err)
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, preamble, wrap(strings.TrimSpace(string(golden))))
	for _, t := range journal.Types {
		dot := ""
		if t.Class == journal.ClassAccess {
			dot = "◷"
		}
		if t.Reportable {
			dot += "●"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", t.Name, t.Severity, dot, t.Description)
	}
	page.WriteString("\n## Reasons\n\nCodes are stable; text is not.\n\n")
	for _, r := range schema.Reasons {
		fmt.Fprintf(&page, "- `%s`\n", r)
	}
	if err := os.WriteFile("../docs/events.md", page.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

// wrap breaks the one line of canonical JSON after its members, for reading.
func wrap(line string) string { return strings.ReplaceAll(line, `,"`, ",\n \"") }
