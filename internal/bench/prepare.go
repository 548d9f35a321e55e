package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/typeid"
)

// world is what a bench has made in the seeded database. It is kept beside it for the next run.
type world struct {
	Organization typeid.Organization `json:"organizationId"` // the one that is read
	Site         typeid.Site         `json:"siteId"`         // in it, of the bench's own doors
	Admin        typeid.User         `json:"adminId"`
	Token        string              `json:"token"`
	Doors        []typeid.Door       `json:"doorIds"` // each bound to the device of its place
	Many         []typeid.Door       `json:"manyIds"` // of the same devices, at their further ports
	Devices      int                 `json:"devices"` // how many devices.json holds
	LinkKey      string              `json:"linkKey"` // that those know the server by
}

const (
	reporters = 50 // devices that have doors
	ports     = 20 // further doors of each of those
)

// prepare opens the database and sees to it that it holds the seed and the world.
func (b *bench) prepare(ctx context.Context) (err error) {
	const connections = 8
	if b.db, err = pool.OpenPatient(b.services.PostgresURL, connections, pool.FenceOff); err != nil {
		return err
	}
	s := access.New(access.Config{DB: pool.Client(b.db), Log: slog.New(slog.DiscardHandler)})
	if found, err := b.findWorld(ctx, s); found || err != nil {
		return err
	}
	if err := b.seed(ctx); err != nil {
		return err
	}
	if err := b.makeWorld(ctx, s); err != nil {
		return err
	}
	// Once, so that its own vacuuming does not begin in the middle of a block.
	_, err = b.db.ExecContext(ctx, `VACUUM ANALYZE`)
	return err
}

