package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
)

func (r *mutationResolver) UpdateOrganization(ctx context.Context, input access.UpdateOrganizationInput) (*access.UpdateOrganizationPayload, error) {
	return r.access.UpdateOrganization(ctx, input)
}

func (r *organizationResolver) APITokens(ctx context.Context, obj *ent.Organization, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.APIToken], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listTokens(ctx, p)
}

func (r *queryResolver) Organization(ctx context.Context) (*ent.Organization, error) {
	return r.ownOrganization(ctx)
}

func (r *resolver) Organization() generated.OrganizationResolver { return &organizationResolver{r} }

type organizationResolver struct{ *resolver }
