package localservices

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
)

func (s *Services) startRedis(ctx context.Context) error {
	server, err := findRedis(ctx)
	if err != nil {
		return err
	}
	pidFile := filepath.Join(s.place.home, "redis.pid")
	if _, err := endLeftover(ctx, pidFile, s.place.home, syscall.SIGTERM); err != nil {
		return err
	}
	socket := filepath.Join(s.place.sockets, "redis.sock")
	cmd := s.place.command(context.WithoutCancel(ctx), server.path,
		"--port", "0", "--unixsocket", socket, "--unixsocketperm", "700",
		"--dir", s.place.home, "--pidfile", pidFile, "--set-proc-title", "no",
		"--save", "", "--appendonly", "no")
	cmd.Args[0] = "redis-server" // see findRedis
	p, err := launch("redis", cmd, filepath.Join(s.place.dir, "redis.log"), syscall.SIGTERM)
	if err != nil {
		return err
	}
	s.running = append(s.running, p)
	err = p.await(ctx, func(ctx context.Context) error { return pingRedis(ctx, socket) })
	if err != nil {
		return err
	}
	s.RedisURL = (&url.URL{Scheme: "unix", Path: socket}).String()
	s.log.Info("started", "service", p.name, "version", server.major)
	return nil
}

// pingRedis speaks the one line of Redis that this package needs, rather than import a client.
func pingRedis(ctx context.Context, socket string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if !strings.HasPrefix(answer, "+PONG") {
		return errors.New("ping: " + strings.TrimSpace(answer))
	}
	return nil
}
