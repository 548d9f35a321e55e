package shape

import (
	"github.com/99designs/gqlgen/graphql"

	"github.com/cardea/cardea/typeid"
)

// The pairs below bind the scalar ID to every noun's identifier: gqlgen takes the one that fits the
// Go field. (It sees only methods that a type declares itself, and identifiers inherit theirs,
// hence functions.) Arguments of resolvers are typeid.Any.

// MarshalOrganization writes an identifier.
func MarshalOrganization(v typeid.Organization) graphql.Marshaler { return v }

// UnmarshalOrganization reads an identifier of this noun and no other.
func UnmarshalOrganization(v any) (typeid.Organization, error) {
	return read[typeid.Organization](v)
}

// MarshalSite writes an identifier.
func MarshalSite(v typeid.Site) graphql.Marshaler { return v }

// UnmarshalSite reads an identifier of this noun and no other.
func UnmarshalSite(v any) (typeid.Site, error) { return read[typeid.Site](v) }

// MarshalDoor writes an identifier.
func MarshalDoor(v typeid.Door) graphql.Marshaler { return v }

// UnmarshalDoor reads an identifier of this noun and no other.
func UnmarshalDoor(v any) (typeid.Door, error) { return read[typeid.Door](v) }

// MarshalDevice writes an identifier.
func MarshalDevice(v typeid.Device) graphql.Marshaler { return v }

// UnmarshalDevice reads an identifier of this noun and no other.
func UnmarshalDevice(v any) (typeid.Device, error) { return read[typeid.Device](v) }

// MarshalUser writes an identifier.
func MarshalUser(v typeid.User) graphql.Marshaler { return v }

// UnmarshalUser reads an identifier of this noun and no other.
func UnmarshalUser(v any) (typeid.User, error) { return read[typeid.User](v) }

// MarshalKey writes an identifier.
func MarshalKey(v typeid.Key) graphql.Marshaler { return v }

// UnmarshalKey reads an identifier of this noun and no other.
func UnmarshalKey(v any) (typeid.Key, error) { return read[typeid.Key](v) }

// MarshalAPIToken writes an identifier.
func MarshalAPIToken(v typeid.APIToken) graphql.Marshaler { return v }

// UnmarshalAPIToken reads an identifier of this noun and no other.
func UnmarshalAPIToken(v any) (typeid.APIToken, error) { return read[typeid.APIToken](v) }

// MarshalSession writes an identifier.
func MarshalSession(v typeid.Session) graphql.Marshaler { return v }

// UnmarshalSession reads an identifier of this noun and no other.
func UnmarshalSession(v any) (typeid.Session, error) { return read[typeid.Session](v) }

// MarshalPasskey writes an identifier.
func MarshalPasskey(v typeid.Passkey) graphql.Marshaler { return v }

// UnmarshalPasskey reads an identifier of this noun and no other.
func UnmarshalPasskey(v any) (typeid.Passkey, error) { return read[typeid.Passkey](v) }

// MarshalApplication writes an identifier.
func MarshalApplication(v typeid.Application) graphql.Marshaler { return v }

// UnmarshalApplication reads an identifier of this noun and no other.
func UnmarshalApplication(v any) (typeid.Application, error) { return read[typeid.Application](v) }

// MarshalGrant writes an identifier.
func MarshalGrant(v typeid.Grant) graphql.Marshaler { return v }

// UnmarshalGrant reads an identifier of this noun and no other.
func UnmarshalGrant(v any) (typeid.Grant, error) { return read[typeid.Grant](v) }

// MarshalIdentityProvider writes an identifier.
func MarshalIdentityProvider(v typeid.IdentityProvider) graphql.Marshaler { return v }

// UnmarshalIdentityProvider reads an identifier of this noun and no other.
func UnmarshalIdentityProvider(v any) (typeid.IdentityProvider, error) {
	return read[typeid.IdentityProvider](v)
}

// MarshalIdentity writes an identifier.
func MarshalIdentity(v typeid.Identity) graphql.Marshaler { return v }

// UnmarshalIdentity reads an identifier of this noun and no other.
func UnmarshalIdentity(v any) (typeid.Identity, error) { return read[typeid.Identity](v) }

// MarshalCommand writes an identifier.
func MarshalCommand(v typeid.Command) graphql.Marshaler { return v }

// UnmarshalCommand reads an identifier of this noun and no other.
func UnmarshalCommand(v any) (typeid.Command, error) { return read[typeid.Command](v) }

