package journal

//go:generate go run document.go

import "github.com/cardea/cardea/ent/event"

// Type is an entry of the event catalogue, docs/events.md.
type Type struct {
	Name        string // noun.verb_past
	Description string // when it is recorded, and what data it carries
	Severity    event.Severity
	Reportable  bool // a device may report it
	Class       Class
}

// Class is a kind of events that are kept equally long.
type Class string

// The classes.
const (
	ClassAccess         Class = "ACCESS"         // what happens at doors, by whomever
	ClassAdministrative Class = "ADMINISTRATIVE" // who changed what, who signed in, what was read
)

const atDoors, admin = ClassAccess, ClassAdministrative

const (
	info     = event.SeverityINFO
	notice   = event.SeverityNOTICE
	warning  = event.SeverityWARNING
	critical = event.SeverityCRITICAL
)

// Types is the catalogue: nothing else can be appended. Names are public API and never change.
var Types = []Type{
	{"organization.created", "An organization was created.", notice, false, admin},
	{"organization.updated", "An organization was changed. data.changed lists the fields; " +
		"data.accessRetentionDays and data.adminRetentionDays are what they are now, if they changed.", warning,
		false, admin},
	{"site.created", "A site was created.", info, false, admin},
	{"site.updated", "A site was changed. data.changed lists the fields.", info, false, admin},
	{"site.deleted", "A site was deleted.", notice, false, admin},
	{"door.created", "A door was created.", info, false, admin},
	{"door.updated", "A door was changed. data.changed lists the fields.", info, false, admin},
	{"door.deleted", "A door was deleted.", notice, false, admin},
	{"door.bound", "A door was bound to a port of a device. data.port is the port.", info, false, admin},
	{"door.mode_changed", "Another mode is in force at a door. data.from and data.to are modes, " +
		"data.cause says why, data.until when that ends by itself.", notice, false, atDoors},
	{"override.applied", "A door's mode was overridden. data.mode, and data.until if it ends by itself.",
		notice, false, admin},
	{"override.cancelled", "An override was cancelled before its time.", info, false, admin},
	{"override.expired", "An override came to its end.", info, false, admin},
	{"door_group.created", "A group of doors was created. data.groupId names it.", info, false, admin},
	{"door_group.updated", "A group of doors was changed. data.groupId names it, data.changed lists " +
		"the fields.", info, false, admin},
	{"door_group.deleted", "A group of doors was deleted, and it opens nothing any more. " +
		"data.groupId names it.", notice, false, admin},
	{"door_group.door_added", "A door joined a group, or for another time. data.groupId names it.",
		info, false, admin},
	{"door_group.door_removed", "A door left a group. data.groupId names it.", info, false, admin},
	{"user.created", "A user was created.", info, false, admin},
	{"user.updated", "A user was changed. data.changed lists the fields.", info, false, admin},
	{"user.role_changed", "A user got another role, or manages other sites. data.from and data.to are " +
		"roles, data.siteIds what a manager manages from now on, if that was said.", notice, false, admin},
	{"user.deleted", "A user was deleted, and their keys and tokens with them.", notice, false, admin},
	{"user.erased", "A user was erased: nothing is left of who they were but their identifier, in the " +
		"journal. Follows user.deleted.", notice, false, admin},
	{"user_group.created", "A group of people was created. data.groupId names it.", info, false, admin},
	{"user_group.updated", "A group of people was changed. data.groupId names it, data.changed lists " +
		"the fields.", info, false, admin},
	{"user_group.deleted", "A group of people was deleted, and its keys with it. data.groupId names it.",
		notice, false, admin},
	{"user_group.member_added", "A person joined a group, or for another time. data.groupId names it.",
		info, false, admin},
	{"user_group.member_removed", "A person left a group. data.groupId names it.", info, false, admin},
	{"key.created", "A key was granted. data lists what it opens: doorIds, doorGroupIds, and groupId " +
		"if it is a group's.", info, false, admin},
	{"key.updated", "A key was changed. data.changed lists the fields.", info, false, admin},
	{"key.suspended", "A key was suspended: it opens nothing until it is resumed.", notice, false, admin},
	{"key.resumed", "A suspended key was resumed.", info, false, admin},
	{"key.shared", "A key was shared: key is the new one, data.fromKeyId the one it came from.",
		info, false, admin},
	{"key.link_renewed", "A shared key got another link, and the one before is void.", info, false, admin},
	{"key.redeemed", "A shared key was redeemed with its link.", info, false, admin},
	{"key.use_returned", "A use of a key was given back, because its unlock never happened.",
		info, false, atDoors},
	{"key.revoked", "A key was revoked.", notice, false, admin},
	{"schedule.created", "A schedule was created. data.scheduleId names it.", info, false, admin},
	{"schedule.updated", "A schedule was changed. data.scheduleId names it, data.changed lists the " +
		"fields.", info, false, admin},
	{"schedule.deleted", "A schedule was deleted. data.scheduleId names it.", notice, false, admin},
	{"schedule.started", "A door's unlock schedule began a window. data.scheduleId names it.",
		info, false, atDoors},
	{"schedule.ended", "A window of a door's unlock schedule ended. data.scheduleId names it.",
		info, false, atDoors},
	{"schedule.skipped", "A window of a door's unlock schedule did not take effect; reason says why: " +
		"HOLIDAY, or FIRST_PERSON_PENDING while nobody was let in. data.scheduleId names it.",
		info, false, atDoors},
	{"schedule.first_in_satisfied", "Somebody was let in, so the door's unlock schedule takes effect.",
		info, false, atDoors},
	{"holiday_calendar.created", "A holiday calendar was created. data.calendarId names it.",
		info, false, admin},
	{"holiday_calendar.updated", "A holiday calendar was changed. data.calendarId names it.",
		info, false, admin},
	{"holiday_calendar.deleted", "A holiday calendar was deleted. data.calendarId names it.",
		notice, false, admin},
	{"lockdown_plan.created", "A lockdown plan was created. data.planId names it.", notice, false, admin},
	{"lockdown_plan.updated", "A lockdown plan was changed. data.planId names it, data.changed lists " +
		"the fields.", notice, false, admin},
	{"lockdown_plan.deleted", "A lockdown plan was deleted. data.planId names it.", notice, false, admin},
	{"lockdown.requested", "Somebody asked for a lockdown that needs a second person. data.lockdownId " +
		"and data.planId name it, data.siteIds the sites that it touches " +
		"(200 of them at most).", warning, false, admin},
	{"lockdown.activated", "A lockdown is in force. data.lockdownId and data.planId name it, data.siteIds the " +
		"sites that it touches, data.doors counts its doors, data.until is when it ends " +
		"by itself.", critical, false, admin},
	{"lockdown.door_unreached", "A door's device did not take a lockdown on. data.lockdownId names it.",
		critical, false, admin},
	{"lockdown.release_requested", "Somebody asked for a release that needs a second person. " +
		"data.lockdownId names it, data.siteIds the sites.", warning, false, admin},
	{"lockdown.released", "A lockdown was released. data.lockdownId names it, data.siteIds the sites.", critical,
		false, admin},
	{"lockdown.lapsed", "A request for a lockdown was not confirmed in time. data.lockdownId names it, " +
		"data.siteIds the sites.", notice, false, admin},
	{"area.created", "An area was created. data.areaId names it.", info, false, admin},
	{"area.updated", "An area was changed. data.areaId names it, data.changed lists the fields.",
		info, false, admin},
	{"area.deleted", "An area was deleted. data.areaId names it.", notice, false, admin},
	{"occupancy.changed", "Somebody came into or left an area. data.areaId names it, data.count is " +
		"who is in.", info, false, atDoors},
	{"occupancy.limit_reached", "An area is full. data.areaId names it, with data.count and data.limit.",
		warning, false, atDoors},
	{"presence.recorded", "An operator recorded where a person is. data.areaId names the area, " +
		"data.state says IN or OUT.", notice, false, atDoors},
	{"antipassback.violated", "Somebody came in again without having left, or left without having " +
		"come in. data.areaId names the area, data.mode says whether the door refused.", warning, false, atDoors},
	{"antipassback.reset", "It was forgotten where people are: their next pass is free. data.areaId " +
		"names the area; user, if it was for one person.", notice, false, admin},
	{"credential.created", "A credential was given to a person. data.credentialId names it, data.kind.",
		notice, false, admin},
	{"credential.suspended", "A credential was suspended. data.credentialId names it.", notice, false, admin},
	{"credential.resumed", "A suspended credential was resumed. data.credentialId names it.",
		info, false, admin},
	{"credential.revoked", "A credential was revoked. data.credentialId names it.", notice, false, admin},
	{"credential.blocked", "Too many wrong tries: blocked until data.until. data.credentialId names " +
		"the credential; without it, PINs are blocked at the door.", warning, false, admin},
	{"visitor.invited", "A guest was invited. data.visitId names the visit.", info, false, admin},
	{"visitor.updated", "A visit was changed. data.visitId names it, data.changed lists the fields.",
		info, false, admin},
	{"visitor.arrived", "A guest arrived. data.visitId names the visit.", info, false, atDoors},
	{"visitor.departed", "A guest left, and their key ended. data.visitId names the visit.",
		info, false, atDoors},
	{"visitor.cancelled", "A visit was cancelled, and its key with it. data.visitId names it.",
		info, false, admin},
	{"visitor.no_show", "A guest did not come. data.visitId names the visit.", info, false, atDoors},
	{"sign_in.failed", "Somebody tried to sign in as a user, and was refused. data.method says how, " +
		"data.times how often since it was last told. data.passkeyId names a passkey; data.cloned is true " +
		"if there may be a copy of it. data.providerId names an identity provider.", warning, false, admin},
	{"user.invited", "A user was sent a mail that says where to sign in.", info, false, admin},
	{"session.created", "A user signed in. data.sessionId names the session, data.method says how.", notice,
		false, admin},
	{"session.ended", "A session was ended. data.sessionId names it.", notice, false, admin},
	{"passkey.created", "A user added a passkey. data.passkeyId names it.", notice, false, admin},
	{"passkey.deleted", "A passkey was deleted. data.passkeyId names it.", notice, false, admin},
	{"identity.created", "An identity provider named a user for the first time. data.identityId names whom " +
		"it knows, data.providerId the provider.", notice, false, admin},
	{"identity.deleted", "A user was unbound from whom an identity provider knows. data.identityId names " +
		"whom, data.providerId the provider.", notice, false, admin},
	{"data.exported", "Data is exported. data.noun says what of, data.count how many.", notice, false, admin},
	{"data.imported", "Data was imported. data.noun says what of, data.created and data.updated how many.",
		notice, false, admin},
	{"personal_data.read", "Personal data of many people is read at once. data.noun says what of, " +
		"data.count how many.", notice, false, admin},
	{"identity_provider.created", "An identity provider was created: people may sign in there. " +
		"data.providerId names it.", warning, false, admin},
	{"identity_provider.updated", "An identity provider was changed. data.providerId names it.",
		warning, false, admin},
	{"identity_provider.deleted", "An identity provider was deleted. data.providerId names it.",
		warning, false, admin},
	{"api_token.created", "An API token was created. data.tokenId names it.", notice, false, admin},
	{"api_token.rotated", "An API token got another secret. data.tokenId names it, data.until says until " +
		"when the one before is good.", notice, false, admin},
	{"api_token.used_from_new_address", "An API token was used from an address that it was not used " +
		"from lately. data.tokenId names it.", warning, false, admin},
	{"api_token.revoked", "An API token was revoked. data.tokenId names it.", notice, false, admin},
	{"application.created", "An application was created. data.applicationId names it.", notice, false, admin},
	{"application.updated", "An application was changed, or enabled, or disabled. data.applicationId " +
		"names it, data.changed lists the fields.", notice, false, admin},
	{"application.secret_rotated", "An application got another secret. data.applicationId names it, " +
		"data.until says until when the one before is good.", notice, false, admin},
	{"application.deleted", "An application was deleted, and all its grants ended. data.applicationId " +
		"names it.", notice, false, admin},
	{"grant.created", "A user let an application act for them, or an administrator let it act for that " +
		"user by itself. data.grantId and data.applicationId name them, data.scopes and data.siteIds say " +
		"how far.", notice, false, admin},
	{"grant.revoked", "What an application may do for a user ended. data.grantId and data.applicationId " +
		"name them, data.reason says why: REQUESTED, APPLICATION, REUSED_CODE, REUSED_TOKEN, REPLACED, " +
		"APPLICATION_DELETED or USER_SUSPENDED.", notice, false, admin},
	{"webhook_endpoint.created", "A webhook endpoint was created. data.endpointId names it.",
		notice, false, admin},
	{"webhook_endpoint.updated", "A webhook endpoint was changed. data.endpointId names it.",
		info, false, admin},
	{"webhook_endpoint.disabled", "A webhook endpoint was disabled after it answered 410 Gone. " +
		"data.endpointId names it.", warning, false, admin},
	{"webhook_endpoint.deleted", "A webhook endpoint was deleted. data.endpointId names it.",
		notice, false, admin},
	{"device.created", "A device was created and its claim code issued.", info, false, admin},
	{"device.enrolled", "A device claimed its place with its own key.", notice, false, admin},
	{"device.removed", "A device was removed; its key opens no link any more.", notice, false, admin},
	{"device.connected", "A device's link came up. data.epoch counts links.", info, false, atDoors},
	{"device.disconnected", "A device's link went down. data.epoch counts links.", notice, false, atDoors},
	{"device.key_rotation_asked", "Someone asked a device to make a new key.", notice, false, admin},
	{"device.key_offered", "A device has made a new key; either opens its link until it uses the new one.",
		info, false, admin},
	{"device.key_rotated", "A device uses a new key; the one before opens no link any more.", notice, false,
		admin},
	{"device.events_lost", "A hole in a device's log: reports data.from to data.to never came.",
		warning, false, atDoors},
	{"device.order_refused", "A device was sent orders that its server had not signed for it and its" +
		" link, or that were old. data.count: how many, since it last told.", warning, true, admin},
	{"device.battery_low", "A device's battery is low. data.level is in percent.", warning, true, atDoors},
	{"device.clock_set", "A device's clock was wrong and was set. data.skewMilliseconds is how far it was " +
		"ahead; what it reported before keeps its time.", notice, true, atDoors},
	{"device.clock_wrong", "A device's clock is more than 2 s off. data.offsetMilliseconds is how far it is " +
		"ahead; what it reports keeps its time. From 10 s on its doors do not unlock remotely.",
		warning, false, atDoors},
	{"device.clock_right", "A device's clock is right again. data.offsetMilliseconds is how far it is ahead.",
		info, false, atDoors},
	{"device.list_applied", "A device decides by another list from now on. data.sequence is the last event " +
		"that the list takes into account, data.notAfter its end, data.cards counts cards, data.losses says " +
		"what the device cannot be told.", info, true, atDoors},
	{"device.tampered", "A device's casing or wiring was tampered with.", critical, true, admin},
	{"access.granted", "Someone was let through a door.", info, true, atDoors},
	{"access.denied", "Someone was refused at a door; reason says why.", notice, true, atDoors},
	{"access.duress", "A duress credential was used; the door behaved as always. data.credentialId " +
		"names it.", critical, true, atDoors},
	{"access.no_entry", "Access was granted and the door never opened.", info, true, atDoors},
	{"door.opened", "The door leaf opened.", info, true, atDoors},
	{"door.closed", "The door leaf closed.", info, true, atDoors},
	{"door.forced_open", "The door opened without a grant or a request to exit.", critical, true, atDoors},
	{"door.forced_open_cleared", "A forced-open door closed.", info, true, atDoors},
	{"door.held_open", "The door stayed open past its threshold.", warning, true, atDoors},
	{"door.held_open_cleared", "A held-open door closed.", info, true, atDoors},
	{"door.rex_activated", "Someone asked to leave: request to exit.", info, true, atDoors},
	{"lock.locked", "The lock was seen locked.", info, true, atDoors},
	{"lock.unlocked", "The lock was seen unlocked.", info, true, atDoors},
	{"lock.jammed", "The lock's mechanism is stuck.", warning, true, atDoors},
	{"lock.state_unknown", "The lock's state is no longer known.", warning, true, atDoors},
	{"command.created", "A command was accepted and awaits its device.", info, false, atDoors},
	{"command.dispatched", "A command was written to its device's link.", info, false, atDoors},
	{"command.acknowledged", "The device has taken a command on.", info, false, atDoors},
	{"command.confirmed", "The device showed that a command took effect.", info, false, atDoors},
	{"command.rejected", "The rules refused a command; reason says why.", notice, false, atDoors},
	{"command.failed", "A command could not be carried out; reason says why.", warning, false, atDoors},
	{"command.expired", "A command's deadline passed before it reached its device.", warning, false, atDoors},
	{"command.unconfirmed", "A command reached its device, and nothing shows what came of it.",
		warning, false, atDoors},
	{"command.cancelled", "A command was cancelled before it took effect.", notice, false, atDoors},
}

// ofAccess are the names of the types of ClassAccess.
var ofAccess = func() (names []string) {
	for _, t := range Types {
		if t.Class == ClassAccess {
			names = append(names, t.Name)
		}
	}
	return names
}()

var byName = func() map[string]Type {
	index := make(map[string]Type, len(Types))
	for _, t := range Types {
		index[t.Name] = t
	}
	return index
}()

// Lookup returns the catalogue's entry for a type name.
func Lookup(name string) (Type, bool) {
	t, ok := byName[name]
	return t, ok
}
