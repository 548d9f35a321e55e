package access

import (
	"context"
	"fmt"
	"maps"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// RevokeGrantInput names a grant.
type RevokeGrantInput struct{ ID typeid.Grant }

// RevokeGrantPayload holds the grant as it is now.
type RevokeGrantPayload struct{ Grant *ent.Grant }

// RevokeGrant ends what an application may do for somebody, with all its tokens. Revoking it again
// changes nothing and is no error.
func (s *Service) RevokeGrant(
	ctx context.Context, in RevokeGrantInput,
) (*RevokeGrantPayload, error) {
	visible, err := grantsFor(ctx, WriteGrants)
	if err != nil {
		return nil, err
	}
	var one *ent.Grant
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		one, err = tx.Grant.Query().Where(grant.ID(in.ID), visible).Only(ctx)
		if err != nil {
			return nil, found(err, "grant", "id")
		}
		if err := mayActOn(ctx, tx, one.UserID); err != nil {
			return nil, err
		}
		if events, err = s.endGrants(ctx, tx, grant.RevokedReasonREQUESTED, grant.ID(in.ID)); err != nil {
			return nil, err
		}
		one, err = tx.Grant.Query().Where(grant.ID(in.ID)).Only(ctx)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return &RevokeGrantPayload{one}, nil
}

// endGrants ends those that have not ended, with all tokens that came of them, and tells of each. Who
// gives out a token holds its grant: either the token is ended here, or it is never given.
func (s *Service) endGrants(
	ctx context.Context, tx *ent.Tx, why grant.RevokedReason, which ...predicate.Grant,
) (events []journal.Event, err error) {
	running, err := tx.Grant.Query().Where(which...).Where(grant.RevokedAtIsNil(), forChange).
		Order(grant.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock grants: %w", err)
	}
	if len(running) == 0 {
		return nil, nil
	}
	ids, now := make([]typeid.Grant, len(running)), s.now()
	for i, one := range running {
		ids[i] = one.ID
		events = append(events, grantEvent("grant.revoked", one, map[string]any{"reason": why}))
	}
	err = tx.Grant.Update().SetRevokedAt(now).SetRevokedReason(why).
		Where(whose(grant.FieldID, ids)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("end grants: %w", err)
	}
	return events, voidTokens(ctx, tx, now, whose(apitoken.FieldGrantID, ids))
}

// endUse ends the sessions of people who are suspended, and what they let applications do.
func (s *Service) endUse(
	ctx context.Context, tx *ent.Tx, of ...typeid.User,
) ([]journal.Event, error) {
	if len(of) == 0 {
		return nil, nil
	}
	_, ended, err := s.endSessions(ctx, tx, whose(session.FieldUserID, of))
	if err != nil {
		return nil, err
	}
	revoked, err := s.endGrants(
		ctx, tx, grant.RevokedReasonUSER_SUSPENDED, whose(grant.FieldUserID, of))
	return append(ended, revoked...), err
}

// voidTokens ends access tokens that are good.
func voidTokens(
	ctx context.Context, tx *ent.Tx, now time.Time, which predicate.APIToken,
) error {
	err := tx.APIToken.Update().SetRevokedAt(now).
		Where(which, apitoken.GrantIDNotNil(), apitoken.RevokedAtIsNil(), apitoken.ExpiresAtGT(now)).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("void access tokens: %w", err)
	}
	return nil
}

func ofApplication(id typeid.Application) predicate.APIToken { return apitoken.ApplicationID(id) }

// letActFor gives an application leave to act for a user by itself, in place of whom it did so before.
func (s *Service) letActFor(
	ctx context.Context, tx *ent.Tx, app *ent.Application, id typeid.User,
) ([]journal.Event, error) {
	if err := unlimited(ctx, tx); err != nil {
		return nil, err
	}
	if err := forUser(ctx, tx, id); err != nil {
		return nil, at(err, "actsForId")
	}
	events, err := s.endGrants(ctx, tx, grant.RevokedReasonREPLACED,
		grant.ApplicationID(app.ID), grant.ByItself(true))
	if err != nil {
		return nil, err
	}
	one, err := tx.Grant.Create().SetUserID(id).SetApplicationID(app.ID).SetByItself(true).
		SetScopes(app.Scopes).SetCreatedAt(s.now()).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create grant: %w", err)
	}
	return append(events, grantEvent("grant.created", one, granted(one))), nil
}

// mayUse fails if the actor must not have what an application can do by itself: with its secret, or with
// more scopes, they would act for whom it acts for.
func (s *Service) mayUse(ctx context.Context, tx *ent.Tx, app *ent.Application) error {
	one, err := tx.Grant.Query().
		Where(grant.ApplicationID(app.ID), grant.ByItself(true), grant.RevokedAtIsNil()).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load grant: %w", err)
	}
	if err := unlimited(ctx, tx); err != nil {
		return err
	}
	return mayActOn(ctx, tx, one.UserID)
}

// unlimited fails if the actor uses a token that is narrowed to anything.
func unlimited(ctx context.Context, tx *ent.Tx) error {
	l, err := limitsOf(ctx, tx)
	if err == nil && (l.scopes != nil || l.sites != nil || l.addresses != nil) {
		err = Error{CodeForbidden, "a token lets nobody do more than itself", ""}
	}
	return err
}

// at says that it is another field of the input that a refusal is about.
func at(err error, field string) error {
	if refusal, ok := err.(Error); ok && refusal.Code == CodeNotFound { //nolint:errorlint // not wrapped
		refusal.Field = field
		return refusal
	}
	return err
}

// granted is what a grant is, for the journal.
func granted(one *ent.Grant) map[string]any {
	facts := map[string]any{"scopes": one.Scopes}
	if one.SiteIds != nil {
		facts["siteIds"] = one.SiteIds
	}
	return facts
}

func grantEvent(kind string, one *ent.Grant, also map[string]any) journal.Event {
	facts := map[string]any{"grantId": one.ID, "applicationId": one.ApplicationID}
	maps.Copy(facts, also)
	return journal.Event{Type: kind, User: one.UserID, Data: dataOf(facts)}
}

// VisibleGrants are the actor's.
func (s *Service) VisibleGrants(ctx context.Context) (predicate.Grant, error) {
	return grantsFor(ctx, ReadGrants)
}

// grantsFor are the grants that an action may find.
func grantsFor(ctx context.Context, action Action) (predicate.Grant, error) {
	return narrow(ctx, action, grant.UserID)
}

// Standing is true of grants that are still good, if their user and their application are.
func (s *Service) Standing() predicate.Grant {
	return grant.And(grant.RevokedAtIsNil(),
		grant.Or(grant.ExpiresAtIsNil(), grant.ExpiresAtGT(s.now())))
}

// VisibleApplications are those that the actor has let act for them.
func (s *Service) VisibleApplications(ctx context.Context) (predicate.Application, error) {
	return narrow(ctx, ReadApplications, func(me typeid.User) predicate.Application {
		return func(q *sql.Selector) {
			q.Where(among(q.C(application.FieldID),
				"SELECT g.application_id FROM grants g WHERE g.user_id = ?", me))
		}
	})
}
