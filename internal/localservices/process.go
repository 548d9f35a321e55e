package localservices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a server may take to obey one signal before the next, ruder one.
const patience = 20 * time.Second

// process is a running server.
type process struct {
	name string
	log  string         // the file with its output
	stop syscall.Signal // asks it to end in order
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
	err  error         // how it ended; valid once gone is closed
}

// launch starts cmd in a process group of its own, out of reach of the terminal's Ctrl-C.
//
// The kernel counts as parent the thread that started a process, not the program: were that thread
// to end, the server would be told that its parent died. So one goroutine keeps its thread from the
// start of the server to its end.
func launch(name string, cmd *exec.Cmd, logPath string, stop syscall.Signal) (*process, error) {
	out, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer func() { _ = out.Close() }() // the server has its own copy
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr.Setpgid = true
	followParent(cmd.SysProcAttr, stop)

	p := &process{name: name, log: logPath, stop: stop, cmd: cmd, gone: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.gone)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// await returns when ready succeeds, and fails when the process ends or ctx does.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-p.gone:
			return fmt.Errorf("%s ended at once: %w\n%s", p.name, p.err, p.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (%w)", p.name, ctx.Err(), err)
		}
	}
}

// lastWords returns the end of the log, for an error that a person can act on.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// end stops the process: in order, at once, by force.
func (p *process) end() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%s had ended by itself (%s), see %s", p.name, p.cmd.ProcessState, p.log)
	default:
	}
	for _, sig := range []syscall.Signal{p.stop, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop %s: %w", p.name, err)
		}
		select {
		case <-p.gone:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("%s does not end, process %d", p.name, p.cmd.Process.Pid)
}

// endLeftover ends the process that pidFile names if its command line shows that it is the server
// of home: the number alone proves nothing. It reports whether a stranger has the number now.
func endLeftover(
	ctx context.Context, pidFile, home string, sig syscall.Signal,
) (stranger bool, err error) {
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for a server left behind: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(first))
	if pid <= 0 {
		return false, nil // cut short by a crash
	}
	line := commandLine(ctx, pid)
	if !strings.Contains(line, home) {
		return line != "", nil
	}
	return false, endAndWait(ctx, pid, home, sig)
}

func endAndWait(ctx context.Context, pid int, home string, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the server left behind in %s, process %d: %w", home, pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for strings.Contains(commandLine(ctx, pid), home) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("the server left behind in %s, process %d: %w", home, pid, ctx.Err())
		}
	}
	return nil
}

// commandLine returns the command line of a living process, or nothing.
func commandLine(ctx context.Context, pid int) string {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		return string(bytes.ReplaceAll(text, []byte{0}, []byte{' '}))
	}
	text, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(text)
}
