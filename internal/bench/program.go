package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/internal/bench/tally"
)

// program is a running server.
type program struct {
	url   string // http://127.0.0.1:port
	cmd   *exec.Cmd
	ended chan error
	log   *os.File
}

func (b *bench) startCardea(ctx context.Context) (*program, error) {
	return b.serve(ctx, "cardea", func(addr string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, b.path("bin/cardea"), "serve") //nolint:gosec // built by us
		cmd.Env = append(cmd.Environ(), b.environment(addr)...)
		return cmd
	})
}

// benchSecret seals what is in a database of the bench alone.
var benchSecret = base64.StdEncoding.EncodeToString(make([]byte, seal.SecretSize))

// benchKeys are what a server with that secret signs to devices with.
var benchKeys = func() []devicelink.ServerKey {
	secrets, err := seal.NewKeyring(make([]byte, seal.SecretSize))
	if err != nil {
		panic(err) // the secret is as NewKeyring wants it
	}
	keys, err := devicelink.NewKeyring(secrets.LinkSeeds()...)
	if err != nil {
		panic(err) // likewise
	}
	return keys.Public()
}()

// environment is Cardea's as it comes, but for the line that it would log for each request, and for
// how much one user may ask for, since one asks for all: it is counted all the same.
func (b *bench) environment(addr string) []string {
	return []string{
		"CARDEA_DATABASE_URL=" + b.services.PostgresURL, "CARDEA_REDIS_URL=" + b.services.RedisURL,
		"CARDEA_ADDR=" + addr, "CARDEA_LOG_LEVEL=warn", "CARDEA_SECRETS=" + benchSecret,
		"CARDEA_RATE=10000000:100000000", "CARDEA_RATE_ORGANIZATION=10000000:100000000",
		"CARDEA_SOCKETS_PER_USER=100000", "CARDEA_SOCKETS_PER_ADDRESS=100000",
	}
}

func (b *bench) startFloor(ctx context.Context) (*program, error) {
	return b.serve(ctx, "floor", func(addr string) *exec.Cmd {
		return exec.CommandContext(ctx, b.path("bin/floor"), "-addr", addr, //nolint:gosec // built by us
			"-database", b.services.PostgresURL, "-organization", b.world.Organization.String())
	})
}

// serve starts a server and returns once it is ready and at rest: Cardea first fills what Redis
// lacks. What it logs is in a file of its name.
func (b *bench) serve(
	ctx context.Context, name string, command func(addr string) *exec.Cmd,
) (*program, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	p := &program{url: "http://" + addr, cmd: command(addr), ended: make(chan error, 1)}
	if p.log, err = os.Create(b.path(name + ".log")); err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	endSoftly(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	go func() { p.ended <- p.cmd.Wait() }()
	err = p.await(ctx)
	if err == nil {
		err = p.rest(ctx, 8)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s, see %s: %w", name, p.log.Name(), err), p.stop())
	}
	return p, nil
}

// endSoftly makes the end of a command's context an ordinary signal first.
func endSoftly(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 40 * time.Second // longer than Cardea's grace
}

func freeAddr(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// await asks until the server says that it is ready.
func (p *program) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := new(http.Client).Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// stop ends the server and waits until it is gone.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := <-p.ended
	p.ended <- err
	return errors.Join(quiet(err), p.log.Close())
}

// quiet drops the error of a process that was asked to end and did.
func quiet(err error) error {
	var exit *exec.ExitError
	if errors.Is(err, context.Canceled) || errors.As(err, &exit) && exit.ExitCode() < 0 {
		return nil
	}
	return err
}

// during adds to a block of work what the server and Postgres spent on it, until the server is idle
// again: what a block leaves behind, such as reports that were read and events on their way to
// Redis, is its own, and not in the way of the next.
func (b *bench) during(
	ctx context.Context, p *program, work func() (tally.Block, error),
) (tally.Block, error) {
	before, err := b.spent(ctx, p)
	if err != nil {
		return tally.Block{}, err
	}
	block, err := work()
	if err != nil {
		return block, err
	}
	if err := p.rest(ctx, 2); err != nil {
		return block, err
	}
	after, err := b.spent(ctx, p)
	block.CPU, block.Database = after.server-before.server, after.database-before.database
	return block, err
}

// rest waits until the server has done next to nothing at so many looks in a row.
func (p *program) rest(ctx context.Context, looks int) error {
	const (
		every    = 250 * time.Millisecond
		patience = 2 * time.Minute
		idle     = 20 * time.Millisecond // of CPU, in that time
	)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	last := usage{cpu: -time.Hour}
	for quiet := 0; ; {
		now, err := usageOf(ctx, p.cmd.Process.Pid)
		if quiet++; now.cpu-last.cpu > idle {
			quiet = 0
		}
		if err != nil || quiet == looks {
			return err
		}
		last = now
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("the server does not come to rest: %w", ctx.Err())
		}
	}
}

type spent struct{ server, database time.Duration }

func (b *bench) spent(ctx context.Context, p *program) (s spent, err error) {
	own, err := usageOf(ctx, p.cmd.Process.Pid)
	if err != nil {
		return s, err
	}
	s.server = own.cpu
	var backend int
	if err := b.db.QueryRowContext(ctx, `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		return s, fmt.Errorf("find Postgres: %w", err)
	}
	s.database, err = familyCPU(backend)
	return s, err
}

// usage is what a process has spent and holds.
type usage struct {
	cpu      time.Duration
	resident int64 // bytes
}
