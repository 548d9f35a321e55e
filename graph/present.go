package graph

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

const (
	// kept is how many events' doors are remembered: more than watchers differ in.
	kept = 1024
	// readTimeout bounds the read that many watchers wait for.
	readTimeout = 5 * time.Second
)

// present holds the doors that events are about, as they were when somebody first asked, which is
// once the event had happened. They are read once for all who watch on this node, so what an event
// costs in Postgres does not grow with the number of watchers. Whoever asks has to know which of the
// doors their viewer may see.
//
// So are the modes in force at them, once somebody asks for those.
type present struct {
	db     *ent.Client
	access *access.Service

	mu     sync.Mutex
	reads  map[moment]*reading
	modes  map[*ent.Door]*sharedModes
	recent [kept]moment // a ring
	next   int
}

type moment struct {
	org      typeid.Organization
	sequence int64
}

type reading struct {
	done  chan struct{}
	doors []*ent.Door
	err   error
	kept  []*ent.Door // whose modes are shared; guarded as the reading itself
}

func newPresent(db *ent.Client, decide *access.Service) *present {
	return &present{
		db: db, access: decide, reads: map[moment]*reading{}, modes: map[*ent.Door]*sharedModes{},
	}
}

// doors returns the doors that an event is about, by identifier: its own, or those of a device whose
// link came or went. They are shared: read only.
func (p *present) doors(ctx context.Context, e *journal.Event) ([]*ent.Door, error) {
	at := moment{e.Organization, e.Sequence}
	r, leads := p.join(at)
	if leads {
		r.doors, r.err = p.read(ctx, e)
		p.keep(at, r)
		close(r.done)
	}
	select {
	case <-r.done:
		return r.doors, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *present) join(at moment) (r *reading, leads bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.reads[at]; ok {
		return r, false
	}
	r = &reading{done: make(chan struct{})}
	if old := p.reads[p.recent[p.next]]; old != nil {
		p.unshare(old.kept)
	}
	delete(p.reads, p.recent[p.next])
	p.reads[at], p.recent[p.next] = r, at
	p.next = (p.next + 1) % kept
	return r, true
}

// keep shares what was read, unless that failed or has been forgotten meanwhile.
func (p *present) keep(at moment, r *reading) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.reads[at] != r:
	case r.err != nil:
		delete(p.reads, at)
	default:
		r.kept = r.doors
		p.share(at.org, r.doors)
	}
}

// read outlives its caller's subscription: others wait for it.
func (p *present) read(ctx context.Context, e *journal.Event) ([]*ent.Door, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	ctx = actor.NewContext(ctx, actor.System("graph").Within(e.Organization))
	about := door.ID(e.Door)
	if isLinkEvent(e) {
		about = door.DeviceID(e.Device)
	}
	doors, err := p.db.Door.Query().Where(about).Order(door.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read doors of event: %w", err)
	}
	return doors, nil
}

// isLinkEvent says that an event is about all doors of a device.
func isLinkEvent(e *journal.Event) bool {
	return e.Type == "device.connected" || e.Type == "device.disconnected"
}
