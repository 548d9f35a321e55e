// Package tally counts: it holds what the load client prints and the bench driver reads, one Block
// for each stretch of load.
//
// The package imports the standard library.
package tally

import (
	"slices"
	"sync"
	"time"
)

// Ready is the line that the load client prints when its preparation is over: what it counts, it
// counts from then on. A Block as one line of JSON is the last that it prints.
const Ready = "ready"

// Block is one measured stretch of load on one subject. The client fills what it can see; what the
// servers spent is filled by who can see them.
type Block struct {
	Done    int           `json:"done"`    // units: requests, reports, deliveries, connections
	Bytes   int64         `json:"bytes"`   // of the answers to them
	Elapsed time.Duration `json:"elapsed"` // from the first unit to the last
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`

	CPU      time.Duration `json:"cpu"`      // of the subject's process
	Database time.Duration `json:"database"` // of all processes of Postgres
	Memory   int64         `json:"memory"`   // resident bytes that the subject's process gained
}

// Each is an amount divided by the units done.
func (b Block) Each(amount float64) float64 { return amount / float64(max(b.Done, 1)) }

// Clock collects the units of one client. It is safe for concurrent use.
type Clock struct {
	mu          sync.Mutex
	took        []time.Duration
	bytes       int64
	first, last time.Time
}

// Add counts a unit.
func (c *Clock) Add(took time.Duration, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = append(c.took, took)
	c.bytes += int64(bytes)
	if c.last = time.Now(); c.first.IsZero() {
		c.first = c.last
	}
}

// Total is the block of what all clients have counted.
func Total(clocks []*Clock) (b Block) {
	var all []time.Duration
	var first, last time.Time
	for _, c := range clocks {
		c.mu.Lock()
		all = append(all, c.took...)
		b.Bytes += c.bytes
		if first.IsZero() || !c.first.IsZero() && c.first.Before(first) {
			first = c.first
		}
		if c.last.After(last) {
			last = c.last
		}
		c.mu.Unlock()
	}
	slices.Sort(all)
	b.Done, b.P50, b.P99 = len(all), at(all, 0.50), at(all, 0.99)
	b.Elapsed = last.Sub(first)
	return b
}

// Median is the middle value, or the mean of the two in the middle; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func at(sorted []time.Duration, quantile float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(quantile*float64(len(sorted)-1))]
}
