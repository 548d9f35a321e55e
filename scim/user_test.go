package scim_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/user"
)

// The examples of RFC 7644, sections 3.3 to 3.6, with an address for a name to sign in with.
func TestUserLives(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, since := w.events(0)
	made := w.ask(http.MethodPost, "/Users", withSchema("User", `{"userName":"BJensen@example.com",
		"externalId":"bjensen","password":"t1meMa$heen","title":"Tour Guide","roles":[{"value":"OWNER"}],
		"name":{"formatted":"Ms. Barbara J Jensen III","familyName":"Jensen","givenName":"Barbara"},
		"emails":[{"value":"babs@jensen.example","type":"home"},
			{"value":"bjensen@example.com","type":"work","primary":true}]}`)).is(http.StatusCreated)
	id := made.text("id")
	equal(t, made.Header.Get("Location"), "https://doors.example.com/scim/v2/Users/"+id)
	equal(t, made.text("meta.location"), made.Header.Get("Location"))
	equal(t, made.text("meta.version"), made.Header.Get("ETag"))
	equal(t, made.text("meta.resourceType"), "User")
	equal(t, made.text("userName"), "bjensen@example.com")
	equal(t, made.text("externalId"), "bjensen")
	equal(t, made.text("displayName"), "Ms. Barbara J Jensen III")
	equal(t, made.text("name.givenName")+made.text("name.familyName"), "BarbaraJensen")
	equal(t, made.text("emails.0.value")+made.text("emails.0.type"), "bjensen@example.comwork")
	equal(t, made.at("emails.1"), nil)
	equal(t, made.at("active"), any(true))
	equal(t, made.at("password"), nil)
	equal(t, w.db.User.GetX(w.owner, parseUser(t, id)).Role, actor.RoleMember)

	got := w.ask(http.MethodGet, "/Users/"+id, "").is(http.StatusOK)
	equal(t, got.body, made.body)
	same := w.ask(http.MethodGet, "/Users/"+id, "", "If-None-Match", got.Header.Get("ETag"))
	equal(t, same.is(http.StatusNotModified).body, "")

	const body = `{"userName":"bjensen@example.com","externalId":"bjensen","displayName":"Babs",
		"name":{"givenName":"Barbara"},"active":false,"emails":[{"value":"bjensen@example.com"}]}`
	put := w.ask(http.MethodPut, "/Users/"+id, withSchema("User", body), "If-Match",
		made.Header.Get("ETag")).is(http.StatusOK)
	equal(t, put.text("displayName")+put.text("name.formatted"), "BabsBabs")
	equal(t, put.at("name.familyName"), nil)
	equal(t, put.at("active"), any(false))
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch} {
		sent := withSchema("User", body)
		if method == http.MethodPatch {
			sent = operations(`{"op":"replace","path":"active","value":true}`)
		}
		w.ask(method, "/Users/"+id, sent, "If-Match", made.Header.Get("ETag")).
			is(http.StatusPreconditionFailed)
	}
	again := w.ask(http.MethodPut, "/Users/"+id, withSchema("User", body), "If-Match", "*").is(http.StatusOK)
	equal(t, again.Header.Get("ETag"), put.Header.Get("ETag"))
	kept := w.ask(http.MethodPut, "/Users/"+id, withSchema("User", `{"userName":"bjensen@example.com"}`))
	equal(t, kept.is(http.StatusOK).at("active"), any(false)) // what is left out wakes nobody
	equal(t, kept.at("externalId"), nil)

	equal(t, w.ask(http.MethodDelete, "/Users/"+id, "").is(http.StatusNoContent).body, "")
	w.ask(http.MethodGet, "/Users/"+id, "").is(http.StatusNotFound)
	w.ask(http.MethodDelete, "/Users/"+id, "").is(http.StatusNotFound)
	told, _ := w.events(since)
	equal(t, told, "user.created user.updated user.updated user.deleted")
}

func TestUserIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	admin := w.user(actor.RoleAdmin, "admin@example.com")
	member := w.user(actor.RoleMember, "member@example.com")
	id := w.make("User", `{"userName":"gate@example.com","externalId":"1","displayName":"Gate"}`)
	_, since := w.events(0)
	bearer := func(token string) string { return "Bearer " + token }
	post := func(body string, headers ...string) answer {
		return w.ask(http.MethodPost, "/Users", withSchema("User", body), headers...)
	}
	post(`{"userName":"GATE@example.com"}`).is(409, "uniqueness")
	post(`{"userName":"other@example.com","externalId":"1"}`).is(409, "uniqueness")
	post(`{"userName":"bjensen"}`).is(400, "invalidValue")
	post(`{"displayName":"Nobody"}`).is(400, "invalidValue")
	post(`{"userName":"a@example.com","emails":[{"value":"b@example.com","type":"work"}]}`).is(400, "invalidValue")
	post(`{"userName":"a@example.com","active":"perhaps"}`).is(400, "invalidValue")
	post(`{"userName":7}`).is(400, "invalidSyntax")
	post(`{`).is(400, "invalidSyntax")
	all := post(`{"userName":"a","displayName":"`+strings.Repeat("x", 201)+`"}`).is(400, "invalidValue")
	for _, name := range []string{"userName", "displayName"} {
		if !strings.Contains(all.text("detail"), name+": ") {
			t.Errorf("nothing of %s in: %s", name, all.body)
		}
	}
	w.ask(http.MethodPost, "/Users", `{"userName":"a@example.com"}`).is(400, "invalidSyntax")
	post(`{"userName":"a@example.com"}`, "Content-Type", "text/plain").is(http.StatusUnsupportedMediaType)
	post(`{"userName":"` + strings.Repeat("x", 4<<20) + `"}`).is(http.StatusRequestEntityTooLarge)

	for name, token := range map[string]string{"none": "", "bad": bearer("cardea_nonsense"), "other": "Basic abc"} {
		a := post(`{"userName":"a@example.com"}`, "Authorization", token)
		if a.is(http.StatusUnauthorized).Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: not told how to authenticate", name)
		}
	}
	one := "/Users/" + id
	edit := operations(`{"op":"replace","path":"active","value":false}`)
	for name, token := range map[string]string{
		"member": w.tokenOf(member), "reads only": w.tokenOf(admin, "users:read"),
		"others": w.tokenOf(admin, "groups:write"),
	} {
		by := []string{"Authorization", bearer(token)}
		w.ask(http.MethodPatch, one, edit, by...).is(http.StatusForbidden)
		w.ask(http.MethodDelete, one, "", by...).is(http.StatusForbidden)
		w.ask(http.MethodPut, one, withSchema("User", `{"userName":"gate@example.com"}`), by...).
			is(http.StatusForbidden)
		post(`{"userName":"a@example.com"}`, by...).is(http.StatusForbidden)
		if name != "reads only" {
			w.ask(http.MethodGet, one, "", by...).is(http.StatusForbidden)
			w.ask(http.MethodGet, "/Users", "", by...).is(http.StatusForbidden)
		}
	}
	foreign := []string{"Authorization", bearer(w.tokenOf(w.stranger))}
	w.ask(http.MethodGet, one, "", foreign...).is(http.StatusNotFound)
	w.ask(http.MethodPatch, one, edit, foreign...).is(http.StatusNotFound)
	w.ask(http.MethodPut, one, withSchema("User", `{"userName":"x@example.com"}`), foreign...).is(http.StatusNotFound)
	w.ask(http.MethodDelete, one, "", foreign...).is(http.StatusNotFound)
	equal(t, w.ask(http.MethodGet, "/Users", "", foreign...).list("userName"), "desk@example.com")
	w.ask(http.MethodGet, "/Users/2819c223", "").is(http.StatusNotFound)
	w.ask(http.MethodGet, "/Widgets", "").is(http.StatusNotFound)
	w.ask(http.MethodPost, one, "{}").is(http.StatusMethodNotAllowed)
	w.ask(http.MethodGet, "/Me", "").is(http.StatusNotImplemented)
	w.ask(http.MethodPost, "/Bulk", "{}").is(http.StatusNotImplemented)

	// Owners are owners' to change, and the last one stays.
	desk, byAdmin := "/Users/"+w.desk.ID.String(), []string{"Authorization",
		bearer(w.tokenOf(admin, "users:read", "users:write"))}
	w.ask(http.MethodPatch, desk, edit, byAdmin...).is(http.StatusForbidden)
	w.ask(http.MethodDelete, desk, "", byAdmin...).is(http.StatusForbidden)
	w.ask(http.MethodPatch, desk, edit).is(http.StatusConflict)
	w.ask(http.MethodDelete, desk, "").is(http.StatusConflict)
	told, _ := w.events(since)
	equal(t, strings.ReplaceAll(strings.ReplaceAll(told, "api_token.created", ""), " ", ""), "")
	equal(t, w.db.User.Query().Where(user.StatusEQ(user.StatusSUSPENDED)).CountX(w.owner), 0)
}

