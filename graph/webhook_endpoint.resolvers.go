package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/webhookdelivery"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) CreateWebhookEndpoint(ctx context.Context, input access.CreateWebhookEndpointInput) (*access.CreateWebhookEndpointPayload, error) {
	return r.access.CreateWebhookEndpoint(ctx, input)
}

func (r *mutationResolver) UpdateWebhookEndpoint(ctx context.Context, input access.UpdateWebhookEndpointInput) (*access.UpdateWebhookEndpointPayload, error) {
	return r.access.UpdateWebhookEndpoint(ctx, input)
}

func (r *mutationResolver) DeleteWebhookEndpoint(ctx context.Context, input access.DeleteWebhookEndpointInput) (*access.DeleteWebhookEndpointPayload, error) {
	return r.access.DeleteWebhookEndpoint(ctx, input)
}

func (r *queryResolver) WebhookEndpoint(ctx context.Context, id typeid.Any) (*ent.WebhookEndpoint, error) {
	return lookup(ctx, id, typeid.As[typeid.WebhookEndpoint], loadersOf(ctx).endpoints)
}

func (r *queryResolver) WebhookEndpoints(ctx context.Context, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.WebhookEndpoint], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listEndpoints(ctx, p)
}

func (r *webhookAttemptResolver) ErrorClass(ctx context.Context, obj *ent.WebhookAttempt) (*string, error) {
	return orNil(obj.ErrorClass), nil
}

func (r *webhookAttemptResolver) ResponseBody(ctx context.Context, obj *ent.WebhookAttempt) (*string, error) {
	return orNil(obj.ResponseBody), nil
}

func (r *webhookDeliveryResolver) Event(ctx context.Context, obj *ent.WebhookDelivery) (*journal.Event, error) {
	return require(ctx, obj.EventID, loadersOf(ctx).events)
}

func (r *webhookDeliveryResolver) Attempts(ctx context.Context, obj *ent.WebhookDelivery) ([]*ent.WebhookAttempt, error) {
	return loadersOf(ctx).attempts.load(ctx, obj.ID)
}

func (r *webhookEndpointResolver) Description(ctx context.Context, obj *ent.WebhookEndpoint) (*string, error) {
	return orNil(obj.Description), nil
}

func (r *webhookEndpointResolver) DisabledReason(ctx context.Context, obj *ent.WebhookEndpoint) (*string, error) {
	return orNil(obj.DisabledReason), nil
}

func (r *webhookEndpointResolver) Deliveries(ctx context.Context, obj *ent.WebhookEndpoint, first *int, after *string, last *int, before *string, state *webhookdelivery.State) (*shape.Connection[*ent.WebhookDelivery], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	asked := nested[typeid.WebhookEndpoint]{
		parent: obj.ID, page: p, filter: string(value(state)),
	}
	return loadersOf(ctx).endpointDeliveries.load(ctx, asked)
}

func (r *resolver) WebhookAttempt() generated.WebhookAttemptResolver {
	return &webhookAttemptResolver{r}
}

func (r *resolver) WebhookDelivery() generated.WebhookDeliveryResolver {
	return &webhookDeliveryResolver{r}
}

func (r *resolver) WebhookEndpoint() generated.WebhookEndpointResolver {
	return &webhookEndpointResolver{r}
}

type (
	webhookAttemptResolver  struct{ *resolver }
	webhookDeliveryResolver struct{ *resolver }
	webhookEndpointResolver struct{ *resolver }
)
