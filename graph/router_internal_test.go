package graph

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// silent is a script that tells nothing, of whatever it is asked.
type silent struct {
	script
	shared shared
	asked  *atomic.Int64 // audiences are asked at the same time
}

func (s silent) share() (shared, bool) {
	s.shared.script = s
	return s.shared, true
}

func (s silent) tell(context.Context, *journal.Event) ([]any, error) {
	s.asked.Add(1)
	return nil, nil
}

// TestAnEventCostsThoseItIsFor counts work: however many subscriptions there are to other doors, sites,
// users and types, an event is given to the audiences that it is for and nobody else is asked.
func TestAnEventCostsThoseItIsFor(t *testing.T) {
	t.Parallel()
	org, user := typeid.New[typeid.Organization](), typeid.New[typeid.User]()
	by := actor.User(org, user, actor.RoleAdmin)
	registry := prometheus.NewRegistry()
	h := &Handler{metrics: newMetrics(registry)}
	r := &router{
		Handler: h, org: org, audiences: map[audienceKey]*audience{},
		told: index[*audience]{}, concerned: index[*listener]{},
	}
	var asked atomic.Int64
	ctx := actor.NewContext(t.Context(), by)
	listen := func(name string, topics ...topic) {
		l := &listener{Handler: h, ctx: ctx, by: by, router: r,
			key:    likeness{sum: digest(name, topics)},
			script: silent{shared: shared{topics: topics}, asked: &asked}}
		if err := r.join(l); !errors.Is(err, errJoined) {
			t.Fatal(err)
		}
	}
	door, site, other := typeid.New[typeid.Door](), typeid.New[typeid.Site](), typeid.New[typeid.User]()
	for range 10_000 {
		listen("doors", typeid.New[typeid.Door](), typeid.New[typeid.Door]())
	}
	for range 1_000 {
		listen("site", typeid.New[typeid.Site]())
		listen("user", typeid.New[typeid.User]())
	}
	for _, kind := range []string{"key.created", "door.deleted"} {
		listen("type", kind)
	}
	listen("the door", door, typeid.New[typeid.Door]())
	listen("the site", site)
	listen("the user", other)
	listen("the type", "door.opened")
	listen("the door and its site", door, site)
	listen("all doors", anyDoor{})
	listen("all", everything{})
	e := &journal.Event{Organization: org, Sequence: 1, Type: "door.opened", Door: door, Site: site,
		User: other}
	r.give(ctx, e)
	r.playing.Wait()
	if got := counted(t, registry, "cardea_graph_audiences_asked_total"); got != 7 || asked.Load() != 7 {
		t.Errorf("%d audiences were given the event and %d were asked, not 7", got, asked.Load())
	}
	r.give(ctx, &journal.Event{Organization: org, Sequence: 2, Type: "site.updated"})
	r.playing.Wait()
	if asked.Load() != 8 {
		t.Errorf("%d more were asked, not the one that hears everything", asked.Load()-7)
	}
}

func counted(t *testing.T, registry *prometheus.Registry, name string) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}

// TestEventsAreFoundByTopic: whatever matches a filter is found by the filter's topics.
func TestEventsAreFoundByTopic(t *testing.T) {
	t.Parallel()
	org := typeid.New[typeid.Organization]()
	e := &journal.Event{Organization: org, Type: "door.opened", Door: typeid.New[typeid.Door](),
		Site: typeid.New[typeid.Site](), User: typeid.New[typeid.User]()}
	found := map[topic]bool{}
	for _, of := range topicsOf(e, []topic{e.Door, anyDoor{}}) {
		found[of] = true
	}
	manager := actor.User(org, typeid.New[typeid.User](), actor.RoleManager)
	for name, c := range map[string]struct {
		by     actor.Actor
		filter shape.EventFilter
	}{
		"nothing": {manager.WithSites([]typeid.Site{e.Site}), shape.EventFilter{}},
		"of the viewer": {actor.User(org, e.User, actor.RoleManager).WithSites(nil),
			shape.EventFilter{}},
		"everywhere": {actor.User(org, e.User, actor.RoleAuditor), shape.EventFilter{}},
		"doors": {manager, shape.EventFilter{DoorIDs: []typeid.Door{e.Door},
			Types: []string{"key.created", e.Type}}},
		"sites": {manager, shape.EventFilter{SiteIDs: []typeid.Site{typeid.New[typeid.Site](), e.Site}}},
		"users": {manager, shape.EventFilter{UserIDs: []typeid.User{e.User}}},
		"types": {manager, shape.EventFilter{Types: []string{"key.created", e.Type}}},
	} {
		ok := false
		for _, of := range eventTopics(actor.NewContext(t.Context(), c.by), &c.filter) {
			ok = ok || found[of]
		}
		if !ok || !matches(&c.filter, e) {
			t.Errorf("%s: not found", name)
		}
	}
}
