package access

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/keydoor"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// The Visible… methods return the predicate that narrows a query to what the actor may see: all of
// the organization, or what is theirs. They fail as Authorize does.

// VisibleSites are those of the doors that the actor sees.
func (s *Service) VisibleSites(ctx context.Context) (predicate.Site, error) {
	return narrow(ctx, ReadSites, func(me typeid.User) predicate.Site {
		doors, now := sql.Table(door.Table).As("own"), s.now()
		return func(q *sql.Selector) {
			q.Where(sql.In(q.C(site.FieldID), sql.Select(doors.C(door.FieldSiteID)).From(doors).
				Where(opens(doors.C, me, now))))
		}
	})
}

// VisibleDoors are those that a valid key of the actor opens.
func (s *Service) VisibleDoors(ctx context.Context) (predicate.Door, error) {
	return narrow(ctx, ReadDoors, func(me typeid.User) predicate.Door {
		now := s.now()
		return func(q *sql.Selector) { q.Where(opens(q.C, me, now)) }
	})
}

// SeesDoor says whether the actor may see the door.
func (s *Service) SeesDoor(ctx context.Context, id typeid.Door) (bool, error) {
	visible, err := s.VisibleDoors(ctx)
	if err != nil {
		return false, err
	}
	return s.db.Door.Query().Where(door.ID(id), visible).Exist(ctx)
}

// VisibleUsers are the actor themselves.
func (s *Service) VisibleUsers(ctx context.Context) (predicate.User, error) {
	return narrow(ctx, ReadUsers, user.ID)
}

// VisibleKeys are the actor's.
func (s *Service) VisibleKeys(ctx context.Context) (predicate.Key, error) {
	return narrow(ctx, ReadKeys, key.UserID)
}

// VisibleCommands are those that the actor asked for.
func (s *Service) VisibleCommands(ctx context.Context) (predicate.Command, error) {
	return narrow(ctx, ReadCommands, command.RequesterUserID)
}

// VisibleTokens are the actor's.
func (s *Service) VisibleTokens(ctx context.Context) (predicate.APIToken, error) {
	return narrow(ctx, ReadTokens, apitoken.UserID)
}

// narrow returns the predicate for an action: none for all, mine for the actor's own.
func narrow[P ~func(*sql.Selector)](
	ctx context.Context, action Action, mine func(typeid.User) P,
) (P, error) {
	reached, err := reach(ctx, action)
	if err != nil {
		return nil, err
	}
	if reached == all {
		return func(*sql.Selector) {}, nil
	}
	by, _ := actor.FromContext(ctx)
	return mine(by.User), nil
}

// opens is true of doors (whose columns c names) that a key of the user, valid at now, opens.
func opens(c func(string) string, me typeid.User, now time.Time) *sql.Predicate {
	keys, doors := sql.Table(key.Table).As("k"), sql.Table(keydoor.Table).As("kd")
	valid := func() *sql.Predicate {
		return sql.And(
			sql.EQ(keys.C(key.FieldUserID), me), sql.IsNull(keys.C(key.FieldRevokedAt)),
			sql.Or(sql.IsNull(keys.C(key.FieldValidFrom)), sql.LTE(keys.C(key.FieldValidFrom), now)),
			sql.Or(sql.IsNull(keys.C(key.FieldValidUntil)), sql.GT(keys.C(key.FieldValidUntil), now)),
		)
	}
	return sql.Or(
		sql.In(c(door.FieldSiteID), sql.Select(keys.C(key.FieldSiteID)).From(keys).
			Where(sql.And(valid(), sql.NotNull(keys.C(key.FieldSiteID))))),
		sql.In(c(door.FieldID), sql.Select(doors.C(keydoor.FieldDoorID)).From(doors).Join(keys).
			On(doors.C(keydoor.FieldKeyID), keys.C(key.FieldID)).Where(valid())),
	)
}
