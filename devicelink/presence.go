package devicelink

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// refreshEvery keeps presence alive through two lost refreshes.
const refreshEvery = stream.PresenceTTL / 3

// refresh says again and again that this node holds its links. When Redis has come back it is also
// what claims them anew.
func (h *Handler) refresh(ctx context.Context) error {
	return every(ctx, refreshEvery, func() {
		if err := h.router.stream.Refresh(ctx, h.router.present()); err != nil {
			h.log.WarnContext(ctx, "presence not refreshed", "error", err)
		}
	})
}

// reap marks devices offline whose node died without saying so: those that are online in Postgres
// and, two times in a row, without presence in Redis. Every node reaps; marking twice does nothing.
func (h *Handler) reap(ctx context.Context) error {
	ctx = actor.NewContext(ctx, actor.System("reaper"))
	r := newReaper(h)
	return every(ctx, refreshEvery, func() {
		if err := r.round(ctx, time.Now()); err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "no device reaped", "error", err)
		}
	})
}

// reaper remembers who was absent in the last round. Absence proves nothing while Redis does not
// answer or has just begun to, nor when this node has: presence may have expired unrefreshed, and
// everybody gets a time to live to come back. A Redis that forgot is found out by stream.Absent.
type reaper struct {
	handler *Handler
	absent  map[typeid.Device]bool
	trusted time.Time // when absence means something
}

func newReaper(h *Handler) *reaper {
	return &reaper{handler: h, trusted: time.Now().Add(stream.PresenceTTL)}
}

// reapPage is how many devices are looked at in one query.
const reapPage = 1000

func (r *reaper) round(ctx context.Context, now time.Time) error {
	before := r.absent
	r.absent = map[typeid.Device]bool{}
	if err := r.handler.router.stream.Ping(ctx); err != nil {
		r.trusted = now.Add(stream.PresenceTTL)
		return err
	}
	if now.Before(r.trusted) {
		return nil
	}
	var after typeid.Device
	for {
		online, err := r.handler.access.OnlineDevices(ctx, after, reapPage)
		if err != nil || len(online) == 0 {
			return err
		}
		links := make([]stream.Link, len(online))
		for i, device := range online {
			links[i] = stream.Link{Organization: device.OrgID, Device: device.ID}
		}
		if err := r.mark(ctx, links, before); err != nil {
			return err
		}
		after = online[len(online)-1].ID
	}
}

// mark takes note of the absent, and marks those offline that were absent before.
func (r *reaper) mark(
	ctx context.Context, links []stream.Link, before map[typeid.Device]bool,
) error {
	absent, err := r.handler.router.stream.Absent(ctx, links)
	if err != nil {
		return fmt.Errorf("look for presence: %w", err)
	}
	var gone []typeid.Device
	for _, l := range absent {
		switch {
		case r.handler.router.find(l.Device) != nil: // here, though Redis has not heard of it
		case before[l.Device]:
			gone = append(gone, l.Device)
		default:
			r.absent[l.Device] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := r.handler.access.MarkOffline(ctx, gone); err != nil {
		return fmt.Errorf("mark offline: %w", err)
	}
	r.handler.log.InfoContext(ctx, "devices of a lost node marked offline", "count", len(gone))
	return nil
}

// every calls do at once and then again and again until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
