package access_test

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

var examples = []example{
	{"GRANTED", "A key grants, and the person is at the door.",
		"The night shift has a key for the Gate.", asksAtDoor,
		func(b *bench) { b.always(); b.showCard() }},
	{"GRANTED_REMOTE", "A key grants, and the person asks from afar.",
		"The night shift has a key for the Gate.", asksRemotely,
		func(b *bench) { b.always(); askRemotely(b) }},
	{"GRANTED_UNLOCKED_MODE", "The door stands unlocked: no key is needed, and none is used up.",
		"The Gate is in the mode UNLOCKED. The night shift has no key.", asksAtDoor,
		func(b *bench) {
			b.updateDoor(access.UpdateDoorInput{Mode: new(door.ModeUNLOCKED)})
			b.showCard()
		}},
	{"GRANTED_OVERRIDE", "An operator unlocks by right, without a key. The command keeps why.",
		"The Gate is in the mode LOCKED. A courier stands before it.",
		"The front desk asks with `operatorReason: \"courier at the gate\"`.",
		func(b *bench) {
			b.updateDoor(access.UpdateDoorInput{Mode: new(door.ModeLOCKED)})
			b.operate("courier at the gate")
		}},
	{"UNKNOWN_CREDENTIAL", "Nobody has what was presented.",
		"No card has the number 4712.", "Somebody holds such a card to the reader: `presentCredential`.",
		func(b *bench) { b.present(shown(17, "4712")) }},
	{"FACILITY_MISMATCH", "A card has that number, but with another facility code: it was made " +
		"for another house.",
		"The night shift's card has the facility code 17 and the number 4711.",
		"Somebody holds a card with 18 and 4711 to the reader.",
		func(b *bench) { b.present(shown(18, "4711")) }},
	{"BAD_FORMAT", "What the reader sent is of no format that Cardea knows, or its parity is wrong.",
		"A reader's cable is damaged.", "It sends 26 bits whose parity is wrong.",
		func(b *bench) { b.present(sent(26, "0000000")) }},
	{"INVALID_PIN", "No PIN that is in force is the one that was typed.",
		"The night shift has a PIN.", "Somebody types another one.",
		func(b *bench) { b.present(typed(wrong(b.pin(access.CreatePINInput{})))) }},
	{"TOO_MANY_ATTEMPTS", "The keypad, or the credential, is blocked for a while.",
		"Five wrong PINs were typed at the Gate in a row.", "Somebody types a sixth within thirty seconds.",
		func(b *bench) {
			guess := wrong(b.pin(access.CreatePINInput{}))
			for range 6 {
				b.present(typed(guess))
			}
		}},
	{"CREDENTIAL_SUSPENDED", "The credential was suspended; its owner may have others.",
		"The night shift has a key for the Gate. Their card is mislaid: `suspendCredential`.", asksAtDoor,
		func(b *bench) {
			b.always()
			_, err := b.access.SuspendCredential(b.admin,
				access.SuspendCredentialInput{ID: b.badge("4713").ID})
			must(b.t, err)
			b.present(shown(17, "4713"))
		}},
	{"CREDENTIAL_REVOKED", "The credential was revoked for good.",
		"The night shift has a key for the Gate. Their card is lost: `revokeCredential`.",
		"Whoever found it holds it to the reader.",
		func(b *bench) {
			b.always()
			_, err := b.access.RevokeCredential(b.admin,
				access.RevokeCredentialInput{ID: b.badge("4713").ID})
			must(b.t, err)
			b.present(shown(17, "4713"))
		}},
	{"USER_SUSPENDED", "The person is suspended. Nothing opens for them, and no key that they shared opens.",
		"The night shift has a key for the Gate, and is suspended: `updateUser`.", asksAtDoor,
		func(b *bench) {
			b.always()
			_, err := b.access.UpdateUser(b.admin,
				access.UpdateUserInput{ID: b.memberID, Status: new(user.StatusSUSPENDED)})
			must(b.t, err)
			b.showCard()
		}},
	{"NO_GRANT", "No key leads from the person, or a group that they are in, to the door.",
		"The night shift has no key for the Gate.", asksRemotely, askRemotely},
	{"KEY_REVOKED", "A key led to the door, and it, or the one that it was shared from, was revoked.",
		"The night shift's only key for the Gate is revoked: `revokeKey`.", asksRemotely,
		func(b *bench) {
			k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate()})
			_, err := b.access.RevokeKey(b.admin, access.RevokeKeyInput{ID: k.ID})
			must(b.t, err)
			askRemotely(b)
		}},
	{"KEY_SUSPENDED", "The key is suspended, or whoever shared it is.",
		"The night shift's key is suspended: `suspendKey`.", asksRemotely,
		func(b *bench) {
			k := b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate()})
			_, err := b.access.SuspendKey(b.admin, access.SuspendKeyInput{ID: k.ID})
			must(b.t, err)
			askRemotely(b)
		}},
	{"KEY_USED_UP", "The key, or one that it was shared from, has no uses left. A use comes back " +
		"if the door never opened.",
		"The night shift has a key for one use, and has used it.", asksRemotely,
		func(b *bench) {
			b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate(), Uses: new(1)})
			askRemotely(b)
			askRemotely(b)
		}},
	{"NOT_YET_VALID", "The key, the membership in the group that has it, or the credential begins later.",
		"It is 10:00. The night shift's key is valid from 11:00.", asksRemotely,
		func(b *bench) { b.grant(hour, 2*hour); askRemotely(b) }},
	{"EXPIRED", "The key, the membership in the group that has it, or the credential has ended.",
		"It is 10:00. The night shift's key was valid until 09:00.", asksRemotely,
		func(b *bench) { b.grant(-2*hour, -hour); askRemotely(b) }},
	{"OUTSIDE_SCHEDULE", "The key works by a schedule, and none of its windows is open.",
		"The night shift's key works from Monday to Friday, 08:00 to 18:00. It is Friday, 18:00.", asksRemotely,
		func(b *bench) { b.byOfficeHours(); b.clock.Advance(8 * hour); askRemotely(b) }},
	{"HOLIDAY", "A window of the schedule would be open, but skips holidays, and the site has one.",
		"The night shift's key works from Monday to Friday, 08:00 to 18:00. It is Friday, 10:00, and the site's " +
			"calendar has the day as a holiday.", asksRemotely,
		func(b *bench) { b.byOfficeHours(); b.closeToday(); askRemotely(b) }},
	{"FIRST_PERSON_PENDING", "The unlock schedule is open, and waits until somebody with a key is let in.",
		"The Gate stands unlocked from Monday to Friday, 08:00 to 18:00, once a first person is in. " +
			"It is Friday, 10:00, " +
			"and nobody was let in yet. The night shift has no key.", asksAtDoor,
		func(b *bench) {
			b.unlockBy(b.officeHours(), true)
			b.showCard()
		}},
	{"LOCKDOWN", "The door is in lockdown. It refuses everybody, operators too.",
		"A plan closes every door of the site. The front desk triggers it: `triggerLockdown`. The night " +
			"shift has a key for the Gate.", asksRemotely,
		func(b *bench) { b.always(); b.trigger(b.admin, b.plan(nil)); askRemotely(b) }},
	{"DOOR_DISABLED", "The door is out of service. It refuses everybody, operators too.",
		"The Gate is in the mode DISABLED. The night shift has a key.", asksRemotely,
		inMode(door.ModeDISABLED, askRemotely)},
	{"DOOR_LOCKED", "The door is kept locked. It refuses everybody but operators.",
		"The Gate is in the mode LOCKED. The night shift has a key.", asksAtDoor,
		inMode(door.ModeLOCKED, (*bench).showCard)},
	{"ANTI_PASSBACK", "The person is in the area already, or out of it, and the area enforces that.",
		"The Gate leads into the Hall, which enforces anti-passback. The night shift went in and was " +
			"not seen to leave.",
		asksAtDoor,
		func(b *bench) {
			b.hall(access.CreateAreaInput{AntiPassback: new(area.AntiPassbackENFORCE)})
			b.always()
			b.showCard()
			b.showCard()
		}},
	{"OCCUPANCY_LIMIT", "The area is full, and enforces its limit.",
		"The Gate leads into the Hall, which takes one person. The front desk is in.", asksAtDoor,
		func(b *bench) {
			b.hall(access.CreateAreaInput{OccupancyLimit: new(1), LimitMode: new(area.LimitModeENFORCE)})
			b.always()
			b.unlock(b.admin)
			b.showCard()
		}},
	{"REMOTE_DISABLED", "The key works at the door alone, not from afar.",
		"The night shift's key has `remote: false`.", asksRemotely,
		func(b *bench) {
			b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate(), Remote: new(false)})
			askRemotely(b)
		}},
	{"DEVICE_OFFLINE", "No node holds the device's link, so the command fails at once: it is not " +
		"kept for later. Of a " +
		"decision that a device makes by itself: the key counts its uses, which the device cannot.",
		"The Gate's device has lost its link. The night shift has a key.", asksRemotely,
		func(b *bench) { b.always(); b.hardware.offline = true; askRemotely(b) }},
	{"DEVICE_BUSY", "The device reports that it is at work on another order.",
		"The Gate's device is updating itself.", asksRemotely, reported("DEVICE_BUSY")},
	{"JAMMED", "The device reports that the bolt does not move.",
		"The Gate's bolt is stuck.", asksRemotely, reported("JAMMED")},
	{"BOLT_OBSTRUCTED", "The device reports that something is in the bolt's way.",
		"Something lies in the Gate's strike.", asksRemotely, reported("BOLT_OBSTRUCTED")},
	{"HARDWARE_FAULT", "The device reports that something of it is broken.",
		"The Gate's relay does not answer.", asksRemotely, reported("HARDWARE_FAULT")},
	{"NOT_CONFIRMED", "The command reached its device, and nothing shows what came of it. The door may have opened.",
		"The Gate's device was sent the command and lost its link.",
		asksRemotely + " Twenty-five seconds pass.", overdue(true)},
	{"EXPIRED_BEFORE_DELIVERY", "The command's deadline passed before it was written to the link. " +
		"The door did not open.",
		"The link of the Gate's device is congested.", asksRemotely + " Ten seconds pass.", overdue(false)},
	{"UNSUPPORTED", "The door has no device, or one that cannot do what is asked.",
		"The Shed has no device. The front desk has a key for the site.", "The front desk asks: `unlockDoor`.",
		func(b *bench) { b.door = b.newDoor("Shed"); b.unlock(b.admin) }},
}

