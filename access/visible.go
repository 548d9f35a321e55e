package access

import (
	"context"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/doorgroupdoor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/holidaycalendar"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/lockdownplan"
	"github.com/cardea/cardea/ent/passkey"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/usergroupmember"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// The Visible… methods return the predicate that narrows a query to what the actor may see: all of
// the organization, or what is theirs. They fail as Authorize does.

// VisibleSites are those of the doors that the actor sees.
func (s *Service) VisibleSites(ctx context.Context) (predicate.Site, error) {
	mine := func(me typeid.User) predicate.Site {
		doors, now := sql.Table(door.Table).As("own"), s.now()
		return func(q *sql.Selector) {
			q.Where(sql.In(q.C(site.FieldID), sql.Select(doors.C(door.FieldSiteID)).From(doors).
				Where(opens(doors.C, me, now))))
		}
	}
	return narrowTo(ctx, ReadSites, mine, siteAt)
}

// VisibleDoors are those that a valid key of the actor opens.
func (s *Service) VisibleDoors(ctx context.Context) (predicate.Door, error) {
	return s.doorsFor(ctx, ReadDoors)
}

// doorsFor are the doors that an action reaches of which one's own are those that a valid key opens.
func (s *Service) doorsFor(ctx context.Context, action Action) (predicate.Door, error) {
	return narrowTo(ctx, action, func(me typeid.User) predicate.Door {
		now := s.now()
		return func(q *sql.Selector) { q.Where(opens(q.C, me, now)) }
	}, doorAt)
}

// VisibleUsers are the actor themselves.
func (s *Service) VisibleUsers(ctx context.Context) (predicate.User, error) {
	return narrow(ctx, ReadUsers, user.ID)
}

// VisibleKeys are the actor's, those of the groups that they are in now, and those that they shared.
func (s *Service) VisibleKeys(ctx context.Context) (predicate.Key, error) {
	return s.keysFor(ctx, ReadKeys)
}

// keysFor are the keys that an action may find.
func (s *Service) keysFor(ctx context.Context, action Action) (predicate.Key, error) {
	return narrowTo(ctx, action, func(me typeid.User) predicate.Key {
		return key.Or(s.held(me), key.SharedByID(me))
	}, keyAt)
}

// held are the keys of a person, and of the groups that they are in now.
func (s *Service) held(by typeid.User) predicate.Key {
	now := s.now()
	return func(q *sql.Selector) {
		q.Where(sql.Or(sql.EQ(q.C(key.FieldUserID), by),
			among(q.C(key.FieldUserGroupID), "SELECT "+groupsOfUser, by, now, now)))
	}
}

// VisibleSchedules are those of keys that are the actor's or their groups', unless revoked.
func (s *Service) VisibleSchedules(ctx context.Context) (predicate.Schedule, error) {
	return s.schedulesFor(ctx, ReadSchedules)
}

// schedulesFor are the schedules that may be named in an action: those of one's keys for one's own.
func (s *Service) schedulesFor(
	ctx context.Context, action Action,
) (predicate.Schedule, error) {
	reached, err := reach(ctx, action)
	if err != nil || reached != own {
		return func(*sql.Selector) {}, err
	}
	by, _ := actor.FromContext(ctx)
	me, now := by.User, s.now()
	return func(q *sql.Selector) {
		q.Where(among(q.C(schedule.FieldID), schedulesOfUser, me, me, me, now, now))
	}, nil
}

// VisibleHolidayCalendars are those of the sites of the doors that the actor sees.
func (s *Service) VisibleHolidayCalendars(
	ctx context.Context,
) (predicate.HolidayCalendar, error) {
	return narrow(ctx, ReadSchedules, func(me typeid.User) predicate.HolidayCalendar {
		now := s.now()
		return func(q *sql.Selector) {
			doors, sites := sql.Table(door.Table).As("own"), sql.Table(site.Table).As("place")
			q.Where(sql.In(q.C(holidaycalendar.FieldID),
				sql.Select(sites.C(site.FieldHolidayCalendarID)).From(sites).Join(doors).
					On(sites.C(site.FieldID), doors.C(door.FieldSiteID)).
					Where(opens(doors.C, me, now))))
		}
	})
}

// VisibleCommands are those that the actor asked for.
func (s *Service) VisibleCommands(ctx context.Context) (predicate.Command, error) {
	return narrowTo(ctx, ReadCommands, command.RequesterUserID, commandAt)
}

// VisibleCredentials are the actor's, but for those that tell of duress: whoever forces somebody to
// show theirs must not learn which to be wary of.
func (s *Service) VisibleCredentials(ctx context.Context) (predicate.Credential, error) {
	return narrow(ctx, ReadCredentials, func(me typeid.User) predicate.Credential {
		return credential.And(credential.UserID(me), credential.Duress(false))
	})
}

// SeesDuress says whether the actor may know which credentials tell of duress.
func (s *Service) SeesDuress(ctx context.Context) bool {
	return Everywhere(ctx, WriteCredentials)
}

// VisibleTokens are the actor's.
func (s *Service) VisibleTokens(ctx context.Context) (predicate.APIToken, error) {
	return tokensFor(ctx, ReadTokens)
}

// tokensFor are the tokens that an action may find: never those of applications, whose grants are what
// people see and end.
func tokensFor(ctx context.Context, action Action) (predicate.APIToken, error) {
	visible, err := narrow(ctx, action, apitoken.UserID)
	if err != nil {
		return nil, err
	}
	return apitoken.And(visible, apitoken.GrantIDIsNil()), nil
}

// VisibleSessions are the actor's.
func (s *Service) VisibleSessions(ctx context.Context) (predicate.Session, error) {
	return sessionsFor(ctx, ReadSessions)
}

// sessionsFor are the sessions that an action may find.
func sessionsFor(ctx context.Context, action Action) (predicate.Session, error) {
	return narrow(ctx, action, session.UserID)
}

// VisiblePasskeys are the actor's.
func (s *Service) VisiblePasskeys(ctx context.Context) (predicate.Passkey, error) {
	return passkeysFor(ctx, ReadSessions)
}

// passkeysFor are the passkeys that an action may find.
func passkeysFor(ctx context.Context, action Action) (predicate.Passkey, error) {
	return narrow(ctx, action, passkey.UserID)
}

// VisibleIdentities are the actor's.
func (s *Service) VisibleIdentities(ctx context.Context) (predicate.Identity, error) {
	return identitiesFor(ctx, ReadSessions)
}

// identitiesFor are the identities that an action may find.
func identitiesFor(ctx context.Context, action Action) (predicate.Identity, error) {
	return narrow(ctx, action, identity.UserID)
}

// VisibleUserGroups are those that the actor is in now, directly or through a part.
func (s *Service) VisibleUserGroups(ctx context.Context) (predicate.UserGroup, error) {
	return narrow(ctx, ReadGroups, func(me typeid.User) predicate.UserGroup {
		now := s.now()
		return func(q *sql.Selector) {
			q.Where(among(q.C(usergroup.FieldID), "SELECT "+groupsOfUser, me, now, now))
		}
	})
}

// VisibleUserGroupMembers are the actor's own memberships.
func (s *Service) VisibleUserGroupMembers(ctx context.Context) (predicate.UserGroupMember, error) {
	return narrow(ctx, ReadGroups, usergroupmember.UserID)
}

// VisibleDoorGroups are those that a valid key of the actor names, and their parts.
func (s *Service) VisibleDoorGroups(ctx context.Context) (predicate.DoorGroup, error) {
	return narrow(ctx, ReadGroups, func(me typeid.User) predicate.DoorGroup {
		now := s.now()
		named := func(column string) *sql.Predicate {
			return among(column, "SELECT t.door_group_id "+targetsOfUser, me, me, me, now, now, now, now)
		}
		return func(q *sql.Selector) {
			q.Where(sql.Or(named(q.C(doorgroup.FieldID)), named(q.C(doorgroup.FieldParentID))))
		}
	})
}

// VisibleDoorGroupDoors are the places in groups of the doors that the actor sees.
func (s *Service) VisibleDoorGroupDoors(ctx context.Context) (predicate.DoorGroupDoor, error) {
	if err := Authorize(ctx, ReadGroups); err != nil {
		return nil, err
	}
	visible, err := s.VisibleDoors(ctx)
	if err != nil || Everywhere(ctx, ReadDoors) {
		return func(*sql.Selector) {}, err
	}
	return func(q *sql.Selector) {
		doors := sql.Table(door.Table).As("seen")
		of := sql.Select(doors.C(door.FieldID)).From(doors)
		visible(of)
		q.Where(sql.In(q.C(doorgroupdoor.FieldDoorID), of))
	}, nil
}

// VisibleLockdownPlans are those that a group of the actor may trigger or release.
func (s *Service) VisibleLockdownPlans(ctx context.Context) (predicate.LockdownPlan, error) {
	return s.plansFor(ctx, ReadLockdowns)
}

// plansFor are the plans that an action may find.
func (s *Service) plansFor(
	ctx context.Context, action Action,
) (predicate.LockdownPlan, error) {
	there, err := s.plansThere(ctx, action)
	if err != nil {
		return nil, err
	}
	return narrowTo(ctx, action, func(me typeid.User) predicate.LockdownPlan {
		now := s.now()
		return func(q *sql.Selector) {
			q.Where(sql.Or(
				among(q.C(lockdownplan.FieldTriggerGroupID), "SELECT "+groupsOfUser, me, now, now),
				among(q.C(lockdownplan.FieldReleaseGroupID), "SELECT "+groupsOfUser, me, now, now)))
		}
	}, func([]typeid.Site) predicate.LockdownPlan {
		return whose(lockdownplan.FieldID, there)
	})
}

// VisibleLockdowns are those of the plans that name a group of the actor, and those that touch the
// actor's sites, whatever their plans have come to close since.
func (s *Service) VisibleLockdowns(ctx context.Context) (predicate.Lockdown, error) {
	return s.lockdownsFor(ctx, ReadLockdowns)
}

// lockdownsFor are the lockdowns that an action may find.
func (s *Service) lockdownsFor(
	ctx context.Context, action Action,
) (predicate.Lockdown, error) {
	return narrowTo(ctx, action, func(me typeid.User) predicate.Lockdown {
		now := s.now()
		return func(q *sql.Selector) {
			q.Where(among(q.C(lockdown.FieldPlanID), plansOfUser, me, now, now))
		}
	}, lockdownAt)
}

// plansThere are the plans that close anything at the actor's sites, if the action needs to know.
func (s *Service) plansThere(
	ctx context.Context, action Action,
) ([]typeid.LockdownPlan, error) {
	reached, err := reach(ctx, action)
	by, _ := actor.FromContext(ctx)
	if err != nil || reached == all || by.Sites == nil {
		return nil, err
	}
	return s.plansAt(ctx, by.Sites)
}

// VisibleLockdownDoors are, of the lockdowns that the actor sees, those that they close: all doors for
// whoever is in a group that a plan names, and else those at the actor's sites.
func (s *Service) VisibleLockdownDoors(ctx context.Context) (predicate.LockdownDoor, error) {
	return narrowTo(ctx, ReadLockdowns, func(me typeid.User) predicate.LockdownDoor {
		now := s.now()
		return func(q *sql.Selector) {
			q.Where(among(q.C(lockdowndoor.FieldLockdownID),
				"SELECT l.id FROM lockdowns l WHERE l.plan_id IN ("+plansOfUser+")", me, now, now))
		}
	}, lockdownDoorAt)
}

// VisibleClosedDoors are the doors of those: who may close a door may know which one it is.
func (s *Service) VisibleClosedDoors(ctx context.Context) (predicate.Door, error) {
	return narrowTo(ctx, ReadLockdowns, func(me typeid.User) predicate.Door {
		now := s.now()
		return func(q *sql.Selector) {
			q.Where(among(q.C(door.FieldID), `SELECT c.door_id FROM lockdown_doors c
				JOIN lockdowns l ON l.org_id = c.org_id AND l.id = c.lockdown_id
				WHERE l.plan_id IN (`+plansOfUser+")", me, now, now))
		}
	}, doorAt)
}

// VisibleDevices are those of the actor's sites; nobody owns one.
func (s *Service) VisibleDevices(ctx context.Context) (predicate.Device, error) {
	return devicesAt(ctx, ReadDevices)
}

// VisibleAreas are likewise.
func (s *Service) VisibleAreas(ctx context.Context) (predicate.Area, error) {
	return areasAt(ctx, ReadAreas)
}

// VisiblePresences are those in the areas that the actor sees.
func (s *Service) VisiblePresences(ctx context.Context) (predicate.Presence, error) {
	return narrowTo(ctx, ReadAreas, nil, presenceAt)
}

// VisibleEvents are those that name one of the actor's sites, those of lockdowns that touch one, and
// those about the actor.
func (s *Service) VisibleEvents(ctx context.Context) (predicate.Event, error) {
	by, _ := actor.FromContext(ctx)
	return narrowTo(ctx, ReadEvents, event.UserID, eventAt(by.Organization))
}

// SeesEvent says whether VisibleEvents is true of an event.
func SeesEvent(ctx context.Context, e *journal.Event) bool {
	reached, err := reach(ctx, ReadEvents)
	by, _ := actor.FromContext(ctx)
	here := func(id typeid.Site) bool { return slices.Contains(by.Sites, id) }
	return err == nil &&
		(reached == all || slices.ContainsFunc(SitesOf(e), here) || !by.Confined && e.User == by.User)
}

// ofMember is true of groups that the person is in.
func ofMember(who typeid.User, now time.Time) predicate.UserGroup {
	return func(q *sql.Selector) {
		q.Where(among(q.C(usergroup.FieldID), "SELECT "+groupsOfUser, who, now, now))
	}
}

// opens is true of doors (whose columns c names) that a valid key of the user, or of a group that
// they are in, is for. Schedules, uses and modes hide no door.
func opens(c func(string) string, me typeid.User, now time.Time) *sql.Predicate {
	mine := []any{me, me, me, now, now, now, now}
	doors := append(append(append([]any{}, mine...), mine...), now, now)
	return sql.Or(
		among(c(door.FieldSiteID), "SELECT t.site_id "+targetsOfUser, mine...),
		among(c(door.FieldID), "SELECT t.door_id "+targetsOfUser+` UNION ALL
			SELECT m.door_id FROM door_group_doors m
			JOIN door_groups g ON g.org_id = m.org_id AND g.id = m.door_group_id
			JOIN (SELECT t.org_id, t.door_group_id `+targetsOfUser+`) AS t
			  ON t.org_id = g.org_id AND t.door_group_id IN (g.id, g.parent_id)
			WHERE (m.valid_from IS NULL OR m.valid_from <= ?)
			  AND (m.valid_until IS NULL OR m.valid_until > ?)`, doors...),
	)
}

// among is: column IN (query), with ? for each argument.
func among(column, query string, args ...any) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		b.Ident(column).WriteString(" IN (").Join(condition(query, args...)).WriteByte(')')
	})
}

