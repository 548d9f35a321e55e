package graph_test

import (
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/typeid"
)

// The rows of the matrix (matrix_test.go). Whatever the schema has that they lack fails
// TestMatrix/complete, which names the table and the row to add:
//
//   - a type: kinds, with the action that guards it and, if it has identifiers, where its rows are
//     and whose they are. What SQL cannot say in one expression, realm (matrix_world_test.go) says
//     with owns and reaches. At least one row of it has to be in the realm;
//   - a query, subscription or mutation: the action that guards it, and valid arguments that name
//     what is keeper's and at the site there: nobody who does not reach ALL may have it so;
//   - an argument, or a field of an input, that is an identifier: nothing; valid arguments name it;
//   - a filter that is an identifier or a text: filters;
//   - a field whose type is a noun, or a list of one: nothing; it is followed for every caller.
//
// How far a caller reaches is what access.Permissions says: there is no second copy of the policy.

// row is a field of the schema: what guards it, and arguments that are valid.
type row struct {
	name   string
	action access.Action     // "": what it returns guards itself
	given  func(*realm) vars // nil: it needs none
}

// kind is a type of the schema.
type kind struct {
	action access.Action // "": it is as visible as what has it
	table  string        // "": it has no identifiers
	at, of string        // SQL: the sites that a row r is at, and whose own it is
	named  func(uuid string) string
	fresh  func() string
}

// part is a type that is only ever part of another.
var part = kind{}

// guarded is a type without identifiers that an action guards.
func guarded(action access.Action) kind { return kind{action: action} }

// noun is a type with rows.
func noun[T any, P interface {
	*T
	Scan(any) error
	String() string
}](
	action access.Action, table, at, of string, fresh func() T,
) kind {
	return kind{action, table, at, of,
		func(uuid string) string {
			id := new(T)
			if err := P(id).Scan(uuid); err != nil {
				panic(err)
			}
			return P(id).String()
		},
		func() string { id := fresh(); return P(&id).String() },
	}
}

const nobody, nowhere = "NULL", "NULL"

