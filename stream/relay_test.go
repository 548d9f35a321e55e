package stream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// ids names the entries from one number to another.
func ids(first, last int64) []string {
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, fmt.Sprintf("%d-0", n))
	}
	return all
}

func TestRelayCarriesCanonicalBytesInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	events := w.commit(org, 3)
	slices.Reverse(events) // offered in any order
	n.relay.Offer(events)
	w.eventually("all relayed", w.endsWith(org, "3-0"))
	entries, err := w.redis.XRange(t.Context(), w.key(org, "events"), "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for i, entry := range entries {
		want, err := events[len(events)-1-i].Encode()
		if err != nil {
			t.Fatal(err)
		}
		if entry.ID != fmt.Sprintf("%d-0", i+1) || entry.Values["e"] != string(want) {
			t.Errorf("entry %d is %v, want %s", i, entry, want)
		}
	}
	if got := w.measured(n, "cardea_stream_relay_refilled_events_total", ""); got != 0 {
		t.Errorf("%v of them were read again from the journal", got)
	}
}

func TestRelayBouncesDuplicatesAndFillsGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	first := w.commit(org, 2)
	n.relay.Offer(first)
	n.relay.Offer(first)
	w.eventually("the first are relayed", w.endsWith(org, "2-0"))
	w.commit(org, 300) // by a node that died before it could relay
	n.relay.Offer(w.commit(org, 1))
	n.relay.Offer(first)
	w.eventually("the gap is filled", w.endsWith(org, "303-0"))
	if got := w.streamed(org); !slices.Equal(got, ids(1, 303)) {
		t.Errorf("the stream holds %v", got)
	}
}

// TestRelayFillsGapsAtOnce fills more gaps than sweeps could in the time.
func TestRelayFillsGapsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	start := time.Now()
	const gaps = 20
	for i := range gaps {
		w.commit(org, 1)
		n.relay.Offer(w.commit(org, 1))
		w.eventually("the gap is filled", w.endsWith(org, fmt.Sprintf("%d-0", 2*(i+1))))
	}
	if took := time.Since(start); took > gaps/2*time.Second {
		t.Errorf("took %v: no faster than sweeps", took)
	}
}

func TestRelayKeepsStreamsShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{stream: stream.Config{Length: 100}}), w.organization()
	for range 10 {
		n.relay.Offer(w.commit(org, 100))
	}
	w.eventually("relayed", w.endsWith(org, "1000-0"))
	if got := len(w.streamed(org)); got < 100 || got > 300 { // Redis trims by blocks of 100
		t.Errorf("the stream holds %d entries", got)
	}
}

// published receives the next message of an organization's channel.
func published(t *testing.T, channel *redis.PubSub) (first, last int64, bodies string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	m, err := channel.ReceiveMessage(ctx)
	if err != nil {
		t.Fatal(err)
	}
	numbers, bodies, _ := strings.Cut(m.Payload, "\n")
	if _, err := fmt.Sscan(numbers, &first, &last); err != nil {
		t.Fatalf("published %q", m.Payload)
	}
	return first, last, bodies
}

// listen subscribes to an organization's channel as a hub does.
func (w *world) listen(org typeid.Organization) *redis.PubSub {
	w.Helper()
	options := *w.redis.Options()
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(&options)
	channel := client.Subscribe(w.Context(), w.key(org, "live"))
	w.Cleanup(func() { _, _ = channel.Close(), client.Close() })
	if _, err := channel.Receive(w.Context()); err != nil {
		w.Fatal(err)
	}
	return channel
}

func TestRelayPublishesEachEventOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	channel := w.listen(org)
	var relaying sync.WaitGroup
	events := w.commit(org, 20)
	nodes := []*node{w.node(nodeConfig{}), w.node(nodeConfig{}), w.node(nodeConfig{})}
	for _, n := range nodes {
		relaying.Go(func() {
			for i := range events {
				n.relay.Offer(events[i : i+1])
			}
		})
	}
	relaying.Wait()
	w.eventually("relayed", w.endsWith(org, "20-0"))
	for range 2 {
		for _, n := range nodes {
			n.relay.Offer(append(events[18:], w.commit(org, 1)...))
		}
	}
	for next := int64(1); next <= 26; {
		first, last, bodies := published(t, channel)
		lines := int64(strings.Count(bodies, "\n") + 1)
		if first != next || last < first || lines != last-first+1 {
			t.Fatalf("after %d came %d to %d with %d events", next-1, first, last, lines)
		}
		next = last + 1
	}
}

func TestRelayPublishesOnlyNumbersOfOldEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	channel := w.listen(org)
	w.commit(org, 300)
	w.node(nodeConfig{})
	if first, last, bodies := published(t, channel); first != 1 || last != 256 || bodies != "" {
		t.Errorf("published %d to %d with %d bytes", first, last, len(bodies))
	}
	if first, last, bodies := published(t, channel); first != 257 || last != 300 || bodies == "" {
		t.Errorf("published %d to %d with %d bytes", first, last, len(bodies))
	}
}

