package graph

import (
	"context"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/holidaycalendar"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/passkey"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

// The list… methods are the lists at the root: what the viewer may see, narrowed by arguments
// with an index behind each, one page, one statement.

func (r *resolver) listSites(
	ctx context.Context, p page, search *string,
) (*shape.SiteConnection, error) {
	q, err := r.readSites(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(site.NameContainsFold(*search))
	}
	return paginate(ctx, sites, p, q)
}

func (r *resolver) listDoors(
	ctx context.Context, p page, siteID *typeid.Any,
	connectivity *schema.Connectivity, lockState *door.LockState, search *string,
) (*shape.DoorConnection, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	at, err := narrow("siteId", siteID, typeid.As[typeid.Site])
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if at != nil {
		q.Where(door.SiteID(*at))
	}
	if connectivity != nil {
		q.Where(door.ConnectivityEQ(*connectivity))
	}
	if lockState != nil {
		q.Where(door.LockStateEQ(*lockState))
	}
	if search != nil {
		q.Where(door.NameContainsFold(*search))
	}
	return paginate(ctx, doors, p, q)
}

func (r *resolver) listDevices(
	ctx context.Context, p page, siteID *typeid.Any, connectivity *schema.Connectivity,
) (*shape.DeviceConnection, error) {
	q, err := r.readDevices(ctx)
	if err != nil {
		return nil, err
	}
	at, err := narrow("siteId", siteID, typeid.As[typeid.Site])
	if err != nil {
		return nil, err
	}
	if at != nil {
		q.Where(device.SiteID(*at))
	}
	if connectivity != nil {
		q.Where(device.ConnectivityEQ(*connectivity))
	}
	return paginate(ctx, devices, p, q)
}

func (r *resolver) listUsers(
	ctx context.Context, p page, search *string, status *user.Status,
) (*shape.UserConnection, error) {
	q, err := r.readUsers(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(user.Or(user.NameContainsFold(*search), user.EmailContainsFold(*search)))
	}
	if status != nil {
		q.Where(user.StatusEQ(*status))
	}
	return paginate(ctx, users, p, q)
}

func (r *resolver) listKeys(
	ctx context.Context, p page, userID, doorID *typeid.Any, status *access.KeyStatus,
) (*shape.KeyConnection, error) {
	q, err := r.readKeys(ctx)
	if err != nil {
		return nil, err
	}
	of, err := narrow("userId", userID, typeid.As[typeid.User])
	if err != nil {
		return nil, err
	}
	to, err := narrow("doorId", doorID, typeid.As[typeid.Door])
	if err != nil {
		return nil, err
	}
	if of != nil {
		q.Where(key.UserID(*of))
	}
	if to != nil {
		q.Where(func(s *sql.Selector) { s.Where(opens(s, argument(*to))) })
	}
	if status != nil {
		q.Where(hasStatus(*status, schema.Now()))
	}
	return paginate(ctx, keys, p, q)
}

func (r *resolver) listSchedules(
	ctx context.Context, p page, search *string,
) (*shape.ScheduleConnection, error) {
	q, err := r.readSchedules(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(schedule.NameContainsFold(*search))
	}
	return paginate(ctx, schedules, p, q)
}

func (r *resolver) listCalendars(
	ctx context.Context, p page, search *string,
) (*shape.HolidayCalendarConnection, error) {
	q, err := r.readCalendars(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(holidaycalendar.NameContainsFold(*search))
	}
	return paginate(ctx, calendars, p, q)
}

func (r *resolver) listUserGroups(
	ctx context.Context, p page, search *string,
) (*shape.UserGroupConnection, error) {
	q, err := r.readUserGroups(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(usergroup.NameContainsFold(*search))
	}
	return paginate(ctx, userGroups, p, q)
}

func (r *resolver) listDoorGroups(
	ctx context.Context, p page, search *string,
) (*shape.DoorGroupConnection, error) {
	q, err := r.readDoorGroups(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkSearch(search); err != nil {
		return nil, err
	}
	if search != nil {
		q.Where(doorgroup.NameContainsFold(*search))
	}
	return paginate(ctx, doorGroups, p, q)
}

func (r *resolver) listTokens(
	ctx context.Context, p page, which ...predicate.APIToken,
) (*shape.APITokenConnection, error) {
	q, err := r.readTokens(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, tokens, p, q.Where(which...))
}

// listPasskeys is those of a person.
func (r *resolver) listPasskeys(
	ctx context.Context, p page, of typeid.User,
) (*shape.PasskeyConnection, error) {
	q, err := r.readPasskeys(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, passkeys, p, q.Where(passkey.UserID(of)))
}

func (r *resolver) listApplications(
	ctx context.Context, p page,
) (*shape.ApplicationConnection, error) {
	q, err := r.readApplications(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, applications, p, q)
}

// listGrants is what a person lets applications do for them now.
func (r *resolver) listGrants(
	ctx context.Context, p page, of typeid.User,
) (*shape.GrantConnection, error) {
	q, err := r.readGrants(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, grants, p, q.Where(grant.UserID(of), r.access.Standing()))
}

func (r *resolver) listProviders(
	ctx context.Context, p page,
) (*shape.IdentityProviderConnection, error) {
	q, err := r.readProviders(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, providers, p, q)
}

// listSessions is those that a person is signed in by now.
func (r *resolver) listSessions(
	ctx context.Context, p page, of typeid.User,
) (*shape.SessionConnection, error) {
	q, err := r.readSessions(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, sessions, p, q.Where(session.UserID(of), r.access.Running()))
}

func (r *resolver) listEvents(
	ctx context.Context, p page, filter *shape.EventFilter,
) (*shape.EventConnection, error) {
	q, err := r.readEvents(ctx)
	if err != nil {
		return nil, err
	}
	f, err := checkFilter(filter)
	if err != nil {
		return nil, err
	}
	q.Where(matching(f)).Modify(eventReading.of(eventReading.forList(ctx)))
	rows, err := paginate(ctx, events, p, q)
	if err != nil {
		return nil, err
	}
	return asEvents(rows), nil
}

func (r *resolver) listEndpoints(
	ctx context.Context, p page,
) (*shape.Connection[*ent.WebhookEndpoint], error) {
	q, err := r.readEndpoints(ctx)
	if err != nil {
		return nil, err
	}
	return paginate(ctx, endpoints, p, q)
}
