package access

import (
	"encoding/json"
	"slices"

	"github.com/cardea/cardea/ent"
)

// changed is the data of an update's event: the columns that it sets or clears. Values stay out of the
// journal, because some of them are personal and the journal is for ever.
func changed(m ent.Mutation) json.RawMessage { return data("changed", changes(m)) }

// changes are the columns that an update sets or clears.
func changes(m ent.Mutation) []string {
	fields := slices.Concat(m.Fields(), m.ClearedFields())
	slices.Sort(fields)
	return slices.DeleteFunc(fields, func(f string) bool { return f == "updated_at" })
}

// data is an event's data of one field.
func data(name string, value any) json.RawMessage { return dataOf(map[string]any{name: value}) }

// dataOf is an event's data.
func dataOf(fields map[string]any) json.RawMessage {
	bytes, err := json.Marshal(fields)
	if err != nil {
		panic(err) // the callers pass strings, numbers and lists of them
	}
	return bytes
}

// orNil is nil for an identifier that is none.
func orNil[T interface{ IsZero() bool }](id T) *T {
	if id.IsZero() {
		return nil
	}
	return &id
}
