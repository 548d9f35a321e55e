package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// bulkSize is how much a bulk load makes.
type bulkSize struct {
	organizations, sites, doors, users, keys, events int
	rules                                            rulesSize
}

// benchSize is what the benchmarks read: performance.md's 10k doors, 50k users, 200k keys, 1M events.
var benchSize = bulkSize{
	organizations: 20, sites: 200, doors: 10_000, users: 50_000, keys: 200_000, events: 1_000_000,
}

// loaded is one organization of a bulk load.
type loaded struct {
	org   typeid.Organization
	sites []typeid.Site
	doors []typeid.Door
	users []typeid.User
	keys  []typeid.Key
	rules
}

// bulkLoad fills organizations by COPY, one transaction each. Their journals are chained by
// journal.Chain and so are as valid as if every event had been appended.
func bulkLoad(ctx context.Context, db *sql.DB, size bulkSize, seed uint64, out io.Writer) error {
	ctx = actor.NewContext(ctx, actor.System("seed"))
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // made-up data
	for n := range size.organizations {
		begun := time.Now()
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		org, err := loadOrganization(ctx, tx, n, size, random)
		if err == nil {
			err = tx.Commit()
		} else {
			_ = tx.Rollback()
		}
		if err != nil {
			return fmt.Errorf("load organization %d: %w", n+1, err)
		}
		_, _ = fmt.Fprintf(out, "%s: organization %d of %d in %.1f s\n",
			org, n+1, size.organizations, time.Since(begun).Seconds())
	}
	_, err := db.ExecContext(ctx, "ANALYZE")
	return err
}

func loadOrganization(
	ctx context.Context, tx *sql.Tx, n int, size bulkSize, random *rand.Rand,
) (typeid.Organization, error) {
	share := func(of int) int { return of / size.organizations }
	l := loaded{org: typeid.New[typeid.Organization]()}
	now := schema.Now()
	load := copier{ctx: ctx, tx: tx}
	load.table("organizations", []string{"id", "name", "created_at", "updated_at"}, func(y yield) {
		y(l.org, fmt.Sprintf("Estate %02d", n+1), now, now)
	})
	load.table("sites", []string{"id", "org_id", "name", "time_zone", "created_at", "updated_at"},
		func(y yield) {
			for i := range share(size.sites) {
				l.sites = append(l.sites, typeid.New[typeid.Site]())
				y(l.sites[i], l.org, fmt.Sprintf("Site %03d", i+1), zones[i%len(zones)], now, now)
			}
		})
	l.loadDevicesAndDoors(&load, share(size.doors), now)
	load.table("users", []string{"id", "org_id", "name", "email", "role", "status", "created_at",
		"updated_at"}, func(y yield) {
		for i := range share(size.users) {
			l.users = append(l.users, typeid.New[typeid.User]())
			role, status := actor.RoleMember, "ACTIVE"
			switch {
			case i == 0:
				role = actor.RoleOwner
			case i%25 == 24 && size.rules != (rulesSize{}):
				status = "SUSPENDED"
			}
			y(l.users[i], l.org, fmt.Sprintf("Badge %05d", i+1), fmt.Sprintf("badge%05d@example.com", i+1),
				role, status, now, now)
		}
	})
	if size.rules != (rulesSize{}) {
		l.loadRules(&load, size, now, random)
	} else {
		l.loadKeys(&load, share(size.keys), now, random)
	}
	l.loadJournal(&load, share(size.events), now, random)
	return l.org, load.err
}

