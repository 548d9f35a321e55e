package access_test

import (
	"crypto/ed25519"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
)

func enrolment(t *testing.T, code string) access.EnrolInput {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	must(t, err)
	return access.EnrolInput{ClaimCode: code, Serial: "S-1", Model: "L4", Firmware: "1.0",
		PublicKey: public}
}

func TestClaimCodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := b.access.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site.ID, Name: "Second panel"})
	must(t, err)
	unproved := actor.NewContext(t.Context(), actor.System("devicelink"))
	_, err = b.access.DeviceForLink(unproved, p.Device.ID)
	wantCode(t, err, access.CodeNotFound)

	var won atomic.Int32
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			dev, err := b.access.Enrol(unproved, enrolment(t, strings.ToLower(p.ClaimCode)))
			if err == nil && dev.ID == p.Device.ID {
				won.Add(1)
			} else {
				wantCode(t, err, access.CodeNotFound)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d claims won", won.Load())
	}
	_, err = b.access.DeviceForLink(unproved, p.Device.ID)
	must(t, err)
}

func TestClaimCodeExpires(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, err := b.access.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site.ID, Name: "Second panel"})
	must(t, err)
	b.clock.Advance(access.ClaimWindow + time.Microsecond)
	unproved := actor.NewContext(t.Context(), actor.System("devicelink"))
	_, err = b.access.Enrol(unproved, enrolment(t, p.ClaimCode))
	wantCode(t, err, access.CodeNotFound)
}

func TestRemovedDeviceIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.access.RemoveDevice(b.admin, access.RemoveDeviceInput{ID: b.dev.ID})
	must(t, err)
	if d := b.db.Door.GetX(b.system, b.door.ID); d.DeviceID != nil || d.DevicePort != nil {
		t.Errorf("the door is still bound: %v", d)
	}
	if len(b.hardware.ended) != 1 || b.hardware.ended[0] != b.dev.ID {
		t.Errorf("ended %v", b.hardware.ended)
	}
	_, err = b.access.OpenLink(b.device, access.OpenLinkInput{LogEpoch: 1})
	wantCode(t, err, access.CodeNotFound)
}
