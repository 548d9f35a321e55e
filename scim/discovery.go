package scim

import (
	"embed"
	"encoding/json"
	"net/http"
	"strings"
)

// documents say what is spoken here: the schemas, the types of resources, and what of the protocol.
//
//go:embed documents
var documents embed.FS

// read reads documents afresh: whoever gets them may cut them.
func (d *directory) read(kind string, to any) error {
	text, err := documents.ReadFile("documents/" + kind + ".json")
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(strings.ReplaceAll(string(text), "{base}", d.publicURL()+Path)), to)
}

// listDocuments shows all of a kind. They are not filtered, and a request to do so is refused
// (RFC 7644, section 4).
func (d *directory) listDocuments(kind string) func(*http.Request) (*reply, error) {
	return func(r *http.Request) (*reply, error) {
		if r.URL.Query().Has("filter") {
			return nil, &failure{status: http.StatusForbidden, detail: "these are not filtered"}
		}
		var all []resource
		if err := d.read(kind, &all); err != nil {
			return nil, err
		}
		return question{start: 1}.answer(len(all), all), nil
	}
}

func (d *directory) getDocument(kind string) func(*http.Request) (*reply, error) {
	return func(r *http.Request) (*reply, error) {
		var all []resource
		if err := d.read(kind, &all); err != nil {
			return nil, err
		}
		for _, one := range all {
			if one["id"] == r.PathValue("id") {
				return &reply{status: http.StatusOK, body: one}, nil
			}
		}
		return nil, notFound()
	}
}

func (d *directory) config(*http.Request) (*reply, error) {
	var one resource
	err := d.read("config", &one)
	return &reply{status: http.StatusOK, body: one}, err
}
