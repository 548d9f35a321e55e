package devicelink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent/schema"
)

const (
	// timeEvery is how many heartbeats there are to a Time: one a minute.
	timeEvery = 3
	// farOff is how wrong the clock of a device may be whose doors are to unlock.
	farOff = 10 * time.Second
	// notable is how far a clock must have moved for that to be stored.
	notable = 500 * time.Millisecond
)

// clock is what a link knows of the device's clock. What it knows is certain: the device read its clock
// between the question and the answer, and what that leaves open counts for the device.
type clock struct {
	mu     sync.Mutex
	asked  int64     // the sequence of the last Time
	at     time.Time // when that was
	heard  time.Time // when its answer came
	offset time.Duration
	stored time.Duration // of offset, what the device's row has
}

// aheadBy is how far a clock is ahead at least that showed something at an instant in between;
// negative: behind.
func aheadBy(showed, asked, answered time.Time) time.Duration {
	if least := showed.Sub(answered); least > 0 {
		return least.Truncate(time.Millisecond)
	}
	return min(showed.Sub(asked), 0).Truncate(time.Millisecond)
}

// ask takes note of a Time that is about to be written, and completes it.
func (c *clock) ask(t *Time, sequence int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.HeardAt = c.heard
	c.asked, c.at, c.heard = sequence, schema.Now(), time.Time{}
	t.ServerTime = c.at
}

// answer takes an answer in. It returns what was learned if that is to be stored: answers to any but
// the last question say nothing, and small movements are not worth a write.
func (c *clock) answer(a *Clock) (offset time.Duration, news bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Answers != c.asked || !c.heard.IsZero() {
		return 0, false
	}
	c.heard = schema.Now()
	c.offset = aheadBy(a.At, c.at, c.heard)
	news = (c.offset-c.stored).Abs() >= notable ||
		access.ClockWrong(c.offset) != access.ClockWrong(c.stored)
	return c.offset, news
}

// keep takes note of what the device's row has.
func (c *clock) keep(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stored = offset
}

// begin takes over what the hello showed, and the row has.
func (c *clock) begin(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.stored = offset, offset
}

func (c *clock) now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// tellTime sends the device the server's time.
func (l *link) tellTime() error { return l.write(&Time{}, time.Time{}) }

// heardClock stores what the device's clock shows, if that is news.
func (l *link) heardClock(ctx context.Context, answer *Clock) error {
	offset, news := l.clock.answer(answer)
	if !news {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := l.handler.access.RecordClock(ctx, l.Epoch, offset); err != nil {
		return fmt.Errorf("record clock: %w", err)
	}
	l.clock.keep(offset)
	return nil
}
