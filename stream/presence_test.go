package stream_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// link is a device's link number epoch, on a node.
func link(device stream.Link, epoch int64, node string) stream.Link {
	device.Epoch, device.Node = epoch, node
	return device
}

func newDevice() stream.Link {
	return stream.Link{
		Organization: typeid.New[typeid.Organization](), Device: typeid.New[typeid.Device](),
	}
}

// expectLink checks who holds a device; the zero link means nobody.
func (w *world) expectLink(n *node, device, want stream.Link) {
	w.Helper()
	got, found, err := n.Find(w.Context(), device.Organization, device.Device)
	if err != nil || got != want || found != (want != stream.Link{}) {
		w.Errorf("found %v, %v, %v; want %v", got, found, err, want)
	}
}

func TestPresenceIsFencedByEpoch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, device := w.open(stream.Config{}), newDevice()
	ctx, nobody := t.Context(), stream.Link{}
	old, current := link(device, 9, "north"), link(device, 10, "south")

	w.expectLink(n, device, nobody)
	if err := n.Claim(ctx, old); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, old)
	if err := n.Claim(ctx, current); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, current)
	if err := n.Claim(ctx, old); !errors.Is(err, stream.ErrStaleEpoch) {
		t.Errorf("an older claim: %v", err)
	}
	if err := n.Claim(ctx, link(device, 10, "west")); !errors.Is(err, stream.ErrStaleEpoch) {
		t.Errorf("the same epoch on another node: %v", err)
	}
	if err := n.Claim(ctx, current); err != nil {
		t.Errorf("the same claim again: %v", err)
	}
	if err := errors.Join(n.Refresh(ctx, []stream.Link{old}), n.Release(ctx, old)); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, current)

	if err := n.Release(ctx, current); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, nobody)
	if err := n.Refresh(ctx, []stream.Link{old, current}); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, nobody) // neither comes back
	if err := n.Claim(ctx, link(device, 11, "north")); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, device, link(device, 11, "north"))
}

func TestPresenceExpiresUnlessRefreshed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, kept, left := w.open(stream.Config{}), newDevice(), newDevice()
	kept, left = link(kept, 1, "north"), link(left, 1, "north")
	keys := []string{
		w.key(kept.Organization, "link:"+kept.Device.String()),
		w.key(left.Organization, "link:"+left.Device.String()),
	}
	for i, l := range []stream.Link{kept, left} {
		if err := n.Claim(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		life := w.redis.PTTL(t.Context(), keys[i]).Val()
		if life > stream.PresenceTTL || life < stream.PresenceTTL-5*time.Second {
			t.Errorf("a claim lives for %v", life)
		}
		if err := w.redis.PExpire(t.Context(), keys[i], 500*time.Millisecond).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Refresh(t.Context(), []stream.Link{kept}); err != nil {
		t.Fatal(err)
	}
	w.eventually("what is not refreshed expires", func() bool {
		_, found, err := n.Find(t.Context(), left.Organization, left.Device)
		return err == nil && !found
	})
	w.expectLink(n, kept, kept)
	absent, err := n.Absent(t.Context(), []stream.Link{kept, left})
	if err != nil || !slices.Equal(absent, []stream.Link{left}) {
		t.Errorf("absent are %v, %v", absent, err)
	}
}

func TestPresenceRefreshesMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.open(stream.Config{})
	const many = 1200
	links := make([]stream.Link, 0, many+1)
	for i := range int64(many) {
		links = append(links, link(newDevice(), i+1, "north"))
	}
	if err := n.Refresh(t.Context(), links); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, links[many-1], links[many-1])
	absent, err := n.Absent(t.Context(), append(links, newDevice()))
	if err != nil || len(absent) != 1 {
		t.Errorf("%d are absent, %v; want the one that was never claimed", len(absent), err)
	}
}

// TestPresenceIsNotLostWithRedis: neither a wiped nor an unreachable Redis makes a device absent.
func TestPresenceIsNotLostWithRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	n := w.open(stream.Config{URL: x.url(), Node: "reaper"})
	held, gone := link(newDevice(), 1, "north"), newDevice()
	both := []stream.Link{held, gone}
	if err := n.Claim(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		absent, err := n.Absent(t.Context(), both)
		if err != nil || !slices.Equal(absent, []stream.Link{gone}) {
			t.Fatalf("absent are %v, %v", absent, err)
		}
	}
	w.wipe()
	for range 2 {
		if absent, err := n.Absent(t.Context(), both); err != nil || len(absent) > 0 {
			t.Errorf("after a wipe %v are absent, %v", absent, err)
		}
	}
	if err := n.Refresh(t.Context(), []stream.Link{held}); err != nil {
		t.Fatal(err)
	}
	w.expectLink(n, held, held)
	x.cut()
	if absent, err := n.Absent(t.Context(), both); err == nil {
		t.Errorf("without Redis %v are absent", absent)
	}
	if _, _, err := n.Find(t.Context(), held.Organization, held.Device); err == nil {
		t.Error("without Redis something was found")
	}
}

func TestClaimRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, device := w.open(stream.Config{}), newDevice()
	var claiming sync.WaitGroup
	for epoch := range int64(50) {
		claiming.Go(func() {
			err := n.Claim(t.Context(), link(device, epoch+1, "north"))
			if err != nil && !errors.Is(err, stream.ErrStaleEpoch) {
				t.Error(err)
			}
		})
	}
	claiming.Wait()
	w.expectLink(n, device, link(device, 50, "north"))
}
