package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *doorGroupResolver) Parent(ctx context.Context, obj *ent.DoorGroup) (*ent.DoorGroup, error) {
	return load(ctx, obj.ParentID, loadersOf(ctx).doorGroups)
}

func (r *doorGroupResolver) Parts(ctx context.Context, obj *ent.DoorGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.DoorGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).doorGroupParts.load(ctx, nested[typeid.DoorGroup]{parent: obj.ID, page: p})
}

func (r *doorGroupResolver) Doors(ctx context.Context, obj *ent.DoorGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.DoorGroupDoor], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).doorGroupDoors.load(ctx, nested[typeid.DoorGroup]{parent: obj.ID, page: p})
}

func (r *doorGroupResolver) Keys(ctx context.Context, obj *ent.DoorGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).doorGroupKeys.load(ctx, nested[typeid.DoorGroup]{parent: obj.ID, page: p})
}

func (r *doorGroupDoorResolver) Door(ctx context.Context, obj *ent.DoorGroupDoor) (*ent.Door, error) {
	return require(ctx, obj.DoorID, loadersOf(ctx).doors)
}

func (r *mutationResolver) CreateDoorGroup(ctx context.Context, input access.CreateDoorGroupInput) (*access.CreateDoorGroupPayload, error) {
	return r.access.CreateDoorGroup(ctx, input)
}

func (r *mutationResolver) UpdateDoorGroup(ctx context.Context, input access.UpdateDoorGroupInput) (*access.UpdateDoorGroupPayload, error) {
	return r.access.UpdateDoorGroup(ctx, input)
}

func (r *mutationResolver) DeleteDoorGroup(ctx context.Context, input access.DeleteDoorGroupInput) (*access.DeleteDoorGroupPayload, error) {
	return r.access.DeleteDoorGroup(ctx, input)
}

func (r *mutationResolver) AddDoorGroupDoors(ctx context.Context, input access.AddDoorGroupDoorsInput) (*access.AddDoorGroupDoorsPayload, error) {
	return r.access.AddDoorGroupDoors(ctx, input)
}

func (r *mutationResolver) RemoveDoorGroupDoors(ctx context.Context, input access.RemoveDoorGroupDoorsInput) (*access.RemoveDoorGroupDoorsPayload, error) {
	return r.access.RemoveDoorGroupDoors(ctx, input)
}

func (r *queryResolver) DoorGroup(ctx context.Context, id typeid.Any) (*ent.DoorGroup, error) {
	return lookup(ctx, id, typeid.As[typeid.DoorGroup], loadersOf(ctx).doorGroups)
}

func (r *queryResolver) DoorGroups(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*shape.Connection[*ent.DoorGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listDoorGroups(ctx, p, search)
}

func (r *resolver) DoorGroup() generated.DoorGroupResolver { return &doorGroupResolver{r} }

func (r *resolver) DoorGroupDoor() generated.DoorGroupDoorResolver { return &doorGroupDoorResolver{r} }

type (
	doorGroupResolver     struct{ *resolver }
	doorGroupDoorResolver struct{ *resolver }
)