func TestRelaySweepsWhatNobodyOffered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.organization(), w.organization()
	w.commit(one, 3)
	w.commit(other, 1)
	w.node(nodeConfig{})
	w.eventually("one is swept", w.endsWith(one, "3-0"))
	w.eventually("the other is swept", w.endsWith(other, "1-0"))
	w.commit(one, 1)
	w.eventually("later ones too", w.endsWith(one, "4-0"))
}

func TestRelayForgetsWhatItCannotHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{unstarted: true}), w.organization()
	for range 3 {
		n.relay.Offer(w.commit(org, 500))
	}
	w.run(n.relay.Run)
	w.eventually("all relayed", w.endsWith(org, "1500-0"))
	if got := w.measured(n, "cardea_stream_relay_refilled_events_total", ""); got != 1500 {
		t.Errorf("%v events came from the journal; too many were held", got)
	}
}

func TestRelayFillsWipedStreamWithTheNewest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	n := w.node(nodeConfig{stream: stream.Config{Length: 300}})
	n.relay.Offer(w.commit(org, 700))
	w.eventually("relayed", w.endsWith(org, "700-0"))
	w.wipe()
	n.relay.Offer(w.commit(org, 1))
	w.eventually("filled again", w.endsWith(org, "701-0"))
	if got := w.streamed(org); !slices.Equal(got, ids(402, 701)) {
		t.Errorf("the stream holds %d entries from %s", len(got), got[0])
	}
}

func TestRelayNoticesWipeWithoutNewEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n, org := w.node(nodeConfig{}), w.organization()
	n.relay.Offer(w.commit(org, 5))
	w.eventually("relayed", w.endsWith(org, "5-0"))
	w.wipe()
	w.eventually("filled again", w.endsWith(org, "5-0"))
}

func TestRelayBeginsAnewWhenFarBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	first := w.commit(org, 2)
	body, err := first[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.add(org, "1-0", body)
	w.commit(org, 500)
	w.node(nodeConfig{stream: stream.Config{Length: 100}})
	w.eventually("the newest are there", w.endsWith(org, "502-0"))
	if got := w.streamed(org); !slices.Equal(got, ids(403, 502)) {
		t.Errorf("the stream holds %d entries from %s", len(got), got[0])
	}
}

func TestRelayFillsWhatRetentionLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	w.commit(org, 100)
	w.expire(org, 90)
	w.node(nodeConfig{})
	w.eventually("the newest are there", w.endsWith(org, "100-0"))
	if got := w.streamed(org); len(got) > 10 || len(got) == 0 {
		t.Errorf("the stream holds %v", got)
	}
}

func TestRelayDropsStreamAheadOfTheJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.organization()
	events := w.commit(org, 2)
	events[1].Sequence = 40 // Postgres lost it
	body, err := events[1].Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.add(org, "40-0", body)
	w.node(nodeConfig{})
	w.eventually("the journal's events are there", w.endsWith(org, "2-0"))
	if got := w.streamed(org); !slices.Equal(got, ids(1, 2)) {
		t.Errorf("the stream holds %v", got)
	}
}

// add puts an entry into an organization's stream and tells nobody.
func (w *world) add(org typeid.Organization, id string, body []byte) {
	w.Helper()
	err := w.redis.XAdd(w.Context(), &redis.XAddArgs{
		Stream: w.key(org, "events"), ID: id, Values: []any{"e", body},
	}).Err()
	if err != nil {
		w.Fatal(err)
	}
}

// TestRelayOfferNeverBlocks offers to a relay that does not run and to one without Redis.
func TestRelayOfferNeverBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	org := w.organization()
	events := w.commit(org, 10)
	x.cut()
	n := w.node(nodeConfig{stream: stream.Config{URL: x.url()}})
	stopped := w.node(nodeConfig{unstarted: true})
	for range 10_000 {
		n.relay.Offer(events)
		stopped.relay.Offer(events)
	}
	x.mend()
	w.eventually("nothing is lost", w.endsWith(org, "10-0"))
}

func TestRelayLogsOncePerChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.wire()
	var log lines
	org := w.organization()
	n := w.node(nodeConfig{stream: stream.Config{URL: x.url(), Log: log.logger()}})
	n.relay.Offer(w.commit(org, 1))
	w.eventually("relayed", w.endsWith(org, "1-0"))
	x.cut()
	for range 20 {
		n.relay.Offer(w.commit(org, 1))
	}
	w.eventually("the cut is logged", func() bool { return log.count("what=redis ") > 0 })
	w.subscribe(n, org, stream.Live).Close()
	x.mend()
	w.eventually("all relayed", w.endsWith(org, "21-0"))
	w.eventually("the end is logged", func() bool {
		return log.count(`msg="available again" part=stream what=redis`) > 0
	})
	if got := log.count("msg=unavailable part=stream what=redis "); got != 1 {
		t.Errorf("logged %d times:\n%s", got, log.text.String())
	}
}