// kinds are the object types of the schema.
var kinds = map[string]kind{
	"Organization": noun(access.ReadOrganization, "organizations", nowhere, nobody,
		typeid.New[typeid.Organization]),
	"Site":   noun(access.ReadSites, "sites", "r.id", nobody, typeid.New[typeid.Site]),
	"Door":   noun(access.ReadDoors, "doors", "r.site_id", nobody, typeid.New[typeid.Door]),
	"Device": noun(access.ReadDevices, "devices", "r.site_id", nobody, typeid.New[typeid.Device]),
	"User":   noun(access.ReadUsers, "users", nowhere, "r.id", typeid.New[typeid.User]),
	"Key": noun(access.ReadKeys, "keys", nowhere, "r.user_id, r.shared_by_id",
		typeid.New[typeid.Key]),
	"Schedule": noun(access.ReadSchedules, "schedules", nowhere, nobody,
		typeid.New[typeid.Schedule]),
	"HolidayCalendar": noun(access.ReadSchedules, "holiday_calendars", nowhere, nobody,
		typeid.New[typeid.HolidayCalendar]),
	"UserGroup": noun(access.ReadGroups, "user_groups", nowhere, nobody,
		typeid.New[typeid.UserGroup]),
	"DoorGroup": noun(access.ReadGroups, "door_groups", nowhere, nobody,
		typeid.New[typeid.DoorGroup]),
	"Area": noun(access.ReadAreas, "areas", "r.site_id", nobody, typeid.New[typeid.Area]),
	"Credential": noun(access.ReadCredentials, "credentials", nowhere,
		"CASE WHEN NOT r.duress THEN r.user_id END", typeid.New[typeid.Credential]),
	"Visit": noun(access.ReadVisits, "visits", "r.site_id", "r.host_id", typeid.New[typeid.Visit]),
	"LockdownPlan": noun(access.ReadLockdowns, "lockdown_plans", nowhere, nobody,
		typeid.New[typeid.LockdownPlan]),
	"Lockdown": noun(access.ReadLockdowns, "lockdowns", nowhere, nobody,
		typeid.New[typeid.Lockdown]),
	"Command": noun(access.ReadCommands, "commands",
		"(SELECT d.site_id FROM doors d WHERE d.id = r.door_id)", "r.requester_user_id",
		typeid.New[typeid.Command]),
	"Event": noun(access.ReadEvents, "events", "r.site_id", "r.user_id", typeid.New[typeid.Event]),
	"ApiToken": noun(access.ReadTokens, "(SELECT * FROM api_tokens WHERE grant_id IS NULL)", nowhere,
		"r.user_id", typeid.New[typeid.APIToken]),
	"Application": noun(access.ReadApplications, "applications", nowhere, nobody,
		typeid.New[typeid.Application]),
	"Grant":    noun(access.ReadGrants, "grants", nowhere, "r.user_id", typeid.New[typeid.Grant]),
	"Passkey":  noun(access.ReadSessions, "passkeys", nowhere, "r.user_id", typeid.New[typeid.Passkey]),
	"Session":  noun(access.ReadSessions, "sessions", nowhere, "r.user_id", typeid.New[typeid.Session]),
	"Identity": noun(access.ReadSessions, "identities", nowhere, "r.user_id", typeid.New[typeid.Identity]),
	"IdentityProvider": noun(access.ReadProviders, "identity_providers", nowhere, nobody,
		typeid.New[typeid.IdentityProvider]),
	"WebhookEndpoint": noun(access.ReadWebhooks, "webhook_endpoints", nowhere, nobody,
		typeid.New[typeid.WebhookEndpoint]),
	"WebhookDelivery": noun(access.ReadWebhooks, "webhook_deliveries", nowhere, nobody,
		typeid.New[typeid.WebhookDelivery]),
	"WebhookAttempt": noun(access.ReadWebhooks, "webhook_attempts", nowhere, nobody,
		typeid.New[typeid.WebhookAttempt]),

	"Viewer": part, "Permission": part, "Actor": part, "EffectiveMode": part, "DoorOverride": part,
	"Holiday": part, "ScheduleWindow": part, "OpenSpan": part, "EventType": part,
	"UserGroupMember": guarded(access.ReadGroups), "DoorGroupDoor": guarded(access.ReadGroups),
	"LockdownDoor": guarded(access.ReadLockdowns), "Presence": guarded(access.ReadAreas),
	"AccessDecision": part, "AccessStep": part, "AccessVerdict": part, "NextAccessChange": part,
	"UserAccess": part, "DoorAccess": part, "AccessImpact": part, "PolicyReplayItem": part,
	"DoorUpdate": part, "EventUpdate": part, "Checkpoint": part, "InclusionProof": part,
	"ConsistencyProof": part, "LogKey": part,
}

// guards are the actions that a field takes besides that of its type.
var guards = map[string][]access.Action{
	"Actor.name": {access.ReadUsers, access.ReadTokens, access.ReadDevices, access.ReadGrants,
		access.ReadApplications},
	"Actor.application": {access.ReadGrants}, "Application.actsFor": {access.ReadGrants},
}

// shows are the fields that show of a noun what its own action does not. A person may know which doors
// are closed by a lockdown that they may trigger, and what happens at a door that they watch.
var shows = map[string]func(*realm, caller, *thing) bool{
	"LockdownDoor.door": func(e *realm, c caller, t *thing) bool {
		return t.id == e.loft.ID.String() && c.user == e.holder.user.ID
	},
	"DoorUpdate.event": func(_ *realm, c caller, t *thing) bool { return t.realm == c.realm },
}

// references are the fields that keep the identifier of what somebody may not see: who did something,
// and what it was done to.
var references = map[string]bool{"Actor.id": true, "Event.data": true}

// needed are arguments of nested fields that they cannot do without: the kinds that they name.
var needed = map[string]map[string]string{
	"Schedule.next": {"siteId": "Site"}, "Schedule.isOpen": {"siteId": "Site"},
}

// filters are the arguments of lists that name something, and the kind of it; or a text to look for.
var filters = map[string]string{
	"siteId": "Site", "doorId": "Door", "userId": "User", "hostId": "User",
	"doorIds": "Door", "siteIds": "Site", "userIds": "User",
	"types": "=door.created", "actorIds": "=sweeper", "search": "=q0",
}

