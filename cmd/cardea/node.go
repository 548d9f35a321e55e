package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/graph"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/mail"
	"github.com/cardea/cardea/oauth"
	"github.com/cardea/cardea/portal"
	"github.com/cardea/cardea/scim"
	"github.com/cardea/cardea/server"
	"github.com/cardea/cardea/signin"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/transfer"
	"github.com/cardea/cardea/webhooks"
)

// node is one process of Cardea, wired and not yet running.
type node struct {
	config   config
	log      *slog.Logger
	registry *prometheus.Registry
	db       *sql.DB
	model    *ent.Client
	spare    *sql.DB     // what is left when db is exhausted
	reserve  *ent.Client // the model on it
	record   *journal.Log
	notary   *journal.Notary
	stream   *stream.Stream
	hub      *stream.Hub   // with the API only
	meter    *stream.Meter // likewise
	router   *devicelink.Router
	access   *access.Service
	mail     *mail.Sender
	server   *server.Server

	told   []func([]journal.Event) // of what was committed here
	stages struct{ before, front, work, reach []part }
}

// drain spreads the end of a node's sockets, so that its clients do not all come back at once.
const drain = 5 * time.Second

// newNode wires the parts that the configuration's roles need.
func newNode(ctx context.Context, c config, log *slog.Logger) (_ *node, err error) {
	n := &node{config: c, log: log, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err = n.openDatabase(ctx); err != nil {
		return nil, err
	}
	if err = n.openStream(ctx); err != nil {
		return nil, err
	}
	if n.mail, err = mail.New(mail.Config{
		URL: c.SMTPURL, From: c.MailFrom, Log: log, Registerer: n.registry,
	}); err != nil {
		return nil, fmt.Errorf("mail: %w", err)
	}
	n.stages.work = append(n.stages.work, part{"mail", n.mail.Run})
	n.access = access.New(access.Config{
		DB: n.model, Reserve: n.reserve, Devices: n.router, Secrets: c.Secrets, Log: log,
		AllowInsideWebhooks: c.InsideWebhooks, PublicURL: n.publicURL, Send: n.mail.Send,
		Committed: func(events []journal.Event) {
			for _, tell := range n.told {
				tell(events)
			}
		},
	})
	routes := server.Routes{Ready: n.spare.PingContext, Authenticate: n.authenticate}
	if c.has(roleAPI) {
		n.hub = stream.NewHub(n.stream, n.record, stream.HubConfig{})
		n.meter = stream.NewMeter(n.stream)
		n.stages.reach = append(n.stages.reach, part{"hub", n.hub.Run}, part{"meter", n.meter.Run})
		routes.GraphQL, routes.Portal = n.addGraph(), portal.New(portal.Config{
			Access: n.access, DB: n.model, Hub: n.hub, PublicURL: n.publicURL, Log: log,
		})
		routes.Cookie = signin.Cookie
		routes.SignIn = signin.New(signin.Config{
			Access: n.access, Home: "/graphiql", AllowInside: c.InsideWebhooks, Log: log,
		})
		routes.Directory = scim.New(scim.Config{
			Access: n.access, DB: n.model, PublicURL: n.publicURL, Log: log,
		})
		routes.Transfer = transfer.New(transfer.Config{
			Access: n.access, DB: n.model, Notary: n.notary, Log: log,
		})
		routes.OAuth = oauth.New(oauth.Config{
			Access: n.access, Cookie: signin.Cookie, SignIn: signin.Path, SignOut: signin.OutPath,
			PublicURL: n.publicURL, Log: log,
		})
		routes.Mail = n.config.mailPage
	}
	if c.has(roleLink) {
		if routes.Devices, err = n.addLinks(); err != nil {
			return nil, err
		}
	}
	if c.has(roleWorker) {
		n.addWork()
	}
	n.server, err = server.New(ctx, server.Config{
		Addr: c.Addr, Log: log, Registry: n.registry, Routes: routes, Proxies: c.Proxies,
	})
	if err != nil {
		return nil, err
	}
	n.stages.front = append(n.stages.front, part{"server", n.server.Run})
	return n, nil
}

// openDatabase opens the model, and refuses a database that lacks a migration, or whose row-level
// security would not hold us.
func (n *node) openDatabase(ctx context.Context) (err error) {
	if n.db, err = pool.Open(n.config.DatabaseURL, n.config.DatabasePool, n.config.Fence); err != nil {
		return err
	}
	if n.spare, err = pool.Open(n.config.DatabaseURL, n.config.Reserve, n.config.Fence); err != nil {
		return err
	}
	n.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewDBStatsCollector(n.db, "cardea"),
		collectors.NewDBStatsCollector(n.spare, "reserve"))
	n.model, n.reserve = pool.Client(n.db), pool.Client(n.spare)
	n.record = journal.Open(n.model)
	n.notary = journal.NewNotary(journal.NotaryConfig{
		DB: n.model, Keys: n.config.LogKeys, Log: n.log, Registerer: n.registry,
	})
	pending, err := migrations.Pending(ctx, n.db)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("the database lacks %d migrations: run cardea migrate", len(pending))
	}
	if err == nil && n.config.Fence != pool.FenceOff {
		err = checkFence(ctx, n.db)
	}
	return err
}

