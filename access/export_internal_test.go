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
