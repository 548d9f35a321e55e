package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *identityResolver) User(ctx context.Context, obj *ent.Identity) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *mutationResolver) DeleteIdentity(ctx context.Context, input access.DeleteIdentityInput) (*access.DeleteIdentityPayload, error) {
	return r.access.DeleteIdentity(ctx, input)
}

func (r *userResolver) Identities(ctx context.Context, obj *ent.User, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Identity], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userIdentities.load(ctx, nested[typeid.User]{parent: obj.ID, page: p})
}

func (r *resolver) Identity() generated.IdentityResolver { return &identityResolver{r} }

type identityResolver struct{ *resolver }
