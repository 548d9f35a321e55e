package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/internal/bench/tally"
	"github.com/cardea/cardea/internal/hostile"
)

// What honest clients do meanwhile, and what hostile ones do.
const (
	honestClients, honestEvery   = 8, 80 * time.Millisecond // 100 a second
	hostileClients, hostileEvery = 8, 40 * time.Millisecond // 200 a second
	// As many forms of each document are sent, so that none is known from the last time.
	hostileForms = 60
	longestBody  = 60 << 10
)

// siege measures what honest requests take, alone and beside hostile ones, in turns.
func (b *bench) siege(ctx context.Context) (figures string, err error) {
	facts, err := b.machine(ctx)
	if err != nil {
		return "", err
	}
	questions, err := b.questions(ctx)
	if err != nil {
		return "", err
	}
	honest, err := b.bodies(questions[0])
	if err != nil {
		return "", err
	}
	hostile, err := b.hostileBodies()
	if err != nil {
		return "", err
	}
	p, err := b.startCardea(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var rows strings.Builder
	before, err := usageOf(ctx, p.cmd.Process.Pid)
	for range b.scale.longRounds {
		var alone, beside, others tally.Block
		if err == nil {
			alone, err = b.honest(ctx, p, honest)
		}
		if err == nil {
			beside, others, err = b.besieged(ctx, p, honest, hostile)
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&rows, "| %.2f | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f |\n", ms(alone.P50), ms(beside.P50),
			ms(alone.P99), ms(beside.P99), float64(others.Done)/others.Elapsed.Seconds(),
			ms(others.P50), ms(others.P99))
	}
	after, err := usageOf(ctx, p.cmd.Process.Pid) // the same process, or it is an error
	facts, _, _ = strings.Cut(facts, "Seed ")
	return facts + fmt.Sprintf(`
| p50 alone, ms | beside | p99 alone | beside | hostile a second | p50 of these | p99 |
|---|---|---|---|---|---|---|
%s
Resident memory before and after: %d and %d MiB.
`, rows.String(), before.resident>>20, after.resident>>20), err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (b *bench) honest(ctx context.Context, p *program, bodies string) (tally.Block, error) {
	l, err := b.pace(ctx, p, bodies, honestClients, honestEvery, `"data":{`)
	if err != nil {
		return tally.Block{}, err
	}
	return l.result()
}

func (b *bench) besieged(
	ctx context.Context, p *program, honest, hostile string,
) (beside, others tally.Block, err error) {
	l, err := b.pace(ctx, p, hostile, hostileClients, hostileEvery, `"errors":[`)
	if err != nil {
		return beside, others, err
	}
	beside, err = b.honest(ctx, p, honest)
	others, ended := l.result()
	return beside, others, errors.Join(err, ended)
}

func (b *bench) pace(
	ctx context.Context, p *program, bodies string, clients int, every time.Duration, expect string,
) (*loading, error) {
	return b.load(ctx, "requests", "-url", p.url+"/graphql", "-token", b.world.Token, "-bodies", bodies,
		"-c", fmt.Sprint(clients), "-every", every.String(), "-expect", expect, "-for", b.scale.fanout.String())
}

// hostileBodies writes the corpus for the load client, in many forms.
func (b *bench) hostileBodies() (path string, err error) {
	var bodies [][]byte
	documents := hostile.Documents()
	for form := range hostileForms {
		for _, document := range documents {
			body, err := json.Marshal(map[string]string{"query": strings.Repeat(" ", form+1) + document})
			if err != nil {
				return "", err
			}
			if len(body) < longestBody {
				bodies = append(bodies, body)
			}
		}
	}
	slices.SortFunc(bodies, func(a, b []byte) int { return bytes.Compare(a[len(a)/2:], b[len(b)/2:]) })
	path = b.path("hostile.jsonl")
	return path, os.WriteFile(path, append(bytes.Join(bodies, []byte("\n")), '\n'), 0o600)
}