// findWorld says whether an earlier run has left a world that is good for this one.
func (b *bench) findWorld(ctx context.Context, s *access.Service) (bool, error) {
	text, err := os.ReadFile(b.path("world.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, &b.world); err != nil {
		return false, fmt.Errorf("read the world: %w", err)
	}
	if b.world.Devices < b.scale.connections || len(b.world.Many) != reporters*ports ||
		b.world.LinkKey != benchKeys[0].ID {
		return false, nil
	}
	if _, err := b.db.ExecContext(ctx, `SELECT FROM api_tokens LIMIT 0`); err != nil {
		return false, nil //nolint:nilerr // there is no model
	}
	_, err = s.Authenticate(ctx, b.world.Token)
	if access.IsCode(err, access.CodeUnauthenticated) {
		return false, nil
	}
	return err == nil, err
}

// seed empties the database and has Cardea fill it.
func (b *bench) seed(ctx context.Context) error {
	_, err := b.db.ExecContext(ctx, `
		DROP SCHEMA IF EXISTS floor CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	if err != nil {
		return fmt.Errorf("empty the database: %w", err)
	}
	cmd := exec.CommandContext(ctx, b.path("bin/cardea"), "seed", "-size", b.scale.seed) //nolint:gosec // ours
	cmd.Env = append(cmd.Environ(), b.environment("127.0.0.1:0")...)
	cmd.Stdout, cmd.Stderr = b.progress, b.progress
	endSoftly(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// tenant is an organization of the seed, and someone who may do everything in it.
type tenant struct {
	organization typeid.Organization
	admin        typeid.User
	site         typeid.Site
}

func (t tenant) context(ctx context.Context) context.Context {
	return actor.NewContext(ctx, actor.User(t.organization, t.admin, actor.RoleAdmin))
}

// makeWorld adds to the seed what the measures need, through the use cases.
func (b *bench) makeWorld(ctx context.Context, s *access.Service) error {
	tenants, err := b.tenants(ctx)
	if err != nil {
		return err
	}
	for i := range tenants {
		t := &tenants[i]
		made, err := s.CreateSite(t.context(ctx),
			access.CreateSiteInput{Name: "Bench", TimeZone: "UTC"})
		if err != nil {
			return err
		}
		t.site = made.Site.ID
	}
	first := tenants[0]
	token, err := s.CreateAPIToken(first.context(ctx), access.CreateAPITokenInput{Name: "Bench"})
	if err != nil {
		return err
	}
	key := access.GrantKeyInput{UserID: first.admin, SiteID: &first.site}
	if _, err := s.GrantKey(first.context(ctx), key); err != nil {
		return err
	}
	b.world = world{
		Organization: first.organization, Site: first.site, Admin: first.admin, Token: token.Secret,
		Doors: make([]typeid.Door, reporters), Many: make([]typeid.Door, reporters*ports),
		Devices: b.scale.connections, LinkKey: benchKeys[0].ID,
	}
	devices := make([]client.Identity, b.world.Devices)
	group, together := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range devices {
		group.Go(func() (err error) {
			if i >= reporters { // spread over the organizations
				devices[i], err = enrol(together, s, tenants[i%len(tenants)], i)
				return err
			}
			if devices[i], err = enrol(together, s, first, i); err == nil {
				err = b.hangAll(together, s, first, devices[i].Device, i)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("make devices: %w", err)
	}
	return errors.Join(b.writeJSON("devices.json", devices), b.writeJSON("world.json", b.world))
}

func (b *bench) tenants(ctx context.Context) (all []tenant, err error) {
	rows, err := b.db.QueryContext(ctx, `
		SELECT DISTINCT ON (o.name, o.id) o.id, u.id
		FROM organizations o JOIN users u ON u.org_id = o.id AND u.role = 'OWNER'
		ORDER BY o.name, o.id, u.id`)
	if err != nil {
		return nil, fmt.Errorf("read organizations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t tenant
		if err := rows.Scan(&t.organization, &t.admin); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	if len(all) == 0 {
		return nil, errors.Join(errors.New("the seed has no organization"), rows.Err())
	}
	return all, rows.Err()
}

// enrol makes a device whose key we hold.
func enrol(ctx context.Context, s *access.Service, t tenant, n int) (client.Identity, error) {
	place, err := s.CreateDevice(t.context(ctx),
		access.CreateDeviceInput{SiteID: t.site, Name: fmt.Sprintf("Bench controller %04d", n+1)})
	if err != nil {
		return client.Identity{}, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return client.Identity{}, err
	}
	_, err = s.Enrol(actor.NewContext(ctx, actor.System("devicelink")), access.EnrolInput{
		ClaimCode: place.ClaimCode, Serial: fmt.Sprintf("BENCH-%04d", n+1), Model: "Bench controller",
		Firmware: sim.Firmware, PublicKey: public,
	})
	return client.Identity{
		Device: place.Device.ID, Organization: t.organization, LinkURL: devicelink.LinkPath,
		ServerName: "localhost", Key: private, ServerKeys: benchKeys, KeysVersion: 1,
	}, err
}

// hangAll makes a device's doors.
func (b *bench) hangAll(
	ctx context.Context, s *access.Service, t tenant, device typeid.Device, n int,
) (err error) {
	name := fmt.Sprintf("Bench door %02d", n+1)
	if b.world.Doors[n], err = hang(ctx, s, t, device, name, 1); err != nil {
		return err
	}
	for i := range ports {
		b.world.Many[n*ports+i], err = hang(ctx, s, t, device, fmt.Sprintf("%s.%02d", name, i), 2+i)
		if err != nil {
			return err
		}
	}
	return nil
}

// hang makes a door and binds it to a device's port.
func hang(
	ctx context.Context, s *access.Service, t tenant, device typeid.Device, name string, port int,
) (typeid.Door, error) {
	ctx = t.context(ctx)
	made, err := s.CreateDoor(ctx, access.CreateDoorInput{SiteID: t.site, Name: name})
	if err != nil {
		return typeid.Door{}, err
	}
	_, err = s.BindDoor(ctx, access.BindDoorInput{DoorID: made.Door.ID, DeviceID: device, Port: port})
	return made.Door.ID, err
}

// writeJSON writes a file that may hold secrets.
func (b *bench) writeJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(b.path(name), text, 0o600)
}
