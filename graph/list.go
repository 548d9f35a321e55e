package graph

import (
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/doorgroupdoor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/holidaycalendar"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/lockdownplan"
	"github.com/cardea/cardea/ent/passkey"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/ent/webhookendpoint"
)

// The order of every list, each with an index behind it. Codes are in cursors that clients keep, so
// they are never given to another order.
var (
	sites = list[*ent.Site]{
		code: 's', columns: []string{site.FieldName, site.FieldID},
		key: func(s *ent.Site) []any { return []any{s.Name, rawID(s.ID)} },
	}
	doors = list[*ent.Door]{
		code: 'd', columns: []string{door.FieldName, door.FieldID},
		key: func(d *ent.Door) []any { return []any{d.Name, rawID(d.ID)} },
	}
	devices = list[*ent.Device]{
		code: 'v', columns: []string{device.FieldName, device.FieldID},
		key: func(d *ent.Device) []any { return []any{d.Name, rawID(d.ID)} },
	}
	users = list[*ent.User]{
		code: 'u', columns: []string{user.FieldName, user.FieldID},
		key: func(u *ent.User) []any { return []any{u.Name, rawID(u.ID)} },
	}
	keys = list[*ent.Key]{
		code: 'k', columns: []string{key.FieldID},
		key: func(k *ent.Key) []any { return []any{rawID(k.ID)} },
	}
	schedules = list[*ent.Schedule]{
		code: 'c', columns: []string{schedule.FieldName, schedule.FieldID},
		key: func(s *ent.Schedule) []any { return []any{s.Name, rawID(s.ID)} },
	}
	calendars = list[*ent.HolidayCalendar]{
		code: 'h', columns: []string{holidaycalendar.FieldName, holidaycalendar.FieldID},
		key: func(c *ent.HolidayCalendar) []any { return []any{c.Name, rawID(c.ID)} },
	}
	userGroups = list[*ent.UserGroup]{
		code: 'g', columns: []string{usergroup.FieldName, usergroup.FieldID},
		key: func(g *ent.UserGroup) []any { return []any{g.Name, rawID(g.ID)} },
	}
	userGroupMembers = list[*ent.UserGroupMember]{
		code: 'm', columns: []string{usergroupmember.FieldUserID},
		key: func(m *ent.UserGroupMember) []any { return []any{rawID(m.UserID)} },
	}
	doorGroups = list[*ent.DoorGroup]{
		code: 'G', columns: []string{doorgroup.FieldName, doorgroup.FieldID},
		key: func(g *ent.DoorGroup) []any { return []any{g.Name, rawID(g.ID)} },
	}
	doorGroupDoors = list[*ent.DoorGroupDoor]{
		code: 'M', columns: []string{doorgroupdoor.FieldDoorID},
		key: func(m *ent.DoorGroupDoor) []any { return []any{rawID(m.DoorID)} },
	}
	areas = list[*ent.Area]{
		code: 'a', columns: []string{area.FieldName, area.FieldID},
		key: func(a *ent.Area) []any { return []any{a.Name, rawID(a.ID)} },
	}
	presences = list[*ent.Presence]{ // of one area
		code: 'p', columns: []string{presence.FieldUserID},
		key: func(p *ent.Presence) []any { return []any{rawID(p.UserID)} },
	}
	plans = list[*ent.LockdownPlan]{
		code: 'P', columns: []string{lockdownplan.FieldName, lockdownplan.FieldID},
		key: func(p *ent.LockdownPlan) []any { return []any{p.Name, rawID(p.ID)} },
	}
	lockdowns = list[*ent.Lockdown]{
		code: 'l', columns: []string{lockdown.FieldID}, newest: true,
		key: func(l *ent.Lockdown) []any { return []any{rawID(l.ID)} },
	}
	lockdownDoors = list[*ent.LockdownDoor]{ // of one lockdown
		code: 'L', columns: []string{lockdowndoor.FieldDoorID},
		key: func(d *ent.LockdownDoor) []any { return []any{rawID(d.DoorID)} },
	}
	credentials = list[*ent.Credential]{
		code: 'C', columns: []string{credential.FieldID},
		key: func(c *ent.Credential) []any { return []any{rawID(c.ID)} },
	}
	visits = list[*ent.Visit]{
		code: 'V', columns: []string{visit.FieldStartsAt, visit.FieldID},
		key: func(v *ent.Visit) []any {
			return []any{v.StartsAt.UTC().Format(time.RFC3339Nano), rawID(v.ID)}
		},
	}
	tokens = list[*ent.APIToken]{
		code: 't', columns: []string{apitoken.FieldID},
		key: func(t *ent.APIToken) []any { return []any{rawID(t.ID)} },
	}
	applications = list[*ent.Application]{
		code: 'A', columns: []string{application.FieldName, application.FieldID},
		key: func(a *ent.Application) []any { return []any{a.Name, rawID(a.ID)} },
	}
	grants = list[*ent.Grant]{
		code: 'r', columns: []string{grant.FieldID},
		key: func(g *ent.Grant) []any { return []any{rawID(g.ID)} },
	}
	sessions = list[*ent.Session]{
		code: 'S', columns: []string{session.FieldID},
		key: func(s *ent.Session) []any { return []any{rawID(s.ID)} },
	}
	passkeys = list[*ent.Passkey]{
		code: 'Y', columns: []string{passkey.FieldID},
		key: func(p *ent.Passkey) []any { return []any{rawID(p.ID)} },
	}
	identities = list[*ent.Identity]{
		code: 'i', columns: []string{identity.FieldID},
		key: func(i *ent.Identity) []any { return []any{rawID(i.ID)} },
	}
	providers = list[*ent.IdentityProvider]{
		code: 'I', columns: []string{identityprovider.FieldID},
		key: func(p *ent.IdentityProvider) []any { return []any{rawID(p.ID)} },
	}
	events = list[*ent.Event]{
		code: eventCursor, columns: []string{event.FieldSeq}, newest: true,
		key: func(e *ent.Event) []any { return []any{e.Seq} },
	}
	endpoints = list[*ent.WebhookEndpoint]{
		code: 'w', columns: []string{webhookendpoint.FieldID},
		key: func(e *ent.WebhookEndpoint) []any { return []any{rawID(e.ID)} },
	}
	deliveries = list[*ent.WebhookDelivery]{
		code: 'y', columns: []string{webhookdelivery.FieldEventSeq}, newest: true,
		key: func(d *ent.WebhookDelivery) []any { return []any{d.EventSeq} },
	}
)

// eventCursor is the code of cursors in the flow of events, of subscriptions too.
const eventCursor = 'e'
