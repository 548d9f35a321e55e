package client

import (
	"sync"
	"time"

	"github.com/cardea/cardea/devicelink"
)

// serverClock is our idea of the server's clock. It is never behind that: what the server's clock
// showed later than an instant of ours is taken for what it showed then. What passes since counts on
// a clock that only goes forward.
type serverClock struct {
	mu     sync.Mutex
	showed time.Time // at the latest, at the instant at
	at     time.Time
	said   time.Time // when we answered the last Time
}

// begin begins a connection: the welcome was asked for at an instant.
func (c *serverClock) begin(w *devicelink.Welcome, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.showed, c.at, c.said = w.ServerTime, asked, time.Time{}
}

// now is our idea of what the server's clock shows.
func (c *serverClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() { // it has told nothing yet
		return time.Now()
	}
	return c.showed.Add(time.Since(c.at))
}

// heed takes in what a Time tells, which is answered at an instant. Clocks drift apart: our last answer
// came after it was given, and before the server says; and it is not earlier than the server says now.
func (c *serverClock) heed(t *devicelink.Time, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.HeardAt.IsZero() && !c.said.IsZero() {
		c.showed, c.at = t.HeardAt, c.said
	}
	if c.showed.Add(now.Sub(c.at)).Before(t.ServerTime) {
		c.showed, c.at = t.ServerTime, now
	}
	c.said = now
}
