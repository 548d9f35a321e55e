package shape

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
)

// ScalarError is why a value is none of its scalar. It may be shown to the client.
type ScalarError string

func (e ScalarError) Error() string { return string(e) }

// dateTime writes instants with exactly six decimals, as the journal does.
const dateTime = "2006-01-02T15:04:05.000000Z"

// MarshalDateTime writes an instant in UTC, to the microsecond; none is null.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return instant(t)
}

// instant writes itself.
type instant time.Time

// MarshalGQL implements graphql.Marshaler.
func (t instant) MarshalGQL(w io.Writer) {
	if b, ok := w.(*bytes.Buffer); ok {
		b.Write(time.Time(t).UTC().AppendFormat(b.AvailableBuffer(), `"`+dateTime+`"`))
		return
	}
	_, _ = io.WriteString(w, time.Time(t).UTC().Format(`"`+dateTime+`"`))
}

// UnmarshalDateTime reads RFC 3339 with an offset. What is finer than a microsecond is cut off.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}, ScalarError("must be an instant such as 2026-03-01T08:30:00Z")
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// MarshalLocalDateTime writes a local time.
func MarshalLocalDateTime(v string) graphql.Marshaler { return text(v) }

// UnmarshalLocalDateTime reads a local time, and adds the seconds if there are none. Whether it is one
// is left to access, which names all faults of an input at once.
func UnmarshalLocalDateTime(v any) (string, error) {
	s, err := graphql.UnmarshalString(v)
	if _, short := time.Parse("2006-01-02T15:04", s); short == nil {
		s += ":00"
	}
	return s, err
}

// MarshalLocalDate writes a date.
func MarshalLocalDate(v string) graphql.Marshaler { return text(v) }

// UnmarshalLocalDate reads a date. Whether it is one is left to access.
func UnmarshalLocalDate(v any) (string, error) { return graphql.UnmarshalString(v) }

// MarshalJSON writes a JSON value as it is; none is null.
func MarshalJSON(v json.RawMessage) graphql.Marshaler {
	if len(v) == 0 {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(v) })
}

// UnmarshalJSON reads any value, numbers digit by digit.
func UnmarshalJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, ScalarError("must be a JSON value")
	}
	if bytes.Contains(b.Bytes(), []byte(`\u0000`)) {
		return nil, ScalarError("must not contain the character U+0000") // Postgres has none
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// MarshalOutcome writes an outcome; none is null.
func MarshalOutcome(v event.Outcome) graphql.Marshaler { return optional(v) }

// UnmarshalOutcome reads an outcome.
func UnmarshalOutcome(v any) (event.Outcome, error) { return name[event.Outcome](v) }

// MarshalMethod writes a method; none is null.
func MarshalMethod(v event.Method) graphql.Marshaler { return optional(v) }

// UnmarshalMethod reads a method.
func UnmarshalMethod(v any) (event.Method, error) { return name[event.Method](v) }

// MarshalReason writes a reason code; none is null.
func MarshalReason(v schema.Reason) graphql.Marshaler { return optional(v) }

// UnmarshalReason reads a reason code.
func UnmarshalReason(v any) (schema.Reason, error) { return name[schema.Reason](v) }

func optional[T ~string](v T) graphql.Marshaler {
	if v == "" {
		return graphql.Null
	}
	return text(string(v))
}

// name reads an enum value; that it is one of the enum's has been checked by then.
func name[T ~string](v any) (T, error) {
	s, err := graphql.UnmarshalString(v)
	return T(s), err
}

// text is what has nothing in it that needs care.
type text string

// MarshalGQL implements graphql.Marshaler.
func (s text) MarshalGQL(w io.Writer) {
	if b, ok := w.(*bytes.Buffer); ok {
		b.Write(strconv.AppendQuote(b.AvailableBuffer(), string(s)))
		return
	}
	_, _ = io.WriteString(w, strconv.Quote(string(s)))
}
