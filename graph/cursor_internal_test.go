package graph

import (
	"testing"

	"github.com/google/uuid"

	"github.com/cardea/cardea/typeid"
)

// Whatever a client sends as a cursor is refused or means what we once meant by it.
func FuzzCursor(f *testing.F) {
	org := typeid.New[typeid.Organization]()
	f.Add("")
	f.Add("AQ")
	f.Add(encodeCursor(org, 'd', "Gate", uuid.New()))
	f.Add(encodeCursor(org, 'e', int64(1), int64(2)))
	f.Fuzz(func(t *testing.T, cursor string) {
		for _, list := range []byte{'d', 'e'} {
			values, err := decodeCursor(org, list, cursor)
			if err == nil && encodeCursor(org, list, values...) != cursor {
				t.Errorf("%q reads as %v", cursor, values)
			}
		}
	})
}