// checkFence refuses a role that row-level security does not hold, with what to do about it.
func checkFence(ctx context.Context, db *sql.DB) error {
	err := pool.CheckFence(ctx, db)
	if errors.Is(err, pool.ErrUnfenced) {
		return fmt.Errorf("%w: connect as an ordinary role that owns the tables, or do without by "+
			"CARDEA_DATABASE_FENCE=off", err)
	}
	return err
}

// openStream opens what reaches other nodes: every role needs it.
func (n *node) openStream(ctx context.Context) (err error) {
	name := rand.Text()
	n.stream, err = stream.Open(ctx, stream.Config{
		URL: n.config.RedisURL, Namespace: n.config.RedisNamespace, Node: name,
		Log: n.log, Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	n.router, err = devicelink.NewRouter(devicelink.RouterConfig{
		Stream: n.stream, Node: name, Log: n.log, Registerer: n.registry,
	})
	relay := stream.NewRelay(n.stream, n.record)
	n.told = append(n.told, relay.Offer)
	n.stages.reach = append(n.stages.reach, part{"relay", relay.Run})
	return err
}

func (n *node) addGraph() http.Handler {
	handler := graph.New(graph.Config{
		Access: n.access, DB: n.model, Reserve: n.reserve, Hub: n.hub, Stream: n.stream,
		Meter: n.meter, Rates: n.config.Rates,
		PerUser: n.config.PerUser, PerAddress: n.config.PerAddress,
		Trusted: n.config.Trusted, TrustedOnly: n.config.TrustedOnly,
		LogKeys: n.config.LogKeys, Authenticate: n.access.Authenticate, Drain: drain, Log: n.log,
		Registerer: n.registry,
	})
	n.stages.front = append(n.stages.front, part{"graph", handler.Run})
	return handler
}

func (n *node) addLinks() (http.Handler, error) {
	links, err := devicelink.NewHandler(devicelink.HandlerConfig{
		Access: n.access, Router: n.router, ServerName: n.config.ServerName,
		Keys: n.config.LinkKeys, Log: n.log, Registerer: n.registry,
	})
	if err != nil {
		return nil, err
	}
	n.stages.front = append(n.stages.front, part{"links", links.Run})
	return links, nil
}

func (n *node) addWork() {
	hooks := webhooks.New(webhooks.Config{
		DB: n.model, Access: n.access, AllowInside: n.config.InsideWebhooks,
		Log: n.log, Registerer: n.registry,
	})
	n.told = append(n.told, func(events []journal.Event) { hooks.Nudge(events[0].Organization) })
	n.stages.work = append(n.stages.work,
		part{"webhooks", hooks.Run}, part{"sweeper", n.access.Run},
		part{"keeper", journal.NewKeeper(journal.KeeperConfig{
			DB: n.model, Keys: n.config.LogKeys, Log: n.log}).Run},
		part{"notary", n.notary.Run})
}

// authenticate tells the server of a bad token in its own words.
func (n *node) authenticate(ctx context.Context, token string) (actor.Actor, error) {
	a, err := n.access.Authenticate(ctx, token)
	if access.IsCode(err, access.CodeUnauthenticated) {
		err = server.ErrBadToken
	}
	return a, err
}

// run runs the node until ctx ends: then it stops taking requests and closes sockets, then ends the
// work, then what spreads the news of it, and at last the pools.
func (n *node) run(ctx context.Context) error {
	n.log.InfoContext(ctx, "serving", "addr", n.server.Addr().String())
	s := n.stages
	return errors.Join(runStages(ctx, s.before, s.front, s.work, s.reach), n.close())
}

func (n *node) close() (err error) {
	if n.stream != nil {
		err = n.stream.Close()
	}
	for _, db := range []*sql.DB{n.db, n.spare} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// publicURL is where people reach this installation. Without one, only this machine does.
func (n *node) publicURL() string {
	if n.config.PublicURL != "" {
		return n.config.PublicURL
	}
	return n.url()
}

// url is where this machine reaches the node.
func (n *node) url() string {
	_, port, _ := net.SplitHostPort(n.server.Addr().String())
	return "http://" + net.JoinHostPort("localhost", port)
}
