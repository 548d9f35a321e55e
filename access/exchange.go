package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/authorizationcode"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/refreshtoken"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// How long what an application gets is good: an access token, and a refresh token that is not used.
const (
	AccessLife  = time.Hour
	RefreshLife = 60 * 24 * time.Hour
)

// Refusals of who asks for tokens, by the names of RFC 6749.
var (
	ErrInvalidClient      = errors.New("invalid_client")
	ErrInvalidGrant       = errors.New("invalid_grant")
	ErrInvalidScope       = errors.New("invalid_scope")
	ErrUnauthorizedClient = errors.New("unauthorized_client")
)

// ClientCredentials is how an application says which one it is. One that is PUBLIC has no secret.
type ClientCredentials struct{ ID, Secret string }

// IssuedTokens are what an application has got. They are shown this once.
type IssuedTokens struct {
	Access   string
	Lifetime time.Duration // of Access
	Refresh  string        // "" for an application that acts by itself
	Scopes   []actor.Scope
}

// identify returns the application, and a context to act in its organization.
func (s *Service) identify(
	ctx context.Context, c ClientCredentials,
) (*ent.Application, context.Context, error) {
	everywhere := actor.System("oauth")
	id, err := typeid.Parse[typeid.Application](c.ID)
	if err != nil {
		return nil, nil, ErrInvalidClient
	}
	app, err := s.db.Application.Query().Where(application.ID(id)).
		Only(actor.NewContext(ctx, everywhere))
	if ent.IsNotFound(err) {
		return nil, nil, ErrInvalidClient
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load application: %w", err)
	}
	if app.DisabledAt != nil || !s.isSecretOf(app, c.Secret) {
		return nil, nil, ErrInvalidClient
	}
	return app, actor.NewContext(ctx, everywhere.Within(app.OrgID)), nil
}

func (s *Service) isSecretOf(app *ent.Application, secret string) bool {
	if app.Type == application.TypePUBLIC {
		return secret == ""
	}
	if !wellFormed(applicationPrefix, secret) {
		return false
	}
	hash := hashSecret(secret)
	return subtle.ConstantTimeCompare(hash, orZero(app.Hash)) == 1 ||
		s.now().Before(orZero(app.PreviousUntil)) &&
			subtle.ConstantTimeCompare(hash, orZero(app.PreviousHash)) == 1
}

// RedeemCode gives an application the first tokens of a grant for its code. Whoever shows a code that was
// used ends the grant: either they have stolen it or it was stolen before.
func (s *Service) RedeemCode(
	ctx context.Context, c ClientCredentials, code, redirectURI, verifier string,
) (*IssuedTokens, error) {
	app, ctx, err := s.identify(ctx, c)
	if err != nil {
		return nil, err
	}
	if !wellFormed(authorizationPrefix, code) {
		return nil, ErrInvalidGrant
	}
	return s.exchange(ctx, app, func(tx *ent.Tx) (*given, error) {
		shown, err := tx.AuthorizationCode.Query().Where(authorizationcode.Hash(hashSecret(code)), forChange).
			Only(ctx)
		if err != nil {
			return nil, invalid(err, "load code")
		}
		one, err := lockGrant(ctx, tx, app, shown.GrantID)
		switch {
		case err != nil:
			return nil, err
		case shown.UsedAt != nil:
			return &given{grant: one, reused: grant.RevokedReasonREUSED_CODE}, nil
		case !s.now().Before(shown.ExpiresAt), shown.RedirectURI != redirectURI,
			!answers(shown.Challenge, verifier):
			return nil, ErrInvalidGrant
		}
		if err := tx.AuthorizationCode.UpdateOne(shown).SetUsedAt(s.now()).Exec(ctx); err != nil {
			return nil, fmt.Errorf("use code: %w", err)
		}
		return &given{grant: one, scopes: one.Scopes}, nil
	})
}

// answers says whether a verifier is what a challenge was made of.
func answers(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	return len(verifier) >= 43 && len(verifier) <= 128 &&
		subtle.ConstantTimeCompare([]byte(made), []byte(challenge)) == 1
}

