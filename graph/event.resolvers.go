package graph

import (
	"context"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
)

func (r *eventResolver) Site(ctx context.Context, obj *journal.Event) (*ent.Site, error) {
	return loadNonZero(ctx, obj.Site, loadersOf(ctx).sites)
}

func (r *eventResolver) Door(ctx context.Context, obj *journal.Event) (*ent.Door, error) {
	return loadNonZero(ctx, obj.Door, loadersOf(ctx).doors)
}

func (r *eventResolver) Device(ctx context.Context, obj *journal.Event) (*ent.Device, error) {
	return loadNonZero(ctx, obj.Device, loadersOf(ctx).devices)
}

func (r *eventResolver) User(ctx context.Context, obj *journal.Event) (*ent.User, error) {
	return loadNonZero(ctx, obj.User, usersAsked(ctx))
}

func (r *eventResolver) Key(ctx context.Context, obj *journal.Event) (*ent.Key, error) {
	return loadNonZero(ctx, obj.Key, loadersOf(ctx).keys)
}

func (r *eventResolver) Command(ctx context.Context, obj *journal.Event) (*ent.Command, error) {
	return loadNonZero(ctx, obj.Command, loadersOf(ctx).commands)
}

func (r *eventResolver) LeafHash(ctx context.Context, obj *journal.Event) (string, error) {
	hash, err := journal.LeafHash(*obj)
	return base64Of(hash), err
}

func (r *queryResolver) AuditLog(ctx context.Context, first *int, after *string, last *int, before *string, filter *shape.EventFilter) (*shape.Connection[*journal.Event], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listEvents(ctx, p, filter)
}

func (r *queryResolver) EventTypes(ctx context.Context) ([]*journal.Type, error) {
	return eventTypes, nil
}

func (r *subscriptionResolver) Events(ctx context.Context, filter *shape.EventFilter, after *string) (<-chan *shape.EventUpdate, error) {
	return through[*shape.EventUpdate](ctx, func() (script, *stream.Subscription, error) {
		return r.watchEvents(ctx, filter, after)
	})
}

func (r *resolver) Event() generated.EventResolver { return &eventResolver{r} }

type eventResolver struct{ *resolver }
