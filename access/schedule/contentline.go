package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// line is a content line of RFC 5545, 3.1, unfolded. Names are in capitals.
type line struct {
	number     int // of its first line in the text
	name       string
	parameters map[string]string
	value      string
}

const maxCalendar = 1 << 20 // bytes

// readLines unfolds and splits a calendar. It accepts bare line feeds, as many programs write them.
func readLines(text []byte) ([]line, error) {
	if len(text) > maxCalendar {
		return nil, fmt.Errorf("must have at most %d bytes", maxCalendar)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("must be UTF-8")
	}
	var lines []line
	var unfolded []byte
	begin := 1
	rest := bytes.TrimPrefix(text, []byte("\ufeff"))
	for number := 1; len(rest) > 0 || unfolded != nil; number++ {
		var next []byte
		next, rest, _ = bytes.Cut(rest, []byte("\n"))
		next = bytes.TrimSuffix(next, []byte("\r"))
		if unfolded != nil && len(next) > 0 && (next[0] == ' ' || next[0] == '\t') {
			unfolded = append(unfolded, next[1:]...)
			continue
		}
		if len(unfolded) > 0 {
			l, err := readLine(string(unfolded))
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", begin, err)
			}
			l.number = begin
			lines = append(lines, l)
		}
		unfolded, begin = append([]byte(nil), next...), number
	}
	return lines, nil
}

func readLine(text string) (line, error) {
	l := line{parameters: map[string]string{}}
	end := strings.IndexAny(text, ";:")
	if end <= 0 {
		return l, errors.New("must be a name and a value")
	}
	l.name = strings.ToUpper(text[:end])
	for text = text[end:]; text[0] == ';'; {
		name, rest, found := strings.Cut(text[1:], "=")
		value, length := parameter(rest)
		if !found || length == len(rest) {
			return l, errors.New("must have a value after its parameters")
		}
		l.parameters[strings.ToUpper(name)] = value
		text = rest[length:]
	}
	l.value = text[1:]
	return l, nil
}

// parameter reads up to the next ; or : that is not quoted, and drops the quotes.
func parameter(text string) (value string, length int) {
	quoted := false
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == '"':
			quoted = !quoted
		case (r == ';' || r == ':') && !quoted:
			return b.String(), i
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), len(text)
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, "\n", `\N`, "\n")

// text is the value of a TEXT property in one line of at most maxText characters.
func (l line) text() string {
	value := plain(unescaper.Replace(l.value))
	if runes := []rune(value); len(runes) > maxText {
		return string(runes[:maxText])
	}
	return value
}

// plain has spaces for control characters, line ends above all.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// calendar is a text being written.
type calendar struct{ bytes.Buffer }

var escaper = strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`)

func (c *calendar) text(name, value string) { c.line(name, escaper.Replace(plain(value))) }

const foldAt = 75 // bytes, without the line's end

// line writes a content line, folded between characters.
func (c *calendar) line(name, value string) {
	text, room := name+":"+value, foldAt
	for len(text) > room {
		cut := room
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		c.WriteString(text[:cut] + "\r\n ")
		text, room = text[cut:], foldAt-1
	}
	c.WriteString(text + "\r\n")
}
