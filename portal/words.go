package portal

import (
	"fmt"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
)

// state is what is known of a door, in words. What was seen before its device went away is not.
func state(d *ent.Door) string {
	if d.Connectivity != schema.ConnectivityOnline {
		return "cannot be reached now"
	}
	switch d.LockState {
	case door.LockStateLOCKED:
		return "locked"
	case door.LockStateUNLOCKED, door.LockStateUNLATCHED:
		return "unlocked"
	case door.LockStateLOCKING:
		return "is locking"
	case door.LockStateUNLOCKING:
		return "is unlocking"
	case door.LockStateJAMMED:
		return "is jammed"
	case door.LockStateUNKNOWN:
	}
	return "nobody knows whether it is locked"
}

// sentence is what is said of an unlock. Tone is good, bad or open.
type sentence struct{ Tone, Text, More string }

// inWords says what is known of an unlock. One that is over is of the past.
func inWords(o *outcome, zone *time.Location, now time.Time) sentence {
	name := "The door"
	if o.door != nil {
		name = o.door.Name
	}
	c := o.command
	switch c.Stage {
	case command.StageCONFIRMED:
		if o.relocked(now) {
			at := c.EndedAt.In(zone).Format("15:04:05")
			return sentence{"good", name + " was unlocked at " + at + ".", ""}
		}
		return sentence{"good", name + " is unlocked.", relock(o.door)}
	case command.StageREJECTED:
		return sentence{"bad", name + " stays locked.", because(c)}
	case command.StageFAILED:
		return sentence{"bad", name + " did not unlock.", because(c)}
	case command.StageEXPIRED:
		return sentence{"bad", name + " did not unlock.",
			"The lock was not reached in time. Try again."}
	case command.StageCANCELLED:
		return sentence{"bad", "The unlock of " + name + " was cancelled.", because(c)}
	case command.StageUNCONFIRMED:
		return sentence{"open", "Nobody knows whether " + name + " is unlocked.",
			"The lock has the order, and nothing shows what came of it. Try the door."}
	case command.StageACKNOWLEDGED:
		return sentence{"open", name + " is about to unlock.",
			"The lock has the order. This page looks again."}
	case command.StageCREATED, command.StageDISPATCHED:
	}
	return sentence{"open", name + " was asked to unlock.",
		"The lock has not answered. This page looks again."}
}

// relocked says that a confirmed unlock is past, as far as the lock does what it was told.
func (o *outcome) relocked(now time.Time) bool {
	return o.door == nil || o.command.EndedAt == nil ||
		now.Sub(*o.command.EndedAt) > time.Duration(o.door.RelockSeconds)*time.Second
}

func relock(d *ent.Door) string {
	return fmt.Sprintf("It locks again by itself after %s.", count(d.RelockSeconds, "second"))
}

func because(c *ent.Command) string {
	if c.Reason == nil {
		return ""
	}
	return reasons[*c.Reason]
}

// reasons are the reason codes in words, as far as an unlock from a page can end with them.
var reasons = map[schema.Reason]string{
	schema.ReasonKeySuspended:          "Your key is suspended for now.",
	schema.ReasonKeyRevoked:            "Your key was taken back.",
	schema.ReasonKeyUsedUp:             "Your key has opened as often as it may.",
	schema.ReasonNotYetValid:           "Your key is not valid yet.",
	schema.ReasonExpired:               "Your key is not valid any more.",
	schema.ReasonUserSuspended:         "You are suspended for now.",
	schema.ReasonNoGrant:               "Your key is not for this door.",
	schema.ReasonOutsideSchedule:       "Your key is not for this time of the week.",
	schema.ReasonHoliday:               "Your key does not open on a holiday.",
	schema.ReasonFirstPersonPending:    "Somebody of the house has to come first.",
	schema.ReasonLockdown:              "The door is under lockdown.",
	schema.ReasonDoorDisabled:          "The door is out of service.",
	schema.ReasonDoorLocked:            "The door is kept locked for now.",
	schema.ReasonAntiPassback:          "You are in already, or out, as far as the house knows.",
	schema.ReasonOccupancyLimit:        "As many people are inside as may be.",
	schema.ReasonRemoteDisabled:        "Your key opens only at the door itself, not from here.",
	schema.ReasonDeviceOffline:         "The lock cannot be reached now.",
	schema.ReasonDeviceBusy:            "The lock is busy. Try again.",
	schema.ReasonJammed:                "The lock is jammed.",
	schema.ReasonBoltObstructed:        "Something is in the way of the bolt.",
	schema.ReasonHardwareFault:         "The lock has a fault.",
	schema.ReasonUnsupported:           "No lock is connected to this door.",
	schema.ReasonExpiredBeforeDelivery: "The lock was not reached in time. Try again.",
	schema.ReasonNotConfirmed:          "Nothing shows what came of it. Try the door.",
}

// terms are until when, how often and how a key opens.
func terms(k *ent.Key, zone *time.Location, now time.Time) []string {
	switch access.StatusOf(k, now) {
	case access.KeyRevoked:
		return []string{reasons[schema.ReasonKeyRevoked]}
	case access.KeySuspended:
		return []string{reasons[schema.ReasonKeySuspended]}
	case access.KeyExpired:
		return []string{"Your key was valid until " + instant(*k.ValidUntil, zone) + "."}
	case access.KeyUsedUp:
		return []string{reasons[schema.ReasonKeyUsedUp]}
	case access.KeyPending, access.KeyActive:
	}
	var lines []string
	if k.ValidFrom != nil && now.Before(*k.ValidFrom) {
		lines = append(lines, "Opens from "+instant(*k.ValidFrom, zone)+".")
	}
	if k.ValidUntil != nil {
		lines = append(lines, "Opens until "+instant(*k.ValidUntil, zone)+".")
	}
	if k.UsesLeft != nil {
		lines = append(lines, "Opens "+count(*k.UsesLeft, "more time")+".")
	}
	if k.ScheduleID != nil {
		lines = append(lines, "Opens at certain times of the week.")
	}
	if !k.Remote {
		lines = append(lines, "Opens at the door itself only, not from this page.")
	}
	return lines
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// instant is when, by the clocks of the site.
func instant(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Monday 2 January 2006, 15:04 MST")
}

// zoneOf is the time zone of the first site, by which its people set their clocks.
func zoneOf(sites []*ent.Site) *time.Location {
	if len(sites) > 0 {
		if zone, err := time.LoadLocation(sites[0].TimeZone); err == nil {
			return zone
		}
	}
	return time.UTC
}
