package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/identity"
	"github.com/cardea/cardea/ent/identityprovider"
	"github.com/cardea/cardea/ent/identityrequest"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// ProviderWindow is how long a browser may be away at a provider.
const ProviderWindow = 10 * time.Minute

// statePrefix begins what goes to a provider and comes back.
const statePrefix = "cardeastate_"

// errIdentity is all that is said when a provider does not sign somebody in, whatever the cause.
var errIdentity = Error{CodeUnauthenticated, "that did not sign you in", ""}

// ProviderQuestion sends a browser to a provider. The state goes there and comes back; the nonce, which
// is shown this once, stays with the browser.
type ProviderQuestion struct {
	Provider  *ent.IdentityProvider
	State     string
	Nonce     string
	ExpiresAt time.Time
}

// AskProvider sends a browser to a provider, and on to a path of ours after that. It fails with
// NOT_FOUND if nobody may sign in there, and with RATE_LIMITED.
func (s *Service) AskProvider(
	ctx context.Context, id typeid.IdentityProvider, next string, from Client,
) (*ProviderQuestion, error) {
	offer, err := s.Provider(ctx, id)
	if err != nil {
		return nil, err
	}
	request := typeid.New[typeid.IdentityRequest]()
	q := &ProviderQuestion{
		offer.Provider, newSecret(statePrefix), newSecret(noncePrefix), s.now().Add(ProviderWindow),
	}
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	nobody := s.secrets.Indexes(nowhereYet, domainAccount, []byte(q.State))
	try := signInTry{nobody, neighbours(from.Address), request.UUID()}
	if err := s.try(everywhere, try); err != nil {
		return nil, err
	}
	within := actor.NewContext(ctx, actor.System("sign-in").Within(offer.Provider.OrgID))
	err = s.db.IdentityRequest.Create().SetID(request).SetProviderID(id).
		SetStateHash(hashSecret(q.State)).SetNonceHash(hashSecret(q.Nonce)).SetNext(clip(next, 2000)).
		SetExpiresAt(q.ExpiresAt).Exec(within)
	if err != nil {
		return nil, fmt.Errorf("keep request: %w", err)
	}
	return q, nil
}

// ProviderAnswer is a browser that came back from a provider, and what to ask that with.
type ProviderAnswer struct {
	Provider     *ent.IdentityProvider
	ClientSecret string
	Next         string
	request      typeid.IdentityRequest
}

// TakeProviderAnswer uses up the one time that a browser may come back from a provider. It fails with
// UNAUTHENTICATED unless the browser is the one that was sent there, in time.
func (s *Service) TakeProviderAnswer(
	ctx context.Context, id typeid.IdentityProvider, state, nonce string,
) (*ProviderAnswer, error) {
	if !wellFormed(statePrefix, state) || !wellFormed(noncePrefix, nonce) {
		return nil, errIdentity
	}
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	asked, err := s.db.IdentityRequest.Query().
		Where(identityrequest.StateHash(hashSecret(state)), identityrequest.ProviderID(id),
			identityrequest.NonceHash(hashSecret(nonce)), identityrequest.ExpiresAtGT(s.now())).
		Only(everywhere)
	if ent.IsNotFound(err) {
		return nil, errIdentity
	}
	if err != nil {
		return nil, fmt.Errorf("load request: %w", err)
	}
	n, err := s.db.IdentityRequest.Delete().Where(identityrequest.ID(asked.ID)).Exec(everywhere)
	if err != nil {
		return nil, fmt.Errorf("use request: %w", err)
	}
	if n == 0 { // at the same time, elsewhere
		return nil, errIdentity
	}
	offer, err := s.Provider(ctx, id)
	if IsCode(err, CodeNotFound) { // disabled meanwhile
		return nil, errIdentity
	}
	if err != nil {
		return nil, err
	}
	secret, err := s.secrets.Open(asked.OrgID, domainClientSecret, offer.Provider.ClientSecret)
	if errors.Is(err, seal.ErrForged) { // by secrets that are gone
		return nil, errIdentity
	}
	return &ProviderAnswer{offer.Provider, string(secret), asked.Next, asked.ID}, err
}

// Claims is what a provider has said of somebody. Whoever shows them vouches that it has, just now, to
// the browser that was sent there.
type Claims struct {
	Issuer        string
	Subject       string
	Email         string
	EmailVerified bool
	Name          string
}