// RefreshTokens gives an application the next tokens of a grant for its refresh token. Whoever shows one
// that was used ends the grant. The access token may have fewer scopes than the grant.
func (s *Service) RefreshTokens(
	ctx context.Context, c ClientCredentials, token string, scopes []actor.Scope,
) (*IssuedTokens, error) {
	app, ctx, err := s.identify(ctx, c)
	if err != nil {
		return nil, err
	}
	if !wellFormed(refreshPrefix, token) {
		return nil, ErrInvalidGrant
	}
	return s.exchange(ctx, app, func(tx *ent.Tx) (*given, error) {
		shown, err := tx.RefreshToken.Query().Where(refreshtoken.Hash(hashSecret(token)), forChange).
			Only(ctx)
		if err != nil {
			return nil, invalid(err, "load refresh token")
		}
		one, err := lockGrant(ctx, tx, app, shown.GrantID)
		switch {
		case err != nil:
			return nil, err
		case shown.UsedAt != nil:
			return &given{grant: one, reused: grant.RevokedReasonREUSED_TOKEN}, nil
		case !s.now().Before(shown.ExpiresAt):
			return nil, ErrInvalidGrant
		case len(scopes) == 0:
			scopes = one.Scopes
		case !subset(scopes, one.Scopes):
			return nil, ErrInvalidScope
		}
		if err := tx.RefreshToken.UpdateOne(shown).SetUsedAt(s.now()).Exec(ctx); err != nil {
			return nil, fmt.Errorf("use refresh token: %w", err)
		}
		return &given{grant: one, scopes: scopes}, nil
	})
}

// OwnToken gives an application an access token to act by itself, for whom the organization lets it act.
func (s *Service) OwnToken(
	ctx context.Context, c ClientCredentials, scopes []actor.Scope,
) (*IssuedTokens, error) {
	app, ctx, err := s.identify(ctx, c)
	if err != nil {
		return nil, err
	}
	if app.Type == application.TypePUBLIC {
		return nil, ErrUnauthorizedClient
	}
	return s.exchange(ctx, app, func(tx *ent.Tx) (*given, error) {
		one, err := tx.Grant.Query().Where(grant.ApplicationID(app.ID), grant.ByItself(true),
			grant.RevokedAtIsNil(), forChange).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			return nil, ErrUnauthorizedClient
		case err != nil:
			return nil, fmt.Errorf("load grant: %w", err)
		case len(scopes) == 0:
			scopes = app.Scopes
		case !subset(scopes, app.Scopes):
			return nil, ErrInvalidScope
		}
		return &given{grant: one, scopes: scopes}, nil
	})
}

// given is what an application has shown that it was given.
type given struct {
	grant  *ent.Grant
	scopes []actor.Scope
	reused grant.RevokedReason // why the grant ends instead; "": it does not
}

// exchange gives an application tokens for what it shows, or ends the grant.
func (s *Service) exchange(
	ctx context.Context, asking *ent.Application, show func(*ent.Tx) (*given, error),
) (issued *IssuedTokens, err error) {
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		issued = nil
		app, err := tx.Application.Query().
			Where(application.ID(asking.ID), application.DisabledAtIsNil()).ForShare().Only(ctx)
		if ent.IsNotFound(err) {
			return nil, ErrInvalidClient
		}
		if err != nil {
			return nil, fmt.Errorf("load application: %w", err)
		}
		shown, err := show(tx)
		if err != nil {
			return nil, err
		}
		if shown.reused != "" {
			return s.endGrants(ctx, tx, shown.reused, grant.ID(shown.grant.ID))
		}
		issued, err = s.issue(ctx, tx, app, shown)
		return nil, err
	})
	if err == nil && issued == nil {
		err = ErrInvalidGrant
	}
	return issued, err
}