func soon() string  { return time.Now().Add(time.Minute).UTC().Format(time.RFC3339) }
func later() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

var queries = []row{
	{"viewer", "", nil},
	{"eventTypes", "", nil},
	{"organization", access.ReadOrganization, nil},
	{"node", "", func(e *realm) vars { return vars{"id": e.there.gate.ID} }},
	{"nodes", "", func(e *realm) vars {
		return vars{"ids": []any{e.there.gate.ID, e.keeper.user.ID}}
	}},
	{"application", access.ReadApplications, func(e *realm) vars { return vars{"id": e.app.ID} }},
	{"applications", access.ReadApplications, nil},
	{"area", access.ReadAreas, func(e *realm) vars { return vars{"id": e.there.hall.ID} }},
	{"command", access.ReadCommands, func(e *realm) vars { return vars{"id": e.there.command.ID} }},
	{"credential", access.ReadCredentials, func(e *realm) vars { return vars{"id": e.card.ID} }},
	{"device", access.ReadDevices, func(e *realm) vars { return vars{"id": e.there.device.ID} }},
	{"devices", access.ReadDevices, nil},
	{"door", access.ReadDoors, func(e *realm) vars { return vars{"id": e.there.gate.ID} }},
	{"doors", access.ReadDoors, nil},
	{"doorGroup", access.ReadGroups, func(e *realm) vars { return vars{"id": e.spareWing.ID} }},
	{"doorGroups", access.ReadGroups, nil},
	{"auditLog", access.ReadEvents, nil},
	{"checkpoint", access.ReadEvents, func(*realm) vars { return vars{"atLeast": 1} }},
	{"inclusionProof", access.ReadEvents, func(*realm) vars { return vars{"sequence": 1} }},
	{"consistencyProof", access.ReadEvents, func(*realm) vars { return vars{"from": 1} }},
	{"logKeys", access.ReadEvents, nil},
	{"effectiveAccess", access.ReadAccess, func(e *realm) vars {
		return vars{"userId": e.keeper.user.ID, "doorId": e.there.gate.ID}
	}},
	{"whoCanOpen", access.ReadAccess, func(e *realm) vars { return vars{"doorId": e.there.gate.ID} }},
	{"doorsFor", access.ReadAccess, func(e *realm) vars { return vars{"userId": e.keeper.user.ID} }},
	{"holidayCalendar", access.ReadSchedules, func(e *realm) vars {
		return vars{"id": e.spareCalendar.ID}
	}},
	{"holidayCalendars", access.ReadSchedules, nil},
	{"impact", access.ShareKeys, func(e *realm) vars {
		return vars{"change": vars{"revokeKey": vars{"id": e.there.key.ID}}}
	}},
	{"policyReplay", access.ShareKeys, func(e *realm) vars {
		return vars{"change": vars{"revokeKey": vars{"id": e.there.key.ID}},
			"from": time.Now().Add(-time.Hour), "to": time.Now().Add(time.Minute)}
	}},
	{"key", access.ReadKeys, func(e *realm) vars { return vars{"id": e.there.key.ID} }},
	{"keys", access.ReadKeys, nil},
	{"lockdown", access.ReadLockdowns, func(e *realm) vars { return vars{"id": e.there.lockdown.ID} }},
	{"lockdowns", access.ReadLockdowns, nil},
	{"lockdownPlan", access.ReadLockdowns, func(e *realm) vars { return vars{"id": e.there.plan.ID} }},
	{"lockdownPlans", access.ReadLockdowns, nil},
	{"schedule", access.ReadSchedules, func(e *realm) vars { return vars{"id": e.schedule.ID} }},
	{"schedules", access.ReadSchedules, nil},
	{"site", access.ReadSites, func(e *realm) vars { return vars{"id": e.there.site.ID} }},
	{"sites", access.ReadSites, nil},
	{"user", access.ReadUsers, func(e *realm) vars { return vars{"id": e.keeper.user.ID} }},
	{"users", access.ReadUsers, nil},
	{"userGroup", access.ReadGroups, func(e *realm) vars { return vars{"id": e.spareCrew.ID} }},
	{"userGroups", access.ReadGroups, nil},
	{"visit", access.ReadVisits, func(e *realm) vars { return vars{"id": e.there.visit.ID} }},
	{"visits", access.ReadVisits, nil},
	{"webhookEndpoint", access.ReadWebhooks, func(e *realm) vars { return vars{"id": e.endpoint.ID} }},
	{"webhookEndpoints", access.ReadWebhooks, nil},
	{"identityProviders", access.ReadProviders, nil},
}

