package devicelink

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cardea/cardea/typeid"
)

// ServerKey is one of the server's link keys, as devices keep them.
type ServerKey struct {
	ID        string    `json:"id"` // see keyID
	PublicKey PublicKey `json:"publicKey"`
}

// keyID names a key as signed notes do (C2SP signed-note), under the protocol's name.
func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte(Subprotocol+"\n\x01"), key...))
	return hex.EncodeToString(sum[:4])
}

// maxKeys is how many server keys a device keeps at most.
const maxKeys = 8

// Keyring is the server's link keys: with them it proves who it is, and signs what moves locks. The
// newest key that a device knows signs to it. It prints as its public keys.
type Keyring struct{ keys []linkKey } // newest first

type linkKey struct {
	ServerKey
	private ed25519.PrivateKey
}

// NewKeyring makes a ring of seeds, newest first, each of 32 random bytes.
func NewKeyring(seeds ...[]byte) (*Keyring, error) {
	if len(seeds) == 0 || len(seeds) > maxKeys {
		return nil, fmt.Errorf("want 1 to %d link keys, not %d", maxKeys, len(seeds))
	}
	k := &Keyring{}
	var faults []error
	for i, seed := range seeds {
		if len(seed) != ed25519.SeedSize {
			faults = append(faults,
				fmt.Errorf("key %d has %d bytes, not %d", i+1, len(seed), ed25519.SeedSize))
			continue
		}
		private := ed25519.NewKeyFromSeed(seed)
		public, _ := private.Public().(ed25519.PublicKey) // is one
		key := linkKey{ServerKey{keyID(public), PublicKey(public)}, private}
		if slices.Contains(KeyIDs(k.Public()), key.ID) {
			faults = append(faults, fmt.Errorf("key %d is there twice", i+1))
		}
		k.keys = append(k.keys, key)
	}
	return k, errors.Join(faults...)
}

// Public returns the public keys, newest first.
func (k *Keyring) Public() []ServerKey {
	public := make([]ServerKey, len(k.keys))
	for i, key := range k.keys {
		public[i] = key.ServerKey
	}
	return public
}

// Format implements fmt.Formatter, so that no verb prints a private key.
func (k *Keyring) Format(to fmt.State, _ rune) { fmt.Fprint(to, k.Public()) }

// Signer returns the newest key among those that a device knows; false if it knows none.
func (k *Keyring) Signer(known []string) (Signer, bool) {
	for _, key := range k.keys {
		if slices.Contains(known, key.ID) {
			return Signer{key}, true
		}
	}
	return Signer{}, false
}

// Newest returns the newest key.
func (k *Keyring) Newest() Signer { return Signer{k.keys[0]} }

// areKnown says whether a device knows these keys, and no others.
func (k *Keyring) areKnown(known []string) bool {
	own := KeyIDs(k.Public())
	known = slices.Clone(known)
	slices.Sort(own)
	slices.Sort(known)
	return slices.Equal(own, known)
}

// KeyIDs returns the identifiers of keys, in their order.
func KeyIDs(keys []ServerKey) []string {
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = key.ID
	}
	return ids
}

// Signer signs with one of a ring's keys.
type Signer struct{ key linkKey }

// Format implements fmt.Formatter, so that no verb prints a private key.
func (s Signer) Format(to fmt.State, _ rune) { fmt.Fprint(to, s.key.ServerKey) }

// Welcome signs the welcome of a link that began with a challenge and a hello.
func (s Signer) Welcome(w *Welcome, c *Challenge, h *Hello) {
	w.KeyID = s.key.ID
	w.Signature = Signature(ed25519.Sign(s.key.private, w.transcript(c, h)))
}

// Order signs an order to a device, as one of a link's.
func (s Signer) Order(o Order, device typeid.Device, epoch, sequence int64) {
	signed := o.signed()
	signed.Epoch, signed.Sequence, signed.KeyID = epoch, sequence, s.key.ID
	signed.Signature = Signature(ed25519.Sign(s.key.private, orderTranscript(o, device)))
}

// verified says whether the key among keys that has the identifier signed the message.
func verified(keys []ServerKey, id string, message []byte, s Signature) bool {
	for _, key := range keys {
		if key.ID == id {
			return ed25519.Verify(key.PublicKey[:], message, s[:])
		}
	}
	return false
}
