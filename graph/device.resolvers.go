package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *deviceResolver) Site(ctx context.Context, obj *ent.Device) (*ent.Site, error) {
	return require(ctx, obj.SiteID, loadersOf(ctx).sites)
}

func (r *deviceResolver) Serial(ctx context.Context, obj *ent.Device) (*string, error) {
	return orNil(obj.Serial), nil
}

func (r *deviceResolver) Model(ctx context.Context, obj *ent.Device) (*string, error) {
	return orNil(obj.Model), nil
}

func (r *deviceResolver) Firmware(ctx context.Context, obj *ent.Device) (*string, error) {
	return orNil(obj.Firmware), nil
}

func (r *deviceResolver) Doors(ctx context.Context, obj *ent.Device, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).deviceDoors.load(ctx, nested[typeid.Device]{parent: obj.ID, page: p})
}

func (r *mutationResolver) CreateDevice(ctx context.Context, input access.CreateDeviceInput) (*access.CreateDevicePayload, error) {
	return r.access.CreateDevice(ctx, input)
}

func (r *mutationResolver) RotateDeviceKey(ctx context.Context, input access.RotateDeviceKeyInput) (*access.RotateDeviceKeyPayload, error) {
	return r.access.RotateDeviceKey(ctx, input)
}

func (r *mutationResolver) RemoveDevice(ctx context.Context, input access.RemoveDeviceInput) (*access.RemoveDevicePayload, error) {
	return r.access.RemoveDevice(ctx, input)
}

func (r *queryResolver) Device(ctx context.Context, id typeid.Any) (*ent.Device, error) {
	return lookup(ctx, id, typeid.As[typeid.Device], loadersOf(ctx).devices)
}

func (r *queryResolver) Devices(ctx context.Context, first *int, after *string, last *int, before *string, siteID *typeid.Any, connectivity *schema.Connectivity) (*shape.Connection[*ent.Device], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listDevices(ctx, p, siteID, connectivity)
}

func (r *resolver) Device() generated.DeviceResolver { return &deviceResolver{r} }

type deviceResolver struct{ *resolver }
