package graph

import (
	"context"
	"encoding/json"
	"fmt"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/webhookattempt"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// loaders are every way from one noun to another, of one response.
type loaders struct {
	reader        *resolver // whose pool all of them read through
	organizations *loader[typeid.Organization, *ent.Organization]
	sites         *loader[typeid.Site, *ent.Site]
	doors         *loader[typeid.Door, *ent.Door]
	devices       *loader[typeid.Device, *ent.Device]
	users         *loader[typeid.User, *ent.User]
	names         *loader[typeid.User, *ent.User] // of users, and nothing else
	keys          *loader[typeid.Key, *ent.Key]
	schedules     *loader[typeid.Schedule, *ent.Schedule]
	calendars     *loader[typeid.HolidayCalendar, *ent.HolidayCalendar]
	userGroups    *loader[typeid.UserGroup, *ent.UserGroup]
	doorGroups    *loader[typeid.DoorGroup, *ent.DoorGroup]
	visits        *loader[typeid.Visit, *ent.Visit]
	plans         *loader[typeid.LockdownPlan, *ent.LockdownPlan]
	lockdowns     *loader[typeid.Lockdown, *ent.Lockdown]
	closedDoors   *loader[typeid.Door, *ent.Door]
	tokens        *loader[typeid.APIToken, *ent.APIToken]
	sessions      *loader[typeid.Session, *ent.Session]
	passkeys      *loader[typeid.Passkey, *ent.Passkey]
	applications  *loader[typeid.Application, *ent.Application]
	grants        *loader[typeid.Grant, *ent.Grant]
	identities    *loader[typeid.Identity, *ent.Identity]
	providers     *loader[typeid.IdentityProvider, *ent.IdentityProvider]
	credentials   *loader[typeid.Credential, *ent.Credential]
	commands      *loader[typeid.Command, *ent.Command]
	events        *loader[typeid.Event, *journal.Event]
	endpoints     *loader[typeid.WebhookEndpoint, *ent.WebhookEndpoint]
	deliveries    *loader[typeid.WebhookDelivery, *ent.WebhookDelivery]

	areas              *loader[typeid.Area, *ent.Area]
	siteAreas          *loader[nested[typeid.Site], *shape.AreaConnection]
	siteMuster         *loader[nested[typeid.Site], *shape.PresenceConnection]
	areaEntrances      *loader[nested[typeid.Area], *shape.DoorConnection]
	areaExits          *loader[nested[typeid.Area], *shape.DoorConnection]
	areaPresent        *loader[nested[typeid.Area], *shape.PresenceConnection]
	occupancies        *loader[typeid.Area, int]
	siteDoors          *loader[nested[typeid.Site], *shape.DoorConnection]
	siteDevices        *loader[nested[typeid.Site], *shape.DeviceConnection]
	deviceDoors        *loader[nested[typeid.Device], *shape.DoorConnection]
	doorEvents         *loader[nested[typeid.Door], *shape.EventConnection]
	doorKeys           *loader[nested[typeid.Door], *shape.KeyConnection]
	userKeys           *loader[nested[typeid.User], *shape.KeyConnection]
	userIdentities     *loader[nested[typeid.User], *shape.IdentityConnection]
	userCredentials    *loader[nested[typeid.User], *shape.CredentialConnection]
	keyDoors           *loader[nested[typeid.Key], *shape.DoorConnection]
	keyShares          *loader[nested[typeid.Key], *shape.KeyConnection]
	keyDoorGroups      *loader[nested[typeid.Key], *shape.DoorGroupConnection]
	scheduleKeys       *loader[nested[typeid.Schedule], *shape.KeyConnection]
	scheduleDoors      *loader[nested[typeid.Schedule], *shape.DoorConnection]
	calendarSites      *loader[nested[typeid.HolidayCalendar], *shape.SiteConnection]
	applicationGrants  *loader[nested[typeid.Application], *shape.GrantConnection]
	ownGrants          *loader[typeid.Application, *ent.Grant]
	endpointDeliveries *loader[nested[typeid.WebhookEndpoint], *shape.WebhookDeliveryConnection]
	managedSites       *loader[nested[typeid.User], *shape.SiteConnection]
	userGroupsOf       *loader[nested[typeid.User], *shape.UserGroupConnection]
	userGroupParts     *loader[nested[typeid.UserGroup], *shape.UserGroupConnection]
	userGroupMembers   *loader[nested[typeid.UserGroup], *shape.UserGroupMemberConnection]
	userGroupKeys      *loader[nested[typeid.UserGroup], *shape.KeyConnection]
	doorGroupsOf       *loader[nested[typeid.Door], *shape.DoorGroupConnection]
	doorGroupParts     *loader[nested[typeid.DoorGroup], *shape.DoorGroupConnection]
	doorGroupDoors     *loader[nested[typeid.DoorGroup], *shape.DoorGroupDoorConnection]
	doorGroupKeys      *loader[nested[typeid.DoorGroup], *shape.KeyConnection]
	planSites          *loader[nested[typeid.LockdownPlan], *shape.SiteConnection]
	planDoors          *loader[nested[typeid.LockdownPlan], *shape.DoorConnection]
	planLockdowns      *loader[nested[typeid.LockdownPlan], *shape.LockdownConnection]
	lockdownDoors      *loader[nested[typeid.Lockdown], *shape.LockdownDoorConnection]
	lockdownCounts     *loader[typeid.Lockdown, lockdownCount]
	attempts           *loader[typeid.WebhookDelivery, []*ent.WebhookAttempt]
	keySites           *loader[typeid.Key, *ent.Site]
	modes              *loader[*ent.Door, *shape.EffectiveMode]
	erased             *loader[typeid.User, bool]
}

func (r *resolver) newLoaders() *loaders {
	return &loaders{
		reader: r,
		organizations: byID(r.readOrganizations,
			func(o *ent.Organization) typeid.Organization { return o.ID }),
		sites:   byID(r.readSites, func(s *ent.Site) typeid.Site { return s.ID }),
		doors:   byID(r.readDoors, func(d *ent.Door) typeid.Door { return d.ID }),
		devices: byID(r.readDevices, func(d *ent.Device) typeid.Device { return d.ID }),
		users:   byID(r.readUsers, func(u *ent.User) typeid.User { return u.ID }),
		names:   byID(r.readNames, func(u *ent.User) typeid.User { return u.ID }),
		keys:    byID(r.readKeys, func(k *ent.Key) typeid.Key { return k.ID }),
		schedules: byID(r.readSchedules,
			func(s *ent.Schedule) typeid.Schedule { return s.ID }),
		calendars: byID(r.readCalendars,
			func(c *ent.HolidayCalendar) typeid.HolidayCalendar { return c.ID }),
		userGroups: byID(r.readUserGroups,
			func(g *ent.UserGroup) typeid.UserGroup { return g.ID }),
		doorGroups: byID(r.readDoorGroups,
			func(g *ent.DoorGroup) typeid.DoorGroup { return g.ID }),
		visits:      byID(r.readVisits, func(v *ent.Visit) typeid.Visit { return v.ID }),
		plans:       byID(r.readPlans, func(p *ent.LockdownPlan) typeid.LockdownPlan { return p.ID }),
		lockdowns:   byID(r.readLockdowns, func(l *ent.Lockdown) typeid.Lockdown { return l.ID }),
		closedDoors: byID(r.readClosedDoors, func(d *ent.Door) typeid.Door { return d.ID }),
		tokens:      byID(r.readTokens, func(t *ent.APIToken) typeid.APIToken { return t.ID }),
		sessions:    byID(r.readSessions, func(s *ent.Session) typeid.Session { return s.ID }),
		passkeys:    byID(r.readPasskeys, func(p *ent.Passkey) typeid.Passkey { return p.ID }),
		applications: byID(r.readApplications,
			func(a *ent.Application) typeid.Application { return a.ID }),
		grants:     byID(r.readGrants, func(g *ent.Grant) typeid.Grant { return g.ID }),
		identities: byID(r.readIdentities, func(i *ent.Identity) typeid.Identity { return i.ID }),
		providers: byID(r.readProviders,
			func(p *ent.IdentityProvider) typeid.IdentityProvider { return p.ID }),
		credentials: byID(r.readCredentials,
			func(c *ent.Credential) typeid.Credential { return c.ID }),
		commands: byID(r.readCommands, func(c *ent.Command) typeid.Command { return c.ID }),
		events:   newLoader(r.eventsByID),
		endpoints: byID(r.readEndpoints,
			func(e *ent.WebhookEndpoint) typeid.WebhookEndpoint { return e.ID }),
		deliveries: byID(r.readDeliveries,
			func(d *ent.WebhookDelivery) typeid.WebhookDelivery { return d.ID }),

		areas:              byID(r.readAreas, func(a *ent.Area) typeid.Area { return a.ID }),
		siteAreas:          newNested(r.areasOfSites),
		siteMuster:         newNested(r.musterOfSites),
		areaEntrances:      newNested(r.entrancesOfAreas),
		areaExits:          newNested(r.exitsOfAreas),
		areaPresent:        newNested(r.presentInAreas),
		occupancies:        newLoader(r.occupancies),
		siteDoors:          newNested(r.doorsOfSites),
		siteDevices:        newNested(r.devicesOfSites),
		deviceDoors:        newNested(r.doorsOfDevices),
		doorEvents:         newNested(r.eventsOfDoors),
		doorKeys:           newNested(r.keysOfDoors),
		userKeys:           newNested(r.keysOfUsers),
		userIdentities:     newNested(r.identitiesOfUsers),
		userCredentials:    newNested(r.credentialsOfUsers),
		keyDoors:           newNested(r.doorsOfKeys),
		keyShares:          newNested(r.sharesOfKeys),
		keyDoorGroups:      newNested(r.doorGroupsOfKeys),
		scheduleKeys:       newNested(r.keysOfSchedules),
		scheduleDoors:      newNested(r.doorsOfSchedules),
		calendarSites:      newNested(r.sitesOfCalendars),
		applicationGrants:  newNested(r.grantsOfApplications),
		ownGrants:          newLoader(r.ownGrantsOfApplications),
		endpointDeliveries: newNested(r.deliveriesOfEndpoints),
		managedSites:       newNested(r.sitesOfManagers),
		userGroupsOf:       newNested(r.groupsOfUsers),
		userGroupParts:     newNested(r.partsOfUserGroups),
		userGroupMembers:   newNested(r.membersOfUserGroups),
		userGroupKeys:      newNested(r.keysOfUserGroups),
		doorGroupsOf:       newNested(r.groupsOfDoors),
		doorGroupParts:     newNested(r.partsOfDoorGroups),
		doorGroupDoors:     newNested(r.doorsOfDoorGroups),
		doorGroupKeys:      newNested(r.keysOfDoorGroups),
		planSites:          newNested(r.sitesOfPlans),
		planDoors:          newNested(r.doorsOfPlans),
		planLockdowns:      newNested(r.lockdownsOfPlans),
		lockdownDoors:      newNested(r.doorsOfLockdowns),
		lockdownCounts:     newLoader(r.countsOfLockdowns),
		attempts:           newLoader(r.attemptsOfDeliveries),
		keySites:           newLoader(r.sitesOfKeys),
		modes:              newLoader(r.modesOf),
		erased:             newLoader(r.erasedUsers),
	}
}

// byID loads nouns by identifier, among those that the viewer may see.
func byID[K parent, T, S any, Q query[T, S]](
	open func(context.Context) (Q, error), id func(T) K,
) *loader[K, T] {
	return newLoader(func(ctx context.Context, ids []K) (map[K]T, error) {
		q, err := open(ctx)
		if err != nil {
			return nil, err
		}
		q.Modify(func(s *sql.Selector) { s.Where(isAny(s.C("id"), ids)) })
		rows, err := q.All(ctx)
		if err != nil {
			return nil, fmt.Errorf("load by id: %w", err)
		}
		found := make(map[K]T, len(rows))
		for _, row := range rows {
			found[id(row)] = row
		}
		return found, nil
	})
}

// eventsByID loads events, which are rows only within ent.
func (r *resolver) eventsByID(
	ctx context.Context, ids []typeid.Event,
) (map[typeid.Event]*journal.Event, error) {
	rows, err := byID(r.readEvents, func(e *ent.Event) typeid.Event { return e.ID }).fetch(ctx, ids)
	found := make(map[typeid.Event]*journal.Event, len(rows))
	for id, row := range rows {
		e := journal.FromRow(row)
		found[id] = &e
	}
	return found, err
}

// isAny keeps the statement's text the same however many identifiers there are.
func isAny[K any](column string, ids []K) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		b.Ident(column).WriteString(" = ANY(").Arg(pq.Array(ids)).WriteString(")")
	})
}

