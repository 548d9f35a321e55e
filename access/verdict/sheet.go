package verdict

import (
	"sort"
	"time"

	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Sheet is what a device decides by at one door while it cannot reach the server: from From until
// before Until, it is for people who are at the door.
type Sheet struct {
	Door        typeid.Door
	From, Until time.Time
	// Modes are the door's modes in order of time; the first is at From.
	Modes []Turn
	// People are those who may open the door, each with the times at which they may, in order. Times
	// at which the door stands unlocked are not among them: then it lets in everybody.
	People map[typeid.User][]Span
}

// Turn is a mode, in force from an instant on.
type Turn struct {
	At   time.Time
	Mode door.Mode
}

// Span is a time: From is inclusive, Until is exclusive.
type Span struct{ From, Until time.Time }

// Sheet works out what Decide says of people at a door who ask offline. False: no such door.
func (p *Policy) Sheet(id typeid.Door, people []typeid.User, from, until time.Time) (Sheet, bool) {
	s := Sheet{Door: id, From: from, Until: until, People: map[typeid.User][]Span{}}
	for at := from; at.Before(until); {
		m, known := p.Mode(id, at)
		if !known {
			return Sheet{}, false
		}
		s.Modes = append(s.Modes, Turn{at, m.Mode})
		if at = m.Until; at.IsZero() {
			break
		}
	}
	for _, who := range people {
		if spans := p.spans(who, id, from, until); len(spans) > 0 {
			s.People[who] = spans
		}
	}
	return s, true
}

func (p *Policy) spans(who typeid.User, id typeid.Door, from, until time.Time) (spans []Span) {
	q := Question{Person: who, Door: id, At: from, Manner: AtDoor, Offline: true}
	for q.At.Before(until) {
		v := p.Decide(q)
		end := v.Until
		if end.IsZero() || end.After(until) {
			end = until
		}
		last := len(spans) - 1
		switch {
		case !v.Granted || v.Rule != RuleKey:
		case last >= 0 && spans[last].Until.Equal(q.At):
			spans[last].Until = end
		default:
			spans = append(spans, Span{q.At, end})
		}
		q.At = end
	}
	return spans
}

// Decide says whether the door lets somebody in at an instant, as Policy.Decide would at the time of
// the sheet. Of who is refused it knows less: NO_GRANT is who never may, OUTSIDE_SCHEDULE who may at
// other times. Before and after its time it lets in nobody: DEVICE_OFFLINE.
func (s *Sheet) Decide(who typeid.User, at time.Time) Verdict {
	if at.Before(s.From) || !at.Before(s.Until) || len(s.Modes) == 0 {
		return Verdict{Reason: schema.ReasonDeviceOffline, Rule: RuleMode}
	}
	turn := sort.Search(len(s.Modes), func(i int) bool { return s.Modes[i].At.After(at) })
	if v, decided := byMode(s.Modes[max(turn-1, 0)].Mode, AtDoor); decided {
		return v
	}
	spans, listed := s.People[who]
	for _, span := range spans {
		if !at.Before(span.From) && at.Before(span.Until) {
			return Verdict{Granted: true, Reason: schema.ReasonGranted, Rule: RuleKey}
		}
	}
	if listed {
		return Verdict{Reason: schema.ReasonOutsideSchedule, Rule: RuleKey}
	}
	return Verdict{Reason: schema.ReasonNoGrant, Rule: RuleKey}
}
