package uhppote

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/cardea/cardea/devicelink"
)

const (
	// clockEvery is how often the controller's clock is looked at.
	clockEvery = time.Hour
	// clockSlack is how wrong it may be. It has whole seconds.
	clockSlack = 2 * time.Second
)

// clock is the controller's, as far as we know it: its records have its time.
func (a *Agent) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now()
}

// now is clock with a.mu held.
func (a *Agent) now() time.Time { return time.Now().Add(a.skew).UTC().Truncate(time.Microsecond) }

// measure finds out how far ahead the controller's clock is. It says what second it is, so it is taken
// to be in the middle of that.
func (a *Agent) measure(ctx context.Context) error {
	asked := time.Now()
	at, err := a.controller.time(ctx)
	if err != nil {
		return err
	}
	halfway := asked.Add(time.Since(asked) / 2)
	skew := at.Add(500 * time.Millisecond).Sub(halfway).Round(time.Millisecond)
	if skew.Abs() < time.Second {
		skew = 0 // as good as it can be known
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.skew, a.timed = skew, time.Now()
	return nil
}

// keepTime sets the controller's clock if it is wrong, once Cardea was told how wrong it is: the hello
// has the time of the clock as it was. What was recorded by the wrong clock keeps its time.
func (a *Agent) keepTime(ctx context.Context) error {
	a.mu.Lock()
	stale, linked := time.Since(a.timed) > clockEvery, a.linked
	a.mu.Unlock()
	if stale {
		if err := a.measure(ctx); err != nil {
			return err
		}
	}
	a.mu.Lock()
	skew := a.skew
	a.mu.Unlock()
	if !linked || skew.Abs() <= clockSlack {
		return nil
	}
	if err := a.controller.setTime(ctx, time.Now().UTC()); err != nil {
		return fmt.Errorf("set clock: %w", err)
	}
	a.config.Logger.WarnContext(ctx, "controller's clock was wrong and is set", "clock_skew", skew)
	if err := a.measure(ctx); err != nil {
		return err
	}
	data, _ := json.Marshal(map[string]int64{"skewMilliseconds": skew.Milliseconds()})
	return a.log.Append(0, &devicelink.Report{
		At: a.clock(), Event: "device.clock_set", Data: data,
	})
}
