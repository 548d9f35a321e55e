package stream_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// meters are those of some nodes on one Redis, running until the test ends.
func meters(t *testing.T, url, namespace string, n int) (all []*stream.Meter) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for range n {
		s, err := stream.Open(ctx, stream.Config{URL: url, Namespace: namespace, Node: "n",
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		_ = s.Ping(ctx) // learns whether there is a Redis
		m := stream.NewMeter(s)
		running.Go(func() { _ = m.Run(ctx) })
		all = append(all, m)
	}
	return all
}

// spend has every meter spend all that it may for some time, a point at a time, and counts them.
func spend(t *testing.T, all []*stream.Meter, p stream.Purse, last time.Duration) (spent int, took time.Duration) {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for took < last {
		for _, m := range all {
			for _, ok := m.Spend(1, p); ok; _, ok = m.Spend(1, p) {
				spent++
			}
		}
		<-tick.C
		took = time.Since(begun)
	}
	return spent, took
}

// Three nodes together let through what the policy says: what each let through before it knew of the
// others is owed, and earned first.
func TestNodesShareARate(t *testing.T) {
	t.Parallel()
	url, namespace := testenv.Redis(t)
	p := stream.Purse{Organization: typeid.New[typeid.Organization](), Of: "user_x",
		Rate: stream.Rate{PerSecond: 400, Burst: 100}}
	spent, took := spend(t, meters(t, url, namespace, 3), p, 4*time.Second)
	policy := float64(p.Rate.Burst) + took.Seconds()*float64(p.Rate.PerSecond)
	if off := float64(spent)/policy - 1; off < -0.05 || off > 0.05 {
		t.Errorf("spent %d of %.0f: %.1f %% off", spent, policy, 100*off)
	}
}

// Without Redis a node goes on with half of everything.
func TestRateWithoutRedis(t *testing.T) {
	t.Parallel()
	p := stream.Purse{Organization: typeid.New[typeid.Organization](), Of: "user_x",
		Rate: stream.Rate{PerSecond: 400, Burst: 100}}
	spent, took := spend(t, meters(t, "unix:///nowhere/redis.sock", "", 1), p, 2*time.Second)
	half := (float64(p.Rate.Burst) + took.Seconds()*float64(p.Rate.PerSecond)) / 2
	if spent := float64(spent); spent > half*1.01 || spent < half*0.9 {
		t.Errorf("spent %.0f, half of the policy is %.0f", spent, half)
	}
}

// When the clock of Redis was an hour ahead and is put right, nobody waits for an hour.
func TestRateAfterAClockStep(t *testing.T) {
	t.Parallel()
	url, namespace := testenv.Redis(t)
	p := stream.Purse{Organization: typeid.New[typeid.Organization](), Of: "user_x",
		Rate: stream.Rate{PerSecond: 100, Burst: 1000}}
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	key := namespace + "cardea:{" + p.Organization.String() + "}:spent:user_x"
	later := time.Now().Add(time.Hour).UnixMicro()
	if err := client.Set(t.Context(), key, later, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	m := meters(t, url, namespace, 1)[0]
	late := time.Now().Add(20 * time.Second)
	for {
		b, ok := m.Spend(1, p)
		if !ok && b.Wait <= time.Minute {
			return
		}
		if !ok || time.Now().After(late) {
			t.Fatalf("wait %s, admitted %v", b.Wait, ok)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// All of several purses pay, or none; more than a burst is a burst.
func TestPursesPayTogether(t *testing.T) {
	t.Parallel()
	url, namespace := testenv.Redis(t)
	m := meters(t, url, namespace, 1)[0]
	org := typeid.New[typeid.Organization]()
	purse := func(of string, burst int) stream.Purse {
		return stream.Purse{Organization: org, Of: of, Rate: stream.Rate{PerSecond: 1, Burst: burst}}
	}
	all, one, other := purse("organization", 10), purse("one", 6), purse("other", 6)
	for i, c := range []struct {
		points int
		of     stream.Purse
		ok     bool
		least  string
		left   int
	}{
		{4, one, true, "one", 2}, {4, one, false, "one", 0}, {4, other, true, "organization", 2},
		{3, other, false, "other", 0}, {2, other, true, "organization", 0}, {1, one, false, "organization", 0},
	} {
		b, ok := m.Spend(c.points, all, c.of)
		if ok != c.ok || b.Of != c.least || b.Left != c.left || ok == (b.Wait > 0) {
			t.Errorf("%d: %v %+v", i, ok, b)
		}
	}
	if _, ok := m.Spend(1000, purse("third", 3)); !ok {
		t.Error("more than a burst cannot be spent from a full purse")
	}
}

func BenchmarkSpend(b *testing.B) {
	s, err := stream.Open(b.Context(), stream.Config{URL: "unix:///nowhere/redis.sock"})
	if err != nil {
		b.Fatal(err)
	}
	m, org := stream.NewMeter(s), typeid.New[typeid.Organization]()
	rate := stream.Rate{PerSecond: 1e7, Burst: 1e8}
	for b.Loop() {
		m.Spend(1, stream.Purse{Organization: org, Of: "organization", Rate: rate},
			stream.Purse{Organization: org, Of: "user_x", Rate: rate},
			stream.Purse{Organization: org, Of: "token_x", Rate: rate})
	}
}
