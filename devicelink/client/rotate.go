package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"github.com/cardea/cardea/devicelink"
)

// A device with two keys does not know whether the server has taken the next one, or the present one
// for dead already. It tries the next one first, the present one if that is refused, and offers the
// next one again if the present one is not. So it finds its way back wherever either side stopped.

// errRotated ends a connection, so that the next one begins with the next key.
var errRotated = errors.New("the server has our next key")

// presents is the identity with the key that it shows this time.
func (l *Link) presents() Identity {
	if l.identity.NextKey == nil || l.refused {
		return l.identity
	}
	return l.identity.renewed()
}

// presented takes note that the server knows the key that it was shown. If it is the next one, it is
// the only one from now on; until that is kept, both are.
func (l *Link) presented() error {
	if l.identity.NextKey == nil || l.refused {
		l.refused = false
		return nil
	}
	l.identity = l.identity.renewed()
	return l.keep()
}

// fallBack says whether the present key is to be tried, as the server does not know the next one.
func (l *Link) fallBack(code devicelink.CloseCode) bool {
	l.refused = code == devicelink.CloseUnknownDevice && l.identity.NextKey != nil && !l.refused
	return l.refused
}

// renew makes the next key, and offers it once it is kept.
func (l *Link) renew(ctx context.Context, conn *websocket.Conn) error {
	if l.config.Keep == nil {
		l.config.Logger.WarnContext(ctx, "no new key: it could not be kept",
			"device", l.identity.Device.String())
		return nil
	}
	if l.identity.NextKey == nil {
		_, next, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("make next key: %w", err)
		}
		l.identity.NextKey = next
		if err := l.keep(); err != nil {
			l.identity.NextKey = nil // nobody has heard of it
			return err
		}
	}
	return l.offer(ctx, conn)
}

// offer gives the server the next key, if there is one: the connection began with the present one.
func (l *Link) offer(ctx context.Context, conn *websocket.Conn) error {
	if l.identity.NextKey == nil {
		return nil
	}
	offer := &devicelink.Rotate{}
	offer.Sign(l.identity.Key, l.identity.NextKey, l.identity.Device, l.orders.epoch)
	return write(ctx, conn, offer)
}

// rotated begins anew, with the next key.
func (l *Link) rotated(told *devicelink.Rotated) error {
	if l.identity.NextKey == nil {
		return nil
	}
	next, _ := l.identity.NextKey.Public().(ed25519.PublicKey) // is one
	if !bytes.Equal(next, told.PublicKey[:]) {
		return nil
	}
	return errRotated
}
