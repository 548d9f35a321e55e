package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

func (r *commandResolver) Door(ctx context.Context, obj *ent.Command) (*ent.Door, error) {
	return loadersOf(ctx).doors.load(ctx, obj.DoorID)
}

func (r *commandResolver) RequestedBy(ctx context.Context, obj *ent.Command) (*journal.Actor, error) {
	return &journal.Actor{Kind: obj.RequesterKind, ID: obj.RequesterID}, nil
}

func (r *commandResolver) Note(ctx context.Context, obj *ent.Command) (*string, error) {
	return note(ctx, obj), nil
}

func (r *mutationResolver) UnlockDoor(ctx context.Context, input access.UnlockDoorInput) (*access.UnlockDoorPayload, error) {
	c, err := r.await(ctx, input.WaitFor, func() (*ent.Command, error) {
		given, err := r.access.UnlockDoor(ctx, input)
		return value(given).Command, err
	})
	return &access.UnlockDoorPayload{Command: c}, err
}

func (r *mutationResolver) LockDoor(ctx context.Context, input access.LockDoorInput) (*access.LockDoorPayload, error) {
	c, err := r.await(ctx, input.WaitFor, func() (*ent.Command, error) {
		given, err := r.access.LockDoor(ctx, input)
		return value(given).Command, err
	})
	return &access.LockDoorPayload{Command: c}, err
}

func (r *queryResolver) Command(ctx context.Context, id typeid.Any) (*ent.Command, error) {
	return lookup(ctx, id, typeid.As[typeid.Command], loadersOf(ctx).commands)
}

func (r *subscriptionResolver) Command(ctx context.Context, id typeid.Any) (<-chan *ent.Command, error) {
	return through[*ent.Command](ctx, func() (script, *stream.Subscription, error) {
		return r.watchCommand(ctx, id)
	})
}

func (r *resolver) Command() generated.CommandResolver { return &commandResolver{r} }

type commandResolver struct{ *resolver }