// What Okta, Entra and the RFC send to change a person, and what comes of it.
func TestUserPatch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const enterprise = `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User`
	for name, c := range map[string]struct {
		send []string
		want string // userName, displayName, givenName, familyName, externalId, active; or a status and a type
	}{
		"Entra deactivates": {[]string{
			`{"op":"Replace","path":"active","value":"False"}`,
		}, "%s|Night shift|Night|shift|x|false"},
		"Okta deactivates": {[]string{
			`{"op":"replace","value":{"active":false}}`,
		}, "%s|Night shift|Night|shift|x|false"},
		"add is replace": {[]string{
			`{"op":"add","path":"displayName","value":"Gate"}`,
		}, "%s|Gate|Night|shift|x|true"},
		"an address by its type": {[]string{
			`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"new-%s"}`,
		}, "new-%s|Night shift|Night|shift|x|true"},
		"an address and the name": {[]string{
			`{"op":"Replace","path":"userName","value":"new-%s"}`,
			`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"NEW-%s"}`,
		}, "new-%s|Night shift|Night|shift|x|true"},
		"two addresses": {[]string{
			`{"op":"Replace","path":"userName","value":"new-%s"}`,
			`{"op":"Replace","path":"emails[primary eq true].value","value":"b@example.com"}`,
		}, "400 invalidValue"},
		"addresses in a list": {[]string{
			`{"op":"replace","path":"emails",
				"value":[{"type":"home","value":"h@example.com"},{"type":"work","value":"new-%s"}]}`,
		}, "new-%s|Night shift|Night|shift|x|true"},
		"an address of home": {[]string{
			`{"op":"add","path":"emails[type eq \"home\"].value","value":"h@example.com"}`,
		}, "%s|Night shift|Night|shift|x|true"},
		"an address that is none": {[]string{
			`{"op":"replace","path":"emails[value eq \"h@example.com\"].value","value":"i@example.com"}`,
		}, "400 noTarget"},
		"parts of the name": {[]string{
			`{"op":"Replace","path":"name.givenName","value":"Day"}`,
		}, "%s|Day shift|Day|shift|x|true"},
		"a name by its parts": {[]string{
			`{"op":"replace","path":"name","value":{"familyName":"watch","givenName":"Day"}}`,
		}, "%s|Day watch|Day|watch|x|true"},
		"a name in words": {[]string{
			`{"op":"replace","path":"name.formatted","value":"Cellar"}`,
		}, "%s|Cellar|Night|shift|x|true"},
		"without a path": {[]string{
			`{"op":"replace",
				"value":{"id":"7","displayName":"Quay","name":{"familyName":"crew"},"externalId":"y"}}`,
		}, "%s|Quay|Night|crew|y|true"},
		"dotted without a path": {[]string{
			`{"op":"Add",
				"value":{"name.givenName":"Day",
				"emails[type eq \"work\"].value":"new-%s","` + enterprise + `:department":"Doors"}}`,
		}, "new-%s|Day shift|Day|shift|x|true"},
		"a whole URN": {[]string{
			`{"op":"replace","path":"` + userSchema + `:displayName","value":"Quay"}`,
		}, "%s|Quay|Night|shift|x|true"},
		"remove": {[]string{
			`{"op":"Remove","path":"name.familyName"}`,
			`{"op":"remove","path":"externalId"}`,
		}, "%s|Night|Night|-|-|true"},
		"null removes": {[]string{
			`{"op":"replace","path":"externalId","value":null}`,
		}, "%s|Night shift|Night|shift|-|true"},
		"in order": {[]string{
			`{"op":"replace","path":"displayName","value":"A"}`,
			`{"op":"replace","path":"displayName","value":"B"}`,
		}, "%s|B|Night|shift|x|true"},
		"what is not kept": {[]string{
			`{"op":"replace","path":"title","value":"x"}`,
			`{"op":"add","path":"` + enterprise + `:manager","value":"7"}`,
			`{"op":"add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`,
			`{"op":"add","path":"roles","value":[{"value":"ADMIN"}]}`,
		}, "%s|Night shift|Night|shift|x|true"},
		"remove nothing named": {[]string{`{"op":"remove"}`}, "400 noTarget"},
		"remove the name":      {[]string{`{"op":"remove","path":"userName"}`}, "400 invalidValue"},
		"remove active":        {[]string{`{"op":"remove","path":"active"}`}, "400 invalidValue"},
		"another operation":    {[]string{`{"op":"move","path":"userName"}`}, "400 invalidSyntax"},
		"no such attribute": {[]string{
			`{"op":"replace","path":"shoeSize","value":"9"}`,
		}, "400 invalidPath"},
		"no such path": {[]string{
			`{"op":"replace","path":"emails[","value":"9"}`,
		}, "400 invalidFilter"},
		"what is fixed": {[]string{
			`{"op":"replace","path":"id","value":"9"}`,
		}, "400 mutability"},
		"no truth": {[]string{
			`{"op":"replace","path":"active","value":"perhaps"}`,
		}, "400 invalidValue"},
		"no value": {[]string{`{"op":"replace","path":"active"}`}, "400 invalidValue"},
		"one fault stops all": {[]string{
			`{"op":"replace","path":"displayName","value":"A"}`,
			`{"op":"replace","path":"userName","value":"nobody"}`,
		}, "400 invalidValue"},
		"no operations": {nil, "400 invalidSyntax"},
	} {
		t.Run(name, func(t *testing.T) {
			email := strings.ReplaceAll(strings.ToLower(t.Name()), "/", "-") + "@example.com"
			email = strings.ReplaceAll(email, "_", "-")
			external := fmt.Sprintf("%q", email)
			id := w.make("User", `{"userName":"`+email+`","externalId":`+external+`,
				"name":{"givenName":"Night","familyName":"shift"}}`)
			before := w.ask(http.MethodGet, "/Users/"+id, "").is(200)
			_, since := w.events(0)
			sent := strings.ReplaceAll(operations(c.send...), "%s", email)
			a := w.ask(http.MethodPatch, "/Users/"+id, sent)
			if status, kind, _ := strings.Cut(c.want, " "); status == "400" {
				a.t = t
				a.is(http.StatusBadRequest, kind)
				equal(t, w.ask(http.MethodGet, "/Users/"+id, "").body, before.body)
				told, _ := w.events(since)
				equal(t, told, "")
				return
			}
			a.t = t
			a.is(http.StatusOK)
			got := []string{a.text("userName"), a.text("displayName"), orDash(a.at("name.givenName")),
				orDash(a.at("name.familyName")), orDash(a.at("externalId")), fmt.Sprint(a.at("active"))}
			if got[4] == email {
				got[4] = "x"
			}
			equal(t, strings.Join(got, "|"), strings.ReplaceAll(c.want, "%s", email))
			equal(t, a.text("emails.0.value"), a.text("userName"))
			equal(t, w.ask(http.MethodGet, "/Users/"+id, "").body, a.body)
		})
	}
}

