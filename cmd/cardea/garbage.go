package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// room is how much garbage may gather, at least, before it is collected.
	room = 16 << 20
	// usual is how much Go lets gather: as much as there is in use.
	usual = 100
	most  = 1000
	live  = "/gc/heap/live:bytes"
)

// spareWork has garbage collected when there is enough of it to be worth the work. With the few MiB that a
// node has in use, as much again is there a hundred times a second. The more is in use, the less this
// changes: with room and more, nothing.
func spareWork(ctx context.Context) error {
	inUse := []metrics.Sample{{Name: live}}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for last := usual; ; {
		metrics.Read(inUse)
		if now := percentFor(inUse[0].Value.Uint64()); now < last*9/10 || now > last*11/10 {
			debug.SetGCPercent(now)
			last = now
		}
		select {
		case <-ctx.Done():
			debug.SetGCPercent(usual)
			return nil
		case <-every.C:
		}
	}
}

// percentFor is how much garbage there may be to what is in use.
func percentFor(inUse uint64) int {
	return int(min(max(room*usual/max(inUse, 1), usual), most))
}
