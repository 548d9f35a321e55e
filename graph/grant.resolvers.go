package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
)

func (r *grantResolver) User(ctx context.Context, obj *ent.Grant) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *grantResolver) Application(ctx context.Context, obj *ent.Grant) (*ent.Application, error) {
	return require(ctx, obj.ApplicationID, loadersOf(ctx).applications)
}

func (r *mutationResolver) RevokeGrant(ctx context.Context, input access.RevokeGrantInput) (*access.RevokeGrantPayload, error) {
	return r.access.RevokeGrant(ctx, input)
}

func (r *resolver) Grant() generated.GrantResolver { return &grantResolver{r} }

type grantResolver struct{ *resolver }
