package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// maxOperations is how many one request has at most.
const maxOperations = 1000

// operation is one of a PATCH (RFC 7644, section 3.5.2).
type operation struct {
	Op    string
	Path  *string
	Value json.RawMessage
}

func readPatch(r *http.Request) ([]operation, error) {
	var body struct{ Operations []operation }
	if err := readBody(r, patchMessage, &body); err != nil {
		return nil, err
	}
	if len(body.Operations) == 0 || len(body.Operations) > maxOperations {
		return nil, invalidSyntax("send from 1 to 1000 Operations")
	}
	for i, o := range body.Operations {
		switch o.Op = strings.ToLower(o.Op); o.Op { // Entra writes Add
		case "add", "replace", "remove":
		default:
			return nil, invalidSyntax("op is add, replace or remove")
		}
		body.Operations[i].Op = o.Op
	}
	return body.Operations, nil
}

// patch makes operations in their order.
func patch(operations []operation, apply func(string, path, json.RawMessage) error) error {
	for _, o := range operations {
		if o.Path == nil || *o.Path == "" {
			if err := patchAll(o, apply); err != nil {
				return err
			}
			continue
		}
		to, err := parsePath(*o.Path)
		if err == nil {
			err = apply(o.Op, to, o.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// patchAll makes an operation without a path: each name in its value is one. What directories put
// there beside what they change, such as the identifier, is let be.
func patchAll(o operation, apply func(string, path, json.RawMessage) error) error {
	if o.Op == "remove" {
		return noTarget()
	}
	var each map[string]json.RawMessage
	if err := decode(o.Value, &each); err != nil {
		return err
	}
	for _, name := range inOrder(o.Value) {
		to, err := parsePath(name)
		if err == nil {
			err = apply(o.Op, to, each[name])
		}
		f, _ := errors.AsType[*failure](err)
		if f != nil && (f.kind == "mutability" || f.kind == "invalidPath") {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inOrder are the names in an object as they are written, so that the last word is the last.
func inOrder(object json.RawMessage) (names []string) {
	tokens := json.NewDecoder(bytes.NewReader(object))
	_, _ = tokens.Token()
	for tokens.More() {
		name, err := tokens.Token()
		if err != nil {
			return names
		}
		names = append(names, name.(string))
		var value json.RawMessage
		if tokens.Decode(&value) != nil {
			return names
		}
	}
	return names
}

// eachPart makes an operation of each part in a value.
func eachPart(
	attribute, verb string, value json.RawMessage, apply func(string, path, json.RawMessage) error,
) error {
	var parts map[string]json.RawMessage
	if err := decode(value, &parts); err != nil {
		return err
	}
	for _, name := range inOrder(value) {
		to := path{attribute: attribute + "." + strings.ToLower(name)}
		if err := apply(verb, to, parts[name]); err != nil {
			return err
		}
	}
	return nil
}

// written takes a text, or removes it.
func written(to *string, verb string, value json.RawMessage) error {
	var text *string
	if verb != "remove" {
		if err := decode(value, &text); err != nil {
			return err
		}
	}
	*to = given(text)
	return nil
}

// required takes a text that cannot be removed.
func required(to *string, verb string, value json.RawMessage) error {
	if err := written(to, verb, value); err != nil {
		return err
	}
	if *to == "" {
		return invalidValue("a required attribute cannot be removed")
	}
	return nil
}

func decode(value json.RawMessage, to any) error {
	if json.Unmarshal(value, to) != nil {
		return invalidValue("a value is missing, or of another type than its attribute")
	}
	return nil
}

// decodeList reads a list, or one item in place of it.
func decodeList[T any](value json.RawMessage, to *[]T) error {
	if trimmed := bytes.TrimSpace(value); len(trimmed) > 0 && trimmed[0] == '{' {
		var one T
		err := decode(value, &one)
		*to = []T{one}
		return err
	}
	return decode(value, to)
}

// truth is a bool that Entra may send as text: "False".
type truth bool

// UnmarshalJSON reads true, false, and those words as text in any case.
func (t *truth) UnmarshalJSON(data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	if value == nil {
		return nil
	}
	is, ok := boolean(value)
	if !ok {
		return invalidValue("a value is true or false")
	}
	*t = truth(is)
	return nil
}

func noTarget() error {
	return &failure{http.StatusBadRequest, "noTarget", "the operation has no target"}
}

// holds says whether a filter is true of one value, of which these are the parts.
func holds(e *expression, parts map[string]any) (bool, error) {
	switch e.verb {
	case "not":
		is, err := holds(e.inside[0], parts)
		return !is, err
	case "and", "or":
		for _, inside := range e.inside {
			if is, err := holds(inside, parts); err != nil || is == (e.verb == "or") {
				return is, err
			}
		}
		return e.verb == "and", nil
	}
	part, known := parts[e.attribute]
	switch {
	case e.verb == "pr":
		return known, nil
	case e.verb == "eq":
		return known && same(part, e.value), nil
	case e.verb == "ne":
		return !known || !same(part, e.value), nil
	}
	have, isText := part.(string)
	wanted, ok := e.value.(string)
	have, wanted = strings.ToLower(have), strings.ToLower(wanted)
	switch {
	case !isText || !ok:
	case e.verb == "co":
		return strings.Contains(have, wanted), nil
	case e.verb == "sw":
		return strings.HasPrefix(have, wanted), nil
	case e.verb == "ew":
		return strings.HasSuffix(have, wanted), nil
	}
	return false, invalidFilter("%s %s is nothing to choose values by", clip(e.attribute), e.verb)
}

// namesOther says whether a filter asks for another value of a part than this one.
func namesOther(e *expression, part, than string) bool {
	if e.verb == "eq" && e.attribute == part {
		return !same(than, e.value)
	}
	for _, inside := range e.inside {
		if namesOther(inside, part, than) {
			return true
		}
	}
	return false
}
