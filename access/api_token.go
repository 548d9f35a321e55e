package access

import (
	"bytes"
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

// CreateAPITokenInput describes a token that acts for a user. What it leaves open is as the token in
// use has it, if any.
type CreateAPITokenInput struct {
	Name      string
	UserID    *typeid.User  // nil: the actor's own
	ExpiresAt *time.Time    // at most a year from now; nil: in a year, if no token is in use
	Scopes    []actor.Scope // nil: whatever the user may do
	SiteIDs   []typeid.Site // nil: not confined to sites
	Addresses []string      // where it may come from: addresses and networks; nil: anywhere
}

// CreateAPITokenPayload holds the token and its secret, which is shown this once.
type CreateAPITokenPayload struct {
	Token  *ent.APIToken
	Secret string
}

// CreateAPIToken makes a token. Members may make their own only, and a token none that may do more than
// it may itself, nor for longer.
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
	wanted, err := in.check(s.now())
	if err != nil {
		return nil, err
	}
	secret := newSecret(tokenPrefix)
	var token *ent.APIToken
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := placesExist(ctx, tx, wanted.sites, nil); err != nil {
			return nil, err
		}
		if err := forUser(ctx, tx, owner); err != nil {
			return nil, err
		}
		limits, err := limitsOf(ctx, tx)
		if err != nil {
			return nil, err
		}
		if wanted, err = limits.narrowed(wanted); err != nil {
			return nil, err
		}
		if wanted.until == nil {
			wanted.until = new(s.now().Add(maxTokenLife - 24*time.Hour))
		}
		create := tx.APIToken.Create().SetUserID(owner).SetName(in.Name).
			SetHash(hashSecret(secret))
		if token, err = wanted.set(create).Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{tokenEvent("api_token.created", token)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateAPITokenPayload{token, secret}, nil
}

// check returns what the token is to be narrowed to.
func (in CreateAPITokenInput) check(now time.Time) (limits, error) {
	var f faults
	f.text("name", in.Name, 200)
	if in.ExpiresAt != nil && (!in.ExpiresAt.After(now) || in.ExpiresAt.After(now.Add(maxTokenLife))) {
		f.add("expiresAt", "must be in the next year")
	}
	return in.limits(&f), f.err()
}

// forUser fails unless the user is there, and is one whom the actor may let others act for.
func forUser(ctx context.Context, tx *ent.Tx, id typeid.User) error {
	if _, err := tx.User.Query().Where(user.ID(id)).ForShare().Only(ctx); err != nil {
		return found(err, "user", "userId")
	}
	return mayActOn(ctx, tx, id)
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
		if err := forUser(ctx, tx, token.UserID); err != nil {
			return nil, err
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

// maxOverlap is how long the secret before a rotation is good at most.
const maxOverlap = 7 * 24 * time.Hour

// RotateAPITokenInput names a token.
type RotateAPITokenInput struct {
	ID             typeid.APIToken
	OverlapSeconds *int // how long the old secret is good too, at most 7 days; nil: not at all
}

// RotateAPITokenPayload holds the token and its new secret, which is shown this once.
type RotateAPITokenPayload struct {
	Token  *ent.APIToken
	Secret string
}

// RotateAPIToken gives a token another secret. The old one is good until the overlap ends; one from
// before that is void at once.
func (s *Service) RotateAPIToken(
	ctx context.Context, in RotateAPITokenInput,
) (*RotateAPITokenPayload, error) {
	visible, err := tokensFor(ctx, WriteTokens)
	if err != nil {
		return nil, err
	}
	var f faults
	f.within("overlapSeconds", in.OverlapSeconds, 0, int(maxOverlap/time.Second))
	if err := f.err(); err != nil {
		return nil, err
	}
	secret, now := newSecret(tokenPrefix), s.now()
	until := now.Add(time.Duration(orZero(in.OverlapSeconds)) * time.Second)
	var token *ent.APIToken
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		token, err = tx.APIToken.Query().Where(apitoken.ID(in.ID), visible, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "token", "id")
		}
		if err := mayRotate(ctx, tx, token, now); err != nil {
			return nil, err
		}
		token, err = tx.APIToken.UpdateOne(token).SetPreviousHash(token.Hash).SetPreviousUntil(until).
			SetHash(hashSecret(secret)).Save(ctx)
		if err != nil {
			return nil, err
		}
		told := tokenEvent("api_token.rotated", token)
		told.Data = dataOf(map[string]any{"tokenId": token.ID, "until": until})
		return []journal.Event{told}, nil
	})
	if err != nil {
		return nil, err
	}
	return &RotateAPITokenPayload{token, secret}, nil
}