// ask is what most examples end with.
const (
	asksRemotely = "The night shift asks from afar: `unlockDoor`."
	asksAtDoor   = "The night shift holds the card to the reader: `presentCredential`."
)

func askRemotely(b *bench) { b.unlock(b.member) }

func (b *bench) gate() []typeid.Door { return []typeid.Door{b.door.ID} }

func (b *bench) always()   { b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate()}) }
func (b *bench) showCard() { b.present(shown(17, "4711")) }

func (b *bench) updateDoor(in access.UpdateDoorInput) {
	b.t.Helper()
	in.ID = b.door.ID
	_, err := b.access.UpdateDoor(b.admin, in)
	must(b.t, err)
}

func inMode(mode door.Mode, then func(*bench)) func(*bench) {
	return func(b *bench) {
		b.always()
		b.updateDoor(access.UpdateDoorInput{Mode: &mode})
		then(b)
	}
}

// reported ends a command as its device reports.
func reported(reason schema.Reason) func(*bench) {
	return func(b *bench) {
		b.always()
		epoch := b.link().Epoch
		c := b.unlock(b.member)
		b.report(epoch, access.Report{Sequence: 1, Port: 1,
			Result: &access.Result{Command: c.ID, Stage: command.StageFAILED, Reason: reason}})
	}
}

