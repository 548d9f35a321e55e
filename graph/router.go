package graph

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// topic is what a subscription may be about, and an event is found by: the identifier of a door, a site
// or a user, the type of an event, or one of these.
type topic any

type (
	everything struct{}
	anyDoor    struct{}
	someDoors  struct{} // of whatever is about doors, for events whose doors nobody can tell
	narrowed   struct{} // whoever does not see every door
	applied    struct{} // whoever acts through an application
)

// index finds by topic.
type index[T comparable] map[topic]map[T]struct{}

func (i index[T]) add(under topic, v T) {
	if i[under] == nil {
		i[under] = map[T]struct{}{}
	}
	i[under][v] = struct{}{}
}

func (i index[T]) remove(under topic, v T) {
	if delete(i[under], v); len(i[under]) == 0 {
		delete(i, under)
	}
}

// router gives each event of an organization, once, to the audiences that it is for. It finds them by
// topic, so an event costs what those cost, however many others there are; and it never waits for them.
type router struct {
	*Handler
	org   typeid.Organization
	users int                // listeners; under routers.mu
	stop  context.CancelFunc // when there are none

	playing sync.WaitGroup // audiences

	mu        sync.Mutex
	started   bool
	err       error // once it has ended
	position  int64 // the last event that was given out
	audiences map[audienceKey]*audience
	told      index[*audience]
	concerned index[*listener] // by whom a change of rights is about
}

// routers are those of the organizations that have listeners on this node.
type routers struct {
	mu  sync.Mutex
	all map[typeid.Organization]*router
}

// enter returns the organization's router, which stays until exit.
func (h *Handler) enter(ctx context.Context, org typeid.Organization) (*router, error) {
	h.routers.mu.Lock()
	r := h.routers.all[org]
	if r == nil {
		r = &router{
			Handler: h, org: org, audiences: map[audienceKey]*audience{},
			told: index[*audience]{}, concerned: index[*listener]{},
		}
		h.routers.all[org] = r
	}
	r.users++
	h.routers.mu.Unlock()
	err := r.start(ctx)
	if err != nil {
		h.forget(r)
		h.exit(r)
	}
	return r, err
}

// exit lets go of a router. Without listeners it ends.
func (h *Handler) exit(r *router) {
	h.routers.mu.Lock()
	defer h.routers.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	if h.routers.all[r.org] == r {
		delete(h.routers.all, r.org)
	}
	if r.stop != nil {
		r.stop()
	}
}

// forget has the next listener find another router.
func (h *Handler) forget(r *router) {
	h.routers.mu.Lock()
	defer h.routers.mu.Unlock()
	if h.routers.all[r.org] == r {
		delete(h.routers.all, r.org)
	}
}

// start joins the organization's events, once.
func (r *router) start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started || r.err != nil {
		return r.err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	events, err := r.hub.Subscribe(ctx, r.org, stream.Live)
	if err != nil {
		stop()
		r.err = err
		return err
	}
	r.position, r.started, r.stop = events.After(), true, stop
	if !r.connections.spawn(func() { r.run(ctx, events) }) {
		stop()
		r.err = errDraining
	}
	return r.err
}

// run gives out events until there are no listeners, or no events: then it tells them why.
func (r *router) run(ctx context.Context, events *stream.Subscription) {
	defer r.playing.Wait()
	for {
		for e := range events.Events() {
			r.give(ctx, e)
		}
		err := events.Err()
		if errors.Is(err, stream.ErrSlowConsumer) { // it is for all, and loses nothing
			events, err = r.hub.Subscribe(ctx, r.org, r.position)
		}
		if err != nil {
			r.end(err)
			return
		}
	}
}

// give gives an event to its audiences, and the listeners whose rights it may change a turn alone.
func (r *router) give(ctx context.Context, e *journal.Event) {
	about := r.doorsOf(ctx, e)
	r.mu.Lock()
	defer r.mu.Unlock()
	turns := map[*audience]*turn{}
	of := func(a *audience) *turn {
		if turns[a] == nil {
			turns[a] = &turn{event: e}
		}
		return turns[a]
	}
	for _, t := range topicsOf(e, about) {
		for a := range r.told[t] {
			of(a).told = true
		}
	}
	for _, t := range concernedBy(e) {
		for l := range r.concerned[t] {
			if l.checked < e.Sequence {
				of(l.audience).leaving = append(of(l.audience).leaving, l)
			}
		}
	}
	for a, t := range turns {
		if t.told {
			r.metrics.asked.Inc()
		}
		for _, l := range t.leaving {
			r.unindex(l)
		}
		a.take(*t)
	}
	r.position = e.Sequence
}

