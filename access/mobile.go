package access

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// AddMobileInput describes a user's phone by the key that it holds.
type AddMobileInput struct {
	UserID     typeid.User
	PublicKey  string // Ed25519, 32 bytes in base64
	Label      *string
	ValidFrom  *time.Time // nil: at once
	ValidUntil *time.Time // nil: for good
}

// AddMobilePayload holds the new credential.
type AddMobilePayload struct{ Credential *ent.Credential }

// AddMobile lets a phone open doors for a user. The private key never leaves the phone.
func (s *Service) AddMobile(ctx context.Context, in AddMobileInput) (*AddMobilePayload, error) {
	if err := Authorize(ctx, WriteCredentials); err != nil {
		return nil, err
	}
	var f faults
	public, err := base64.StdEncoding.Strict().DecodeString(in.PublicKey)
	if err != nil || len(public) != ed25519.PublicKeySize {
		f.add("publicKey", "must be an Ed25519 public key: %d bytes in base64", ed25519.PublicKeySize)
	}
	f.credential(in.Label, in.ValidFrom, in.ValidUntil)
	if err := f.err(); err != nil {
		return nil, err
	}
	digits := hex.EncodeToString(public)
	c, err := s.give(ctx, in.UserID, func(tx *ent.Tx) (*ent.CredentialCreate, error) {
		index, err := s.unused(ctx, tx, credential.KindMOBILE, mobileDomain, public, "publicKey")
		return tx.Credential.Create().SetKind(credential.KindMOBILE).
			SetHint("key …" + digits[len(digits)-4:]).SetPublicKey(public).SetLookup(index).
			SetNillableLabel(in.Label).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil), err
	})
	if err != nil {
		return nil, err
	}
	return &AddMobilePayload{c}, nil
}

// PresentedMobileInput is a phone's answer to a reader's challenge.
type PresentedMobileInput struct {
	CredentialID typeid.Credential
	Nonce        string    // the reader's, drawn for this try alone
	SignedAt     time.Time // by the phone's clock; milliseconds count
	Signature    string    // Ed25519, 64 bytes in base64, over MobileTranscript
}

const (
	mobileContext = "cardea.credential.v1"
	// mobileSkew is how far from now a phone may have signed.
	mobileSkew = time.Minute

	minNonce = 16
	maxNonce = 128
)

// MobileTranscript is what a phone signs: what for, which door, the reader's nonce, and when, in
// milliseconds since 1970. Each part follows its length: 4 bytes, big-endian.
func MobileTranscript(door typeid.Door, nonce string, at time.Time) []byte {
	var joined []byte
	for _, part := range []string{
		mobileContext, door.String(), nonce, strconv.FormatInt(at.UnixMilli(), 10),
	} {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(part))) //nolint:gosec // short
		joined = append(joined, part...)
	}
	return joined
}

func (in PresentedMobileInput) check(f *faults, path string) {
	f.text(path+"nonce", in.Nonce, maxNonce)
	if len(in.Nonce) < minNonce {
		f.add(path+"nonce", "must have at least %d characters", minNonce)
	}
	if len(in.signature()) != ed25519.SignatureSize {
		f.add(path+"signature", "must be %d bytes in base64", ed25519.SignatureSize)
	}
}

func (in PresentedMobileInput) signature() []byte {
	signature, err := base64.StdEncoding.Strict().DecodeString(in.Signature)
	if err != nil {
		return nil
	}
	return signature
}

// recognizeMobile checks a phone's signature. Wrong ones count against the phone's credential, and
// while it is blocked none is looked at. A signature of another time proves nothing now, and does not
// count.
func (s *Service) recognizeMobile(
	ctx context.Context, door typeid.Door, in PresentedMobileInput,
) (r recognized, err error) {
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		r = recognized{reason: schema.ReasonUnknownCredential}
		c, err := tx.Credential.Query().Where(credential.ID(in.CredentialID),
			credential.KindEQ(credential.KindMOBILE), forChange).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("load credential: %w", err)
		}
		now := s.now()
		if c.BlockedUntil != nil && now.Before(*c.BlockedUntil) {
			r.reason = schema.ReasonTooManyAttempts
			return nil, nil
		}
		transcript := MobileTranscript(door, in.Nonce, in.SignedAt)
		if !ed25519.Verify(orZero(c.PublicKey), transcript, in.signature()) {
			return s.countFailure(ctx, tx, c, now)
		}
		switch at := in.SignedAt.Truncate(time.Millisecond); {
		case at.Before(now.Add(-mobileSkew)):
			r.reason = schema.ReasonExpired
		case at.After(now.Add(mobileSkew)):
			r.reason = schema.ReasonNotYetValid
		default:
			r = recognized{credential: c}
			if c.Failures > 0 {
				return nil, tx.Credential.UpdateOne(c).SetFailures(0).ClearBlockedUntil().Exec(ctx)
			}
		}
		return nil, nil
	})
	return r, err
}

// countFailure counts a wrong try against a credential, and tells if it blocks it.
func (s *Service) countFailure(
	ctx context.Context, tx *ent.Tx, c *ent.Credential, now time.Time,
) ([]journal.Event, error) {
	update := tx.Credential.UpdateOne(c).AddFailures(1)
	block := blockAfter(c.Failures + 1)
	if block == 0 {
		return nil, update.Exec(ctx)
	}
	until := now.Add(block)
	told := journal.Event{Type: "credential.blocked", User: c.UserID}
	told.Data, _ = json.Marshal(map[string]any{"credentialId": c.ID, "until": until})
	return []journal.Event{told}, update.SetBlockedUntil(until).Exec(ctx)
}
