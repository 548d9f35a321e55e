package access

import (
	"context"
	"slices"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/typeid"
)

// Action is something that an actor may or may not do in their own organization.
type Action string

// The actions.
const (
	ReadOrganization  Action = "READ_ORGANIZATION"
	ReadSites         Action = "READ_SITES"
	ReadDoors         Action = "READ_DOORS"
	ReadUsers         Action = "READ_USERS"
	ReadKeys          Action = "READ_KEYS"
	ReadCommands      Action = "READ_COMMANDS"
	ReadTokens        Action = "READ_TOKENS"
	ReadSessions      Action = "READ_SESSIONS"
	ReadDevices       Action = "READ_DEVICES"
	ReadEvents        Action = "READ_EVENTS"
	ReadGroups        Action = "READ_GROUPS"
	ReadSchedules     Action = "READ_SCHEDULES"
	ReadCredentials   Action = "READ_CREDENTIALS"
	ReadVisits        Action = "READ_VISITS"
	ReadAreas         Action = "READ_AREAS"
	ReadLockdowns     Action = "READ_LOCKDOWNS"
	ReadAccess        Action = "READ_ACCESS" // effectiveAccess and its kin
	ReadWebhooks      Action = "READ_WEBHOOKS"
	ReadApplications  Action = "READ_APPLICATIONS"
	ReadGrants        Action = "READ_GRANTS"        // what applications may do for somebody
	WriteOrganization Action = "WRITE_ORGANIZATION" // its name, and how long its journal is kept
	WriteSites        Action = "WRITE_SITES"
	WriteDoors        Action = "WRITE_DOORS"
	WriteUsers        Action = "WRITE_USERS"
	WriteOwners       Action = "WRITE_OWNERS" // who is OWNER, and whatever changes one who is
	WriteKeys         Action = "WRITE_KEYS"
	WriteDevices      Action = "WRITE_DEVICES"
	WriteTokens       Action = "WRITE_TOKENS"
	WriteSessions     Action = "WRITE_SESSIONS" // to end them
	WriteApplications Action = "WRITE_APPLICATIONS"
	WriteGrants       Action = "WRITE_GRANTS" // to give and to revoke them
	WriteWebhooks     Action = "WRITE_WEBHOOKS"
	ReadProviders     Action = "READ_PROVIDERS"  // of identity
	WriteProviders    Action = "WRITE_PROVIDERS" // and with them who may sign in how
	WriteGroups       Action = "WRITE_GROUPS"
	WriteSchedules    Action = "WRITE_SCHEDULES" // and holiday calendars
	WriteCredentials  Action = "WRITE_CREDENTIALS"
	WriteVisits       Action = "WRITE_VISITS"
	WriteAreas        Action = "WRITE_AREAS"
	WriteLockdowns    Action = "WRITE_LOCKDOWNS" // their plans
	TriggerLockdowns  Action = "TRIGGER_LOCKDOWNS"
	ShareKeys         Action = "SHARE_KEYS"
	CommandDoors      Action = "COMMAND_DOORS"
	OperateDoors      Action = "OPERATE_DOORS" // unlock without a key, override modes, read cards for others
)

// extent is how far an action reaches.
type extent int

const (
	nothing extent = iota
	own            // what is the user's: themselves, their keys, the doors that those open
	sites          // the sites that they manage, and what is theirs
	all            // the whole organization
)

// right is how far an action reaches for each role, and the scope that a token needs for it.
type right struct {
	owner, admin, manager, auditor, member, guest extent
	scope                                         actor.Scope
}

