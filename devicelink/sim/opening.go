package sim

import (
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
)

// Faults makes a device misbehave.
type Faults struct {
	DropAcks bool          // as if acknowledgements were lost on the way
	Mute     bool          // takes commands, does nothing and answers nothing
	Jam      bool          // the bolts do not move
	Clock    time.Duration // how far its clock is ahead
}

// SetFaults makes the device misbehave from now on; the zero value makes it behave again.
func (d *Device) SetFaults(f Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// opening is a door with its bolt and leaf. Device.mu guards it.
type opening struct {
	DoorState
	relock *time.Timer
	inUse  bool // someone is on the way through
	sheet  *verdict.Sheet
}

// adopt takes over the doors that the server binds to the ports. A door that is new here is reported
// once as it is; then its mode moves the bolt.
func (d *Device) adopt(doors []devicelink.Door) {
	before := d.doors
	d.doors = make(map[int]*opening, len(doors))
	for _, is := range doors {
		o := before[is.Port]
		if o == nil {
			o = &opening{DoorState: DoorState{Lock: door.LockStateLOCKED, Leaf: door.PositionCLOSED}}
		}
		isNew, turned := o.Door.DoorID != is.DoorID, o.Door.Mode != is.Mode
		o.Door, d.doors[is.Port] = is, o
		if isNew {
			d.report(devicelink.Report{Port: is.Port, Event: eventOf(o.Lock), LockState: o.Lock,
				Position: o.Leaf})
		}
		d.settle(o, turned)
	}
}

// settle moves the bolt to where the door's mode wants it to stay. A door whose mode has turned to one
// that lets nobody in does not wait for its relock delay, nor for whoever has yet to open it; a leaf
// that is open locks when it closes.
func (d *Device) settle(o *opening, turned bool) {
	to, wait := door.LockStateLOCKED, o.relock != nil || o.inUse
	switch o.Door.Mode {
	case door.ModeUNLOCKED:
		to, wait = door.LockStateUNLOCKED, false
	case door.ModeLOCKED, door.ModeLOCKDOWN, door.ModeDISABLED:
		wait = wait && !turned || o.Leaf == door.PositionOPEN
	case door.ModeCONTROLLED:
	}
	if !wait && d.bolt(o, to) {
		d.reportLock(o, event.MethodSCHEDULE)
	}
}

// bolt moves a bolt, if it is not there and can move.
func (d *Device) bolt(o *opening, to door.LockState) bool {
	d.cancel(o.relock)
	o.relock = nil
	if d.faults.Jam || o.Lock == to {
		return false
	}
	o.Lock = to
	return true
}

func (d *Device) reportLock(o *opening, by event.Method) {
	d.report(devicelink.Report{
		Port: o.Door.Port, Event: eventOf(o.Lock), LockState: o.Lock, Method: by,
	})
}

func eventOf(lock door.LockState) string {
	if lock == door.LockStateLOCKED {
		return "lock.locked"
	}
	return "lock.unlocked"
}

// unlockFor unlocks until so much time has passed and the leaf is closed.
func (d *Device) unlockFor(o *opening, seconds int) {
	d.bolt(o, door.LockStateUNLOCKED)
	if o.Door.Mode == door.ModeUNLOCKED {
		return
	}
	o.relock = d.after(time.Duration(seconds)*time.Second, func() {
		o.relock = nil
		if o.Leaf != door.PositionOPEN {
			d.lock(o)
		}
	})
}

// lock locks by itself.
func (d *Device) lock(o *opening) {
	if o.Door.Mode != door.ModeUNLOCKED && d.bolt(o, door.LockStateLOCKED) {
		d.reportLock(o, "")
	}
}

// Obey does what the device does with a command that comes over its link.
func (d *Device) Obey(c *devicelink.Command) { d.with(func() { d.obey(c) }) }

// seenFor is how long after its deadline a command's identifier is remembered.
const seenFor = time.Minute

// obey carries a command out, or says why not. It acts on none twice, and on none too late.
func (d *Device) obey(c *devicelink.Command) {
	now := d.link.ServerClock()
	for id, until := range d.seen {
		if now.After(until) {
			delete(d.seen, id)
		}
	}
	_, again := d.seen[c.CommandID]
	o := d.doors[c.Port]
	if d.config.Commanded != nil {
		d.config.Commanded(*c, !again && !d.faults.Mute && now.Before(c.NotAfter) &&
			o != nil && o.Door.DoorID == c.DoorID)
	}
	if again || d.faults.Mute {
		return
	}
	d.seen[c.CommandID] = c.NotAfter.Add(seenFor)
	switch {
	case !now.Before(c.NotAfter):
		d.state.Late = append(d.state.Late, c.CommandID)
		d.refuse(c, command.StageEXPIRED, schema.ReasonExpiredBeforeDelivery)
	case o == nil || o.Door.DoorID != c.DoorID:
		d.refuse(c, command.StageREJECTED, schema.ReasonUnsupported)
	default:
		d.state.Obeyed = append(d.state.Obeyed, c.CommandID)
		d.answer(devicelink.Result{
			CommandID: c.CommandID, Port: c.Port, Stage: command.StageACKNOWLEDGED,
		})
		d.after(d.config.Movement, func() { d.carryOut(c, o) })
	}
}

func (d *Device) refuse(c *devicelink.Command, stage command.Stage, why schema.Reason) {
	d.answer(devicelink.Result{CommandID: c.CommandID, Port: c.Port, Stage: stage, Reason: why})
}

// carryOut moves the bolt and says what the lock's sensor shows.
func (d *Device) carryOut(c *devicelink.Command, o *opening) {
	if d.faults.Jam {
		d.answer(devicelink.Result{
			CommandID: c.CommandID, Port: c.Port, Stage: command.StageFAILED,
			Reason: schema.ReasonJammed, LockState: door.LockStateJAMMED,
		})
		return
	}
	switch {
	case c.Verb == command.VerbLOCK:
		d.bolt(o, door.LockStateLOCKED)
	case o.Door.Mode == door.ModeLOCKDOWN:
		d.refuse(c, command.StageFAILED, schema.ReasonLockdown)
		return
	default:
		d.unlockFor(o, c.Seconds)
	}
	d.answer(devicelink.Result{
		CommandID: c.CommandID, Port: c.Port, Stage: command.StageCONFIRMED,
		Confirmation: command.ConfirmationLOCK_STATE, LockState: o.Lock, Position: o.Leaf,
	})
}
