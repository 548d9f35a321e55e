package localservices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Restart ends a private server with a signal and, after a while, starts it again where it was: its
// URL stays good. It is for those who want to see what that does to others.
func (s *Services) Restart(
	ctx context.Context, which Need, by syscall.Signal, away time.Duration,
) error {
	at, err := s.find(which)
	if err != nil {
		return err
	}
	p := s.running[at]
	if err := p.cmd.Process.Signal(by); err != nil {
		return fmt.Errorf("end %s: %w", which, err)
	}
	select {
	case <-p.gone:
	case <-time.After(patience):
		return fmt.Errorf("%s does not end, process %d", which, p.cmd.Process.Pid)
	}
	s.running = slices.Delete(s.running, at, at+1)
	select {
	case <-ctx.Done(): // it starts all the same: who stops us wants what there was
	case <-time.After(away):
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if which == Redis {
		return s.startRedis(ctx)
	}
	return s.startPostgres(ctx, s.durable)
}

// Pause stops a private server in its tracks, with all that belongs to it, until resume is called:
// its connections stay and nothing answers. Resume it before any other call.
func (s *Services) Pause(ctx context.Context, which Need) (resume func() error, err error) {
	at, err := s.find(which)
	if err != nil {
		return nil, err
	}
	server := s.running[at].cmd.Process.Pid
	if err := syscall.Kill(server, syscall.SIGSTOP); err != nil {
		return nil, fmt.Errorf("pause %s: %w", which, err)
	}
	children, err := childrenOf(ctx, server) // it makes no more of them now
	resume = func() (err error) {
		for _, pid := range append(children, server) {
			if e := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(e, syscall.ESRCH) {
				err = errors.Join(err, e)
			}
		}
		return err
	}
	for _, pid := range children {
		if e := syscall.Kill(pid, syscall.SIGSTOP); !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pause %s: %w", which, err), resume())
	}
	return resume, nil
}

func (s *Services) find(which Need) (at int, err error) {
	at = slices.IndexFunc(s.running, func(p *process) bool { return p.name == string(which) })
	if at < 0 {
		return 0, fmt.Errorf("%s is not running, or not ours", which)
	}
	return at, nil
}

// childrenOf returns the processes that a process has started.
func childrenOf(ctx context.Context, parent int) (children []int, err error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "ppid=,pid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for line := range bytes.Lines(out) {
		fields := strings.Fields(string(line))
		if len(fields) != 2 || fields[0] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(fields[1])
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		children = append(children, pid)
	}
	return children, nil
}
