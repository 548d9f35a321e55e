package main

import (
	"io"
	"testing"
)

// TestSubscriptionsAreCompared: what is missing, comes twice or in another order is found, whether the
// journal or the program was first; what comes again to who has gone back is not.
func TestSubscriptionsAreCompared(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		got   []int64
		wrong bool
	}{
		"as it should": {[]int64{1, 2, 3, 4}, false},
		"one missing":  {[]int64{1, 2, 4}, true},
		"one twice":    {[]int64{1, 2, 2, 3, 4}, true},
		"two turned":   {[]int64{1, 3, 2, 4}, true},
		"one too many": {[]int64{1, 2, 3, 5}, true},
	} {
		for _, journalFirst := range []bool{true, false} {
			run := &chaos{out: io.Discard}
			s := &subscription{chaos: run}
			hear := func() {
				for _, n := range c.got {
					s.receive(place{sequence: n}, "")
				}
			}
			if !journalFirst {
				hear()
			}
			for n := range int64(4) {
				s.expect(place{sequence: n + 1})
			}
			if journalFirst {
				hear()
			}
			if run.failed() != c.wrong {
				t.Errorf("%s, journal first %v: found wrong %v", name, journalFirst, run.failed())
			}
		}
	}
}

func TestWhoGoesBackHearsTheSame(t *testing.T) {
	t.Parallel()
	run := &chaos{out: io.Discard}
	s := &subscription{chaos: run}
	for n := range int64(5) {
		s.receive(place{sequence: n + 1}, "")
	}
	s.at = 3
	s.receive(place{sequence: 4}, "")
	if s.missing(5) != 0 || run.failed() {
		t.Error("the same is wrong")
	}
	s.receive(place{sequence: 6}, "")
	if !run.failed() {
		t.Error("another is not")
	}
}
