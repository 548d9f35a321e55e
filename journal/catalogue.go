package journal

//go:generate go run document.go

import "github.com/cardea/cardea/ent/event"

// Type is an entry of the event catalogue, docs/events.md.
type Type struct {
	Name        string // noun.verb_past
	Description string // when it is recorded, and what data it carries
	Severity    event.Severity
	Reportable  bool // a device may report it
}

const (
	info     = event.SeverityINFO
	notice   = event.SeverityNOTICE
	warning  = event.SeverityWARNING
	critical = event.SeverityCRITICAL
)

// Types is the catalogue: nothing else can be appended. Names are public API and never change.
var Types = []Type{
	{"organization.created", "An organization was created.", notice, false},
	{"site.created", "A site was created.", info, false},
	{"site.updated", "A site was changed. data.changed lists the fields.", info, false},
	{"site.deleted", "A site was deleted.", notice, false},
	{"door.created", "A door was created.", info, false},
	{"door.updated", "A door was changed. data.changed lists the fields.", info, false},
	{"door.deleted", "A door was deleted.", notice, false},
	{"door.bound", "A door was bound to a port of a device. data.port is the port.", info, false},
	{"door.mode_changed", "Another mode is in force at a door. data.from and data.to are modes, " +
		"data.cause says why, data.until when that ends by itself.", notice, false},
	{"override.applied", "A door's mode was overridden. data.mode, and data.until if it ends by itself.",
		notice, false},
	{"override.cancelled", "An override was cancelled before its time.", info, false},
	{"override.expired", "An override came to its end.", info, false},
	{"door_group.created", "A group of doors was created. data.groupId names it.", info, false},
	{"door_group.updated", "A group of doors was changed. data.groupId names it, data.changed lists " +
		"the fields.", info, false},
	{"door_group.deleted", "A group of doors was deleted, and it opens nothing any more. " +
		"data.groupId names it.", notice, false},
	{"door_group.door_added", "A door joined a group, or for another time. data.groupId names it.",
		info, false},
	{"door_group.door_removed", "A door left a group. data.groupId names it.", info, false},
	{"user.created", "A user was created.", info, false},
	{"user.updated", "A user was changed. data.changed lists the fields.", info, false},
	{"user.role_changed", "A user got another role, or manages other sites. data.from and data.to are " +
		"roles, data.siteIds what a manager manages from now on, if that was said.", notice, false},
	{"user.deleted", "A user was deleted, and their keys and tokens with them.", notice, false},
	{"user.erased", "A user was erased: nothing is left of who they were but their identifier, in the " +
		"journal. Follows user.deleted.", notice, false},
	{"user_group.created", "A group of people was created. data.groupId names it.", info, false},
	{"user_group.updated", "A group of people was changed. data.groupId names it, data.changed lists " +
		"the fields.", info, false},
	{"user_group.deleted", "A group of people was deleted, and its keys with it. data.groupId names it.",
		notice, false},
	{"user_group.member_added", "A person joined a group, or for another time. data.groupId names it.",
		info, false},
	{"user_group.member_removed", "A person left a group. data.groupId names it.", info, false},
	{"key.created", "A key was granted. data lists what it opens: doorIds, doorGroupIds, and groupId " +
		"if it is a group's.", info, false},
	{"key.updated", "A key was changed. data.changed lists the fields.", info, false},
	{"key.suspended", "A key was suspended: it opens nothing until it is resumed.", notice, false},
	{"key.resumed", "A suspended key was resumed.", info, false},
	{"key.shared", "A key was shared: key is the new one, data.fromKeyId the one it came from.",
		info, false},
	{"key.link_renewed", "A shared key got another link, and the one before is void.", info, false},
	{"key.redeemed", "A shared key was redeemed with its link.", info, false},
	{"key.use_returned", "A use of a key was given back, because its unlock never happened.",
		info, false},
	{"key.revoked", "A key was revoked.", notice, false},
	{"schedule.created", "A schedule was created. data.scheduleId names it.", info, false},
	{"schedule.updated", "A schedule was changed. data.scheduleId names it, data.changed lists the " +
		"fields.", info, false},
	{"schedule.deleted", "A schedule was deleted. data.scheduleId names it.", notice, false},
	{"schedule.started", "A door's unlock schedule began a window. data.scheduleId names it.",
		info, false},
	{"schedule.ended", "A window of a door's unlock schedule ended. data.scheduleId names it.",
		info, false},
	{"schedule.skipped", "A window of a door's unlock schedule did not take effect; reason says why: " +
		"HOLIDAY, or FIRST_PERSON_PENDING while nobody was let in. data.scheduleId names it.",
		info, false},
	{"schedule.first_in_satisfied", "Somebody was let in, so the door's unlock schedule takes effect.",
		info, false},
	{"holiday_calendar.created", "A holiday calendar was created. data.calendarId names it.",
		info, false},
	{"holiday_calendar.updated", "A holiday calendar was changed. data.calendarId names it.",
		info, false},
	{"holiday_calendar.deleted", "A holiday calendar was deleted. data.calendarId names it.",
		notice, false},
	{"lockdown_plan.created", "A lockdown plan was created. data.planId names it.", notice, false},
	{"lockdown_plan.updated", "A lockdown plan was changed. data.planId names it, data.changed lists " +
		"the fields.", notice, false},
	{"lockdown_plan.deleted", "A lockdown plan was deleted. data.planId names it.", notice, false},
	{"lockdown.requested", "Somebody asked for a lockdown that needs a second person. data.lockdownId " +
		"and data.planId name it, data.siteIds the sites that it touches (200 of them at most).", warning, false},
	{"lockdown.activated", "A lockdown is in force. data.lockdownId and data.planId name it, data.siteIds the " +
		"sites that it touches, data.doors counts its doors, data.until is when it ends by itself.", critical, false},
	{"lockdown.door_unreached", "A door's device did not take a lockdown on. data.lockdownId names it.",
		critical, false},
	{"lockdown.release_requested", "Somebody asked for a release that needs a second person. " +
		"data.lockdownId names it, data.siteIds the sites.", warning, false},
	{"lockdown.released", "A lockdown was released. data.lockdownId names it, data.siteIds the sites.", critical,
		false},
	{"lockdown.lapsed", "A request for a lockdown was not confirmed in time. data.lockdownId names it, " +
		"data.siteIds the sites.", notice, false},
	{"area.created", "An area was created. data.areaId names it.", info, false},
	{"area.updated", "An area was changed. data.areaId names it, data.changed lists the fields.",
		info, false},
	{"area.deleted", "An area was deleted. data.areaId names it.", notice, false},
	{"occupancy.changed", "Somebody came into or left an area. data.areaId names it, data.count is " +
		"who is in.", info, false},
	{"occupancy.limit_reached", "An area is full. data.areaId names it, with data.count and data.limit.",
		warning, false},
	{"presence.recorded", "An operator recorded where a person is. data.areaId names the area, " +
		"data.state says IN or OUT.", notice, false},
	{"antipassback.violated", "Somebody came in again without having left, or left without having " +
		"come in. data.areaId names the area, data.mode says whether the door refused.", warning, false},
	{"antipassback.reset", "It was forgotten where people are: their next pass is free. data.areaId " +
		"names the area; user, if it was for one person.", notice, false},
	{"credential.created", "A credential was given to a person. data.credentialId names it, data.kind.",
		notice, false},
	{"credential.suspended", "A credential was suspended. data.credentialId names it.", notice, false},
	{"credential.resumed", "A suspended credential was resumed. data.credentialId names it.",
		info, false},
	{"credential.revoked", "A credential was revoked. data.credentialId names it.", notice, false},
	{"credential.blocked", "Too many wrong tries: blocked until data.until. data.credentialId names " +
		"the credential; without it, PINs are blocked at the door.", warning, false},
	{"visitor.invited", "A guest was invited. data.visitId names the visit.", info, false},
	{"visitor.updated", "A visit was changed. data.visitId names it, data.changed lists the fields.",
		info, false},
	{"visitor.arrived", "A guest arrived. data.visitId names the visit.", info, false},
	{"visitor.departed", "A guest left, and their key ended. data.visitId names the visit.",
		info, false},
	{"visitor.cancelled", "A visit was cancelled, and its key with it. data.visitId names it.",
		info, false},
	{"visitor.no_show", "A guest did not come. data.visitId names the visit.", info, false},
	{"sign_in.failed", "Somebody tried to sign in as a user, and was refused. data.method says how, " +
		"data.times how often since it was last told. data.passkeyId names a passkey; data.cloned is true " +
		"if there may be a copy of it. data.providerId names an identity provider.", warning, false},
	{"user.invited", "A user was sent a mail that says where to sign in.", info, false},
	{"session.created", "A user signed in. data.sessionId names the session, data.method says how.", notice,
		false},
	{"session.ended", "A session was ended. data.sessionId names it.", notice, false},
	{"passkey.created", "A user added a passkey. data.passkeyId names it.", notice, false},
	{"passkey.deleted", "A passkey was deleted. data.passkeyId names it.", notice, false},
	{"identity.created", "An identity provider named a user for the first time. data.identityId names whom " +
		"it knows, data.providerId the provider.", notice, false},
	{"identity.deleted", "A user was unbound from whom an identity provider knows. data.identityId names " +
		"whom, data.providerId the provider.", notice, false},
	{"data.exported", "Data is exported. data.noun says what of, data.count how many.", notice, false},
	{"data.imported", "Data was imported. data.noun says what of, data.created and data.updated how many.",
		notice, false},
	{"personal_data.read", "Personal data of many people is read at once. data.noun says what of, " +
		"data.count how many.", notice, false},
	{"identity_provider.created", "An identity provider was created: people may sign in there. " +
		"data.providerId names it.", warning, false},
	{"identity_provider.updated", "An identity provider was changed. data.providerId names it.",
		warning, false},
	{"identity_provider.deleted", "An identity provider was deleted. data.providerId names it.",
		warning, false},
	{"api_token.created", "An API token was created. data.tokenId names it.", notice, false},
	{"api_token.rotated", "An API token got another secret. data.tokenId names it, data.until says until " +
		"when the one before is good.", notice, false},
	{"api_token.used_from_new_address", "An API token was used from an address that it was not used " +
		"from lately. data.tokenId names it.", warning, false},
	{"api_token.revoked", "An API token was revoked. data.tokenId names it.", notice, false},
	{"application.created", "An application was created. data.applicationId names it.", notice, false},
	{"application.updated", "An application was changed, or enabled, or disabled. data.applicationId " +
		"names it, data.changed lists the fields.", notice, false},
	{"application.secret_rotated", "An application got another secret. data.applicationId names it, " +
		"data.until says until when the one before is good.", notice, false},
	{"application.deleted", "An application was deleted, and all its grants ended. data.applicationId " +
		"names it.", notice, false},
	{"grant.created", "A user let an application act for them, or an administrator let it act for that " +
		"user by itself. data.grantId and data.applicationId name them, data.scopes and data.siteIds say " +
		"how far.", notice, false},
	{"grant.revoked", "What an application may do for a user ended. data.grantId and data.applicationId " +
		"name them, data.reason says why: REQUESTED, APPLICATION, REUSED_CODE, REUSED_TOKEN, REPLACED, " +
		"APPLICATION_DELETED or USER_SUSPENDED.", notice, false},
	{"webhook_endpoint.created", "A webhook endpoint was created. data.endpointId names it.",
		notice, false},
	{"webhook_endpoint.updated", "A webhook endpoint was changed. data.endpointId names it.",
		info, false},
	{"webhook_endpoint.disabled", "A webhook endpoint was disabled after it answered 410 Gone. " +
		"data.endpointId names it.", warning, false},
	{"webhook_endpoint.deleted", "A webhook endpoint was deleted. data.endpointId names it.",
		notice, false},
	{"device.created", "A device was created and its claim code issued.", info, false},
	{"device.enrolled", "A device claimed its place with its own key.", notice, false},
	{"device.removed", "A device was removed; its key opens no link any more.", notice, false},
	{"device.connected", "A device's link came up. data.epoch counts links.", info, false},
	{"device.disconnected", "A device's link went down. data.epoch counts links.", notice, false},
	{"device.events_lost", "A hole in a device's log: reports data.from to data.to never came.",
		warning, false},
	{"device.battery_low", "A device's battery is low. data.level is in percent.", warning, true},
	{"device.tampered", "A device's casing or wiring was tampered with.", critical, true},
	{"access.granted", "Someone was let through a door.", info, true},
	{"access.denied", "Someone was refused at a door; reason says why.", notice, true},
	{"access.duress", "A duress credential was used; the door behaved as always. data.credentialId " +
		"names it.", critical, true},
	{"access.no_entry", "Access was granted and the door never opened.", info, true},
	{"door.opened", "The door leaf opened.", info, true},
	{"door.closed", "The door leaf closed.", info, true},
	{"door.forced_open", "The door opened without a grant or a request to exit.", critical, true},
	{"door.forced_open_cleared", "A forced-open door closed.", info, true},
	{"door.held_open", "The door stayed open past its threshold.", warning, true},
	{"door.held_open_cleared", "A held-open door closed.", info, true},
	{"door.rex_activated", "Someone asked to leave: request to exit.", info, true},
	{"lock.locked", "The lock was seen locked.", info, true},
	{"lock.unlocked", "The lock was seen unlocked.", info, true},
	{"lock.jammed", "The lock's mechanism is stuck.", warning, true},
	{"lock.state_unknown", "The lock's state is no longer known.", warning, true},
	{"command.created", "A command was accepted and awaits its device.", info, false},
	{"command.dispatched", "A command was written to its device's link.", info, false},
	{"command.acknowledged", "The device has taken a command on.", info, false},
	{"command.confirmed", "The device showed that a command took effect.", info, false},
	{"command.rejected", "The rules refused a command; reason says why.", notice, false},
	{"command.failed", "A command could not be carried out; reason says why.", warning, false},
	{"command.expired", "A command's deadline passed before it reached its device.", warning, false},
	{"command.unconfirmed", "A command reached its device, and nothing shows what came of it.",
		warning, false},
	{"command.cancelled", "A command was cancelled before it took effect.", notice, false},
}

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
