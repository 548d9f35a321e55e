package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, 100 on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// The places in /proc/PID/stat, counted from the process's state.
const (
	statParent   = 1
	statUser     = 11
	statSystem   = 12
	statChildren = 13 // user and system time of children that have ended
	statResident = 21 // pages
)

func stat(pid string) ([]int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat")) //nolint:gosec // a number
	if err != nil {
		return nil, err
	}
	words := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	numbers := make([]int64, len(words))
	for i, word := range words[1:] {
		numbers[i+1], _ = strconv.ParseInt(string(word), 10, 64) // unsigned ones are not ours
	}
	if len(numbers) <= statResident {
		return nil, fmt.Errorf("process %s: cannot read its statistics", pid)
	}
	return numbers, nil
}

func usageOf(_ context.Context, pid int) (usage, error) {
	s, err := stat(strconv.Itoa(pid))
	if err != nil {
		return usage{}, err
	}
	return usage{
		cpu:      time.Duration(s[statUser]+s[statSystem]) * tick,
		resident: s[statResident] * int64(os.Getpagesize()),
	}, nil
}

// familyCPU is what a process's parent and all its children have spent, those that ended included.
func familyCPU(child int) (time.Duration, error) {
	s, err := stat(strconv.Itoa(child))
	if err != nil {
		return 0, err
	}
	parent := s[statParent]
	if s, err = stat(strconv.FormatInt(parent, 10)); err != nil {
		return 0, err
	}
	ticks := s[statUser] + s[statSystem] + s[statChildren] + s[statChildren+1]
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		if s, err := stat(filepath.Base(path)); err == nil && s[statParent] == parent {
			ticks += s[statUser] + s[statSystem]
		}
	}
	return time.Duration(ticks) * tick, nil
}
