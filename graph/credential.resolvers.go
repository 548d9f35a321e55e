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

func (r *credentialResolver) User(ctx context.Context, obj *ent.Credential) (*ent.User, error) {
	return loadersOf(ctx).users.load(ctx, obj.UserID)
}

func (r *credentialResolver) Duress(ctx context.Context, obj *ent.Credential) (*bool, error) {
	return r.duressOf(ctx, obj), nil
}

func (r *credentialResolver) Status(ctx context.Context, obj *ent.Credential) (access.CredentialStatus, error) {
	return access.StatusOfCredential(obj, schema.Now()), nil
}

func (r *mutationResolver) CreatePin(ctx context.Context, input access.CreatePINInput) (*access.CreatePINPayload, error) {
	return r.access.CreatePIN(ctx, input)
}

func (r *mutationResolver) AddCard(ctx context.Context, input access.AddCardInput) (*access.AddCardPayload, error) {
	return r.access.AddCard(ctx, input)
}

func (r *mutationResolver) AddMobile(ctx context.Context, input access.AddMobileInput) (*access.AddMobilePayload, error) {
	return r.access.AddMobile(ctx, input)
}

func (r *mutationResolver) SuspendCredential(ctx context.Context, input access.SuspendCredentialInput) (*access.SuspendCredentialPayload, error) {
	return r.access.SuspendCredential(ctx, input)
}

func (r *mutationResolver) ResumeCredential(ctx context.Context, input access.ResumeCredentialInput) (*access.ResumeCredentialPayload, error) {
	return r.access.ResumeCredential(ctx, input)
}

func (r *mutationResolver) RevokeCredential(ctx context.Context, input access.RevokeCredentialInput) (*access.RevokeCredentialPayload, error) {
	return r.access.RevokeCredential(ctx, input)
}

func (r *mutationResolver) PresentCredential(ctx context.Context, input access.PresentCredentialInput) (*access.PresentCredentialPayload, error) {
	given := &access.PresentCredentialPayload{}
	c, err := r.await(ctx, input.WaitFor, func() (_ *ent.Command, err error) {
		given, err = r.access.PresentCredential(ctx, input)
		return value(given).Command, err
	})
	return given.At(c), err
}

func (r *queryResolver) Credential(ctx context.Context, id typeid.Any) (*ent.Credential, error) {
	return lookup(ctx, id, typeid.As[typeid.Credential], loadersOf(ctx).credentials)
}

func (r *userResolver) Credentials(ctx context.Context, obj *ent.User, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Credential], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).userCredentials.load(ctx, nested[typeid.User]{parent: obj.ID, page: p})
}

func (r *resolver) Credential() generated.CredentialResolver { return &credentialResolver{r} }

type credentialResolver struct{ *resolver }
