package access

import (
	"context"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/typeid"
)

// Everything is the facts of all people and all doors of the actor's organization.
func Everything(ctx context.Context, s *Service, at time.Time) (verdict.Facts, error) {
	people, err := s.db.User.Query().All(ctx)
	if err != nil {
		return verdict.Facts{}, err
	}
	doors, err := s.db.Door.Query().All(ctx)
	if err != nil {
		return verdict.Facts{}, err
	}
	ids := make([]typeid.User, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	return s.factsFor(ctx, s.db, ids, doors, at, free)
}

// Foretold is the facts of all people and all doors as they are, and as a change will leave them.
func Foretold(
	ctx context.Context, s *Service, in AccessChangeInput,
) (before, after verdict.Facts, err error) {
	c, err := s.changeOf(ctx, in)
	if err != nil {
		return before, after, err
	}
	people, err := s.db.User.Query().All(ctx)
	if err != nil {
		return before, after, err
	}
	doors, err := s.db.Door.Query().All(ctx)
	if err != nil {
		return before, after, err
	}
	users, ids := make([]typeid.User, len(people)), make([]typeid.Door, len(doors))
	for i, p := range people {
		users[i] = p.ID
	}
	for i, d := range doors {
		ids[i] = d.ID
	}
	l := s.newFacts(ctx, s.db, s.now(), free)
	return l.beforeAndAfter(ctx, c, users, ids)
}
