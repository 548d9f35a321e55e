package shape

import (
	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/journal"
)

// Connection is a page of a list.
type Connection[T any] struct {
	Edges    []Edge[T]
	PageInfo PageInfo
}

// Nodes returns the items without their cursors.
func (c *Connection[T]) Nodes() []T {
	nodes := make([]T, len(c.Edges))
	for i := range c.Edges {
		nodes[i] = c.Edges[i].Node
	}
	return nodes
}

// Edge is an item and its place in the list.
type Edge[T any] struct {
	Cursor string
	Node   T
}

// PageInfo says where a page lies in its list. The cursors are nil if the page is empty.
type PageInfo struct {
	HasNextPage     bool
	HasPreviousPage bool
	StartCursor     *string
	EndCursor       *string
}

// The connections and edges of the schema, by their names there.
//
//nolint:revive // one comment for all of them
type (
	SiteConnection             = Connection[*ent.Site]
	SiteEdge                   = Edge[*ent.Site]
	DoorConnection             = Connection[*ent.Door]
	DoorEdge                   = Edge[*ent.Door]
	DeviceConnection           = Connection[*ent.Device]
	DeviceEdge                 = Edge[*ent.Device]
	UserConnection             = Connection[*ent.User]
	UserEdge                   = Edge[*ent.User]
	KeyConnection              = Connection[*ent.Key]
	KeyEdge                    = Edge[*ent.Key]
	APITokenConnection         = Connection[*ent.APIToken]
	APITokenEdge               = Edge[*ent.APIToken]
	ApplicationConnection      = Connection[*ent.Application]
	ApplicationEdge            = Edge[*ent.Application]
	GrantConnection            = Connection[*ent.Grant]
	GrantEdge                  = Edge[*ent.Grant]
	SessionConnection          = Connection[*ent.Session]
	SessionEdge                = Edge[*ent.Session]
	PasskeyConnection          = Connection[*ent.Passkey]
	PasskeyEdge                = Edge[*ent.Passkey]
	EventConnection            = Connection[*journal.Event]
	EventEdge                  = Edge[*journal.Event]
	WebhookEndpointConnection  = Connection[*ent.WebhookEndpoint]
	WebhookEndpointEdge        = Edge[*ent.WebhookEndpoint]
	WebhookDeliveryConnection  = Connection[*ent.WebhookDelivery]
	WebhookDeliveryEdge        = Edge[*ent.WebhookDelivery]
	UserGroupConnection        = Connection[*ent.UserGroup]
	UserGroupEdge              = Edge[*ent.UserGroup]
	UserGroupMemberConnection  = Connection[*ent.UserGroupMember]
	UserGroupMemberEdge        = Edge[*ent.UserGroupMember]
	DoorGroupConnection        = Connection[*ent.DoorGroup]
	DoorGroupEdge              = Edge[*ent.DoorGroup]
	DoorGroupDoorConnection    = Connection[*ent.DoorGroupDoor]
	DoorGroupDoorEdge          = Edge[*ent.DoorGroupDoor]
	ScheduleConnection         = Connection[*ent.Schedule]
	ScheduleEdge               = Edge[*ent.Schedule]
	HolidayCalendarConnection  = Connection[*ent.HolidayCalendar]
	HolidayCalendarEdge        = Edge[*ent.HolidayCalendar]
	LockdownPlanConnection     = Connection[*ent.LockdownPlan]
	LockdownPlanEdge           = Edge[*ent.LockdownPlan]
	LockdownConnection         = Connection[*ent.Lockdown]
	LockdownEdge               = Edge[*ent.Lockdown]
	LockdownDoorConnection     = Connection[*ent.LockdownDoor]
	LockdownDoorEdge           = Edge[*ent.LockdownDoor]
	AreaConnection             = Connection[*ent.Area]
	AreaEdge                   = Edge[*ent.Area]
	PresenceConnection         = Connection[*ent.Presence]
	PresenceEdge               = Edge[*ent.Presence]
	CredentialConnection       = Connection[*ent.Credential]
	CredentialEdge             = Edge[*ent.Credential]
	VisitConnection            = Connection[*ent.Visit]
	VisitEdge                  = Edge[*ent.Visit]
	UserAccessEdge             = Edge[*access.UserAccess]
	DoorAccessConnection       = Connection[*access.DoorAccess]
	DoorAccessEdge             = Edge[*access.DoorAccess]
	PolicyReplayEdge           = Edge[*access.PolicyReplayItem]
	IdentityProviderConnection = Connection[*ent.IdentityProvider]
	IdentityProviderEdge       = Edge[*ent.IdentityProvider]
	IdentityConnection         = Connection[*ent.Identity]
	IdentityEdge               = Edge[*ent.Identity]
)

// UserAccessConnection is a page of people who may open a door, and the mode that it is in.
type UserAccessConnection struct {
	Connection[*access.UserAccess]
	Mode EffectiveMode
}

// PolicyReplayConnection is a page of a replay, and how many events were examined for it.
type PolicyReplayConnection struct {
	Connection[*access.PolicyReplayItem]
	Examined int
}
