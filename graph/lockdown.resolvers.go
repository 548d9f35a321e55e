package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

func (r *lockdownResolver) Plan(ctx context.Context, obj *ent.Lockdown) (*ent.LockdownPlan, error) {
	return require(ctx, obj.PlanID, loadersOf(ctx).plans)
}

func (r *lockdownResolver) RequestedBy(ctx context.Context, obj *ent.Lockdown) (*journal.Actor, error) {
	return actorNamed(&obj.RequestedBy), nil
}

func (r *lockdownResolver) ActivatedBy(ctx context.Context, obj *ent.Lockdown) (*journal.Actor, error) {
	return actorNamed(obj.ActivatedBy), nil
}

func (r *lockdownResolver) ReleaseRequestedBy(ctx context.Context, obj *ent.Lockdown) (*journal.Actor, error) {
	return actorNamed(obj.ReleaseRequestedBy), nil
}

func (r *lockdownResolver) ReleasedBy(ctx context.Context, obj *ent.Lockdown) (*journal.Actor, error) {
	return actorNamed(obj.ReleasedBy), nil
}

func (r *lockdownResolver) DoorsTotal(ctx context.Context, obj *ent.Lockdown) (int, error) {
	counts, err := loadersOf(ctx).lockdownCounts.load(ctx, obj.ID)
	return counts.total(), err
}

func (r *lockdownResolver) DoorsApplied(ctx context.Context, obj *ent.Lockdown) (int, error) {
	counts, err := loadersOf(ctx).lockdownCounts.load(ctx, obj.ID)
	return counts[lockdowndoor.OutcomeAPPLIED], err
}

func (r *lockdownResolver) DoorsUnreached(ctx context.Context, obj *ent.Lockdown) (int, error) {
	counts, err := loadersOf(ctx).lockdownCounts.load(ctx, obj.ID)
	return counts[lockdowndoor.OutcomeUNREACHED], err
}

func (r *lockdownResolver) Doors(ctx context.Context, obj *ent.Lockdown, first *int, after *string, last *int, before *string, outcome *lockdowndoor.Outcome) (*shape.Connection[*ent.LockdownDoor], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	asked := nested[typeid.Lockdown]{parent: obj.ID, page: p, filter: string(value(outcome))}
	return loadersOf(ctx).lockdownDoors.load(ctx, asked)
}

func (r *lockdownDoorResolver) Door(ctx context.Context, obj *ent.LockdownDoor) (*ent.Door, error) {
	return require(ctx, obj.DoorID, loadersOf(ctx).closedDoors)
}

func (r *mutationResolver) TriggerLockdown(ctx context.Context, input access.TriggerLockdownInput) (*access.TriggerLockdownPayload, error) {
	return r.access.TriggerLockdown(ctx, input)
}

func (r *mutationResolver) ReleaseLockdown(ctx context.Context, input access.ReleaseLockdownInput) (*access.ReleaseLockdownPayload, error) {
	return r.access.ReleaseLockdown(ctx, input)
}

func (r *queryResolver) Lockdown(ctx context.Context, id typeid.Any) (*ent.Lockdown, error) {
	return lookup(ctx, id, typeid.As[typeid.Lockdown], loadersOf(ctx).lockdowns)
}

func (r *queryResolver) Lockdowns(ctx context.Context, first *int, after *string, last *int, before *string, state *lockdown.State) (*shape.Connection[*ent.Lockdown], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).reader.listLockdowns(ctx, p, state)
}

func (r *resolver) Lockdown() generated.LockdownResolver { return &lockdownResolver{r} }

func (r *resolver) LockdownDoor() generated.LockdownDoorResolver { return &lockdownDoorResolver{r} }

type (
	lockdownResolver     struct{ *resolver }
	lockdownDoorResolver struct{ *resolver }
)
