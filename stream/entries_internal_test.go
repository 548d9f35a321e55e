package stream

import (
	"strings"
	"testing"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// FuzzMessage reads what anyone might publish. What is taken must be this organization's events,
// the next ones.
func FuzzMessage(f *testing.F) {
	org := typeid.New[typeid.Organization]()
	bodies := make([]string, 3)
	for i := range bodies {
		e := journal.Event{
			ID: typeid.New[typeid.Event](), Organization: org, Sequence: int64(i + 5),
			Data: []byte("{}"),
		}
		body, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		bodies[i] = string(body)
	}
	all := strings.Join(bodies, "\n")
	for _, payload := range []string{
		"5 7\n" + all, "5 7", "6 7\n" + all, "5 9\n" + all, "7 5\n" + all, "-1 7\n" + all,
		"", "5", "5 7\n",
		"9223372036854775807 9223372036854775807\n" + all, "5 7\n" + all + "\n\n",
	} {
		f.Add(payload, int64(5))
	}
	f.Fuzz(func(t *testing.T, payload string, cursor int64) {
		m, err := parse(payload)
		if err != nil {
			return
		}
		events, err := m.after(org, cursor)
		if err != nil {
			return
		}
		for i, e := range events {
			next := events[0].Sequence + int64(i)
			if e.Organization != org || e.Sequence <= cursor || e.Sequence != next {
				t.Errorf("after %d came %d of %s", cursor, e.Sequence, e.Organization)
			}
		}
	})
}
