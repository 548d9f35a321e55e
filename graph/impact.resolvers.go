package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/graph/shape"
)

func (r *queryResolver) Impact(ctx context.Context, change access.AccessChangeInput) (*access.AccessImpact, error) {
	return r.access.Impact(ctx, change)
}

func (r *queryResolver) PolicyReplay(ctx context.Context, change access.AccessChangeInput, from time.Time, to time.Time, first *int, after *string) (*shape.PolicyReplayConnection, error) {
	return r.policyReplay(ctx, change, from, to, first, after)
}
