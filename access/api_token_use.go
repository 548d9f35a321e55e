package access

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/journal"
)

const (
	// lastUsedStep is how fine last_used_at is kept, so that a busy token costs few writes.
	lastUsedStep = time.Minute
	// maxKnown is how many networks are remembered that a token came from.
	maxKnown = 20
)

// noteUse notes when the token of ctx was used and from where. From where it was not used lately, that
// is an event: whoever has stolen a token uses it from elsewhere.
func (s *Service) noteUse(ctx context.Context, t *ent.APIToken) error {
	now, from := s.now(), actor.Address(ctx)
	if t.GrantID == nil && from.IsValid() && !slices.Contains(t.KnownAddresses, networkOf(from)) {
		return s.noteAddress(ctx, t, from)
	}
	if t.LastUsedAt != nil && now.Sub(*t.LastUsedAt) < lastUsedStep {
		return nil
	}
	update := s.reserve.APIToken.UpdateOne(t).SetLastUsedAt(now)
	if from.IsValid() {
		update.SetLastUsedAddress(from.String())
	}
	if err := update.Exec(ctx); err != nil {
		return fmt.Errorf("note use of token: %w", err)
	}
	return s.noteGrant(ctx, t)
}

// noteGrant notes that the grant was used that a token is of, if any. (An application is in a data centre,
// with addresses that come and go: from where is not told.)
func (s *Service) noteGrant(ctx context.Context, t *ent.APIToken) error {
	if t.GrantID == nil {
		return nil
	}
	err := s.reserve.Grant.Update().Where(grant.ID(*t.GrantID)).SetLastUsedAt(s.now()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("note use of grant: %w", err)
	}
	return nil
}

// noteAddress remembers an address, and tells of it unless it is the token's first. Of uses at once, one
// tells.
func (s *Service) noteAddress(ctx context.Context, t *ent.APIToken, from netip.Addr) error {
	return s.writeTo(ctx, s.reserve, func(tx *ent.Tx) ([]journal.Event, error) {
		t, err := tx.APIToken.Query().Where(apitoken.ID(t.ID), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "token", "")
		}
		if slices.Contains(t.KnownAddresses, networkOf(from)) {
			return nil, nil
		}
		known := append(slices.Clone(t.KnownAddresses), networkOf(from))
		err = tx.APIToken.UpdateOne(t).SetLastUsedAt(s.now()).SetLastUsedAddress(from.String()).
			SetKnownAddresses(known[max(0, len(known)-maxKnown):]).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("note address of token: %w", err)
		}
		if len(t.KnownAddresses) == 0 {
			return nil, nil
		}
		return []journal.Event{tokenEvent("api_token.used_from_new_address", t)}, nil
	})
}

// networkOf is what counts as one place: an IPv4 address, or the /64 that hosts of IPv6 roam in.
func networkOf(from netip.Addr) netip.Prefix {
	from = from.WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	network, _ := from.Prefix(bits) // fails for a zone and for too many bits alone
	return network
}
