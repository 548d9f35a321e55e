package devicelink

import (
	"context"
	"time"
)

// Reaper lets tests of this package make rounds at instants of their choice.
type Reaper struct{ reaper *reaper }

// NewReaper returns a reaper that nobody else runs.
func NewReaper(h *Handler) Reaper { return Reaper{newReaper(h)} }

// Round makes a round.
func (r Reaper) Round(ctx context.Context, now time.Time) error { return r.reaper.round(ctx, now) }
