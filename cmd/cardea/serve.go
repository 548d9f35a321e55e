package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/webhooks"
)

// serve runs a node until ctx ends.
func (p program) serve(ctx context.Context, args []string) error {
	flags := p.flags("serve")
	check := flags.Bool("check", false, "check the configuration and end")
	roles := flags.String("roles", "", "parts to run, such as api,link,worker; instead of CARDEA_ROLES")
	if err := flags.Parse(args); err != nil {
		return err
	}
	env := p.env
	if *roles != "" {
		env = with(env, "CARDEA_ROLES", *roles)
	}
	c, err := readConfig(env, nil)
	if err != nil || *check {
		return err
	}
	n, err := newNode(ctx, c, p.logger(c))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.stdout, "serving %s on %s\n", strings.Join(c.Roles, ", "), n.url())
	return n.run(ctx)
}

// with is an environment in which a variable has another value.
func with(env func(string) string, name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return env(asked)
	}
}

// node is one process of Cardea, wired and not yet running.
type node struct {
	log    *slog.Logger
	db     *sql.DB
	stream *stream.Stream
	access *access.Service
	server *server.Server
	stages [][]part
}

// drain spreads the end of a node's sockets, so that its clients do not all come back at once.
const drain = 5 * time.Second

// newNode wires the parts that the configuration's roles need.
func newNode(ctx context.Context, c config, log *slog.Logger) (_ *node, err error) {
	n := &node{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.db, err = pool.Open(c.DatabaseURL, c.DatabasePool); err != nil {
		return nil, err
	}
	if err = n.checkModel(ctx); err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(n.db, "cardea"))
	model := pool.Client(n.db)
	record := journal.Open(model)
	name := rand.Text()
	n.stream, err = stream.Open(ctx, stream.Config{
		URL: c.RedisURL, Namespace: c.RedisNamespace, Node: name, Log: log, Registerer: registry,
	})
	if err != nil {
		return nil, err
	}
	relay := stream.NewRelay(n.stream, record)
	router, err := devicelink.NewRouter(devicelink.RouterConfig{
		Stream: n.stream, Node: name, Log: log, Registerer: registry,
	})
	if err != nil {
		return nil, err
	}
	committed := []func([]journal.Event){relay.Offer}
	n.access = access.New(access.Config{
		DB: model, Devices: router, AllowInsideWebhooks: c.InsideWebhooks, Log: log,
		Committed: func(events []journal.Event) {
			for _, tell := range committed {
				tell(events)
			}
		},
	})
	front, work := []part{}, []part{}
	routes := server.Routes{Ready: n.db.PingContext, Authenticate: n.authenticate}
	reach := []part{{"relay", relay.Run}}
	if c.has(roleAPI) {
		hub := stream.NewHub(n.stream, record, stream.HubConfig{})
		handler := graph.New(graph.Config{
			Access: n.access, DB: model, Hub: hub, Authenticate: n.access.Authenticate,
			Drain: drain, Log: log, Registerer: registry,
		})
		routes.GraphQL = handler
		front = append(front, part{"graph", handler.Run})
		reach = append(reach, part{"hub", hub.Run})
	}
	if c.has(roleLink) {
		links, err := devicelink.NewHandler(devicelink.HandlerConfig{
			Access: n.access, Router: router, ServerName: c.ServerName, Log: log, Registerer: registry,
		})
		if err != nil {
			return nil, err
		}
		routes.Devices = links
		front = append(front, part{"links", links.Run})
	}
	if c.has(roleWorker) {
		hooks := webhooks.New(webhooks.Config{
			DB: model, Access: n.access, AllowInside: c.InsideWebhooks, Log: log, Registerer: registry,
		})
		committed = append(committed, func(events []journal.Event) { hooks.Nudge(events[0].Organization) })
		work = append(work, part{"webhooks", hooks.Run}, part{"sweeper", n.access.Run})
	}
	n.server, err = server.New(ctx, server.Config{
		Addr: c.Addr, Log: log, Registry: registry, Routes: routes,
	})
	if err != nil {
		return nil, err
	}
	front = append(front, part{"server", n.server.Run})
	n.stages = [][]part{front, work, reach}
	return n, nil
}

// authenticate tells the server of a bad token in its own words.
func (n *node) authenticate(ctx context.Context, token string) (actor.Actor, error) {
	a, err := n.access.Authenticate(ctx, token)
	if access.IsCode(err, access.CodeUnauthenticated) {
		err = server.ErrBadToken
	}
	return a, err
}

// checkModel refuses to run on a database that lacks a migration.
func (n *node) checkModel(ctx context.Context) error {
	pending, err := migrations.Pending(ctx, n.db)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("the database lacks %d migrations: run cardea migrate", len(pending))
	}
	return err
}

// run runs the node until ctx ends: then it stops taking requests and closes sockets, then ends the
// work, then what spreads the news of it, and at last the pools.
func (n *node) run(ctx context.Context) error {
	n.log.InfoContext(ctx, "serving", "addr", n.server.Addr().String())
	return errors.Join(runStages(ctx, n.stages...), n.close())
}

func (n *node) close() (err error) {
	if n.stream != nil {
		err = n.stream.Close()
	}
	if n.db != nil {
		err = errors.Join(err, n.db.Close())
	}
	return err
}

// url is where this machine reaches the node.
func (n *node) url() string {
	_, port, _ := net.SplitHostPort(n.server.Addr().String())
	return "http://" + net.JoinHostPort("localhost", port)
}
