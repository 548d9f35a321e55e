package access

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

var (
	// ErrStaleEpoch says that a newer link of the device exists.
	ErrStaleEpoch = errors.New("a newer link of this device exists")
	// ErrStaleHello says that a newer link of the device was there before this one had opened.
	ErrStaleHello = errors.New("the device has a newer link")
	// ErrStaleLog says that the device presents an older log than it once had.
	ErrStaleLog = errors.New("the device's log is older than one it had")
	// ErrStaleKey says that the device has another key by now than it has proved.
	ErrStaleKey = errors.New("the device has another key")
)

// EnrolInput is what a device claims its place with. Whoever calls has checked that the device holds
// the private half of PublicKey.
type EnrolInput struct {
	ClaimCode string
	Serial    string
	Model     string
	Firmware  string
	PublicKey ed25519.PublicKey
}

// Enrol gives the place of a claim code to a device's key. A code that is unknown, used or expired is
// NOT_FOUND, without telling which, and too many of them are RATE_LIMITED. Those of a claim that
// succeeds do not count: a building is fitted with hundreds of devices from one network.
func (s *Service) Enrol(ctx context.Context, in EnrolInput) (*ent.Device, error) {
	var f faults
	f.text("serial", in.Serial, 100)
	f.text("model", in.Model, 100)
	f.text("firmware", in.Firmware, 100)
	if len(in.PublicKey) != ed25519.PublicKeySize {
		f.add("publicKey", "must have %d bytes", ed25519.PublicKeySize)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	try := s.claiming(ctx, in.Serial)
	if err := s.try(ctx, try); err != nil {
		return nil, err
	}
	dev, err := s.claim(ctx, in)
	if err != nil {
		return nil, err
	}
	return dev, s.forgive(ctx, try.of)
}

func (s *Service) claim(ctx context.Context, in EnrolInput) (*ent.Device, error) {
	hash := hashClaimCode(in.ClaimCode)
	place, err := s.db.Device.Query().Where(device.ClaimCodeHash(hash)).Only(ctx)
	if err != nil {
		return nil, found(err, "claim code", "claimCode")
	}
	by, _ := actor.FromContext(ctx)
	ctx = actor.NewContext(ctx, by.Within(place.OrgID))
	var dev *ent.Device
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		dev, err = tx.Device.UpdateOneID(place.ID).
			Where(device.ClaimCodeHash(hash), device.ClaimExpiresAtGT(s.now())).
			SetSerial(in.Serial).SetModel(in.Model).SetFirmware(in.Firmware).
			SetPublicKey(in.PublicKey).SetEnrolledAt(s.now()).
			ClearClaimCodeHash().ClearClaimExpiresAt().Save(ctx)
		if err != nil {
			return nil, found(err, "claim code", "claimCode")
		}
		return []journal.Event{{Type: "device.enrolled", Site: dev.SiteID, Device: dev.ID}}, nil
	})
	return dev, err
}

// DeviceForLink loads an enrolled device by the identifier that it claims, with the public keys of which
// it must prove one (DeviceKeys). It is NOT_FOUND if it was removed or has not enrolled.
func (s *Service) DeviceForLink(ctx context.Context, id typeid.Device) (*ent.Device, error) {
	dev, err := s.db.Device.Query().Where(device.ID(id), device.PublicKeyNotNil()).Only(ctx)
	return dev, found(err, "device", "deviceId")
}

// OpenLinkInput is what a device says of itself when it links.
type OpenLinkInput struct {
	LogEpoch   int64 // counts the lives of the device's log; sequences start anew in each
	Firmware   string
	Challenged time.Time         // when the device was, by the node's clock
	Key        ed25519.PublicKey // which it has proved: one of DeviceKeys
	// How far its clock is ahead.
	ClockOffset time.Duration
}

// LinkState is what a fresh link begins with.
type LinkState struct {
	Epoch    int64 // of this link; it fences off all older ones
	Sequence int64 // the last report of the device's log that is committed
}

// OpenLink makes the device of ctx ONLINE with a new link epoch, unless it has answered a later
// challenge by now: then it has left this link for a newer one. What its doors are, whoever links it
// asks (DoorsOf) once the link can be found: so no change falls between the two.
func (s *Service) OpenLink(ctx context.Context, in OpenLinkInput) (*LinkState, error) {
	by, _ := actor.FromContext(ctx)
	var state LinkState
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		dev, err := tx.Device.Query().Where(device.ID(by.Device), forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "device", "deviceId")
		}
		challenged := in.Challenged.UTC().Truncate(time.Microsecond)
		switch {
		case in.LogEpoch < dev.LogEpoch:
			return nil, ErrStaleLog
		case dev.ChallengedAt != nil && answersLate(challenged, *dev.ChallengedAt):
			return nil, ErrStaleHello
		}
		update := tx.Device.UpdateOne(dev).AddEpoch(1).SetLogEpoch(in.LogEpoch).
			SetFirmware(in.Firmware).SetConnectivity(schema.ConnectivityOnline).
			SetLastSeenAt(s.now()).SetChallengedAt(challenged)
		events := setClock(update.Mutation(), dev, in.ClockOffset)
		rotated, err := s.useKey(update, dev, in.Key)
		if err != nil {
			return nil, err
		}
		if in.LogEpoch > dev.LogEpoch {
			update.SetLastSequence(0)
		}
		if dev, err = update.Save(ctx); err != nil {
			return nil, err
		}
		state = LinkState{Epoch: dev.Epoch, Sequence: dev.LastSequence}
		if err := reachable(ctx, tx, dev.ID, schema.ConnectivityOnline); err != nil {
			return nil, err
		}
		connected := []journal.Event{linkEvent("device.connected", dev)}
		return slices.Concat(rotated, connected, events), nil
	})
	return &state, err
}

