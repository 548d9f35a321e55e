package access

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/typeid"
)

// Lacking counts what was imported and does not work yet.
type Lacking struct {
	PINs      int // in force, and sealed with secrets that this installation lacks
	Cards     int // likewise
	Providers int // of identity, likewise
	Endpoints int // of webhooks: disabled, with secrets that nobody knows
}

// Secrets counts what lacks secrets of the installation that the archive comes from.
func (l Lacking) Secrets() int { return l.PINs + l.Cards + l.Providers }

func (l Lacking) refusal() error {
	return Error{CodeConflict, fmt.Sprintf("%d PINs, %d cards and %d identity providers were sealed "+
		"with secrets that this installation lacks", l.PINs, l.Cards, l.Providers), "secrets"}
}

// lacking counts what does not work yet of what was imported.
func (s *Service) lacking(ctx context.Context, tx *ent.Tx) (l Lacking, err error) {
	by, _ := actor.FromContext(ctx)
	providers, err := tx.IdentityProvider.Query().All(ctx)
	if err != nil {
		return l, fmt.Errorf("count what lacks secrets: %w", err)
	}
	for _, p := range providers {
		if _, err := s.secrets.Open(by.Organization, domainClientSecret, p.ClientSecret); err != nil {
			l.Providers++
		}
	}
	if l.Endpoints, err = tx.WebhookEndpoint.Query().Count(ctx); err != nil {
		return l, fmt.Errorf("count webhook endpoints: %w", err)
	}
	err = s.credentialsLacking(ctx, tx, &l)
	return l, err
}

func (s *Service) credentialsLacking(ctx context.Context, tx *ent.Tx, l *Lacking) error {
	by, _ := actor.FromContext(ctx)
	var after typeid.Credential
	for {
		page, err := tx.Credential.Query().Where(credential.RevokedAtIsNil(), func(q *sql.Selector) {
			if !after.IsZero() {
				q.Where(sql.GT(q.C(credential.FieldID), after))
			}
		}).Order(credential.ByID()).Limit(archivePage).All(ctx)
		if err != nil {
			return fmt.Errorf("count what lacks secrets: %w", err)
		}
		for _, c := range page {
			switch after = c.ID; c.Kind {
			case credential.KindPIN:
				if !s.secrets.KnowsPIN(orZero(c.PinHash)) {
					l.PINs++
				}
			case credential.KindCARD:
				if _, err := s.secrets.Open(by.Organization, cardDomain, orZero(c.Sealed)); err != nil {
					l.Cards++
				}
			case credential.KindMOBILE: // its key is public
			}
		}
		if len(page) < archivePage {
			return nil
		}
	}
}
