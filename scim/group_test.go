package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

// members are who is in a group, by the names that ids gives them.
func (w *world) members(group string, ids map[string]string) string {
	w.t.Helper()
	all, _ := w.ask(http.MethodGet, "/Groups/"+group, "").is(http.StatusOK).at("members").([]any)
	var found []string
	for _, one := range all {
		for name, id := range ids {
			if one.(map[string]any)["value"] == id {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return strings.Join(found, "")
}

func (w *world) people(names ...string) map[string]string {
	ids := map[string]string{}
	for _, name := range names {
		ids[name] = w.make("User", `{"userName":"`+name+`@doors.example","displayName":"`+name+`"}`)
	}
	return ids
}

// The examples of RFC 7644 for groups.
func TestGroupLives(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := w.people("a", "b", "c")
	_, since := w.events(0)
	made := w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"displayName":"Night shift","externalId":"e-1",
		"members":[{"value":"`+ids["a"]+`","display":"whoever"},{"value":"`+ids["b"]+`","type":"User"}]}`)).
		is(http.StatusCreated)
	id := made.text("id")
	equal(t, made.Header.Get("Location"), "https://doors.example.com/scim/v2/Groups/"+id)
	equal(t, made.text("displayName")+made.text("externalId"), "Night shifte-1")
	equal(t, made.text("members.0.display"), "a")
	equal(t, made.text("members.0.$ref"), "https://doors.example.com/scim/v2/Users/"+ids["a"])
	got := w.ask(http.MethodGet, "/Groups/"+id, "").is(http.StatusOK)
	equal(t, got.body, made.body)
	lean := w.ask(http.MethodGet, "/Groups/"+id+"?excludedAttributes=members", "").is(http.StatusOK)
	equal(t, lean.at("members"), nil)
	equal(t, lean.Header.Get("ETag"), got.Header.Get("ETag"))

	// The version follows who is in it, however they came and went.
	add := operations(`{"op":"add","path":"members","value":[{"value":"` + ids["c"] + `"}]}`)
	equal(t, w.ask(http.MethodPatch, "/Groups/"+id, add, "If-Match", got.Header.Get("ETag")).
		is(http.StatusNoContent).body, "")
	w.ask(http.MethodPatch, "/Groups/"+id, add, "If-Match", got.Header.Get("ETag")).is(http.StatusPreconditionFailed)
	w.ask(http.MethodDelete, "/Groups/"+id, "", "If-Match", got.Header.Get("ETag")).is(http.StatusPreconditionFailed)
	version := w.ask(http.MethodGet, "/Groups/"+id, "").Header.Get("ETag")
	w.ask(http.MethodDelete, "/Users/"+ids["c"], "").is(http.StatusNoContent)
	w.ask(http.MethodPatch, "/Groups/"+id, operations(`{"op":"replace","path":"displayName","value":"x"}`),
		"If-Match", version).is(http.StatusPreconditionFailed)
	equal(t, w.members(id, ids), "ab")

	put := w.ask(http.MethodPut, "/Groups/"+id, withSchema("Group", `{"displayName":"Day shift",
		"members":[{"value":"`+ids["b"]+`"}]}`)).is(http.StatusOK)
	equal(t, put.text("displayName"), "Day shift")
	equal(t, put.at("externalId"), nil)
	equal(t, w.members(id, ids), "b")
	again := w.ask(http.MethodPut, "/Groups/"+id, withSchema("Group", `{"displayName":"Day shift",
		"members":[{"value":"`+ids["b"]+`"}]}`), "If-Match", put.Header.Get("ETag")).is(http.StatusOK)
	equal(t, again.body, put.body)
	w.ask(http.MethodDelete, "/Groups/"+id, "").is(http.StatusNoContent)
	w.ask(http.MethodGet, "/Groups/"+id, "").is(http.StatusNotFound)
	told, _ := w.events(since)
	equal(t, told, "user_group.created user_group.member_added user_group.member_added "+
		"user_group.member_added user.deleted user_group.updated user_group.member_removed user_group.deleted")
}

func TestGroupPatch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := w.people("a", "b", "c")
	one := func(name string) string { return `{"value":"` + ids[name] + `"}` }
	for name, c := range map[string]struct {
		send []string
		want string // members, then the name; or a status and a type
	}{
		"add": {[]string{
			`{"op":"Add","path":"members","value":[` + one("b") + `,` + one("c") + `]}`,
		}, "abc -"},
		"add one that is no list": {[]string{
			`{"op":"add","path":"members","value":` + one("b") + `}`,
		}, "ab -"},
		"add who is there": {[]string{
			`{"op":"add","path":"members","value":[` + one("a") + `]}`,
		}, "a -"},
		"add twice": {[]string{
			`{"op":"add","path":"members","value":[` + one("b") + `,` + one("b") + `]}`,
		}, "ab -"},
		"remove by a filter": {[]string{
			`{"op":"remove","path":"members[value eq \"` + ids["a"] + `\"]"}`,
		}, " -"},
		"remove by Entra's value": {[]string{
			`{"op":"Remove","path":"members","value":[{"$ref":null,"value":"` + ids["a"] + `"}]}`,
		}, " -"},
		"remove who is not in": {[]string{
			`{"op":"remove","path":"members[value eq \"` + ids["b"] + `\"]"}`,
		}, "a -"},
		"remove nobody": {[]string{
			`{"op":"remove","path":"members[value eq \"2819c223\"]"}`,
		}, "a -"},
		"remove all": {[]string{`{"op":"remove","path":"members"}`}, " -"},
		"replace": {[]string{
			`{"op":"replace","path":"members","value":[` + one("b") + `]}`,
		}, "b -"},
		"without a path": {[]string{
			`{"op":"replace","value":{"id":"x","displayName":"Day %s","members":[` + one("c") + `]}}`,
		}, "c Day"},
		"add without a path": {[]string{
			`{"op":"add","value":{"members":[` + one("c") + `]}}`,
		}, "ac -"},
		"in and out": {[]string{
			`{"op":"add","path":"members","value":[` + one("b") + `]}`,
			`{"op":"remove","path":"members[value eq \"` + ids["b"] + `\"]"}`,
		}, "a -"},
		"out and in": {[]string{
			`{"op":"remove","path":"members"}`,
			`{"op":"add","path":"members","value":[` + one("a") + `,` + one("c") + `]}`,
		}, "ac -"},
		"a name": {[]string{
			`{"op":"Replace","path":"displayName","value":"Day %s"}`,
		}, "a Day"},
		"what is not kept": {[]string{`{"op":"add","path":"urn:example:x","value":"1"}`}, "a -"},
		"a stranger": {[]string{
			`{"op":"add","path":"members","value":[{"value":"` + typeid.New[typeid.User]().String() + `"}]}`,
		}, "400 invalidValue"},
		"no identifier": {[]string{
			`{"op":"add","path":"members","value":[{"value":"2819c223"}]}`,
		}, "400 invalidValue"},
		"a group": {[]string{
			`{"op":"add","path":"members","value":[{"value":"x","type":"Group"}]}`,
		}, "400 invalidValue"},
		"no target": {[]string{
			`{"op":"replace","path":"members[value eq \"x\"].display","value":"x"}`,
		}, "400 noTarget"},
		"another filter": {[]string{
			`{"op":"remove","path":"members[display co \"a\"]"}`,
		}, "400 invalidFilter"},
		"remove the name": {[]string{`{"op":"remove","path":"displayName"}`}, "400 invalidValue"},
		"what is fixed": {[]string{
			`{"op":"replace","path":"id","value":"x"}`,
		}, "400 mutability"},
		"one fault stops all": {[]string{
			`{"op":"remove","path":"members"}`,
			`{"op":"add","path":"members","value":[{"value":"x"}]}`,
		}, "400 invalidValue"},
		"a name that is taken": {[]string{
			`{"op":"remove","path":"members"}`,
			`{"op":"replace","path":"displayName","value":"Taken"}`,
		}, "409 uniqueness"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.access.CreateUserGroup(w.owner, access.CreateUserGroupInput{Name: "Taken"}); err != nil &&
				!access.IsCode(err, access.CodeConflict) {
				t.Fatal(err)
			}
			id := w.make("Group", fmt.Sprintf(`{"displayName":%q,"members":[%s]}`, t.Name(), one("a")))
			a := w.ask(http.MethodPatch, "/Groups/"+id, strings.ReplaceAll(operations(c.send...), "%s", name))
			a.t = t
			var status int
			var kind string
			if n, _ := fmt.Sscan(c.want, &status, &kind); n == 2 {
				a.is(status, kind)
				equal(t, w.members(id, ids), "a")
				return
			}
			a.is(http.StatusNoContent)
			shown := "-"
			if now := w.ask(http.MethodGet, "/Groups/"+id, "").text("displayName"); now != t.Name() {
				shown = strings.TrimSuffix(now, " "+name)
			}
			equal(t, w.members(id, ids)+" "+shown, c.want)
		})
	}
}

func TestGroupFilter(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := w.people("a", "b")
	in := func(who ...string) string {
		var some []string
		for _, name := range who {
			some = append(some, `{"value":"`+ids[name]+`"}`)
		}
		return `"members":[` + strings.Join(some, ",") + `]`
	}
	x := w.make("Group", `{"displayName":"Xylem","externalId":"1",`+in("a")+`}`)
	w.make("Group", `{"displayName":"Yard",`+in("a", "b")+`}`)
	w.make("Group", `{"displayName":"Zinc"}`)
	for filter, want := range map[string]string{
		`displayName eq "xylem"`:                                     "Xylem",
		`externalId eq "1"`:                                          "Xylem",
		`members eq "` + ids["a"] + `"`:                              "Xylem Yard",
		`id eq "` + x + `" and members eq "` + ids["b"] + `"`:        "",
		`id eq "` + x + `" and members[value eq "` + ids["a"] + `"]`: "Xylem",
		`members.value eq "` + ids["b"] + `"`:                        "Yard",
		`not (members.value eq "` + ids["b"] + `")`:                  "Xylem Zinc",
		`members pr`:       "Xylem Yard",
		`not (members pr)`: "Zinc",
		`members[type eq "User" and value eq "` + ids["b"] + `"]`: "Yard",
		`members.type eq "Group"`:                                 "",
		`meta.resourceType eq "group"`:                            "Xylem Yard Zinc",
	} {
		a := w.ask(http.MethodGet, "/Groups"+query(filter), "").is(http.StatusOK)
		if got := a.list("displayName"); got != want {
			t.Errorf("%s: got %s, not %s", filter, got, want)
		}
	}
	for _, filter := range []string{`members.display co "a"`, `userName pr`, `displayName[value eq "x"]`} {
		w.ask(http.MethodGet, "/Groups"+query(filter), "").is(400, "invalidFilter")
	}
}

func TestGroupIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	member := w.user(actor.RoleMember, "member@example.com")
	admin := w.user(actor.RoleAdmin, "admin@example.com")
	id := w.make("Group", `{"displayName":"Crew","externalId":"1"}`)
	one, rename := "/Groups/"+id, operations(`{"op":"replace","path":"displayName","value":"x"}`)
	w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"displayName":"Crew"}`)).is(409, "uniqueness")
	w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"displayName":"B","externalId":"1"}`)).is(409, "uniqueness")
	w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"members":[]}`)).is(400, "invalidValue")
	for _, token := range []string{w.tokenOf(member), w.tokenOf(admin, "users:write", "users:read")} {
		by := []string{"Authorization", "Bearer " + token}
		w.ask(http.MethodPatch, one, rename, by...).is(http.StatusForbidden)
		w.ask(http.MethodPut, one, withSchema("Group", `{"displayName":"x"}`), by...).is(http.StatusForbidden)
		w.ask(http.MethodDelete, one, "", by...).is(http.StatusForbidden)
		w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"displayName":"x"}`), by...).is(http.StatusForbidden)
		w.ask(http.MethodGet, one, "", by...).is(http.StatusForbidden)
		w.ask(http.MethodGet, "/Groups", "", by...).is(http.StatusForbidden)
	}
	foreign := []string{"Authorization", "Bearer " + w.tokenOf(w.stranger)}
	w.ask(http.MethodGet, one, "", foreign...).is(http.StatusNotFound)
	w.ask(http.MethodPatch, one, rename, foreign...).is(http.StatusNotFound)
	w.ask(http.MethodPut, one, withSchema("Group", `{"displayName":"x"}`), foreign...).is(http.StatusNotFound)
	w.ask(http.MethodDelete, one, "", foreign...).is(http.StatusNotFound)
	theirs := w.people("a")["a"]
	w.ask(http.MethodPost, "/Groups", withSchema("Group", `{"displayName":"y","members":[{"value":"`+theirs+`"}]}`),
		foreign...).is(400, "invalidValue")
}

// Who is in a group for a time is shown until that ends. A directory that adds them has them in for good,
// and one that says who is in throws no guest out.
func TestGroupOfVisitors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := w.people("a", "b")
	id := w.make("Group", `{"displayName":"Crew"}`)
	group, err := typeid.Parse[typeid.UserGroup](id)
	must(t, err)
	guest := w.db.User.Create().SetName("Guest").SetRole(actor.RoleGuest).SaveX(w.owner)
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, in := range []access.AddUserGroupMembersInput{
		{UserIDs: []typeid.User{parseUser(t, ids["a"])}, ValidUntil: &past},
		{UserIDs: []typeid.User{parseUser(t, ids["b"])}, ValidUntil: &future},
		{UserIDs: []typeid.User{guest.ID}},
	} {
		in.UserGroupID = group
		_, err := w.access.AddUserGroupMembers(w.owner, in)
		must(t, err)
	}
	equal(t, w.members(id, ids), "b")
	w.ask(http.MethodPut, "/Groups/"+id, withSchema("Group", `{"displayName":"Crew","members":[
		{"value":"`+ids["a"]+`"},{"value":"`+ids["b"]+`"}]}`)).is(http.StatusOK)
	equal(t, w.members(id, ids), "ab")
	rows := w.db.UserGroupMember.Query().AllX(w.owner)
	equal(t, len(rows), 3)
	for _, row := range rows {
		if row.ValidFrom != nil || row.ValidUntil != nil {
			t.Errorf("%s is in for a time", row.UserID)
		}
	}
	equal(t, w.ask(http.MethodGet, "/Users"+query(`displayName eq "Guest"`), "").list("id"), "")
	w.ask(http.MethodGet, "/Users/"+guest.ID.String(), "").is(http.StatusNotFound)
	w.ask(http.MethodDelete, "/Users/"+guest.ID.String(), "").is(http.StatusNotFound)
}

// No page takes more statements for having more on it.
func TestListStatements(t *testing.T) {
	t.Parallel()
	w := setup(t)
	names := make([]string, 30)
	for i := range names {
		names[i] = fmt.Sprintf("p%02d", i)
	}
	ids := w.people(names...)
	for i, name := range names {
		w.make("Group", fmt.Sprintf(`{"displayName":"G%02d","members":[{"value":%q},{"value":%q}]}`,
			i, ids[name], ids["p00"]))
	}
	during := func(path string) int {
		w.sent.statements = nil
		w.ask(http.MethodGet, path, "").is(http.StatusOK)
		return len(w.sent.statements)
	}
	for _, path := range []string{"/Users?count=", "/Groups?count=", "/Groups?excludedAttributes=members&count="} {
		during(path + "1")
		few, many := during(path+"2"), during(path+"30")
		if many > few || many > 8 {
			t.Errorf("%s: %d statements, and %d for a longer page", path, few, many)
		}
	}
}

// A directory moves thousands of people in one request.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const many = 5000
	rows := make([]string, 0, many)
	for start := 0; start < many; start += 1000 {
		w.fill(start, 1000)
	}
	for _, u := range w.db.User.Query().AllX(w.owner) {
		rows = append(rows, `{"value":"`+u.ID.String()+`"}`)
	}
	began := time.Now()
	id := w.make("Group", `{"displayName":"All","members":[`+strings.Join(rows, ",")+`]}`)
	w.ask(http.MethodPut, "/Groups/"+id, withSchema("Group", `{"displayName":"All","members":[`+
		strings.Join(rows[:10], ",")+`]}`)).is(http.StatusOK)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	equal(t, w.db.UserGroupMember.Query().CountX(w.owner), 10)
}

func (w *world) fill(from, count int) {
	w.t.Helper()
	ctx := actor.NewContext(context.WithoutCancel(w.t.Context()), actor.System("test").Within(w.org.ID))
	bulk := w.db.User.MapCreateBulk(make([]struct{}, count), func(c *ent.UserCreate, i int) {
		c.SetName(fmt.Sprint(from + i)).SetEmail(fmt.Sprintf("%d@many.example", from+i))
	})
	must(w.t, bulk.Exec(ctx))
}
