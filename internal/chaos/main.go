// Command chaos breaks what Cardea stands on, again and again under load, and compares what everybody
// was told with the journal:
//
//	go run ./internal/chaos [-rounds 50] [-seed 17]
//
// It runs the real program as some nodes beside a private Postgres and Redis. Simulated devices
// report, subscribers watch, cut and resume, people unlock doors and give each other keys. Each round
// does one thing to a node, a server or a wire, drawn from the seed: the same seed, the same rounds.
//
// What has to hold, whatever was done:
//   - What was acknowledged, to a device or to a client, is in the journal exactly once, and a
//     device's reports are there in its order. When a device is told, it is committed.
//   - The journal's numbers have no gaps, and its head is the root of its events.
//   - Every subscriber received exactly what their rights and their filter let them see, in order,
//     without a gap and none twice, from their first cursor to the end.
//   - No unlock is carried out after its deadline, none twice, and none that nobody asked for.
//   - Soon after the fault has ended, every node answers and every subscriber has all there is.
//   - Much was done: a run in which nothing happened is a failure.
//
// When it ends, by itself or by Ctrl-C, every process that it started has ended. It may import what
// cmd may.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(errors.New("interrupted"), err)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// size is how much there is of everything.
type size struct {
	rounds        int
	nodes         int
	organizations int
	doors         int
	reports       int // a second
	subscribers   int
	unlocks       int           // a second
	calm          time.Duration // between two faults
	longest       time.Duration // that something stands still, or is away
	recovery      time.Duration // in which all is well again after a fault
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var s size
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	dir := flags.String("dir", ".cardea/chaos", "where the private servers, the program and its logs are")
	seed := flags.Uint64("seed", 0, "decides what is done in which round; 0 draws one")
	program := flags.String("program", "", "run this instead of building Cardea")
	only := flags.String("only", "", "regular expression of what to do in the rounds")
	flags.IntVar(&s.rounds, "rounds", 50, "rounds, with one fault each")
	flags.IntVar(&s.nodes, "nodes", 3, "nodes, at least 2; every third has the API alone")
	flags.IntVar(&s.organizations, "organizations", 4, "organizations, which share the rest")
	flags.IntVar(&s.doors, "doors", 1000, "doors, four at a device")
	flags.IntVar(&s.reports, "reports", 500, "reports a second")
	flags.IntVar(&s.subscribers, "subscribers", 1000, "subscriptions, ten on a socket")
	flags.IntVar(&s.unlocks, "unlocks", 20, "unlocks a second, and as many other changes")
	flags.DurationVar(&s.calm, "calm", 2*time.Second, "between two faults")
	flags.DurationVar(&s.longest, "longest", 20*time.Second, "of a pause or an absence")
	flags.DurationVar(&s.recovery, "recovery", 10*time.Second, "in which all is well after a fault")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.nodes < 2 {
		return errors.New("-nodes: a fault needs somebody who is spared")
	}
	if *seed == 0 {
		*seed = rand.Uint64() //nolint:gosec // to be drawn again
	}
	faults, err := plan(*seed, s, *only)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "seed %d: %d rounds\n", *seed, len(faults))
	c, err := open(ctx, *dir, *program, s, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.live(ctx, faults); err != nil {
		return fmt.Errorf("seed %d: %w", *seed, err)
	}
	return nil
}
