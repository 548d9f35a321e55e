package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// appenders commits events to organizations from several goroutines at once, and offers each to
// some node's relay. It returns how many events each organization has then.
func (w *world) appenders(nodes []*node, orgs []typeid.Organization, commits int) int64 {
	w.Helper()
	const each = 3
	var appending sync.WaitGroup
	for _, org := range orgs {
		for range each {
			appending.Go(func() {
				for i := range commits {
					events := w.commit(org, 1+i%3)
					nodes[rand.IntN(len(nodes))].relay.Offer(events)
				}
			})
		}
	}
	appending.Wait()
	head, err := w.log.Head(w.Context(), orgs[0])
	if err != nil {
		w.Fatal(err)
	}
	return head
}

func TestHubDeliversEveryEventToEverySubscriber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*node{w.node(nodeConfig{}), w.node(nodeConfig{}), w.node(nodeConfig{})}
	orgs := []typeid.Organization{w.organization(), w.organization(), w.organization()}
	var subscriptions []*stream.Subscription
	for _, org := range orgs {
		for _, n := range nodes {
			for i := range 8 {
				subscriptions = append(subscriptions, w.subscribe(n, org, int64(i%2)-1))
			}
		}
	}
	var head atomic.Int64
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		head.Store(w.appenders(nodes, orgs, 40))
	}()
	const atLeast = 3 * 40 // what the appenders make for sure, while they make more
	var reading sync.WaitGroup
	for _, s := range subscriptions {
		reading.Go(func() {
			w.expect(s, s.After(), atLeast)
			<-appended
			w.expect(s, atLeast, head.Load())
		})
	}
	reading.Wait()
}

// TestHubResumesFromRingStreamAndJournal cuts subscribers at random and resumes them by cursor,
// while events come. Rings and streams are short, so that all three sources are asked.
func TestHubResumesFromRingStreamAndJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small := nodeConfig{
		stream: stream.Config{Length: 100},
		hub:    stream.HubConfig{Queue: 8, Ring: 16, Linger: 20 * time.Millisecond},
	}
	nodes := []*node{w.node(small), w.node(small)}
	org := w.organization()
	const events = 6 * 60 // 1+2+3 in turn, from each of three appenders
	var working sync.WaitGroup
	var cuts atomic.Int64
	for range 12 {
		working.Go(func() {
			random := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for position := int64(0); position < events; cuts.Add(1) {
				s := w.subscribe(nodes[random.IntN(2)], org, position)
				until := min(events, position+1+random.Int64N(50))
				w.expect(s, position, until)
				if w.Failed() {
					return
				}
				s.Close()
				position = until
				if random.IntN(6) == 0 {
					position = 0 // a new client, which wants everything
					if random.IntN(2) == 0 {
						position = random.Int64N(until)
					}
				}
			}
		})
	}
	working.Go(func() { w.appenders(nodes, []typeid.Organization{org}, 60) })
	working.Wait()
	t.Logf("%d cuts", cuts.Load())
	for _, source := range []string{"redis", "postgres"} {
		reads := w.measured(nodes[0], "cardea_stream_hub_reads_total", source) +
			w.measured(nodes[1], "cardea_stream_hub_reads_total", source)
		if reads == 0 {
			t.Errorf("nothing was read from %s", source)
		}
	}
}

func TestHubSurvivesWipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*node{w.node(nodeConfig{}), w.node(nodeConfig{})}
	org := w.organization()
	live := w.subscribe(nodes[0], org, stream.Live)
	last := int64(0)
	for range 5 {
		last = w.appenders(nodes, []typeid.Organization{org}, 4)
		w.wipe()
	}
	nodes[1].relay.Offer(w.commit(org, 1))
	last++
	w.expect(live, 0, last)
	w.expect(w.subscribe(nodes[1], org, 0), 0, last)
}