func (r *resolver) doorsOfSites(
	ctx context.Context, asked nested[typeid.Site], of []typeid.Site,
) (map[typeid.Site]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	q.Modify(doorReading.of(asked.columns))
	return paginateEach(ctx, doors, asked.page, q, of, childOf(door.FieldSiteID))
}

func (r *resolver) devicesOfSites(
	ctx context.Context, asked nested[typeid.Site], of []typeid.Site,
) (map[typeid.Site]*shape.DeviceConnection, error) {
	q, err := r.readDevices(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, devices, asked.page, q, of, childOf(device.FieldSiteID))
}

func (r *resolver) doorsOfDevices(
	ctx context.Context, asked nested[typeid.Device], of []typeid.Device,
) (map[typeid.Device]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, childOf(door.FieldDeviceID))
}

func (r *resolver) doorsOfKeys(
	ctx context.Context, asked nested[typeid.Key], of []typeid.Key,
) (map[typeid.Key]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, openedBy)
}

func (r *resolver) keysOfDoors(
	ctx context.Context, asked nested[typeid.Door], of []typeid.Door,
) (map[typeid.Door]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, keys, asked.page, q, of, opens)
}

func (r *resolver) sharesOfKeys(
	ctx context.Context, asked nested[typeid.Key], of []typeid.Key,
) (map[typeid.Key]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, keys, asked.page, q, of, childOf(key.FieldParentID))
}

