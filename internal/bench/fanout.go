package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/cardea/cardea/internal/bench/tally"
)

// The subscriptions of the fan-outs. Each begins with a snapshot, which is how a client knows that it
// is one.
const (
	watchEvents = `subscription ($ids: [ID!]) { doors(ids: $ids) {
		cursor doorId event { id type occurredAt } } }`
	watchDoor = `subscription ($ids: [ID!]) { doors(ids: $ids) {
		cursor event { id type occurredAt } door { id name lockState position } } }`
)

// fanouts are S1: one door, many subscribers; and S2: many doors, few subscribers of each.
func (b *bench) fanouts(s sides) (all []contest) {
	for _, one := range []struct {
		what, document string
		audience, rate int
	}{
		{"its events", watchEvents, b.scale.audience, 20},
		{"its events and state", watchDoor, b.scale.audience, 20},
		{"its events and state", watchDoor, b.scale.audience, 100},
		{"its events and state", watchDoor, b.scale.audience * 10, 4},
	} {
		all = append(all, b.oneDoor(s, one.document, one.audience, one.rate,
			fmt.Sprintf("S1 one door, %d subscribers to %s, %d a second", one.audience, one.what, one.rate)))
	}
	for _, each := range []int{1, 5} {
		all = append(all, b.manyDoors(s, each))
	}
	return all
}

func (b *bench) oneDoor(s sides, document string, audience, rate int, name string) contest {
	var size int64 // of a message
	count, pace := strconv.Itoa(audience), strconv.Itoa(rate)
	return contest{
		name: name, rounds: b.scale.longRounds,
		cardea: func(ctx context.Context) (tally.Block, error) {
			block, err := b.spread(ctx, s.cardea,
				append(b.subscribed(s.cardea, document), "-n", count),
				append(b.linked(s.cardea), "-rate", pace))
			size = block.Bytes / int64(max(block.Done, 1))
			return block, err
		},
		floor: func(ctx context.Context) (tally.Block, error) {
			return b.spread(ctx, s.floor, []string{"-url", webSocket(s.floor) + "/listen", "-n", count},
				[]string{"-url", fmt.Sprintf("%s/publish?size=%d", webSocket(s.floor), size), "-rate", pace})
		},
	}
}

// manyDoors has five subscribers for each door, so many of them on each connection, and 500 events a
// second over all doors.
func (b *bench) manyDoors(s sides, each int) contest {
	const events, watchers = 500, 5
	var size int64
	doors := len(b.world.Many)
	connections := doors * watchers / each
	listening := []string{"-n", strconv.Itoa(connections), "-each", strconv.Itoa(each)}
	reporting := []string{"-n", strconv.Itoa(reporters), "-ports", strconv.Itoa(ports),
		"-rate", strconv.Itoa(events / reporters)}
	return contest{
		name: fmt.Sprintf("S2 %d doors, %d subscribers of each, %d on each connection",
			doors, watchers, each),
		rounds: b.scale.longRounds,
		cardea: func(ctx context.Context) (block tally.Block, err error) {
			payloads, err := b.payloads(watchDoor)
			if err != nil {
				return block, err
			}
			block, err = b.spread(ctx, s.cardea, append([]string{"-url", webSocket(s.cardea) + "/graphql",
				"-token", b.world.Token, "-payloads", payloads}, listening...),
				append(b.linked(s.cardea), reporting...))
			size = block.Bytes / int64(max(block.Done, 1))
			return block, err
		},
		floor: func(ctx context.Context) (tally.Block, error) {
			return b.spread(ctx, s.floor, append([]string{"-url", webSocket(s.floor) + "/listen",
				"-topics", strconv.Itoa(doors)}, listening...),
				append([]string{"-url", fmt.Sprintf("%s/publish?size=%d&ports=%d&link={link}",
					webSocket(s.floor), size, ports)}, reporting...))
		},
	}
}

// subscription is the payload of a subscription to a door.
func subscription(document string, door any) []byte {
	payload, _ := json.Marshal(map[string]any{ // strings
		"query": document, "variables": map[string]any{"ids": []any{door}},
	})
	return payload
}

// payloads writes a subscription to each of the many doors into a file for the load client.
func (b *bench) payloads(document string) (path string, err error) {
	var text bytes.Buffer
	for _, door := range b.world.Many {
		text.Write(append(subscription(document, door), '\n'))
	}
	path = b.path("subscriptions.jsonl")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// subscribed are the arguments of the load client for subscribers to the first door.
func (b *bench) subscribed(p *program, document string) []string {
	return []string{
		"-url", webSocket(p) + "/graphql", "-token", b.world.Token,
		"-subscribe", string(subscription(document, b.world.Doors[0])),
	}
}

// spread is a block of deliveries: an audience listens while devices report.
func (b *bench) spread(
	ctx context.Context, p *program, listen, report []string,
) (tally.Block, error) {
	audience, err := b.load(ctx, append([]string{"sockets"}, listen...)...)
	if err != nil {
		return tally.Block{}, err
	}
	block, err := b.during(ctx, p, func() (tally.Block, error) {
		device, err := b.load(ctx, append([]string{
			"devices", "-for", b.scale.fanout.String(),
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
