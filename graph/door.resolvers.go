package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

func (r *doorResolver) Site(ctx context.Context, obj *ent.Door) (*ent.Site, error) {
	return require(ctx, obj.SiteID, loadersOf(ctx).sites)
}

func (r *doorResolver) Device(ctx context.Context, obj *ent.Door) (*ent.Device, error) {
	return load(ctx, obj.DeviceID, loadersOf(ctx).devices)
}

func (r *doorResolver) EffectiveMode(ctx context.Context, obj *ent.Door) (*shape.EffectiveMode, error) {
	return loadersOf(ctx).modes.load(ctx, obj)
}

func (r *doorResolver) Override(ctx context.Context, obj *ent.Door) (*shape.DoorOverride, error) {
	return overrideOf(obj), nil
}

func (r *doorResolver) UnlockSchedule(ctx context.Context, obj *ent.Door) (*ent.Schedule, error) {
	return load(ctx, obj.UnlockScheduleID, loadersOf(ctx).schedules)
}

func (r *doorResolver) IsStale(ctx context.Context, obj *ent.Door) (bool, error) {
	return obj.Connectivity != schema.ConnectivityOnline || obj.ObservedAt == nil, nil
}

func (r *doorResolver) IntoArea(ctx context.Context, obj *ent.Door) (*ent.Area, error) {
	return load(ctx, obj.IntoAreaID, loadersOf(ctx).areas)
}

func (r *doorResolver) OutOfArea(ctx context.Context, obj *ent.Door) (*ent.Area, error) {
	return load(ctx, obj.OutOfAreaID, loadersOf(ctx).areas)
}

func (r *doorResolver) Events(ctx context.Context, obj *ent.Door, first *int, after *string, last *int, before *string, filter *shape.EventFilter) (*shape.Connection[*journal.Event], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.eventsOf(ctx, obj.ID, filter, p)
}

func (r *doorResolver) Keys(ctx context.Context, obj *ent.Door, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).doorKeys.load(ctx, nested[typeid.Door]{parent: obj.ID, page: p})
}

func (r *doorResolver) Groups(ctx context.Context, obj *ent.Door, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.DoorGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).doorGroupsOf.load(ctx, nested[typeid.Door]{parent: obj.ID, page: p})
}

func (r *mutationResolver) CreateDoor(ctx context.Context, input access.CreateDoorInput) (*access.CreateDoorPayload, error) {
	return r.access.CreateDoor(ctx, input)
}

func (r *mutationResolver) UpdateDoor(ctx context.Context, input access.UpdateDoorInput) (*access.UpdateDoorPayload, error) {
	return r.access.UpdateDoor(ctx, input)
}

func (r *mutationResolver) DeleteDoor(ctx context.Context, input access.DeleteDoorInput) (*access.DeleteDoorPayload, error) {
	return r.access.DeleteDoor(ctx, input)
}

func (r *mutationResolver) OverrideDoorMode(ctx context.Context, input access.OverrideDoorModeInput) (*access.OverrideDoorModePayload, error) {
	return r.access.OverrideDoorMode(ctx, input)
}

func (r *mutationResolver) CancelDoorOverride(ctx context.Context, input access.CancelDoorOverrideInput) (*access.CancelDoorOverridePayload, error) {
	return r.access.CancelDoorOverride(ctx, input)
}

func (r *mutationResolver) BindDoor(ctx context.Context, input access.BindDoorInput) (*access.BindDoorPayload, error) {
	return r.access.BindDoor(ctx, input)
}

func (r *queryResolver) Door(ctx context.Context, id typeid.Any) (*ent.Door, error) {
	return lookup(ctx, id, typeid.As[typeid.Door], loadersOf(ctx).doors)
}

func (r *queryResolver) Doors(ctx context.Context, first *int, after *string, last *int, before *string, siteID *typeid.Any, connectivity *schema.Connectivity, lockState *door.LockState, search *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listDoors(ctx, p, siteID, connectivity, lockState, search)
}

func (r *subscriptionResolver) Doors(ctx context.Context, ids []*typeid.Any, siteID *typeid.Any, after *string) (<-chan *shape.DoorUpdate, error) {
	return through[*shape.DoorUpdate](ctx, func() (script, *stream.Subscription, error) {
		return r.watchDoors(ctx, ids, siteID, after)
	})
}

func (r *resolver) Door() generated.DoorResolver { return &doorResolver{r} }

type doorResolver struct{ *resolver }