func (r *resolver) keysOfUsers(
	ctx context.Context, asked nested[typeid.User], of []typeid.User,
) (map[typeid.User]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	if asked.filter != "" {
		q.Where(hasStatus(access.KeyStatus(asked.filter), schema.Now()))
	}
	return paginateEach(ctx, keys, asked.page, q, of, childOf(key.FieldUserID))
}

func (r *resolver) keysOfSchedules(
	ctx context.Context, asked nested[typeid.Schedule], of []typeid.Schedule,
) (map[typeid.Schedule]*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, keys, asked.page, q, of, childOf(key.FieldScheduleID))
}

func (r *resolver) doorsOfSchedules(
	ctx context.Context, asked nested[typeid.Schedule], of []typeid.Schedule,
) (map[typeid.Schedule]*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, doors, asked.page, q, of, childOf(door.FieldUnlockScheduleID))
}

func (r *resolver) sitesOfCalendars(
	ctx context.Context, asked nested[typeid.HolidayCalendar], of []typeid.HolidayCalendar,
) (map[typeid.HolidayCalendar]*shape.SiteConnection, error) {
	q, err := r.readSites(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, sites, asked.page, q, of, childOf(site.FieldHolidayCalendarID))
}

func (r *resolver) sitesOfManagers(
	ctx context.Context, asked nested[typeid.User], of []typeid.User,
) (map[typeid.User]*shape.SiteConnection, error) {
	q, err := r.readSites(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, sites, asked.page, q, of, isManagedBy)
}

