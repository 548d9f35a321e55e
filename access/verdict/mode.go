package verdict

import (
	"time"

	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Mode is the mode in force at a door.
type Mode struct {
	Mode  door.Mode
	Cause schema.ModeCause
	// Until is the first instant at which another mode or cause is in force, if nobody changes
	// anything; zero if that is not known to come. Waiting for a first person, it is not known.
	Until time.Time
	// Pending says that the unlock schedule is open and waits for a first person.
	Pending bool
	// Holiday says that the unlock schedule is closed only because of a holiday.
	Holiday bool
}

// Mode returns the mode in force at a door of the policy.
func (p *Policy) Mode(id typeid.Door, at time.Time) (Mode, bool) {
	d := p.doors[id]
	if d == nil {
		return Mode{}, false
	}
	now := micros(at)
	m, next := d.mode(now)
	if d.waits(m, now) {
		return m, true
	}
	for next != never {
		then, after := d.mode(next)
		if then.Mode != m.Mode || then.Cause != m.Cause {
			m.Until = time.UnixMicro(next).UTC()
			break
		}
		next = after
	}
	return m, true
}

// waits says whether the mode stays until a first person comes, whenever that is.
func (d *opening) waits(m Mode, at int64) bool {
	return m.Cause == schema.ModeCauseStanding && d.FirstPersonIn && at >= d.firstIn
}

// mode returns the mode at an instant, and when the next thing happens that could change it.
func (d *opening) mode(at int64) (m Mode, next int64) {
	if d.Lockdown && at < d.lockdown.until {
		return Mode{Mode: door.ModeLOCKDOWN, Cause: schema.ModeCauseLockdown}, d.lockdown.until
	}
	standing := Mode{Mode: d.Door.Mode, Cause: schema.ModeCauseStanding}
	if standing.Mode == door.ModeLOCKDOWN || standing.Mode == door.ModeDISABLED {
		return standing, never
	}
	if d.Override != "" && at < d.override.until {
		return Mode{Mode: d.Override, Cause: schema.ModeCauseOverride}, d.override.until
	}
	if d.unlock == nil || standing.Mode != door.ModeCONTROLLED {
		return standing, never
	}
	s := d.unlock.At(time.UnixMicro(at))
	next = never
	if !s.Until.IsZero() {
		next = s.Until.UnixMicro()
	}
	switch {
	case !s.Open:
		standing.Holiday = s.Holiday
		return standing, next
	case !d.FirstPersonIn, s.Since.UnixMicro() <= d.firstIn && d.firstIn <= at:
		return Mode{Mode: door.ModeUNLOCKED, Cause: schema.ModeCauseSchedule}, next
	}
	standing.Pending = true
	if d.firstIn > at { // they come later: the question is of the past
		next = min(next, d.firstIn)
	}
	return standing, next
}
