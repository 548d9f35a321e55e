// Package verdict decides: who may open which door, when, and why not. It is pure. Whatever else
// decides in Cardea (an unlock, a device's offline list, the explaining queries, the simulator) asks
// Policy.Decide.
//
// What is looked at, in this order; the first that refuses, or that grants without a key, decides:
//
//  1. The person: unknown or suspended refuses.
//  2. The credential, if one was presented: revoked, suspended, expired, not yet valid or blocked
//     refuses.
//  3. The mode in force. LOCKDOWN and DISABLED refuse everybody, LOCKED everybody but operators, and
//     UNLOCKED grants. Locking a door passes this step.
//  4. The operator's right, if it was invoked: it grants.
//  5. Keys. One that is valid grants; of several, one without limited uses, then the one that lasts
//     longest. Without one, the reason is that of the key that came closest, or that the door waits
//     for a first person, if that is closer.
//  6. Areas that the door leads into or out of, where they enforce.
//
// The mode in force is, from the strongest: a lockdown; the door's own LOCKDOWN or DISABLED; an
// override; the unlock schedule, over CONTROLLED alone; the door's own mode.
//
// A key bears on a person and a door along a path: the person, or a group that they are in, or the
// group that that one is part of; and the door, its site, or a group of doors likewise. It is valid
// while the key and both ends of the path are: it ends with the first that ends. A shared key is
// valid while its parent also is, along a path of its own from whoever shared it.
//
// The package imports access/schedule, typeid and the enumerations of ent.
package verdict

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/typeid"
)

// Policy is facts compiled for deciding. It never changes; any number of goroutines may ask it.
type Policy struct {
	people map[typeid.User]*person
	doors  map[typeid.Door]*opening
}

// raw identifies a holder (a person or a group) or a target (a door, a group of doors or a site).
type raw [16]byte

// place numbers what the doors of a policy are reached by: themselves, their groups and sites.
type place int

// span is a time in microseconds; until is exclusive.
type span struct{ from, until int64 }

// never is after every instant.
const never int64 = math.MaxInt64

var always = span{math.MinInt64, never}

// holding is what a person counts as, for a time, and the keys that it has.
type holding struct {
	id raw
	span
	group typeid.UserGroup // zero for the person themselves
	keys  map[place][]*key
}

// target is what a door counts as, for a time.
type target struct {
	place place
	span
	id    raw
	group typeid.DoorGroup // zero for the door itself and its site
}

type person struct {
	Person
	holdings []holding
	presence map[typeid.Area]Presence
}

type opening struct {
	Door
	targets     []target
	site        place
	override    span
	lockdown    span
	firstIn     int64
	unlock      *schedule.Timetable
	into, outOf *Area
}

type key struct {
	Key
	span
	holder raw
	opens  []place
	runs   map[place]*schedule.Timetable // its schedule, by site
	parent *key
	// held is while whoever shared it holds its parent: always, if it was shared by right.
	held []span
	// unheld is what a shared key is worth while nobody holds its parent.
	unheld closeness
}

// Compile makes a policy of facts.
func Compile(f Facts) *Policy {
	c := compiler{
		facts: f, places: map[raw]place{}, keys: make(map[typeid.Key]*key, len(f.Keys)),
		held: make(map[raw]map[place][]*key, len(f.Keys)),
		policy: &Policy{
			people: make(map[typeid.User]*person, len(f.People)),
			doors:  make(map[typeid.Door]*opening, len(f.Doors)),
		},
	}
	c.compileDoors()
	c.compileKeys()
	c.compilePeople()
	c.compileShares()
	return c.policy
}

type compiler struct {
	facts  Facts
	policy *Policy
	places map[raw]place
	keys   map[typeid.Key]*key
	held   map[raw]map[place][]*key // the keys of a holder, by what they open
}

func (c *compiler) place(id raw) place {
	number, known := c.places[id]
	if !known {
		number = place(len(c.places))
		c.places[id] = number
	}
	return number
}

func (c *compiler) target(id raw, during span, group typeid.DoorGroup) target {
	return target{place: c.place(id), span: during, id: id, group: group}
}

func (c *compiler) compileDoors() {
	f := &c.facts
	areas := make(map[typeid.Area]*Area, len(f.Areas))
	for i := range f.Areas {
		areas[f.Areas[i].ID] = &f.Areas[i]
	}
	for _, d := range f.Doors {
		o := &opening{
			Door: d, site: c.place(d.Site.UUID()), firstIn: micros(d.FirstInAt),
			override: spanOf(time.Time{}, d.OverrideUntil),
			lockdown: spanOf(time.Time{}, d.LockdownUntil),
			unlock:   f.Timetables[Timing{d.UnlockSchedule, d.Site}],
			into:     areas[d.Into], outOf: areas[d.OutOf],
		}
		o.targets = []target{
			c.target(d.ID.UUID(), always, typeid.DoorGroup{}),
			c.target(d.Site.UUID(), always, typeid.DoorGroup{}),
		}
		c.policy.doors[d.ID] = o
	}
	for _, m := range f.GroupDoors {
		d := c.policy.doors[m.Door]
		if d == nil {
			continue
		}
		during := spanOf(m.From, m.Until)
		d.targets = append(d.targets, c.target(m.Group.UUID(), during, m.Group))
		if whole, ok := f.DoorParents[m.Group]; ok {
			d.targets = append(d.targets, c.target(whole.UUID(), during, whole))
		}
	}
	for _, d := range c.policy.doors {
		slices.SortFunc(d.targets[2:], func(a, b target) int {
			return compare(a.id, b.id, a.span, b.span)
		})
	}
}

