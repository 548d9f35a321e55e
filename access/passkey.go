package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/passkey"
	"github.com/cardea/cardea/ent/passkeychallenge"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// A challenge is good for five minutes, once, and only in the browser that asked for it.
const (
	PasskeyWindow = 5 * time.Minute
	MaxPasskeys   = 20 // of one user
)

// errPasskey is all that is said of a passkey that does not sign in, whatever the cause.
var errPasskey = Error{CodeUnauthenticated, "the passkey is not good here", ""}

// errNoPasskeys is of an installation where browsers have no passkeys.
var errNoPasskeys = Error{CodeConflict, "passkeys need a public URL with a host name", ""}

// PasskeyQuestion is what a browser is to ask an authenticator. Its nonce is shown this once, to
// whoever asked.
type PasskeyQuestion struct {
	Nonce     string
	Options   json.RawMessage // what navigator.credentials takes, as WebAuthn writes it in JSON
	ExpiresAt time.Time
}

// OffersPasskeys says whether browsers have passkeys for where people reach this installation: they
// have none for an address.
func (s *Service) OffersPasskeys() bool {
	_, err := s.relyingParty()
	return err == nil
}

// relyingParty is us, as authenticators know us: by the host of the public URL, and by nothing else.
// Nothing that is asked of them rests on extensions, so that what some tell unasked is no fault.
func (s *Service) relyingParty() (*webauthn.WebAuthn, error) {
	u, err := url.Parse(s.publicURL())
	if err != nil || protocol.ValidateRPID(u.Hostname()) != nil {
		return nil, errNoPasskeys
	}
	return webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Cardea", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: new(true),
			UserVerification: protocol.VerificationRequired,
		},
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
}

// holder is a user as authenticators know them. The handle is the user's identifier: it says nothing.
type holder struct {
	user     *ent.User
	of       string // the organization
	passkeys []*ent.Passkey
}

func (h holder) WebAuthnID() []byte {
	raw := h.user.ID.UUID()
	return raw[:]
}

func (h holder) WebAuthnName() string {
	return fmt.Sprintf("%s (%s)", orElse(h.user.Email, h.user.Name), h.of)
}

func (h holder) WebAuthnDisplayName() string { return h.user.Name }

func (h holder) WebAuthnCredentials() []webauthn.Credential {
	all := make([]webauthn.Credential, len(h.passkeys))
	for i, one := range h.passkeys {
		all[i] = webauthn.Credential{ID: one.CredentialID, PublicKey: one.PublicKey,
			Flags: webauthn.CredentialFlags{UserVerified: true, BackupEligible: one.BackupEligible,
				BackupState: one.BackedUp},
			Authenticator: webauthn.Authenticator{AAGUID: one.Aaguid}}
	}
	return all
}

func orElse(text *string, other string) string {
	if text == nil {
		return other
	}
	return *text
}

// OwnPasskeys returns those of the actor, the oldest first.
func (s *Service) OwnPasskeys(ctx context.Context) ([]*ent.Passkey, error) {
	by, err := inSession(ctx)
	if err != nil {
		return nil, err
	}
	return s.db.Passkey.Query().Where(passkey.UserID(by.User)).Order(passkey.ByID()).All(ctx)
}

// AskNewPasskey asks for a passkey to be made for the user, who has to be signed in themselves: what an
// API token may do ends with it.
func (s *Service) AskNewPasskey(ctx context.Context) (*PasskeyQuestion, error) {
	by, err := inSession(ctx)
	if err != nil {
		return nil, err
	}
	rp, err := s.relyingParty()
	if err != nil {
		return nil, err
	}
	h, err := s.holder(ctx, s.db, by.User)
	if err != nil {
		return nil, err
	}
	options, session, err := rp.BeginRegistration(h,
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		webauthn.WithExclusions(webauthn.Credentials(h.WebAuthnCredentials()).CredentialDescriptors()))
	if err != nil {
		return nil, fmt.Errorf("begin registration: %w", err)
	}
	id := typeid.New[typeid.PasskeyChallenge]()
	return s.keepChallenge(ctx, id, session.Challenge, &by.User, options.Response)
}