// lateHello is more than a hello to an older challenge can be late. What lies further ahead was written
// by a clock that was wrong, and keeps no device away.
const lateHello = time.Minute

func answersLate(challenged, newest time.Time) bool {
	ahead := newest.Sub(challenged)
	return 0 < ahead && ahead < lateHello
}

// DoorsOf returns the doors of the device of ctx, by port, with the modes in force now. What a device
// has to be told does not wait for the pool that serves requests.
func (s *Service) DoorsOf(ctx context.Context) ([]*ent.Door, error) {
	by, _ := actor.FromContext(ctx)
	doors, err := s.reserve.Door.Query().Where(door.DeviceID(by.Device)).
		Order(door.ByDevicePort()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load doors: %w", err)
	}
	return s.withModes(ctx, s.reserve, doors)
}

// CloseLink makes the device of ctx OFFLINE if the link that ended is still its newest.
func (s *Service) CloseLink(ctx context.Context, epoch int64) error {
	by, _ := actor.FromContext(ctx)
	return s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		dev, err := tx.Device.Query().Where(device.ID(by.Device), forChange).Only(ctx)
		if ent.IsNotFound(err) || err == nil && dev.Epoch != epoch {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("load device: %w", err)
		}
		return s.goOffline(ctx, tx, dev)
	})
}

// MarkOffline makes devices OFFLINE whose node died with their links. It is called by a system actor
// over all organizations.
func (s *Service) MarkOffline(ctx context.Context, gone []typeid.Device) error {
	by, _ := actor.FromContext(ctx)
	devices, err := s.db.Device.Query().Where(device.IDIn(gone...)).All(ctx)
	if err != nil {
		return fmt.Errorf("load devices: %w", err)
	}
	var failed error
	for _, dev := range devices {
		within := actor.NewContext(ctx, by.Within(dev.OrgID))
		failed = errors.Join(failed, s.write(within, func(tx *ent.Tx) ([]journal.Event, error) {
			now, err := tx.Device.Query().Where(device.ID(dev.ID), forChange).Only(within)
			if ent.IsNotFound(err) || err == nil && now.Epoch != dev.Epoch {
				return nil, nil
			}
			if err != nil {
				return nil, fmt.Errorf("load device: %w", err)
			}
			return s.goOffline(within, tx, now)
		}))
	}
	return failed
}

func (s *Service) goOffline(
	ctx context.Context, tx *ent.Tx, dev *ent.Device,
) ([]journal.Event, error) {
	if dev.Connectivity == schema.ConnectivityOffline {
		return nil, nil
	}
	err := tx.Device.UpdateOne(dev).SetConnectivity(schema.ConnectivityOffline).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("update device: %w", err)
	}
	if err := reachable(ctx, tx, dev.ID, schema.ConnectivityOffline); err != nil {
		return nil, err
	}
	return []journal.Event{linkEvent("device.disconnected", dev)}, nil
}

// reachable gives the device's doors its connectivity.
func reachable(
	ctx context.Context, tx *ent.Tx, id typeid.Device, as schema.Connectivity,
) error {
	err := tx.Door.Update().Where(door.DeviceID(id)).SetConnectivity(as).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update doors: %w", err)
	}
	return nil
}

func linkEvent(kind string, dev *ent.Device) journal.Event {
	return journal.Event{
		Type: kind, Site: dev.SiteID, Device: dev.ID, Data: data("epoch", dev.Epoch),
	}
}

// OnlineDevices returns devices that are thought to be ONLINE, in every organization that the actor
// of ctx works over: those with an identifier greater than after, ascending, at most limit.
func (s *Service) OnlineDevices(
	ctx context.Context, after typeid.Device, limit int,
) ([]*ent.Device, error) {
	query := s.db.Device.Query().
		Where(device.ConnectivityEQ(schema.ConnectivityOnline)).
		Order(device.ByID()).Limit(limit)
	if !after.IsZero() {
		query.Where(device.IDGT(after))
	}
	devices, err := query.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load devices: %w", err)
	}
	return devices, nil
}
