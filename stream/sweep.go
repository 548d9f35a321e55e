package stream

import (
	"context"

	"github.com/cardea/cardea/typeid"
)

// sweeps sweeps again and again. Redis and Postgres may be away for as long as they like.
func (r *Relay) sweeps(ctx context.Context) {
	failures := 0
	for round := 1; ; round++ {
		wait := jitter(sweepEvery)
		if failures > 0 {
			wait = backoff(failures)
		}
		if !pause(ctx, wait) {
			return
		}
		if failures > 0 || round%fullSweep == 0 {
			r.forget()
		}
		if err := r.sweep(ctx); err != nil {
			failures++
			continue
		}
		failures = 0
	}
}

// forget makes the next sweep look at every stream.
func (r *Relay) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.reached)
}

// sweep lines up every organization whose stream is behind its journal. When none is, it costs one
// query, and one round to Redis for the organizations that moved without this relay.
func (r *Relay) sweep(ctx context.Context) error {
	heads, err := r.log.Heads(ctx)
	if ctx.Err() == nil {
		r.journal.report(err)
	}
	if err != nil {
		return err
	}
	ends, err := r.stream.ends(ctx, r.doubtful(heads))
	if err != nil {
		return err
	}
	for org, last := range ends {
		if last > heads[org] {
			if ends[org], err = r.cut(ctx, org, last); err != nil {
				return err
			}
		}
	}
	r.settle(heads, ends)
	signal(r.wake)
	return nil
}

// doubtful returns the organizations whose stream is not known to have the head. Those that are
// being relayed right now need no sweep.
func (r *Relay) doubtful(heads map[typeid.Organization]int64) []typeid.Organization {
	r.mu.Lock()
	defer r.mu.Unlock()
	var orgs []typeid.Organization
	for org, head := range heads {
		if r.reached[org] < head && r.pending[org] == nil {
			orgs = append(orgs, org)
		}
	}
	return orgs
}

// settle notes where the streams end, and lines up those that are behind.
func (r *Relay) settle(heads, ends map[typeid.Organization]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for org, last := range ends {
		if last >= heads[org] {
			r.reached[org] = last
		} else {
			r.awaiting(org).behind = true
		}
	}
}

// cut drops a stream that is ahead of its journal, as after Postgres was restored from a backup:
// new events would bounce off it as duplicates. The end was read after the heads, so it asks again
// first. It returns where the stream ends then.
func (r *Relay) cut(ctx context.Context, org typeid.Organization, last int64) (int64, error) {
	head, err := r.log.Head(ctx, org)
	if err != nil || last <= head {
		return last, err
	}
	r.stream.config.Log.Error("stream is ahead of the journal: dropped",
		"organization", org, "stream", last, "journal", head)
	return 0, r.stream.drop(ctx, org)
}
