package graph_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/internal/testenv"
)

func TestInternalErrorsAreMasked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	by := w.admin
	w.counter.break_(errBroken)
	defer w.counter.break_(nil)
	a := w.asActor(by, `{ doors { nodes { id } } }`)
	a.refused("INTERNAL")
	equal(t, a.Errors[0].Message, "internal error")
	if strings.Contains(string(a.raw), "pq:") || strings.Contains(string(a.raw), "secret") {
		t.Errorf("an internal error shows: %s", a.raw)
	}
	equal(t, a.at("doors"), nil)
}

// A driver says "canceling statement" of a query that ran out of time.
func TestTimeIsLimited(t *testing.T) {
	t.Parallel()
	w := setup(t)
	locked, err := testenv.OpenSQL(t, w.database).BeginTx(t.Context(), nil)
	must(t, err)
	defer func() { _ = locked.Rollback() }()
	_, err = locked.ExecContext(t.Context(), "LOCK TABLE sites IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	by := w.admin
	var cancel context.CancelFunc
	by.ctx, cancel = context.WithTimeout(by.ctx, 200*time.Millisecond)
	defer cancel()
	w.asActor(by, `{ sites { nodes { id } } }`).refused("TIMEOUT")
}

func TestPanicsAreContained(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.counter.break_(errPanic)
	a := w.asActor(w.admin, `{ sites { nodes { id } } viewer { user { name } } }`)
	w.counter.break_(nil)
	for _, e := range a.Errors {
		equal(t, e.Message+e.Extensions.Code, "internal errorINTERNAL")
	}
	w.asActor(w.admin, `{ sites { nodes { id } } }`).ok()
}

func TestNobodyIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, query := range []string{`{ viewer { role } }`, `{ __typename }`, `nonsense`} {
		a := w.ask(person{}, query).refused("UNAUTHENTICATED")
		equal(t, a.status, http.StatusUnauthorized)
		equal(t, a.header.Get("WWW-Authenticate"), "Bearer")
	}
}

// What is wrong is said with a code, and changes nothing.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for query, code := range map[string]string{
		`{ doors`:                                "GRAPHQL_PARSE_FAILED",
		`query($) { x }`:                         "GRAPHQL_PARSE_FAILED",
		``:                                       "BAD_REQUEST",
		`{ nothing }`:                            "GRAPHQL_VALIDATION_FAILED",
		`{ doors { nodes } }`:                    "GRAPHQL_VALIDATION_FAILED",
		`{ door(id: 1, x: 2) { id } }`:           "GRAPHQL_VALIDATION_FAILED",
		`{ door { id } }`:                        "GRAPHQL_VALIDATION_FAILED",
		`{ doors(first: "1") { nodes { id } } }`: "GRAPHQL_VALIDATION_FAILED",
		`{ doors(lockState: OPEN) { nodes { id } } }`:                          "GRAPHQL_VALIDATION_FAILED",
		`query A { __typename } query B { __typename }`:                        "GRAPHQL_VALIDATION_FAILED",
		`{ door(id: 1) { id } }`:                                               "BAD_USER_INPUT id",
		`{ door(id: "") { id } }`:                                              "BAD_USER_INPUT id",
		`{ door(id: "door_") { id } }`:                                         "BAD_USER_INPUT id",
		`{ door(id: "door_00000000000000000000000000") { id } }`:               "BAD_USER_INPUT id",
		`{ door(id: "site_01k0c5a2m8f7xb3v9q6t4s2r1p") { id } }`:               "BAD_USER_INPUT id",
		`{ doors(siteId: "x") { nodes { id } } }`:                              "BAD_USER_INPUT siteId",
		`{ keys(userId: "door_01k0c5a2m8f7xb3v9q6t4s2r1p") { nodes { id } } }`: "BAD_USER_INPUT userId",
		`{ auditLog(filter: {doorIds: ["x"]}) { nodes { id } } }`:              "BAD_USER_INPUT doorIds.0",
		`mutation { deleteDoor(input: {id: "x"}) { deletedId } }`:              "BAD_USER_INPUT id",
		`mutation { createSite(input: {name: "x"}) { site { id } } }`:          "GRAPHQL_VALIDATION_FAILED",
		`subscription { events { cursor } }`:                                   "BAD_REQUEST",
		`{ doors(first: 9999999999) { nodes { id } } }`:                        "PAGE_TOO_LONG first",
	} {
		a := w.ask(w.admin, query)
		if len(a.Errors) != 1 || a.Errors[0].codeAndField() != code {
			t.Errorf("%s: want %s, got %s", query, code, a.raw)
		}
	}
	a := w.ask(w.admin, `query($i: CreateSiteInput!) { __typename }`,
		vars{"i": vars{"name": "x", "timeZone": "UTC", "colour": "red"}})
	equal(t, a.Errors[0].Extensions.Code, "GRAPHQL_VALIDATION_FAILED")
	many := w.ask(w.admin, `{ `+strings.Repeat("nothing ", 8)+strings.Repeat("a b c d e f g h ", 8)+`}`)
	if len(many.Errors) > 10 {
		t.Errorf("%d errors in one answer", len(many.Errors))
	}
	long := w.ask(w.admin, `{ `+strings.Repeat("x", 5000)+` }`)
	if len(long.raw) > 1000 {
		t.Errorf("the document comes back: %d bytes", len(long.raw))
	}
}

// The closed list of codes is the one in the schema.
func TestCodesAreDescribed(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	var described []string
	for _, value := range schema.Types["ErrorCode"].EnumValues {
		described = append(described, value.Name)
	}
	var sent []string
	for _, code := range graph.Codes {
		sent = append(sent, string(code))
	}
	slices.Sort(described)
	slices.Sort(sent)
	equal(t, strings.Join(sent, " "), strings.Join(described, " "))
}

// TestLateFromTheStart has operations whose time is over before they begin: nothing is executed.
func TestLateFromTheStart(t *testing.T) {
	t.Parallel()
	w := setup(t)
	by := w.admin
	ctx, cancel := context.WithDeadline(by.ctx, time.Now())
	defer cancel()
	by.ctx = ctx
	w.asActor(by, `mutation { createSite(input: {name: "Quay", timeZone: "UTC"}) { site { id } } }`).
		refused("TIMEOUT")
	gone, leave := context.WithCancel(w.admin.ctx)
	leave()
	by.ctx = gone
	w.asActor(by, `{ viewer { role } }`).refused("UNAVAILABLE")
	if strings.Contains(w.logged.String(), "panic") {
		t.Error("it panicked")
	}
}

// Documents are judged once for all who send them, and so may be refused to many at the same time.
// The race detector has to be on for this to fail.
func TestManyAreRefusedAlike(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ask(w.admin, `{ nothing }`).refused("GRAPHQL_VALIDATION_FAILED")
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				w.ask(w.admin, `{ nothing }`).refused("GRAPHQL_VALIDATION_FAILED")
				w.post(w.admin, `{"documentId": "none"}`).refused("PERSISTED_QUERY_NOT_FOUND")
			}
		})
	}
	wait.Wait()
}