var subscriptions = []row{
	{"command", access.ReadCommands, func(e *realm) vars { return vars{"id": e.there.command.ID} }},
	{"doors", access.ReadDoors, func(e *realm) vars {
		return vars{"ids": []any{e.there.gate.ID}, "siteId": e.there.site.ID}
	}},
	{"events", access.ReadEvents, func(*realm) vars { return vars{} }},
}

const (
	sameDay = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260301T220000\r\n" +
		"DTEND:20260302T060000\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	feast = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20260403\r\n" +
		"DTEND;VALUE=DATE:20260404\r\nSUMMARY:Feast\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

// mutations are in an order in which an owner can do all of them, one after the other. What is given
// is the input.
var mutations = []row{
	{"createApiToken", access.WriteTokens, func(e *realm) vars {
		return vars{"name": e.name("CI"), "userId": e.keeper.user.ID, "siteIds": []any{e.there.site.ID}}
	}},
	{"rotateApiToken", access.WriteTokens, func(e *realm) vars { return vars{"id": e.token.ID} }},
	{"revokeApiToken", access.WriteTokens, func(e *realm) vars { return vars{"id": e.token.ID} }},
	{"createApplication", access.WriteApplications, func(e *realm) vars {
		return vars{"name": e.name("Voice"), "type": "CONFIDENTIAL", "redirectUris": []any{back},
			"scopes": []any{"DOORS_READ"}, "actsForId": e.keeper.user.ID}
	}},
	{"updateApplication", access.WriteApplications, func(e *realm) vars {
		return vars{"id": e.app.ID, "scopes": []any{"DOORS_READ"}, "actsForId": e.keeper.user.ID}
	}},
	{"rotateApplicationSecret", access.WriteApplications, func(e *realm) vars { return vars{"id": e.app.ID} }},
	{"revokeGrant", access.WriteGrants, func(e *realm) vars { return vars{"id": e.leave.ID} }},
	{"deleteApplication", access.WriteApplications, func(e *realm) vars { return vars{"id": e.app.ID} }},
	{"createArea", access.WriteAreas, func(e *realm) vars {
		return vars{"siteId": e.there.site.ID, "name": e.name("Hall")}
	}},
	{"updateArea", access.WriteAreas, func(e *realm) vars {
		return vars{"id": e.there.hall.ID, "name": e.name("Hall")}
	}},
	{"setDoorAreas", access.WriteAreas, func(e *realm) vars {
		return vars{"doorId": e.there.gate.ID, "intoAreaId": e.there.yard.ID,
			"outOfAreaId": e.there.hall.ID}
	}},
	{"recordPresence", access.OperateDoors, func(e *realm) vars {
		return vars{"areaId": e.there.yard.ID, "userId": e.keeper.user.ID, "state": "IN"}
	}},
	{"resetAntiPassback", access.OperateDoors, func(e *realm) vars {
		return vars{"areaId": e.there.hall.ID, "userId": e.keeper.user.ID}
	}},
	{"unlockDoor", access.OperateDoors, func(e *realm) vars {
		return vars{"doorId": e.there.gate.ID, "operatorReason": "A parcel", "waitFor": "CREATED"}
	}},
	{"unlockDoor", access.CommandDoors, func(e *realm) vars {
		return vars{"doorId": e.there.gate.ID, "waitFor": "CREATED"}
	}},
	{"lockDoor", access.CommandDoors, func(e *realm) vars {
		return vars{"doorId": e.there.gate.ID, "waitFor": "CREATED"}
	}},
	{"createPin", access.WriteCredentials, func(e *realm) vars { return vars{"userId": e.keeper.user.ID} }},
	{"addCard", access.WriteCredentials, func(e *realm) vars {
		return vars{"userId": e.keeper.user.ID, "format": "CSN_32", "number": "0badcafe"}
	}},
	{"addMobile", access.WriteCredentials, func(e *realm) vars {
		return vars{"userId": e.keeper.user.ID,
			"publicKey": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
	}},
	{"suspendCredential", access.WriteCredentials, func(e *realm) vars { return vars{"id": e.card.ID} }},
	{"resumeCredential", access.WriteCredentials, func(e *realm) vars { return vars{"id": e.card.ID} }},
	{"presentCredential", access.OperateDoors, func(e *realm) vars {
		return vars{"doorId": e.there.gate.ID, "waitFor": "CREATED",
			"credential": vars{"card": vars{"format": "CSN_32", "number": "0badcafe"}}}
	}},
	{"revokeCredential", access.WriteCredentials, func(e *realm) vars { return vars{"id": e.card.ID} }},
	{"createDevice", access.WriteDevices, func(e *realm) vars {
		return vars{"siteId": e.there.site.ID, "name": e.name("Panel")}
	}},
	{"rotateDeviceKey", access.WriteDevices, func(e *realm) vars {
		return vars{"id": e.there.device.ID}
	}},
	{"createDoor", access.WriteDoors, func(e *realm) vars {
		return vars{"siteId": e.there.site.ID, "name": e.name("Gate")}
	}},
	{"updateDoor", access.WriteDoors, func(e *realm) vars {
		return vars{"id": e.there.cellar.ID, "name": e.name("Gate"), "unlockScheduleId": e.hours.ID}
	}},
	{"overrideDoorMode", access.OperateDoors, func(e *realm) vars {
		return vars{"doorId": e.there.cellar.ID, "mode": "UNLOCKED", "seconds": 60}
	}},
	{"cancelDoorOverride", access.OperateDoors, func(e *realm) vars {
		return vars{"doorId": e.there.cellar.ID}
	}},
	{"bindDoor", access.WriteDoors, func(e *realm) vars {
		return vars{"doorId": e.there.cellar.ID, "deviceId": e.there.spareDevice.ID, "port": 3}
	}},
	{"createDoorGroup", access.WriteGroups, func(e *realm) vars {
		return vars{"name": e.name("Wing"), "parentId": e.house.ID}
	}},
	{"updateDoorGroup", access.WriteGroups, func(e *realm) vars {
		return vars{"id": e.spareWing.ID, "parentId": e.house.ID}
	}},
	{"addDoorGroupDoors", access.WriteGroups, func(e *realm) vars {
		return vars{"doorGroupId": e.spareWing.ID, "doorIds": []any{e.there.gate.ID}}
	}},
	{"removeDoorGroupDoors", access.WriteGroups, func(e *realm) vars {
		return vars{"doorGroupId": e.spareWing.ID, "doorIds": []any{e.there.cellar.ID}}
	}},
	{"createUserGroup", access.WriteGroups, func(e *realm) vars {
		return vars{"name": e.name("Crew"), "parentId": e.staff.ID}
	}},
	{"updateUserGroup", access.WriteGroups, func(e *realm) vars {
		return vars{"id": e.spareCrew.ID, "parentId": e.staff.ID}
	}},
	{"addUserGroupMembers", access.WriteGroups, func(e *realm) vars {
		return vars{"userGroupId": e.spareCrew.ID, "userIds": []any{e.spare.user.ID}}
	}},
	{"removeUserGroupMembers", access.WriteGroups, func(e *realm) vars {
		return vars{"userGroupId": e.spareCrew.ID, "userIds": []any{e.keeper.user.ID}}
	}},
	{"createHolidayCalendar", access.WriteSchedules, func(e *realm) vars {
		return vars{"name": e.name("Feasts"), "holidays": []any{vars{"name": "Feast", "first": "2026-12-25"}}}
	}},
	{"updateHolidayCalendar", access.WriteSchedules, func(e *realm) vars {
		return vars{"id": e.spareCalendar.ID, "name": e.name("Feasts")}
	}},
	{"importHolidayCalendar", access.WriteSchedules, func(e *realm) vars {
		return vars{"holidayCalendarId": e.spareCalendar.ID, "ical": feast}
	}},
	{"createSchedule", access.WriteSchedules, func(e *realm) vars {
		return vars{"name": e.name("Hours"), "windows": []any{vars{"start": "2026-01-05T08:00:00",
			"end": "2026-01-05T18:00:00"}}}
	}},
	{"updateSchedule", access.WriteSchedules, func(e *realm) vars {
		return vars{"id": e.spareSchedule.ID, "name": e.name("Hours")}
	}},
	{"importSchedule", access.WriteSchedules, func(e *realm) vars {
		return vars{"scheduleId": e.spareSchedule.ID, "siteId": e.there.site.ID, "ical": sameDay}
	}},
	{"grantKey", access.WriteKeys, func(e *realm) vars {
		return vars{"userId": e.keeper.user.ID, "doorIds": []any{e.there.gate.ID},
			"doorGroupIds": []any{e.house.ID}, "siteId": e.there.site.ID, "scheduleId": e.schedule.ID}
	}},
	{"updateKey", access.WriteKeys, func(e *realm) vars {
		return vars{"id": e.there.key.ID, "scheduleId": e.hours.ID}
	}},
	{"suspendKey", access.WriteKeys, func(e *realm) vars { return vars{"id": e.there.key.ID} }},
	{"resumeKey", access.WriteKeys, func(e *realm) vars { return vars{"id": e.there.key.ID} }},
	{"shareKey", access.ShareKeys, func(e *realm) vars {
		return vars{"keyId": e.there.key.ID, "recipient": "guest@example.com",
			"doorIds": []any{e.there.gate.ID}, "scheduleId": e.schedule.ID}
	}},
	{"renewKeyLink", access.ShareKeys, func(e *realm) vars { return vars{"keyId": e.there.shared.ID} }},
	{"revokeKey", access.ShareKeys, func(e *realm) vars { return vars{"id": e.there.key.ID} }},
	{"createLockdownPlan", access.WriteLockdowns, func(e *realm) vars {
		return vars{"name": e.name("Close"), "siteIds": []any{e.there.site.ID},
			"doorIds": []any{e.there.gate.ID}, "triggerGroupId": e.spareCrew.ID,
			"releaseGroupId": e.spareCrew.ID}
	}},
	{"updateLockdownPlan", access.WriteLockdowns, func(e *realm) vars {
		return vars{"id": e.there.spare.ID, "siteIds": []any{e.there.site.ID},
			"doorIds": []any{e.there.cellar.ID}, "triggerGroupId": e.spareCrew.ID,
			"releaseGroupId": e.spareCrew.ID}
	}},
	{"triggerLockdown", access.TriggerLockdowns, func(e *realm) vars {
		return vars{"planId": e.there.spare.ID}
	}},
	{"releaseLockdown", access.TriggerLockdowns, func(e *realm) vars {
		return vars{"lockdownId": e.there.lockdown.ID}
	}},
	{"endSession", access.WriteSessions, func(e *realm) vars { return vars{"id": e.session.ID} }},
	{"endOtherSessions", access.WriteSessions, func(e *realm) vars {
		return vars{"userId": e.keeper.user.ID}
	}},
	{"deletePasskey", access.WriteSessions, func(e *realm) vars { return vars{"id": e.ring.ID} }},
	{"deleteIdentity", access.WriteSessions, func(e *realm) vars { return vars{"id": e.known.ID} }},
	{"createIdentityProvider", access.WriteProviders, func(e *realm) vars {
		return vars{"name": e.name("Quay"), "issuer": "https://id.example.com/" + e.email(), "clientId": "doors",
			"clientSecret": e.name("secret"), "domains": []any{"example.com"}}
	}},
	{"updateIdentityProvider", access.WriteProviders, func(e *realm) vars {
		return vars{"id": e.provider.ID, "required": false, "name": e.name("Mill")}
	}},
	{"deleteIdentityProvider", access.WriteProviders, func(e *realm) vars { return vars{"id": e.provider.ID} }},
	{"updateOrganization", access.WriteOrganization, func(*realm) vars { return vars{"accessRetentionDays": 30} }},
	{"createSite", access.WriteSites, func(e *realm) vars {
		return vars{"name": e.name("Quay"), "timeZone": "UTC"}
	}},
	{"updateSite", access.WriteSites, func(e *realm) vars {
		return vars{"id": e.there.site.ID, "holidayCalendarId": e.calendar.ID}
	}},
	{"createUser", access.WriteUsers, func(e *realm) vars {
		return vars{"name": e.name("Shift"), "email": e.email(), "role": "MANAGER",
			"siteIds": []any{e.there.site.ID}}
	}},
	{"inviteUser", access.WriteUsers, func(e *realm) vars {
		return vars{"name": e.name("Shift"), "email": e.email(), "role": "MANAGER",
			"siteIds": []any{e.there.site.ID}}
	}},
	{"resendInvitation", access.WriteUsers, func(e *realm) vars {
		return vars{"userId": e.spare.user.ID}
	}},
	{"updateUser", access.WriteUsers, func(e *realm) vars {
		return vars{"id": e.spare.user.ID, "role": "MANAGER", "siteIds": []any{e.there.site.ID}}
	}},
	{"inviteVisitor", access.WriteVisits, func(e *realm) vars {
		return vars{"name": e.name("Visitor"), "siteId": e.there.site.ID, "hostId": e.keeper.user.ID,
			"doorIds": []any{e.there.gate.ID}, "doorGroupIds": []any{e.house.ID},
			"startsAt": soon(), "endsAt": later()}
	}},
	{"updateVisit", access.WriteVisits, func(e *realm) vars {
		return vars{"id": e.there.visit.ID, "doorIds": []any{e.there.cellar.ID},
			"doorGroupIds": []any{e.house.ID}}
	}},
	{"recordVisitorArrival", access.WriteVisits, func(e *realm) vars {
		return vars{"visitId": e.there.visit.ID}
	}},
	{"recordVisitorDeparture", access.WriteVisits, func(e *realm) vars {
		return vars{"visitId": e.there.visit.ID}
	}},
	{"cancelVisit", access.WriteVisits, func(e *realm) vars { return vars{"visitId": e.there.early.ID} }},
	{"createWebhookEndpoint", access.WriteWebhooks, func(e *realm) vars {
		return vars{"url": "https://example.com/" + e.email()}
	}},
	{"updateWebhookEndpoint", access.WriteWebhooks, func(e *realm) vars {
		return vars{"id": e.endpoint.ID, "enabled": false}
	}},
	{"deleteWebhookEndpoint", access.WriteWebhooks, func(e *realm) vars { return vars{"id": e.endpoint.ID} }},
	{"deleteLockdownPlan", access.WriteLockdowns, func(e *realm) vars { return vars{"id": e.there.unused.ID} }},
	{"deleteArea", access.WriteAreas, func(e *realm) vars { return vars{"id": e.there.hall.ID} }},
	{"removeDevice", access.WriteDevices, func(e *realm) vars { return vars{"id": e.there.device.ID} }},
	{"deleteDoor", access.WriteDoors, func(e *realm) vars { return vars{"id": e.there.cellar.ID} }},
	{"deleteDoorGroup", access.WriteGroups, func(e *realm) vars { return vars{"id": e.spareWing.ID} }},
	{"deleteUserGroup", access.WriteGroups, func(e *realm) vars { return vars{"id": e.spareCrew.ID} }},
	{"deleteUser", access.WriteUsers, func(e *realm) vars { return vars{"id": e.spare.user.ID} }},
	{"eraseUser", access.WriteUsers, func(e *realm) vars {
		return vars{"id": e.spare.user.ID, "name": e.spare.user.Name}
	}},
	{"deleteHolidayCalendar", access.WriteSchedules, func(e *realm) vars {
		return vars{"id": e.spareCalendar.ID}
	}},
	{"deleteSchedule", access.WriteSchedules, func(e *realm) vars { return vars{"id": e.spareSchedule.ID} }},
	{"deleteSite", access.WriteSites, func(e *realm) vars { return vars{"id": e.vacant.ID} }},
}
