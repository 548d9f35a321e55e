package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/internal/localservices"
	"github.com/cardea/cardea/typeid"
)

// demoState is what a demo keeps between runs.
type demoState struct {
	Token   string            `json:"token"`
	Devices []client.Identity `json:"devices"`
	People  []typeid.User     `json:"people"`
	// What the invitation names: a door, somebody who opens it at night, and a lockdown plan.
	Door  typeid.Door         `json:"doorId"`
	Night typeid.User         `json:"nightUserId"`
	Plan  typeid.LockdownPlan `json:"lockdownPlanId"`
}

// demo runs everything on this machine: private services, one node and simulated devices.
func (p program) demo(ctx context.Context, args []string) (err error) {
	flags := p.flags("demo")
	dir := flags.String("dir", ".cardea", "where the private services and the demo's state are")
	pace := flags.Duration("pace", 20*time.Second, "mean time between two visits at a door")
	if err := flags.Parse(args); err != nil {
		return err
	}
	env, stop, err := p.localEnvironment(ctx, *dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if env, err = keepSecrets(env, filepath.Join(*dir, "secrets")); err != nil {
		return err
	}
	box, err := openMailbox(ctx)
	if err != nil {
		return err
	}
	c, err := readConfig(env, map[string]string{
		"CARDEA_SMTP_URL":              box.url(),
		"CARDEA_ALLOW_INSIDE_WEBHOOKS": "true", "CARDEA_LOG_LEVEL": "warn", "CARDEA_LOG_FORMAT": "text",
	})
	if err != nil {
		return err
	}
	db, err := pool.OpenPatient(c.DatabaseURL, c.DatabasePool, c.Fence)
	if err != nil {
		return err
	}
	if err := errors.Join(p.applyMigrations(ctx, db), db.Close()); err != nil {
		return err
	}
	if c.SMTPURL == box.url() {
		c.mailPage = box
	}
	n, err := newNode(ctx, c, p.logger(c))
	if err != nil {
		return err
	}
	d := demo{program: p, node: n, path: filepath.Join(*dir, "demo.json"), pace: *pace}
	n.stages.before = []part{{"demo", d.run}}
	n.stages.reach = append(n.stages.reach, part{"mailbox", box.run})
	return n.run(ctx)
}

// localEnvironment starts private services for those that the environment does not name, and
// returns an environment that names all.
func (p program) localEnvironment(
	ctx context.Context, dir string,
) (env func(string) string, stop func() error, err error) {
	local := localservices.Config{
		Dir: filepath.Join(dir, "services"), Durable: true, Log: slog.New(slog.DiscardHandler),
	}
	if local.PostgresURL, err = lookUp(p.env, "CARDEA_DATABASE_URL"); err != nil {
		return nil, nil, err
	}
	if local.RedisURL, err = lookUp(p.env, "CARDEA_REDIS_URL"); err != nil {
		return nil, nil, err
	}
	if err := localservices.Install(ctx, p.stdout, local.Needs()...); err != nil {
		return nil, nil, err
	}
	services, err := localservices.Start(ctx, local)
	if err != nil {
		return nil, nil, err
	}
	env = with(p.env, "CARDEA_DATABASE_URL", services.PostgresURL)
	env = with(env, "CARDEA_REDIS_URL", services.RedisURL)
	return env, services.Stop, nil
}

// demo is the part of a demo node that makes it one.
type demo struct {
	program
	node *node
	path string
	pace time.Duration
}

// run seeds what is missing, says what to try and keeps the simulated devices under power.
func (d demo) run(ctx context.Context) error {
	state, err := d.state(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(d.stdout, invitation, d.node.url(), state.Token,
		state.Door, state.Night, state.Plan)
	fleet := sim.Fleet{
		BaseURL: d.node.url(), Devices: state.Devices, People: state.People, Pace: d.pace,
		Seed: uint64(time.Now().UnixNano()), Log: d.node.log,
	}
	fleet.Keep = keepIdentities(state.Devices, func(now []client.Identity) error {
		kept := *state
		kept.Devices = now
		return writeJSON(d.path, kept)
	})
	return fleet.Run(ctx)
}

// state returns that of an earlier run, or makes a demo organization if this database has none.
func (d demo) state(ctx context.Context) (*demoState, error) {
	var state demoState
	err := readJSON(d.path, &state)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", d.path, err)
	}
	by, err := d.node.access.Authenticate(ctx, state.Token)
	if !access.IsCode(err, access.CodeUnauthenticated) {
		state.introduce(by.Organization, d.node.config.LinkKeys)
		return &state, err
	}
	seeded, err := seedDemo(ctx, d.node.access)
	if err != nil {
		return nil, fmt.Errorf("seed the demo: %w", err)
	}
	fleet := sim.Fleet{BaseURL: d.node.url()}
	for _, place := range seeded.Claims {
		if err := enrol(ctx, &fleet, place); err != nil {
			return nil, err
		}
	}
	state = demoState{
		Token: seeded.Token, Devices: fleet.Devices, People: seeded.People, Door: seeded.Doors[0].ID,
		Night: seeded.People[slices.Index(demoPeople, "Night shift badge")], Plan: seeded.Plan,
	}
	return &state, writeJSON(d.path, state)
}

// introduce gives the server's keys to devices that enrolled before it had any.
func (s *demoState) introduce(org typeid.Organization, keys *devicelink.Keyring) {
	for i := range s.Devices {
		if d := &s.Devices[i]; d.KeysVersion == 0 {
			d.Organization, d.ServerKeys, d.KeysVersion = org, keys.Public(), 1
		}
	}
}

const invitation = `
Cardea is running, with 12 simulated doors on two sites and people coming and going.

  sign in   %[1]s/sign-in  as admin@example.com, and read the code at %[1]s/mail
  GraphiQL  %[1]s/graphiql
  token     %[2]s

Things to try, in GraphiQL, signed in or with the token:

  1. See the doors:    query { doors { nodes { id name lockState position site { name timeZone } } } }
  2. Watch them live:  subscription { doors { cursor event { type } door { name lockState position } } }
  3. Open one:         mutation { unlockDoor(input: {doorId: "%[3]s"}) { command { stage reason } } }
  4. Who may open it:  query { whoCanOpen(doorId: "%[3]s") { nodes { user { name } } } }
  5. Why not somebody: query { effectiveAccess(userId: "%[4]s", doorId: "%[3]s")
                               { granted reason nextChange { at granted } steps { rule effect reason } } }
  6. Close the house:  mutation { triggerLockdown(input: {planId: "%[5]s"}) { lockdown { id state } } }

Ctrl-C stops everything; the data stays for the next time.

`
