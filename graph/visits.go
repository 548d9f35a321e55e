package graph

import (
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *resolver) listVisits(
	ctx context.Context, p page, siteID, hostID *typeid.Any, state *visit.State, from, to *time.Time,
) (*shape.VisitConnection, error) {
	q, err := r.readVisits(ctx)
	if err != nil {
		return nil, err
	}
	at, err := narrow("siteId", siteID, typeid.As[typeid.Site])
	if err != nil {
		return nil, err
	}
	by, err := narrow("hostId", hostID, typeid.As[typeid.User])
	if err != nil {
		return nil, err
	}
	if at != nil {
		q.Where(visit.SiteID(*at))
	}
	if by != nil {
		q.Where(visit.HostID(*by))
	}
	if state != nil {
		q.Where(visit.StateEQ(*state))
	}
	return paginate(ctx, visits, p, q.Where(access.VisitsBetween(from, to)))
}
