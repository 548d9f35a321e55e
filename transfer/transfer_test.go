package transfer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/typeid"
)

// world is a node behind the real server, with two organizations.
type world struct {
	t        *testing.T
	db       *ent.Client
	access   *access.Service
	url      string
	org      *ent.Organization
	desk     *ent.User
	owner    context.Context //nolint:containedctx // who it is
	stranger context.Context //nolint:containedctx // the owner of the other organization
	token    string          // of the owner
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testenv.Client(t))
}

func setupOn(t *testing.T, db *ent.Client) *world {
	t.Helper()
	w := &world{t: t, db: db}
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
	w.token = w.tokenOf(w.owner)
	s, err := server.New(t.Context(), server.Config{
		Addr: "127.0.0.1:0", Log: log, Registry: prometheus.NewRegistry(),
		Routes: server.Routes{
			Ready: func(context.Context) error { return nil },
			Transfer: transfer.New(transfer.Config{
				Access: w.access, DB: w.db, Log: log,
				Notary: journal.NewNotary(journal.NotaryConfig{DB: w.db, Keys: logKeys(t), Log: log}),
			}),
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
	w.url = "http://" + s.Addr().String()
	return w
}

func (w *world) tokenOf(by context.Context, scopes ...actor.Scope) string {
	w.t.Helper()
	made, err := w.access.CreateAPIToken(by, access.CreateAPITokenInput{Name: "files", Scopes: scopes})
	must(w.t, err)
	return made.Secret
}

// report is what an import answers.
type report struct {
	Applied                             bool
	Created, Updated, Unchanged, Faulty int
	Rows                                []struct {
		Line   int
		Effect string
		Errors []struct{ Code, Field, Message string }
	}
	Errors []struct {
		Message    string
		Extensions struct{ Code, Field, RequestID string }
	}
	status int
}

// said is the counts of a report.
func (r report) said() string {
	return fmt.Sprintf("%d: %t +%d ~%d =%d !%d", r.status, r.Applied, r.Created, r.Updated, r.Unchanged, r.Faulty)
}

// rows is each row of a report in a word: its line, and its effect or its errors.
func (r report) rows() string {
	var all []string
	for _, row := range r.Rows {
		words := []string{row.Effect}
		if row.Effect == "" {
			words = nil
		}
		for _, e := range row.Errors {
			words = append(words, e.Code+" "+e.Field)
		}
		all = append(all, fmt.Sprintf("%d %s", row.Line, strings.Join(words, ", ")))
	}
	return strings.Join(all, "; ")
}

func (w *world) send(token, path, body string) report {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	must(w.t, err)
	r.Header.Set("Content-Type", "text/csv; charset=utf-8")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = got.Body.Close() }()
	answer := report{status: got.StatusCode}
	must(w.t, json.NewDecoder(got.Body).Decode(&answer))
	return answer
}

func (w *world) load(noun, body string) report {
	w.t.Helper()
	return w.send(w.token, "/import/v1/"+noun+".csv", body)
}

func (w *world) get(token, noun string) (int, string) {
	w.t.Helper()
	return w.getFile(token, noun+".csv")
}

func (w *world) getFile(token, file string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.url+"/export/v1/"+file, http.NoBody)
	must(w.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	must(w.t, err)
	return got.StatusCode, string(text)
}

// events are the types of those that were recorded since, each with how often, and how far they go.
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

// lets has a person let an application act for them.
func (w *world) lets(who typeid.User) {
	w.t.Helper()
	const back = "https://voice.example.com/back"
	made, err := w.access.CreateApplication(w.owner, access.CreateApplicationInput{
		Name: "Voice", Type: application.TypePUBLIC, RedirectURIs: []string{back},
		Scopes: []actor.Scope{"doors:read"}})
	must(w.t, err)
	_, err = w.access.GiveGrant(actor.NewContext(w.t.Context(), actor.User(w.org.ID, who, actor.RoleMember)),
		access.GiveGrantInput{ApplicationID: made.Application.ID, RedirectURI: back,
			Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"})
	must(w.t, err)
}

func TestImportUsers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, since := w.events(0)
	const file = "\ufeffemail;name;givenName;role;status;externalId\r\n" +
		"Gate@example.com;\"Gate; \"\"north\"\"\";G;;;x1\r\n" +
		"cellar@example.com;Cellar;;AUDITOR;SUSPENDED;\r\n" +
		"desk@example.com;Front desk;;OWNER;ACTIVE;\r\n"
	dry := w.send(w.token, "/import/v1/users.csv?dryRun=true", file)
	equal(t, dry.said(), "200: false +2 ~0 =1 !0")
	equal(t, dry.rows(), "2 CREATE; 3 CREATE; 4 UNCHANGED")
	told, _ := w.events(since)
	equal(t, told, "")
	equal(t, w.db.User.Query().CountX(w.owner), 1)

	equal(t, w.load("users", file).said(), "200: true +2 ~0 =1 !0")
	equal(t, w.load("users", file).said(), "200: true +0 ~0 =3 !0")
	told, since = w.events(since)
	equal(t, told, "user.created user.created data.imported data.imported")
	gate := w.db.User.Query().Where(user.Email("gate@example.com")).OnlyX(w.owner)
	equal(t, gate.Name+*gate.GivenName+*gate.ExternalID, `Gate; "north"Gx1`)
	equal(t, gate.Role, actor.RoleMember)

	// By identifier a person gets another address; who is suspended is signed out, for applications too.
	system := actor.NewContext(t.Context(), actor.System("test").Within(w.org.ID))
	_, err := w.access.StartSession(system, gate.ID, session.MethodEMAIL_CODE, access.Client{})
	must(t, err)
	w.lets(gate.ID)
	_, since = w.events(since)
	equal(t, w.load("users", "id,email,givenName,status\n"+gate.ID.String()+",north@example.com,,SUSPENDED\n").
		said(), "200: true +0 ~1 =0 !0")
	told, _ = w.events(since)
	equal(t, told, "user.updated session.ended grant.revoked data.imported")
	gate = w.db.User.GetX(w.owner, gate.ID)
	equal(t, *gate.Email+string(gate.Status), "north@example.comSUSPENDED")
	if gate.GivenName != nil || *gate.ExternalID != "x1" {
		t.Error("an empty cell clears, and a column that is not there says nothing")
	}
}

// Each row says what is wrong with it, all at once, and then nothing is done.
func TestImportUsersIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	equal(t, w.load("users", "email,name,externalId\na@example.com,A,x\nb@example.com,B,\n").said(),
		"200: true +2 ~0 =0 !0")
	stranger, err := w.access.CreateUser(w.stranger, access.CreateUserInput{Name: "S", Email: "s@example.com"})
	must(t, err)
	_, since := w.events(0)
	got := w.load("users", "id,email,name,externalId,role,status\n"+
		",good@example.com,Good,,,\n"+
		",nobody,,,,AWAY\n"+
		",c@example.com,C,x,,\n"+
		",c@example.com,C2,,MANAGER,\n"+
		",a@example.com,A,x,ADMIN,\n"+
		stranger.User.ID.String()+",s@example.com,S,,,\n"+
		"user_7,d@example.com,D,,,\n"+
		",\"e@example.com\",\"E\nE\",,OWNER,\n"+
		",desk@example.com,Front desk,,,SUSPENDED\n")
	equal(t, got.said(), "422: false +1 ~1 =0 !7")
	equal(t, got.rows(), "2 CREATE; 3 BAD_USER_INPUT status, BAD_USER_INPUT name, BAD_USER_INPUT email; "+
		"4 CONFLICT externalId; 5 CONFLICT email, BAD_USER_INPUT role; 6 CONFLICT externalId, BAD_USER_INPUT role; "+
		"7 NOT_FOUND id; 8 NOT_FOUND id; 9 BAD_USER_INPUT role, BAD_USER_INPUT name; 11 UPDATE")
	last := w.load("users", "email,status\ndesk@example.com,SUSPENDED\na@example.com,SUSPENDED\n")
	equal(t, fmt.Sprintf("%d %s", last.status, last.Errors[0].Extensions.Code), "409 CONFLICT")
	for _, file := range []string{"", "name\nA\n", "email,email\na,b\n", "email,shoe\na@example.com,9\n",
		"email\na@example.com,b\n", "email\n\"a\n", "email\n\xff\n", "email\na\x00\n",
		"email\n" + strings.Repeat("x", 9<<20)} {
		bad := w.load("users", file)
		equal(t, fmt.Sprintf("%d %s %s", bad.status, bad.Errors[0].Extensions.Code,
			bad.Errors[0].Extensions.Field),
			"400 BAD_USER_INPUT file")
	}
	many := w.load("users", "email\n"+strings.Repeat("a@example.com\n", access.MaxImport+1))
	equal(t, fmt.Sprintf("%d %s", many.status, many.Errors[0].Extensions.Field), "400 rows")
	told, _ := w.events(since)
	equal(t, told, "")
	equal(t, w.db.User.Query().CountX(w.owner), 3)
}

// Only whoever may, and nobody for another organization.
func TestTransferIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	role := actor.RoleAdmin
	admin, err := w.access.CreateUser(w.owner, access.CreateUserInput{Name: "A", Email: "a@example.com", Role: &role})
	must(t, err)
	member, err := w.access.CreateUser(w.owner, access.CreateUserInput{Name: "M", Email: "m@example.com"})
	must(t, err)
	byAdmin := actor.NewContext(t.Context(), actor.User(w.org.ID, admin.User.ID, actor.RoleAdmin))
	byMember := actor.NewContext(t.Context(), actor.User(w.org.ID, member.User.ID, actor.RoleMember))
	_, since := w.events(0)
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"nobody": {"", 401}, "bad": {"cardea_x", 401}, "member": {w.tokenOf(byMember), 403},
		"another scope": {w.tokenOf(byAdmin, "doors:read"), 403},
		"half a scope":  {w.tokenOf(byAdmin, "keys:write", "groups:write", "keys:read", "groups:read"), 403},
	} {
		for noun, file := range map[string]string{"users": "email,name\nx@example.com,X\n",
			"user-groups": "group\nCrew\n", "keys": "email\n"} {
			if got := w.send(c.token, "/import/v1/"+noun+".csv", file); got.status != c.want {
				t.Errorf("%s imports %s: %d", name, noun, got.status)
			}
			if status, _ := w.get(c.token, noun); status != c.want {
				t.Errorf("%s exports %s: %d", name, noun, status)
			}
		}
	}
	asAdmin := w.send(w.tokenOf(byAdmin), "/import/v1/users.csv", "email,name\ndesk@example.com,Renamed\n")
	equal(t, asAdmin.rows(), "2 FORBIDDEN role")
	told, _ := w.events(since)
	equal(t, strings.Trim(strings.ReplaceAll(told, "api_token.created", ""), " "), "")
	if _, text := w.get(w.tokenOf(w.stranger), "users"); strings.Contains(text, "m@example.com") {
		t.Error("another organization's people are exported")
	}
}

