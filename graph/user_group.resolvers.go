package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) CreateUserGroup(ctx context.Context, input access.CreateUserGroupInput) (*access.CreateUserGroupPayload, error) {
	return r.access.CreateUserGroup(ctx, input)
}

func (r *mutationResolver) UpdateUserGroup(ctx context.Context, input access.UpdateUserGroupInput) (*access.UpdateUserGroupPayload, error) {
	return r.access.UpdateUserGroup(ctx, input)
}

func (r *mutationResolver) DeleteUserGroup(ctx context.Context, input access.DeleteUserGroupInput) (*access.DeleteUserGroupPayload, error) {
	return r.access.DeleteUserGroup(ctx, input)
}

func (r *mutationResolver) AddUserGroupMembers(ctx context.Context, input access.AddUserGroupMembersInput) (*access.AddUserGroupMembersPayload, error) {
	return r.access.AddUserGroupMembers(ctx, input)
}

func (r *mutationResolver) RemoveUserGroupMembers(ctx context.Context, input access.RemoveUserGroupMembersInput) (*access.RemoveUserGroupMembersPayload, error) {
	return r.access.RemoveUserGroupMembers(ctx, input)
}

func (r *queryResolver) UserGroup(ctx context.Context, id typeid.Any) (*ent.UserGroup, error) {
	return lookup(ctx, id, typeid.As[typeid.UserGroup], loadersOf(ctx).userGroups)
}

func (r *queryResolver) UserGroups(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*shape.Connection[*ent.UserGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listUserGroups(ctx, p, search)
}

func (r *userGroupResolver) Parent(ctx context.Context, obj *ent.UserGroup) (*ent.UserGroup, error) {
	return load(ctx, obj.ParentID, loadersOf(ctx).userGroups)
}

func (r *userGroupResolver) Parts(ctx context.Context, obj *ent.UserGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.UserGroup], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userGroupParts.load(ctx, nested[typeid.UserGroup]{parent: obj.ID, page: p})
}

func (r *userGroupResolver) Members(ctx context.Context, obj *ent.UserGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.UserGroupMember], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userGroupMembers.load(ctx, nested[typeid.UserGroup]{parent: obj.ID, page: p})
}

func (r *userGroupResolver) Keys(ctx context.Context, obj *ent.UserGroup, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userGroupKeys.load(ctx, nested[typeid.UserGroup]{parent: obj.ID, page: p})
}

func (r *userGroupMemberResolver) User(ctx context.Context, obj *ent.UserGroupMember) (*ent.User, error) {
	return require(ctx, obj.UserID, loadersOf(ctx).users)
}

func (r *resolver) UserGroup() generated.UserGroupResolver { return &userGroupResolver{r} }

func (r *resolver) UserGroupMember() generated.UserGroupMemberResolver {
	return &userGroupMemberResolver{r}
}

type (
	userGroupResolver       struct{ *resolver }
	userGroupMemberResolver struct{ *resolver }
)
