package verdict

import (
	"math"
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
	at := q.At.UnixMicro()
	v, next := p.decide(&q, at)
	for step := 0; next < math.MaxInt64; step++ {
		v.Until = time.UnixMicro(next).UTC()
		then, after := p.decide(&q, next)
		if step == maxSteps || then.Granted != v.Granted || then.Reason != v.Reason {
			return v
		}
		next = after
	}
	v.Until = time.Time{}
	return v
}

// decide answers for one instant, and says when the next thing happens that could change that.
func (p *Policy) decide(q *Question, at int64) (v Verdict, next int64) {
	next = math.MaxInt64
	who, d := p.people[q.Person], p.doors[q.Door]
	switch {
	case d == nil || who == nil:
		return Verdict{Reason: schema.ReasonNoGrant, Rule: RuleKey}, next
	case who.Suspended:
		return Verdict{Reason: schema.ReasonUserSuspended, Rule: RulePerson}, next
	}
	if q.Credential != nil {
		reason := q.Credential.refuses(at, &next)
		if reason != "" {
			return Verdict{Reason: reason, Rule: RuleCredential}, next
		}
	}
	mode, soon := d.mode(at)
	if !q.Lock {
		next = min(next, soon)
		if v, decided := byMode(mode.Mode, q.Manner); decided {
			return v, next
		}
	}
	if q.Manner == Operator {
		return Verdict{Granted: true, Reason: schema.ReasonGrantedOverride, Rule: RuleOperator}, next
	}
	v, soon = p.byKeys(q, who, d, at)
	next = min(next, soon)
	if !v.Granted && !q.Lock && mode.Pending &&
		rank(v.Reason) < rank(schema.ReasonFirstPersonPending) {
		v = Verdict{Reason: schema.ReasonFirstPersonPending, Rule: RuleMode}
	}
	if v.Granted && !q.Lock && !q.Offline {
		byAreas(&v, who, d)
	}
	return v, next
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
func (c *Credential) refuses(at int64, next *int64) schema.Reason {
	valid, free := spanOf(c.From, c.Until), c.BlockedUntil.UnixMicro()
	switch {
	case c.Revoked:
		return schema.ReasonCredentialRevoked
	case c.Suspended:
		return schema.ReasonCredentialSuspended
	case at >= valid.until:
		return schema.ReasonExpired
	case at < valid.from:
		*next = valid.from
		return schema.ReasonNotYetValid
	case !c.BlockedUntil.IsZero() && at < free:
		*next = min(free, valid.until)
		return schema.ReasonTooManyAttempts
	}
	*next = valid.until
	return ""
}

// byKeys finds the key that grants, or the one that comes closest, and says when the next thing
// happens to keys that could change that.
func (p *Policy) byKeys(q *Question, who *person, d *opening, at int64) (Verdict, int64) {
	best := worth{reason: schema.ReasonNoGrant, next: math.MaxInt64}
	found, soon := Verdict{Rule: RuleKey}, int64(math.MaxInt64)
	for i := range who.holders {
		holder := &who.holders[i]
		for j := range d.targets {
			target := &d.targets[j]
			for _, k := range p.grants[pair{holder.id, target.id}] {
				this := p.weigh(k, q, d, at, holder.span.within(target.span))
				soon = min(soon, this.next)
				if !this.better(best) {
					continue
				}
				best, found.Key = this, k.ID
				found.UserGroup, found.DoorGroup = holder.userGroup, target.doorGroup
			}
		}
	}
	found.Limited = best.limited
	if best.reason != "" {
		found.Reason = best.reason
		return found, soon
	}
	found.Granted, found.Reason = true, schema.ReasonGranted
	if q.Manner == Remote {
		found.Reason = schema.ReasonGrantedRemote
	}
	return found, best.next
}

// worth is what a key is worth to a person at a door.
type worth struct {
	reason  schema.Reason // why it does not grant; "" if it does
	limited bool
	next    int64 // when that may change by itself
}

func (w worth) better(than worth) bool {
	switch a, b := rank(w.reason), rank(than.reason); {
	case a != b:
		return a > b
	case w.reason != "":
		return false
	case w.limited != than.limited:
		return than.limited
	}
	return w.next > than.next
}

// rank orders reasons by how close to a grant they are.
func rank(reason schema.Reason) int {
	for i, r := range [...]schema.Reason{
		schema.ReasonNoGrant, schema.ReasonKeyRevoked, schema.ReasonExpired, schema.ReasonKeyUsedUp,
		schema.ReasonKeySuspended, schema.ReasonNotYetValid, schema.ReasonOutsideSchedule,
		schema.ReasonHoliday, schema.ReasonFirstPersonPending, schema.ReasonRemoteDisabled,
		schema.ReasonDeviceOffline, "",
	} {
		if r == reason {
			return i
		}
	}
	return -1
}

// weigh judges a key that bears on the person and the door during a span.
func (p *Policy) weigh(k *key, q *Question, d *opening, at int64, during span) worth {
	during = during.within(k.span)
	w := worth{next: math.MaxInt64, limited: k.Limited}
	switch {
	case k.Revoked:
		w.reason = schema.ReasonKeyRevoked
	case at >= during.until:
		w.reason = schema.ReasonExpired
	case k.Limited && k.UsesLeft <= 0:
		w.reason = schema.ReasonKeyUsedUp
	case k.Suspended:
		w.reason = schema.ReasonKeySuspended
	case at < during.from:
		w.reason, w.next = schema.ReasonNotYetValid, during.from
	default:
		w.next = during.until
		w.reason = p.weighSchedule(k, d, at, &w.next)
	}
	switch {
	case w.reason != "":
	case k.AtDoorOnly && q.Manner == Remote:
		w.reason = schema.ReasonRemoteDisabled
	case k.Limited && q.Offline:
		w.reason = schema.ReasonDeviceOffline
	case !k.Parent.IsZero():
		return p.weighParent(w, k, q, d, at)
	}
	return w
}

func (p *Policy) weighSchedule(k *key, d *opening, at int64, next *int64) schema.Reason {
	if k.Schedule.IsZero() {
		return ""
	}
	table := p.tables[Timing{k.Schedule, d.Site}]
	if table == nil {
		return schema.ReasonOutsideSchedule
	}
	s := table.At(time.UnixMicro(at))
	if !s.Until.IsZero() {
		*next = min(*next, s.Until.UnixMicro())
	}
	switch {
	case s.Open:
		return ""
	case s.Holiday:
		return schema.ReasonHoliday
	}
	return schema.ReasonOutsideSchedule
}

// weighParent lets a shared key grant only what its parent grants now, to whoever shared it.
func (p *Policy) weighParent(w worth, k *key, q *Question, d *opening, at int64) worth {
	if k.parent == nil {
		w.reason = schema.ReasonKeyRevoked
		return w
	}
	best := worth{reason: schema.ReasonNoGrant, next: math.MaxInt64}
	held := p.held(k, at, &best)
	for j := range d.targets {
		target := &d.targets[j]
		if _, covered := k.parent.opens[target.id]; !covered || held == (span{}) {
			continue
		}
		if this := p.weigh(k.parent, q, d, at, held.within(target.span)); this.better(best) {
			best = this
		}
	}
	best.next = min(best.next, w.next)
	best.limited = best.limited || w.limited
	return best
}

// held is while whoever shared the key holds its parent: always, if it was shared by right. It is
// empty if they do not, and why says so.
func (p *Policy) held(k *key, at int64, why *worth) (during span) {
	if k.SharedBy.IsZero() {
		return always
	}
	who := p.people[k.SharedBy]
	if who == nil || who.Suspended {
		why.reason = schema.ReasonKeySuspended
		return span{}
	}
	for _, h := range who.holders {
		if h.id == k.parent.holder && at < h.until && h.until > during.until {
			during = h.span
		}
	}
	if during == (span{}) {
		why.reason = schema.ReasonExpired
	}
	return during
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
