package seal

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cardea/cardea/typeid"
)

// ErrExpired says that a token is genuine, and of the past.
var ErrExpired = errors.New("token has expired")

const (
	expirySize = 8
	tagSize    = 16
)

// Token returns a short text for a URL or a confirmation, which Check accepts for the same
// organization and purpose until expires, to the millisecond. Nobody else can make one. Its payload
// is not encrypted: whoever holds the token can read it.
func (k *Keyring) Token(
	org typeid.Organization, purpose string, payload []byte, expires time.Time,
) string {
	said := binary.BigEndian.AppendUint64(nil, uint64(expires.UnixMilli()))
	said = append(said, payload...)
	tag := mac(k.keys[0].token, org, purpose, said)[:tagSize]
	return base64.RawURLEncoding.EncodeToString(append(said, tag...))
}

// Check returns the payload of a token. It fails with ErrForged or ErrExpired.
func (k *Keyring) Check(
	org typeid.Organization, purpose, token string, now time.Time,
) (payload []byte, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	// The decoder overlooks line ends and loose bits, and a token shall have one spelling.
	if err != nil || len(raw) < expirySize+tagSize ||
		base64.RawURLEncoding.EncodeToString(raw) != token {
		return nil, ErrForged
	}
	said, tag := raw[:len(raw)-tagSize], raw[len(raw)-tagSize:]
	if !k.said(org, purpose, said, tag) {
		return nil, ErrForged
	}
	expires := time.UnixMilli(int64(binary.BigEndian.Uint64(said))) //nolint:gosec // as Token wrote it
	if !now.Before(expires) {
		return nil, ErrExpired
	}
	return said[expirySize:], nil
}

// said says whether one of the keys made the tag.
func (k *Keyring) said(org typeid.Organization, purpose string, said, tag []byte) bool {
	for _, key := range k.keys {
		if hmac.Equal(mac(key.token, org, purpose, said)[:tagSize], tag) {
			return true
		}
	}
	return false
}