// TestHubFindsLostMessages puts events where a relay would, and publishes less than a relay would.
func TestHubFindsLostMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hubOnly: true}), w.organization()
	s := w.subscribe(n, org, stream.Live)
	encode := func(e journal.Event) []byte {
		body, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	publish := func(message string) {
		if err := w.redis.Publish(t.Context(), w.key(org, "live"), message).Err(); err != nil {
			t.Fatal(err)
		}
	}

	w.add(org, "1-0", encode(w.commit(org, 1)[0])) // the message was lost, and nothing follows
	w.expect(s, 0, 1)

	events := w.commit(org, 3) // what was before the message is in Postgres only
	publish(fmt.Sprintf("4 4\n%s", encode(events[2])))
	w.expect(s, 1, 4)

	events = w.commit(org, 2) // overlap: what was received already comes again
	publish(fmt.Sprintf("5 5\n%s", encode(events[0])))
	publish(fmt.Sprintf("5 6\n%s\n%s", encode(events[0]), encode(events[1])))
	w.expect(s, 4, 6)

	w.commit(org, 2) // only numbers
	publish("7 8")
	w.expect(s, 6, 8)

	w.commit(org, 1) // nonsense
	publish("nonsense")
	publish("9 9\nnonsense")
	w.expect(s, 8, 9)

	w.commit(org, 1) // another organization's event in our channel
	foreign := w.commit(w.organization(), 1)[0]
	foreign.Sequence = 10
	publish(fmt.Sprintf("10 10\n%s", encode(foreign)))
	w.expect(s, 9, 10)
}

// TestHubDeliversWhatTheJournalHolds compares events from each source with what was committed.
func TestHubDeliversWhatTheJournalHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	want := w.commit(org, 1)[0]
	live, replay := w.subscribe(n, org, stream.Live), w.subscribe(n, org, 0)
	check := func(source string, s *stream.Subscription, want journal.Event) {
		select {
		case got := <-s.Events():
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("from %s came\n%+v, want\n%+v", source, *got, want)
			}
		case <-time.After(deadline):
			t.Errorf("nothing from %s", source)
		}
	}
	check("postgres", replay, want)
	later := w.commit(org, 1)[0]
	n.relay.Offer([]journal.Event{want, later})
	check("a message", live, later)
	check("the ring", w.subscribe(n, org, 1), later)
	w.eventually("relayed", w.endsWith(org, "2-0"))
	check("the stream", w.subscribe(w.node(nodeConfig{}), org, 0), want)
}

// TestHubAsksTheJournalToo has nobody relay, as if Redis took no writes.
func TestHubAsksTheJournalToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{
		hubOnly: true, hub: stream.HubConfig{Check: 10 * time.Millisecond},
	}), w.organization()
	s := w.subscribe(n, org, stream.Live)
	w.commit(org, 3)
	w.expect(s, 0, 3)
}

// TestHubChecksWhenItJoins publishes while the hub is not listening yet.
func TestHubChecksWhenItJoins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	x.cut()
	n := w.node(nodeConfig{
		stream: stream.Config{URL: x.url()}, hubOnly: true, hub: stream.HubConfig{Check: time.Hour},
	})
	org := w.organization()
	s := w.subscribe(n, org, stream.Live)
	w.node(nodeConfig{}).relay.Offer(w.commit(org, 2))
	w.eventually("another node relays", w.endsWith(org, "2-0"))
	x.mend()
	w.expect(s, 0, 2)
}

func TestHubKeepsOrganizationsApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, one, other := w.node(nodeConfig{}), w.organization(), w.organization()
	ours, theirs := w.subscribe(n, one, 0), w.subscribe(n, other, stream.Live)
	n.relay.Offer(w.commit(other, 5))
	w.expect(theirs, 0, 5)
	n.relay.Offer(w.commit(one, 1))
	w.expect(ours, 0, 1)
}

func TestHubEndsSlowSubscriberAndNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hub: stream.HubConfig{
		Queue: 4, Ring: 8, Patience: 50 * time.Millisecond,
	}}), w.organization()
	slow, quick := w.subscribe(n, org, stream.Live), w.subscribe(n, org, stream.Live)
	for i := range int64(30) {
		n.relay.Offer(w.commit(org, 1))
		w.expect(quick, i, i+1)
	}
	<-w.done(slow)
	received, err := w.expectEnd(slow)
	if !errors.Is(err, stream.ErrSlowConsumer) {
		t.Errorf("ended with %v", err)
	}
	if received != 4 {
		t.Errorf("%d events were queued, want 4", received)
	}
	if got := w.measured(n, "cardea_stream_hub_slow_consumers_total", ""); got != 1 {
		t.Errorf("%v slow consumers", got)
	}
	w.expect(w.subscribe(n, org, slow.After()+int64(received)), 4, 30) // it resumes
}

// done is closed when a subscription has ended, without reading its events.
func (w *world) done(s *stream.Subscription) <-chan struct{} {
	w.Helper()
	ended := make(chan struct{})
	w.eventually("the subscription ends", func() bool { return s.Err() != nil })
	close(ended)
	return ended
}

// TestHubForgivesBursts delivers at once far more than a queue holds, to a reader who keeps up.
func TestHubForgivesBursts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hub: stream.HubConfig{Queue: 2, Ring: 4}}), w.organization()
	s := w.subscribe(n, org, stream.Live)
	for i := range int64(5) {
		n.relay.Offer(w.commit(org, 300))
		w.expect(s, i*300, (i+1)*300)
	}
}

// TestHubReplaysAtTheReadersPace lets a reader of thousands take longer than a live one may.
func TestHubReplaysAtTheReadersPace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hub: stream.HubConfig{
		Queue: 4, Ring: 8, Patience: time.Millisecond,
	}}), w.organization()
	for range 5 {
		n.relay.Offer(w.commit(org, 500))
	}
	s := w.subscribe(n, org, 0)
	other := w.subscribe(n, org, stream.Live)
	w.expect(s, 0, 10)
	n.relay.Offer(w.commit(org, 1)) // meanwhile life goes on
	w.expect(other, 2500, 2501)
	w.expect(s, 10, 2501)
	n.relay.Offer(w.commit(org, 1))
	w.expect(s, 2501, 2502)
}

// TestHubReadsOnceForAll opens many subscriptions that replay the same past.
func TestHubReadsOnceForAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hubOnly: true}), w.organization()
	for range 4 {
		w.commit(org, 512)
	}
	var subscriptions []*stream.Subscription
	for i := range int64(40) {
		subscriptions = append(subscriptions, w.subscribe(n, org, i*5))
	}
	var reading sync.WaitGroup
	for i, s := range subscriptions {
		reading.Go(func() { w.expect(s, int64(i)*5, 2048) })
	}
	reading.Wait()
	const pages = 2048 / 256
	if got := w.measured(n, "cardea_stream_hub_reads_total", ""); got > pages {
		t.Errorf("%v reads for %d pages", got, pages)
	}
}

func TestHubWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	org := w.organization()
	n := w.node(nodeConfig{stream: stream.Config{URL: x.url()}})
	before := w.subscribe(n, org, stream.Live)
	n.relay.Offer(w.commit(org, 2))
	w.expect(before, 0, 2)

	x.cut()
	n.relay.Offer(w.commit(org, 3))
	during := w.subscribe(n, org, 1)
	fresh := w.organization()
	first := w.subscribe(n, fresh, stream.Live) // an organization that nobody listened to
	n.relay.Offer(w.commit(fresh, 2))
	w.expect(before, 2, 5)
	w.expect(during, 1, 5)
	w.expect(first, 0, 2)

	x.mend()
	n.relay.Offer(w.commit(org, 1))
	w.expect(before, 5, 6)
	w.expect(during, 5, 6)
	w.eventually("the stream has what was missed", w.endsWith(org, "6-0"))
	w.eventually("the other one too", w.endsWith(fresh, "2-0"))
	listening := func() bool {
		heard, err := w.redis.PubSubNumSub(t.Context(), w.key(fresh, "live")).Result()
		return err == nil && heard[w.key(fresh, "live")] == 1
	}
	w.eventually("the node listens again, to the fresh organization too", listening)
}

