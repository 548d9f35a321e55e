package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/passkey"
	"github.com/cardea/cardea/ent/passkeychallenge"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// domainPasskey is what a passkey's name is hashed for when it is tried.
const domainPasskey = "sign-in passkey"

// errCloned says that an authenticator counted no further than it had before: there may be two of it.
var errCloned = errors.New("signature counter did not grow")

// AskPasskey asks whoever is there for a passkey, whosever it is. It fails with RATE_LIMITED.
func (s *Service) AskPasskey(ctx context.Context, from Client) (*PasskeyQuestion, error) {
	rp, err := s.relyingParty()
	if err != nil {
		return nil, err
	}
	options, session, err := rp.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("begin sign-in: %w", err)
	}
	id := typeid.New[typeid.PasskeyChallenge]()
	nobody := s.secrets.Indexes(nowhereYet, domainPasskey, []byte(session.Challenge))
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	if err := s.try(everywhere, signInTry{nobody, neighbours(from.Address), id.UUID()}); err != nil {
		return nil, err
	}
	return s.keepChallenge(ctx, id, session.Challenge, nil, options.Response)
}

// ShowPasskey signs in the user whose passkey has answered AskPasskey: what navigator.credentials.get
// returned, in JSON. It fails with UNAUTHENTICATED, whatever is wrong, and with RATE_LIMITED.
func (s *Service) ShowPasskey(
	ctx context.Context, nonce string, credential []byte, from Client,
) (*SignedIn, error) {
	rp, err := s.relyingParty()
	if err != nil {
		return nil, err
	}
	shown, err := protocol.ParseCredentialRequestResponseBytes(credential)
	if err != nil {
		return nil, errPasskey
	}
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	asked, err := s.challenge(everywhere, nonce, passkeychallenge.AddsForIsNil())
	if err != nil {
		return nil, err
	}
	accounts := s.secrets.Indexes(nowhereYet, domainPasskey, shown.RawID)
	try := signInTry{accounts, neighbours(from.Address), asked.ID.UUID()}
	if err := s.try(everywhere, try); err != nil {
		return nil, err
	}
	question, err := s.useChallenge(everywhere, asked)
	if err != nil {
		return nil, err
	}
	p, err := s.db.Passkey.Query().Where(passkey.CredentialID(shown.RawID)).Only(everywhere)
	if ent.IsNotFound(err) {
		return nil, errPasskey
	}
	if err != nil {
		return nil, fmt.Errorf("load passkey: %w", err)
	}
	in, err := s.enterByPasskey(everywhere, rp, *question, p, shown, from)
	if IsCode(err, CodeUnauthenticated) || errors.Is(err, errCloned) {
		return nil, errors.Join(errPasskey, s.tellPasskeyFailed(ctx, p, errors.Is(err, errCloned)))
	}
	if err != nil {
		return nil, err
	}
	return in, s.forgive(everywhere, asked.ID.UUID())
}

// enterByPasskey begins a session if the passkey's user may, and if it has signed what was asked.
func (s *Service) enterByPasskey(
	everywhere context.Context, rp *webauthn.WebAuthn, question webauthn.SessionData, p *ent.Passkey,
	shown *protocol.ParsedCredentialAssertionData, from Client,
) (in *SignedIn, err error) {
	u, err := s.db.User.Query().Where(user.ID(p.UserID), user.StatusEQ(user.StatusACTIVE)).
		Only(everywhere)
	if ent.IsNotFound(err) {
		return nil, errPasskey
	}
	if err != nil {
		return nil, fmt.Errorf("load user: %w", err)
	}
	whose := func(_, _ []byte) (webauthn.User, error) {
		return holder{user: u, passkeys: []*ent.Passkey{p}}, nil
	}
	is, err := rp.ValidateDiscoverableLogin(whose, question, shown)
	if refused := (*protocol.Error)(nil); errors.As(err, &refused) {
		return nil, errPasskey
	}
	if err != nil {
		return nil, fmt.Errorf("check passkey: %w", err)
	}
	count := int64(shown.Response.AuthenticatorData.Counter)
	ctx := actor.NewContext(everywhere, actor.User(u.OrgID, u.ID, u.Role))
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		grown := passkey.SignCountLT(count)
		if count == 0 { // it does not count, and never has
			grown = passkey.SignCount(0)
		}
		n, err := tx.Passkey.Update().Where(passkey.ID(p.ID), grown).SetSignCount(count).
			SetBackedUp(is.Flags.BackupState).SetLastUsedAt(s.now()).Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("note use of passkey: %w", err)
		}
		if n == 0 {
			return nil, errCloned
		}
		in, events, err = s.startSession(ctx, tx, u.ID, proof{method: session.MethodPASSKEY}, from)
		if IsCode(err, CodeNotFound) { // suspended, or deleted, just now
			err = errPasskey
		}
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// tellPasskeyFailed journals that somebody had a passkey, or knew its name, and was refused. That takes
// time, but tells nothing: names of passkeys cannot be guessed.
func (s *Service) tellPasskeyFailed(ctx context.Context, p *ent.Passkey, cloned bool) error {
	ctx = actor.NewContext(ctx, actor.System("sign-in").Within(p.OrgID))
	happened := map[string]any{"method": session.MethodPASSKEY, "times": 1, "passkeyId": p.ID}
	if cloned {
		happened["cloned"] = true
	}
	return s.write(ctx, func(*ent.Tx) ([]journal.Event, error) {
		return []journal.Event{
			{Type: "sign_in.failed", User: p.UserID, Data: dataOf(happened)},
		}, nil
	})
}
