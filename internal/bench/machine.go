package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine says what the figures were measured on, and how busy it was with other things.
func (b *bench) machine(ctx context.Context) (string, error) {
	var postgres, buffers, fsync string
	err := b.db.QueryRowContext(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1),
		current_setting('shared_buffers'), current_setting('fsync')`).Scan(&postgres, &buffers, &fsync)
	if err != nil {
		return "", fmt.Errorf("ask Postgres for its settings: %w", err)
	}
	return fmt.Sprintf(`Measured %s on %d cores (%s/%s), %s, Postgres %s (fsync %s, shared_buffers %s), Redis %s;
clients, servers, Postgres and Redis on the same cores. Load average before the run: %s.
Seed %q; %d pairs of blocks of %v, fan-out %d of %v, memory %d.
Each cell: **ratio of Cardea to its floor** (least–greatest of the pairs), then the medians of Cardea : floor.
`, time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		runtime.Version(), postgres, fsync, buffers, redisVersion(ctx), loadAverage(),
		b.scale.seed, b.scale.rounds, b.scale.block, b.scale.longRounds, b.scale.fanout,
		b.scale.longRounds), nil
}

func redisVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	_, rest, found := strings.Cut(string(out), "v=")
	if err != nil || !found {
		return "of unknown version"
	}
	version, _, _ := strings.Cut(rest, " ")
	return version
}

// loadAverage is that of the last minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	last, _, _ := strings.Cut(string(text), " ")
	return last
}
