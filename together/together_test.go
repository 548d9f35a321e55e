package together_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea/cardea/together"
)

// shop is what is fetched from: how much there is of anything changes as time goes.
type shop struct {
	takes   time.Duration
	fail    error
	mu      sync.Mutex
	stock   int
	fetches [][]string
	ended   int // how many
}

func (s *shop) fetch(ctx context.Context, keys []string) (map[string]int, error) {
	s.mu.Lock()
	s.fetches = append(s.fetches, slices.Sorted(slices.Values(keys)))
	stock := s.stock
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		s.mu.Lock()
		s.ended++
		s.mu.Unlock()
		return nil, ctx.Err()
	}
	if slices.Contains(keys, "panic") {
		panic("out of stock")
	}
	found := map[string]int{}
	for _, key := range keys {
		found[key] = stock
	}
	return found, s.fail
}

func (s *shop) fetched() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.fetches)
}

func (s *shop) stopped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *shop) change() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stock++
	return s.stock
}

func TestThoseWhoComeMeanwhileAreServedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shop{takes: time.Millisecond}
		f := together.New[string](s.fetch)
		ask := func(group, key string) {
			go func() {
				if found, err := f.Get(t.Context(), group, []string{key}); err != nil || found[key] != 0 {
					t.Errorf("%s: %v, %v", key, found, err)
				}
			}()
			synctest.Wait()
		}
		ask("quay", "a")
		for _, key := range []string{"b", "c", "b", "d"} {
			ask("quay", key)
		}
		ask("harbour", "e")
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // bubble
		want := [][]string{{"a"}, {"e"}, {"b", "c", "d"}}
		if got := s.fetched(); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("fetched %v, not %v", got, want)
		}
		ask("quay", "f")
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // bubble
		if got := s.fetched(); len(got) != 4 {
			t.Errorf("fetched %v", got)
		}
	})
}

// TestNothingOlderIsFound has many ask while what they ask for changes: each finds the change that was
// there when they asked, or a later one.
func TestNothingOlderIsFound(t *testing.T) {
	t.Parallel()
	s := &shop{}
	f := together.New[int](s.fetch)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				least := s.change()
				found, err := f.Get(t.Context(), i%2, []string{"a"})
				if err != nil || found["a"] < least {
					t.Errorf("found %d after %d: %v", found["a"], least, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestASlowFetchIsNotWaitedFor: nor is one that never ends.
func TestASlowFetchIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var first atomic.Bool
		f := together.New[struct{}](func(ctx context.Context, keys []string) (map[string]int, error) {
			if first.CompareAndSwap(false, true) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return map[string]int{keys[0]: len(keys)}, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if _, err := f.Get(ctx, struct{}{}, []string{"a"}); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}()
		synctest.Wait()
		for range 3 {
			begun := time.Now()
			found, err := f.Get(t.Context(), struct{}{}, []string{"b"})
			if took := time.Since(begun); err != nil || found["b"] != 1 || took > 6*time.Millisecond {
				t.Errorf("%v, %v after %v", found, err, took)
			}
		}
		cancel()
		synctest.Wait()
		if found, err := f.Get(t.Context(), struct{}{}, []string{"b"}); err != nil || found["b"] != 1 {
			t.Errorf("%v, %v", found, err)
		}
	})
}

// TestWhoGivesUpLeavesTheOthersTheirs: whoever leads them too.
func TestWhoGivesUpLeavesTheOthersTheirs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shop{takes: time.Millisecond}
		f := together.New[struct{}](s.fetch)
		var others sync.WaitGroup
		ask := func(ctx context.Context, key string, want error) {
			others.Go(func() {
				if _, err := f.Get(ctx, struct{}{}, []string{key}); !errors.Is(err, want) {
					t.Errorf("%s: %v, not %v", key, err, want)
				}
			})
			synctest.Wait()
		}
		leaving, leave := context.WithCancel(t.Context())
		ask(t.Context(), "a", nil)
		ask(leaving, "b", nil) // it leads, and has to see it through
		ask(leaving, "c", context.Canceled)
		ask(t.Context(), "d", nil)
		leave()
		others.Wait()
		if got := s.fetched(); len(got) != 2 || s.stopped() != 0 {
			t.Errorf("fetched %v, of which %d were ended", got, s.stopped())
		}
		alone, leave := context.WithTimeout(t.Context(), time.Microsecond)
		defer leave()
		ask(alone, "e", context.DeadlineExceeded)
		others.Wait()
		if s.stopped() != 1 {
			t.Error("what nobody waits for goes on")
		}
	})
}

func TestFailuresAreEverybodys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shop{takes: time.Millisecond, fail: errors.New("closed")}
		f := together.New[struct{}](s.fetch)
		for _, key := range []string{"a", "b", "c"} {
			go func() {
				if _, err := f.Get(t.Context(), struct{}{}, []string{key}); !errors.Is(err, s.fail) {
					t.Errorf("%s: %v", key, err)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // bubble
		f = together.New[struct{}]((&shop{}).fetch)
		if _, err := f.Get(t.Context(), struct{}{}, []string{"panic"}); err == nil {
			t.Error("a panic is no error")
		}
		if _, err := f.Get(t.Context(), struct{}{}, []string{"d"}); err != nil {
			t.Errorf("after a panic: %v", err)
		}
	})
}
