package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cardea/cardea/internal/bench/tally"
)

// unlock is the round trip of a command: from the request to the answer that it is CONFIRMED, with a
// device that takes no time.
func (b *bench) unlock(s sides) (contest, error) {
	bodies, err := b.bodies(question{
		document: unlocking, path: "/unlock",
		variables: []any{map[string]any{"doorId": b.world.Doors[0]}},
	})
	side := func(p *program, path string, device ...string) func(context.Context) (tally.Block, error) {
		return func(ctx context.Context) (block tally.Block, err error) {
			link, err := b.load(ctx, append([]string{"devices"}, device...)...)
			if err != nil {
				return block, err
			}
			block, err = b.ask(ctx, p, path, bodies, 1, "-expect", `"stage":"CONFIRMED"`)
			_, ended := link.stop()
			return block, errors.Join(err, ended)
		}
	}
	return contest{
		name:   "Unlock, request to CONFIRMED, c=1",
		rounds: b.scale.rounds,
		cardea: side(s.cardea, "/graphql", b.linked(s.cardea)...),
		floor:  side(s.floor, "/unlock", "-url", webSocket(s.floor)+"/lock"),
	}, err
}

// linked are the arguments of the load client for devices of the world.
func (b *bench) linked(p *program) []string {
	return []string{"-url", p.url, "-identities", b.path("devices.json")}
}

func webSocket(p *program) string { return "ws" + strings.TrimPrefix(p.url, "http") }

// batch is the most reports of a link that share a transaction, as in Cardea.
const batch = 128

// reports are devices that report as fast as they are acknowledged. The floor is there twice: as
// inserts with a transaction for each report, and as inserts that share one as Cardea's do.
func (b *bench) reports(s sides) (all []contest) {
	for _, floor := range []struct {
		name  string
		batch int
	}{{"a transaction for each", 1}, {"shared transactions", batch}} {
		for _, fleet := range []struct{ devices, window int }{{1, 2 * batch}, {reporters, 16}} {
			side := func(p *program, args ...string) func(context.Context) (tally.Block, error) {
				return func(ctx context.Context) (tally.Block, error) {
					return b.loaded(ctx, p, append([]string{
						"devices", "-n", strconv.Itoa(fleet.devices),
						"-window", strconv.Itoa(fleet.window),
						"-for", b.scale.block.String(),
					}, args...)...)
				}
			}
			all = append(all, contest{
				name:   fmt.Sprintf("Reports, devices=%d; floor with %s", fleet.devices, floor.name),
				cardea: side(s.cardea, b.linked(s.cardea)...),
				rounds: b.scale.rounds,
				floor: side(s.floor, "-url",
					fmt.Sprintf("%s/reports?batch=%d", webSocket(s.floor), floor.batch)),
			})
		}
	}
	return all
}
