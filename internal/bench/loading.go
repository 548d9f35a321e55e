package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/cardea/cardea/internal/bench/tally"
)

// loading is a run of the load client that has begun to count.
type loading struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	errors bytes.Buffer
}

// load starts the load client and returns once it counts.
func (b *bench) load(ctx context.Context, args ...string) (*loading, error) {
	l := &loading{cmd: exec.CommandContext(ctx, b.path("bin/load"), args...)} //nolint:gosec // ours
	endSoftly(l.cmd)
	l.cmd.Stderr = &l.errors
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	l.lines = bufio.NewScanner(out)
	if !l.lines.Scan() || l.lines.Text() != tally.Ready {
		_, err := l.result()
		return nil, err
	}
	return l, nil
}

// result waits for the end and returns what was counted.
func (l *loading) result() (block tally.Block, err error) {
	var last []byte
	for l.lines.Scan() {
		last = bytes.Clone(l.lines.Bytes())
	}
	if err := l.cmd.Wait(); err != nil {
		return block, fmt.Errorf("load client: %w: %s", err, bytes.TrimSpace(l.errors.Bytes()))
	}
	if err := json.Unmarshal(last, &block); err != nil {
		return block, fmt.Errorf("load client printed %q: %w", last, err)
	}
	return block, nil
}

// stop ends it and returns what was counted.
func (l *loading) stop() (tally.Block, error) {
	_ = l.cmd.Process.Signal(os.Interrupt)
	return l.result()
}

// loaded is a block of load on a server.
func (b *bench) loaded(ctx context.Context, p *program, args ...string) (tally.Block, error) {
	l, err := b.load(ctx, args...)
	if err != nil {
		return tally.Block{}, err
	}
	return b.during(ctx, p, l.result)
}
