package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
)

func (r *identityProviderResolver) RedirectURL(ctx context.Context, obj *ent.IdentityProvider) (string, error) {
	return r.access.RedirectURL(obj.ID), nil
}

func (r *mutationResolver) CreateIdentityProvider(ctx context.Context, input access.CreateIdentityProviderInput) (*access.CreateIdentityProviderPayload, error) {
	return r.access.CreateIdentityProvider(ctx, input)
}

func (r *mutationResolver) UpdateIdentityProvider(ctx context.Context, input access.UpdateIdentityProviderInput) (*access.UpdateIdentityProviderPayload, error) {
	return r.access.UpdateIdentityProvider(ctx, input)
}

func (r *mutationResolver) DeleteIdentityProvider(ctx context.Context, input access.DeleteIdentityProviderInput) (*access.DeleteIdentityProviderPayload, error) {
	return r.access.DeleteIdentityProvider(ctx, input)
}

func (r *queryResolver) IdentityProviders(ctx context.Context, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.IdentityProvider], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listProviders(ctx, p)
}

func (r *resolver) IdentityProvider() generated.IdentityProviderResolver {
	return &identityProviderResolver{r}
}

type identityProviderResolver struct{ *resolver }
