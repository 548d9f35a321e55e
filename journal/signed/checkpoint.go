// Package signed says what a journal's checkpoint is, signs it and reads it again: C2SP
// tlog-checkpoint, a signed note with an origin, a size and the root of the Merkle tree.
//
// The origin names one organization's journal for ever: "cardea/" and its identifier. It names no host,
// because hosts move and logs do not. It is the name of the key in the signature too, as the
// specification wants it, so a checkpoint of one organization never passes for another's.
//
// The package is pure: what verifies offline is the same code that signed.
package signed

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/cardea/cardea/typeid"
)

// Checkpoint is what a note says: the journal that origin names had size events, and this root.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   []byte
}

// ErrUnverified is wrapped by the error for a note that none of the keys signed, or that is none.
var ErrUnverified = errors.New("not a note of a known key")

// Origin names an organization's journal.
func Origin(org typeid.Organization) string { return "cardea/" + org.String() }

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root))
}

// Open returns what a note says, if one of the keys signed it.
func Open(text string, keys ...PublicKey) (Checkpoint, error) {
	said, err := open(text, keys)
	if err != nil {
		return Checkpoint{}, err
	}
	return parse(said)
}

// open returns the text of a note, if one of the keys signed it for the journal that its first line names.
func open(text string, keys []PublicKey) (string, error) {
	origin, _, _ := strings.Cut(text, "\n")
	var known []note.Verifier
	for _, key := range keys {
		if key.Origin != "" && key.Origin != origin {
			continue
		}
		v, err := note.NewVerifier(key.of(origin))
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnverified, err)
		}
		known = append(known, v)
	}
	opened, err := note.Open([]byte(text), note.VerifierList(known...))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnverified, err)
	}
	for _, one := range opened.Sigs { // the bits that base64 leaves over would be anybody's to change
		if _, err := base64.StdEncoding.Strict().DecodeString(one.Base64); err != nil {
			return "", fmt.Errorf("%w: %w", ErrUnverified, err)
		}
	}
	return opened.Text, nil
}

// Peek returns what a note says, whoever signed it.
func Peek(text string) (Checkpoint, error) {
	said, _, _ := strings.Cut(text, "\n\n")
	return parse(said + "\n")
}

func parse(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return c, fmt.Errorf("%w: too few lines", ErrUnverified)
	}
	c.Origin = lines[0]
	size, err1 := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.Strict().DecodeString(lines[2])
	c.Size, c.Root = size, root
	if err := errors.Join(err1, err2); err != nil {
		return c, fmt.Errorf("%w: %w", ErrUnverified, err)
	}
	if size < 0 || len(root) != 32 || c.text() != strings.Join(lines[:3], "\n")+"\n" {
		return c, fmt.Errorf("%w: its size or root is malformed", ErrUnverified)
	}
	return c, nil
}

// PublicKey verifies checkpoints.
type PublicKey struct {
	Origin string // of the only journal that it is trusted for; "": of any
	Key    ed25519.PublicKey
}

// ParsePublicKey reads a public key: 32 bytes in base64, or with the origin of a journal as
// origin+hash+key (a verifier key of the signed-note format).
func ParsePublicKey(text string) (PublicKey, error) {
	text = strings.TrimSpace(text)
	origin, rest, named := strings.Cut(text, "+")
	if v, err := note.NewVerifier(text); named && err == nil {
		_, encoded, _ := strings.Cut(rest, "+")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) != 1+ed25519.PublicKeySize {
			return PublicKey{}, errors.New("is not an Ed25519 key")
		}
		return PublicKey{v.Name(), raw[1:]}, nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, errors.New("is not a public key: " + strconv.Quote(origin))
	}
	return PublicKey{Key: raw}, nil
}

// String returns what ParsePublicKey reads.
func (k PublicKey) String() string {
	if k.Origin != "" {
		return k.of(k.Origin)
	}
	return base64.StdEncoding.EncodeToString(k.Key)
}

// of is the key as a verifier key for the journal of an origin.
func (k PublicKey) of(origin string) string {
	text, err := note.NewEd25519VerifierKey(origin, k.Key)
	if err != nil {
		return "" // of a key of another length: no note is verified by it
	}
	return text
}
