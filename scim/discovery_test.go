package scim_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := setup(t)
	config := w.ask(http.MethodGet, "/ServiceProviderConfig", "").is(http.StatusOK)
	equal(t, config.at("patch.supported"), any(true))
	equal(t, config.at("bulk.supported"), any(false))
	equal(t, config.text("meta.location"), "https://doors.example.com/scim/v2/ServiceProviderConfig")
	types := w.ask(http.MethodGet, "/ResourceTypes", "").is(http.StatusOK)
	equal(t, types.list("id"), "User Group")
	equal(t, w.ask(http.MethodGet, "/ResourceTypes/Group", "").is(http.StatusOK).text("schema"), groupSchema)
	w.ask(http.MethodGet, "/ResourceTypes/Door", "").is(http.StatusNotFound)
	schemas := w.ask(http.MethodGet, "/Schemas", "").is(http.StatusOK)
	equal(t, schemas.list("id"), userSchema+" "+groupSchema)
	equal(t, schemas.at("totalResults"), any(2.0))
	w.ask(http.MethodGet, "/Schemas"+query(`id pr`), "").is(http.StatusForbidden)
	w.ask(http.MethodGet, "/Schemas/urn:none", "").is(http.StatusNotFound)
	w.ask(http.MethodPost, "/Schemas", "{}").is(http.StatusMethodNotAllowed)
	w.ask(http.MethodGet, "/ServiceProviderConfig", "", "Authorization", "").is(http.StatusUnauthorized)
}

// What is shown of people and groups is what their schemas say, and nothing else.
func TestResourcesFollowTheirSchemas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	u := w.make("User", `{"userName":"a@doors.example","externalId":"1","name":{"givenName":"A","familyName":"B"}}`)
	g := w.make("Group", `{"displayName":"Crew","externalId":"1","members":[{"value":"`+u+`"}]}`)
	for path, schema := range map[string]string{"/Users/" + u: userSchema, "/Groups/" + g: groupSchema} {
		declared := w.ask(http.MethodGet, "/Schemas/"+schema, "").is(http.StatusOK)
		var want struct{ Attributes []declaration }
		must(t, json.Unmarshal([]byte(declared.body), &want))
		shown := w.ask(http.MethodGet, path, "").is(http.StatusOK).json
		for _, common := range []string{"id", "meta", "schemas", "externalId"} {
			delete(shown, common)
		}
		compare(t, path, shown, want.Attributes)
	}
}

type declaration struct {
	Name          string
	Type          string
	MultiValued   bool
	SubAttributes []declaration
}

func compare(t *testing.T, where string, shown map[string]any, declared []declaration) {
	t.Helper()
	var names []string
	for _, d := range declared {
		names = append(names, d.Name)
		value := shown[d.Name]
		if list, ok := value.([]any); ok != d.MultiValued {
			t.Errorf("%s.%s: multi-valued or not?", where, d.Name)
		} else if ok {
			value = list[0]
		}
		switch value := value.(type) {
		case map[string]any:
			compare(t, where+"."+d.Name, value, d.SubAttributes)
		case string:
			if d.Type != "string" && d.Type != "reference" {
				t.Errorf("%s.%s is no %s", where, d.Name, d.Type)
			}
		case bool:
			equal(t, d.Type, "boolean")
		}
	}
	slices.Sort(names)
	equal(t, strings.Join(slices.Sorted(maps.Keys(shown)), " "), strings.Join(names, " "))
}
