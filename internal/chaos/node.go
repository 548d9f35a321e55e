package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cardea/cardea/internal/localservices"
)

// node is one process of Cardea, and the wires that lead to it and from it.
type node struct {
	name, roles, program, log string
	address                   string // of the process; clients take the front
	environment               []string

	front, postgres, redis *wire

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan error
}

// grace is how long a node may take to stop, and to become ready.
const grace = 30 * time.Second

// newNode prepares a node and does not start it.
func (c *chaos) newNode(ctx context.Context, number int) (n *node, err error) {
	n = &node{
		name: fmt.Sprintf("node %d", number), program: c.program, roles: "api,link,worker",
		log: c.path(fmt.Sprintf("node%d.log", number)),
	}
	if number%3 == 0 {
		n.roles = "api"
	}
	if n.address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	if n.front, err = newWire(ctx, "tcp", n.address); err != nil {
		return nil, err
	}
	database, err := n.wirePostgres(ctx, c.services)
	if err != nil {
		return nil, err
	}
	if n.redis, err = newWire(ctx, "unix", strings.TrimPrefix(c.services.RedisURL, "unix://")); err != nil {
		return nil, err
	}
	n.environment = []string{
		"CARDEA_DATABASE_URL=" + database, "CARDEA_REDIS_URL=redis://" + n.redis.address,
		"CARDEA_ADDR=" + n.address, "CARDEA_LOG_LEVEL=info", "CARDEA_SECRETS=" + secret,
		"CARDEA_ROLES=" + n.roles,
		// One user asks for everything, on purpose.
		"CARDEA_RATE=1000000:10000000", "CARDEA_RATE_ORGANIZATION=1000000:10000000",
		"CARDEA_SOCKETS_PER_USER=100000", "CARDEA_SOCKETS_PER_ADDRESS=100000",
	}
	return n, nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// wirePostgres returns the URL of the database by a wire of the node's own.
func (n *node) wirePostgres(ctx context.Context, s *localservices.Services) (string, error) {
	u, err := url.Parse(s.PostgresURL)
	if err != nil {
		return "", err
	}
	socket := u.Query().Get("host") + "/.s.PGSQL." + u.Query().Get("port")
	if n.postgres, err = newWire(ctx, "unix", socket); err != nil {
		return "", err
	}
	u.Host, u.RawQuery = n.postgres.address, "sslmode=disable"
	return u.String(), nil
}

// start starts the process and returns when it is ready.
func (n *node) start(ctx context.Context) error {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()                                         // the process has its own copy
	cmd := exec.CommandContext(context.WithoutCancel(ctx), n.program, "serve") //nolint:gosec // ours
	cmd.Env = append(cmd.Environ(), n.environment...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	n.mu.Lock()
	n.cmd, n.ended = cmd, ended
	n.mu.Unlock()
	if err := n.await(ctx, ended); err != nil {
		return fmt.Errorf("start %s, see %s: %w", n.name, n.log, err)
	}
	return nil
}

// await asks until the node says that it is ready.
func (n *node) await(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.address+"/readyz", nil)
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
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ended: %w", err)
		default:
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (n *node) signal(s os.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd.Process.Signal(s)
}

// kill ends the process as a power cut would.
func (n *node) kill() error {
	err := n.signal(syscall.SIGKILL)
	last := <-n.ended
	n.ended <- last
	return err
}

// stop ends the process in order. That it took too long, or failed, is an error.
func (n *node) stop() error {
	if n.cmd == nil {
		return nil
	}
	if err := n.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-n.ended:
		n.ended <- err
		if err != nil {
			return fmt.Errorf("%s stopped: %w", n.name, err)
		}
		return nil
	case <-time.After(grace):
		return errors.Join(fmt.Errorf("%s does not stop in %v", n.name, grace), n.kill())
	}
}

func (n *node) cut() {
	for _, w := range []*wire{n.front, n.postgres, n.redis} {
		if w != nil {
			w.cut()
		}
	}
}

// died returns what a process says that breaks.
func (n *node) died() error {
	text, err := os.ReadFile(n.log)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		for _, word := range []string{"panic", "fatal error", "DATA RACE"} {
			if strings.Contains(line, word) {
				return fmt.Errorf("%s, see %s: %s", n.name, n.log, strings.TrimSpace(line))
			}
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
