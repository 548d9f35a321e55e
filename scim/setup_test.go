package scim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/scim"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/typeid"
)

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
)

// world is a node behind the real server, with two organizations.
type world struct {
	t        *testing.T
	db       *ent.Client
	access   *access.Service
	url      string
	sent     *counter
	org      *ent.Organization
	desk     *ent.User
	owner    context.Context //nolint:containedctx // who it is
	stranger context.Context //nolint:containedctx // the owner of the other organization
	token    string          // of the owner, for people and groups
}

// counter counts the statements that ent sends.
type counter struct {
	dialect.Driver
	statements []string
}

func (c *counter) Query(ctx context.Context, query string, args, v any) error {
	c.statements = append(c.statements, query)
	return c.Driver.Query(ctx, query, args, v)
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, sent: &counter{}}
	w.sent.Driver = entsql.OpenDB(dialect.Postgres, testenv.OpenSQL(t, testenv.Postgres(t)))
	w.db = rule.Guard(ent.NewClient(ent.Driver(w.sent)))
	log := testenv.Logger(t)
	w.access = access.New(access.Config{DB: w.db, Log: log})
	system := actor.NewContext(t.Context(), actor.System("test"))
	var err error
	w.org, w.desk, err = w.access.CreateOrganization(system, access.CreateOrganizationInput{
		Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com"})
	must(t, err)
	other, otherDesk, err := w.access.CreateOrganization(system, access.CreateOrganizationInput{
		Name: "Quay", AdminName: "Other desk", AdminEmail: "desk@example.com"})
	must(t, err)
	w.owner = actor.NewContext(t.Context(), actor.User(w.org.ID, w.desk.ID, actor.RoleOwner))
	w.stranger = actor.NewContext(t.Context(), actor.User(other.ID, otherDesk.ID, actor.RoleOwner))
	w.token = w.tokenOf(w.owner, "users:read", "users:write", "groups:read", "groups:write")
	s, err := server.New(t.Context(), server.Config{
		Addr: "127.0.0.1:0", Log: log, Registry: prometheus.NewRegistry(),
		Routes: server.Routes{
			Ready: func(context.Context) error { return nil },
			Directory: scim.New(scim.Config{Access: w.access, DB: w.db, Log: log,
				PublicURL: func() string { return "https://doors.example.com" }}),
			Authenticate: func(ctx context.Context, token string) (actor.Actor, error) {
				by, err := w.access.Authenticate(ctx, token)
				if access.IsCode(err, access.CodeUnauthenticated) {
					err = server.ErrBadToken
				}
				return by, err
			},
		},
	})
	must(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	w.url = "http://" + s.Addr().String() + scim.Path
	return w
}

func (w *world) tokenOf(by context.Context, scopes ...actor.Scope) string {
	w.t.Helper()
	made, err := w.access.CreateAPIToken(by, access.CreateAPITokenInput{Name: "directory", Scopes: scopes})
	must(w.t, err)
	return made.Secret
}

// user makes somebody with a role.
func (w *world) user(role actor.Role, email string) context.Context {
	w.t.Helper()
	made, err := w.access.CreateUser(w.owner, access.CreateUserInput{Name: email, Email: email, Role: &role})
	must(w.t, err)
	return actor.NewContext(w.t.Context(), actor.User(w.org.ID, made.User.ID, role))
}

// answer is what came back.
type answer struct {
	*http.Response
	t    *testing.T
	body string
	json map[string]any
}

// ask sends a request; what follows the body are headers, "Authorization" among them if not the owner's.
func (w *world) ask(method, path, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Authorization", "Bearer "+w.token)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if r.Header.Set(headers[i], headers[i+1]); headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	got, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	must(w.t, err)
	a := answer{Response: got, t: w.t, body: string(text)}
	if len(text) > 0 {
		equal(w.t, got.Header.Get("Content-Type"), "application/scim+json")
		must(w.t, json.Unmarshal(text, &a.json))
	}
	return a
}

// is fails the test unless the answer has the status, and if it is a refusal, its form and type.
func (a answer) is(status int, kind ...string) answer {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%d, not %d: %s", a.StatusCode, status, a.body)
	}
	if status >= http.StatusBadRequest {
		equal(a.t, a.text("schemas.0"), "urn:ietf:params:scim:api:messages:2.0:Error")
		equal(a.t, a.text("status"), a.Status[:3])
		equal(a.t, a.text("scimType"), strings.Join(kind, ""))
	}
	return a
}

// at is what lies at a dotted path; numbers index lists. Nil if there is nothing.
func (a answer) at(path string) any {
	var v any = a.json
	for step := range strings.SplitSeq(path, ".") {
		switch inside := v.(type) {
		case map[string]any:
			v = inside[step]
		case []any:
			if i := int(step[0] - '0'); i < len(inside) {
				v = inside[i]
			} else {
				v = nil
			}
		default:
			return nil
		}
	}
	return v
}

func (a answer) text(path string) string {
	text, _ := a.at(path).(string)
	return text
}

// list is a text of each resource in a list.
func (a answer) list(path string) string {
	all, _ := a.at("Resources").([]any)
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i], _ = one.(map[string]any)[path].(string)
	}
	return strings.Join(texts, " ")
}

// make makes a user or a group of a body without schemas, and returns its identifier.
func (w *world) make(kind, body string) string {
	w.t.Helper()
	return w.ask(http.MethodPost, "/"+kind+"s", withSchema(kind, body)).is(http.StatusCreated).text("id")
}

func withSchema(kind, body string) string {
	return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:` + kind + `"],` + strings.TrimPrefix(body, "{")
}

func operations(some ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` +
		strings.Join(some, ",") + `]}`
}

// events are the types of those that were recorded since, and how far they go.
func (w *world) events(since int64) (string, int64) {
	w.t.Helper()
	all, err := w.db.Event.Query().Where(func(q *entsql.Selector) {
		q.Where(entsql.GT(q.C("seq"), since)).OrderBy(q.C("seq"))
	}).All(w.owner)
	must(w.t, err)
	var types []string
	for _, e := range all {
		types, since = append(types, e.Type), e.Seq
	}
	return strings.Join(types, " "), since
}

func parseUser(t *testing.T, text string) typeid.User {
	t.Helper()
	id, err := typeid.Parse[typeid.User](text)
	must(t, err)
	return id
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}
