package access

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxTokenLife is the longest that a token may live.
const maxTokenLife = 366 * 24 * time.Hour

// CreateAPITokenInput describes a token that acts for a user.
type CreateAPITokenInput struct {
	Name      string
	UserID    *typeid.User // nil: the actor's own
	ExpiresAt *time.Time   // at most a year from now; nil: a year
}

// CreateAPITokenPayload holds the token and its secret, which is shown this once.
type CreateAPITokenPayload struct {
	Token  *ent.APIToken
	Secret string
}

// CreateAPIToken makes a token. Members may make their own only.
func (s *Service) CreateAPIToken(
	ctx context.Context, in CreateAPITokenInput,
) (*CreateAPITokenPayload, error) {
	reached, err := reach(ctx, WriteTokens)
	if err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	owner := by.User
	if in.UserID != nil {
		owner = *in.UserID
	}
	if reached == own && owner != by.User {
		return nil, errForbidden
	}
	now := s.now()
	expires := now.Add(maxTokenLife - 24*time.Hour)
	if in.ExpiresAt != nil {
		expires = *in.ExpiresAt
	}
	var f faults
	f.text("name", in.Name, 200)
	if !expires.After(now) || expires.After(now.Add(maxTokenLife)) {
		f.add("expiresAt", "must be in the next year")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	secret := newSecret(tokenPrefix)
	var token *ent.APIToken
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if _, err := tx.User.Query().Where(user.ID(owner)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "user", "userId")
		}
		token, err = tx.APIToken.Create().SetUserID(owner).SetName(in.Name).
			SetHash(hashSecret(secret)).SetExpiresAt(expires).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{tokenEvent("api_token.created", token)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateAPITokenPayload{token, secret}, nil
}

// RevokeAPITokenInput names a token.
type RevokeAPITokenInput struct{ ID typeid.APIToken }

// RevokeAPITokenPayload holds the token as it is now.
type RevokeAPITokenPayload struct{ Token *ent.APIToken }

// RevokeAPIToken ends a token. Revoking it again changes nothing and is no error.
func (s *Service) RevokeAPIToken(
	ctx context.Context, in RevokeAPITokenInput,
) (*RevokeAPITokenPayload, error) {
	visible, err := tokensFor(ctx, WriteTokens)
	if err != nil {
		return nil, err
	}
	var token *ent.APIToken
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		token, err = tx.APIToken.Query().Where(apitoken.ID(in.ID), visible, forChange).Only(ctx)
		if err != nil || token.RevokedAt != nil {
			return nil, found(err, "token", "id")
		}
		if token, err = tx.APIToken.UpdateOne(token).SetRevokedAt(s.now()).Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{tokenEvent("api_token.revoked", token)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &RevokeAPITokenPayload{token}, nil
}

func tokenEvent(kind string, token *ent.APIToken) journal.Event {
	return journal.Event{Type: kind, User: token.UserID, Data: data("tokenId", token.ID)}
}

var errUnauthenticated = Error{CodeUnauthenticated, "the token is not valid", ""}

// lastUsedStep is how fine last_used_at is kept, so that a busy token costs few writes.
const lastUsedStep = time.Minute

// Authenticate returns the actor that a token's secret stands for. It fails with UNAUTHENTICATED if
// the secret is malformed (without asking the database), unknown, expired or revoked, or its user
// suspended.
func (s *Service) Authenticate(ctx context.Context, secret string) (actor.Actor, error) {
	if !wellFormed(tokenPrefix, secret) {
		return actor.Actor{}, errUnauthenticated
	}
	ctx = actor.NewContext(ctx, actor.System("authenticate"))
	token, err := s.reserve.APIToken.Query().Where(apitoken.Hash(hashSecret(secret))).Only(ctx)
	if ent.IsNotFound(err) {
		return actor.Actor{}, errUnauthenticated
	}
	if err != nil {
		return actor.Actor{}, fmt.Errorf("load token: %w", err)
	}
	now := s.now()
	if token.RevokedAt != nil || token.ExpiresAt != nil && !now.Before(*token.ExpiresAt) {
		return actor.Actor{}, errUnauthenticated
	}
	u, err := s.reserve.User.Query().Where(user.ID(token.UserID)).Only(ctx)
	if ent.IsNotFound(err) || err == nil && u.Status != user.StatusACTIVE {
		return actor.Actor{}, errUnauthenticated
	}
	if err != nil {
		return actor.Actor{}, fmt.Errorf("load user: %w", err)
	}
	if token.LastUsedAt == nil || now.Sub(*token.LastUsedAt) >= lastUsedStep {
		if err := s.reserve.APIToken.UpdateOne(token).SetLastUsedAt(now).Exec(ctx); err != nil {
			return actor.Actor{}, fmt.Errorf("note use of token: %w", err)
		}
	}
	return s.as(ctx, actor.Token(token.OrgID, token.ID, u.ID, u.Role))
}