// inSession returns the actor of ctx, if they are a person who signed in and may change their sessions.
func inSession(ctx context.Context) (actor.Actor, error) {
	if err := Authorize(ctx, WriteSessions); err != nil {
		return actor.Actor{}, err
	}
	by, _ := actor.FromContext(ctx)
	if by.Kind != actor.KindUser || by.Session.IsZero() {
		return actor.Actor{}, errForbidden
	}
	return by, nil
}

func (s *Service) holder(ctx context.Context, db *ent.Client, id typeid.User) (holder, error) {
	u, err := db.User.Query().Where(user.ID(id), user.StatusEQ(user.StatusACTIVE)).Only(ctx)
	if err != nil {
		return holder{}, found(err, "user", "")
	}
	org, err := db.Organization.Query().Where(organization.ID(u.OrgID)).Only(ctx)
	if err != nil {
		return holder{}, fmt.Errorf("load organization: %w", err)
	}
	known, err := db.Passkey.Query().Where(passkey.UserID(id)).Order(passkey.ByID()).All(ctx)
	if err != nil {
		return holder{}, fmt.Errorf("load passkeys: %w", err)
	}
	return holder{u, org.Name, known}, nil
}

// keepChallenge keeps a challenge, for the browser that asked for it.
func (s *Service) keepChallenge(
	ctx context.Context, id typeid.PasskeyChallenge, challenge string, addsFor *typeid.User, options any,
) (*PasskeyQuestion, error) {
	raw, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("write options: %w", err)
	}
	q := &PasskeyQuestion{newSecret(noncePrefix), raw, s.now().Add(PasskeyWindow)}
	err = s.db.PasskeyChallenge.Create().SetID(id).SetNonceHash(hashSecret(q.Nonce)).
		SetChallenge(challenge).SetNillableAddsFor(addsFor).SetExpiresAt(q.ExpiresAt).
		Exec(actor.NewContext(ctx, actor.System("sign-in")))
	if err != nil {
		return nil, fmt.Errorf("keep challenge: %w", err)
	}
	return q, nil
}

// challenge returns the challenge that a nonce was given out with: to sign in, or to add a passkey for
// somebody.
func (s *Service) challenge(
	everywhere context.Context, nonce string, addsFor predicate.PasskeyChallenge,
) (*ent.PasskeyChallenge, error) {
	if !wellFormed(noncePrefix, nonce) {
		return nil, errPasskey
	}
	one, err := s.db.PasskeyChallenge.Query().Where(addsFor,
		passkeychallenge.NonceHash(hashSecret(nonce)), passkeychallenge.ExpiresAtGT(s.now())).
		Only(everywhere)
	if ent.IsNotFound(err) {
		return nil, errPasskey
	}
	if err != nil {
		return nil, fmt.Errorf("load challenge: %w", err)
	}
	return one, nil
}

// useChallenge uses a challenge up, whatever comes of it: of two at once, one finds it gone.
func (s *Service) useChallenge(
	everywhere context.Context, asked *ent.PasskeyChallenge,
) (*webauthn.SessionData, error) {
	n, err := s.db.PasskeyChallenge.Delete().Where(passkeychallenge.ID(asked.ID)).Exec(everywhere)
	if err != nil {
		return nil, fmt.Errorf("use challenge: %w", err)
	}
	if n == 0 {
		return nil, errPasskey
	}
	return &webauthn.SessionData{
		Challenge: asked.Challenge, UserVerification: protocol.VerificationRequired,
	}, nil
}

// AddPasskeyInput is what an authenticator has made.
type AddPasskeyInput struct {
	Name       string // for its user to tell it from others
	Nonce      string
	Credential []byte // what navigator.credentials.create returned, in JSON
}

