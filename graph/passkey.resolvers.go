package graph

import (
	"context"

	"github.com/cardea/cardea/access"
)

func (r *mutationResolver) DeletePasskey(ctx context.Context, input access.DeletePasskeyInput) (*access.DeletePasskeyPayload, error) {
	return r.access.DeletePasskey(ctx, input)
}