// What is exported imports unchanged, whatever is in it, and no cell of it is a formula.
func TestExportImportsUnchanged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	names := []string{`=cmd|' /C calc'!A0`, "+1", "-1", "@SUM(1)", "'s-Hertogenbosch", "'=1", "''=1", `quoted "x"`,
		"comma, semicolon;", "Ångström", "'"}
	var people []typeid.User
	for i, name := range names {
		made, err := w.access.ProvisionUser(w.owner, access.Provisioned{Name: name, GivenName: &name,
			Email: fmt.Sprintf("+p%d@example.com", i), ExternalID: &name, Active: i%2 == 0})
		must(t, err)
		people = append(people, made.ID)
	}
	whole, err := w.access.CreateUserGroup(w.owner, access.CreateUserGroupInput{Name: "=Crew"})
	must(t, err)
	part, err := w.access.CreateUserGroup(w.owner, access.CreateUserGroupInput{
		Name: "Night shift", ParentID: &whole.UserGroup.ID})
	must(t, err)
	from, until := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	_, err = w.access.AddUserGroupMembers(w.owner, access.AddUserGroupMembersInput{
		UserGroupID: part.UserGroup.ID, UserIDs: people[:4], ValidFrom: &from, ValidUntil: &until})
	must(t, err)
	_, err = w.access.AddUserGroupMembers(w.owner, access.AddUserGroupMembersInput{
		UserGroupID: whole.UserGroup.ID, UserIDs: people})
	must(t, err)
	site, err := w.access.CreateSite(w.owner, access.CreateSiteInput{Name: "Harbour", TimeZone: "Europe/Rome"})
	must(t, err)
	door, err := w.access.CreateDoor(w.owner, access.CreateDoorInput{SiteID: site.Site.ID, Name: "Gate"})
	must(t, err)
	uses := 7
	for _, in := range []access.GrantKeyInput{
		{UserID: people[0], DoorIDs: []typeid.Door{door.Door.ID}, ValidFrom: &from, Uses: &uses},
		{UserGroupID: part.UserGroup.ID, SiteID: &site.Site.ID, ValidUntil: &until},
	} {
		_, err := w.access.GrantKey(w.owner, in)
		must(t, err)
	}
	_, since := w.events(0)
	for noun, rows := range map[string]int{"users": 12, "user-groups": 2 + 4 + 11, "keys": 2} {
		status, text := w.get(w.token, noun)
		equal(t, status, http.StatusOK)
		for line := range strings.Lines(text) {
			for cell := range strings.SplitSeq(strings.TrimRight(line, "\r\n"), ",") {
				if strings.ContainsAny(strings.TrimPrefix(cell, `"`)[:min(1, len(cell))], "=+-@") {
					t.Errorf("a formula in %s: %s", noun, line)
				}
			}
		}
		got := w.load(noun, text)
		equal(t, got.said(), fmt.Sprintf("200: true +0 ~0 =%d !0", rows))
		_, again := w.get(w.token, noun)
		equal(t, again, text)
	}
	told, _ := w.events(since)
	kinds := strings.Fields(told)
	slices.Sort(kinds)
	equal(t, strings.Join(slices.Compact(kinds), " "), "data.exported data.imported personal_data.read")

	// In another organization the same files make the same, without the identifiers.
	_, text := w.get(w.token, "user-groups")
	for i := range names {
		_, err := w.access.CreateUser(w.stranger, access.CreateUserInput{
			Name: "x", Email: fmt.Sprintf("+p%d@example.com", i)})
		must(t, err)
	}
	theirs := w.tokenOf(w.stranger)
	equal(t, w.send(theirs, "/import/v1/user-groups.csv", text).said(), "200: true +17 ~0 =0 !0")
	_, copied := w.get(theirs, "user-groups")
	equal(t, copied, text)
	_, keys := w.get(w.token, "keys")
	refused := w.send(theirs, "/import/v1/keys.csv", keys)
	equal(t, refused.said(), "422: false +0 ~0 =0 !2")
}

