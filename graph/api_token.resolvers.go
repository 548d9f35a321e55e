package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
)

func (r *apiTokenResolver) User(ctx context.Context, obj *ent.APIToken) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *apiTokenResolver) Addresses(ctx context.Context, obj *ent.APIToken) ([]string, error) {
	return networks(obj.Addresses), nil
}

func (r *mutationResolver) CreateAPIToken(ctx context.Context, input access.CreateAPITokenInput) (*access.CreateAPITokenPayload, error) {
	return r.access.CreateAPIToken(ctx, input)
}

func (r *mutationResolver) RotateAPIToken(ctx context.Context, input access.RotateAPITokenInput) (*access.RotateAPITokenPayload, error) {
	return r.access.RotateAPIToken(ctx, input)
}

func (r *mutationResolver) RevokeAPIToken(ctx context.Context, input access.RevokeAPITokenInput) (*access.RevokeAPITokenPayload, error) {
	return r.access.RevokeAPIToken(ctx, input)
}

func (r *resolver) ApiToken() generated.ApiTokenResolver { return &apiTokenResolver{r} }

type apiTokenResolver struct{ *resolver }
