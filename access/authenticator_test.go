package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/cardea/cardea/access"
)

// authenticator holds one passkey. What it says of itself and of the page is for tests to spoil.
type authenticator struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	count  uint32
	flags  byte
	rp     string
	client map[string]any // more of the client data than type and challenge
}

// The flags of an authenticator.
const (
	present  = 0x01
	verified = 0x04
	eligible = 0x08
	attested = 0x40
)

func newAuthenticator(t *testing.T) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return &authenticator{t: t, key: key, id: id, flags: present | verified, rp: "doors.example.com",
		client: map[string]any{"origin": "https://doors.example.com", "crossOrigin": false}}
}

// asked is the challenge, and the user handle if a passkey is to be made.
func (a *authenticator) asked(q *access.PasskeyQuestion) (challenge string, handle []byte) {
	a.t.Helper()
	var options struct {
		Challenge string
		User      struct{ ID string }
	}
	must(a.t, json.Unmarshal(q.Options, &options))
	handle, err := base64.RawURLEncoding.DecodeString(options.User.ID)
	must(a.t, err)
	return options.Challenge, handle
}

// clientData is what a browser says of the page.
func (a *authenticator) clientData(kind, challenge string) []byte {
	said := map[string]any{"type": kind, "challenge": challenge}
	maps.Copy(said, a.client)
	raw, err := json.Marshal(said)
	must(a.t, err)
	return raw
}

// data is what an authenticator says of itself.
func (a *authenticator) data(flags byte) []byte {
	rp := sha256.Sum256([]byte(a.rp))
	return binary.BigEndian.AppendUint32(append(rp[:], flags), a.count)
}

// create makes a passkey, without attestation.
func (a *authenticator) create(q *access.PasskeyQuestion) []byte {
	a.t.Helper()
	challenge, handle := a.asked(q)
	a.handle = handle
	point, err := a.key.PublicKey.Bytes() // 4, x, y
	must(a.t, err)
	cose := slices.Concat([]byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}, point[1:33],
		[]byte{0x22, 0x58, 0x20}, point[33:])
	data := slices.Concat(a.data(a.flags|attested), make([]byte, 16),
		binary.BigEndian.AppendUint16(nil, uint16(len(a.id))), a.id, cose)
	object := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"),
		binary.BigEndian.AppendUint16(nil, uint16(len(data))), data)
	return a.answer(map[string][]byte{
		"clientDataJSON": a.clientData("webauthn.create", challenge), "attestationObject": object,
	})
}

// get signs in.
func (a *authenticator) get(q *access.PasskeyQuestion) []byte {
	a.t.Helper()
	challenge, _ := a.asked(q)
	a.count++
	return a.sign(a.clientData("webauthn.get", challenge))
}

func (a *authenticator) sign(clientData []byte) []byte {
	a.t.Helper()
	data, hash := a.data(a.flags), sha256.Sum256(clientData)
	digest := sha256.Sum256(append(slices.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	must(a.t, err)
	return a.answer(map[string][]byte{"clientDataJSON": clientData, "authenticatorData": data,
		"signature": signature, "userHandle": a.handle})
}

func (a *authenticator) answer(parts map[string][]byte) []byte {
	response := map[string]string{}
	for name, part := range parts {
		response[name] = base64.RawURLEncoding.EncodeToString(part)
	}
	id := base64.RawURLEncoding.EncodeToString(a.id)
	raw, err := json.Marshal(map[string]any{
		"id": id, "rawId": id, "type": "public-key", "response": response,
	})
	must(a.t, err)
	return raw
}
