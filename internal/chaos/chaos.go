package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/migrate/migrations"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/localservices"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// chaos is one run.
type chaos struct {
	dir      string
	program  string
	size     size
	services *localservices.Services
	db       *sql.DB // ours, past every wire
	model    *ent.Client
	journal  *journal.Log

	organizations []*organization
	nodes         []*node
	ledgers       []*ledger
	sockets       []*socket
	clerks        []*clerk
	powered       chan struct{} // closed once the devices are made

	orders   sync.Mutex
	received map[typeid.Command]int // by its device
	obeyed   map[typeid.Command]int

	work tally

	telling  sync.Mutex
	out      io.Writer
	wrongs   int
	closures map[websocket.StatusCode]int // of sockets, by the code that they were closed with
	refusals map[string]int               // of operations, by code
}

// tally is how much was done.
type tally struct {
	reports, events, deliveries, replayed, cuts, resumes atomic.Int64
	mutations, unlocks, late, audits, broken             atomic.Int64
}

func (c *chaos) path(name string) string { return filepath.Join(c.dir, name) }

// wrong notes that something did not hold.
func (c *chaos) wrong(format string, args ...any) {
	c.telling.Lock()
	defer c.telling.Unlock()
	const most = 30
	if c.wrongs++; c.wrongs <= most {
		_, _ = fmt.Fprintf(c.out, "WRONG "+format+"\n", args...)
	}
}

func (c *chaos) failed() bool {
	c.telling.Lock()
	defer c.telling.Unlock()
	return c.wrongs > 0
}

func (c *chaos) say(format string, args ...any) {
	c.telling.Lock()
	defer c.telling.Unlock()
	_, _ = fmt.Fprintf(c.out, format+"\n", args...)
}

// closed counts how a socket ended. That it was not its person's, or not well spoken, is never true.
func (c *chaos) closed(err error) {
	code := websocket.CloseStatus(err)
	if code >= 4400 && code < 4500 {
		c.wrong("a socket was closed with %d: %v", code, err)
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	c.closures[code]++
}

func (c *chaos) refused(code string) {
	c.telling.Lock()
	defer c.telling.Unlock()
	c.refusals[code]++
}

func (c *chaos) devices() (all []*device) {
	for _, o := range c.organizations {
		all = append(all, o.devices...)
	}
	return all
}

// open builds the program, starts the servers, fills the database, and starts the nodes.
func open(
	ctx context.Context, dir, program string, s size, out io.Writer,
) (_ *chaos, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	c := &chaos{
		dir: dir, program: program, size: s, out: out, powered: make(chan struct{}),
		received: map[typeid.Command]int{}, obeyed: map[typeid.Command]int{},
		closures: map[websocket.StatusCode]int{}, refusals: map[string]int{},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as the services want it
		return nil, err
	}
	if c.program == "" {
		c.program = c.path("cardea")
		if err := c.build(ctx); err != nil {
			return nil, err
		}
	}
	local := localservices.Config{Dir: dir, Durable: true}
	if err := localservices.Install(ctx, out, local.Needs()...); err != nil {
		return nil, err
	}
	if c.services, err = localservices.Start(ctx, local); err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.say("prepared in %.1f s", time.Since(begun).Seconds())
	return c, nil
}

func (c *chaos) build(ctx context.Context) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", c.program, //nolint:gosec // ours
		"github.com/cardea/cardea/cmd/cardea")
	build.Stderr = c.out
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