// MarshalEvent writes an identifier.
func MarshalEvent(v typeid.Event) graphql.Marshaler { return v }

// UnmarshalEvent reads an identifier of this noun and no other.
func UnmarshalEvent(v any) (typeid.Event, error) { return read[typeid.Event](v) }

// MarshalWebhookEndpoint writes an identifier.
func MarshalWebhookEndpoint(v typeid.WebhookEndpoint) graphql.Marshaler { return v }

// UnmarshalWebhookEndpoint reads an identifier of this noun and no other.
func UnmarshalWebhookEndpoint(v any) (typeid.WebhookEndpoint, error) {
	return read[typeid.WebhookEndpoint](v)
}

// MarshalWebhookDelivery writes an identifier.
func MarshalWebhookDelivery(v typeid.WebhookDelivery) graphql.Marshaler { return v }

// UnmarshalWebhookDelivery reads an identifier of this noun and no other.
func UnmarshalWebhookDelivery(v any) (typeid.WebhookDelivery, error) {
	return read[typeid.WebhookDelivery](v)
}

// MarshalWebhookAttempt writes an identifier.
func MarshalWebhookAttempt(v typeid.WebhookAttempt) graphql.Marshaler { return v }

// UnmarshalWebhookAttempt reads an identifier of this noun and no other.
func UnmarshalWebhookAttempt(v any) (typeid.WebhookAttempt, error) {
	return read[typeid.WebhookAttempt](v)
}

// MarshalUserGroup writes an identifier.
func MarshalUserGroup(v typeid.UserGroup) graphql.Marshaler { return v }

// UnmarshalUserGroup reads an identifier of this noun and no other.
func UnmarshalUserGroup(v any) (typeid.UserGroup, error) {
	return read[typeid.UserGroup](v)
}

// MarshalDoorGroup writes an identifier.
func MarshalDoorGroup(v typeid.DoorGroup) graphql.Marshaler { return v }

// UnmarshalDoorGroup reads an identifier of this noun and no other.
func UnmarshalDoorGroup(v any) (typeid.DoorGroup, error) {
	return read[typeid.DoorGroup](v)
}

// MarshalSchedule writes an identifier.
func MarshalSchedule(v typeid.Schedule) graphql.Marshaler { return v }

// UnmarshalSchedule reads an identifier of this noun and no other.
func UnmarshalSchedule(v any) (typeid.Schedule, error) {
	return read[typeid.Schedule](v)
}

// MarshalHolidayCalendar writes an identifier.
func MarshalHolidayCalendar(v typeid.HolidayCalendar) graphql.Marshaler { return v }

// UnmarshalHolidayCalendar reads an identifier of this noun and no other.
func UnmarshalHolidayCalendar(v any) (typeid.HolidayCalendar, error) {
	return read[typeid.HolidayCalendar](v)
}

// MarshalLockdownPlan writes an identifier.
func MarshalLockdownPlan(v typeid.LockdownPlan) graphql.Marshaler { return v }

// UnmarshalLockdownPlan reads an identifier of this noun and no other.
func UnmarshalLockdownPlan(v any) (typeid.LockdownPlan, error) {
	return read[typeid.LockdownPlan](v)
}

// MarshalLockdown writes an identifier.
func MarshalLockdown(v typeid.Lockdown) graphql.Marshaler { return v }

// UnmarshalLockdown reads an identifier of this noun and no other.
func UnmarshalLockdown(v any) (typeid.Lockdown, error) {
	return read[typeid.Lockdown](v)
}

// MarshalArea writes an identifier.
func MarshalArea(v typeid.Area) graphql.Marshaler { return v }

// UnmarshalArea reads an identifier of this noun and no other.
func UnmarshalArea(v any) (typeid.Area, error) {
	return read[typeid.Area](v)
}

// MarshalCredential writes an identifier.
func MarshalCredential(v typeid.Credential) graphql.Marshaler { return v }

// UnmarshalCredential reads an identifier of this noun and no other.
func UnmarshalCredential(v any) (typeid.Credential, error) {
	return read[typeid.Credential](v)
}

// MarshalVisit writes an identifier.
func MarshalVisit(v typeid.Visit) graphql.Marshaler { return v }

// UnmarshalVisit reads an identifier of this noun and no other.
func UnmarshalVisit(v any) (typeid.Visit, error) {
	return read[typeid.Visit](v)
}

func read[T any, P interface {
	*T
	graphql.Unmarshaler
}](v any) (T, error) {
	var id T
	err := P(&id).UnmarshalGQL(v)
	return id, err
}
