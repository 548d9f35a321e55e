package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/organization"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/signincode"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// A code is six digits, good for ten minutes, once, and for five tries. It is worth something only
// together with a nonce, which the browser or the app keeps that asked for it: nobody who reads the
// mail, or guesses, can use it elsewhere.
const (
	CodeWindow   = 10 * time.Minute
	maxCodeTries = 5
	codeValues   = 1_000_000
)

// What is sealed, and hashed with a key, for what.
const (
	domainEmail   = "sign-in e-mail"
	domainAccount = "sign-in account"
	domainCode    = "sign-in code"
	purposeProof  = "sign-in proof"
)

// nowhereYet is the organization of whoever has not said of which they are.
var nowhereYet typeid.Organization

// errCode is all that is said of a code that does not sign in, whatever the cause.
var errCode = Error{CodeUnauthenticated, "the code is not right, or not any more", "code"}

// AskedCode is a code that was asked for. Its nonce is shown this once, to whoever asked.
type AskedCode struct {
	Nonce     string
	ExpiresAt time.Time
}

// SendSignInCode has a code sent to an e-mail address, if it is a user's who may do anything. It
// does the same work, and answers the same, if it is nobody's. It fails with BAD_USER_INPUT for what
// is no address, and with RATE_LIMITED.
func (s *Service) SendSignInCode(
	ctx context.Context, email string, from Client,
) (*AskedCode, error) {
	var f faults
	f.email("email", email)
	if err := f.err(); err != nil {
		return nil, err
	}
	email = normalEmail(email)
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	id := typeid.New[typeid.SignInCode]()
	accounts := s.secrets.Indexes(nowhereYet, domainAccount, []byte(email))
	if err := s.try(ctx, signInTry{accounts, neighbours(from.Address), id.UUID()}); err != nil {
		return nil, err
	}
	known, err := s.db.User.Query().Where(user.Email(email), user.StatusEQ(user.StatusACTIVE)).
		Limit(1).Count(ctx)
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	now, nonce, code := s.now(), newSecret(noncePrefix), newCode()
	asked := &AskedCode{nonce, now.Add(CodeWindow)}
	err = s.db.SignInCode.Create().SetID(id).SetNonceHash(hashSecret(nonce)).
		SetCodeHash(s.codeHashes(nonce, code)[0]).
		SetEmail(s.secrets.Seal(nowhereYet, domainEmail, []byte(email))).
		SetCreatedAt(now).SetExpiresAt(asked.ExpiresAt).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("keep code: %w", err)
	}
	letter := Letter{Kind: LetterSignInCode, To: email, Code: code}
	if known == 0 {
		letter.To = ""
	}
	s.send(letter)
	return asked, nil
}

func newCode() string {
	n, err := rand.Int(rand.Reader, big.NewInt(codeValues))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return fmt.Sprintf("%06d", n)
}

func (s *Service) codeHashes(nonce, code string) [][]byte {
	return s.secrets.Indexes(nowhereYet, domainCode, []byte(nonce+" "+code))
}

// Proven is what has come of a code that was right: a session or, for somebody who is a user of several
// organizations, the choice between them.
type Proven struct {
	SignedIn      *SignedIn
	Proof         string // for ChooseOrganization, within ten minutes; "" if signed in
	Organizations []*ent.Organization
}

// ShowSignInCode signs in whoever has the code that was sent, and the nonce that it was asked for
// with. It fails with UNAUTHENTICATED, whatever is wrong with them, and with RATE_LIMITED.
func (s *Service) ShowSignInCode(
	ctx context.Context, nonce, code string, from Client,
) (*Proven, error) {
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	asked, email, err := s.askedCode(ctx, nonce)
	if err != nil {
		return nil, err
	}
	accounts := s.secrets.Indexes(nowhereYet, domainAccount, []byte(email))
	if err := s.try(ctx, signInTry{accounts, neighbours(from.Address), asked.ID.UUID()}); err != nil {
		return nil, err
	}
	if err := s.compareCode(ctx, asked, nonce, code); err != nil {
		return nil, err
	}
	people, err := s.admitted(ctx, email)
	switch {
	case err != nil:
		return nil, err
	case len(people) == 0:
		return nil, errCode
	}
	if err := s.forgive(ctx, asked.ID.UUID()); err != nil {
		return nil, err
	}
	if len(people) == 1 {
		in, err := s.enter(ctx, asked, people[0], from)
		return &Proven{SignedIn: in}, err
	}
	orgs := make([]typeid.Organization, len(people))
	for i, one := range people {
		orgs[i] = one.OrgID
	}
	p := &Proven{}
	p.Organizations, err = s.db.Organization.Query().
		Where(whose(organization.FieldID, orgs)).
		Order(organization.ByName(), organization.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load organizations: %w", err)
	}
	raw := asked.ID.UUID()
	p.Proof = s.secrets.Token(nowhereYet, purposeProof, raw[:], s.now().Add(CodeWindow))
	return p, nil
}

