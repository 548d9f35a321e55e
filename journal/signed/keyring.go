package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardea/cardea/typeid"
)

// Key is one key of a ring, and since when it signs.
type Key struct {
	PublicKey
	From    time.Time // zero: since ever
	Until   time.Time // when the next one takes over; zero: no other does
	private ed25519.PrivateKey
}

// Keyring signs with the newest key whose time has come, and knows those before it. It is safe for
// concurrent use, and prints as its public keys.
type Keyring struct{ keys []Key } // newest first

// NewKeyring makes a ring of seeds, newest first, each of 32 random bytes. The first signs.
func NewKeyring(seeds ...[]byte) (*Keyring, error) {
	k := &Keyring{}
	for i, seed := range seeds {
		if len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("seed %d has %d bytes, not %d", i+1, len(seed), ed25519.SeedSize)
		}
		k.keys = append(k.keys, signing(seed))
	}
	err := k.check()
	return k, err
}

// ParseKeys reads a ring, newest first, one key a line or with commas between: a seed (32 random bytes
// in base64), or of a key that signs no more "public:" and the public key. "@2026-11-21T00:00:00Z"
// after it says since when it signs: so every node changes to a new key at once. The error lists
// every fault with its place, and never what stands there.
func ParseKeys(text string) (*Keyring, error) {
	k := &Keyring{}
	var faults []error
	entries := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' })
	for _, entry := range entries {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		key, err := parseKey(entry)
		if err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", len(k.keys)+1, err))
		}
		k.keys = append(k.keys, key)
	}
	if len(faults) == 0 {
		faults = append(faults, k.check())
	}
	return k, errors.Join(faults...)
}

func parseKey(entry string) (key Key, err error) {
	entry, from, dated := strings.Cut(entry, "@")
	if public, old := strings.CutPrefix(entry, "public:"); old {
		if key.PublicKey, err = ParsePublicKey(public); err == nil && key.Origin != "" {
			err = errors.New("is of one journal")
		}
	} else {
		seed, bad := base64.StdEncoding.DecodeString(entry)
		if bad != nil || len(seed) != ed25519.SeedSize {
			return key, errors.New("is not 32 bytes in base64: make one with openssl rand -base64 32")
		}
		key = signing(seed)
	}
	if err == nil && dated {
		if key.From, err = time.Parse(time.RFC3339, from); err != nil {
			err = errors.New("what follows @ is no instant, such as 2026-11-21T00:00:00Z")
		}
	}
	return key, err
}

func signing(seed []byte) Key {
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey) // is one
	return Key{PublicKey: PublicKey{Key: public}, private: private}
}

// check sees that the keys are in order, and says until when each signs.
func (k *Keyring) check() error {
	if len(k.keys) == 0 || k.keys[0].private == nil {
		return errors.New("the newest key must be one that can sign")
	}
	for i := range k.keys[1:] {
		newer, older := k.keys[i], &k.keys[i+1]
		if newer.From.IsZero() != older.From.IsZero() && newer.From.IsZero() ||
			!newer.From.IsZero() && !newer.From.After(older.From) {
			return errors.New("keys must stand newest first")
		}
		older.Until = newer.From
	}
	return nil
}

// Sign returns the note of a checkpoint. The same checkpoint has the same note, whichever node signs.
func (k *Keyring) Sign(org typeid.Organization, size int64, root []byte, at time.Time) (string, error) {
	return k.sign(Origin(org), Checkpoint{Origin: Origin(org), Size: size, Root: root}.text(), at)
}

// SignPruned returns the note of what retention took.
func (k *Keyring) SignPruned(p Pruned, at time.Time) (string, error) {
	return k.sign(p.Origin, p.text(), at)
}

func (k *Keyring) sign(origin, text string, at time.Time) (string, error) {
	for _, key := range k.keys {
		if key.From.After(at) || key.private == nil {
			continue
		}
		name, err := note.NewVerifier(key.of(origin))
		if err != nil {
			return "", fmt.Errorf("sign note: %w", err)
		}
		text, err := note.Sign(&note.Note{Text: text}, signer{name, key.private})
		return string(text), err
	}
	return "", errors.New("sign note: no key's time has come")
}

// Keys returns the keys, newest first, as they verify an organization's checkpoints.
func (k *Keyring) Keys(org typeid.Organization) []Key {
	keys := slices.Clone(k.keys)
	for i := range keys {
		keys[i].Origin = Origin(org)
	}
	return keys
}

// Public returns the public keys, newest first, each good for all journals.
func (k *Keyring) Public() []PublicKey {
	keys := make([]PublicKey, len(k.keys))
	for i, key := range k.keys {
		keys[i] = key.PublicKey
	}
	return keys
}

// All returns the keys, newest first.
func (k *Keyring) All() []Key { return slices.Clone(k.keys) }

// Format implements fmt.Formatter, so that no verb prints a private key.
func (k *Keyring) Format(to fmt.State, _ rune) { fmt.Fprint(to, k.Public()) }

// Format implements fmt.Formatter, so that no verb prints a private key.
func (k Key) Format(to fmt.State, _ rune) { fmt.Fprint(to, k.PublicKey.String()) }

// signer signs notes under the name and hash of its public key.
type signer struct {
	note.Verifier
	private ed25519.PrivateKey
}

// Sign implements note.Signer.
func (s signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.private, text), nil }
