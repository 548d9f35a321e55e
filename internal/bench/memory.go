package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/cardea/cardea/internal/bench/tally"
)

// idle measures what a connection holds that does nothing. Each block has fresh programs, because Go
// gives memory back late.
func (b *bench) idle(ctx context.Context, wanted *regexp.Regexp) ([]measured, error) {
	echo := func(p *program) []string { return []string{"sockets", "-url", webSocket(p) + "/echo"} }
	floor := func(ctx context.Context) (tally.Block, error) {
		return b.hold(ctx, b.startFloor, echo)
	}
	contests := []contest{{
		name: fmt.Sprintf("Idle subscriber, of %d", b.scale.connections), rounds: b.scale.longRounds,
		cardea: func(ctx context.Context) (tally.Block, error) {
			return b.hold(ctx, b.startCardea, func(p *program) []string {
				return append([]string{"sockets"}, b.subscribed(p, watchDoor)...)
			})
		},
		floor: floor,
	}, {
		name: fmt.Sprintf("Idle device link, of %d", b.scale.connections), rounds: b.scale.longRounds,
		cardea: func(ctx context.Context) (tally.Block, error) {
			return b.hold(ctx, b.startCardea, func(p *program) []string {
				return append([]string{"devices"}, b.linked(p)...)
			})
		},
		floor: floor,
	}}
	return b.measureAll(ctx, contests, wanted)
}

// hold is a block of idle connections to a server of its own.
func (b *bench) hold(
	ctx context.Context, start func(context.Context) (*program, error), load func(*program) []string,
) (block tally.Block, err error) {
	p, err := start(ctx)
	if err != nil {
		return block, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	// What the first connections cost, such as a pool to Postgres, is not shared out among all.
	if _, err := b.connected(ctx, p, load(p), b.scale.connections/20, 0); err != nil {
		return block, err
	}
	before, err := usageOf(ctx, p.cmd.Process.Pid)
	if err != nil {
		return block, err
	}
	after, err := b.connected(ctx, p, load(p), b.scale.connections, b.scale.settling)
	block.Done, block.Memory = b.scale.connections, after.resident-before.resident
	return block, err
}

// connected is what a server has in use once so many connections are open and have been idle for a
// while.
func (b *bench) connected(
	ctx context.Context, p *program, load []string, count int, settling time.Duration,
) (in usage, err error) {
	l, err := b.load(ctx, append(load, "-n", strconv.Itoa(count))...)
	if err != nil {
		return in, err
	}
	settled := time.NewTimer(settling)
	defer settled.Stop()
	select {
	case <-settled.C:
		in, err = usageOf(ctx, p.cmd.Process.Pid)
	case <-ctx.Done():
	}
	_, ended := l.stop()
	return in, errors.Join(err, ended)
}