// isManagedBy is true of sites that a person manages.
func isManagedBy(s *sql.Selector, of operand) *sql.Predicate {
	org, id := s.C(site.FieldOrgID), s.C(site.FieldID)
	return sql.P(func(b *sql.Builder) {
		b.WriteByte('(').Ident(org).Comma().Ident(id).WriteString(
			") IN (SELECT m.org_id, m.site_id FROM managed_sites AS m WHERE m.user_id = ")
		of(b)
		b.WriteByte(')')
	})
}

func (r *resolver) credentialsOfUsers(
	ctx context.Context, asked nested[typeid.User], of []typeid.User,
) (map[typeid.User]*shape.CredentialConnection, error) {
	q, err := r.readCredentials(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, credentials, asked.page, q, of, childOf(credential.FieldUserID))
}

func (r *resolver) identitiesOfUsers(
	ctx context.Context, asked nested[typeid.User], of []typeid.User,
) (map[typeid.User]*shape.IdentityConnection, error) {
	q, err := r.readIdentities(ctx)
	if err != nil {
		return nil, err
	}
	return paginateEach(ctx, identities, asked.page, q, of, childOf(identity.FieldUserID))
}

func (r *resolver) eventsOfDoors(
	ctx context.Context, asked nested[typeid.Door], of []typeid.Door,
) (map[typeid.Door]*shape.EventConnection, error) {
	q, err := r.readEvents(ctx)
	if err != nil {
		return nil, err
	}
	var filter shape.EventFilter
	if asked.filter != "" {
		if err := json.Unmarshal([]byte(asked.filter), &filter); err != nil {
			return nil, fmt.Errorf("read filter: %w", err)
		}
	}
	q.Where(matching(&filter)).Modify(eventReading.of(asked.columns))
	rows, err := paginateEach(ctx, events, asked.page, q, of, childOf(event.FieldDoorID))
	pages := make(map[typeid.Door]*shape.EventConnection, len(rows))
	for id, page := range rows {
		pages[id] = asEvents(page)
	}
	return pages, err
}

