package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *applicationResolver) ActsFor(ctx context.Context, obj *ent.Application) (*ent.User, error) {
	return r.actedFor(ctx, obj.ID)
}

func (r *applicationResolver) CreatedBy(ctx context.Context, obj *ent.Application) (*ent.User, error) {
	return load(ctx, obj.CreatedByID, loadersOf(ctx).users)
}

func (r *applicationResolver) Grants(ctx context.Context, obj *ent.Application, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Grant], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).applicationGrants.load(ctx, nested[typeid.Application]{parent: obj.ID, page: p})
}

func (r *createApplicationPayloadResolver) Secret(ctx context.Context, obj *access.CreateApplicationPayload) (*string, error) {
	return orNil(obj.Secret), nil
}

func (r *mutationResolver) CreateApplication(ctx context.Context, input access.CreateApplicationInput) (*access.CreateApplicationPayload, error) {
	return r.access.CreateApplication(ctx, input)
}

func (r *mutationResolver) UpdateApplication(ctx context.Context, input access.UpdateApplicationInput) (*access.UpdateApplicationPayload, error) {
	return r.access.UpdateApplication(ctx, input)
}

func (r *mutationResolver) RotateApplicationSecret(ctx context.Context, input access.RotateApplicationSecretInput) (*access.RotateApplicationSecretPayload, error) {
	return r.access.RotateApplicationSecret(ctx, input)
}

func (r *mutationResolver) DeleteApplication(ctx context.Context, input access.DeleteApplicationInput) (*access.DeleteApplicationPayload, error) {
	return r.access.DeleteApplication(ctx, input)
}

func (r *queryResolver) Application(ctx context.Context, id typeid.Any) (*ent.Application, error) {
	return lookup(ctx, id, typeid.As[typeid.Application], loadersOf(ctx).applications)
}

func (r *queryResolver) Applications(ctx context.Context, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Application], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listApplications(ctx, p)
}

func (r *resolver) Application() generated.ApplicationResolver { return &applicationResolver{r} }

func (r *resolver) CreateApplicationPayload() generated.CreateApplicationPayloadResolver {
	return &createApplicationPayloadResolver{r}
}

type (
	applicationResolver              struct{ *resolver }
	createApplicationPayloadResolver struct{ *resolver }
)
