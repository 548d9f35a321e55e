package uhppote

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
)

// The reasons of records that tell of something else than a card.
const (
	reasonGranted      = 1
	reasonAlwaysClosed = 11
	reasonNoCard       = 18
	reasonButton       = 20
	reasonOpened       = 23
	reasonClosed       = 24
	reasonPasscode     = 25
	reasonPowerOn      = 28
	reasonReset        = 29
	reasonNoButton     = 30 // to 33: the button was pressed, and the lock stayed locked
	reasonLastButton   = 33
	reasonThreat       = 34
	reasonHeldOpen     = 37
	reasonForcedOpen   = 38
	reasonTamper       = 41
	reasonRemote       = 44
	reasonRemoteUSB    = 45
)

// refusals are the reasons for which a controller refuses a card.
var refusals = map[byte]schema.Reason{
	5: schema.ReasonUnsupported, 6: schema.ReasonNoGrant, 7: schema.ReasonInvalidPIN,
	8: schema.ReasonAntiPassback, 9: schema.ReasonUnsupported, 10: schema.ReasonFirstPersonPending,
	11: schema.ReasonDoorLocked, 12: schema.ReasonDoorLocked, 13: schema.ReasonOutsideSchedule,
	15: schema.ReasonOutsideSchedule, 18: schema.ReasonUnknownCredential,
}

// late is from when on a record is not told of as it happens.
const late = 5 * time.Second

// slack is how much longer than its delay a lock may be unlocked, as clocks of whole seconds show it.
const slack = 3 * time.Second

// tell makes reports of a record; none of what Cardea has no word for. a.mu is held.
func (a *Agent) tell(r record) []devicelink.Frame {
	told := &devicelink.Report{
		At: r.At, Port: r.Door, Buffered: a.now().Sub(r.At) > late, Data: dataOf(r, nil),
	}
	all := []devicelink.Frame{told}
	o := a.doors[r.Door]
	switch r.Reason {
	case reasonButton:
		told.Event, told.Method = "door.rex_activated", event.MethodREX
	case reasonOpened:
		told.Event, told.Position = "door.opened", door.PositionOPEN
		if a.forced(r, o) {
			told.Event = "door.forced_open"
		}
	case reasonForcedOpen:
		told.Event, told.Position = "door.forced_open", door.PositionOPEN
	case reasonHeldOpen:
		told.Event, told.Position = "door.held_open", door.PositionOPEN
	case reasonClosed:
		all = append(a.cleared(told), told)
		told.Event, told.Position = "door.closed", door.PositionCLOSED
	case reasonPasscode:
		told.Event, told.Method, told.Outcome = "access.granted", event.MethodPIN, event.OutcomeGRANTED
		told.Reason = schema.ReasonGrantedOverride
	case reasonThreat:
		told.Event = "access.duress"
	case reasonTamper:
		told.Event = "device.tampered"
	case reasonRemote, reasonRemoteUSB:
		if a.claimed(r) {
			return nil
		}
		told.Event, told.Method, told.LockState = "lock.unlocked", event.MethodREMOTE,
			door.LockStateUNLOCKED
		if r.At.Add(time.Second).After(a.began.Add(a.skew)) { // else it may be one that we asked for in an earlier life
			told.Data = dataOf(r, map[string]any{"commanded": false})
		}
		if told.Buffered {
			told.LockState = "" // it was
		} else if o != nil {
			o.lock = told.LockState
		}
	case reasonPowerOn, reasonReset:
		a.forgotten()
		return nil
	default:
		if told.Event = swiped(r); told.Event == "" {
			return nil
		}
		a.judge(r, o, told)
	}
	return all
}

// swiped is what a card did; "" if the record is of something else.
func swiped(r record) string {
	_, refused := refusals[r.Reason]
	switch {
	case r.Reason >= reasonNoButton && r.Reason <= reasonLastButton:
		return "door.rex_activated"
	case r.Reason == reasonGranted && r.Granted:
		return "access.granted"
	case refused:
		return "access.denied"
	}
	return ""
}