// condition is SQL as it is written, with ? for each argument.
func condition(query string, args ...any) *sql.Predicate {
	return sql.P(func(b *sql.Builder) {
		for i, part := range strings.Split(query, "?") {
			if i > 0 {
				b.Arg(args[i-1])
			}
			b.WriteString(part)
		}
	})
}

// plansOfUser is the lockdown plans that name a group of a user. Its arguments are the user, and the
// instant twice.
const plansOfUser = `SELECT p.id FROM lockdown_plans p
	JOIN (SELECT ` + groupsOfUser + `) AS own (id)
	  ON own.id IN (p.trigger_group_id, p.release_group_id)`

// schedulesOfUser is the schedules of keys of a user and of their groups. Its arguments are the user
// thrice, and the instant twice.
const schedulesOfUser = `SELECT k.schedule_id FROM keys k
	WHERE k.org_id = (SELECT org_id FROM users WHERE id = ?) AND k.schedule_id IS NOT NULL
	  AND k.revoked_at IS NULL AND (k.user_id = ? OR k.user_group_id IN (
		SELECT unnest(ARRAY[m.user_group_id, g.parent_id]) FROM user_group_members m
		JOIN user_groups g ON g.org_id = m.org_id AND g.id = m.user_group_id
		WHERE m.user_id = ? AND (m.valid_from IS NULL OR m.valid_from <= ?)
		  AND (m.valid_until IS NULL OR m.valid_until > ?)))`

// targetsOfUser is what the valid keys of a user and of their groups are for. Its arguments are the
// user thrice, and the instant four times.
const targetsOfUser = `FROM key_targets t JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
	WHERE t.org_id = (SELECT org_id FROM users WHERE id = ?) AND t.holder IN (
		SELECT ?::uuid UNION ALL SELECT ` + groupsOfUser + `)
	  AND k.revoked_at IS NULL AND k.suspended_at IS NULL
	  AND (k.valid_from IS NULL OR k.valid_from <= ?)
	  AND (k.valid_until IS NULL OR k.valid_until > ?)`

// groupsOfUser is which groups a user is in now, and what those are part of. Its arguments are the
// user, and the instant twice.
const groupsOfUser = `unnest(ARRAY[m.user_group_id, g.parent_id]) FROM user_group_members m
	JOIN user_groups g ON g.org_id = m.org_id AND g.id = m.user_group_id
	WHERE m.user_id = ? AND (m.valid_from IS NULL OR m.valid_from <= ?)
	  AND (m.valid_until IS NULL OR m.valid_until > ?)`
