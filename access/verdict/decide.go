package verdict

import (
	"math"
	"slices"
	"time"

	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Manner is how somebody asks.
type Manner uint8

// The manners.
const (
	Remote   Manner = iota // from afar, as themselves
	AtDoor                 // with a credential at the door
	Operator               // from afar, by right: without a key
)

// Question is what is to be decided.
type Question struct {
	Person     typeid.User
	Door       typeid.Door
	At         time.Time
	Manner     Manner
	Lock       bool        // to lock rather than to unlock
	Credential *Credential // what was presented; nil for none
	// Offline decides as a device does that cannot reach the server: it cannot count uses, nor does
	// it know who is in an area.
	Offline bool
}

// Rule is what decided.
type Rule string

// The rules.
const (
	RulePerson     Rule = "PERSON"
	RuleCredential Rule = "CREDENTIAL"
	RuleMode       Rule = "MODE"
	RuleOperator   Rule = "OPERATOR"
	RuleKey        Rule = "KEY" // or that there is none
	RuleArea       Rule = "AREA"
)

// Alert is what a granted passage violates without being refused.
type Alert uint8

// The alerts.
const (
	AlertAntiPassback Alert = 1 << iota
	AlertOccupancy
)

// Verdict says whether, why, and until when.
type Verdict struct {
	Granted bool
	Reason  schema.Reason
	Rule    Rule
	// Key grants, or came closest; zero for none. UserGroup and DoorGroup are how it bears on the
	// person and the door, if by way of groups.
	Key       typeid.Key
	UserGroup typeid.UserGroup
	DoorGroup typeid.DoorGroup
	Limited   bool // the key, or one that it was shared from, counts its uses
	Area      typeid.Area
	Alert     Alert
	// Until is the first instant at which Granted or Reason may be another, if nobody changes
	// anything; before it they are not. It is zero if none is known to come.
	Until time.Time
}

// maxSteps bounds how many instants are looked at for Until: past it, Until is one at which the
// verdict is still the same, which its promise allows.
const maxSteps = 16

// Decide answers a question. It does not allocate.
func (p *Policy) Decide(q Question) Verdict {
	s := search{q: &q, who: p.people[q.Person], door: p.doors[q.Door], turn: math.MinInt64}
	v, next := s.decide(micros(q.At))
	for step := 0; next != never; step++ {
		v.Until = time.UnixMicro(next).UTC()
		then, after := s.decide(next)
		if step == maxSteps || then.Granted != v.Granted || then.Reason != v.Reason {
			return v
		}
		next = after
	}
	v.Until = time.Time{}
	return v
}

// search is a question on its way through time.
type search struct {
	q    *Question
	who  *person
	door *opening
	mode Mode
	turn int64 // when the mode may be another
	// The paths along which keys bear on the person and the door, as far as there is room; found is
	// how many there are. What a path is worth is kept for as long as it cannot be another.
	paths [room]path
	found int
}

// room is for more paths than there usually are.
const room = 32

// path is one way in which a key bears on a person and a door.
type path struct {
	key     *key
	holding *holding
	target  *target
	worth
}

// decide answers for one instant, and says when the next thing happens that could change that. It is
// asked in order of time.
func (s *search) decide(at int64) (v Verdict, next int64) {
	next = never
	switch {
	case s.door == nil || s.who == nil:
		return Verdict{Reason: schema.ReasonNoGrant, Rule: RuleKey}, next
	case s.who.Suspended:
		return Verdict{Reason: schema.ReasonUserSuspended, Rule: RulePerson}, next
	}
	if s.q.Credential != nil {
		var reason schema.Reason
		if reason, next = s.q.Credential.refuses(at); reason != "" {
			return Verdict{Reason: reason, Rule: RuleCredential}, next
		}
	}
	if s.turn <= at {
		s.mode, s.turn = s.door.mode(at)
	}
	turn, pending := s.turn, s.mode.Pending
	if s.q.Lock {
		turn, pending = never, false
	} else if v, decided := byMode(s.mode.Mode, s.q.Manner); decided {
		return v, min(next, turn)
	}
	if s.q.Manner == Operator {
		v = Verdict{Granted: true, Reason: schema.ReasonGrantedOverride, Rule: RuleOperator}
		return v, min(next, turn)
	}
	v, soon := s.byKeys(at, pending)
	if v.Granted && s.door.waits(s.mode, at) { // whether it is pending makes no difference to keys
		turn = never
	}
	if v.Granted && !s.q.Lock && !s.q.Offline {
		byAreas(&v, s.who, s.door)
	}
	return v, min(next, turn, soon)
}

func byMode(mode door.Mode, by Manner) (Verdict, bool) {
	switch mode {
	case door.ModeLOCKDOWN:
		return Verdict{Reason: schema.ReasonLockdown, Rule: RuleMode}, true
	case door.ModeDISABLED:
		return Verdict{Reason: schema.ReasonDoorDisabled, Rule: RuleMode}, true
	case door.ModeLOCKED:
		return Verdict{Reason: schema.ReasonDoorLocked, Rule: RuleMode}, by != Operator
	case door.ModeUNLOCKED:
		return Verdict{Granted: true, Reason: schema.ReasonGrantedUnlockedMode, Rule: RuleMode}, true
	case door.ModeCONTROLLED:
	}
	return Verdict{}, false
}

// refuses says why the credential does not count, if so, and when that may change.
func (c *Credential) refuses(at int64) (why schema.Reason, next int64) {
	valid, free := spanOf(c.From, c.Until), micros(c.BlockedUntil)
	switch {
	case c.Revoked:
		return schema.ReasonCredentialRevoked, never
	case c.Suspended:
		return schema.ReasonCredentialSuspended, never
	case at >= valid.until:
		return schema.ReasonExpired, never
	case at < valid.from:
		return schema.ReasonNotYetValid, min(valid.from, valid.until)
	case !c.BlockedUntil.IsZero() && at < free:
		return schema.ReasonTooManyAttempts, min(free, valid.until)
	}
	return "", valid.until
}

// byKeys finds the key that grants, or the one that comes closest, and says when the next thing
// happens to keys that could change that. Pending, the door waits for a first person.
func (s *search) byKeys(at int64, pending bool) (v Verdict, next int64) {
	best, soon := path{worth: worth{next: never}}, never
	if pending {
		best.is = firstPersonPending
	}
	if s.found == 0 {
		s.gather(0)
	}
	for begin := 0; begin < s.found; begin += room {
		if s.found > room {
			s.gather(begin)
		}
		for i := range s.paths[:min(room, s.found-begin)] {
			this := &s.paths[i]
			if this.next <= at {
				during := this.holding.within(this.target.span)
				this.worth = this.key.weigh(s.q, s.door, at, during)
			}
			soon = min(soon, this.next)
			if this.better(best.worth) {
				best = *this
			}
		}
	}
	if best.is != granted {
		best.next = soon
	}
	return s.told(&best), best.next
}

// gather lists paths, but for the first few.
func (s *search) gather(skip int) {
	s.found = 0
	for i := range s.who.holdings {
		h := &s.who.holdings[i]
		for j := range s.door.targets {
			t := &s.door.targets[j]
			for _, k := range h.keys[t.place] {
				if at := s.found - skip; at >= 0 && at < room {
					s.paths[at] = path{k, h, t, worth{next: math.MinInt64}}
				}
				s.found++
			}
		}
	}
}

// told is the verdict along the best path.
func (s *search) told(best *path) Verdict {
	v := Verdict{Reason: reasons[best.is], Rule: RuleKey, Limited: best.limited}
	if best.key != nil {
		v.Key, v.UserGroup, v.DoorGroup = best.key.ID, best.holding.group, best.target.group
	} else if best.is == firstPersonPending {
		v.Rule = RuleMode
	}
	if v.Granted = best.is == granted; v.Granted && s.q.Manner == Remote {
		v.Reason = schema.ReasonGrantedRemote
	}
	return v
}

// closeness says what comes of a key, ordered by how close it is to a grant.
type closeness uint8

const (
	noGrant closeness = iota
	keyRevoked
	expired
	usedUp
	keySuspended
	notYetValid
	outsideSchedule
	holiday
	firstPersonPending
	remoteDisabled
	uncountable
	granted
)

var reasons = [...]schema.Reason{
	noGrant:            schema.ReasonNoGrant,
	keyRevoked:         schema.ReasonKeyRevoked,
	expired:            schema.ReasonExpired,
	usedUp:             schema.ReasonKeyUsedUp,
	keySuspended:       schema.ReasonKeySuspended,
	notYetValid:        schema.ReasonNotYetValid,
	outsideSchedule:    schema.ReasonOutsideSchedule,
	holiday:            schema.ReasonHoliday,
	firstPersonPending: schema.ReasonFirstPersonPending,
	remoteDisabled:     schema.ReasonRemoteDisabled,
	uncountable:        schema.ReasonDeviceOffline, // uses cannot be counted without the server
	granted:            schema.ReasonGranted,
}

// worth is what a key is worth to a person at a door, along one path.
type worth struct {
	is      closeness
	limited bool
	next    int64 // when that may change by itself
}

// better prefers, of keys that grant, one without limited uses, then the one that lasts longest; of
// those that do not but are equally close, the one to which something happens first.
func (w worth) better(than worth) bool {
	switch {
	case w.is != than.is:
		return w.is > than.is
	case w.is != granted:
		return w.next < than.next
	case w.limited != than.limited:
		return than.limited
	}
	return w.next > than.next
}

// weigh judges a key that bears on the person and the door during a span.
func (k *key) weigh(q *Question, d *opening, at int64, during span) worth {
	during = during.within(k.span)
	w := worth{next: during.until, limited: k.Limited}
	switch {
	case k.Revoked:
		w.is, w.next = keyRevoked, never
	case at >= during.until:
		w.is, w.next = expired, never
	case k.Limited && k.UsesLeft <= 0:
		w.is = usedUp
	case k.Suspended:
		w.is = keySuspended
	case at < during.from: // perhaps forever: what never overlaps expires before it begins
		w.is, w.next = notYetValid, min(during.from, during.until)
	default:
		w.is, w.next = k.weighSchedule(d, at, during.until)
	}
	switch {
	case w.is != granted:
	case k.AtDoorOnly && q.Manner == Remote:
		w.is = remoteDisabled
	case k.Limited && q.Offline:
		w.is = uncountable
	case !k.Parent.IsZero():
		return k.weighParent(w, q, d, at)
	}
	return w
}

func (k *key) weighSchedule(d *opening, at, until int64) (is closeness, next int64) {
	if k.Schedule.IsZero() {
		return granted, until
	}
	table := k.runs[d.site]
	if table == nil {
		return outsideSchedule, until
	}
	s := table.At(time.UnixMicro(at))
	if !s.Until.IsZero() {
		until = min(until, s.Until.UnixMicro())
	}
	switch {
	case s.Open:
		return granted, until
	case s.Holiday:
		return holiday, until
	}
	return outsideSchedule, until
}

// weighParent lets a shared key that would grant by itself grant only what its parent grants now, to
// whoever shared it.
func (k *key) weighParent(own worth, q *Question, d *opening, at int64) worth {
	best, soon := worth{is: noGrant, next: never}, never
	if len(k.held) == 0 {
		best.is = k.unheld
	}
	for _, held := range k.held {
		for j := range d.targets {
			t := &d.targets[j]
			if !slices.Contains(k.parent.opens, t.place) {
				continue
			}
			this := k.parent.weigh(q, d, at, held.within(t.span))
			soon = min(soon, this.next)
			if this.better(best) {
				best = this
			}
		}
	}
	if best.is != granted {
		best.next = soon
	}
	best.next = min(best.next, own.next)
	best.limited = best.limited || own.limited
	return best
}

// byAreas refuses, or marks, what the areas of the door do not allow.
func byAreas(v *Verdict, who *person, d *opening) {
	if d.outOf != nil && d.outOf.AntiPassback != area.AntiPassbackOFF &&
		who.presence[d.outOf.ID].State == presence.StateOUT {
		v.violate(d.outOf.ID, AlertAntiPassback, schema.ReasonAntiPassback,
			d.outOf.AntiPassback == area.AntiPassbackENFORCE)
	}
	if d.into == nil || !v.Granted {
		return
	}
	in := who.presence[d.into.ID].State == presence.StateIN
	if in && d.into.AntiPassback != area.AntiPassbackOFF {
		v.violate(d.into.ID, AlertAntiPassback, schema.ReasonAntiPassback,
			d.into.AntiPassback == area.AntiPassbackENFORCE)
	}
	if v.Granted && !in && d.into.LimitMode != area.LimitModeOFF && d.into.Limit > 0 &&
		d.into.Count >= d.into.Limit {
		v.violate(d.into.ID, AlertOccupancy, schema.ReasonOccupancyLimit,
			d.into.LimitMode == area.LimitModeENFORCE)
	}
}

func (v *Verdict) violate(where typeid.Area, alert Alert, reason schema.Reason, enforce bool) {
	v.Area = where
	v.Alert |= alert
	if enforce {
		v.Granted, v.Reason, v.Rule = false, reason, RuleArea
	}
}