func (c *compiler) compileKeys() {
	runs := c.runs()
	for _, k := range c.facts.Keys {
		made := &key{
			Key: k, span: spanOf(k.From, k.Until), holder: holderOf(k), runs: runs[k.Schedule],
		}
		open := func(id raw) {
			at, known := c.places[id]
			if known && !slices.Contains(made.opens, at) {
				made.opens = append(made.opens, at)
			}
		}
		for _, id := range k.Doors {
			open(id.UUID())
		}
		for _, id := range k.DoorGroups {
			open(id.UUID())
		}
		for _, id := range k.Sites {
			open(id.UUID())
		}
		c.keys[k.ID] = made
		if made.holder != (raw{}) {
			c.hold(made)
		}
	}
	for _, held := range c.held {
		for _, same := range held {
			slices.SortFunc(same, func(a, b *key) int {
				return compare(raw(a.ID.UUID()), raw(b.ID.UUID()), span{}, span{})
			})
		}
	}
}

func (c *compiler) hold(k *key) {
	held := c.held[k.holder]
	if held == nil {
		held = make(map[place][]*key, len(k.opens))
		c.held[k.holder] = held
	}
	for _, at := range k.opens {
		held[at] = append(held[at], k)
	}
}

// runs gathers the timetables of each schedule by site.
func (c *compiler) runs() map[typeid.Schedule]map[place]*schedule.Timetable {
	runs := make(map[typeid.Schedule]map[place]*schedule.Timetable)
	for timing, table := range c.facts.Timetables {
		site, known := c.places[timing.Site.UUID()]
		if !known {
			continue
		}
		if runs[timing.Schedule] == nil {
			runs[timing.Schedule] = map[place]*schedule.Timetable{}
		}
		runs[timing.Schedule][site] = table
	}
	return runs
}

func (c *compiler) compilePeople() {
	f := &c.facts
	for _, someone := range f.People {
		c.policy.people[someone.ID] = &person{
			Person:   someone,
			holdings: []holding{c.holding(someone.ID.UUID(), always, typeid.UserGroup{})},
		}
	}
	for _, m := range f.Members {
		who := c.policy.people[m.User]
		if who == nil {
			continue
		}
		during := spanOf(m.From, m.Until)
		who.holdings = append(who.holdings, c.holding(m.Group.UUID(), during, m.Group))
		if whole, ok := f.UserParents[m.Group]; ok {
			who.holdings = append(who.holdings, c.holding(whole.UUID(), during, whole))
		}
	}
	for _, who := range c.policy.people {
		slices.SortFunc(who.holdings[1:], func(a, b holding) int {
			return compare(a.id, b.id, a.span, b.span)
		})
	}
	for _, seen := range f.Presences {
		if who := c.policy.people[seen.User]; who != nil {
			if who.presence == nil {
				who.presence = map[typeid.Area]Presence{}
			}
			who.presence[seen.Area] = seen
		}
	}
}

func (c *compiler) holding(id raw, during span, group typeid.UserGroup) holding {
	return holding{id: id, span: during, group: group, keys: c.held[id]}
}

// compileShares finds out while whoever shared a key holds what they shared.
func (c *compiler) compileShares() {
	for _, k := range c.keys {
		if k.Parent.IsZero() {
			continue
		}
		k.parent = c.keys[k.Parent]
		who := c.policy.people[k.SharedBy]
		switch {
		case k.parent == nil:
			k.unheld = keyRevoked
		case k.SharedBy.IsZero():
			k.held = []span{always}
		case who == nil || who.Suspended:
			k.unheld = keySuspended
		default:
			k.unheld = expired
			for _, h := range who.holdings {
				if h.id == k.parent.holder {
					k.held = append(k.held, h.span)
				}
			}
		}
	}
}

// compare makes one order of what came in any, so that equal facts decide equally, and by the same
// key.
func compare(a, b raw, during, or span) int {
	return cmp.Or(bytes.Compare(a[:], b[:]),
		cmp.Compare(during.until, or.until), cmp.Compare(during.from, or.from))
}

func holderOf(k Key) raw {
	if !k.Group.IsZero() {
		return k.Group.UUID()
	}
	return k.User.UUID()
}

func spanOf(from, until time.Time) span {
	s := always
	if !from.IsZero() {
		s.from = micros(from)
	}
	if !until.IsZero() {
		s.until = micros(until)
	}
	return s
}

// micros is an instant in microseconds. One that is too far away for them is the farthest.
func micros(at time.Time) int64 {
	const last = math.MaxInt64 / int64(time.Second/time.Microsecond)
	switch seconds := at.Unix(); {
	case seconds >= last:
		return math.MaxInt64
	case seconds <= -last:
		return math.MinInt64
	}
	return at.UnixMicro()
}

// within is where two spans overlap.
func (s span) within(o span) span { return span{max(s.from, o.from), min(s.until, o.until)} }
