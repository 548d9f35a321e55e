// Package actor identifies who is acting: a user, an API token, an application, a device, or a named
// part of the system. Everything that reads or writes the model does so as an actor; without one, the tenancy
// rule (ent/rule) denies.
//
// There is no bypass. System work runs under a name, such as System("sweeper"), over all
// organizations, and narrows itself with Within as soon as it knows which one it works for.
//
// The package imports only the standard library and typeid.
package actor

import (
	"context"
	"crypto/rand"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/cardea/cardea/typeid"
)

// Kind says what sort of actor this is.
type Kind string

// The kinds of actors, as they appear in the journal and in the API.
const (
	KindUser  Kind = "USER"
	KindToken Kind = "API_TOKEN"
	// KindApplication is an application of somebody else's, which acts for a user by a grant of theirs.
	KindApplication Kind = "APPLICATION"
	KindDevice      Kind = "DEVICE"
	KindSystem      Kind = "SYSTEM"
)

// Values lists every kind; it makes Kind usable as an Ent enumeration.
func (Kind) Values() []string {
	return []string{string(KindUser), string(KindToken), string(KindApplication), string(KindDevice),
		string(KindSystem)}
}

// Role says what a user may do in their organization; access/policy.go holds the table.
type Role string

// The roles.
const (
	RoleOwner   Role = "OWNER"   // an administrator who may also give and take this role
	RoleAdmin   Role = "ADMIN"   // of the whole organization
	RoleManager Role = "MANAGER" // of some sites
	RoleAuditor Role = "AUDITOR" // reads everything and changes nothing
	RoleMember  Role = "MEMBER"
	RoleGuest   Role = "GUEST" // a person without an account, by a key that was shared to them
)

// Values lists every role; it makes Role usable as an Ent enumeration.
func (Role) Values() []string {
	return []string{string(RoleOwner), string(RoleAdmin), string(RoleManager), string(RoleAuditor),
		string(RoleMember), string(RoleGuest)}
}

// Scope is a part of the API that a token may be narrowed to, such as doors:unlock; access/policy.go
// says what each is for.
type Scope string

// Actor is who acts. Make one with User, Token, Device or System.
type Actor struct {
	Kind         Kind
	Organization typeid.Organization // zero only for a system actor over all organizations
	User         typeid.User         // the user, or the user that the token acts for
	Role         Role                // of User
	Token        typeid.APIToken
	Application  typeid.Application
	Grant        typeid.Grant   // that the application acts by
	Session      typeid.Session // the sign-in that a user acts through, if known
	Device       typeid.Device
	Part         string // the part of the system
	// Sites are those that a manager manages, or that a token is confined to, by identifier; nil for
	// actors who are not narrowed to sites.
	Sites []typeid.Site
	// Confined says that nothing beyond Sites is reached, not even what is the user's own.
	Confined bool
	// Scopes are all that the token may be used for; nil: for whatever its user may do.
	Scopes []Scope
	// Until is when the secret that they came with ends by itself; zero if it does not.
	Until time.Time
}

// User is a person signed in.
func User(org typeid.Organization, user typeid.User, role Role) Actor {
	return Actor{Kind: KindUser, Organization: org, User: user, Role: role}
}

// Token is an API token, which acts for its user.
func Token(org typeid.Organization, token typeid.APIToken, user typeid.User, role Role) Actor {
	return Actor{Kind: KindToken, Organization: org, Token: token, User: user, Role: role}
}

// By says that a token is an application's, which acts by a grant.
func (a Actor) By(application typeid.Application, grant typeid.Grant) Actor {
	a.Kind, a.Application, a.Grant = KindApplication, application, grant
	return a
}

// Device is an enrolled device that has proved its key.
func Device(org typeid.Organization, device typeid.Device) Actor {
	return Actor{Kind: KindDevice, Organization: org, Device: device}
}

// System is a named part of the system, over all organizations.
func System(part string) Actor { return Actor{Kind: KindSystem, Part: part} }

// WithSites says which sites the actor manages.
func (a Actor) WithSites(sites []typeid.Site) Actor {
	a.Sites = append([]typeid.Site{}, sites...) // none is not the same as nil
	return a
}

// ConfinedTo narrows the actor to sites: of those that a manager manages, to these.
func (a Actor) ConfinedTo(sites []typeid.Site) Actor {
	within := []typeid.Site{}
	for _, id := range sites {
		if a.Role != RoleManager || slices.Contains(a.Sites, id) {
			within = append(within, id)
		}
	}
	a.Sites, a.Confined = within, true
	return a
}

// WithScopes narrows the actor to parts of the API; nil does not.
func (a Actor) WithScopes(scopes []Scope) Actor {
	a.Scopes = slices.Clone(scopes)
	return a
}

// Ending says when what the actor came with ends by itself.
func (a Actor) Ending(until time.Time) Actor {
	a.Until = until
	return a
}

// Equal says that two actors are the same one with the same rights, until whenever.
func (a Actor) Equal(b Actor) bool {
	return reflect.DeepEqual(a.Ending(time.Time{}), b.Ending(time.Time{}))
}

// WithSession says through which sign-in a user acts.
func (a Actor) WithSession(id typeid.Session) Actor {
	a.Session = id
	return a
}

// Within narrows a system actor to one organization.
func (a Actor) Within(org typeid.Organization) Actor {
	a.Organization = org
	return a
}

// Everywhere says that the actor is not narrowed to an organization. Only system actors can be.
func (a Actor) Everywhere() bool { return a.Kind == KindSystem && a.Organization.IsZero() }

// ID returns the identifier that the journal keeps: a TypeID, or a system part's name.
func (a Actor) ID() string {
	switch a.Kind {
	case KindUser:
		return a.User.String()
	case KindToken:
		return a.Token.String()
	case KindApplication:
		return a.Grant.String()
	case KindDevice:
		return a.Device.String()
	case KindSystem:
		return a.Part
	}
	return ""
}

type contextKey int

const (
	actorKey contextKey = iota
	requestKey
	addressKey
)

// NewContext returns a context that carries the actor.
func NewContext(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey, a)
}

// FromContext returns the context's actor, if it has one.
func FromContext(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey).(Actor)
	return a, ok
}

// NewRequestID returns a fresh random request ID of 26 characters.
func NewRequestID() string { return rand.Text() }

// WithRequestID returns a context that carries the ID of the request that it serves.
func WithRequestID(ctx context.Context, request string) context.Context {
	return context.WithValue(ctx, requestKey, request)
}

// WithAddress returns a context that carries the address of the client that it serves.
func WithAddress(ctx context.Context, from netip.Addr) context.Context {
	return context.WithValue(ctx, addressKey, from)
}

// Address returns the address of the context's client; not valid where there is none.
func Address(ctx context.Context) netip.Addr {
	from, _ := ctx.Value(addressKey).(netip.Addr)
	return from
}

// RequestID returns the context's request ID, or "".
func RequestID(ctx context.Context) string {
	request, _ := ctx.Value(requestKey).(string)
	return request
}
