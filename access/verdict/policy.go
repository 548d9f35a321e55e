// Package verdict decides: who may open which door, when, and why not. It is pure. Whatever else
// decides in Cardea (an unlock, a device's offline list, the explaining queries, the simulator) asks
// Policy.Decide.
//
// What is looked at, in this order; the first that refuses, or that grants without a key, decides:
//
//  1. The person: unknown or suspended refuses.
//  2. The credential, if one was presented: blocked, revoked, suspended, expired or not yet valid
//     refuses.
//  3. The mode in force. LOCKDOWN and DISABLED refuse everybody, LOCKED everybody but operators, and
//     UNLOCKED grants. Locking a door passes this step.
//  4. The operator's right, if it was invoked: it grants.
//  5. Keys. One that is valid grants; of several, one without limited uses, then the one that lasts
//     longest. Without one, the reason is that of the key that came closest.
//  6. Areas that the door leads into or out of, where they enforce.
//
// The mode in force is, from the strongest: a lockdown; the door's own LOCKDOWN or DISABLED; an
// override; the unlock schedule, over CONTROLLED alone; the door's own mode.
//
// The package imports access/schedule, typeid and the enumerations of ent.
package verdict

import (
	"bytes"
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
	keys   map[typeid.Key]*key
	grants map[pair][]*key
	tables map[Timing]*schedule.Timetable
}

// raw identifies a holder (a person or a group) or a target (a door, a group of doors or a site).
type raw [16]byte

type pair struct{ holder, target raw }

// span is a time in microseconds; until is exclusive.
type span struct{ from, until int64 }

var always = span{math.MinInt64, math.MaxInt64}

// membership is what a person or a door counts as, for a time.
type membership struct {
	id raw
	span
	userGroup typeid.UserGroup // zero for the person themselves
	doorGroup typeid.DoorGroup
}

type person struct {
	Person
	holders  []membership
	presence map[typeid.Area]Presence
}

type opening struct {
	Door
	targets     []membership
	override    span
	unlock      *schedule.Timetable
	into, outOf *Area
}

type key struct {
	Key
	span
	holder raw
	opens  map[raw]struct{}
	parent *key
}

// Compile makes a policy of facts.
func Compile(f Facts) *Policy {
	p := &Policy{
		people: make(map[typeid.User]*person, len(f.People)),
		doors:  make(map[typeid.Door]*opening, len(f.Doors)),
		keys:   make(map[typeid.Key]*key, len(f.Keys)),
		grants: make(map[pair][]*key, len(f.Keys)),
		tables: f.Timetables,
	}
	p.compilePeople(f)
	p.compileDoors(f)
	p.compileKeys(f)
	return p
}

func (p *Policy) compilePeople(f Facts) {
	for _, someone := range f.People {
		p.people[someone.ID] = &person{
			Person: someone, holders: []membership{{id: someone.ID.UUID(), span: always}},
		}
	}
	for _, m := range f.Members {
		who := p.people[m.User]
		if who == nil {
			continue
		}
		during := spanOf(m.From, m.Until)
		who.holders = append(who.holders, membership{id: m.Group.UUID(), span: during, userGroup: m.Group})
		if whole, ok := f.UserParents[m.Group]; ok {
			who.holders = append(who.holders, membership{id: whole.UUID(), span: during, userGroup: whole})
		}
	}
	for _, seen := range f.Presences {
		if who := p.people[seen.User]; who != nil {
			if who.presence == nil {
				who.presence = map[typeid.Area]Presence{}
			}
			who.presence[seen.Area] = seen
		}
	}
}

func (p *Policy) compileDoors(f Facts) {
	areas := make(map[typeid.Area]*Area, len(f.Areas))
	for i := range f.Areas {
		areas[f.Areas[i].ID] = &f.Areas[i]
	}
	for _, d := range f.Doors {
		p.doors[d.ID] = &opening{
			Door: d, override: spanOf(time.Time{}, d.OverrideUntil),
			targets: []membership{
				{id: d.ID.UUID(), span: always}, {id: d.Site.UUID(), span: always},
			},
			unlock: f.Timetables[Timing{d.UnlockSchedule, d.Site}],
			into:   areas[d.Into], outOf: areas[d.OutOf],
		}
	}
	for _, m := range f.GroupDoors {
		d := p.doors[m.Door]
		if d == nil {
			continue
		}
		during := spanOf(m.From, m.Until)
		d.targets = append(d.targets, membership{id: m.Group.UUID(), span: during, doorGroup: m.Group})
		if whole, ok := f.DoorParents[m.Group]; ok {
			d.targets = append(d.targets, membership{id: whole.UUID(), span: during, doorGroup: whole})
		}
	}
}

func (p *Policy) compileKeys(f Facts) {
	for _, k := range f.Keys {
		c := &key{Key: k, span: spanOf(k.From, k.Until), holder: holderOf(k), opens: map[raw]struct{}{}}
		for _, id := range k.Doors {
			c.opens[id.UUID()] = struct{}{}
		}
		for _, id := range k.DoorGroups {
			c.opens[id.UUID()] = struct{}{}
		}
		for _, id := range k.Sites {
			c.opens[id.UUID()] = struct{}{}
		}
		p.keys[k.ID] = c
	}
	for _, k := range p.keys {
		if !k.Parent.IsZero() {
			k.parent = p.keys[k.Parent]
		}
		if k.holder == (raw{}) {
			continue
		}
		for target := range k.opens {
			of := pair{k.holder, target}
			p.grants[of] = append(p.grants[of], k)
		}
	}
	for _, same := range p.grants { // so that equal facts decide equally, and by the same key
		slices.SortFunc(same, func(a, b *key) int { return compareKeys(a, b) })
	}
}

func compareKeys(a, b *key) int {
	x, y := a.ID.UUID(), b.ID.UUID()
	return bytes.Compare(x[:], y[:])
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
		s.from = from.UnixMicro()
	}
	if !until.IsZero() {
		s.until = until.UnixMicro()
	}
	return s
}

// within is where two spans overlap.
func (s span) within(o span) span { return span{max(s.from, o.from), min(s.until, o.until)} }
