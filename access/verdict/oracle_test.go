package verdict_test

import (
	"slices"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// oracle decides from the facts as they are, by looking at all of them each time: slowly, and
// without a word in common with the package.
type oracle struct {
	verdict.Facts
	openings map[verdict.Timing]opening
	edges    []time.Time // every instant at which anything begins or ends, in order
}

// opening is a schedule at a site, minute by minute.
type opening struct {
	begin time.Time
	state []byte // 'o' open, 'c' closed, 'h' closed by a holiday
}

func (o opening) at(t time.Time) byte {
	minute := int(t.Sub(o.begin) / time.Minute)
	if t.Before(o.begin) || minute >= len(o.state) {
		return 'c'
	}
	return o.state[minute]
}

// since is when what is open at an instant opened.
func (o opening) since(t time.Time) time.Time {
	minute := int(t.Sub(o.begin) / time.Minute)
	for minute > 0 && o.state[minute-1] == 'o' {
		minute--
	}
	return o.begin.Add(time.Duration(minute) * time.Minute)
}

func during(from, until, at time.Time) bool {
	return (from.IsZero() || !at.Before(from)) && (until.IsZero() || at.Before(until))
}

func find[T any](all []T, is func(T) bool) (T, bool) {
	i := slices.IndexFunc(all, is)
	if i < 0 {
		var none T
		return none, false
	}
	return all[i], true
}

// answer is what the oracle knows of a question.
type answer struct {
	granted bool
	reason  schema.Reason
	alert   verdict.Alert
	keys    map[typeid.Key]bool // those that may be named; nil if none may
	limited bool
}

func (o oracle) mode(d verdict.Door, at time.Time) (door.Mode, schema.ModeCause, bool) {
	switch {
	case d.Lockdown && during(time.Time{}, d.LockdownUntil, at):
		return door.ModeLOCKDOWN, schema.ModeCauseLockdown, false
	case d.Mode == door.ModeLOCKDOWN, d.Mode == door.ModeDISABLED:
		return d.Mode, schema.ModeCauseStanding, false
	case d.Override != "" && during(time.Time{}, d.OverrideUntil, at):
		return d.Override, schema.ModeCauseOverride, false
	}
	table, planned := o.openings[verdict.Timing{Schedule: d.UnlockSchedule, Site: d.Site}]
	if d.Mode != door.ModeCONTROLLED || !planned || table.at(at) != 'o' {
		return d.Mode, schema.ModeCauseStanding, false
	}
	if d.FirstPersonIn {
		came := !d.FirstInAt.IsZero() && !d.FirstInAt.After(at) &&
			!d.FirstInAt.Before(table.since(at))
		if !came {
			return d.Mode, schema.ModeCauseStanding, true
		}
	}
	return door.ModeUNLOCKED, schema.ModeCauseSchedule, false
}

func (o oracle) decide(q verdict.Question) answer {
	who, knownPerson := find(o.People, func(p verdict.Person) bool { return p.ID == q.Person })
	d, knownDoor := find(o.Doors, func(d verdict.Door) bool { return d.ID == q.Door })
	if !knownPerson || !knownDoor {
		return answer{reason: "NO_GRANT"}
	}
	if who.Suspended {
		return answer{reason: "USER_SUSPENDED"}
	}
	if c := q.Credential; c != nil {
		switch {
		case c.Revoked:
			return answer{reason: "CREDENTIAL_REVOKED"}
		case c.Suspended:
			return answer{reason: "CREDENTIAL_SUSPENDED"}
		case !during(time.Time{}, c.Until, q.At):
			return answer{reason: "EXPIRED"}
		case !during(c.From, time.Time{}, q.At):
			return answer{reason: "NOT_YET_VALID"}
		case !c.BlockedUntil.IsZero() && q.At.Before(c.BlockedUntil):
			return answer{reason: "TOO_MANY_ATTEMPTS"}
		}
	}
	mode, _, pending := o.mode(d, q.At)
	if !q.Lock {
		switch {
		case mode == door.ModeLOCKDOWN:
			return answer{reason: "LOCKDOWN"}
		case mode == door.ModeDISABLED:
			return answer{reason: "DOOR_DISABLED"}
		case mode == door.ModeUNLOCKED:
			return answer{granted: true, reason: "GRANTED_UNLOCKED_MODE"}
		case mode == door.ModeLOCKED && q.Manner != verdict.Operator:
			return answer{reason: "DOOR_LOCKED"}
		}
	}
	if q.Manner == verdict.Operator {
		return answer{granted: true, reason: "GRANTED_OVERRIDE"}
	}
	a := o.byKeys(q, d)
	if !a.granted && pending && !q.Lock && a.reason != "REMOTE_DISABLED" && a.reason != "DEVICE_OFFLINE" {
		a = answer{reason: "FIRST_PERSON_PENDING"}
	}
	if a.granted && !q.Lock && !q.Offline {
		o.byAreas(&a, who.ID, d)
	}
	return a
}

// part is something that must hold for a key to open a door along a path, for a time.
type part struct{ from, until time.Time }

// path is one way in which a key could open a door to a person: the key, with those above it, and
// what has to last.
type path struct {
	keys   []pathKey // the key itself first
	broken schema.Reason
}

type pathKey struct {
	verdict.Key
	parts []part
}

// paths lists all ways in which a key could open a door to a person.
func (o oracle) paths(person typeid.User, d verdict.Door, k verdict.Key) []path {
	var all []path
	for _, held := range o.holds(person, k) {
		for _, opens := range o.opens(k, d) {
			own := pathKey{k, []part{{k.From, k.Until}, held, opens}}
			all = append(all, o.extend(path{keys: []pathKey{own}}, d)...)
		}
	}
	return all
}

// extend goes up from the last key of a path to the one that it was shared from.
func (o oracle) extend(p path, d verdict.Door) []path {
	k := p.keys[len(p.keys)-1]
	if k.Parent.IsZero() {
		return []path{p}
	}
	ends := func(why schema.Reason) []path {
		p.broken = why
		return []path{p}
	}
	parent, known := find(o.Keys, func(of verdict.Key) bool { return of.ID == k.Parent })
	if !known {
		return ends("KEY_REVOKED")
	}
	held := []part{{}}
	if !k.SharedBy.IsZero() {
		by, known := find(o.People, func(p verdict.Person) bool { return p.ID == k.SharedBy })
		if !known || by.Suspended {
			return ends("KEY_SUSPENDED")
		}
		if held = o.holds(by.ID, parent); len(held) == 0 {
			return ends("EXPIRED")
		}
	}
	opens := o.opens(parent, d)
	if len(opens) == 0 {
		return ends("NO_GRANT")
	}
	var all []path
	for _, held := range held {
		for _, opens := range opens {
			above := pathKey{parent, []part{{parent.From, parent.Until}, held, opens}}
			all = append(all, o.extend(path{keys: append(slices.Clone(p.keys), above)}, d)...)
		}
	}
	return all
}

// holds lists while when a person holds a key.
func (o oracle) holds(person typeid.User, k verdict.Key) []part {
	if k.Group.IsZero() {
		if k.User == person {
			return []part{{}}
		}
		return nil
	}
	var all []part
	for _, m := range o.Members {
		if m.User == person && (m.Group == k.Group || o.UserParents[m.Group] == k.Group) {
			all = append(all, part{m.From, m.Until})
		}
	}
	return all
}

// opens lists while when a door is one that a key names.
func (o oracle) opens(k verdict.Key, d verdict.Door) []part {
	var all []part
	if slices.Contains(k.Doors, d.ID) || slices.Contains(k.Sites, d.Site) {
		all = append(all, part{})
	}
	for _, m := range o.GroupDoors {
		whole, nested := o.DoorParents[m.Group]
		if m.Door == d.ID && (slices.Contains(k.DoorGroups, m.Group) ||
			nested && slices.Contains(k.DoorGroups, whole)) {
			all = append(all, part{m.From, m.Until})
		}
	}
	return all
}

// says is why the path does not grant at an instant; "" if it does.
func (o oracle) says(p path, q verdict.Question, d verdict.Door, at time.Time) schema.Reason {
	for _, k := range p.keys {
		before, after := false, false
		for _, part := range k.parts {
			before = before || !during(part.from, time.Time{}, at)
			after = after || !during(time.Time{}, part.until, at)
		}
		state := byte('o')
		if !k.Schedule.IsZero() {
			state = 'c'
			if table, planned := o.openings[verdict.Timing{Schedule: k.Schedule, Site: d.Site}]; planned {
				state = table.at(at)
			}
		}
		switch {
		case k.Revoked:
			return "KEY_REVOKED"
		case after:
			return "EXPIRED"
		case k.Limited && k.UsesLeft < 1:
			return "KEY_USED_UP"
		case k.Suspended:
			return "KEY_SUSPENDED"
		case before:
			return "NOT_YET_VALID"
		case state == 'c':
			return "OUTSIDE_SCHEDULE"
		case state == 'h':
			return "HOLIDAY"
		case k.AtDoorOnly && q.Manner == verdict.Remote:
			return "REMOTE_DISABLED"
		case k.Limited && q.Offline:
			return "DEVICE_OFFLINE"
		}
	}
	return p.broken
}

// fromFarToClose is the order in which a person who is refused comes close to the door.
var fromFarToClose = []schema.Reason{
	"NO_GRANT", "KEY_REVOKED", "EXPIRED", "KEY_USED_UP", "KEY_SUSPENDED", "NOT_YET_VALID",
	"OUTSIDE_SCHEDULE", "HOLIDAY", "REMOTE_DISABLED", "DEVICE_OFFLINE",
}

func (o oracle) byKeys(q verdict.Question, d verdict.Door) answer {
	type found struct {
		path
		key     typeid.Key
		limited bool
		lasts   time.Time
	}
	var grants []found
	refused := map[schema.Reason][]found{}
	for _, k := range o.Keys {
		for _, p := range o.paths(q.Person, d, k) {
			limited := slices.ContainsFunc(p.keys, func(k pathKey) bool { return k.Limited })
			f := found{path: p, key: k.ID, limited: limited}
			if why := o.says(p, q, d, q.At); why != "" {
				refused[why] = append(refused[why], f)
			} else {
				grants = append(grants, f)
			}
		}
	}
	named := map[typeid.Key]bool{}
	if len(grants) == 0 {
		for _, why := range slices.Backward(fromFarToClose) {
			for _, f := range refused[why] {
				named[f.key] = true
			}
			if len(named) > 0 {
				return answer{reason: why, keys: named}
			}
		}
		return answer{reason: "NO_GRANT"}
	}
	if slices.ContainsFunc(grants, func(f found) bool { return !f.limited }) {
		grants = slices.DeleteFunc(grants, func(f found) bool { return f.limited })
	}
	var longest time.Time
	for i, f := range grants {
		grants[i].lasts = forever
		for _, edge := range o.edges {
			if edge.After(q.At) && o.says(f.path, q, d, edge) != "" {
				grants[i].lasts = edge
				break
			}
		}
		if grants[i].lasts.After(longest) {
			longest = grants[i].lasts
		}
	}
	for _, f := range grants {
		if f.lasts.Equal(longest) {
			named[f.key] = true
		}
	}
	reason := schema.ReasonGranted
	if q.Manner == verdict.Remote {
		reason = "GRANTED_REMOTE"
	}
	return answer{granted: true, reason: reason, keys: named, limited: grants[0].limited}
}

var forever = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

func (o oracle) byAreas(a *answer, who typeid.User, d verdict.Door) {
	seen := func(of typeid.Area) presence.State {
		// The last word counts.
		state := presence.State("")
		for _, p := range o.Presences {
			if p.Area == of && p.User == who {
				state = p.State
			}
		}
		return state
	}
	refuse := func(why schema.Reason) { *a = answer{reason: why, alert: a.alert, keys: a.keys} }
	if out, known := find(o.Areas, func(x verdict.Area) bool { return x.ID == d.OutOf }); known {
		if seen(out.ID) == presence.StateOUT && out.AntiPassback != area.AntiPassbackOFF {
			a.alert |= verdict.AlertAntiPassback
			if out.AntiPassback == area.AntiPassbackENFORCE {
				refuse("ANTI_PASSBACK")
				return
			}
		}
	}
	into, known := find(o.Areas, func(x verdict.Area) bool { return x.ID == d.Into })
	if !known {
		return
	}
	if seen(into.ID) == presence.StateIN {
		if into.AntiPassback != area.AntiPassbackOFF {
			a.alert |= verdict.AlertAntiPassback
		}
		if into.AntiPassback == area.AntiPassbackENFORCE {
			refuse("ANTI_PASSBACK")
		}
		return
	}
	if into.LimitMode != area.LimitModeOFF && into.Limit > 0 && into.Count >= into.Limit {
		a.alert |= verdict.AlertOccupancy
		if into.LimitMode == area.LimitModeENFORCE {
			refuse("OCCUPANCY_LIMIT")
		}
	}
}
