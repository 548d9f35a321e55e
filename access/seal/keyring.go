// Package seal keeps what must never be readable again (PINs), or by Cardea alone (what it has to
// present elsewhere), and says what only Cardea can have said (tokens).
//
// All of it rests on secrets that are never in the database. Whoever has a dump of the database and
// no secret can read nothing that is sealed, and can test no guess at a PIN: of a PIN of six digits
// a hash alone would keep nothing, because a million guesses are few.
//
// Everything is bound to an organization and to what it is for. What was sealed for one opens,
// verifies and matches for no other.
//
// Secrets rotate: put a new one first, and it seals from then on, while the older ones still open
// and match. A secret that is removed takes with it what only it had sealed.
//
// The package imports typeid, golang.org/x/crypto and the standard library.
package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cardea/cardea/typeid"
)

// SecretSize is the least size of a secret, in bytes.
const SecretSize = 32

const maxSecrets = 4

// Keyring seals with its newest key and opens with all. It is safe for concurrent use, and prints
// as the versions of its keys.
type Keyring struct {
	keys  []key         // newest first
	slots chan struct{} // bounds concurrent hashing of PINs
}

// version names a key in what it sealed, so that the order of secrets may change.
type version [4]byte

func (v version) String() string { return hex.EncodeToString(v[:]) }

// key is what one secret becomes: a key for each use, so that no use can weaken another.
type key struct {
	version           version
	pin, index, token []byte
	log, link         []byte
	box               cipher.AEAD
}

// NewKeyring derives a keyring from one to four secrets of random bytes, newest first. The error
// lists every fault.
func NewKeyring(secrets ...[]byte) (*Keyring, error) {
	if len(secrets) == 0 || len(secrets) > maxSecrets {
		return nil, fmt.Errorf("want 1 to %d secrets, not %d", maxSecrets, len(secrets))
	}
	k := &Keyring{slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	var faults []error
	for i, secret := range secrets {
		made, err := newKey(secret)
		if _, twice := k.key(made.version); err == nil && twice {
			err = errors.New("is there twice")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("secret %d: %w", i+1, err))
		}
		k.keys = append(k.keys, made)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return k, nil
}

// Random returns a keyring that nothing outlives. What it seals is lost with the process, so it is
// for tests and tools only.
func Random() *Keyring {
	secret := make([]byte, SecretSize)
	_, _ = rand.Read(secret) // never fails
	k, err := NewKeyring(secret)
	if err != nil {
		panic(err) // the secret is as NewKeyring wants it
	}
	return k
}

// ParseSecrets reads secrets in base64, with or without padding, one a line or with commas between.
// The error lists every fault with its line, and never what stands there.
func ParseSecrets(text string) ([][]byte, error) {
	var secrets [][]byte
	var faults []error
	for i, line := range strings.Split(text, "\n") {
		for entry := range strings.SplitSeq(line, ",") {
			entry = strings.TrimSpace(entry)
			if entry == "" {
				continue
			}
			secret, err := decode(entry)
			if err != nil {
				faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
			}
			secrets = append(secrets, secret)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return secrets, nil
}

func decode(entry string) ([]byte, error) {
	secret, err := base64.StdEncoding.Strict().DecodeString(entry)
	if err != nil {
		secret, err = base64.RawStdEncoding.Strict().DecodeString(entry)
	}
	if err != nil {
		return nil, errors.New("is not base64")
	}
	return secret, checkSize(secret)
}

func checkSize(secret []byte) error {
	if len(secret) < SecretSize {
		return fmt.Errorf("has %d bytes, and needs %d or more", len(secret), SecretSize)
	}
	return nil
}

// newKey fails if the secret is too short.
func newKey(secret []byte) (k key, err error) {
	if err := checkSize(secret); err != nil {
		return k, err
	}
	var name, box []byte
	for info, to := range map[string]*[]byte{
		"version": &name, "pin": &k.pin, "index": &k.index, "token": &k.token, "log": &k.log,
		"link": &k.link,
		"box":  &box,
	} {
		if *to, err = hkdf.Key(sha256.New, secret, nil, "cardea/seal "+info, 32); err != nil {
			return k, err
		}
	}
	k.version = version(name[:4])
	k.box, err = chacha20poly1305.NewX(box)
	return k, err
}

// LogSeeds returns a seed for each key, newest first, to sign checkpoints of the audit log with where
// the installation has no keys of their own for that.
func (k *Keyring) LogSeeds() [][]byte {
	seeds := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		seeds[i] = key.log
	}
	return seeds
}

// LinkSeeds returns a seed for each key, newest first, to sign what devices are told with where the
// installation has no keys of their own for that.
func (k *Keyring) LinkSeeds() [][]byte {
	seeds := make([][]byte, len(k.keys))
	for i, key := range k.keys {
		seeds[i] = key.link
	}
	return seeds
}

func (k *Keyring) key(v version) (key, bool) {
	for _, key := range k.keys {
		if key.version == v {
			return key, true
		}
	}
	return key{}, false
}

// Format implements fmt.Formatter, so that no verb prints a key.
func (k *Keyring) Format(to fmt.State, _ rune) {
	fmt.Fprint(to, "keyring")
	for _, key := range k.keys {
		fmt.Fprint(to, " ", key.version.String())
	}
}

// bound is the beginning of all that is authenticated: no two pairs of organization and domain
// have the same, nor one that begins with another's.
func bound(org typeid.Organization, domain string) []byte {
	raw := org.UUID()
	out := binary.AppendUvarint(raw[:], uint64(len(domain)))
	return append(out, domain...)
}

// mac is HMAC-SHA256 over what belongs to an organization and a domain.
func mac(key []byte, org typeid.Organization, domain string, value []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write(bound(org, domain)) // never fails
	_, _ = h.Write(value)
	return h.Sum(nil)
}
