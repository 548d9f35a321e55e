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

func (r *keyResolver) User(ctx context.Context, obj *ent.Key) (*ent.User, error) {
	return load(ctx, obj.UserID, usersAsked(ctx))
}

func (r *keyResolver) Group(ctx context.Context, obj *ent.Key) (*ent.UserGroup, error) {
	return load(ctx, obj.UserGroupID, loadersOf(ctx).userGroups)
}

func (r *keyResolver) Doors(ctx context.Context, obj *ent.Key, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).keyDoors.load(ctx, nested[typeid.Key]{parent: obj.ID, page: p})
}

func (r *keyResolver) DoorGroups(ctx context.Context, obj *ent.Key, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.DoorGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).keyDoorGroups.load(ctx, nested[typeid.Key]{parent: obj.ID, page: p})
}

func (r *keyResolver) Site(ctx context.Context, obj *ent.Key) (*ent.Site, error) {
	return loadersOf(ctx).keySites.load(ctx, obj.ID)
}

func (r *keyResolver) Schedule(ctx context.Context, obj *ent.Key) (*ent.Schedule, error) {
	return load(ctx, obj.ScheduleID, loadersOf(ctx).schedules)
}

func (r *keyResolver) SharedFrom(ctx context.Context, obj *ent.Key) (*ent.Key, error) {
	return load(ctx, obj.ParentID, loadersOf(ctx).keys)
}

func (r *keyResolver) SharedBy(ctx context.Context, obj *ent.Key) (*ent.User, error) {
	return load(ctx, obj.SharedByID, loadersOf(ctx).users)
}

func (r *keyResolver) Shares(ctx context.Context, obj *ent.Key, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).keyShares.load(ctx, nested[typeid.Key]{parent: obj.ID, page: p})
}

func (r *keyResolver) Recipient(ctx context.Context, obj *ent.Key) (*string, error) {
	if obj.Recipient == nil {
		return nil, nil
	}
	masked := access.Masked(*obj.Recipient)
	return &masked, nil
}

func (r *keyResolver) Status(ctx context.Context, obj *ent.Key) (access.KeyStatus, error) {
	return access.StatusOf(obj, schema.Now()), nil
}

func (r *mutationResolver) GrantKey(ctx context.Context, input access.GrantKeyInput) (*access.GrantKeyPayload, error) {
	return r.access.GrantKey(ctx, input)
}

func (r *mutationResolver) UpdateKey(ctx context.Context, input access.UpdateKeyInput) (*access.UpdateKeyPayload, error) {
	return r.access.UpdateKey(ctx, input)
}

func (r *mutationResolver) SuspendKey(ctx context.Context, input access.SuspendKeyInput) (*access.SuspendKeyPayload, error) {
	return r.access.SuspendKey(ctx, input)
}

func (r *mutationResolver) ResumeKey(ctx context.Context, input access.ResumeKeyInput) (*access.ResumeKeyPayload, error) {
	return r.access.ResumeKey(ctx, input)
}

func (r *mutationResolver) RevokeKey(ctx context.Context, input access.RevokeKeyInput) (*access.RevokeKeyPayload, error) {
	return r.access.RevokeKey(ctx, input)
}

func (r *mutationResolver) ShareKey(ctx context.Context, input access.ShareKeyInput) (*access.ShareKeyPayload, error) {
	return r.access.ShareKey(ctx, input)
}

func (r *mutationResolver) RenewKeyLink(ctx context.Context, input access.RenewKeyLinkInput) (*access.RenewKeyLinkPayload, error) {
	return r.access.RenewKeyLink(ctx, input)
}

func (r *queryResolver) Key(ctx context.Context, id typeid.Any) (*ent.Key, error) {
	return lookup(ctx, id, typeid.As[typeid.Key], loadersOf(ctx).keys)
}

func (r *queryResolver) Keys(ctx context.Context, first *int, after *string, last *int, before *string, userID *typeid.Any, doorID *typeid.Any, status *access.KeyStatus) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listKeys(ctx, p, userID, doorID, status)
}

func (r *resolver) Key() generated.KeyResolver { return &keyResolver{r} }

type keyResolver struct{ *resolver }
