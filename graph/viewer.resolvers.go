package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
)

func (r *actorResolver) Application(ctx context.Context, obj *journal.Actor) (*ent.Application, error) {
	return r.applicationBehind(ctx, obj)
}

func (r *actorResolver) User(ctx context.Context, obj *journal.Actor) (*ent.User, error) {
	return r.personBehind(ctx, obj)
}

func (r *actorResolver) Name(ctx context.Context, obj *journal.Actor) (*string, error) {
	return r.nameOf(ctx, obj)
}

func (r *actorResolver) Erased(ctx context.Context, obj *journal.Actor) (bool, error) {
	return r.wasErased(ctx, obj)
}

func (r *viewerResolver) Actor(ctx context.Context, obj *actor.Actor) (*journal.Actor, error) {
	return &journal.Actor{Kind: obj.Kind, ID: obj.ID(), Application: obj.Application}, nil
}

func (r *viewerResolver) User(ctx context.Context, obj *actor.Actor) (*ent.User, error) {
	return require(ctx, obj.User, loadersOf(ctx).users)
}

func (r *viewerResolver) Permissions(ctx context.Context, obj *actor.Actor) ([]*access.Permission, error) {
	return access.Permissions(ctx), nil
}

func (r *viewerResolver) Organization(ctx context.Context, obj *actor.Actor) (*ent.Organization, error) {
	return r.ownOrganization(ctx)
}

func (r *viewerResolver) APIToken(ctx context.Context, obj *actor.Actor) (*ent.APIToken, error) {
	return loadNonZero(ctx, obj.Token, loadersOf(ctx).tokens)
}

func (r *viewerResolver) APITokens(ctx context.Context, obj *actor.Actor, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.APIToken], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listTokens(ctx, p, apitoken.UserID(obj.User))
}

func (r *viewerResolver) Grant(ctx context.Context, obj *actor.Actor) (*ent.Grant, error) {
	return loadNonZero(ctx, obj.Grant, loadersOf(ctx).grants)
}

func (r *viewerResolver) Grants(ctx context.Context, obj *actor.Actor, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Grant], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listGrants(ctx, p, obj.User)
}

func (r *viewerResolver) Session(ctx context.Context, obj *actor.Actor) (*ent.Session, error) {
	return loadNonZero(ctx, obj.Session, loadersOf(ctx).sessions)
}

func (r *viewerResolver) Sessions(ctx context.Context, obj *actor.Actor, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Session], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listSessions(ctx, p, obj.User)
}

func (r *viewerResolver) Passkeys(ctx context.Context, obj *actor.Actor, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Passkey], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listPasskeys(ctx, p, obj.User)
}

func (r *viewerResolver) Keys(ctx context.Context, obj *actor.Actor, first *int, after *string, last *int, before *string, status *access.KeyStatus) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.keysOf(ctx, obj.User, status, p)
}

func (r *resolver) Actor() generated.ActorResolver { return &actorResolver{r} }

func (r *resolver) Viewer() generated.ViewerResolver { return &viewerResolver{r} }

type (
	actorResolver  struct{ *resolver }
	viewerResolver struct{ *resolver }
)
