package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) CreateSite(ctx context.Context, input access.CreateSiteInput) (*access.CreateSitePayload, error) {
	return r.access.CreateSite(ctx, input)
}

func (r *mutationResolver) UpdateSite(ctx context.Context, input access.UpdateSiteInput) (*access.UpdateSitePayload, error) {
	return r.access.UpdateSite(ctx, input)
}

func (r *mutationResolver) DeleteSite(ctx context.Context, input access.DeleteSiteInput) (*access.DeleteSitePayload, error) {
	return r.access.DeleteSite(ctx, input)
}

func (r *queryResolver) Site(ctx context.Context, id typeid.Any) (*ent.Site, error) {
	return lookup(ctx, id, typeid.As[typeid.Site], loadersOf(ctx).sites)
}

func (r *queryResolver) Sites(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*shape.Connection[*ent.Site], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listSites(ctx, p, search)
}

func (r *siteResolver) HolidayCalendar(ctx context.Context, obj *ent.Site) (*ent.HolidayCalendar, error) {
	return load(ctx, obj.HolidayCalendarID, loadersOf(ctx).calendars)
}

func (r *siteResolver) Doors(ctx context.Context, obj *ent.Site, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).siteDoors.load(ctx, nested[typeid.Site]{parent: obj.ID, page: p, columns: doorReading.forList(ctx)})
}

func (r *siteResolver) Devices(ctx context.Context, obj *ent.Site, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Device], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).siteDevices.load(ctx, nested[typeid.Site]{parent: obj.ID, page: p})
}

func (r *siteResolver) Areas(ctx context.Context, obj *ent.Site, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Area], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).siteAreas.load(ctx, nested[typeid.Site]{parent: obj.ID, page: p})
}

func (r *siteResolver) Muster(ctx context.Context, obj *ent.Site, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Presence], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).siteMuster.load(ctx, nested[typeid.Site]{parent: obj.ID, page: p})
}

func (r *resolver) Site() generated.SiteResolver { return &siteResolver{r} }

type siteResolver struct{ *resolver }
