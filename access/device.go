package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// ClaimWindow is how long a claim code may be used.
const ClaimWindow = 10 * time.Minute

// CreateDeviceInput makes a place for a device, which then claims it with the code.
type CreateDeviceInput struct {
	SiteID typeid.Site
	Name   string
	Model  *string
}

// CreateDevicePayload holds the device and its claim code, which is shown this once.
type CreateDevicePayload struct {
	Device         *ent.Device
	ClaimCode      string // 80 random bits, such as 7K2M-9QXV-0D4T-HB3R
	ClaimExpiresAt time.Time
}

// CreateDevice makes a device that has yet to enrol.
func (s *Service) CreateDevice(
	ctx context.Context, in CreateDeviceInput,
) (*CreateDevicePayload, error) {
	at, err := sitesAt(ctx, WriteDevices)
	if err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.optionalText("model", in.Model, 100)
	if err := f.err(); err != nil {
		return nil, err
	}
	code, expires := newClaimCode(), s.now().Add(ClaimWindow)
	var dev *ent.Device
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if _, err := tx.Site.Query().Where(site.ID(in.SiteID), at).ForShare().Only(ctx); err != nil {
			return nil, found(err, "site", "siteId")
		}
		dev, err = tx.Device.Create().SetSiteID(in.SiteID).SetName(in.Name).
			SetNillableModel(in.Model).SetClaimCodeHash(hashClaimCode(code)).
			SetClaimExpiresAt(expires).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "device.created", Site: dev.SiteID, Device: dev.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateDevicePayload{dev, code, expires}, nil
}

// RemoveDeviceInput names a device.
type RemoveDeviceInput struct{ ID typeid.Device }

// RemoveDevicePayload names the device that was.
type RemoveDevicePayload struct{ DeletedID typeid.Device }

// RemoveDevice deletes a device, unbinds its doors and ends its link. Its key opens no other.
func (s *Service) RemoveDevice(
	ctx context.Context, in RemoveDeviceInput,
) (*RemoveDevicePayload, error) {
	at, err := devicesAt(ctx, WriteDevices)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		dev, err := tx.Device.Query().Where(device.ID(in.ID), at, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "device", "id")
		}
		if err := unapply(ctx, tx, door.DeviceID(dev.ID)); err != nil {
			return nil, err
		}
		err = tx.Door.Update().Where(door.DeviceID(dev.ID)).ClearDeviceID().ClearDevicePort().
			ClearToldMode().SetConnectivity(schema.ConnectivityOffline).Exec(ctx)
		if err != nil {
			return nil, err
		}
		if err := tx.Device.DeleteOne(dev).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "device.removed", Site: dev.SiteID, Device: dev.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.devices.Disconnect(ctx, in.ID); err != nil {
		s.log.WarnContext(ctx, "link of removed device not ended", "device", in.ID, "error", err)
	}
	return &RemoveDevicePayload{in.ID}, nil
}

// newClaimCode returns 16 characters that are hard to misread, in groups of four.
func newClaimCode() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	random := make([]byte, 16)
	_, _ = rand.Read(random)
	var code strings.Builder
	for i, b := range random {
		if i > 0 && i%4 == 0 {
			code.WriteByte('-')
		}
		code.WriteByte(alphabet[b&31])
	}
	return code.String()
}

// hashClaimCode forgives case, grouping and the letters that people take for digits.
func hashClaimCode(code string) []byte {
	plain := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").
		Replace(strings.ToUpper(code))
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}