// mayRotate fails unless the token is good and the actor may have its secret: with a token in use, that
// of one that may do no more, nor for longer. Its own is such a one, unless by a secret from before a
// rotation: that one is to end.
func mayRotate(ctx context.Context, tx *ent.Tx, token *ent.APIToken, now time.Time) error {
	if token.RevokedAt != nil || token.ExpiresAt != nil && !now.Before(*token.ExpiresAt) {
		return Error{CodeConflict, "the token is not good any more", "id"}
	}
	by, _ := actor.FromContext(ctx)
	if token.ID != by.Token {
		if err := forUser(ctx, tx, token.UserID); err != nil {
			return err
		}
	}
	limits, err := limitsOf(ctx, tx)
	if err == nil && !limits.cover(limitsOfToken(token)) {
		err = errForbidden
	}
	return err
}

var errUnauthenticated = Error{CodeUnauthenticated, "the token is not valid", ""}

// Authenticate returns the actor that the secret of a token, or of a session, stands for. It fails
// with UNAUTHENTICATED if the secret is malformed (without asking the database), unknown, expired,
// revoked or ended, comes from where it may not (actor.Address), or its user is suspended.
func (s *Service) Authenticate(ctx context.Context, secret string) (actor.Actor, error) {
	ctx = actor.NewContext(ctx, actor.System("authenticate"))
	switch {
	case wellFormed(tokenPrefix, secret):
		return s.authenticateToken(ctx, secret)
	case wellFormed(sessionPrefix, secret):
		return s.authenticateSession(ctx, secret)
	}
	return actor.Actor{}, errUnauthenticated
}

func (s *Service) authenticateToken(ctx context.Context, secret string) (actor.Actor, error) {
	hash, now := hashSecret(secret), s.now()
	by, err := s.tokens.of(ctx, hash)
	if err != nil {
		return actor.Actor{}, fmt.Errorf("load token: %w", err)
	}
	token := by.is
	if !by.mayAct() || token.RevokedAt != nil ||
		token.ExpiresAt != nil && !now.Before(*token.ExpiresAt) || !mayComeFrom(token, actor.Address(ctx)) {
		return actor.Actor{}, errUnauthenticated
	}
	who := actor.Token(token.OrgID, token.ID, token.UserID, by.role)
	if token.GrantID != nil {
		who = who.By(*token.ApplicationID, *token.GrantID)
	}
	who, err = s.as(ctx, who)
	if err != nil {
		return actor.Actor{}, err
	}
	who = who.WithScopes(token.Scopes).Ending(endOf(token, hash))
	if token.SiteIds != nil {
		who = who.ConfinedTo(token.SiteIds)
	}
	return who, s.noteUse(actor.NewContext(ctx, who), token)
}

// endOf is when a secret of a token ends by itself: with the token or, of one from before a rotation,
// with the overlap.
func endOf(token *ent.APIToken, hash []byte) time.Time {
	until := orZero(token.ExpiresAt)
	if bytes.Equal(token.Hash, hash) {
		return until
	}
	if overlap := orZero(token.PreviousUntil); until.IsZero() || overlap.Before(until) {
		until = overlap
	}
	return until
}
