package scim_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The filters of RFC 7644, section 3.4.2.2, all of them and to the letter. A filter by what is not kept
// is refused, and not answered as if nobody had it: a directory that looks somebody up by it would
// otherwise make them again.
func TestFiltersOfTheRFC(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, rest := range map[string]string{
		"bjensen@example.com": `"name":{"familyName":"Jensen"}`,
		"j@example.org":       `"name":{"familyName":"O'Malley"}`,
	} {
		w.make("User", `{"userName":"`+name+`",`+rest+`}`)
	}
	const all = "bjensen@example.com desk@example.com j@example.org"
	for filter, want := range map[string]string{
		`userName eq "bjensen"`:                                      "",
		`userName eq "bjensen@example.com"`:                          "bjensen@example.com", // names are addresses here
		`name.familyName co "O'Malley"`:                              "j@example.org",
		`userName sw "J"`:                                            "j@example.org",
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`: "j@example.org",
		`title pr`: "title",
		`meta.lastModified gt "2011-05-13T04:42:34Z"`:                                               all,
		`meta.lastModified ge "2011-05-13T04:42:34Z"`:                                               all,
		`meta.lastModified lt "2011-05-13T04:42:34Z"`:                                               "",
		`meta.lastModified le "2011-05-13T04:42:34Z"`:                                               "",
		`title pr and userType eq "Employee"`:                                                       "title",
		`title pr or userType eq "Intern"`:                                                          "title",
		`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`:                   "",
		`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`:     "usertype",
		`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`: "usertype",
		`userType eq "Employee" and (emails.type eq "work")`:                                        "usertype",
		`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`:             "usertype",
		`emails[type eq "work" and value co "@example.com"] or ` +
			`ims[type eq "xmpp" and value co "@foo.com"]`: "ims",
		// The same without what is not kept.
		`(emails co "example.com" or emails.value co "example.org")`:     all,
		`not (emails co "example.com" or emails.value co "example.org")`: "",
		`emails[type eq "work" and value co "@example.com"]`:             "bjensen@example.com desk@example.com",
	} {
		a := w.ask(http.MethodGet, "/Users"+query(filter), "")
		if a.StatusCode != http.StatusOK {
			a.is(http.StatusBadRequest, "invalidFilter")
			if detail := a.text("detail"); !strings.HasPrefix(detail, "filter: "+want+" ") || want == "" {
				t.Errorf("%s: %s", filter, detail)
			}
			continue
		}
		names := strings.Fields(a.list("userName"))
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got %s, not %s", filter, got, want)
		}
	}
}

// The operations of RFC 7644, section 3.5.2, all of them, with the identifiers that people have here.
func TestOperationsOfTheRFC(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ids := w.people("a", "b", "c")
	const work = `{"type":"work","streetAddress":"911 Universal City Plaza","locality":"Hollywood",
		"region":"CA","postalCode":"91608","country":"US",
		"formatted":"911 Universal City Plaza\nHollywood, CA 91608 US","primary":true}`
	member := func(name string) string {
		return `{"display":"Babs Jensen","$ref":"https://example.com/v2/Users/` + ids[name] +
			`","value":"` + ids[name] + `"}`
	}
	for name, c := range map[string]struct {
		kind string
		send []string
		want string // who is in the group, or the address; or a status and a type
	}{
		"a member is added": {"Group", []string{
			`{"op":"add","path":"members","value":[` + member("b") + `]}`,
		}, "ab"},
		"attributes are added": {"User", []string{
			`{"op":"add","value":{"emails":[{"value":"babs@jensen.org","type":"home"}],"nickname":"Babs"}}`,
		}, "bjensen@example.com"},
		"a member is removed": {"Group", []string{
			`{"op":"remove","path":"members[value eq \"` + ids["a"] + `\"]"}`,
		}, ""},
		"all members are removed": {"Group", []string{`{"op":"remove","path":"members"}`}, ""},
		"an address is removed": {"User", []string{
			`{"op":"remove","path":"emails[type eq \"work\" and value ew \"example.com\"]"}`,
		}, "bjensen@example.com"}, // it is the userName, which is required, and the answer says so
		"one goes and one comes": {"Group", []string{
			`{"op":"remove","path":"members[value eq \"` + ids["a"] + `\"]"}`,
			`{"op":"add","path":"members","value":[` + member("c") + `]}`,
		}, "c"},
		"all members are replaced": {"Group", []string{
			`{"op":"replace","path":"members","value":[` + member("b") + `,` + member("c") + `]}`,
		}, "bc"},
		"an address of the post is replaced": {"User", []string{
			`{"op":"replace","path":"addresses[type eq \"work\"]","value":` + work + `}`,
		}, "bjensen@example.com"},
		"a street is replaced": {"User", []string{
			`{"op":"replace","path":"addresses[type eq \"work\"].streetAddress","value":"1010 Broadway Ave"}`,
		}, "bjensen@example.com"},
		"attributes are replaced": {"User", []string{
			`{"op":"replace","value":{"emails":[
				{"value":"bjensen@example.com","type":"work","primary":true},
				{"value":"babs@jensen.org","type":"home"}],"nickname":"Babs"}}`,
		}, "bjensen@example.com"},
		"a family's name": {"User", []string{
			`{"op":"replace","path":"name.familyName","value":"McDonald"}`,
		}, "bjensen@example.com"},
		"what a member is called": {"Group", []string{
			`{"op":"replace","path":"members[value eq \"` + ids["a"] + `\"].displayName","value":"x"}`,
		}, "400 noTarget"},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"displayName":"Tour guides","members":[` + member("a") + `]}`
			if c.kind == "User" {
				body = `{"userName":"bjensen@example.com"}`
			}
			path := "/" + c.kind + "s/" + w.make(c.kind, body)
			defer func() { w.ask(http.MethodDelete, path, "").is(http.StatusNoContent) }()
			a := w.ask(http.MethodPatch, path, operations(c.send...))
			a.t = t
			if status, kind, ok := strings.Cut(c.want, " "); ok {
				equal(t, a.Status[:3], status)
				equal(t, a.text("scimType"), kind)
				return
			}
			if c.kind == "Group" {
				a.is(http.StatusNoContent)
				equal(t, w.members(strings.TrimPrefix(path, "/Groups/"), ids), c.want)
				return
			}
			equal(t, a.is(http.StatusOK).text("emails.0.value"), c.want)
		})
	}
}