func (r *resolver) grantsOfApplications(
	ctx context.Context, asked nested[typeid.Application], of []typeid.Application,
) (map[typeid.Application]*shape.GrantConnection, error) {
	q, err := r.readGrants(ctx)
	if err != nil {
		return nil, err
	}
	q.Where(r.access.Standing())
	return paginateEach(ctx, grants, asked.page, q, of, childOf(grant.FieldApplicationID))
}

// ownGrantsOfApplications is what applications act by that act by themselves.
func (r *resolver) ownGrantsOfApplications(
	ctx context.Context, of []typeid.Application,
) (map[typeid.Application]*ent.Grant, error) {
	q, err := r.readGrants(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.Where(grant.ByItself(true), grant.RevokedAtIsNil(),
		func(s *sql.Selector) { s.Where(isAny(s.C(grant.FieldApplicationID), of)) }).All(ctx)
	found := make(map[typeid.Application]*ent.Grant, len(rows))
	for _, row := range rows {
		found[row.ApplicationID] = row
	}
	return found, err
}

func (r *resolver) deliveriesOfEndpoints(
	ctx context.Context, asked nested[typeid.WebhookEndpoint], of []typeid.WebhookEndpoint,
) (map[typeid.WebhookEndpoint]*shape.WebhookDeliveryConnection, error) {
	q, err := r.readDeliveries(ctx)
	if err != nil {
		return nil, err
	}
	if asked.filter != "" {
		q.Where(webhookdelivery.StateEQ(webhookdelivery.State(asked.filter)))
	}
	return paginateEach(ctx, deliveries, asked.page, q, of,
		childOf(webhookdelivery.FieldEndpointID))
}

// attemptsOfDeliveries reads all of them: a delivery has no more than its schedule of retries.
func (r *resolver) attemptsOfDeliveries(
	ctx context.Context, of []typeid.WebhookDelivery,
) (map[typeid.WebhookDelivery][]*ent.WebhookAttempt, error) {
	q, err := r.readAttempts(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := q.Where(func(s *sql.Selector) {
		s.Where(isAny(s.C(webhookattempt.FieldDeliveryID), of))
	}).Order(webhookattempt.ByNumber()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load attempts: %w", err)
	}
	found := make(map[typeid.WebhookDelivery][]*ent.WebhookAttempt, len(of))
	for _, row := range rows {
		found[row.DeliveryID] = append(found[row.DeliveryID], row)
	}
	return found, nil
}

// sitesOfKeys reads the sites that keys are for as a whole.
func (r *resolver) sitesOfKeys(
	ctx context.Context, of []typeid.Key,
) (map[typeid.Key]*ent.Site, error) {
	targets, err := r.db.KeyTarget.Query().Where(func(s *sql.Selector) {
		s.Where(isAny(s.C(keytarget.FieldKeyID), of))
	}, keytarget.SiteIDNotNil()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load what keys open: %w", err)
	}
	found := make(map[typeid.Key]*ent.Site, len(targets))
	for _, t := range targets {
		if found[t.KeyID], err = loadersOf(ctx).sites.load(ctx, *t.SiteID); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// asEvents is a page of rows as a page of events.
func asEvents(rows *shape.Connection[*ent.Event]) *shape.EventConnection {
	edges := make([]shape.EventEdge, len(rows.Edges))
	for i, edge := range rows.Edges {
		e := journal.FromRow(edge.Node)
		edges[i] = shape.EventEdge{Cursor: edge.Cursor, Node: &e}
	}
	return &shape.EventConnection{Edges: edges, PageInfo: rows.PageInfo}
}