// judge tells whose card it was, and what the controller decided; a.mu is held.
func (a *Agent) judge(r record, o *opening, told *devicelink.Report) {
	if told.Event == "door.rex_activated" {
		told.Method, told.Outcome = event.MethodREX, event.OutcomeFAILED
		return
	}
	told.Method = event.MethodCARD
	told.Outcome, told.Reason = event.OutcomeGRANTED, schema.ReasonGranted
	owner, known := a.deals.owners[r.Card]
	if told.Event == "access.denied" {
		told.Outcome, told.Reason = event.OutcomeDENIED, refusals[r.Reason]
		switch {
		case r.Reason == reasonAlwaysClosed && o != nil:
			told.Reason = shutReason(o.Mode)
		case r.Reason == reasonNoCard && known:
			told.Reason = schema.ReasonNoGrant
		}
	}
	if known {
		told.UserID = owner.User
		told.Data = dataOf(r, map[string]any{"credentialId": owner.Credential})
	}
}

func shutReason(mode door.Mode) schema.Reason {
	switch mode {
	case door.ModeLOCKDOWN:
		return schema.ReasonLockdown
	case door.ModeDISABLED:
		return schema.ReasonDoorDisabled
	default:
		return schema.ReasonDoorLocked
	}
}

// dataOf is what else there is to say of a record. It has no card's number.
func dataOf(r record, more map[string]any) json.RawMessage {
	data := map[string]any{"record": r.Index, "controllerReason": r.Reason}
	if r.Direction == 1 || r.Direction == 2 {
		data["reader"] = map[byte]string{1: "in", 2: "out"}[r.Direction]
	}
	maps.Copy(data, more)
	text, _ := json.Marshal(data)
	return text
}

// forced says that a door was opened though nothing had unlocked it. Of what was recorded before the
// door's mode was told it cannot be said. a.mu is held.
func (a *Agent) forced(r record, o *opening) bool {
	if o == nil || o.Mode == door.ModeUNLOCKED || r.At.Before(o.since) {
		return false
	}
	delay := time.Duration(o.RelockSeconds)*time.Second + slack
	return r.At.Sub(a.past[r.Door].unlockedAt) > delay
}

// cleared ends the alarms of a door that closes; a.mu is held.
func (a *Agent) cleared(closing *devicelink.Report) (all []devicelink.Frame) {
	p, o := a.past[closing.Port], a.doors[closing.Port]
	if o != nil && !p.openedAt.IsZero() {
		all = a.heldOpen(closing.Port, o, closing.At) // it may have been while nobody looked
		for _, held := range all {
			held.(*devicelink.Report).Buffered = closing.Buffered //nolint:forcetypeassert // it is one
		}
	}
	ended := map[string]bool{
		"door.held_open_cleared": p.held || len(all) > 0, "door.forced_open_cleared": p.forced,
	}
	for _, kind := range []string{"door.forced_open_cleared", "door.held_open_cleared"} {
		if ended[kind] {
			all = append(all, &devicelink.Report{
				At: closing.At, Port: closing.Port, Event: kind, Position: door.PositionCLOSED,
				Buffered: closing.Buffered,
			})
		}
	}
	return all
}

// observe takes over what a record says of a door; a.mu is held.
func (a *Agent) observe(r record) {
	if r.Door < 1 || r.Door > ports {
		return
	}
	p := &a.past[r.Door]
	switch r.Reason {
	case reasonGranted, reasonButton, reasonPasscode, reasonRemote, reasonRemoteUSB:
		p.unlockedAt = r.At
	case reasonForcedOpen:
		p.openedAt, p.contact, p.forced = r.At, true, true
	case reasonOpened:
		p.forced = p.forced || a.forced(r, a.doors[r.Door])
		p.openedAt, p.contact = r.At, true
	case reasonHeldOpen:
		p.held = true
	case reasonClosed:
		*p = past{unlockedAt: p.unlockedAt, contact: true}
	}
}

// forgotten has everything applied again to a controller that has lost its power; a.mu is held.
func (a *Agent) forgotten() {
	for _, o := range a.doors {
		o.applied = control{}
	}
	a.deals.cards, a.deals.fresh = nil, true
}
