package devicelink

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/access"
)

// proven returns the one of a device's keys that signed its hello.
func proven(
	keys []ed25519.PublicKey, hello *Hello, challenge *Challenge,
) (ed25519.PublicKey, bool) {
	at := slices.IndexFunc(keys, func(key ed25519.PublicKey) bool {
		return hello.SignedBy(key, challenge)
	})
	if at < 0 {
		return nil, false
	}
	return keys[at], true
}

// renew orders the device to make a new key. It returns access.ErrDeviceOffline if the link has ended.
func (l *link) renew() error {
	if err := l.write(&Renew{}, time.Time{}); err != nil {
		return access.ErrDeviceOffline
	}
	return nil
}

// rotate takes the device's next key, and says so once that is committed.
func (l *link) rotate(ctx context.Context, offer *Rotate) error {
	if !offer.SignedBy(l.key, l.Device, l.Epoch) {
		return closing{CloseProtocol, "rotate is not signed by both keys"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	err := l.handler.access.OfferDeviceKey(ctx, l.Epoch, ed25519.PublicKey(offer.PublicKey[:]))
	if err != nil {
		return fmt.Errorf("take next key: %w", err)
	}
	return l.write(&Rotated{PublicKey: offer.PublicKey}, time.Time{})
}