func TestImportKeysAndGroups(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, err := w.access.CreateSite(w.owner, access.CreateSiteInput{Name: "Harbour", TimeZone: "Europe/Rome"})
	must(t, err)
	door, err := w.access.CreateDoor(w.owner, access.CreateDoorInput{SiteID: site.Site.ID, Name: "Gate"})
	must(t, err)
	theirs, err := w.access.CreateSite(w.stranger, access.CreateSiteInput{Name: "Quay", TimeZone: "Europe/Rome"})
	must(t, err)
	groups := w.load("user-groups", "group,parent,email,validUntil\nCrew,,,\n"+
		"Night,Crew,desk@example.com,2030-01-01T00:00:00Z\n")
	equal(t, groups.rows(), "2 CREATE; 3 CREATE")
	equal(t, w.load("user-groups", "group,email,validUntil\nNight,desk@example.com,\n").rows(), "2 UPDATE")
	bad := w.load("user-groups", "group,parent,email,validFrom,validUntil\n,,,,\nX,Night,,,\n"+
		"Y,Nowhere,,,\nNight,Other,,,\n"+
		"Crew,,nobody@example.com,,\nCrew,,desk@example.com,2030-01-01T00:00:00Z,2029-01-01T00:00:00Z\n"+
		"Crew,,DESK@example.com,,\n")
	equal(t, bad.rows(), "2 BAD_USER_INPUT group; 3 CONFLICT parent; 4 NOT_FOUND parent; 5 BAD_USER_INPUT parent; "+
		"6 NOT_FOUND email; 7 BAD_USER_INPUT validUntil; 8 CONFLICT email")
	equal(t, w.load("user-groups", "group,validFrom\nCrew,soon\n").rows(), "2 BAD_USER_INPUT validFrom")

	_, since := w.events(0)
	made := w.load("keys", "email,group,doorIds,siteId,validUntil,uses,remote\n"+
		"desk@example.com,,"+door.Door.ID.String()+",,2030-01-01T00:00:00Z,3,false\n"+
		",Crew,,"+site.Site.ID.String()+",,,\n")
	equal(t, made.said(), "200: true +2 ~0 =0 !0")
	told, _ := w.events(since)
	equal(t, told, "key.created key.created data.imported")
	k := w.db.Key.Query().Order(ent.Asc("id")).AllX(w.owner)[0]
	equal(t, fmt.Sprint(*k.Uses, *k.UsesLeft, k.Remote, k.ValidUntil.Year()), "3 3 false 2030")
	equal(t, w.db.KeyTarget.Query().CountX(w.owner), 2)
	wrong := w.load("keys", "id,email,group,doorIds,siteId,scheduleId,uses\n"+
		",,,"+door.Door.ID.String()+",,,\n,nobody@example.com,,,,,\n,,Nobody,,,,\n,desk@example.com,,,,,\n"+
		",desk@example.com,,"+typeid.New[typeid.Door]().String()+",,,\n"+
		",desk@example.com,,,"+theirs.Site.ID.String()+",,\n"+
		"key_7,,,,,,\n,desk@example.com,,,"+site.Site.ID.String()+",,99999\n")
	equal(t, wrong.rows(), "2 BAD_USER_INPUT email; 3 NOT_FOUND email; 4 NOT_FOUND group; 5 BAD_USER_INPUT doorIds; "+
		"6 NOT_FOUND doorIds; 7 NOT_FOUND siteId; 8 NOT_FOUND id; 9 BAD_USER_INPUT uses")
	// A line of a key that is there is at fault in each column that says something else.
	same := "id,email,doorIds,validUntil,uses,remote\n" + k.ID.String() + ",DESK@example.com," + door.Door.ID.String() +
		",2030-01-01T00:00:00Z,3,false\n"
	equal(t, w.load("keys", same).said(), "200: true +0 ~0 =1 !0")
	equal(t, w.load("keys", "id\n"+k.ID.String()+"\n").said(), "200: true +0 ~0 =1 !0")
	other := w.load("keys", "id,email,group,doorIds,doorGroupIds,siteId,scheduleId,validFrom,validUntil,uses,remote,"+
		"shares\n"+k.ID.String()+",,Crew,,,"+site.Site.ID.String()+",,2029-01-01T00:00:00Z,,4,true,1\n")
	equal(t, other.rows(), "2 CONFLICT email, CONFLICT group, CONFLICT doorIds, CONFLICT siteId, "+
		"CONFLICT validFrom, CONFLICT validUntil, CONFLICT uses, CONFLICT remote, CONFLICT shares")
	_, err = w.access.RevokeKey(w.owner, access.RevokeKeyInput{ID: k.ID})
	must(t, err)
	equal(t, w.load("keys", same).rows(), "2 CONFLICT id")
	unread := w.load("keys", "doorIds,uses,remote\ngate,many,perhaps\n")
	equal(t, unread.rows(), "2 BAD_USER_INPUT doorIds, BAD_USER_INPUT uses, BAD_USER_INPUT remote")
}

