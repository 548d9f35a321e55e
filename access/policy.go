package access

import (
	"context"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/rule"
)

// Action is something that an actor may or may not do in their own organization.
type Action string

// The actions.
const (
	ReadOrganization Action = "READ_ORGANIZATION"
	ReadSites        Action = "READ_SITES"
	ReadDoors        Action = "READ_DOORS"
	ReadUsers        Action = "READ_USERS"
	ReadKeys         Action = "READ_KEYS"
	ReadCommands     Action = "READ_COMMANDS"
	ReadTokens       Action = "READ_TOKENS"
	ReadDevices      Action = "READ_DEVICES"
	ReadEvents       Action = "READ_EVENTS"
	ReadGroups       Action = "READ_GROUPS"
	ReadSchedules    Action = "READ_SCHEDULES"
	ReadCredentials  Action = "READ_CREDENTIALS"
	ReadVisits       Action = "READ_VISITS"
	ReadAreas        Action = "READ_AREAS"
	ReadLockdowns    Action = "READ_LOCKDOWNS"
	ReadAccess       Action = "READ_ACCESS" // effectiveAccess and its kin
	ReadWebhooks     Action = "READ_WEBHOOKS"
	WriteSites       Action = "WRITE_SITES"
	WriteDoors       Action = "WRITE_DOORS"
	WriteUsers       Action = "WRITE_USERS"
	WriteKeys        Action = "WRITE_KEYS"
	WriteDevices     Action = "WRITE_DEVICES"
	WriteTokens      Action = "WRITE_TOKENS"
	WriteWebhooks    Action = "WRITE_WEBHOOKS"
	WriteGroups      Action = "WRITE_GROUPS"
	WriteSchedules   Action = "WRITE_SCHEDULES" // and holiday calendars
	WriteCredentials Action = "WRITE_CREDENTIALS"
	WriteVisits      Action = "WRITE_VISITS"
	WriteAreas       Action = "WRITE_AREAS"
	WriteLockdowns   Action = "WRITE_LOCKDOWNS" // their plans
	TriggerLockdowns Action = "TRIGGER_LOCKDOWNS"
	ShareKeys        Action = "SHARE_KEYS"
	CommandDoors     Action = "COMMAND_DOORS"
	OperateDoors     Action = "OPERATE_DOORS" // unlock without a key, override modes, read cards for others
)

// scope is how far an action reaches.
type scope int

const (
	nothing scope = iota
	own           // what is the user's: themselves, their keys, the doors that those open
	all           // the whole organization
)

// policy is who may do what. A role without an entry may not.
//
// CommandDoors is the right to ask: whether the door then opens is decided by keys (package
// verdict), for an administrator too. Lockdowns that are one's own are those of plans that name
// one's group; keys that are one's own to share are those that one holds, and to revoke, those that
// one shared. A guest may do what the page of a shared key needs (package portal), and no more.
var policy = map[Action]map[actor.Role]scope{
	ReadOrganization: {actor.RoleAdmin: all, actor.RoleMember: all, actor.RoleGuest: all},
	ReadSites:        {actor.RoleAdmin: all, actor.RoleMember: own, actor.RoleGuest: own},
	ReadDoors:        {actor.RoleAdmin: all, actor.RoleMember: own, actor.RoleGuest: own},
	ReadUsers:        {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadKeys:         {actor.RoleAdmin: all, actor.RoleMember: own, actor.RoleGuest: own},
	ReadCommands:     {actor.RoleAdmin: all, actor.RoleMember: own, actor.RoleGuest: own},
	ReadTokens:       {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadDevices:      {actor.RoleAdmin: all},
	ReadEvents:       {actor.RoleAdmin: all},
	ReadWebhooks:     {actor.RoleAdmin: all},
	ReadGroups:       {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadSchedules:    {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadCredentials:  {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadVisits:       {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadAreas:        {actor.RoleAdmin: all},
	ReadLockdowns:    {actor.RoleAdmin: all, actor.RoleMember: own},
	ReadAccess:       {actor.RoleAdmin: all, actor.RoleMember: own},
	WriteSites:       {actor.RoleAdmin: all},
	WriteDoors:       {actor.RoleAdmin: all},
	WriteUsers:       {actor.RoleAdmin: all},
	WriteKeys:        {actor.RoleAdmin: all},
	WriteDevices:     {actor.RoleAdmin: all},
	WriteTokens:      {actor.RoleAdmin: all, actor.RoleMember: own},
	WriteWebhooks:    {actor.RoleAdmin: all},
	WriteGroups:      {actor.RoleAdmin: all},
	WriteSchedules:   {actor.RoleAdmin: all},
	WriteCredentials: {actor.RoleAdmin: all},
	WriteVisits:      {actor.RoleAdmin: all, actor.RoleMember: own},
	WriteAreas:       {actor.RoleAdmin: all},
	WriteLockdowns:   {actor.RoleAdmin: all},
	TriggerLockdowns: {actor.RoleAdmin: all, actor.RoleMember: own},
	ShareKeys:        {actor.RoleAdmin: all, actor.RoleMember: own},
	CommandDoors:     {actor.RoleAdmin: own, actor.RoleMember: own, actor.RoleGuest: own},
	OperateDoors:     {actor.RoleAdmin: all},
}

// Authorize fails with FORBIDDEN if the actor may not do this at all, and with rule.ErrNoActor
// without one. Where it succeeds for what is the actor's own only, the Visible… predicates narrow.
func Authorize(ctx context.Context, action Action) error {
	_, err := reach(ctx, action)
	return err
}

// reach returns how far the action reaches for the actor of ctx.
func reach(ctx context.Context, action Action) (scope, error) {
	by, ok := actor.FromContext(ctx)
	if !ok {
		return nothing, rule.ErrNoActor
	}
	switch by.Kind {
	case actor.KindSystem:
		return all, nil
	case actor.KindUser, actor.KindToken:
		if s := policy[action][by.Role]; s != nothing {
			return s, nil
		}
	case actor.KindDevice:
	}
	return nothing, errForbidden
}
