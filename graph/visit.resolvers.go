package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) InviteVisitor(ctx context.Context, input access.InviteVisitorInput) (*access.InviteVisitorPayload, error) {
	return r.access.InviteVisitor(ctx, input)
}

func (r *mutationResolver) UpdateVisit(ctx context.Context, input access.UpdateVisitInput) (*access.UpdateVisitPayload, error) {
	return r.access.UpdateVisit(ctx, input)
}

func (r *mutationResolver) RecordVisitorArrival(ctx context.Context, input access.RecordVisitorArrivalInput) (*access.RecordVisitorArrivalPayload, error) {
	return r.access.RecordVisitorArrival(ctx, input)
}

func (r *mutationResolver) RecordVisitorDeparture(ctx context.Context, input access.RecordVisitorDepartureInput) (*access.RecordVisitorDeparturePayload, error) {
	return r.access.RecordVisitorDeparture(ctx, input)
}

func (r *mutationResolver) CancelVisit(ctx context.Context, input access.CancelVisitInput) (*access.CancelVisitPayload, error) {
	return r.access.CancelVisit(ctx, input)
}

func (r *queryResolver) Visit(ctx context.Context, id typeid.Any) (*ent.Visit, error) {
	return lookup(ctx, id, typeid.As[typeid.Visit], loadersOf(ctx).visits)
}

func (r *queryResolver) Visits(ctx context.Context, first *int, after *string, last *int, before *string, siteID *typeid.Any, hostID *typeid.Any, state *visit.State, from *time.Time, to *time.Time) (*shape.Connection[*ent.Visit], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listVisits(ctx, p, siteID, hostID, state, from, to)
}

func (r *visitResolver) Host(ctx context.Context, obj *ent.Visit) (*ent.User, error) {
	return loadersOf(ctx).users.load(ctx, obj.HostID)
}

func (r *visitResolver) Site(ctx context.Context, obj *ent.Visit) (*ent.Site, error) {
	return loadersOf(ctx).sites.load(ctx, obj.SiteID)
}

func (r *visitResolver) Key(ctx context.Context, obj *ent.Visit) (*ent.Key, error) {
	return loadersOf(ctx).keys.load(ctx, obj.KeyID)
}

func (r *resolver) Visit() generated.VisitResolver { return &visitResolver{r} }

type visitResolver struct{ *resolver }