func orDash(v any) string {
	if v == nil {
		return "-"
	}
	return v.(string)
}

func TestUserFilter(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := map[string]string{}
	for name, rest := range map[string]string{
		"a": `"displayName":"Ångström 100%","externalId":"X_1","name":{"givenName":"Ann","familyName":"O'Malley"}`,
		"b": `"displayName":"Back\\slash \"quay\"","externalId":"x-1","active":false`,
		"c": `"displayName":"Cellar","name":{"givenName":"ann"}`,
	} {
		ids[name] = w.make("User", `{"userName":"`+name+`@doors.example",`+rest+`}`)
	}
	created := w.ask(http.MethodGet, "/Users/"+ids["b"], "").text("meta.created")
	for filter, want := range map[string]string{
		`userName eq "a@doors.example"`:                                           "a",
		`userName Eq "A@DOORS.example"`:                                           "a",
		`USERNAME eq "a@doors.example"`:                                           "a",
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "A@"`:             "a",
		`userName co "@doors"`:                                                    "a b c",
		`userName ew "doors.example" and not (userName sw "a")`:                   "b c",
		`userName ne "a@doors.example" and emails co "doors"`:                     "b c",
		`userName gt "a@doors.example" and userName lt "c"`:                       "b",
		`userName ge "b@doors.example" and userName le "C@doors.example"`:         "b c",
		`userName pr and userName co "@doors"`:                                    "a b c",
		`userName eq "a@doors.example" or userName eq "b@doors.example"`:          "a b",
		`externalId eq "X_1"`:                                                     "a",
		`externalId eq "x_1"`:                                                     "",
		`externalId sw "x"`:                                                       "b",
		`externalId co "_"`:                                                       "a",
		`externalId ne "X_1" and userName co "doors"`:                             "b c",
		`not (externalId eq "X_1") and userName co "doors"`:                       "b c",
		`externalId pr`:                                                           "a b",
		`externalId eq null and userName co "doors"`:                              "c",
		`externalId ne null`:                                                      "a b",
		`externalId gt "X_1"`:                                                     "b",
		`displayName eq "ÅNGström 100%"`:                                          "a",
		`displayName ew "100%"`:                                                   "a",
		`displayName ew "10_%"`:                                                   "",
		`displayName co "\\slash \"QUAY"`:                                         "b",
		`displayName eq "\u0043ellar"`:                                            "c",
		`name.formatted sw "cell"`:                                                "c",
		`name.givenName eq "ann"`:                                                 "a c",
		`name.familyName co "O'Malley"`:                                           "a",
		`active eq false`:                                                         "b",
		`active eq False`:                                                         "b",
		`active eq "False"`:                                                       "b",
		`active ne false and userName co "@doors"`:                                "a c",
		`active eq true and not (userName sw "desk")`:                             "a c",
		`active pr and userName sw "a"`:                                           "a",
		`emails eq "a@doors.example"`:                                             "a",
		`emails.value eq "A@doors.example"`:                                       "a",
		`emails[type eq "work" and value co "@doors"]`:                            "a b c",
		`emails[type eq "home"]`:                                                  "",
		`emails[type eq "home"] or emails[primary eq true and value sw "b"]`:      "b",
		`emails.type eq "work" and emails.value sw "c"`:                           "c",
		`emails pr and userName sw "c"`:                                           "c",
		`id eq "` + ids["c"] + `"`:                                                "c",
		`id eq "` + ids["c"] + `" or id eq "2819c223"`:                            "c",
		`id ne "` + ids["c"] + `" and userName co "@doors"`:                       "a b",
		`meta.created eq "` + created + `"`:                                       "b",
		`meta.created le "` + created + `" and meta.created ge "` + created + `"`: "b",
		`meta.lastModified gt "2011-05-13T04:42:34Z" and userName co "@doors"`:    "a b c",
		`meta.lastModified lt "2011-05-13T04:42:34+02:00"`:                        "",
		`meta.resourceType eq "User" and userName sw "a@"`:                        "a",
		`schemas eq "` + userSchema + `" and userName sw "a@"`:                    "a",
		`schemas eq "` + groupSchema + `"`:                                        "",
		`userName sw "a@" or userName sw "b@" and externalId eq "none"`:           "a", // and binds first
		`(userName sw "a@" or userName sw "b@") and externalId eq "x-1"`:          "b",
		`  userName   sw  "a@"  `:                                                 "a",
	} {
		a := w.ask(http.MethodGet, "/Users"+query(filter), "")
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", filter, a.body)
			continue
		}
		got := strings.Fields(strings.ReplaceAll(a.list("userName"), "@doors.example", ""))
		slices.Sort(got)
		if strings.Join(got, " ") != want || a.at("totalResults") != float64(len(got)) {
			t.Errorf("%s: got %s, not %s", filter, got, want)
		}
	}
	for _, filter := range []string{
		`userName`, `userName eq`, `userName is "a"`, `userName eq "a`, `userName eq a`, `userName eq "a" and`,
		`(userName eq "a"`, `userName eq "a")`, `userName eq "a" userName eq "b"`, `eq "a"`, `not userName eq "a"`,
		`emails[type eq "work"`, `name[givenName eq "a"]`, `emails[shoe eq "a"]`, `userName eq 7`, `active eq 7`,
		`active gt true`, `active co "t"`, `id co "user"`, `id gt "user_1"`, `meta.created co "2026"`,
		`meta.created gt "yesterday"`, `meta.version eq "a"`, `meta.location pr`, `title pr`, `password eq "a"`,
		`userName eq "a\u0000"`, `emails.type co "w"`, "userName eq \"\xff\"",
		strings.Repeat("(", 100) + `userName pr` + strings.Repeat(")", 100), strings.Repeat(" ", 9000) + "id pr",
	} {
		a := w.ask(http.MethodGet, "/Users"+query(filter), "")
		if a.StatusCode != http.StatusBadRequest || a.text("scimType") != "invalidFilter" {
			t.Errorf("%s: %s", filter, a.body)
		}
	}
}