func (c *chaos) prepare(ctx context.Context) (err error) {
	const connections = 16
	if c.db, err = pool.Open(c.services.PostgresURL, connections, pool.FenceAll); err != nil {
		return err
	}
	c.model = pool.Client(c.db)
	c.journal = journal.Open(c.model)
	_, err = c.db.ExecContext(ctx, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	if err != nil {
		return fmt.Errorf("empty the database: %w", err)
	}
	if _, err := migrations.Apply(ctx, c.db); err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	if _, err := c.db.ExecContext(ctx, `ANALYZE`); err != nil {
		return err
	}
	var starting errgroup.Group
	for i := range c.size.nodes {
		n, err := c.newNode(ctx, i+1)
		if err != nil {
			return err
		}
		if err := os.Remove(n.log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		c.nodes = append(c.nodes, n)
		starting.Go(func() error { return n.start(ctx) })
	}
	if err := starting.Wait(); err != nil {
		return err
	}
	return c.watchers(ctx)
}

// close ends every process.
func (c *chaos) close() (err error) {
	for _, n := range c.nodes {
		err = errors.Join(err, n.stop())
		n.cut()
	}
	if c.db != nil {
		err = errors.Join(err, c.db.Close())
	}
	if c.failed() {
		return errors.Join(err, c.services.Stop())
	}
	return errors.Join(err, c.services.Discard())
}

// watchers makes the subscribers, each with a cursor to begin after, and the ledgers.
func (c *chaos) watchers(ctx context.Context) error {
	each := c.size.subscribers / len(c.organizations)
	for _, o := range c.organizations {
		l, err := newLedger(c, o)
		if err != nil {
			return err
		}
		k := &clerk{
			chaos: c, org: o, unlocks: map[string]typeid.Command{},
			granted: map[typeid.Key]bool{}, revoked: map[typeid.Key]bool{},
		}
		c.ledgers, c.clerks = append(c.ledgers, l), append(c.clerks, k)
		head, cursor, err := c.present(ctx, o)
		if err != nil {
			return err
		}
		for l.chain.Sequence() < head {
			if _, err := l.read(ctx); err != nil {
				return err
			}
		}
		c.invite(o, l, each, cursor)
	}
	return nil
}

// present returns where an organization's journal ends, and the cursor that says so.
func (c *chaos) present(ctx context.Context, o *organization) (int64, string, error) {
	var answer struct {
		AuditLog struct {
			Nodes    []struct{ Sequence int64 }
			PageInfo struct{ EndCursor string }
		}
	}
	err := c.ask(ctx, c.nodes[0], o.owner.token, &answer,
		`{ auditLog(first: 1) { nodes { sequence } pageInfo { endCursor } } }`, nil)
	if err != nil {
		return 0, "", err
	}
	return answer.AuditLog.Nodes[0].Sequence, answer.AuditLog.PageInfo.EndCursor, nil
}

// perSocket is how many subscriptions share a socket.
const perSocket = 10

// invite makes an organization's subscribers: most watch some doors, some watch all that they may.
func (c *chaos) invite(o *organization, l *ledger, count int, cursor string) {
	people := []person{o.owner, o.auditor, o.manager, o.member}
	for i := 0; i < count; i += perSocket {
		p := people[(i/perSocket)%len(people)]
		s := &socket{chaos: c, person: p, cut: make(chan struct{}, 1)}
		for j := range min(perSocket, count-i) {
			sub := &subscription{
				chaos: c, first: cursor, interest: o.interest(p, i+j),
				name: fmt.Sprintf("%s, socket %d, subscription %d", o.id, len(c.sockets)+1, j),
			}
			s.subscriptions = append(s.subscriptions, sub)
			l.watchers = append(l.watchers, sub)
		}
		c.sockets = append(c.sockets, s)
	}
}

// interest is what one of a person's subscriptions is to.
func (o *organization) interest(p person, number int) interest {
	some := map[typeid.Door]bool{}
	for i := range 1 + number%3 {
		some[o.doors[(number*7+i*ports)%len(o.doors)]] = true
	}
	switch {
	case p.id == o.member.id && number%perSocket < 3:
		return interest{person: p, doors: p.doors, own: true}
	case p.id == o.member.id:
		one := slices.SortedFunc(maps.Keys(p.doors), compareDoors)[number%len(p.doors)]
		return interest{person: p, doors: map[typeid.Door]bool{one: true}}
	case p.id == o.manager.id && number%perSocket == 0:
		return interest{person: p, events: true, site: o.sites[0]}
	case p.id == o.manager.id:
		return interest{person: p, events: true, site: o.sites[0], doors: some}
	case number%perSocket == 0 && number < 10*perSocket:
		return interest{person: p, events: true}
	case number%perSocket == 1:
		return interest{person: p, events: true, kinds: map[string]bool{
			"command.created": true, "command.confirmed": true, "key.created": true}}
	case number%2 == 0:
		return interest{person: p, events: true, doors: some}
	}
	return interest{person: p, doors: some}
}
