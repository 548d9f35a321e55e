package access

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/journalhead"
	"github.com/cardea/cardea/ent/webhookendpoint"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateWebhookEndpointInput describes a URL that is to receive events.
type CreateWebhookEndpointInput struct {
	URL         string // https, and not inside
	Description *string
	EventTypes  []string // empty: every type
}

// CreateWebhookEndpointPayload holds the endpoint and its secret, which is shown this once.
type CreateWebhookEndpointPayload struct {
	Endpoint *ent.WebhookEndpoint
	Secret   string // whsec_ and base64, as Standard Webhooks says
}

// CreateWebhookEndpoint makes an endpoint. It receives the events from now on.
func (s *Service) CreateWebhookEndpoint(
	ctx context.Context, in CreateWebhookEndpointInput,
) (*CreateWebhookEndpointPayload, error) {
	if err := Authorize(ctx, WriteWebhooks); err != nil {
		return nil, err
	}
	var f faults
	f.webhook(&in.URL, in.Description, in.EventTypes, s.allowInside)
	if err := f.err(); err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	var endpoint *ent.WebhookEndpoint
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		head, err := tx.JournalHead.Query().Where(journalhead.ID(by.Organization)).Only(ctx)
		if err != nil {
			return nil, err
		}
		endpoint, err = tx.WebhookEndpoint.Create().SetURL(in.URL).
			SetNillableDescription(in.Description).SetEventTypes(in.EventTypes).
			SetSecret(secret).SetFromSeq(head.Seq).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{endpointEvent("webhook_endpoint.created", endpoint.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	shown := "whsec_" + base64.StdEncoding.EncodeToString(secret)
	return &CreateWebhookEndpointPayload{endpoint, shown}, nil
}

// UpdateWebhookEndpointInput changes what it holds and leaves the rest.
type UpdateWebhookEndpointInput struct {
	ID          typeid.WebhookEndpoint
	URL         *string
	Description *string
	EventTypes  []string // nil: unchanged; empty: every type
	Enabled     *bool
}

// UpdateWebhookEndpointPayload holds the endpoint as it is now.
type UpdateWebhookEndpointPayload struct{ Endpoint *ent.WebhookEndpoint }

// UpdateWebhookEndpoint changes an endpoint. Events of a time when it is not enabled are not sent
// later.
func (s *Service) UpdateWebhookEndpoint(
	ctx context.Context, in UpdateWebhookEndpointInput,
) (*UpdateWebhookEndpointPayload, error) {
	if err := Authorize(ctx, WriteWebhooks); err != nil {
		return nil, err
	}
	var f faults
	f.webhook(in.URL, in.Description, in.EventTypes, s.allowInside)
	if err := f.err(); err != nil {
		return nil, err
	}
	var endpoint *ent.WebhookEndpoint
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		update := tx.WebhookEndpoint.UpdateOneID(in.ID).SetNillableURL(in.URL).
			SetNillableDescription(in.Description).SetNillableEnabled(in.Enabled)
		if in.EventTypes != nil {
			update.SetEventTypes(in.EventTypes)
		}
		if in.Enabled != nil {
			update.ClearDisabledReason()
		}
		if endpoint, err = update.Save(ctx); err != nil {
			return nil, found(err, "webhook endpoint", "id")
		}
		return []journal.Event{endpointEvent("webhook_endpoint.updated", endpoint.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateWebhookEndpointPayload{endpoint}, nil
}

// DisableWebhookEndpoint stops sending to an endpoint that has said it is gone. A system actor calls
// it.
func (s *Service) DisableWebhookEndpoint(
	ctx context.Context, id typeid.WebhookEndpoint, reason string,
) error {
	if err := Authorize(ctx, WriteWebhooks); err != nil {
		return err
	}
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		n, err := tx.WebhookEndpoint.Update().
			Where(webhookendpoint.ID(id), webhookendpoint.Enabled(true)).
			SetEnabled(false).SetDisabledReason(reason).Save(ctx)
		if err != nil || n == 0 {
			return nil, err
		}
		return []journal.Event{endpointEvent("webhook_endpoint.disabled", id)}, nil
	})
}

// DeleteWebhookEndpointInput names an endpoint.
type DeleteWebhookEndpointInput struct{ ID typeid.WebhookEndpoint }

// DeleteWebhookEndpointPayload names the endpoint that was.
type DeleteWebhookEndpointPayload struct{ DeletedID typeid.WebhookEndpoint }

// DeleteWebhookEndpoint deletes an endpoint with its deliveries.
func (s *Service) DeleteWebhookEndpoint(
	ctx context.Context, in DeleteWebhookEndpointInput,
) (*DeleteWebhookEndpointPayload, error) {
	if err := Authorize(ctx, WriteWebhooks); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		err := tx.WebhookEndpoint.DeleteOneID(in.ID).Exec(ctx)
		if err := found(err, "webhook endpoint", "id"); err != nil {
			return nil, err
		}
		return []journal.Event{endpointEvent("webhook_endpoint.deleted", in.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteWebhookEndpointPayload{in.ID}, nil
}

func endpointEvent(kind string, id typeid.WebhookEndpoint) journal.Event {
	return journal.Event{Type: kind, Data: data("endpointId", id)}
}

func (f *faults) webhook(url, description *string, types []string, allowInside bool) {
	if url != nil {
		if err := CheckWebhookURL(*url, allowInside); err != nil {
			f.add("url", "%s", err)
		}
	}
	if description != nil && *description != "" {
		f.text("description", *description, 200)
	}
	for _, name := range types {
		if _, ok := journal.Lookup(name); !ok {
			f.add("eventTypes", "%q is not an event type", name)
		}
	}
}
