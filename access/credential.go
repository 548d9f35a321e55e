package access

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// What credentials are sealed and looked up for: a PIN and a card of the same digits have nothing in
// common.
const (
	pinDomain    = "pin"
	cardDomain   = "card"
	numberDomain = "card number"
	mobileDomain = "mobile"
)

// CredentialStatus is what a credential is worth at an instant.
type CredentialStatus string

// The statuses.
const (
	CredentialPending   CredentialStatus = "PENDING"
	CredentialActive    CredentialStatus = "ACTIVE"
	CredentialBlocked   CredentialStatus = "BLOCKED"
	CredentialSuspended CredentialStatus = "SUSPENDED"
	CredentialExpired   CredentialStatus = "EXPIRED"
	CredentialRevoked   CredentialStatus = "REVOKED"
)

// StatusOfCredential returns the credential's status at an instant. From is inclusive, until is
// exclusive.
func StatusOfCredential(c *ent.Credential, at time.Time) CredentialStatus {
	switch {
	case c.RevokedAt != nil:
		return CredentialRevoked
	case c.SuspendedAt != nil:
		return CredentialSuspended
	case c.ValidUntil != nil && !at.Before(*c.ValidUntil):
		return CredentialExpired
	case c.ValidFrom != nil && at.Before(*c.ValidFrom):
		return CredentialPending
	case c.BlockedUntil != nil && at.Before(*c.BlockedUntil):
		return CredentialBlocked
	}
	return CredentialActive
}

func credentialFact(c *ent.Credential) *verdict.Credential {
	return &verdict.Credential{
		From: orZero(c.ValidFrom), Until: orZero(c.ValidUntil), Suspended: c.SuspendedAt != nil,
		Revoked: c.RevokedAt != nil, BlockedUntil: orZero(c.BlockedUntil),
	}
}

func (f *faults) credential(label *string, from, until *time.Time) {
	f.optionalText("label", label, 100)
	if from != nil && until != nil && !from.Before(*until) {
		f.add("validUntil", "must be after validFrom")
	}
}

// give records a credential of a user and tells of it. Credentials of an organization are given one
// after the other: what prepare finds free stays so.
func (s *Service) give(
	ctx context.Context, to typeid.User, prepare func(*ent.Tx) (*ent.CredentialCreate, error),
) (c *ent.Credential, err error) {
	by, _ := actor.FromContext(ctx)
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		_, err := tx.Organization.Query().Where(organization.ID(by.Organization), forChange).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("lock organization: %w", err)
		}
		if _, err := tx.User.Query().Where(user.ID(to)).ForShare().Only(ctx); err != nil {
			return nil, found(err, "user", "userId")
		}
		create, err := prepare(tx)
		if err != nil {
			return nil, err
		}
		if c, err = create.SetUserID(to).Save(ctx); err != nil {
			return nil, err
		}
		told := credentialEvent("credential.created", c)
		told.Data, err = json.Marshal(map[string]any{"credentialId": c.ID, "kind": c.Kind})
		return []journal.Event{told}, err
	})
	return c, err
}

// unused returns the index to look a value up by, or a conflict if a credential in force has it.
func (s *Service) unused(
	ctx context.Context, tx *ent.Tx, kind credential.Kind, domain string, value []byte, field string,
) ([]byte, error) {
	by, _ := actor.FromContext(ctx)
	indexes := s.secrets.Indexes(by.Organization, domain, value)
	taken, err := tx.Credential.Query().Where(credential.KindEQ(kind), credential.RevokedAtIsNil(),
		lookedUp(indexes)).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for credential: %w", err)
	}
	if taken > 0 {
		return nil, Error{CodeConflict, "another credential in force has it", field}
	}
	return indexes[0], nil
}

// SuspendCredentialInput names a credential.
type SuspendCredentialInput struct{ ID typeid.Credential }

// SuspendCredentialPayload holds the credential as it is now.
type SuspendCredentialPayload struct{ Credential *ent.Credential }

// SuspendCredential makes a credential worth nothing until it is resumed. Suspending it again changes
// nothing and is no error.
func (s *Service) SuspendCredential(
	ctx context.Context, in SuspendCredentialInput,
) (*SuspendCredentialPayload, error) {
	c, err := s.changeCredential(ctx, in.ID, "credential.suspended",
		func(c *ent.Credential, update *ent.CredentialUpdateOne) bool {
			update.SetSuspendedAt(s.now())
			return c.SuspendedAt == nil
		})
	if err != nil {
		return nil, err
	}
	return &SuspendCredentialPayload{c}, nil
}

// ResumeCredentialInput names a credential.
type ResumeCredentialInput struct{ ID typeid.Credential }

// ResumeCredentialPayload holds the credential as it is now.
type ResumeCredentialPayload struct{ Credential *ent.Credential }

// ResumeCredential ends a suspension, and is no error if there is none.
func (s *Service) ResumeCredential(
	ctx context.Context, in ResumeCredentialInput,
) (*ResumeCredentialPayload, error) {
	c, err := s.changeCredential(ctx, in.ID, "credential.resumed",
		func(c *ent.Credential, update *ent.CredentialUpdateOne) bool {
			update.ClearSuspendedAt()
			return c.SuspendedAt != nil
		})
	if err != nil {
		return nil, err
	}
	return &ResumeCredentialPayload{c}, nil
}

// RevokeCredentialInput names a credential.
type RevokeCredentialInput struct{ ID typeid.Credential }

// RevokeCredentialPayload holds the credential as it is now.
type RevokeCredentialPayload struct{ Credential *ent.Credential }

// RevokeCredential ends a credential: from the commit on, nothing is granted by it, and its PIN or
// card can be given anew. Revoking it again changes nothing and is no error.
func (s *Service) RevokeCredential(
	ctx context.Context, in RevokeCredentialInput,
) (*RevokeCredentialPayload, error) {
	c, err := s.changeCredential(ctx, in.ID, "credential.revoked",
		func(c *ent.Credential, update *ent.CredentialUpdateOne) bool {
			update.SetRevokedAt(s.now())
			return c.RevokedAt == nil
		})
	if err != nil {
		return nil, err
	}
	return &RevokeCredentialPayload{c}, nil
}

// changeCredential applies a change and tells of it, unless there is nothing to change. A credential
// that was revoked stays as it is.
func (s *Service) changeCredential(
	ctx context.Context, id typeid.Credential, kind string,
	change func(*ent.Credential, *ent.CredentialUpdateOne) bool,
) (c *ent.Credential, err error) {
	if err := Authorize(ctx, WriteCredentials); err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if c, err = tx.Credential.Query().Where(credential.ID(id), forChange).Only(ctx); err != nil {
			return nil, found(err, "credential", "id")
		}
		if c.RevokedAt != nil && kind != "credential.revoked" {
			return nil, Error{CodeConflict, "the credential was revoked", "id"}
		}
		update := tx.Credential.UpdateOne(c)
		if !change(c, update) {
			return nil, nil
		}
		if c, err = update.Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{credentialEvent(kind, c)}, nil
	})
	return c, err
}

func credentialEvent(kind string, c *ent.Credential) journal.Event {
	return journal.Event{Type: kind, User: c.UserID, Data: data("credentialId", c.ID)}
}