// issue makes the tokens. What the application may not ask for any more, they are not for.
func (s *Service) issue(
	ctx context.Context, tx *ent.Tx, app *ent.Application, g *given,
) (*IssuedTokens, error) {
	active, err := tx.User.Query().
		Where(user.ID(g.grant.UserID), user.StatusEQ(user.StatusACTIVE)).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("load user: %w", err)
	}
	scopes := slices.DeleteFunc(slices.Clone(g.scopes), func(one actor.Scope) bool {
		return !slices.Contains(app.Scopes, one)
	})
	if active == 0 || len(scopes) == 0 {
		return nil, ErrInvalidGrant
	}
	now := s.now()
	issued := &IssuedTokens{Access: newSecret(tokenPrefix), Lifetime: AccessLife, Scopes: scopes}
	create := tx.APIToken.Create().SetUserID(g.grant.UserID).SetGrantID(g.grant.ID).
		SetApplicationID(app.ID).SetName(app.Name).SetHash(hashSecret(issued.Access)).
		SetScopes(scopes).SetExpiresAt(now.Add(AccessLife))
	if g.grant.SiteIds != nil {
		create.SetSiteIds(g.grant.SiteIds)
	}
	if err := create.Exec(ctx); err != nil {
		return nil, fmt.Errorf("create access token: %w", err)
	}
	update := tx.Grant.UpdateOne(g.grant).SetLastUsedAt(now)
	if !g.grant.ByItself {
		issued.Refresh = newSecret(refreshPrefix)
		err := tx.RefreshToken.Create().SetGrantID(g.grant.ID).SetHash(hashSecret(issued.Refresh)).
			SetExpiresAt(now.Add(RefreshLife)).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("create refresh token: %w", err)
		}
		update.SetExpiresAt(now.Add(RefreshLife))
	}
	if err := update.Exec(ctx); err != nil {
		return nil, fmt.Errorf("note use of grant: %w", err)
	}
	return issued, nil
}

// lockGrant returns a grant of the application that has not ended.
func lockGrant(
	ctx context.Context, tx *ent.Tx, app *ent.Application, id typeid.Grant,
) (*ent.Grant, error) {
	one, err := tx.Grant.Query().Where(grant.ID(id), grant.ApplicationID(app.ID),
		grant.RevokedAtIsNil(), forChange).Only(ctx)
	return one, invalid(err, "load grant")
}

// invalid turns Ent's not-found into invalid_grant.
func invalid(err error, what string) error {
	if ent.IsNotFound(err) {
		return ErrInvalidGrant
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// RevokeIssued ends what an application was given, at its own request (RFC 7009): an access token alone,
// or by a refresh token the whole grant. What is unknown, or another application's, is not good anyhow
// and is no error.
func (s *Service) RevokeIssued(ctx context.Context, c ClientCredentials, token string) error {
	app, ctx, err := s.identify(ctx, c)
	if err != nil {
		return err
	}
	hash := hashSecret(token)
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if wellFormed(refreshPrefix, token) {
			shown, err := tx.RefreshToken.Query().Where(refreshtoken.Hash(hash)).Only(ctx)
			if err != nil {
				return nil, unlessGone(err, "load refresh token")
			}
			return s.endGrants(ctx, tx, grant.RevokedReasonAPPLICATION, grant.ID(shown.GrantID),
				grant.ApplicationID(app.ID))
		}
		shown, err := tx.APIToken.Query().Where(apitoken.Hash(hash),
			apitoken.ApplicationID(app.ID), apitoken.RevokedAtIsNil(), forChange).Only(ctx)
		if err != nil {
			return nil, unlessGone(err, "load access token")
		}
		if shown, err = tx.APIToken.UpdateOne(shown).SetRevokedAt(s.now()).Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{tokenEvent("api_token.revoked", shown)}, nil
	})
}

func unlessGone(err error, what string) error {
	if ent.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// ForgetIssued deletes the codes and tokens of applications that are of no use any more, and returns how
// many. Those that expired a day ago can tell nothing by being used again.
func (s *Service) ForgetIssued(ctx context.Context) (int, error) {
	ctx = actor.NewContext(ctx, actor.System("oauth"))
	before := s.now().Add(-24 * time.Hour)
	codes, err1 := s.db.AuthorizationCode.Delete().
		Where(authorizationcode.ExpiresAtLT(before)).Exec(ctx)
	refresh, err2 := s.db.RefreshToken.Delete().Where(refreshtoken.ExpiresAtLT(before)).Exec(ctx)
	tokens, err3 := s.db.APIToken.Delete().
		Where(apitoken.GrantIDNotNil(), apitoken.ExpiresAtLT(before)).Exec(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return 0, fmt.Errorf("forget tokens of applications: %w", err)
	}
	return codes + refresh + tokens, nil
}
