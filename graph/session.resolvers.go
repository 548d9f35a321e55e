package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
)

func (r *mutationResolver) EndSession(ctx context.Context, input access.EndSessionInput) (*access.EndSessionPayload, error) {
	return r.access.EndSession(ctx, input)
}

func (r *mutationResolver) EndOtherSessions(ctx context.Context, input access.EndOtherSessionsInput) (*access.EndOtherSessionsPayload, error) {
	return r.access.EndOtherSessions(ctx, input)
}

func (r *sessionResolver) User(ctx context.Context, obj *ent.Session) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *sessionResolver) Current(ctx context.Context, obj *ent.Session) (bool, error) {
	by, _ := actor.FromContext(ctx)
	return by.Session == obj.ID, nil
}

func (r *resolver) Session() generated.SessionResolver { return &sessionResolver{r} }

type sessionResolver struct{ *resolver }
