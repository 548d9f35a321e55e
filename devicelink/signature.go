package devicelink

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/cardea/cardea/typeid"
)

// The contexts keep a signature from being taken for one of another purpose.
const (
	enrolContext   = "cardea.device.v1 enrol"
	helloContext   = "cardea.device.v1 hello"
	welcomeContext = "cardea.device.v1 welcome"
	commandContext = "cardea.device.v1 command"
	configContext  = "cardea.device.v1 config"
	keysContext    = "cardea.device.v1 keys"
	timeContext    = "cardea.device.v1 time"
	renewContext   = "cardea.device.v1 renew"
	rotateContext  = "cardea.device.v1 rotate"
	rotatedContext = "cardea.device.v1 rotated"
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

func decimal[N ~int | ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// written is an instant as a frame has it.
func written(at time.Time) string { return at.Format(time.RFC3339Nano) }

// digest is the SHA-256 of what a frame has as the value of a field.
func digest(value any, text asSent) string {
	if text == nil {
		text, _ = json.Marshal(value) // of our own types: never fails
	}
	sum := sha256.Sum256(text)
	return string(sum[:])
}

// NewNonce draws a nonce.
func NewNonce() Nonce {
	var n Nonce
	_, _ = rand.Read(n[:]) // never fails
	return n
}

// transcript is what a hello signs: which protocol, which server, which device, both nonces, and which
// of the server's keys it knows, so a signature is worth nothing on any other link.
func (h *Hello) transcript(c *Challenge) []byte {
	return transcript(helloContext, decimal(h.Version), c.ServerName, h.DeviceID.String(),
		string(c.Nonce[:]), string(h.Nonce[:]), decimal(h.KeysVersion), strings.Join(h.KeyIDs, ","))
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

// transcript is what a welcome signs: the hello's parts that make this link, and all of the welcome.
func (w *Welcome) transcript(c *Challenge, h *Hello) []byte {
	return transcript(welcomeContext, decimal(c.Version), c.ServerName, h.DeviceID.String(),
		string(c.Nonce[:]), string(h.Nonce[:]), decimal(w.Epoch), decimal(w.Sequence),
		written(w.ServerTime), decimal(w.HeartbeatSeconds), digest(w.Doors, w.doors), w.KeyID)
}

// SignedBy says whether one of the keys signed the welcome for the link of this challenge and hello.
func (w *Welcome) SignedBy(keys []ServerKey, c *Challenge, h *Hello) bool {
	return verified(keys, w.KeyID, w.transcript(c, h), w.Signature)
}

// Order is a frame that a device heeds only if its server signed it for the device and this link.
type Order interface {
	Frame
	signed() *Signed
	// content is what is signed, but for what Signed has. The device is the one that it is for.
	content(device typeid.Device) []string
}

func (s *Signed) signed() *Signed { return s }

func (c *Command) content(typeid.Device) []string {
	return []string{
		commandContext, c.CommandID.String(), c.OrganizationID.String(), c.DeviceID.String(),
		c.DoorID.String(), decimal(c.Port), string(c.Verb), decimal(c.Seconds),
		written(c.IssuedAt), written(c.NotAfter),
	}
}

func (c *Config) content(device typeid.Device) []string {
	return []string{configContext, device.String(), digest(c.Doors, c.doors)}
}

func (k *Keys) content(device typeid.Device) []string {
	return []string{keysContext, device.String(), decimal(k.Version), digest(k.ServerKeys, k.keys)}
}

func (t *Time) content(device typeid.Device) []string {
	heard := ""
	if !t.HeardAt.IsZero() {
		heard = written(t.HeardAt)
	}
	return []string{timeContext, device.String(), written(t.ServerTime), heard}
}

func (r *Renew) content(device typeid.Device) []string {
	return []string{renewContext, device.String()}
}

func (r *Rotated) content(device typeid.Device) []string {
	return []string{rotatedContext, device.String(), string(r.PublicKey[:])}
}

func orderTranscript(o Order, device typeid.Device) []byte {
	s := o.signed()
	return transcript(append(o.content(device), decimal(s.Epoch), decimal(s.Sequence), s.KeyID)...)
}

// SignedOf is the end of an order.
func SignedOf(o Order) Signed { return *o.signed() }

// SignedBy says whether one of the keys signed an order to the device.
func SignedBy(o Order, keys []ServerKey, device typeid.Device) bool {
	s := o.signed()
	return verified(keys, s.KeyID, orderTranscript(o, device), s.Signature)
}

// transcript is what both keys of a device sign, for one of its links.
func (r *Rotate) transcript(device typeid.Device, epoch int64) []byte {
	return transcript(rotateContext, device.String(), decimal(epoch), string(r.PublicKey[:]))
}

// Sign offers next, which it sets, over a link that was opened with present.
func (r *Rotate) Sign(present, next ed25519.PrivateKey, device typeid.Device, epoch int64) {
	r.PublicKey = PublicKey(next.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // documented
	offer := r.transcript(device, epoch)
	r.Proof = Signature(ed25519.Sign(next, offer))
	r.Signature = Signature(ed25519.Sign(present, offer))
}

// SignedBy says whether both keys have signed the offer, the present one being another one than next.
func (r *Rotate) SignedBy(present ed25519.PublicKey, device typeid.Device, epoch int64) bool {
	offer := r.transcript(device, epoch)
	return !present.Equal(ed25519.PublicKey(r.PublicKey[:])) &&
		ed25519.Verify(present, offer, r.Signature[:]) &&
		ed25519.Verify(r.PublicKey[:], offer, r.Proof[:])
}

// Sign proves that the enrolling device holds the private key of PublicKey, which it sets.
func (e *Enrolment) Sign(key ed25519.PrivateKey) {
	e.PublicKey = PublicKey(key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // documented
	e.Proof = Signature(ed25519.Sign(key, transcript(enrolContext, e.ClaimCode)))
}

// Proven says whether the private half of PublicKey signed the claim.
func (e *Enrolment) Proven() bool {
	return ed25519.Verify(e.PublicKey[:], transcript(enrolContext, e.ClaimCode), e.Proof[:])
}
