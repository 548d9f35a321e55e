package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"time"
)

// fault is one thing that is done to the installation, and undone.
type fault struct {
	kind
	node int           // to which, if it is done to one
	last time.Duration // how long
}

// kind is a sort of fault.
type kind struct {
	name string
	// least and most bound how long it lasts; no most: as long as it takes.
	least, most time.Duration
	do          func(context.Context, *chaos, fault) error // returns when it is over
}

func (f fault) String() string {
	if f.last == 0 {
		return fmt.Sprintf("%s (node %d)", f.name, f.node+1)
	}
	return fmt.Sprintf("%s (node %d), %.1f s", f.name, f.node+1, f.last.Seconds())
}

// plan draws what is done in each round. Every kind comes before one comes again.
func plan(seed uint64, s size, only string) ([]fault, error) {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var choice []kind
	for _, k := range kinds {
		if wanted.MatchString(k.name) {
			choice = append(choice, k)
		}
	}
	if len(choice) == 0 {
		return nil, errors.New("-only: there is no such fault")
	}
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // to be drawn again
	faults := make([]fault, 0, s.rounds+len(choice))
	for len(faults) < s.rounds {
		for _, i := range random.Perm(len(choice)) {
			faults = append(faults, draw(random, choice[i], s))
		}
	}
	return faults[:s.rounds], nil
}

func draw(random *rand.Rand, k kind, s size) fault {
	f := fault{kind: k, node: random.IntN(s.nodes)}
	share := random.Float64()
	if most := min(k.most, s.longest); most > 0 {
		least := min(k.least, most)
		f.last = least + time.Duration(share*float64(most-least)).Truncate(100*time.Millisecond)
	}
	return f
}
