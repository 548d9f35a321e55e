package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) CreateUser(ctx context.Context, input access.CreateUserInput) (*access.CreateUserPayload, error) {
	return r.access.CreateUser(ctx, input)
}

func (r *mutationResolver) InviteUser(ctx context.Context, input access.InviteUserInput) (*access.InviteUserPayload, error) {
	return r.access.InviteUser(ctx, input)
}

func (r *mutationResolver) ResendInvitation(ctx context.Context, input access.ResendInvitationInput) (*access.ResendInvitationPayload, error) {
	return r.access.ResendInvitation(ctx, input)
}

func (r *mutationResolver) UpdateUser(ctx context.Context, input access.UpdateUserInput) (*access.UpdateUserPayload, error) {
	return r.access.UpdateUser(ctx, input)
}

func (r *mutationResolver) DeleteUser(ctx context.Context, input access.DeleteUserInput) (*access.DeleteUserPayload, error) {
	return r.access.DeleteUser(ctx, input)
}

func (r *mutationResolver) EraseUser(ctx context.Context, input access.EraseUserInput) (*access.EraseUserPayload, error) {
	return r.access.EraseUser(ctx, input)
}

func (r *queryResolver) User(ctx context.Context, id typeid.Any) (*ent.User, error) {
	return lookup(ctx, id, typeid.As[typeid.User], loadersOf(ctx).users)
}

func (r *queryResolver) Users(ctx context.Context, first *int, after *string, last *int, before *string, search *string, status *user.Status) (*shape.Connection[*ent.User], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listUsers(ctx, p, search, status)
}

func (r *userResolver) Keys(ctx context.Context, obj *ent.User, first *int, after *string, last *int, before *string, status *access.KeyStatus) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.keysOf(ctx, obj.ID, status, p)
}

func (r *userResolver) Groups(ctx context.Context, obj *ent.User, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.UserGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userGroupsOf.load(ctx, nested[typeid.User]{parent: obj.ID, page: p})
}

func (r *userResolver) ManagedSites(ctx context.Context, obj *ent.User, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Site], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).managedSites.load(ctx, nested[typeid.User]{parent: obj.ID, page: p})
}

func (r *resolver) User() generated.UserResolver { return &userResolver{r} }

type userResolver struct{ *resolver }
