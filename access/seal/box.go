package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/cardea/cardea/typeid"
)

// ErrForged says that these keys did not seal it for this organization and use, or that it was
// altered since.
var ErrForged = errors.New("not sealed here")

// A box is its format, the version of its key, a nonce and what is sealed. XChaCha20-Poly1305 has
// nonces long enough to draw at random for ever, where AES-GCM's would have to be counted.
const (
	boxFormat = 1
	headSize  = 1 + len(version{})
	nonceSize = chacha20poly1305.NonceSizeX
)

// Seal encrypts what Open shall give back for the same organization and domain alone. The box is 45
// bytes longer than what is in it, and another each time.
func (k *Keyring) Seal(org typeid.Organization, domain string, plain []byte) []byte {
	newest := k.keys[0]
	head := append([]byte{boxFormat}, newest.version[:]...)
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	box := slices.Concat(head, nonce)
	return newest.box.Seal(box, nonce, plain, append(head, bound(org, domain)...))
}

// Open returns what is in a box; the error wraps ErrForged.
func (k *Keyring) Open(org typeid.Organization, domain string, box []byte) ([]byte, error) {
	if len(box) < headSize+nonceSize || box[0] != boxFormat {
		return nil, fmt.Errorf("%w: no box", ErrForged)
	}
	head, nonce, sealed := box[:headSize], box[headSize:][:nonceSize], box[headSize+nonceSize:]
	key, known := k.key(version(head[1:]))
	if !known {
		return nil, fmt.Errorf("%w: no secret has version %x", ErrForged, head[1:])
	}
	plain, err := key.box.Open(nil, nonce, sealed, slices.Concat(head, bound(org, domain)))
	if err != nil {
		return nil, ErrForged // the library's error says no more
	}
	return plain, nil
}
