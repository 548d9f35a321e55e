package access

import (
	"context"
	"fmt"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// DeleteIdentityInput names an identity.
type DeleteIdentityInput struct{ ID typeid.Identity }

// DeleteIdentityPayload names the identity that was, and the sessions that it began.
type DeleteIdentityPayload struct {
	DeletedID typeid.Identity
	EndedIDs  []typeid.Session
}

// DeleteIdentity unbinds a user from whom a provider knows, and ends the sessions that came of it. The
// next time, the provider may name them by their e-mail address, as if it were the first.
func (s *Service) DeleteIdentity(
	ctx context.Context, in DeleteIdentityInput,
) (*DeleteIdentityPayload, error) {
	visible, err := identitiesFor(ctx, WriteSessions)
	if err != nil {
		return nil, err
	}
	gone := &DeleteIdentityPayload{DeletedID: in.ID}
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		// Whoever begins a session by it has to wait, and is then refused.
		one, err := tx.Identity.Query().Where(identity.ID(in.ID), visible).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "identity", "id")
		}
		if err := mayActOn(ctx, tx, one.UserID); err != nil {
			return nil, err
		}
		gone.EndedIDs, events, err = s.endSessions(ctx, tx, session.IdentityID(one.ID))
		if err != nil {
			return nil, err
		}
		if err := tx.Identity.DeleteOne(one).Exec(ctx); err != nil {
			return nil, fmt.Errorf("delete identity: %w", err)
		}
		return append(events, identityEvent("identity.deleted", one)), nil
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

func identityEvent(kind string, of *ent.Identity) journal.Event {
	return journal.Event{Type: kind, User: of.UserID,
		Data: dataOf(map[string]any{"identityId": of.ID, "providerId": of.ProviderID})}
}
