//go:build unix && !linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// usageOf asks ps, which macOS and the BSDs have do so to the hundredth of a second.
func usageOf(ctx context.Context, pid int) (usage, error) {
	out, err := exec.CommandContext(ctx, "ps", "-o", "time=", "-o", "rss=", "-p", //nolint:gosec // a number
		strconv.Itoa(pid)).Output()
	if err != nil {
		return usage{}, fmt.Errorf("ask ps: %w", err)
	}
	var clock string
	var kilobytes int64
	if _, err := fmt.Sscan(string(out), &clock, &kilobytes); err != nil {
		return usage{}, fmt.Errorf("read ps: %w", err)
	}
	var seconds float64
	for part := range strings.SplitSeq(clock, ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return usage{}, fmt.Errorf("read ps: %w", err)
		}
		seconds = 60*seconds + n
	}
	return usage{
		cpu: time.Duration(seconds * float64(time.Second)), resident: kilobytes << 10,
	}, nil
}

// familyCPU is not known here.
func familyCPU(int) (time.Duration, error) { return 0, nil }