// Ten thousand rows take some statements for each thousand, and not some for each row.
func TestImportTenThousand(t *testing.T) {
	t.Parallel()
	const many, most = 10_000, 40
	var sent atomic.Int64
	w := setupOn(t, rule.Guard(ent.NewClient(ent.Driver(dialect.Debug(
		entsql.OpenDB(dialect.Postgres, testenv.OpenSQL(t, testenv.Postgres(t))),
		func(...any) { sent.Add(1) })))))
	file := func(name string) string {
		var text strings.Builder
		text.WriteString("email,name\n")
		for i := range many {
			fmt.Fprintf(&text, "p%d@example.com,%s %d\n", i, name, i)
		}
		return text.String()
	}
	for _, step := range []struct{ name, want string }{
		{"Gate", "200: true +10000 ~0 =0 !0"}, {"Quay", "200: true +0 ~10000 =0 !0"},
		{"Quay", "200: true +0 ~0 =10000 !0"},
	} {
		began, before := time.Now(), sent.Load()
		equal(t, w.load("users", file(step.name)).said(), step.want)
		statements := sent.Load() - before
		t.Log(step.want, statements, "statements,", time.Since(began))
		if statements > most {
			t.Errorf("%s took %d statements, at most %d are wanted", step.want, statements, most)
		}
	}
	began := time.Now()
	_, text := w.get(w.token, "users")
	equal(t, strings.Count(text, "\r\n"), many+2)
	t.Log("exported in", time.Since(began))
}