// TestHubWithFrozenRedis keeps every connection open and lets nothing through.
func TestHubWithFrozenRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	org := w.organization()
	n := w.node(nodeConfig{stream: stream.Config{URL: x.url()}})
	s := w.subscribe(n, org, stream.Live)
	n.relay.Offer(w.commit(org, 1))
	w.expect(s, 0, 1)
	thaw := x.freeze()
	n.relay.Offer(w.commit(org, 1))
	w.expect(s, 1, 2)
	w.expect(w.subscribe(n, org, 0), 0, 2)
	thaw()
	n.relay.Offer(w.commit(org, 1))
	w.expect(s, 2, 3)
	w.eventually("the stream has what was missed", w.endsWith(org, "3-0"))
}

// TestHubFindsDeadConnection has only the new connection's first check to learn of events.
func TestHubFindsDeadConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	n := w.node(nodeConfig{
		stream: stream.Config{URL: x.url()}, hubOnly: true, hub: stream.HubConfig{Check: time.Hour},
	})
	other, org := w.node(nodeConfig{}), w.organization()
	s := w.subscribe(n, org, stream.Live)
	other.relay.Offer(w.commit(org, 1))
	w.expect(s, 0, 1)
	x.strand()
	other.relay.Offer(w.commit(org, 1))
	w.expect(s, 1, 2)
}

// TestHubStartsWithoutRedis is a node that has never seen Redis. Checks are so rare that only the
// first can be in time.
func TestHubStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	x.cut()
	org := w.organization()
	n := w.node(nodeConfig{
		stream: stream.Config{URL: x.url()}, hub: stream.HubConfig{Check: deadline / 3},
	})
	s := w.subscribe(n, org, stream.Live)
	n.relay.Offer(w.commit(org, 2))
	w.expect(s, 0, 2)
}

func TestHubReadsTrimmedStreamFromTheJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	n.relay.Offer(w.commit(org, 50))
	w.eventually("relayed", w.endsWith(org, "50-0"))
	if err := w.redis.XTrimMaxLen(t.Context(), w.key(org, "events"), 5).Err(); err != nil {
		t.Fatal(err)
	}
	w.expect(w.subscribe(n, org, 10), 10, 50)
}

func TestHubRefusesCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hubOnly: true}), w.organization()
	w.commit(org, 600)
	if _, err := n.hub.Subscribe(t.Context(), org, 601); !errors.Is(err, stream.ErrCursorAhead) {
		t.Errorf("ahead: %v", err)
	}
	w.expire(org, 300)
	_, err := n.hub.Subscribe(t.Context(), org, 299)
	if !errors.Is(err, journal.ErrCursorExpired) {
		t.Errorf("before retention: %v", err)
	}
	w.expect(w.subscribe(n, org, 300), 300, 600)
	w.expire(org, 600)
	_, err = n.hub.Subscribe(t.Context(), org, 599)
	if !errors.Is(err, journal.ErrCursorExpired) {
		t.Errorf("after everything expired: %v", err)
	}
	w.expect(w.subscribe(n, org, 600), 600, 600)
}

// TestHubConfirmsCursorThatItHasNotReached resumes on a node that has heard less than the one
// before.
func TestHubConfirmsCursorThatItHasNotReached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{
		hubOnly: true, hub: stream.HubConfig{Check: time.Hour},
	}), w.organization()
	w.subscribe(n, org, stream.Live)
	w.commit(org, 5) // nobody tells
	s := w.subscribe(n, org, 3)
	w.expect(s, 3, 5)
}

// TestHubJoinsLiveWithoutAsking takes Postgres and Redis away after the first subscription.
func TestHubJoinsLiveWithoutAsking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	database := testenv.OpenSQL(t, w.database)
	n := w.node(nodeConfig{
		stream: stream.Config{URL: x.url()}, log: journal.Open(guarded(database)),
	})
	org := w.organization()
	first := w.subscribe(n, org, 0)
	n.relay.Offer(w.commit(org, 3))
	w.expect(first, 0, 3)
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	x.cut()
	second := w.subscribe(n, org, stream.Live)
	if second.After() != 3 {
		t.Errorf("after %d, want 3", second.After())
	}
	w.expect(w.subscribe(n, org, 1), 1, 3) // the ring has these
	if _, err := n.hub.Subscribe(t.Context(), w.organization(), stream.Live); err == nil {
		t.Error("another organization's position came from nowhere")
	}
}

func TestHubLeavesChannelsThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{hub: stream.HubConfig{
		Linger: 10 * time.Millisecond, Check: 10 * time.Millisecond,
	}}), w.organization()
	listeners := func(want int64) func() bool {
		return func() bool {
			count, err := w.redis.PubSubNumSub(t.Context(), w.key(org, "live")).Result()
			return err == nil && count[w.key(org, "live")] == want
		}
	}
	for i := range int64(3) {
		one, other := w.subscribe(n, org, stream.Live), w.subscribe(n, org, stream.Live)
		w.eventually("listens", listeners(1))
		one.Close()
		one.Close()
		n.relay.Offer(w.commit(org, 1))
		w.expect(other, i, i+1)
		other.Close()
		w.eventually("does not listen", listeners(0))
		w.eventually("has forgotten it", func() bool {
			return w.measured(n, "cardea_stream_hub_organizations", "") == 0 &&
				w.measured(n, "cardea_stream_hub_subscribers", "") == 0
		})
	}
}

func TestSubscriptionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{unstarted: true, hub: stream.HubConfig{Queue: 4}}), w.organization()
	w.commit(org, 600)
	stop := w.run(n.hub.Run)

	closed := w.subscribe(n, org, stream.Live)
	closed.Close()
	if _, err := w.expectEnd(closed); err != nil {
		t.Errorf("closed: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var cancelled []*stream.Subscription
	for _, after := range []int64{stream.Live, 0} { // one is live, one behind and not being read
		s, err := n.hub.Subscribe(ctx, org, after)
		if err != nil {
			t.Fatal(err)
		}
		cancelled = append(cancelled, s)
	}
	cancel()
	for _, s := range cancelled {
		if _, err := w.expectEnd(s); !errors.Is(err, context.Canceled) {
			t.Errorf("its context ended: %v", err)
		}
	}
	live, behind := w.subscribe(n, org, stream.Live), w.subscribe(n, org, 0)
	stop()
	for _, s := range []*stream.Subscription{live, behind} {
		if _, err := w.expectEnd(s); !errors.Is(err, stream.ErrClosed) {
			t.Errorf("the hub stopped: %v", err)
		}
	}
	if _, err := n.hub.Subscribe(t.Context(), org, 0); !errors.Is(err, stream.ErrClosed) {
		t.Errorf("after the hub stopped: %v", err)
	}
	if got := w.measured(n, "cardea_stream_hub_subscribers", ""); got != 0 {
		t.Errorf("%v subscribers are left", got)
	}
}

// TestHubStopsUnderLoad stops hubs while subscribers come and go.
func TestHubStopsUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	w.commit(org, 300)
	for range 10 {
		n := w.node(nodeConfig{unstarted: true, hub: stream.HubConfig{Queue: 2, Ring: 4}})
		stopHub, stopRelay := w.run(n.hub.Run), w.run(n.relay.Run)
		var working sync.WaitGroup
		for i := range 8 {
			working.Go(func() {
				for {
					s, err := n.hub.Subscribe(t.Context(), org, int64(i%3)*100-1)
					if err != nil {
						if !errors.Is(err, stream.ErrClosed) {
							t.Errorf("subscribe: %v", err)
						}
						return
					}
					select {
					case <-s.Events():
					case <-time.After(deadline):
						t.Error("neither an event nor an end")
					}
					if i%2 == 0 {
						s.Close()
					} else if _, err := w.expectEnd(s); !errors.Is(err, stream.ErrClosed) {
						t.Errorf("ended with %v", err)
					}
				}
			})
		}
		n.relay.Offer(w.commit(org, 5))
		stopHub()
		stopRelay()
		working.Wait()
	}
}