// ShowIdentity signs in whom a provider has named: the user that it named so before or, the first time,
// the one with the e-mail address that it vouches for. It fails with UNAUTHENTICATED, whatever is wrong.
func (s *Service) ShowIdentity(
	ctx context.Context, answer *ProviderAnswer, said Claims, from Client,
) (in *SignedIn, err error) {
	org := answer.Provider.OrgID
	within := actor.NewContext(ctx, actor.System("sign-in").Within(org))
	if said.Issuer != answer.Provider.Issuer || said.Subject == "" || len(said.Subject) > 255 ||
		clip(said.Subject, 255) != said.Subject {
		return nil, errIdentity
	}
	var u *ent.User
	shown := proof{method: session.MethodOIDC}
	err = s.write(within, func(tx *ent.Tx) (events []journal.Event, err error) {
		u, shown.known, events, err = s.identified(within, tx, answer.Provider.ID, said)
		return events, err
	})
	if err != nil {
		return nil, err
	}
	ctx = actor.NewContext(ctx, actor.User(org, u.ID, u.Role))
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		in, events, err = s.startSession(ctx, tx, u.ID, shown, from)
		if IsCode(explain(err), CodeNotFound) { // suspended, unbound just now, or to sign in elsewhere
			err = errIdentity
		}
		return events, err
	})
	if IsCode(err, CodeUnauthenticated) {
		return nil, errors.Join(err, s.tellIdentityFailed(within, u.ID, answer.Provider.ID))
	}
	if err != nil {
		return nil, err
	}
	everywhere := actor.NewContext(ctx, actor.System("sign-in"))
	return in, s.forgive(everywhere, answer.request.UUID())
}

// identified finds the user that a provider means, or makes them known to it.
func (s *Service) identified(
	ctx context.Context, tx *ent.Tx, id typeid.IdentityProvider, said Claims,
) (*ent.User, *ent.Identity, []journal.Event, error) {
	p, err := tx.IdentityProvider.Query().
		Where(identityprovider.ID(id), identityprovider.DisabledAtIsNil(), forChange).Only(ctx)
	if ent.IsNotFound(err) { // disabled, or deleted, just now
		return nil, nil, nil, errIdentity
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("lock identity provider: %w", err)
	}
	known, err := tx.Identity.Query().
		Where(identity.ProviderID(p.ID), identity.Issuer(said.Issuer), identity.Subject(said.Subject)).
		Only(ctx)
	if err == nil {
		u, err := tx.User.Get(ctx, known.UserID)
		return u, known, nil, err
	}
	if !ent.IsNotFound(err) {
		return nil, nil, nil, fmt.Errorf("find identity: %w", err)
	}
	return s.bind(ctx, tx, p, said)
}

// bind makes somebody known whom a provider names for the first time. It may do so by an e-mail address
// of its domains only, and only once for each user: an address may have become another person's.
func (s *Service) bind(
	ctx context.Context, tx *ent.Tx, p *ent.IdentityProvider, said Claims,
) (*ent.User, *ent.Identity, []journal.Event, error) {
	var f faults
	f.email("email", said.Email)
	email := normalEmail(said.Email)
	_, domain, _ := strings.Cut(email, "@")
	if f.err() != nil || !said.EmailVerified || !slices.Contains(p.Domains, domain) {
		return nil, nil, nil, errIdentity
	}
	var events []journal.Event
	u, err := tx.User.Query().Where(user.Email(email)).ForShare().Only(ctx)
	switch {
	case ent.IsNotFound(err) && p.CreateUsers:
		u, err = tx.User.Create().SetName(nameOf(said, email)).SetEmail(email).Save(ctx)
		if err != nil {
			return nil, nil, nil, err
		}
		events = []journal.Event{{Type: "user.created", User: u.ID}}
	case ent.IsNotFound(err):
		return nil, nil, nil, errIdentity
	case err != nil:
		return nil, nil, nil, fmt.Errorf("find user: %w", err)
	}
	bound, err := tx.Identity.Query().Where(identity.UserID(u.ID), identity.ProviderID(p.ID)).Count(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("find identity: %w", err)
	}
	if bound > 0 || u.Status != user.StatusACTIVE {
		return nil, nil, nil, errIdentity
	}
	made, err := tx.Identity.Create().SetUserID(u.ID).SetProviderID(p.ID).SetIssuer(said.Issuer).
		SetSubject(said.Subject).SetCreatedAt(s.now()).Save(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("create identity: %w", err)
	}
	return u, made, append(events, identityEvent("identity.created", made)), nil
}

// nameOf is what a provider calls somebody, or else the first part of their address.
func nameOf(said Claims, email string) string {
	var f faults
	name := strings.TrimSpace(clip(said.Name, 200))
	if f.text("name", name, 200); f.err() != nil {
		name, _, _ = strings.Cut(email, "@")
	}
	return name
}

// tellIdentityFailed journals that a provider named a user who may not sign in.
func (s *Service) tellIdentityFailed(
	within context.Context, id typeid.User, p typeid.IdentityProvider,
) error {
	happened := map[string]any{"method": session.MethodOIDC, "times": 1, "providerId": p}
	return s.write(within, func(*ent.Tx) ([]journal.Event, error) {
		return []journal.Event{{Type: "sign_in.failed", User: id, Data: dataOf(happened)}}, nil
	})
}
