package scim

import (
	"net/http"
	"strconv"
	"strings"

	"entgo.io/ent/dialect/sql"
)

const (
	defaultPage  = 100
	maxPage      = 200
	searchSchema = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
)

// question is what is asked of a list.
type question struct {
	filter *expression // nil: all
	start  int         // of the first item, which is 1
	count  int
	shape  shape
}

// searchBody is a question in a body, for what is too long or too personal for a URL.
type searchBody struct {
	Attributes         []string
	ExcludedAttributes []string
	Filter             string
	StartIndex         *int
	Count              *int
}

func questionOf(r *http.Request) (q question, err error) {
	var body searchBody
	if r.Method == http.MethodPost {
		if err := readBody(r, searchSchema, &body); err != nil {
			return q, err
		}
	} else {
		asked := r.URL.Query()
		body.Filter = asked.Get("filter")
		body.Attributes, body.ExcludedAttributes = listed(r, "attributes"), listed(r, "excludedAttributes")
		if body.StartIndex, err = number(asked.Get("startIndex")); err != nil {
			return q, err
		}
		if body.Count, err = number(asked.Get("count")); err != nil {
			return q, err
		}
	}
	q = question{start: 1, count: defaultPage, shape: shapeOf(body.Attributes, body.ExcludedAttributes)}
	if body.StartIndex != nil {
		q.start = max(*body.StartIndex, 1)
	}
	if body.Count != nil {
		q.count = min(max(*body.Count, 0), maxPage)
	}
	if strings.TrimSpace(body.Filter) != "" {
		q.filter, err = parseFilter(body.Filter)
	}
	return q, err
}

func number(text string) (*int, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, invalidValue("startIndex and count are numbers")
	}
	return &n, nil
}

// page cuts a query to what is asked for, which may be nothing.
func (q question) page(s *sql.Selector) { s.Offset(q.start - 1).Limit(q.count) }

// page is an answer to a question.
type page struct {
	Schemas   []string   `json:"schemas"`
	Total     int        `json:"totalResults"`
	Start     int        `json:"startIndex"`
	Items     int        `json:"itemsPerPage"`
	Resources []resource `json:"Resources"`
}

func (q question) answer(total int, items []resource) *reply {
	for _, item := range items {
		q.shape.cut(item)
	}
	return &reply{status: http.StatusOK, body: page{
		[]string{listMessage}, total, q.start, len(items), append([]resource{}, items...),
	}}
}

// resource is a user, a group or a document, as it is shown.
type resource map[string]any

// shape is which attributes are wanted: only some, or all but some. Their names are in lower case.
type shape struct{ only, without map[string]bool }

func shapeOf(only, without []string) shape {
	return shape{names(only), names(without)}
}

func shapeAsked(r *http.Request) shape {
	return shapeOf(listed(r, "attributes"), listed(r, "excludedAttributes"))
}

// listed is a parameter with commas.
func listed(r *http.Request, parameter string) []string {
	value := r.URL.Query().Get(parameter)
	if value == "" {
		return nil
	}
	return strings.Split(value, ",")
}

func names(given []string) map[string]bool {
	set := map[string]bool{}
	for _, name := range given {
		if name = plain(strings.TrimSpace(name)); name != "" {
			set[name] = true
		}
	}
	return set
}

// wants says whether anything of an attribute is wanted.
func (s shape) wants(name string) bool {
	return !s.without[name] && (len(s.only) == 0 || s.only[name] || s.part(name) != nil)
}

// part is which parts of an attribute alone are wanted; nil: none.
func (s shape) part(name string) map[string]bool {
	var parts map[string]bool
	for wanted := range s.only {
		if part, ok := strings.CutPrefix(wanted, name+"."); ok {
			if parts == nil {
				parts = map[string]bool{}
			}
			parts[part] = true
		}
	}
	return parts
}

// cut takes from a resource what is not wanted. Its identifier and its schemas stay.
func (s shape) cut(of resource) {
	for name, value := range of {
		lower := strings.ToLower(name)
		switch {
		case lower == "id" || lower == "schemas":
		case !s.wants(lower):
			delete(of, name)
		default:
			s.cutParts(lower, value)
		}
	}
}

func (s shape) cutParts(name string, value any) {
	only := s.part(name)
	if s.only[name] {
		only = nil
	}
	for _, values := range valuesOf(value) {
		for part := range values {
			lower := strings.ToLower(part)
			if only != nil && !only[lower] || s.without[name+"."+lower] {
				delete(values, part)
			}
		}
	}
}

func valuesOf(value any) []resource {
	switch value := value.(type) {
	case resource:
		return []resource{value}
	case []resource:
		return value
	}
	return nil
}
