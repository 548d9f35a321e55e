package graph

import (
	"context"

	"github.com/cardea/cardea/graph/shape"
)

func (r *queryResolver) Checkpoint(ctx context.Context, atLeast *int) (*shape.Checkpoint, error) {
	return r.checkpointOf(ctx, atLeast)
}

func (r *queryResolver) InclusionProof(ctx context.Context, sequence int, size *int) (*shape.InclusionProof, error) {
	return r.proveInclusion(ctx, sequence, size)
}

func (r *queryResolver) ConsistencyProof(ctx context.Context, from int, to *int) (*shape.ConsistencyProof, error) {
	return r.proveConsistency(ctx, from, to)
}

func (r *queryResolver) LogKeys(ctx context.Context) ([]*shape.LogKey, error) {
	return r.keysOfLog(ctx)
}
