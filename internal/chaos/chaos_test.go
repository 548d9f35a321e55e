package main

import (
	"slices"
	"testing"
	"time"
)

// TestChaos is a short run, on servers of its own, with other faults each time. A failure prints its
// seed: make chaos SEED=… ROUNDS=… does the same again.
func TestChaos(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := run(t.Context(), []string{
		"-dir", dir, "-rounds", "6", "-nodes", "2", "-organizations", "2", "-doors", "64",
		"-reports", "40", "-subscribers", "60", "-unlocks", "6", "-longest", "3s", "-calm", "1s",
		"-recovery", "30s", // tests of other packages run beside it
	}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	s := size{rounds: 50, nodes: 3, longest: 20 * time.Second}
	names := func(seed uint64) (all []string) {
		faults, err := plan(seed, s, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range faults {
			all = append(all, f.String())
		}
		return all
	}
	if !slices.Equal(names(7), names(7)) || slices.Equal(names(7), names(8)) {
		t.Error("the seed does not decide")
	}
	faults, err := plan(7, s, "")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, f := range faults {
		count[f.name]++
		if f.last > s.longest || f.node >= s.nodes {
			t.Errorf("drawn: %s", f)
		}
	}
	for _, k := range kinds {
		if count[k.name] < len(faults)/len(kinds) {
			t.Errorf("%s comes %d times in %d rounds", k.name, count[k.name], len(faults))
		}
	}
	if _, err := plan(7, s, "flood"); err == nil {
		t.Error("there is no flood")
	}
}
