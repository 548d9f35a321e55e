package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *lockdownPlanResolver) Sites(ctx context.Context, obj *ent.LockdownPlan, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Site], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).planSites.load(ctx, nested[typeid.LockdownPlan]{parent: obj.ID, page: p})
}

func (r *lockdownPlanResolver) Doors(ctx context.Context, obj *ent.LockdownPlan, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).planDoors.load(ctx, nested[typeid.LockdownPlan]{parent: obj.ID, page: p})
}

func (r *lockdownPlanResolver) TriggerGroup(ctx context.Context, obj *ent.LockdownPlan) (*ent.UserGroup, error) {
	return load(ctx, obj.TriggerGroupID, loadersOf(ctx).userGroups)
}

func (r *lockdownPlanResolver) ReleaseGroup(ctx context.Context, obj *ent.LockdownPlan) (*ent.UserGroup, error) {
	return load(ctx, obj.ReleaseGroupID, loadersOf(ctx).userGroups)
}

func (r *lockdownPlanResolver) Lockdowns(ctx context.Context, obj *ent.LockdownPlan, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Lockdown], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).planLockdowns.load(ctx, nested[typeid.LockdownPlan]{parent: obj.ID, page: p})
}

func (r *mutationResolver) CreateLockdownPlan(ctx context.Context, input access.CreateLockdownPlanInput) (*access.CreateLockdownPlanPayload, error) {
	return r.access.CreateLockdownPlan(ctx, input)
}

func (r *mutationResolver) UpdateLockdownPlan(ctx context.Context, input access.UpdateLockdownPlanInput) (*access.UpdateLockdownPlanPayload, error) {
	return r.access.UpdateLockdownPlan(ctx, input)
}

func (r *mutationResolver) DeleteLockdownPlan(ctx context.Context, input access.DeleteLockdownPlanInput) (*access.DeleteLockdownPlanPayload, error) {
	return r.access.DeleteLockdownPlan(ctx, input)
}

func (r *queryResolver) LockdownPlan(ctx context.Context, id typeid.Any) (*ent.LockdownPlan, error) {
	return lookup(ctx, id, typeid.As[typeid.LockdownPlan], loadersOf(ctx).plans)
}

func (r *queryResolver) LockdownPlans(ctx context.Context, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.LockdownPlan], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).reader.listPlans(ctx, p)
}

func (r *resolver) LockdownPlan() generated.LockdownPlanResolver { return &lockdownPlanResolver{r} }

type lockdownPlanResolver struct{ *resolver }
