package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/typeid"
)

const (
	minPINDigits = 6
	maxPINDigits = 12
	// pinRatio is how many PINs there are for each that is in force in the organization, at least. The
	// PINs that a keypad takes are among them, so it holds at every keypad: a guess is right once in a
	// thousand at most.
	pinRatio = 1000
	// maxDraws bounds how many PINs are drawn for one that is free. Each draw misses less than one in
	// ten times.
	maxDraws = 20
)

// CreatePINInput describes a PIN for a user.
type CreatePINInput struct {
	UserID     typeid.User
	PIN        *string // nil: one is drawn
	Digits     *int    // of one that is drawn, at least; nil: the fewest that are safe
	Duress     *bool   // nil: false
	Label      *string
	ValidFrom  *time.Time // nil: at once
	ValidUntil *time.Time // nil: for good
}

// CreatePINPayload holds the credential and its PIN, which is shown this once.
type CreatePINPayload struct {
	Credential *ent.Credential
	PIN        string
}

// CreatePIN gives a user a PIN. One that is chosen is refused with the same words, after the same
// work, whether it is taken, weak or too short: nobody learns of a PIN by choosing it.
func (s *Service) CreatePIN(ctx context.Context, in CreatePINInput) (*CreatePINPayload, error) {
	if err := Authorize(ctx, WriteCredentials); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.PIN != nil {
		return s.givePIN(ctx, in, *in.PIN)
	}
	for range maxDraws {
		inForce, err := countPINs(ctx, s.db)
		if err != nil {
			return nil, err
		}
		pin := drawPIN(max(pinDigits(inForce+1), orZero(in.Digits)))
		given, err := s.givePIN(ctx, in, pin)
		if !errors.Is(err, errPINRefused) {
			return given, err
		}
	}
	return nil, fmt.Errorf("no PIN of %d is free", maxDraws)
}

var errPINRefused = Error{CodeBadUserInput, "choose another", "pin"}

func (in CreatePINInput) check() error {
	var f faults
	if in.PIN != nil && (!allDigits(*in.PIN) || len(*in.PIN) < minPINDigits ||
		len(*in.PIN) > maxPINDigits) {
		f.add("pin", "must be %d to %d digits", minPINDigits, maxPINDigits)
	}
	if in.PIN != nil && in.Digits != nil {
		f.add("digits", "give either pin or digits")
	}
	f.within("digits", in.Digits, minPINDigits, maxPINDigits)
	f.credential(in.Label, in.ValidFrom, in.ValidUntil)
	return f.err()
}

func allDigits(text string) bool {
	for _, r := range text {
		if r < '0' || r > '9' {
			return false
		}
	}
	return text != ""
}

// givePIN fails with errPINRefused if this PIN may not be given. It is hashed before it is known
// whether it may, and while nothing is locked.
func (s *Service) givePIN(
	ctx context.Context, in CreatePINInput, pin string,
) (*CreatePINPayload, error) {
	by, _ := actor.FromContext(ctx)
	hash, err := s.secrets.HashPIN(ctx, by.Organization, pin)
	if err != nil {
		return nil, fmt.Errorf("hash PIN: %w", err)
	}
	duress := orZero(in.Duress)
	c, err := s.give(ctx, in.UserID, func(tx *ent.Tx) (*ent.CredentialCreate, error) {
		may, err := s.mayGivePIN(ctx, tx, pin, duress)
		if err == nil && !may {
			err = errPINRefused
		}
		return tx.Credential.Create().SetKind(credential.KindPIN).SetHint("PIN").SetPinHash(hash).
			SetLookup(s.secrets.Indexes(by.Organization, pinDomain, []byte(pin))[0]).
			SetDuress(duress).SetNillableLabel(in.Label).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil), err
	})
	if err != nil {
		return nil, err
	}
	return &CreatePINPayload{c, pin}, nil
}

// pinDigits is the fewest digits that a PIN may have if so many are in force, itself included.
func pinDigits(inForce int) int {
	digits := minPINDigits
	for possible := 1_000_000; inForce*pinRatio > possible; possible *= 10 {
		digits++
	}
	return digits
}

// drawPIN returns a random PIN that is not weak.
func drawPIN(digits int) string {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	for {
		n, err := rand.Int(rand.Reader, limit)
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		if pin := fmt.Sprintf("%0*d", digits, n); !weakPIN(pin) {
			return pin
		}
	}
}

// weakPIN says that a PIN is among those that are tried first: digits that are all equal or go up or
// down in equal steps (111111, 123456, 864208), or the same few again and again (121212, 123123).
func weakPIN(pin string) bool {
	steps := map[byte]bool{}
	for i := 1; i < len(pin); i++ {
		steps[(pin[i]-pin[i-1]+10)%10] = true
	}
	for block := 1; block <= len(pin)/2; block++ {
		if len(pin)%block == 0 && strings.Repeat(pin[:block], len(pin)/block) == pin {
			return true
		}
	}
	return len(steps) == 1
}

// nearPINs are those that one wrong digit makes of a PIN.
func nearPINs(pin string) []string {
	near := make([]string, 0, 9*len(pin))
	for i := range pin {
		for digit := byte('0'); digit <= '9'; digit++ {
			if digit != pin[i] {
				near = append(near, pin[:i]+string(digit)+pin[i+1:])
			}
		}
	}
	return near
}

// mayGivePIN says whether a PIN may be given: it is not weak, long enough for how many there are, in
// force nowhere in the organization, and no typing error away from a PIN that tells of duress, or
// from any PIN if it shall itself: nobody calls for help by mistake, nor fails to. It does the same
// work whatever it says. Whoever asks holds the organization, so that no other PIN comes between.
func (s *Service) mayGivePIN(
	ctx context.Context, tx *ent.Tx, pin string, duress bool,
) (bool, error) {
	by, _ := actor.FromContext(ctx)
	inForce, err := countPINs(ctx, tx.Client())
	if err != nil {
		return false, err
	}
	taken := s.secrets.Indexes(by.Organization, pinDomain, []byte(pin))
	same := make(map[string]bool, len(taken))
	for _, index := range taken {
		same[string(index)] = true
	}
	for _, near := range nearPINs(pin) {
		taken = append(taken, s.secrets.Indexes(by.Organization, pinDomain, []byte(near))...)
	}
	met, err := tx.Credential.Query().Where(credential.KindEQ(credential.KindPIN),
		credential.RevokedAtIsNil(), lookedUp(taken)).All(ctx)
	if err != nil {
		return false, fmt.Errorf("look for PIN: %w", err)
	}
	free := true
	for _, other := range met {
		if same[string(*other.Lookup)] || other.Duress || duress {
			free = false
		}
	}
	return free && !weakPIN(pin) && len(pin) >= pinDigits(inForce+1), nil
}

// countPINs returns how many PINs are in force in the organization.
func countPINs(ctx context.Context, db *ent.Client) (int, error) {
	count, err := db.Credential.Query().
		Where(credential.KindEQ(credential.KindPIN), credential.RevokedAtIsNil()).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count PINs: %w", err)
	}
	return count, nil
}

// lookedUp is true of credentials with one of these indexes.
func lookedUp(indexes [][]byte) func(*entsql.Selector) {
	return whose(credential.FieldLookup, indexes)
}
