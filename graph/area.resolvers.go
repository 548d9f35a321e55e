package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *areaResolver) Site(ctx context.Context, obj *ent.Area) (*ent.Site, error) {
	return require(ctx, obj.SiteID, loadersOf(ctx).sites)
}

func (r *areaResolver) Occupancy(ctx context.Context, obj *ent.Area) (int, error) {
	return loadersOf(ctx).occupancies.load(ctx, obj.ID)
}

func (r *areaResolver) Entrances(ctx context.Context, obj *ent.Area, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).areaEntrances.load(ctx, nested[typeid.Area]{parent: obj.ID, page: p})
}

func (r *areaResolver) Exits(ctx context.Context, obj *ent.Area, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).areaExits.load(ctx, nested[typeid.Area]{parent: obj.ID, page: p})
}

func (r *areaResolver) Present(ctx context.Context, obj *ent.Area, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Presence], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).areaPresent.load(ctx, nested[typeid.Area]{parent: obj.ID, page: p})
}

func (r *mutationResolver) CreateArea(ctx context.Context, input access.CreateAreaInput) (*access.CreateAreaPayload, error) {
	return r.access.CreateArea(ctx, input)
}

func (r *mutationResolver) UpdateArea(ctx context.Context, input access.UpdateAreaInput) (*access.UpdateAreaPayload, error) {
	return r.access.UpdateArea(ctx, input)
}

func (r *mutationResolver) DeleteArea(ctx context.Context, input access.DeleteAreaInput) (*access.DeleteAreaPayload, error) {
	return r.access.DeleteArea(ctx, input)
}

func (r *mutationResolver) SetDoorAreas(ctx context.Context, input access.SetDoorAreasInput) (*access.SetDoorAreasPayload, error) {
	return r.access.SetDoorAreas(ctx, input)
}

func (r *mutationResolver) ResetAntiPassback(ctx context.Context, input access.ResetAntiPassbackInput) (*access.ResetAntiPassbackPayload, error) {
	return r.access.ResetAntiPassback(ctx, input)
}

func (r *mutationResolver) RecordPresence(ctx context.Context, input access.RecordPresenceInput) (*access.RecordPresencePayload, error) {
	return r.access.RecordPresence(ctx, input)
}

func (r *presenceResolver) User(ctx context.Context, obj *ent.Presence) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *presenceResolver) Area(ctx context.Context, obj *ent.Presence) (*ent.Area, error) {
	return require(ctx, obj.AreaID, loadersOf(ctx).areas)
}

func (r *presenceResolver) Door(ctx context.Context, obj *ent.Presence) (*ent.Door, error) {
	return load(ctx, obj.DoorID, loadersOf(ctx).doors)
}

func (r *queryResolver) Area(ctx context.Context, id typeid.Any) (*ent.Area, error) {
	return lookup(ctx, id, typeid.As[typeid.Area], loadersOf(ctx).areas)
}

func (r *resolver) Area() generated.AreaResolver { return &areaResolver{r} }

func (r *resolver) Presence() generated.PresenceResolver { return &presenceResolver{r} }

type (
	areaResolver     struct{ *resolver }
	presenceResolver struct{ *resolver }
)
