package seal

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/cardea/cardea/typeid"
)

// The cost of Argon2id is the first that OWASP recommends: 19 MiB, two passes, one lane. Another
// cost makes other hashes; those of this one would have to be verified on.
const (
	pinMemory = 19 * 1024 // KiB
	pinPasses = 2
	pinLanes  = 1

	saltSize = 16
	hashSize = 32
)

// pinHead begins the PHC string of a hash; the key's version, salt and hash follow.
var pinHead = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d,keyid=",
	argon2.Version, pinMemory, pinPasses, pinLanes)

// pinHash is a PHC string, read.
type pinHash struct {
	key       key
	salt, sum []byte
}

// HashPIN returns the hash of a PIN as a PHC string, which says nothing to whoever lacks the secret
// of its key. It fails only if ctx ends before its turn: as many are hashed at once as there are
// processors, because each takes 19 MiB.
func (k *Keyring) HashPIN(
	ctx context.Context, org typeid.Organization, pin string,
) (string, error) {
	newest := k.keys[0]
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	sum, err := k.stretch(ctx, newest, org, pin, salt)
	if err != nil {
		return "", err
	}
	text := base64.RawStdEncoding.EncodeToString
	return pinHead + newest.version.String() + "$" + text(salt) + "$" + text(sum), nil
}

// VerifyPIN says whether a hash is of this PIN in this organization. A hash that is malformed, or of
// a key that is no longer there, is of none, which takes as long to say. It fails only if ctx ends
// before its turn, and then has said nothing of the PIN.
func (k *Keyring) VerifyPIN(
	ctx context.Context, org typeid.Organization, pin, hash string,
) (ok bool, err error) {
	want, known := k.parsePIN(hash)
	sum, err := k.stretch(ctx, want.key, org, pin, want.salt)
	if err != nil {
		return false, err
	}
	same := subtle.ConstantTimeCompare(sum, want.sum) == 1
	return same && known, nil
}

// KnowsPIN says whether a hash is of a key that is there, so that it can be verified.
func (k *Keyring) KnowsPIN(hash string) bool {
	_, known := k.parsePIN(hash)
	return known
}

// parsePIN reads a hash. Of one that cannot be verified it returns a stand-in, which costs as much.
func (k *Keyring) parsePIN(hash string) (pinHash, bool) {
	standIn := pinHash{key: k.keys[0], salt: make([]byte, saltSize), sum: make([]byte, hashSize)}
	rest, ours := strings.CutPrefix(hash, pinHead)
	parts := strings.Split(rest, "$")
	if !ours || len(parts) != 3 {
		return standIn, false
	}
	name, err1 := hex.DecodeString(parts[0])
	salt, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[1])
	sum, err3 := base64.RawStdEncoding.Strict().DecodeString(parts[2])
	if err1 != nil || err2 != nil || err3 != nil ||
		len(name) != len(version{}) || len(salt) != saltSize || len(sum) != hashSize {
		return standIn, false
	}
	key, known := k.key(version(name))
	if !known {
		return standIn, false
	}
	return pinHash{key: key, salt: salt, sum: sum}, true
}

// stretch is the one road to Argon2. What it stretches is a MAC of the PIN, so that no guess can be
// tested without the key.
func (k *Keyring) stretch(
	ctx context.Context, by key, org typeid.Organization, pin string, salt []byte,
) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case k.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-k.slots }()
	peppered := mac(by.pin, org, "pin", []byte(pin))
	return argon2.IDKey(peppered, salt, pinPasses, pinMemory, pinLanes, hashSize), nil
}
