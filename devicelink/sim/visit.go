package sim

import (
	"context"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// Visit is someone at a door.
type Visit struct {
	User typeid.User // zero: nobody that the site knows
	// Refused: the device does not let them in. A sheet knows better; see Device.Heed.
	Refused bool
	// Leaving: they press the exit button and show no card.
	Leaving bool
	Reach   time.Duration // from the unlocked bolt to the open leaf
	Stay    time.Duration // how long the leaf stays open
}

// Visit plays a visit at a port to its end. False if no door is there or someone is at it.
func (d *Device) Visit(ctx context.Context, port int, v Visit) bool {
	o := d.enter(port)
	if o == nil {
		return false
	}
	defer d.with(func() { o.inUse = false })
	let := false
	d.with(func() { let = d.admit(o, v) })
	if !let || !pause(ctx, v.Reach) {
		return true
	}
	d.with(func() { // who finds it locked again asks again
		if let = o.Lock == door.LockStateUNLOCKED || d.admit(o, v); let {
			d.swing(o, door.PositionOPEN, "door.opened")
		}
	})
	if !let {
		return true
	}
	held := d.hold(ctx, o, v.Stay)
	d.with(func() {
		if held {
			d.report(devicelink.Report{Port: port, Event: "door.held_open_cleared"})
		}
		d.swing(o, door.PositionCLOSED, "door.closed")
		d.lock(o)
	})
	return true
}

// enter reserves a door for one visit.
func (d *Device) enter(port int) *opening {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.doors[port]
	if o == nil || o.inUse {
		return nil
	}
	o.inUse = true
	return o
}

func (d *Device) with(do func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	do()
	d.change()
}

// admit decides as a device does by itself, and unlocks for whom it lets through.
func (d *Device) admit(o *opening, v Visit) bool {
	port := o.Door.Port
	if v.Leaving {
		d.report(devicelink.Report{Port: port, Event: "door.rex_activated", Method: event.MethodREX})
		d.open(o, event.MethodREX, typeid.User{})
		return true
	}
	told := devicelink.Report{
		Port: port, Event: "access.granted", UserID: v.User, Method: event.MethodCARD,
		Outcome: event.OutcomeGRANTED,
	}
	var granted bool
	if granted, told.Reason = d.decide(o, v); !granted {
		told.Event, told.Outcome = "access.denied", event.OutcomeDENIED
		d.report(told)
		return false
	}
	d.report(told)
	d.open(o, event.MethodCARD, v.User)
	return true
}

// decide asks the door's sheet about somebody known, if there is one; else it does as the visit says.
func (d *Device) decide(o *opening, v Visit) (granted bool, why schema.Reason) {
	if o.sheet != nil && o.sheet.Door == o.Door.DoorID && !v.User.IsZero() {
		by := o.sheet.Decide(v.User, d.link.ServerClock())
		return by.Granted, by.Reason
	}
	if why := refusal(o.Door.Mode, v); why != "" {
		return false, why
	}
	if o.Door.Mode == door.ModeUNLOCKED {
		return true, schema.ReasonGrantedUnlockedMode
	}
	return true, schema.ReasonGranted
}

// Heed has the device decide by sheets, by port, about people whom it knows. A sheet of another door
// than the port's is not heeded; a door whose sheet is missing forgets the one that it had.
func (d *Device) Heed(sheets map[int]verdict.Sheet) {
	d.with(func() {
		for port, o := range d.doors {
			o.sheet = nil
			if sheet, listed := sheets[port]; listed {
				o.sheet = &sheet
			}
		}
	})
}

// refusal says why someone is not let in; "" lets them.
func refusal(mode door.Mode, v Visit) schema.Reason {
	switch {
	case mode == door.ModeLOCKDOWN:
		return schema.ReasonLockdown
	case mode == door.ModeLOCKED:
		return schema.ReasonDoorLocked
	case mode == door.ModeDISABLED:
		return schema.ReasonDoorDisabled
	case v.User.IsZero():
		return schema.ReasonUnknownCredential
	case v.Refused:
		return schema.ReasonNoGrant
	}
	return ""
}

// open unlocks for someone at the door.
func (d *Device) open(o *opening, by event.Method, who typeid.User) {
	was := o.Lock
	d.unlockFor(o, o.Door.RelockSeconds)
	if o.Lock != was {
		d.report(devicelink.Report{
			Port: o.Door.Port, Event: eventOf(o.Lock), LockState: o.Lock, Method: by, UserID: who,
		})
	}
}

func (d *Device) swing(o *opening, to door.Position, kind string) {
	o.Leaf = to
	d.report(devicelink.Report{Port: o.Door.Port, Event: kind, Position: to})
}

// hold keeps the leaf open, and says whether that was for too long.
func (d *Device) hold(ctx context.Context, o *opening, stay time.Duration) bool {
	d.mu.Lock()
	limit := time.Duration(o.Door.HeldOpenSeconds) * time.Second
	d.mu.Unlock()
	pause(ctx, min(stay, limit))
	if stay <= limit {
		return false
	}
	d.with(func() { d.report(devicelink.Report{Port: o.Door.Port, Event: "door.held_open"}) })
	pause(ctx, stay-limit)
	return true
}