// AddPasskeyPayload holds the passkey.
type AddPasskeyPayload struct{ Passkey *ent.Passkey }

// AddPasskey keeps a passkey that AskNewPasskey asked for. It fails with UNAUTHENTICATED if it is no
// answer to that, and with CONFLICT if it is known, or if there are twenty.
func (s *Service) AddPasskey(ctx context.Context, in AddPasskeyInput) (*AddPasskeyPayload, error) {
	by, err := inSession(ctx)
	if err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 100)
	if err := f.err(); err != nil {
		return nil, err
	}
	made, err := s.checkNewPasskey(ctx, by.User, in)
	if err != nil {
		return nil, err
	}
	var p *ent.Passkey
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		_, err = tx.User.Query().
			Where(user.ID(by.User), user.StatusEQ(user.StatusACTIVE), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "user", "")
		}
		n, err := tx.Passkey.Query().Where(passkey.UserID(by.User)).Count(ctx)
		if err != nil {
			return nil, fmt.Errorf("count passkeys: %w", err)
		}
		if n >= MaxPasskeys {
			return nil, Error{CodeConflict, "there are 20 passkeys: delete one first", ""}
		}
		p, err = tx.Passkey.Create().SetUserID(by.User).SetName(in.Name).SetCredentialID(made.ID).
			SetPublicKey(made.PublicKey).SetAaguid(made.Authenticator.AAGUID).
			SetSignCount(int64(made.Authenticator.SignCount)).
			SetBackupEligible(made.Flags.BackupEligible).SetBackedUp(made.Flags.BackupState).
			SetCreatedAt(s.now()).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{passkeyEvent("passkey.created", p)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &AddPasskeyPayload{p}, nil
}

func (s *Service) checkNewPasskey(
	ctx context.Context, of typeid.User, in AddPasskeyInput,
) (*webauthn.Credential, error) {
	rp, err := s.relyingParty()
	if err != nil {
		return nil, err
	}
	h, err := s.holder(ctx, s.db, of)
	if err != nil {
		return nil, err
	}
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	asked, err := s.challenge(everywhere, in.Nonce, passkeychallenge.AddsFor(of))
	if err != nil {
		return nil, err
	}
	session, err := s.useChallenge(everywhere, asked)
	if err != nil {
		return nil, err
	}
	session.UserID, session.CredParams = h.WebAuthnID(), webauthn.CredentialParametersRecommendedL3()
	shown, err := protocol.ParseCredentialCreationResponseBytes(in.Credential)
	if err != nil {
		return nil, errPasskey
	}
	made, err := rp.CreateCredential(h, *session, shown)
	if refused := (*protocol.Error)(nil); errors.As(err, &refused) {
		return nil, errPasskey
	}
	return made, err
}

// DeletePasskeyInput names a passkey.
type DeletePasskeyInput struct{ ID typeid.Passkey }

// DeletePasskeyPayload names the passkey that was.
type DeletePasskeyPayload struct{ DeletedID typeid.Passkey }

// DeletePasskey forgets a passkey: nobody signs in with it any more. Sessions that it began go on.
func (s *Service) DeletePasskey(
	ctx context.Context, in DeletePasskeyInput,
) (*DeletePasskeyPayload, error) {
	visible, err := passkeysFor(ctx, WriteSessions)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		p, err := tx.Passkey.Query().Where(passkey.ID(in.ID), visible, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "passkey", "id")
		}
		if err := mayActOn(ctx, tx, p.UserID); err != nil {
			return nil, err
		}
		if err := tx.Passkey.DeleteOne(p).Exec(ctx); err != nil {
			return nil, fmt.Errorf("delete passkey: %w", err)
		}
		return []journal.Event{passkeyEvent("passkey.deleted", p)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeletePasskeyPayload{in.ID}, nil
}

func passkeyEvent(kind string, of *ent.Passkey) journal.Event {
	return journal.Event{Type: kind, User: of.UserID, Data: data("passkeyId", of.ID)}
}
