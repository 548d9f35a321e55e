package graph

import (
	"context"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *queryResolver) Viewer(ctx context.Context) (*actor.Actor, error) {
	return r.viewer(ctx)
}

func (r *queryResolver) Node(ctx context.Context, id typeid.Any) (shape.Node, error) {
	return r.node(ctx, id)
}

func (r *queryResolver) Nodes(ctx context.Context, ids []*typeid.Any) ([]shape.Node, error) {
	return r.nodes(ctx, "ids", ids)
}

func (r *resolver) Mutation() generated.MutationResolver { return &mutationResolver{r} }

func (r *resolver) Query() generated.QueryResolver { return &queryResolver{r} }

func (r *resolver) Subscription() generated.SubscriptionResolver { return &subscriptionResolver{r} }

type (
	mutationResolver     struct{ *resolver }
	queryResolver        struct{ *resolver }
	subscriptionResolver struct{ *resolver }
)
