package main

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// place is an item of a subscription: an event and, if that is about several doors, which.
type place struct {
	sequence int64
	door     typeid.Door
}

// interest is what a subscription is to hear, by its filter and by the rights of its person. It says
// so in its own words, from the schema's promises, not by the program's code.
type interest struct {
	person person
	doors  map[typeid.Door]bool // of a subscription to doors, or to the events of doors; nil: all
	site   typeid.Site          // of which the person may see the events; zero: of all
	events bool                 // it is a subscription to events, else to doors
	kinds  map[string]bool      // only events of these types; nil: all
	own    bool                 // to whichever doors are the person's
}

// of returns the items that tell of an event.
func (i interest) of(e *journal.Event, links map[typeid.Device]*device) []place {
	if i.events {
		if i.hears(e) {
			return []place{{sequence: e.Sequence}}
		}
		return nil
	}
	if e.Type == "device.connected" || e.Type == "device.disconnected" {
		var all []place
		for _, door := range links[e.Device].doors { // in the order of their identifiers
			if i.doors[door] {
				all = append(all, place{e.Sequence, door})
			}
		}
		return all
	}
	if i.doors[e.Door] {
		return []place{{e.Sequence, e.Door}}
	}
	return nil
}

func (i interest) hears(e *journal.Event) bool {
	return (i.doors == nil || i.doors[e.Door]) && (i.kinds == nil || i.kinds[e.Type]) &&
		(i.site.IsZero() || e.Site == i.site || e.User == i.person.id)
}

// request is the payload of the subscription, after a cursor.
func (i interest) request(after string) json.RawMessage {
	variables := map[string]any{"after": after}
	query := `subscription ($after: Cursor, $ids: [ID!]) {
		doors(after: $after, ids: $ids) { cursor doorId event { sequence } } }`
	if i.doors != nil && !i.own {
		variables["ids"] = slices.Collect(maps.Keys(i.doors))
	}
	if i.events {
		query = `subscription ($after: Cursor, $ids: [ID!], $types: [String!]) {
			events(after: $after, filter: {doorIds: $ids, types: $types}) { cursor event { sequence } } }`
		if i.kinds != nil {
			variables["types"] = slices.Collect(maps.Keys(i.kinds))
		}
	}
	payload, _ := json.Marshal(map[string]any{"query": query, "variables": variables})
	return payload
}