// askedCode returns what a nonce was given out with, and for which address.
func (s *Service) askedCode(
	ctx context.Context, nonce string,
) (*ent.SignInCode, string, error) {
	if !wellFormed(noncePrefix, nonce) {
		return nil, "", errCode
	}
	asked, err := s.db.SignInCode.Query().Where(signincode.NonceHash(hashSecret(nonce))).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, "", errCode
	}
	if err != nil {
		return nil, "", fmt.Errorf("load code: %w", err)
	}
	email, err := s.secrets.Open(nowhereYet, domainEmail, asked.Email)
	if errors.Is(err, seal.ErrForged) { // by secrets that are gone
		return nil, "", errCode
	}
	return asked, string(email), err
}

// compareCode takes one of the tries of a code, before it compares: so many at once have no more.
func (s *Service) compareCode(
	ctx context.Context, asked *ent.SignInCode, nonce, code string,
) error {
	now := s.now()
	fresh := signincode.And(signincode.ID(asked.ID), signincode.VerifiedAtIsNil(),
		signincode.ExpiresAtGT(now))
	n, err := s.db.SignInCode.Update().Where(fresh, signincode.TriesLT(maxCodeTries)).AddTries(1).
		Save(ctx)
	if err != nil {
		return fmt.Errorf("take try: %w", err)
	}
	if n == 0 {
		return errCode
	}
	same := false
	for _, hash := range s.codeHashes(nonce, code) {
		same = hmac.Equal(hash, asked.CodeHash) || same
	}
	if !same {
		err := s.db.SignInCode.Update().Where(signincode.ID(asked.ID)).AddFailures(1).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note failure: %w", err)
		}
		return errCode
	}
	n, err = s.db.SignInCode.Update().Where(fresh).SetVerifiedAt(now).Save(ctx)
	if err != nil {
		return fmt.Errorf("note proof: %w", err)
	}
	if n == 0 {
		return errCode
	}
	return nil
}

// ChooseOrganization signs in whoever has shown a code, as a user of one of the organizations that
// they were shown. It does so once, and fails with UNAUTHENTICATED.
func (s *Service) ChooseOrganization(
	ctx context.Context, nonce, proof string, org typeid.Organization, from Client,
) (*SignedIn, error) {
	ctx = actor.NewContext(ctx, actor.System("sign-in"))
	asked, email, err := s.askedCode(ctx, nonce)
	if err != nil {
		return nil, err
	}
	said, err := s.secrets.Check(nowhereYet, purposeProof, proof, s.now())
	raw := asked.ID.UUID()
	if err != nil || !hmac.Equal(said, raw[:]) || asked.VerifiedAt == nil {
		return nil, errCode
	}
	u, err := s.db.User.Query().
		Where(user.OrgID(org), user.Email(email), user.StatusEQ(user.StatusACTIVE)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, errCode
	}
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	return s.enter(ctx, asked, u, from)
}

// enter uses up a code that was shown, for a session. The session is begun by its user.
func (s *Service) enter(
	everywhere context.Context, asked *ent.SignInCode, u *ent.User, from Client,
) (in *SignedIn, err error) {
	ctx := actor.NewContext(everywhere, actor.User(u.OrgID, u.ID, u.Role))
	err = s.write(ctx, func(tx *ent.Tx) (events []journal.Event, err error) {
		n, err := tx.SignInCode.Update().Where(signincode.ID(asked.ID), signincode.UsedAtIsNil()).
			SetUsedAt(s.now()).Save(everywhere)
		if err != nil {
			return nil, fmt.Errorf("use code: %w", err)
		}
		if n == 0 {
			return nil, errCode
		}
		shown := proof{method: session.MethodEMAIL_CODE, account: s.account(u)}
		in, events, err = s.startSession(ctx, tx, u.ID, shown, from)
		if IsCode(err, CodeNotFound) { // suspended, or deleted, just now
			err = errCode
		}
		return events, err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}
