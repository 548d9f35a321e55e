package devicelink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// presenceTimeout bounds what a link waits for Redis; without presence it serves its own node.
const presenceTimeout = 2 * time.Second

// RouterConfig is what a Router needs.
type RouterConfig struct {
	Stream     *stream.Stream
	Node       string // the name that Stream was opened with
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Router finds the link of a device: here, or on another node. It is access.Devices. A node without
// a Handler has no links, and reaches those of others.
type Router struct {
	stream     *stream.Stream
	node       string
	log        *slog.Logger
	dispatches *prometheus.CounterVec

	mu    sync.Mutex
	links map[typeid.Device]*link
}

// NewRouter returns a router without links.
func NewRouter(cfg RouterConfig) (*Router, error) {
	r := &Router{
		stream: cfg.Stream, node: cfg.Node, log: cfg.Log, links: map[typeid.Device]*link{},
		dispatches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_device_dispatches_total",
			Help: "Commands by what this node did: wrote, forwarded, expired, lockdown, clock, offline, failed.",
		}, []string{"outcome"}),
	}
	if err := cfg.Registerer.Register(r.dispatches); err != nil {
		return nil, fmt.Errorf("register dispatch metrics: %w", err)
	}
	return r, nil
}

// Dispatch implements access.Devices: it writes the command to the device's link on this node, or
// hands it to the node that holds the link. It needs Redis only for the latter.
func (r *Router) Dispatch(ctx context.Context, d access.Dispatch) error {
	if l := r.find(d.Device); l != nil {
		if err := l.dispatch(ctx, d); !errors.Is(err, access.ErrDeviceOffline) {
			return r.count("wrote", err)
		} // it ended just now; the device may be elsewhere already
	}
	return r.count("forwarded", r.ask(ctx, d.Organization,
		message{Ask: askDispatch, Device: d.Device, Dispatch: &d}))
}

// count counts what became of a dispatch. That it was not written, because it expired, its door is
// in lockdown or the device's clock far off, has been recorded and is no error.
func (r *Router) count(success string, err error) error {
	outcome := success
	switch {
	case errors.Is(err, access.ErrDeviceOffline):
		outcome = "offline"
	case errors.Is(err, errExpired):
		outcome, err = "expired", nil
	case errors.Is(err, errLockdown):
		outcome, err = "lockdown", nil
	case errors.Is(err, errClock):
		outcome, err = "clock", nil
	case err != nil:
		outcome = "failed"
	}
	r.dispatches.WithLabelValues(outcome).Inc()
	return err
}

// Configure implements access.Devices: a device that is online is told its doors anew, here or by
// the node that holds its link.
func (r *Router) Configure(ctx context.Context, device typeid.Device) error {
	if l := r.find(device); l != nil {
		return l.configure(ctx)
	}
	by, _ := actor.FromContext(ctx)
	return r.ask(ctx, by.Organization, message{Ask: askConfigure, Device: device})
}

// Renew implements access.Devices: the device is ordered to make a new key, here or by the node that
// holds its link.
func (r *Router) Renew(ctx context.Context, device typeid.Device) error {
	if l := r.find(device); l != nil {
		return l.renew()
	}
	by, _ := actor.FromContext(ctx)
	return r.ask(ctx, by.Organization, message{Ask: askRenew, Device: device})
}

// Disconnect implements access.Devices: the device was removed, its link ends.
func (r *Router) Disconnect(ctx context.Context, device typeid.Device) error {
	if l := r.find(device); l != nil {
		l.end(errRemoved)
		return nil
	}
	by, _ := actor.FromContext(ctx)
	err := r.ask(ctx, by.Organization, message{Ask: askDisconnect, Device: device})
	if errors.Is(err, access.ErrDeviceOffline) { // its key opens no other
		return nil
	}
	return err
}

// ask sends a message to the other node that holds the device's link, or returns
// access.ErrDeviceOffline if none does.
func (r *Router) ask(ctx context.Context, org typeid.Organization, m message) error {
	where, ok, err := r.stream.Find(ctx, org, m.Device)
	if err != nil {
		return fmt.Errorf("find link: %w", err)
	}
	if !ok || where.Node == r.node { // or it ended here just now
		return access.ErrDeviceOffline
	}
	return r.tell(ctx, where.Node, m)
}

func (r *Router) tell(ctx context.Context, node string, m message) error {
	text, err := m.encode()
	if err != nil {
		return err
	}
	delivered, err := r.stream.Send(ctx, node, text)
	if err != nil {
		return fmt.Errorf("message to node: %w", err)
	}
	if !delivered {
		return access.ErrDeviceOffline
	}
	return nil
}

func (r *Router) find(device typeid.Device) *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.links[device]
}

// add makes a link the device's, here and everywhere: it claims its presence and ends an older link
// wherever that is. Without Redis the older link of another node ends when the device says something
// on it, or at its next heartbeat, and refresh claims later.
func (r *Router) add(ctx context.Context, l *link) {
	r.mu.Lock()
	older := r.links[l.Device]
	if older == nil || older.Epoch < l.Epoch {
		r.links[l.Device] = l
	} else {
		older = l // it lost the race against a newer one
	}
	r.mu.Unlock()
	if older != nil {
		older.end(errSuperseded)
	}
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	if err := r.claim(ctx, l); errors.Is(err, stream.ErrStaleEpoch) {
		l.end(errSuperseded)
	} else if err != nil {
		r.log.WarnContext(ctx, "device link without presence until Redis answers",
			"device", l.Device.String(), "error", err)
	}
}

func (r *Router) claim(ctx context.Context, l *link) error {
	before, held, err := r.stream.Find(ctx, l.Organization, l.Device)
	if err != nil {
		return err
	}
	if err := r.stream.Claim(ctx, l.Link); err != nil {
		return err
	}
	if !held || before.Node == r.node || before.Epoch >= l.Epoch {
		return nil
	}
	err = r.tell(ctx, before.Node, message{Ask: askSupersede, Device: l.Device, Epoch: l.Epoch})
	if errors.Is(err, access.ErrDeviceOffline) { // that node is gone, and the link with it
		return nil
	}
	return err
}

// remove takes a link out. What is in the way of releasing its presence ends with its time to live.
func (r *Router) remove(ctx context.Context, l *link) {
	r.mu.Lock()
	if r.links[l.Device] == l {
		delete(r.links, l.Device)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), presenceTimeout)
	defer cancel()
	if err := r.stream.Release(ctx, l.Link); err != nil {
		r.log.WarnContext(ctx, "presence not released", "device", l.Device.String(), "error", err)
	}
}

// present lists the links of this node.
func (r *Router) present() []stream.Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	present := make([]stream.Link, 0, len(r.links))
	for l := range maps.Values(r.links) {
		present = append(present, l.Link)
	}
	return slices.Clip(present)
}
