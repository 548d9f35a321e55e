package client

import (
	"testing"
	"time"

	"github.com/cardea/cardea/devicelink"
)

// TestServerClockIsNeverBehind follows a device whose clock runs slow, and one whose clock runs fast.
func TestServerClockIsNeverBehind(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]float64{"slow": 0.9, "fast": 1.1, "right": 1} {
		began := time.Now()
		own := func(since time.Duration) time.Time { // as the device counts what passed
			return began.Add(time.Duration(float64(since) * rate))
		}
		var c serverClock
		c.begin(&devicelink.Welcome{ServerTime: noon.Add(time.Second)}, own(0)) // it took a second
		var heard time.Time
		for minute := range 60 {
			at := time.Duration(minute+1) * time.Minute
			c.heed(&devicelink.Time{ServerTime: noon.Add(at), HeardAt: heard}, own(at+time.Second))
			heard = noon.Add(at + 2*time.Second) // the wire takes a second each way
			off := c.showed.Add(own(at + time.Second).Sub(c.at)).Sub(noon.Add(at + time.Second))
			if off < -time.Second-time.Second/10 || off > 8*time.Second {
				t.Errorf("%s: after %s it is off by %s", name, at, off)
			}
			if rate >= 1 && off < 0 {
				t.Errorf("%s: after %s it is behind by %s", name, at, -off)
			}
		}
	}
}