var zones = []string{"Europe/Rome", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"}

// portsPerDevice is how many doors each controller of a bulk load drives.
const portsPerDevice = 4

func (l *loaded) loadDevicesAndDoors(load *copier, doors int, now time.Time) {
	devices := make([]typeid.Device, (doors+portsPerDevice-1)/portsPerDevice)
	perSite := (doors + len(l.sites) - 1) / len(l.sites)
	site := func(door int) typeid.Site { return l.sites[min(door/perSite, len(l.sites)-1)] }
	load.table("devices", []string{"id", "org_id", "site_id", "name", "connectivity", "epoch",
		"log_epoch", "last_sequence", "created_at", "updated_at"}, func(y yield) {
		for i := range devices {
			devices[i] = typeid.New[typeid.Device]()
			y(devices[i], l.org, site(i*portsPerDevice), fmt.Sprintf("Controller %04d", i+1), "OFFLINE",
				0, 0, 0, now, now)
		}
	})
	load.table("doors", []string{"id", "org_id", "site_id", "device_id", "device_port", "name", "mode",
		"lock_state", "position", "connectivity", "observed_at", "relock_seconds", "held_open_seconds",
		"created_at", "updated_at"}, func(y yield) {
		for i := range doors {
			l.doors = append(l.doors, typeid.New[typeid.Door]())
			y(l.doors[i], l.org, site(i), devices[i/portsPerDevice], i%portsPerDevice+1,
				fmt.Sprintf("Door %05d", i+1), "CONTROLLED", "LOCKED", "CLOSED", "OFFLINE", now, 5, 30, now, now)
		}
	})
}

// loadKeys makes every fourth key for a site, the others for three doors.
func (l *loaded) loadKeys(load *copier, keys int, now time.Time, random *rand.Rand) {
	load.table("keys", []string{"id", "org_id", "user_id", "remote", "shares_left", "depth",
		"created_at", "updated_at"}, func(y yield) {
		for i := range keys {
			l.keys = append(l.keys, typeid.New[typeid.Key]())
			y(l.keys[i], l.org, l.users[i%len(l.users)], true, 0, 0, now, now)
		}
	})
	load.table("key_targets", []string{"id", "org_id", "key_id", "user_id", "door_id", "site_id"},
		func(y yield) {
			target := func(i int, door, site any) {
				y(typeid.New[typeid.KeyTarget](), l.org, l.keys[i], l.users[i%len(l.users)], door, site)
			}
			for i := range l.keys {
				if i%4 == 0 {
					target(i, nil, l.sites[random.IntN(len(l.sites))])
					continue
				}
				first := random.IntN(len(l.doors))
				for d := range min(3, len(l.doors)) {
					target(i, l.doors[(first+d)%len(l.doors)], nil)
				}
			}
		})
}

// loadJournal makes people come and go for the past weeks, one event every few seconds.
func (l *loaded) loadJournal(load *copier, events int, now time.Time, random *rand.Rand) {
	chain, err := journal.Resume(l.org, 0, nil)
	if err != nil {
		load.err = err
		return
	}
	perSite := (len(l.doors) + len(l.sites) - 1) / len(l.sites)
	at := now.Add(-time.Duration(events) * 5 * time.Second)
	load.table("events", []string{"id", "org_id", "seq", "type", "occurred_at", "received_at",
		"delivery", "actor_kind", "actor_id", "site_id", "door_id", "user_id", "outcome", "reason",
		"method", "severity", "data", "leaf_hash"}, func(y yield) {
		for range events {
			door := random.IntN(len(l.doors))
			at = at.Add(5 * time.Second)
			e, leaf, err := chain.Seal(journal.Event{
				ID: typeid.At[typeid.Event](at), Type: "access.granted", OccurredAt: at, ReceivedAt: at,
				Delivery: event.DeliveryLIVE, Actor: journal.Actor{Kind: actor.KindSystem, ID: "seed"},
				Site: l.sites[min(door/perSite, len(l.sites)-1)], Door: l.doors[door],
				User: l.users[random.IntN(len(l.users))], Outcome: event.OutcomeGRANTED,
				Reason: schema.ReasonGranted, Method: event.MethodCARD, Severity: event.SeverityINFO,
				Data: json.RawMessage("{}"),
			})
			if err != nil {
				load.err = err
				return
			}
			y(e.ID, e.Organization, e.Sequence, e.Type, e.OccurredAt, e.ReceivedAt, e.Delivery,
				e.Actor.Kind, e.Actor.ID, e.Site, e.Door, e.User, e.Outcome, e.Reason, e.Method,
				e.Severity, string(e.Data), leaf)
		}
	})
	load.table("journal_heads", []string{"org_id", "seq", "compact_range"}, func(y yield) {
		y(l.org, chain.Sequence(), chain.CompactRange())
	})
	load.table("webhook_cursors", []string{"org_id", "seq"}, func(y yield) {
		y(l.org, chain.Sequence())
	})
}

// yield writes one row.
type yield func(row ...any)

// copier writes tables by COPY; after its first error it does nothing.
type copier struct {
	ctx context.Context //nolint:containedctx // lives for one load
	tx  *sql.Tx
	err error
}

// run runs a statement.
func (c *copier) run(statement string, args ...any) {
	if c.err == nil {
		_, c.err = c.tx.ExecContext(c.ctx, statement, args...)
	}
}

// table fills a table. COPY does not go with row-level security, which nobody else misses meanwhile:
// the table is locked until the load has ended.
func (c *copier) table(name string, columns []string, rows func(yield)) {
	c.run("ALTER TABLE " + name + " NO FORCE ROW LEVEL SECURITY")
	if c.err != nil {
		return
	}
	statement, err := c.tx.PrepareContext(c.ctx,
		fmt.Sprintf("COPY %s (%s) FROM STDIN", name, strings.Join(columns, ", ")))
	if err != nil {
		c.err = fmt.Errorf("copy %s: %w", name, err)
		return
	}
	rows(func(row ...any) {
		if c.err == nil {
			_, c.err = statement.ExecContext(c.ctx, row...)
		}
	})
	if c.err == nil {
		_, c.err = statement.ExecContext(c.ctx)
	}
	if err := statement.Close(); c.err == nil && err != nil {
		c.err = err
	}
	if c.err != nil {
		c.err = fmt.Errorf("copy %s: %w", name, c.err)
	}
	c.run("ALTER TABLE " + name + " FORCE ROW LEVEL SECURITY")
}
