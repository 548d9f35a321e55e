package uhppote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
)

// opening is a door that Cardea binds to a port. Agent.mu guards it.
type opening struct {
	devicelink.Door
	since   time.Time // when its mode was told, by the controller's clock
	applied control   // what the controller has; zero if that is not known
	lock    door.LockState
	// shutUntil is until when the door is kept closed after it was locked on command.
	shutUntil time.Time
}

// adopt takes over the doors that the server binds to the ports; a.mu is held.
func (a *Agent) adopt(doors []devicelink.Door) {
	before := a.doors
	a.doors = make(map[int]*opening, len(doors))
	for _, is := range doors {
		if is.Port > doorsOf(a.config.Serial) {
			a.config.Logger.Warn("no such door at the controller", "port", is.Port)
			continue
		}
		o := before[is.Port]
		if o == nil || o.DoorID != is.DoorID {
			o = &opening{since: a.now()}
		}
		if o.Mode != is.Mode {
			o.since = a.now()
		}
		o.Door, a.doors[is.Port] = is, o
	}
}

// wanted is how the controller shall control a door.
func (o *opening) wanted() control {
	c := control{State: normallyClosed, Delay: o.RelockSeconds}
	if time.Now().Before(o.shutUntil) {
		return c
	}
	switch o.Mode {
	case door.ModeCONTROLLED:
		c.State = controlled
	case door.ModeUNLOCKED:
		c.State = normallyOpen
	case door.ModeLOCKED, door.ModeLOCKDOWN, door.ModeDISABLED:
	}
	return c
}

// shut says that no card and no command opens the door.
func (o *opening) shut() bool { return o.Mode != door.ModeCONTROLLED && o.Mode != door.ModeUNLOCKED }

// settle has the controller control the doors as they are wanted. What it refuses is tried again.
func (a *Agent) settle(ctx context.Context) error {
	a.mu.Lock()
	var ports []int
	for port, o := range a.doors {
		if o.wanted() != o.applied {
			ports = append(ports, port)
		}
	}
	a.mu.Unlock()
	for _, port := range ports {
		if err := a.settleDoor(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) settleDoor(ctx context.Context, port int) error {
	a.mu.Lock()
	o := a.doors[port]
	if o == nil {
		a.mu.Unlock()
		return nil
	}
	to := o.wanted()
	a.mu.Unlock()
	err := a.controller.control(ctx, port, to)
	if errors.Is(err, errRefused) {
		a.config.Logger.WarnContext(ctx, "the controller does not control a door as it shall",
			"port", port, "mode", string(o.Mode))
		return nil
	}
	if err != nil {
		return fmt.Errorf("control door %d: %w", port, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	o.applied = to
	return nil
}

// look tells how the locks and doors are, where that has changed without a record of it.
func (a *Agent) look(ctx context.Context) error {
	s, err := a.controller.status(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var told []devicelink.Frame
	for port, o := range a.doors {
		lock := lockOf(s, port)
		if lock != o.lock {
			told = append(told, &devicelink.Report{
				At: s.Clock, Port: port, Event: lockEvent(lock), LockState: lock,
				Position: a.position(s, port),
			})
		}
		o.lock = lock
		told = append(told, a.heldOpen(port, o, s.Clock)...)
	}
	if len(told) == 0 {
		return nil
	}
	return a.log.Append(0, told...)
}

func lockOf(s status, port int) door.LockState {
	if s.energised(port) {
		return door.LockStateUNLOCKED
	}
	return door.LockStateLOCKED
}

func lockEvent(lock door.LockState) string {
	if lock == door.LockStateUNLOCKED {
		return "lock.unlocked"
	}
	return "lock.locked"
}

// position is what the contact shows. A door without a contact looks closed for ever: closed is said
// only of one that was seen open. a.mu is held.
func (a *Agent) position(s status, port int) door.Position {
	switch {
	case s.Open[port-1]:
		a.past[port].contact = true
		return door.PositionOPEN
	case a.past[port].contact:
		return door.PositionCLOSED
	}
	return ""
}

// heldOpen tells of a door that is open for too long; a.mu is held.
func (a *Agent) heldOpen(port int, o *opening, now time.Time) []devicelink.Frame {
	p := &a.past[port]
	limit := time.Duration(o.HeldOpenSeconds) * time.Second
	if p.openedAt.IsZero() || p.held || now.Sub(p.openedAt) < limit {
		return nil
	}
	p.held = true
	return []devicelink.Frame{&devicelink.Report{
		At: p.openedAt.Add(limit), Port: port, Event: "door.held_open", Position: door.PositionOPEN,
	}}
}

// busy says that something is about to change at a door.
func (a *Agent) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.doors {
		unlocked := o.lock == door.LockStateUNLOCKED && o.Mode != door.ModeUNLOCKED
		if unlocked || o.wanted() != o.applied || time.Now().Before(o.shutUntil) {
			return true
		}
	}
	return false
}
