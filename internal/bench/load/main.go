// Command load puts load on a server and measures what a client sees of it. It is a program of its
// own so that what it spends is not counted as the server's. The bench driver runs it; so can you:
//
//	load requests -url http://localhost:8080/graphql -token cardea_… -bodies queries.jsonl -c 16
//	load sockets  -url ws://localhost:8080/graphql -token cardea_… -subscribe '{"query": "…"}' -n 100
//	load devices  -url http://localhost:8080 -identities devices.json -n 50 -window 256
//
// It prints "ready" when it is connected and warm, then counts until -for is over or it is
// interrupted, and at the end prints what it counted as one line of JSON: see package tally.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/cardea/cardea/internal/bench/tally"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// load is one kind of load. Prepare connects; work runs until ctx ends; total is asked afterwards.
type load interface {
	flags(*flag.FlagSet)
	prepare(context.Context) error
	work(context.Context) error
	clocks() []*tally.Clock
	close()
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	kinds := map[string]load{
		"requests": new(requests), "sockets": new(sockets), "devices": new(devices),
	}
	if len(args) == 0 || kinds[args[0]] == nil {
		return errors.New("say what: requests, sockets or devices")
	}
	l := kinds[args[0]]
	set := flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
	set.SetOutput(stderr)
	length := set.Duration("for", 0, "how long to count; 0: until interrupted")
	l.flags(set)
	if err := set.Parse(args[1:]); err != nil {
		return err
	}
	defer l.close()
	if err := l.prepare(ctx); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, tally.Ready); err != nil {
		return err
	}
	if *length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	if err := l.work(ctx); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(tally.Total(l.clocks()))
}

// connect makes n connections, some at a time.
func connect(ctx context.Context, n int, one func(ctx context.Context, i int) error) error {
	const together = 16
	next, ended := make(chan int), make(chan error, together)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range together {
		go func() {
			var err error
			for i := range next {
				if err == nil {
					err = one(ctx, i)
				}
			}
			ended <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	var first error
	for range together {
		if err := <-ended; first == nil {
			first = err
		}
	}
	return first
}
