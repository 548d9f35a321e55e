package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
)

// The read… methods open a query over what the viewer may see. Every read begins with one.

func (r *resolver) readSites(ctx context.Context) (*ent.SiteQuery, error) {
	visible, err := r.access.VisibleSites(ctx)
	return r.db.Site.Query().Where(visible), err
}

func (r *resolver) readDoors(ctx context.Context) (*ent.DoorQuery, error) {
	visible, err := r.access.VisibleDoors(ctx)
	return r.db.Door.Query().Where(visible), err
}

func (r *resolver) readUsers(ctx context.Context) (*ent.UserQuery, error) {
	visible, err := r.access.VisibleUsers(ctx)
	return r.db.User.Query().Where(visible), err
}

// readNames is readUsers for those who are asked for no more than that.
func (r *resolver) readNames(ctx context.Context) (*ent.UserQuery, error) {
	q, err := r.readUsers(ctx)
	if err == nil {
		q.Modify(userReading.of(0))
	}
	return q, err
}

func (r *resolver) readKeys(ctx context.Context) (*ent.KeyQuery, error) {
	visible, err := r.access.VisibleKeys(ctx)
	return r.db.Key.Query().Where(visible), err
}

func (r *resolver) readSchedules(ctx context.Context) (*ent.ScheduleQuery, error) {
	visible, err := r.access.VisibleSchedules(ctx)
	return r.db.Schedule.Query().Where(visible), err
}

func (r *resolver) readCalendars(ctx context.Context) (*ent.HolidayCalendarQuery, error) {
	visible, err := r.access.VisibleHolidayCalendars(ctx)
	return r.db.HolidayCalendar.Query().Where(visible), err
}

func (r *resolver) readUserGroups(ctx context.Context) (*ent.UserGroupQuery, error) {
	visible, err := r.access.VisibleUserGroups(ctx)
	return r.db.UserGroup.Query().Where(visible), err
}

func (r *resolver) readUserGroupMembers(
	ctx context.Context,
) (*ent.UserGroupMemberQuery, error) {
	visible, err := r.access.VisibleUserGroupMembers(ctx)
	return r.db.UserGroupMember.Query().Where(visible), err
}

func (r *resolver) readDoorGroups(ctx context.Context) (*ent.DoorGroupQuery, error) {
	visible, err := r.access.VisibleDoorGroups(ctx)
	return r.db.DoorGroup.Query().Where(visible), err
}

func (r *resolver) readDoorGroupDoors(ctx context.Context) (*ent.DoorGroupDoorQuery, error) {
	visible, err := r.access.VisibleDoorGroupDoors(ctx)
	return r.db.DoorGroupDoor.Query().Where(visible), err
}

func (r *resolver) readVisits(ctx context.Context) (*ent.VisitQuery, error) {
	visible, err := r.access.VisibleVisits(ctx)
	return r.db.Visit.Query().Where(visible), err
}

func (r *resolver) readPlans(ctx context.Context) (*ent.LockdownPlanQuery, error) {
	visible, err := r.access.VisibleLockdownPlans(ctx)
	return r.db.LockdownPlan.Query().Where(visible), err
}

func (r *resolver) readLockdowns(ctx context.Context) (*ent.LockdownQuery, error) {
	visible, err := r.access.VisibleLockdowns(ctx)
	return r.db.Lockdown.Query().Where(visible), err
}

func (r *resolver) readLockdownDoors(ctx context.Context) (*ent.LockdownDoorQuery, error) {
	visible, err := r.access.VisibleLockdownDoors(ctx)
	return r.db.LockdownDoor.Query().Where(visible), err
}

func (r *resolver) readClosedDoors(ctx context.Context) (*ent.DoorQuery, error) {
	visible, err := r.access.VisibleClosedDoors(ctx)
	return r.db.Door.Query().Where(visible), err
}

func (r *resolver) readCommands(ctx context.Context) (*ent.CommandQuery, error) {
	visible, err := r.access.VisibleCommands(ctx)
	return r.db.Command.Query().Where(visible), err
}

func (r *resolver) readCredentials(ctx context.Context) (*ent.CredentialQuery, error) {
	visible, err := r.access.VisibleCredentials(ctx)
	return r.db.Credential.Query().Where(visible), err
}

func (r *resolver) readTokens(ctx context.Context) (*ent.APITokenQuery, error) {
	visible, err := r.access.VisibleTokens(ctx)
	return r.db.APIToken.Query().Where(visible), err
}

func (r *resolver) readSessions(ctx context.Context) (*ent.SessionQuery, error) {
	visible, err := r.access.VisibleSessions(ctx)
	return r.db.Session.Query().Where(visible), err
}

func (r *resolver) readPasskeys(ctx context.Context) (*ent.PasskeyQuery, error) {
	visible, err := r.access.VisiblePasskeys(ctx)
	return r.db.Passkey.Query().Where(visible), err
}

func (r *resolver) readApplications(ctx context.Context) (*ent.ApplicationQuery, error) {
	visible, err := r.access.VisibleApplications(ctx)
	return r.db.Application.Query().Where(visible), err
}

func (r *resolver) readGrants(ctx context.Context) (*ent.GrantQuery, error) {
	visible, err := r.access.VisibleGrants(ctx)
	return r.db.Grant.Query().Where(visible), err
}

func (r *resolver) readIdentities(ctx context.Context) (*ent.IdentityQuery, error) {
	visible, err := r.access.VisibleIdentities(ctx)
	return r.db.Identity.Query().Where(visible), err
}

func (r *resolver) readProviders(ctx context.Context) (*ent.IdentityProviderQuery, error) {
	return r.db.IdentityProvider.Query(), access.Authorize(ctx, access.ReadProviders)
}

func (r *resolver) readOrganizations(ctx context.Context) (*ent.OrganizationQuery, error) {
	return r.db.Organization.Query(), access.Authorize(ctx, access.ReadOrganization)
}

func (r *resolver) readDevices(ctx context.Context) (*ent.DeviceQuery, error) {
	visible, err := r.access.VisibleDevices(ctx)
	return r.db.Device.Query().Where(visible), err
}

func (r *resolver) readEvents(ctx context.Context) (*ent.EventQuery, error) {
	visible, err := r.access.VisibleEvents(ctx)
	return r.db.Event.Query().Where(visible), err
}

func (r *resolver) readEndpoints(ctx context.Context) (*ent.WebhookEndpointQuery, error) {
	return r.db.WebhookEndpoint.Query(), access.Authorize(ctx, access.ReadWebhooks)
}

func (r *resolver) readDeliveries(ctx context.Context) (*ent.WebhookDeliveryQuery, error) {
	return r.db.WebhookDelivery.Query(), access.Authorize(ctx, access.ReadWebhooks)
}

func (r *resolver) readAttempts(ctx context.Context) (*ent.WebhookAttemptQuery, error) {
	return r.db.WebhookAttempt.Query(), access.Authorize(ctx, access.ReadWebhooks)
}
