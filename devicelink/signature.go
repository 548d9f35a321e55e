package devicelink

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"strconv"
)

// The contexts keep a signature from being taken for one of another purpose.
const (
	enrolContext = "cardea.device.v1 enrol"
	helloContext = "cardea.device.v1 hello"
)

// transcript joins parts so that no two lists of parts give the same bytes: each part follows its
// length, 4 bytes, big-endian.
func transcript(parts ...string) []byte {
	var joined []byte
	for _, part := range parts {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(part))) //nolint:gosec // short
		joined = append(joined, part...)
	}
	return joined
}

// NewNonce draws a nonce.
func NewNonce() Nonce {
	var n Nonce
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// transcript is what a hello signs: which protocol, which server, which device, and both nonces, so
// a signature is worth nothing on any other link.
func (h *Hello) transcript(c *Challenge) []byte {
	return transcript(helloContext, strconv.Itoa(h.Version), c.ServerName, h.DeviceID.String(),
		string(c.Nonce[:]), string(h.Nonce[:]))
}

// Sign signs the hello as an answer to the challenge.
func (h *Hello) Sign(key ed25519.PrivateKey, c *Challenge) {
	h.Signature = Signature(ed25519.Sign(key, h.transcript(c)))
}

// SignedBy says whether the hello answers the challenge and holds the key's signature.
func (h *Hello) SignedBy(key ed25519.PublicKey, c *Challenge) bool {
	return len(key) == ed25519.PublicKeySize &&
		ed25519.Verify(key, h.transcript(c), h.Signature[:])
}

// Sign proves that the enrolling device holds the private key of PublicKey, which it sets.
func (e *Enrolment) Sign(key ed25519.PrivateKey) {
	e.PublicKey = PublicKey(key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // documented
	e.Proof = Signature(ed25519.Sign(key, transcript(enrolContext, e.ClaimCode)))
}

func (e *Enrolment) proven() bool {
	return ed25519.Verify(e.PublicKey[:], transcript(enrolContext, e.ClaimCode), e.Proof[:])
}
