package graph

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

// defaultExplained is the length of a page whose items are each decided.
const defaultExplained = 20

// The orders of the lists that access finds by deciding: by identifier, forward only.
var (
	whoCanOpen = list[*access.UserAccess]{
		code: 'W', columns: []string{user.FieldID},
		key: func(a *access.UserAccess) []any { return []any{rawID(a.User)} },
	}
	doorsFor = list[*access.DoorAccess]{
		code: 'O', columns: []string{door.FieldID},
		key: func(a *access.DoorAccess) []any { return []any{rawID(a.Door.ID)} },
	}
)

func (r *resolver) effectiveAccess(
	ctx context.Context, userID, doorID typeid.Any, at *time.Time, manner access.AccessManner,
) (*access.AccessDecision, error) {
	who, errUser := narrow("userId", &userID, typeid.As[typeid.User])
	where, errDoor := narrow("doorId", &doorID, typeid.As[typeid.Door])
	if err := joined(errUser, errDoor); err != nil {
		return nil, err
	}
	return r.access.EffectiveAccess(ctx,
		access.AccessQuestion{User: *who, Door: *where, At: at, Manner: manner})
}

func (r *resolver) whoCanOpen(
	ctx context.Context, doorID typeid.Any, at *time.Time, first *int, after *string,
) (*shape.UserAccessConnection, error) {
	where, errDoor := narrow("doorId", &doorID, typeid.As[typeid.Door])
	p, last, errPage := forward[typeid.User](ctx, whoCanOpen, first, after)
	if err := joined(errDoor, errPage); err != nil {
		return nil, err
	}
	found, mode, err := r.access.WhoCanOpen(ctx, *where, at, last, p.limit)
	if err != nil {
		return nil, err
	}
	c, err := decided(ctx, whoCanOpen, p, found)
	return &shape.UserAccessConnection{Connection: c, Mode: inForce(mode)}, err
}

func (r *resolver) doorsFor(
	ctx context.Context, userID typeid.Any, at *time.Time, first *int, after *string,
) (*shape.DoorAccessConnection, error) {
	who, errUser := narrow("userId", &userID, typeid.As[typeid.User])
	p, last, errPage := forward[typeid.Door](ctx, doorsFor, first, after)
	if err := joined(errUser, errPage); err != nil {
		return nil, err
	}
	found, err := r.access.DoorsFor(ctx, *who, at, last, p.limit)
	if err != nil {
		return nil, err
	}
	c, err := decided(ctx, doorsFor, p, found)
	return &c, err
}

// forward reads the arguments of a list that is read in one direction, and what it goes on after.
func forward[K, T any, P interface {
	*K
	sql.Scanner
}](
	ctx context.Context, l list[T], first *int, after *string,
) (p page, last K, err error) {
	p, err = newPage(first, after, nil, nil)
	if first == nil {
		p.limit = defaultExplained
	}
	org, errOrg := organization(ctx)
	if errOrg != nil {
		return p, last, errOrg
	}
	values, faults := l.decode(org, "after", value(after))
	if err := joined(err, faults); err != nil || values == nil {
		return p, last, err
	}
	id, _ := values[0].(uuid.UUID)
	err = P(&last).Scan(id.String())
	return p, last, err
}

// decided is a page of what access has found.
func decided[K interface{ UUID() [16]byte }, T any](
	ctx context.Context, l list[T], p page, found *access.AccessPage[K, T],
) (c shape.Connection[T], err error) {
	org, err := organization(ctx)
	if err != nil {
		return c, err
	}
	c = *l.connection(org, p, found.Found)
	c.PageInfo.HasNextPage = found.More
	if last := rawID(found.Last); last != uuid.Nil {
		end := encodeCursor(org, l.code, last)
		c.PageInfo.EndCursor = &end
	}
	return c, nil
}

// joined makes one error of the faults of several arguments.
func joined(errs ...error) error {
	var all access.Errors
	for _, err := range errs {
		var one access.Error
		var many access.Errors
		switch {
		case errors.As(err, &many):
			all = append(all, many...)
		case errors.As(err, &one):
			all = append(all, one)
		case err != nil:
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func inForce(m verdict.Mode) shape.EffectiveMode {
	e := shape.EffectiveMode{Mode: m.Mode, Cause: m.Cause}
	if !m.Until.IsZero() {
		e.Until = &m.Until
	}
	return e
}