// policy is who may do what.
//
// CommandDoors is the right to ask: whether the door then opens is decided by keys (package
// verdict), for an administrator too. Lockdowns that are one's own are those of plans that name
// one's group; applications that are one's own, those that one has let act for one; keys that are
// one's own to share are those that one holds, and to revoke, those that one shared. At sites, a key
// is written if all that it opens is there, and a lockdown triggered if all that it closes is. A guest
// may do what the page of a shared key needs (package portal), and no more.
var policy = map[Action]right{
	//                 owner    admin    manager  auditor  member   guest
	ReadOrganization:  {all, all, all, all, all, all, "organization:read"},
	ReadSites:         {all, all, sites, all, own, own, "sites:read"},
	ReadDoors:         {all, all, sites, all, own, own, "doors:read"},
	ReadUsers:         {all, all, all, all, own, nothing, "users:read"},
	ReadKeys:          {all, all, sites, all, own, own, "keys:read"},
	ReadCommands:      {all, all, sites, all, own, own, "doors:read"},
	ReadTokens:        {all, all, own, all, own, nothing, "tokens:read"},
	ReadSessions:      {all, all, own, all, own, nothing, "tokens:read"},
	ReadDevices:       {all, all, sites, all, nothing, nothing, "devices:read"},
	ReadEvents:        {all, all, sites, all, nothing, nothing, "events:read"},
	ReadGroups:        {all, all, all, all, own, nothing, "groups:read"},
	ReadSchedules:     {all, all, all, all, own, nothing, "schedules:read"},
	ReadCredentials:   {all, all, own, all, own, nothing, "credentials:read"},
	ReadVisits:        {all, all, sites, all, own, nothing, "visits:read"},
	ReadAreas:         {all, all, sites, all, nothing, nothing, "areas:read"},
	ReadLockdowns:     {all, all, sites, all, own, nothing, "lockdowns:read"},
	ReadAccess:        {all, all, sites, all, own, nothing, "access:read"},
	ReadWebhooks:      {all, all, nothing, all, nothing, nothing, "webhooks:read"},
	ReadApplications:  {all, all, own, all, own, nothing, "applications:read"},
	ReadGrants:        {all, all, own, all, own, nothing, "tokens:read"},
	WriteOrganization: {all, nothing, nothing, nothing, nothing, nothing, "organization:write"},
	WriteSites:        {all, all, nothing, nothing, nothing, nothing, "sites:write"},
	WriteDoors:        {all, all, sites, nothing, nothing, nothing, "doors:write"},
	WriteUsers:        {all, all, nothing, nothing, nothing, nothing, "users:write"},
	WriteOwners:       {all, nothing, nothing, nothing, nothing, nothing, "users:write"},
	WriteKeys:         {all, all, sites, nothing, nothing, nothing, "keys:write"},
	WriteDevices:      {all, all, sites, nothing, nothing, nothing, "devices:write"},
	WriteTokens:       {all, all, own, nothing, own, nothing, "tokens:write"},
	WriteSessions:     {all, all, own, own, own, nothing, "tokens:write"},
	WriteApplications: {all, all, nothing, nothing, nothing, nothing, "applications:write"},
	WriteGrants:       {all, all, own, own, own, nothing, "tokens:write"},
	WriteWebhooks:     {all, all, nothing, nothing, nothing, nothing, "webhooks:write"},
	ReadProviders:     {all, all, nothing, all, nothing, nothing, "users:read"},
	WriteProviders:    {all, nothing, nothing, nothing, nothing, nothing, "users:write"},
	WriteGroups:       {all, all, nothing, nothing, nothing, nothing, "groups:write"},
	WriteSchedules:    {all, all, nothing, nothing, nothing, nothing, "schedules:write"},
	WriteCredentials:  {all, all, nothing, nothing, nothing, nothing, "credentials:write"},
	WriteVisits:       {all, all, sites, nothing, own, nothing, "visits:write"},
	WriteAreas:        {all, all, sites, nothing, nothing, nothing, "areas:write"},
	WriteLockdowns:    {all, all, nothing, nothing, nothing, nothing, "lockdowns:write"},
	TriggerLockdowns:  {all, all, sites, nothing, own, nothing, "lockdowns:trigger"},
	ShareKeys:         {all, all, sites, nothing, own, nothing, "keys:share"},
	CommandDoors:      {own, own, own, nothing, own, own, "doors:unlock"},
	OperateDoors:      {all, all, sites, nothing, nothing, nothing, "doors:operate"},
}

func (r right) of(role actor.Role) extent {
	switch role {
	case actor.RoleOwner:
		return r.owner
	case actor.RoleAdmin:
		return r.admin
	case actor.RoleManager:
		return r.manager
	case actor.RoleAuditor:
		return r.auditor
	case actor.RoleMember:
		return r.member
	case actor.RoleGuest:
		return r.guest
	}
	return nothing
}

// Authorize fails with FORBIDDEN if the actor may not do this at all, and with rule.ErrNoActor
// without one. Where it succeeds for less than the whole organization, predicates narrow: Visible…
// what is read, and their kin what a change may find.
func Authorize(ctx context.Context, action Action) error {
	_, err := reach(ctx, action)
	return err
}

// AuthorizeAll fails as Authorize does, and if the action reaches less than the whole organization.
func AuthorizeAll(ctx context.Context, action Action) error {
	reached, err := reach(ctx, action)
	if err == nil && reached != all {
		err = errForbidden
	}
	return err
}

// Everywhere says whether the action reaches the whole organization for the actor of ctx.
func Everywhere(ctx context.Context, action Action) bool {
	reached, err := reach(ctx, action)
	return err == nil && reached == all
}

// reach returns how far the action reaches for the actor of ctx.
func reach(ctx context.Context, action Action) (extent, error) {
	by, ok := actor.FromContext(ctx)
	if !ok {
		return nothing, rule.ErrNoActor
	}
	switch by.Kind {
	case actor.KindSystem:
		return all, nil
	case actor.KindUser, actor.KindToken, actor.KindApplication:
		return reachOf(by, action)
	case actor.KindDevice:
	}
	return nothing, errForbidden
}

// reachOf is reach for a person or a token: what the role gives, at most what a manager may if the
// token is confined to sites, and nothing without the scope.
func reachOf(by actor.Actor, action Action) (extent, error) {
	row := policy[action]
	reached := row.of(by.Role)
	if by.Confined {
		reached = min(reached, row.manager)
	}
	switch {
	case reached == nothing:
		return nothing, errForbidden
	case by.Scopes != nil && !slices.Contains(by.Scopes, row.scope):
		return nothing, Error{CodeForbidden, "the token lacks the scope " + string(row.scope), ""}
	}
	return reached, nil
}

// governs says whether the action, which reaches so far, reaches all of a site, whosever it is.
func governs(ctx context.Context, reached extent, at typeid.Site) bool {
	by, _ := actor.FromContext(ctx)
	return reached == all || reached == sites && slices.Contains(by.Sites, at)
}
