package answer

import (
	"bytes"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

const hex = "0123456789ABCDEF"

// String writes a text as gqlgen does.
func String(w *bytes.Buffer, text string) {
	b := append(w.AvailableBuffer(), '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= 0x20 && c != '\\' && c != '"' {
			continue
		}
		b = append(b, text[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			b = append(b, `\t`...)
		case '\r':
			b = append(b, `\r`...)
		case '\n':
			b = append(b, `\n`...)
		case '\\', '"':
			b = append(b, '\\', c)
		default:
			b = append(b, `\u00`...)
			b = append(b, hex[c>>4], hex[c&0xf])
		}
	}
	b = append(b, text[start:]...)
	w.Write(append(b, '"'))
}

// Int writes a number.
func Int[T ~int | ~int32 | ~int64](w *bytes.Buffer, n T) {
	w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(n), 10))
}

// Bool writes true or false.
func Bool(w *bytes.Buffer, b bool) { w.Write(strconv.AppendBool(w.AvailableBuffer(), b)) }

// Scalar writes what one of gqlgen's marshalers does, or nothing and false for null.
func Scalar(w *bytes.Buffer, m graphql.Marshaler) bool {
	if m == graphql.Null {
		return false
	}
	m.MarshalGQL(w)
	return true
}