// overdue lets an unlock's time pass.
func overdue(dispatched bool) func(*bench) {
	return func(b *bench) {
		b.always()
		c := b.unlock(b.member)
		if !dispatched {
			must(b.t, b.access.RecordUndelivered(b.system, c.ID, schema.ReasonExpiredBeforeDelivery))
			return
		}
		must(b.t, b.access.RecordDispatched(b.system, c.ID, b.clock.Now()))
		b.clock.Advance(access.CommandDeadline + access.ConfirmationWindow)
		_, err := b.access.ExpireCommands(context.Background())
		must(b.t, err)
	}
}

func (b *bench) officeHours() *ent.Schedule {
	b.t.Helper()
	made, err := b.access.CreateSchedule(b.admin, access.CreateScheduleInput{
		Name: "Office", Windows: []schema.Window{{
			Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00",
			Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
		}},
	})
	must(b.t, err)
	return made.Schedule
}

func (b *bench) byOfficeHours() {
	id := b.officeHours().ID
	b.grantKey(access.GrantKeyInput{UserID: b.memberID, DoorIDs: b.gate(), ScheduleID: &id})
}

func (b *bench) hall(in access.CreateAreaInput) {
	b.t.Helper()
	in.SiteID, in.Name = b.site.ID, "Hall"
	made, err := b.access.CreateArea(b.admin, in)
	must(b.t, err)
	_, err = b.access.SetDoorAreas(b.admin,
		access.SetDoorAreasInput{DoorID: b.door.ID, IntoAreaID: &made.Area.ID})
	must(b.t, err)
}

func (b *bench) closeToday() {
	b.t.Helper()
	made, err := b.access.CreateHolidayCalendar(b.admin, access.CreateHolidayCalendarInput{
		Name: "Harbour", Holidays: []schema.Holiday{{Name: "Regatta", First: "2026-11-20"}},
	})
	must(b.t, err)
	_, err = b.access.UpdateSite(b.admin,
		access.UpdateSiteInput{ID: b.site.ID, HolidayCalendarID: &made.HolidayCalendar.ID})
	must(b.t, err)
}

func (b *bench) operate(why string) {
	b.t.Helper()
	_, err := b.access.UnlockDoor(b.admin,
		access.UnlockDoorInput{DoorID: b.door.ID, OperatorReason: &why})
	must(b.t, err)
}

const hour = time.Hour

// badge gives the member a card of the site's facility.
func (b *bench) badge(number string) *ent.Credential {
	b.t.Helper()
	made, err := b.access.AddCard(b.admin, access.AddCardInput{UserID: b.memberID,
		Format: access.CardWiegand26, FacilityCode: new(17), Number: number})
	must(b.t, err)
	return made.Credential
}