// doorsOf are the doors that an event is about. Those of a device's link are read, as whoever is told
// will need them, if anybody watches doors; if that fails, all who do are asked.
func (r *router) doorsOf(ctx context.Context, e *journal.Event) (about []topic) {
	r.mu.Lock()
	watched := len(r.told[someDoors{}]) > 0
	r.mu.Unlock()
	switch {
	case !e.Door.IsZero():
		return []topic{e.Door, anyDoor{}}
	case !isLinkEvent(e) || !watched:
		return nil
	}
	found, err := r.resolver.present.doors(ctx, e)
	if err != nil {
		return []topic{someDoors{}}
	}
	for _, d := range found {
		about = append(about, d.ID, d.SiteID, anyDoor{})
	}
	return about
}

// topicsOf is what an event is found by.
func topicsOf(e *journal.Event, about []topic) []topic {
	all := append([]topic{everything{}, e.Type}, about...)
	for _, site := range access.SitesOf(e) {
		all = append(all, site)
	}
	if !e.User.IsZero() {
		all = append(all, e.User)
	}
	return all
}

// concernedBy is whose rights an event may change: those of listeners that are found by one of these.
func concernedBy(e *journal.Event) []topic {
	switch {
	case applicationEvents[e.Type]:
		return []topic{applied{}}
	case e.Type == "door.created": // it may be one of theirs
		return []topic{narrowed{}}
	case !rightsEvents[e.Type]:
		return nil
	case e.User.IsZero():
		return []topic{narrowed{}}
	}
	return []topic{e.User}
}

// join lets a listener that has all events that were given out listen with others: then it fails with
// errJoined. It is nil if the listener is still to go on alone.
func (r *router) join(l *listener) error {
	mine, ok := l.script.share()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case l.gone:
		return errGone
	case !ok || l.position < r.position:
		return nil
	}
	key, as := l.key.within(l.by, mine.view)
	a := r.audiences[key]
	if a == nil {
		a = &audience{
			Handler: r.Handler, router: r, key: key, as: as, of: l.of,
			script: mine.script, topics: mine.topics,
		}
		r.open(a)
	}
	l.audience, l.at = a, len(a.listeners)
	a.listeners = append(a.listeners, l)
	r.metrics.listening.Inc()
	for _, t := range l.concerns() {
		r.concerned.add(t, l)
	}
	return errJoined
}

// concerns is by what a listener is found whose rights may have changed.
func (l *listener) concerns() []topic {
	topics := []topic{l.by.User}
	if !l.by.Application.IsZero() {
		topics = append(topics, applied{})
	}
	if !access.Everywhere(l.ctx, access.ReadDoors) {
		topics = append(topics, narrowed{})
	}
	return topics
}

// isConcernedBy says whether an event may change the listener's rights.
func (l *listener) isConcernedBy(e *journal.Event) bool {
	return slices.ContainsFunc(concernedBy(e), func(t topic) bool { return slices.Contains(l.concerns(), t) })
}

func (r *router) open(a *audience) {
	r.audiences[a.key] = a
	for _, t := range a.topics {
		r.told.add(t, a)
	}
	r.metrics.audiences.Inc()
}

func (r *router) close(a *audience) {
	delete(r.audiences, a.key)
	for _, t := range a.topics {
		r.told.remove(t, a)
	}
	r.metrics.audiences.Dec()
}

func (r *router) unindex(l *listener) {
	for _, t := range l.concerns() {
		r.concerned.remove(t, l)
	}
}

// remove takes a listener out for good. It is false if it was out.
func (r *router) remove(l *listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.gone {
		return false
	}
	l.gone = true
	r.dismiss(l)
	return true
}

// dismiss takes a listener out of its audience.
func (r *router) dismiss(l *listener) {
	a := l.audience
	if a == nil {
		return
	}
	r.unindex(l)
	l.audience = nil
	a.without(l)
	r.metrics.listening.Dec()
	if len(a.listeners) == 0 {
		r.close(a)
	}
}

// end ends all who listen with others; who is alone finds out by join.
func (r *router) end(err error) {
	r.forget(r)
	r.mu.Lock()
	r.err = err
	var all []*listener
	for _, a := range r.audiences {
		all = append(all, a.listeners...)
	}
	r.mu.Unlock()
	for _, l := range all {
		l.end(err)
	}
}
