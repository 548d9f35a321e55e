package devicelink

import (
	"context"
	"errors"
	"sync"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/schema"
)

// inbox does what other nodes ask, each message in a goroutine of its own, because a device may be
// slow to read. It returns when ctx has ended and all is done.
func (h *Handler) inbox(ctx context.Context) error {
	var asked sync.WaitGroup
	defer asked.Wait()
	return h.router.stream.Receive(ctx, func(ctx context.Context, text []byte) {
		m, err := decodeMessage(text)
		if err != nil {
			h.log.WarnContext(ctx, "message from another node dropped", "error", err)
			return
		}
		asked.Go(func() {
			if err := h.do(ctx, m); err != nil {
				h.log.ErrorContext(ctx, "message from another node failed",
					"ask", string(m.Ask), "device", m.Device.String(), "error", err)
			}
		})
	})
}

// do does what another node asks, if the link is still here.
func (h *Handler) do(ctx context.Context, m message) error {
	l := h.router.find(m.Device)
	switch {
	case m.Ask == askDispatch:
		return h.dispatchHere(ctx, l, *m.Dispatch)
	case l == nil:
		return nil
	case m.Ask == askConfigure:
		return l.configure(ctx)
	case m.Ask == askRenew:
		return l.renew()
	case m.Ask == askDisconnect:
		l.end(errRemoved)
	case m.Ask == askSupersede && l.Epoch < m.Epoch:
		l.end(errSuperseded)
	}
	return nil
}

// dispatchHere writes another node's command, and records it when there is no link to write to: the
// other node has done its part.
func (h *Handler) dispatchHere(ctx context.Context, l *link, d access.Dispatch) error {
	err := access.ErrDeviceOffline
	if l != nil {
		err = l.dispatch(ctx, d)
	}
	err = h.router.count("wrote", err)
	if !errors.Is(err, access.ErrDeviceOffline) {
		return err
	}
	ctx, cancel := recording(ctx, d)
	defer cancel()
	return h.access.RecordUndelivered(ctx, d.Command, schema.ReasonDeviceOffline)
}
