package graph_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
)

// inner is what only we should see: of the driver, of SQL, of Go, of where files are.
var inner = regexp.MustCompile(`pq:|sql:|(?i:\bselect\b.*\bfrom\b)|syntax error at or near|relation "|` +
	`\.go\b|/home/|/run/|/usr/|github\.com|goroutine|runtime error|\b(ent|typeid|access|gqlerror|graphql|ast|` +
	`json|strconv|uuid|time|errors|shape|actor|pool|rule)\.[A-Z]|map\[|interface \{\}|interface conversion|` +
	`0x[0-9a-f]{6}|nil pointer|cannot unmarshal|invalid character|unexpected end of JSON|s3cr3t`)

// Ten thousand answers to all sorts of nonsense, some of them while the database fails in all sorts of
// ways: none tells of what is inside, and none repeats a body that could not be read.
func TestAnswersTellNothingInternal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	random := rand.New(rand.NewPCG(1, 2)) // to be the same each time
	failures := []error{errBroken, errPanic, driver.ErrBadConn, &pq.Error{
		Code: "42601", Message: `syntax error at or near "s3cr3t"`, Detail: "s3cr3t", File: "scan.l"},
		errors.New("dial unix /run/s3cr3t.sock: no such file"), fmt.Errorf("sql: %w", errBroken)}
	codes := map[string]int{}
	const answers = 10_000
	for i := range answers {
		failing := i%10 == 0
		if failing {
			w.counter.break_(failures[random.IntN(len(failures))])
		}
		text, status := w.nonsense(nonsense(random))
		if failing {
			w.counter.break_(nil)
		}
		codes[fmt.Sprint(status)]++
		if found := inner.FindString(text); found != "" {
			t.Fatalf("%q shows in answer %d: %s", found, i, text)
		}
		if len(text) > 64<<10 {
			t.Fatalf("answer %d has %d bytes", i, len(text))
		}
	}
	t.Log(codes)
}

func (w *world) nonsense(body string) (answer string, status int) {
	r := httptest.NewRequestWithContext(actor.WithRequestID(w.admin.ctx, "request"),
		http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Body.String(), recorder.Code
}

// nonsense is the body of a request that has something wrong, or may have.
func nonsense(random *rand.Rand) string {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	value := func() string {
		return pick(`1`, `-1`, `"x"`, `""`, `null`, `true`, `[]`, `[[1]]`, `{}`, `{a: 1}`, `1e400`, `"\u0000"`,
			`99999999999999999999`, `"door_01k0c5a2m8f7xb3v9q6t4s2r1p"`, `"2026-02-30T00:00:00Z"`, `"' OR 1=1 --"`,
			`LOCKED`, `$x`, `"`+strings.Repeat("y", 400)+`"`)
	}
	query := fmt.Sprintf(pick(
		`{ door(id: %s) { id name lockState } }`, `{ doors(first: 10, after: %s) { nodes { id } } }`,
		`{ doors(siteId: %s) { nodes { id events(first: 2) { nodes { id } } } } }`,
		`{ nodes(ids: [%s]) { id } }`, `{ auditLog(first: 5, filter: {types: [%s]}) { nodes { id } } }`,
		`mutation { createSite(input: {name: %s, timeZone: "UTC"}) { site { id } } }`,
		`mutation { unlockDoor(input: {doorId: %s}) { command { id } } }`,
		`mutation { grantKey(input: {userId: %s, doorIds: []}) { key { id } } }`,
		`mutation { createWebhookEndpoint(input: {url: %s, types: ["*"]}) { endpoint { id } } }`,
		`query($x: Int) { doors(first: $x, after: %s) { nodes { id } } }`,
		`query($x: DateTime!) { auditLog(filter: {from: $x, to: %s}) { nodes { id } } }`,
		`{ viewer { role nothing(a: %s) } }`, `subscription { events(after: %s) { cursor } }`,
		`{ effectiveAccess(userId: %s, doorId: "x") { decision { granted } } }`), value())
	switch random.IntN(8) {
	case 0: // what is no GraphQL
		at := random.IntN(len(query))
		query = query[:at] + pick("{", "}", "(", "\x00", "\"", "…", "#", "$", "@x", "\\") + query[at:]
	case 1: // no JSON
		body := fmt.Sprintf(`{"query": %q, "variables": {"x": "s3cr3t"}}`, query)
		return body[:random.IntN(len(body))] + pick("s3cr3t", "", "\x01", "}", ",") + pick("", "s3cr3t")
	case 2: // JSON of another shape
		return pick(`{"query": 1}`, `{"query": {"s3cr3t": 1}}`, `[]`, `"s3cr3t"`,
			`{"query": "{ a }", "variables": "s3cr3t"}`,
			`{"query": "{ a }", "extensions": "s3cr3t"}`, `{"query": "{ a }", "operationName": ["s3cr3t"]}`,
			`{"documentId": {"s3cr3t": 1}}`,
			`{"query": "{ a }", "extensions": {"persistedQuery": {"version": "s3cr3t"}}}`)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(query, `\`, `\\`), `"`, `\"`)
	return fmt.Sprintf(`{"query": "`+strings.ReplaceAll(text, "\x00", `\u0000`)+`", "variables": {"x": %s}}`,
		pick(`1`, `"2026-01-01"`, `null`, `[1]`, `{"a": {"b": 1}}`, `1.5`, `"door_x"`, `1e999`))
}