// Pages are cut by startIndex and count, and shapes by attributes (RFC 7644, sections 3.4.2.4 and 3.9).
func TestUserPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 5 {
		w.make("User", fmt.Sprintf(`{"userName":"%d@doors.example","name":{"givenName":"A","familyName":"B"}}`, i))
	}
	const all = "?filter=" + `userName+co+%22@doors%22`
	for asked, want := range map[string]string{
		"":                         "1 5 5: 0 1 2 3 4",
		"&startIndex=2&count=2":    "2 2 5: 1 2",
		"&startIndex=5&count=10":   "5 1 5: 4",
		"&startIndex=6":            "6 0 5: ",
		"&startIndex=0&count=1":    "1 1 5: 0",
		"&startIndex=-3&count=1":   "1 1 5: 0",
		"&count=0":                 "1 0 5: ",
		"&count=-1":                "1 0 5: ",
		"&count=100000":            "1 5 5: 0 1 2 3 4",
		"&startIndex=100000000000": "100000000000 0 5: ",
	} {
		a := w.ask(http.MethodGet, "/Users"+all+asked, "").is(http.StatusOK)
		equal(t, a.text("schemas.0"), "urn:ietf:params:scim:api:messages:2.0:ListResponse")
		got := fmt.Sprintf("%.0f %.0f %.0f: %s", a.at("startIndex"), a.at("itemsPerPage"), a.at("totalResults"),
			strings.ReplaceAll(a.list("userName"), "@doors.example", ""))
		if got != want {
			t.Errorf("%s: got %s, not %s", asked, got, want)
		}
	}
	w.ask(http.MethodGet, "/Users?count=many", "").is(400, "invalidValue")
	few := func(more string) string {
		a := w.ask(http.MethodGet, "/Users?count=1&startIndex=2"+more, "").is(http.StatusOK)
		one, _ := a.at("Resources.0").(map[string]any)
		return strings.Join(slices.Sorted(maps.Keys(one)), " ")
	}
	equal(t, few("&attributes=userName,NAME.familyName"), "id name schemas userName")
	equal(t, few("&attributes="+userSchema+":userName"), "id schemas userName")
	equal(t, few("&excludedAttributes=emails,id,name,meta,active"), "displayName id schemas userName")
	a := w.ask(http.MethodGet, "/Users?count=1&startIndex=2&attributes=name.familyName,emails.value", "")
	equal(t, a.text("Resources.0.name.familyName"), "B")
	equal(t, a.at("Resources.0.name.givenName"), nil)
	equal(t, a.at("Resources.0.emails.0.type"), nil)
	equal(t, a.text("Resources.0.emails.0.value"), "0@doors.example")

	found := w.ask(http.MethodPost, "/Users/.search", `{
		"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"attributes":["userName"],
		"filter":"userName sw \"3\"","startIndex":1,"count":10}`).is(http.StatusOK)
	equal(t, found.list("userName"), "3@doors.example")
	equal(t, found.at("Resources.0.meta"), nil)
}

func query(filter string) string { return "?" + url.Values{"filter": {filter}}.Encode() }
