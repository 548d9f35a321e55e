package access_test

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
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

// TestClaimsAreCounted has a stranger guess at three nodes at once: by one serial number from anywhere,
// or by many from one network. Ten are looked at in ten minutes. Others claim as ever.
func TestClaimsAreCounted(t *testing.T) {
	t.Parallel()
	for name, guess := range map[string]func(i int) (serial, from string){
		"by one serial number": func(i int) (string, string) { return "S-1", fmt.Sprintf("192.0.%d.7", i) },
		"from one network": func(i int) (string, string) {
			return fmt.Sprintf("S-%d", i), fmt.Sprintf("192.0.2.%d", i)
		},
		"from one IPv6 block": func(i int) (string, string) {
			return fmt.Sprintf("S-%d", i), fmt.Sprintf("2001:db8::%x", i+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := setupEntrance(t)
			claim := func(node int, code, serial, from string) error {
				ctx := actor.WithAddress(t.Context(), netip.MustParseAddr(from))
				in := enrolment(t, code)
				in.Serial = serial
				_, err := e.nodes[node].Enrol(actor.NewContext(ctx, actor.System("devicelink")), in)
				return err
			}
			places := 0
			place := func() string {
				places++
				p, err := e.nodes[0].CreateDevice(e.admin,
					access.CreateDeviceInput{SiteID: e.site.ID, Name: fmt.Sprintf("Panel %d", places)})
				must(t, err)
				return p.ClaimCode
			}
			for i := range 2 * access.MaxTries { // what succeeds does not count
				serial, from := guess(i % 200)
				must(t, claim(i%3, place(), serial, from))
			}
			var looked, limited atomic.Int64
			var group sync.WaitGroup
			for i := range 30 {
				group.Go(func() {
					serial, from := guess(i)
					switch err := claim(i%3, "0000-0000-0000-0000", serial, from); {
					case access.IsCode(err, access.CodeNotFound):
						looked.Add(1)
					case access.IsCode(err, access.CodeRateLimited):
						limited.Add(1)
					default:
						t.Errorf("got %v", err)
					}
				})
			}
			group.Wait()
			if looked.Load() > access.MaxTries || limited.Load() == 0 { // all may have been written down first
				t.Fatalf("%d were looked at, %d not", looked.Load(), limited.Load())
			}
			for range access.MaxTries { // of many at once, less than ten may have been written down
				serial, from := guess(40)
				if err := claim(0, "0000-0000-0000-0000", serial, from); err != nil &&
					!access.IsCode(err, access.CodeNotFound) {
					break
				}
			}
			code := place()
			serial, from := guess(41)
			wantCode(t, claim(1, code, serial, from), access.CodeRateLimited) // even the right one
			must(t, claim(2, code, "S-other", "198.51.100.1"))
			e.clock.Advance(access.TryWindow)
			code = place()
			must(t, claim(1, code, serial, from))
		})
	}
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
