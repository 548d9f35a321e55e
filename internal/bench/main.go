// Command bench measures Cardea on this machine, each figure beside its floor in the same run:
//
//	go run ./internal/bench [-quick] [-write docs/performance.md]
//
// It builds and runs the real program, the floor (see the folder floor) and the load client (see
// load), each as a process of its own, beside a private Postgres and Redis that wait for the disk.
// The database is seeded once and kept. docs/performance.md explains the method.
//
// Guarantees:
//   - Cardea and its floor are measured in turn, block by block, and compared pair by pair.
//   - What the load client spends is not counted; what Postgres spends is counted on its own.
//   - The floor's answers to the reads are checked to be Cardea's.
//   - When it ends, by itself or by Ctrl-C, every process that it started has ended.
//
// It may import what cmd may. It alone, with cmd, starts private servers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cardea/cardea/internal/localservices"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && ctx.Err() != nil {
		err = errors.New("interrupted") // what that broke off says nothing
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// scale is how much is measured.
type scale struct {
	seed        string // size of the seed
	rounds      int    // pairs of blocks
	block       time.Duration
	longRounds  int // of fan-outs, and of idle connections
	fanout      time.Duration
	audience    int           // subscribers of a fan-out
	connections int           // idle ones, for memory
	settling    time.Duration // how long they are idle before they are weighed
}

var (
	full = scale{
		seed: "bench", rounds: 5, block: 2500 * time.Millisecond, longRounds: 3, fanout: 10 * time.Second,
		audience: 1000, connections: 2000, settling: 5 * time.Second,
	}
	quick = scale{
		seed: "demo", rounds: 1, block: 500 * time.Millisecond, longRounds: 1, fanout: 2 * time.Second,
		audience: 100, connections: 200, settling: time.Second,
	}
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", ".cardea/bench", "where the private servers, the seed and the programs are")
	short := flags.Bool("quick", false, "a small seed and short blocks: it works, the figures say little")
	size := flags.String("size", "", "size of the seed, as cardea seed has it; full runs have bench")
	only := flags.String("only", "", "regular expression of the measures to run")
	siege := flags.Bool("hostile", false, "measure what hostile documents do to everybody else, and nothing else")
	write := flags.String("write", "", "document to put the figures into")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scale := full
	if *short {
		scale = quick
	}
	if *size != "" {
		scale.seed = *size
	}
	b, err := open(ctx, filepath.Join(*dir, scale.seed), scale, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	measure := func() (string, error) { return b.figures(ctx, *only) }
	if *siege {
		measure = func() (string, error) { return b.siege(ctx) }
	}
	figures, err := measure()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(stdout, figures); err != nil || *write == "" {
		return err
	}
	return publish(*write, figures)
}

// open starts the private servers, builds the programs and prepares the database.
func open(ctx context.Context, dir string, s scale, progress io.Writer) (_ *bench, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := enoughFiles(s); err != nil {
		return nil, err
	}
	local := localservices.Config{
		Dir: dir, Durable: true, Log: slog.New(slog.NewTextHandler(progress, nil)),
	}
	if err := localservices.Install(ctx, progress, local.Needs()...); err != nil {
		return nil, err
	}
	b := &bench{dir: dir, scale: s, progress: progress}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.path("bin")+"/", //nolint:gosec // ours
		"./cmd/cardea", "./internal/bench/load", "./internal/bench/floor")
	build.Stderr = progress
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	if b.services, err = localservices.Start(ctx, local); err != nil {
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// enoughFiles fails where a process may not open as many sockets as are measured. A Go program
// raises its own limit as far as it may, so only the hard limit counts.
func enoughFiles(s scale) error {
	const others = 200
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("ask for the limit of open files: %w", err)
	}
	needed := max(s.connections, 10*s.audience) + others
	if limit.Max < uint64(needed) { //nolint:gosec // positive
		return fmt.Errorf("a process may open %d files and needs %d: raise ulimit -Hn, or use -quick",
			limit.Max, needed)
	}
	return nil
}
