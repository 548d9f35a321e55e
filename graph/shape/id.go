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

func read[T any, P interface {
	*T
	graphql.Unmarshaler
}](v any) (T, error) {
	var id T
	err := P(&id).UnmarshalGQL(v)
	return id, err
}
