package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *accessDecisionResolver) Key(ctx context.Context, obj *access.AccessDecision) (*ent.Key, error) {
	return loadNonZero(ctx, obj.Key, loadersOf(ctx).keys)
}

func (r *accessDecisionResolver) UserGroup(ctx context.Context, obj *access.AccessDecision) (*ent.UserGroup, error) {
	return loadNonZero(ctx, obj.UserGroup, loadersOf(ctx).userGroups)
}

func (r *accessDecisionResolver) DoorGroup(ctx context.Context, obj *access.AccessDecision) (*ent.DoorGroup, error) {
	return loadNonZero(ctx, obj.DoorGroup, loadersOf(ctx).doorGroups)
}

func (r *accessDecisionResolver) Mode(ctx context.Context, obj *access.AccessDecision) (*shape.EffectiveMode, error) {
	mode := inForce(obj.Mode)
	return &mode, nil
}

func (r *accessStepResolver) Key(ctx context.Context, obj *verdict.Step) (*ent.Key, error) {
	return loadNonZero(ctx, obj.Key, loadersOf(ctx).keys)
}

func (r *accessStepResolver) SharedFrom(ctx context.Context, obj *verdict.Step) (*ent.Key, error) {
	return loadNonZero(ctx, obj.SharedFrom, loadersOf(ctx).keys)
}

func (r *accessStepResolver) UserGroup(ctx context.Context, obj *verdict.Step) (*ent.UserGroup, error) {
	return loadNonZero(ctx, obj.UserGroup, loadersOf(ctx).userGroups)
}

func (r *accessStepResolver) DoorGroup(ctx context.Context, obj *verdict.Step) (*ent.DoorGroup, error) {
	return loadNonZero(ctx, obj.DoorGroup, loadersOf(ctx).doorGroups)
}

func (r *accessStepResolver) Area(ctx context.Context, obj *verdict.Step) (*ent.Area, error) {
	return loadNonZero(ctx, obj.Area, loadersOf(ctx).areas)
}

func (r *accessVerdictResolver) Key(ctx context.Context, obj *verdict.Verdict) (*ent.Key, error) {
	return loadNonZero(ctx, obj.Key, loadersOf(ctx).keys)
}

func (r *accessVerdictResolver) UserGroup(ctx context.Context, obj *verdict.Verdict) (*ent.UserGroup, error) {
	return loadNonZero(ctx, obj.UserGroup, loadersOf(ctx).userGroups)
}

func (r *accessVerdictResolver) DoorGroup(ctx context.Context, obj *verdict.Verdict) (*ent.DoorGroup, error) {
	return loadNonZero(ctx, obj.DoorGroup, loadersOf(ctx).doorGroups)
}

func (r *queryResolver) EffectiveAccess(ctx context.Context, userID typeid.Any, doorID typeid.Any, at *time.Time, manner access.AccessManner) (*access.AccessDecision, error) {
	return r.effectiveAccess(ctx, userID, doorID, at, manner)
}

func (r *queryResolver) WhoCanOpen(ctx context.Context, doorID typeid.Any, at *time.Time, first *int, after *string) (*shape.UserAccessConnection, error) {
	return r.whoCanOpen(ctx, doorID, at, first, after)
}

func (r *queryResolver) DoorsFor(ctx context.Context, userID typeid.Any, at *time.Time, first *int, after *string) (*shape.Connection[*access.DoorAccess], error) {
	return r.doorsFor(ctx, userID, at, first, after)
}

func (r *userAccessResolver) User(ctx context.Context, obj *access.UserAccess) (*ent.User, error) {
	return require(ctx, obj.User, loadersOf(ctx).users)
}

func (r *resolver) AccessDecision() generated.AccessDecisionResolver {
	return &accessDecisionResolver{r}
}

func (r *resolver) AccessStep() generated.AccessStepResolver { return &accessStepResolver{r} }

func (r *resolver) AccessVerdict() generated.AccessVerdictResolver { return &accessVerdictResolver{r} }

func (r *resolver) UserAccess() generated.UserAccessResolver { return &userAccessResolver{r} }

type (
	accessDecisionResolver struct{ *resolver }
	accessStepResolver     struct{ *resolver }
	accessVerdictResolver  struct{ *resolver }
	userAccessResolver     struct{ *resolver }
)
