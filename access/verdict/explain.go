package verdict

import (
	"math"

	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Effect is what a step does to a question.
type Effect string

// The effects.
const (
	EffectPasses  Effect = "PASSES" // it leaves the question to what comes after it
	EffectGrants  Effect = "GRANTS"
	EffectRefuses Effect = "REFUSES"
)

// Step is one thing that bears on a question, and what it says by itself.
type Step struct {
	Rule   Rule
	Effect Effect
	Reason schema.Reason // "" if it passes without a remark
	// Decides marks the one step that Decide's verdict is from.
	Decides bool
	// Key is a key's step. UserGroup and DoorGroup are how it bears on the person and the door, if
	// by way of groups; SharedFrom is the key that it was shared from.
	Key        typeid.Key
	SharedFrom typeid.Key
	UserGroup  typeid.UserGroup
	DoorGroup  typeid.DoorGroup
	Area       typeid.Area
}

// Explain returns all that bears on a question, in the order in which Decide looks at it, and marks
// what decides. What comes after that is shown as if it had come to it. It allocates: it is for
// people to read.
func (p *Policy) Explain(q Question) []Step {
	s := search{q: &q, who: p.people[q.Person], door: p.doors[q.Door], turn: math.MinInt64}
	who, d, at := s.who, s.door, micros(q.At)
	v, _ := s.decide(at)
	if who == nil || d == nil {
		return mark(nil, v)
	}
	steps := []Step{{Rule: RulePerson, Effect: EffectPasses}}
	if who.Suspended {
		steps[0] = refusal(RulePerson, schema.ReasonUserSuspended)
	}
	if q.Credential != nil {
		reason, _ := q.Credential.refuses(at)
		steps = append(steps, refusal(RuleCredential, reason))
	}
	if !q.Lock {
		steps = append(steps, modeStep(q.Manner, d, at))
	}
	if q.Manner == Operator {
		operator := Step{Rule: RuleOperator, Effect: EffectGrants, Reason: schema.ReasonGrantedOverride}
		return mark(append(steps, operator), v)
	}
	steps = append(steps, s.keySteps(at)...)
	if !q.Lock && !q.Offline {
		steps = append(steps, areaSteps(who, d)...)
	}
	return mark(steps, v)
}

// refusal passes if there is no reason to refuse.
func refusal(rule Rule, reason schema.Reason) Step {
	if reason == "" {
		return Step{Rule: rule, Effect: EffectPasses}
	}
	return Step{Rule: rule, Effect: EffectRefuses, Reason: reason}
}

func modeStep(by Manner, d *opening, at int64) Step {
	mode, _ := d.mode(at)
	v, decided := byMode(mode.Mode, by)
	switch {
	case decided && v.Granted:
		return Step{Rule: RuleMode, Effect: EffectGrants, Reason: v.Reason}
	case decided:
		return refusal(RuleMode, v.Reason)
	case mode.Pending:
		return Step{
			Rule: RuleMode, Effect: EffectPasses, Reason: schema.ReasonFirstPersonPending,
		}
	}
	return Step{Rule: RuleMode, Effect: EffectPasses}
}

// keySteps has one step for each way in which a key bears on the person and the door.
func (s *search) keySteps(at int64) (steps []Step) {
	bears := false
	for _, h := range s.who.holdings {
		for _, t := range s.door.targets {
			for _, k := range h.keys[t.place] {
				this := path{k, &h, &t, k.weigh(s.q, s.door, at, h.within(t.span))}
				v := s.told(&this)
				step := Step{
					Rule: RuleKey, Effect: EffectRefuses, Reason: v.Reason, Key: v.Key,
					SharedFrom: k.Parent, UserGroup: v.UserGroup, DoorGroup: v.DoorGroup,
				}
				if v.Granted {
					step.Effect = EffectGrants
				}
				steps, bears = append(steps, step), bears || this.is != noGrant
			}
		}
	}
	if !bears {
		steps = append(steps, refusal(RuleKey, schema.ReasonNoGrant))
	}
	return steps
}

// areaSteps looks at the area that the door leads out of and at the one that it leads into, each as
// if there were no other.
func areaSteps(who *person, d *opening) (steps []Step) {
	for _, only := range []opening{{outOf: d.outOf}, {into: d.into}} {
		var v Verdict
		v.Granted = true
		byAreas(&v, who, &only)
		step := Step{Rule: RuleArea, Effect: EffectPasses, Reason: v.Reason}
		switch {
		case only.outOf != nil:
			step.Area = only.outOf.ID
		case only.into != nil:
			step.Area = only.into.ID
		default:
			continue
		}
		switch {
		case !v.Granted:
			step.Effect = EffectRefuses
		case v.Alert&AlertAntiPassback != 0: // noted, not refused
			step.Reason = schema.ReasonAntiPassback
		case v.Alert&AlertOccupancy != 0:
			step.Reason = schema.ReasonOccupancyLimit
		}
		steps = append(steps, step)
	}
	return steps
}

// mark finds the step that the verdict is from. Of somebody or a door that nobody knows there is
// none yet.
func mark(steps []Step, v Verdict) []Step {
	effect := EffectRefuses
	if v.Granted {
		effect = EffectGrants
	}
	for i := range steps {
		s := &steps[i]
		if s.Rule == v.Rule && s.Reason == v.Reason && (s.Rule != RuleArea || s.Area == v.Area) &&
			(s.Rule != RuleKey || s.Key == v.Key && s.UserGroup == v.UserGroup &&
				s.DoorGroup == v.DoorGroup) {
			s.Effect, s.Decides = effect, true
			return steps
		}
	}
	return append(steps, Step{Rule: v.Rule, Effect: effect, Reason: v.Reason, Decides: true})
}
