package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// expression is a node of a filter (RFC 7644, section 3.4.2.2): "and", "or" and "not" of what is inside,
// a comparison of an attribute with a value, or "has": some value of the attribute for which what is
// inside holds, emails[type eq "work"].
type expression struct {
	verb      string
	attribute string // in lower case, without the URN of its schema
	value     any    // nil, bool, string or json.Number
	inside    []*expression
}

// comparisons are the operators. All but "pr" have a value.
var comparisons = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"}

const (
	maxFilter = 8 << 10 // bytes
	maxDepth  = 40      // of nested expressions
)

// parser reads a filter, or a path of PATCH, from the left.
type parser struct {
	rest  string
	depth int
}

func parseFilter(text string) (*expression, error) {
	if len(text) > maxFilter || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, invalidFilter("it is too long, or not text")
	}
	p := &parser{rest: text}
	e, err := p.or()
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (p *parser) end() error {
	if p.skip(); p.rest != "" {
		return invalidFilter("did not expect %q", clip(p.rest))
	}
	return nil
}

func (p *parser) or() (*expression, error)  { return p.chain("or", p.and) }
func (p *parser) and() (*expression, error) { return p.chain("and", p.term) }

// chain is one or more expressions with the word between them.
func (p *parser) chain(word string, next func() (*expression, error)) (*expression, error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	all := []*expression{first}
	for p.word(word) {
		e, err := next()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	if len(all) == 1 {
		return first, nil
	}
	return &expression{verb: word, inside: all}, nil
}

func (p *parser) term() (*expression, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, invalidFilter("it is nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.take('(') {
		return p.group(')')
	}
	before := p.rest
	if p.word("not") {
		if p.take('(') {
			e, err := p.group(')')
			return &expression{verb: "not", inside: []*expression{e}}, err
		}
		p.rest = before // an attribute of that name
	}
	attribute, err := p.attribute()
	if err != nil {
		return nil, err
	}
	if p.take('[') {
		e, err := p.group(']')
		return &expression{verb: "has", attribute: attribute, inside: []*expression{e}}, err
	}
	return p.comparison(attribute)
}

func (p *parser) group(end byte) (*expression, error) {
	e, err := p.or()
	if err == nil && !p.take(end) {
		err = invalidFilter("expected %q before %q", string(end), clip(p.rest))
	}
	return e, err
}

func (p *parser) comparison(attribute string) (*expression, error) {
	p.skip()
	verb := strings.ToLower(p.while(isLetter))
	if !slices.Contains(comparisons, verb) {
		return nil, invalidFilter("%q is no operator", clip(verb))
	}
	e := &expression{verb: verb, attribute: attribute}
	if verb == "pr" {
		return e, nil
	}
	var err error
	e.value, err = p.literal()
	return e, err
}

// literal is a value in JSON. Directories also write True and False.
func (p *parser) literal() (any, error) {
	p.skip()
	if strings.HasPrefix(p.rest, `"`) {
		return p.text()
	}
	word := p.while(func(c byte) bool { return isLetter(c) || isDigit(c) || strings.IndexByte("+-.", c) >= 0 })
	switch strings.ToLower(word) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "null":
		return nil, nil
	}
	var number json.Number
	if json.Unmarshal([]byte(word), &number) != nil || word == "" {
		return nil, invalidFilter("%q is no value", clip(word+p.rest))
	}
	return number, nil
}

func (p *parser) text() (string, error) {
	end := 1
	for end < len(p.rest) && p.rest[end] != '"' {
		if p.rest[end] == '\\' {
			end++
		}
		end++
	}
	var text string
	if end >= len(p.rest) || json.Unmarshal([]byte(p.rest[:end+1]), &text) != nil ||
		strings.ContainsRune(text, 0) {
		return "", invalidFilter("%s is no text", clip(p.rest))
	}
	p.rest = p.rest[end+1:]
	return text, nil
}

// attribute is the name of one, perhaps with that of a part of it, and with the URN of its schema.
func (p *parser) attribute() (string, error) {
	p.skip()
	name := p.while(func(c byte) bool {
		return isLetter(c) || isDigit(c) || strings.IndexByte(":._$-", c) >= 0
	})
	if name == "" || !isLetter(name[0]) && name[0] != '$' {
		return "", invalidFilter("expected an attribute before %q", clip(name+p.rest))
	}
	return plain(name), nil
}

// plain is an attribute's name in lower case, without the URN of a schema that we have.
func plain(name string) string {
	name = strings.ToLower(name)
	for _, schema := range []string{userSchema, groupSchema} {
		if short, ok := strings.CutPrefix(name, strings.ToLower(schema)+":"); ok {
			return short
		}
	}
	return name
}

func (p *parser) skip() { p.rest = strings.TrimLeft(p.rest, " \t") }

func (p *parser) take(c byte) bool {
	p.skip()
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// word takes a word in any case, if it stands there by itself.
func (p *parser) word(word string) bool {
	p.skip()
	if len(p.rest) < len(word) || !strings.EqualFold(p.rest[:len(word)], word) {
		return false
	}
	if rest := p.rest[len(word):]; rest == "" || rest[0] == ' ' || rest[0] == '(' {
		p.rest = rest
		return true
	}
	return false
}

func (p *parser) while(is func(byte) bool) string {
	end := 0
	for end < len(p.rest) && is(p.rest[end]) {
		end++
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	return word
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// clip keeps what an error repeats short.
func clip(text string) string {
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	return text
}

func invalidFilter(format string, args ...any) error {
	return &failure{status: 400, kind: "invalidFilter", detail: "filter: " + fmt.Sprintf(format, args...)}
}

// path is the target of an operation of PATCH: an attribute, perhaps of those values of it for which
// a filter holds, perhaps a part of it.
type path struct {
	attribute string // as in expression, with the part if there is no filter
	which     *expression
	part      string // of the values that the filter chooses
}

func parsePath(text string) (path, error) {
	wrong := &failure{status: 400, kind: "invalidPath", detail: "no such path: " + clip(text)}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return path{}, wrong
	}
	p := &parser{rest: text}
	attribute, err := p.attribute()
	if err != nil {
		return path{}, wrong
	}
	to := path{attribute: attribute}
	if p.take('[') {
		if to.which, err = p.group(']'); err != nil {
			return path{}, err
		}
		if p.take('.') {
			to.part = strings.ToLower(p.while(func(c byte) bool { return isLetter(c) || isDigit(c) || c == '$' }))
		}
	}
	if p.end() != nil {
		return path{}, wrong
	}
	return to, nil
}
