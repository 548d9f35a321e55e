package tally_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cardea/cardea/internal/bench/tally"
)

func TestTotalIsOfAllClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clocks := []*tally.Clock{new(tally.Clock), new(tally.Clock), new(tally.Clock)}
		for i := range 100 {
			clocks[i%2].Add(time.Duration(100-i)*time.Millisecond, 10)
			time.Sleep(time.Second) //nolint:forbidigo // bubble
		}
		got := tally.Total(clocks)
		want := tally.Block{
			Done: 100, Bytes: 1000, Elapsed: 99 * time.Second,
			P50: 50 * time.Millisecond, P99: 99 * time.Millisecond,
		}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	if got := tally.Total([]*tally.Clock{{}}); got != (tally.Block{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, values := range map[float64][]float64{
		0: nil, 7: {7}, 2: {3, 1, 2}, 2.5: {4, 1, 3, 2},
	} {
		if got := tally.Median(values); got != want {
			t.Errorf("median of %v is %v", values, got)
		}
	}
}
