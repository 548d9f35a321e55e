package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/cardea/cardea/internal/localservices"
)

// kinds is everything that is done to an installation.
var kinds = []kind{
	{"kill a node", 0, 3 * time.Second, killNode},
	{"pause a node", 2 * time.Second, 20 * time.Second, pauseNode},
	{"restart every node, one by one", 0, 0, rollingRestart},
	{"wipe Redis", 0, 0, wipeRedis},
	{"restart Redis", 0, 3 * time.Second, restart(localservices.Redis, syscall.SIGTERM)},
	{"kill Redis", 0, 3 * time.Second, restart(localservices.Redis, syscall.SIGKILL)},
	{"pause Redis", 2 * time.Second, 20 * time.Second, pauseServer(localservices.Redis)},
	{"fill Redis", 2 * time.Second, 8 * time.Second, fillRedis},
	{"trim the streams", 0, 0, trimStreams},
	{"restart Postgres", 0, 3 * time.Second, restart(localservices.Postgres, syscall.SIGINT)},
	{"restart Postgres at once", 0, 3 * time.Second, restart(localservices.Postgres, syscall.SIGQUIT)},
	{"pause Postgres", 2 * time.Second, 20 * time.Second, pauseServer(localservices.Postgres)},
	{"cut a node from Redis", 2 * time.Second, 8 * time.Second, cut(toRedis)},
	{"freeze a node's Redis", 2 * time.Second, 20 * time.Second, freeze(toRedis)},
	{"strand a node's Redis", 0, 0, strand(toRedis)},
	{"cut a node from Postgres", 2 * time.Second, 8 * time.Second, cut(toPostgres)},
	{"freeze a node's Postgres", 2 * time.Second, 20 * time.Second, freeze(toPostgres)},
	{"strand a node's Postgres", 0, 0, strandPostgres},
	{"cut a node from its clients", 2 * time.Second, 8 * time.Second, cut(toClients)},
	{"freeze a node's clients", 2 * time.Second, 20 * time.Second, freeze(toClients)},
	{"strand a node's clients", 0, 0, strand(toClients)},
	{"cut every client", 0, 0, cutClients},
}

func killNode(ctx context.Context, c *chaos, f fault) error {
	n := c.nodes[f.node]
	if err := n.kill(); err != nil {
		return err
	}
	pause(ctx, f.last)
	return n.start(ctx)
}

func pauseNode(ctx context.Context, c *chaos, f fault) error {
	n := c.nodes[f.node]
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, f.last)
	return n.signal(syscall.SIGCONT)
}

func rollingRestart(ctx context.Context, c *chaos, _ fault) error {
	for _, n := range c.nodes {
		if err := n.stop(); err != nil {
			return err
		}
		if err := n.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// redis sends a command to Redis, past every wire.
func (c *chaos) redis(ctx context.Context, words ...string) error {
	_, err := localservices.AskRedis(ctx, c.services.RedisURL, words...)
	return err
}

func wipeRedis(ctx context.Context, c *chaos, _ fault) error { return c.redis(ctx, "FLUSHALL") }

// fillRedis has Redis take no more data.
func fillRedis(ctx context.Context, c *chaos, f fault) error {
	if err := c.redis(ctx, "CONFIG", "SET", "maxmemory", "1"); err != nil {
		return err
	}
	pause(ctx, f.last)
	return c.redis(context.WithoutCancel(ctx), "CONFIG", "SET", "maxmemory", "0")
}

// trimStreams leaves next to nothing of what Redis has kept, and then has clients come back for it.
func trimStreams(ctx context.Context, c *chaos, f fault) error {
	for _, o := range c.organizations {
		key := "cardea:{" + o.id.String() + "}:events"
		if err := c.redis(ctx, "XTRIM", key, "MAXLEN", "3"); err != nil {
			return err
		}
	}
	return cutClients(ctx, c, f)
}

func restart(which localservices.Need, by syscall.Signal) func(context.Context, *chaos, fault) error {
	return func(ctx context.Context, c *chaos, f fault) error {
		return c.services.Restart(ctx, which, by, f.last)
	}
}

func pauseServer(which localservices.Need) func(context.Context, *chaos, fault) error {
	return func(ctx context.Context, c *chaos, f fault) error {
		resume, err := c.services.Pause(ctx, which)
		if err != nil {
			return err
		}
		pause(ctx, f.last)
		return resume()
	}
}

func toRedis(n *node) *wire    { return n.redis }
func toPostgres(n *node) *wire { return n.postgres }
func toClients(n *node) *wire  { return n.front }

func cut(which func(*node) *wire) func(context.Context, *chaos, fault) error {
	return func(ctx context.Context, c *chaos, f fault) error {
		w := which(c.nodes[f.node])
		w.cut()
		pause(ctx, f.last)
		return w.mend(context.WithoutCancel(ctx))
	}
}

func freeze(which func(*node) *wire) func(context.Context, *chaos, fault) error {
	return func(ctx context.Context, c *chaos, f fault) error {
		thaw := which(c.nodes[f.node]).freeze()
		pause(ctx, f.last)
		thaw()
		return nil
	}
}

func strand(which func(*node) *wire) func(context.Context, *chaos, fault) error {
	return func(_ context.Context, c *chaos, f fault) error {
		which(c.nodes[f.node]).strand()
		return nil
	}
}

// noticing is how long the program may take to see that Postgres has gone without a word: until then
// the fault goes on.
const noticing = 12 * time.Second

func strandPostgres(ctx context.Context, c *chaos, f fault) error {
	c.nodes[f.node].postgres.strand()
	pause(ctx, noticing)
	return nil
}

// cutClients cuts every subscriber and, by their wires, every device.
func cutClients(_ context.Context, c *chaos, _ fault) error {
	for _, s := range c.sockets {
		select {
		case s.cut <- struct{}{}:
		default:
		}
	}
	for _, n := range c.nodes {
		n.front.shake()
	}
	return nil
}

// anyNode is a node with a role, as a balancer would choose it. It may be down.
func (c *chaos) anyNode(role string) *node {
	for {
		n := c.nodes[rand.IntN(len(c.nodes))] //nolint:gosec // any
		if role == "api" || n.roles != "api" {
			return n
		}
	}
}

var errHurt = errors.New("it did not hold: see above")
