package access

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// A device changes its key by itself: it offers the next one over a link that it opened with the
// present one, and either is good until it opens a link with the next one, which then is the present
// one. So neither side can lose the other, wherever one of them stops on the way.

// KeyOverlap is how long after it was offered a device's next key may first be used.
const KeyOverlap = 24 * time.Hour

// DeviceKeys returns the keys that the device may prove itself with now.
func (s *Service) DeviceKeys(dev *ent.Device) []ed25519.PublicKey {
	keys := []ed25519.PublicKey{dev.PublicKey}
	if s.nextKeyIsGood(dev) {
		keys = append(keys, dev.NextKey)
	}
	return keys
}

func (s *Service) nextKeyIsGood(dev *ent.Device) bool {
	return len(dev.NextKey) > 0 && dev.NextKeyAt != nil && s.now().Sub(*dev.NextKeyAt) < KeyOverlap
}

// useKey makes the next key, if the device has proved that one, its only one.
func (s *Service) useKey(
	update *ent.DeviceUpdateOne, dev *ent.Device, proved ed25519.PublicKey,
) ([]journal.Event, error) {
	switch {
	case bytes.Equal(proved, dev.PublicKey):
		return nil, nil
	case !s.nextKeyIsGood(dev) || !bytes.Equal(proved, dev.NextKey):
		return nil, ErrStaleKey
	}
	update.SetPublicKey(proved).ClearNextKey().ClearNextKeyAt()
	return []journal.Event{deviceEvent("device.key_rotated", dev)}, nil
}

// OfferDeviceKey takes the next key of the device of ctx, in place of any that it offered before.
// Whoever calls has checked that the device holds the private half. It fails with ErrStaleEpoch if the
// link is not the newest.
func (s *Service) OfferDeviceKey(
	ctx context.Context, epoch int64, next ed25519.PublicKey,
) error {
	by, _ := actor.FromContext(ctx)
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		dev, err := tx.Device.Query().Where(device.ID(by.Device), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "device", "deviceId")
		}
		if dev.Epoch != epoch {
			return nil, ErrStaleEpoch
		}
		err = tx.Device.UpdateOne(dev).SetNextKey(next).SetNextKeyAt(s.now()).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("update device: %w", err)
		}
		if bytes.Equal(dev.NextKey, next) { // it has asked again
			return nil, nil
		}
		return []journal.Event{deviceEvent("device.key_offered", dev)}, nil
	})
}

func deviceEvent(kind string, dev *ent.Device) journal.Event {
	return journal.Event{Type: kind, Site: dev.SiteID, Device: dev.ID}
}

// RotateDeviceKeyInput names a device.
type RotateDeviceKeyInput struct{ ID typeid.Device }

// RotateDeviceKeyPayload holds the device, which has yet to make its key.
type RotateDeviceKeyPayload struct{ Device *ent.Device }

// RotateDeviceKey orders a device to make a new key. It does that over its link, so it must have one:
// otherwise it is a CONFLICT. device.key_rotated tells when it has.
func (s *Service) RotateDeviceKey(
	ctx context.Context, in RotateDeviceKeyInput,
) (*RotateDeviceKeyPayload, error) {
	at, err := devicesAt(ctx, WriteDevices)
	if err != nil {
		return nil, err
	}
	var dev *ent.Device
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		dev, err = tx.Device.Query().Where(device.ID(in.ID), at).Only(ctx)
		if err != nil {
			return nil, found(err, "device", "id")
		}
		if dev.Connectivity != schema.ConnectivityOnline {
			return nil, errNotLinked
		}
		return []journal.Event{deviceEvent("device.key_rotation_asked", dev)}, nil
	})
	if err != nil {
		return nil, err
	}
	err = s.devices.Renew(ctx, in.ID)
	if errors.Is(err, ErrDeviceOffline) {
		return nil, errNotLinked
	}
	if err != nil {
		return nil, fmt.Errorf("order a new key: %w", err)
	}
	return &RotateDeviceKeyPayload{dev}, nil
}

var errNotLinked = Error{CodeConflict, "the device is not linked", "id"}
