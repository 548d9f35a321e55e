package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/cardea/cardea/internal/bench/tally"
)

// rate is events per second at the door that all watch.
const rate = 20

// The subscriptions of S1. Both begin with a snapshot, which is how a client knows that it is one.
const (
	watchEvents = `subscription ($ids: [ID!]) { doors(ids: $ids) {
		cursor doorId event { id type occurredAt } } }`
	watchDoor = `subscription ($ids: [ID!]) { doors(ids: $ids) {
		cursor event { id type occurredAt } door { id name lockState position } } }`
)

// fanout is S1: one door, many subscribers.
func (b *bench) fanout(s sides) (all []contest) {
	for _, watched := range []struct{ name, document string }{
		{"its events", watchEvents}, {"its events and state", watchDoor},
	} {
		var size int64 // of a message
		all = append(all, contest{
			name:   fmt.Sprintf("S1 one door, %d subscribers to %s", b.scale.audience, watched.name),
			rounds: b.scale.longRounds,
			cardea: func(ctx context.Context) (tally.Block, error) {
				block, err := b.spread(ctx, s.cardea, b.subscribed(s.cardea, watched.document),
					b.linked(s.cardea))
				size = block.Bytes / int64(max(block.Done, 1))
				return block, err
			},
			floor: func(ctx context.Context) (tally.Block, error) {
				return b.spread(ctx, s.floor, []string{"-url", webSocket(s.floor) + "/listen"},
					[]string{"-url", fmt.Sprintf("%s/publish?size=%d", webSocket(s.floor), size)})
			},
		})
	}
	return all
}

// subscribed are the arguments of the load client for subscribers to the first door.
func (b *bench) subscribed(p *program, document string) []string {
	payload, _ := json.Marshal(map[string]any{ // strings
		"query": document, "variables": map[string]any{"ids": b.world.Doors[:1]},
	})
	return []string{
		"-url", webSocket(p) + "/graphql", "-token", b.world.Token, "-subscribe", string(payload),
	}
}

// spread is a block of deliveries: an audience listens while one device reports.
func (b *bench) spread(
	ctx context.Context, p *program, listen, report []string,
) (tally.Block, error) {
	audience, err := b.load(ctx, append([]string{
		"sockets", "-n", strconv.Itoa(b.scale.audience),
	}, listen...)...)
	if err != nil {
		return tally.Block{}, err
	}
	block, err := b.during(ctx, p, func() (tally.Block, error) {
		device, err := b.load(ctx, append([]string{
			"devices", "-rate", strconv.Itoa(rate), "-for", b.scale.fanout.String(),
		}, report...)...)
		if err != nil {
			return tally.Block{}, err
		}
		return device.result()
	})
	heard, ended := audience.stop()
	heard.CPU, heard.Database = block.CPU, block.Database
	return heard, errors.Join(err, ended)
}
