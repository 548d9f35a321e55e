package localservices

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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

func pingRedis(ctx context.Context, socket string) error {
	answer, err := AskRedis(ctx, "unix://"+socket, "PING")
	if err == nil && answer != "+PONG" {
		err = errors.New("ping: " + answer)
	}
	return err
}

// redisPatience is how long AskRedis waits for an answer.
const redisPatience = 5 * time.Second

// AskRedis sends a command to the server of a URL without a password, and returns the first line of its
// answer. It speaks the little of Redis that this takes, rather than import a client.
func AskRedis(ctx context.Context, redisURL string, words ...string) (answer string, err error) {
	u, err := url.Parse(redisURL)
	if err != nil {
		return "", err
	}
	network, address := "tcp", u.Host
	if u.Scheme == "unix" {
		network, address = "unix", u.Path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(redisPatience)); err != nil {
		return "", err
	}
	var command bytes.Buffer
	_, _ = fmt.Fprintf(&command, "*%d\r\n", len(words))
	for _, word := range words {
		_, _ = fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := command.WriteTo(conn); err != nil {
		return "", err
	}
	if answer, err = bufio.NewReader(conn).ReadString('\n'); err != nil {
		return "", fmt.Errorf("%s: %w", words[0], err)
	}
	if answer = strings.TrimSpace(answer); strings.HasPrefix(answer, "-") {
		return "", errors.New(words[0] + ": " + answer)
	}
	return answer, nil
}
