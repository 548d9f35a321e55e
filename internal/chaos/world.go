package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/seal"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/sim"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/typeid"
)

// secret seals what is in a database that lasts as long as a run.
var secret = base64.StdEncoding.EncodeToString(make([]byte, seal.SecretSize))

// serverKeys are what the nodes sign to devices with.
func serverKeys() ([]devicelink.ServerKey, error) {
	secrets, err := seal.NewKeyring(make([]byte, seal.SecretSize))
	if err != nil {
		return nil, err
	}
	keys, err := devicelink.NewKeyring(secrets.LinkSeeds()...)
	if err != nil {
		return nil, err
	}
	return keys.Public(), nil
}

// organization is a tenant with its doors and its people.
type organization struct {
	id      typeid.Organization
	sites   []typeid.Site
	doors   []typeid.Door
	devices []*device
	owner   person
	auditor person
	manager person      // of the first site
	member  person      // with keys to the first doors
	visitor typeid.User // who is given keys and loses them
}

// person is a user with a token.
type person struct {
	id    typeid.User
	token string
	doors map[typeid.Door]bool // that a member has keys to
}

const (
	ports    = 4 // of a device
	ownDoors = 8 // of a member
)

// settle fills the database with organizations, by the use cases.
func (c *chaos) settle(ctx context.Context) error {
	s := access.New(access.Config{DB: pool.Client(c.db), Log: slog.New(slog.DiscardHandler)})
	c.organizations = make([]*organization, c.size.organizations)
	group, together := errgroup.WithContext(ctx)
	for i := range c.organizations {
		group.Go(func() (err error) {
			if c.organizations[i], err = c.found(together, s, i); err != nil {
				return fmt.Errorf("make organization %d: %w", i+1, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (c *chaos) found(ctx context.Context, s *access.Service, number int) (*organization, error) {
	system := actor.NewContext(ctx, actor.System("seed"))
	org, owner, err := s.CreateOrganization(system, access.CreateOrganizationInput{
		Name: fmt.Sprintf("Estate %d", number+1), AdminName: "Front desk",
		AdminEmail: fmt.Sprintf("desk%d@example.com", number+1),
	})
	if err != nil {
		return nil, err
	}
	ctx = actor.NewContext(ctx, actor.User(org.ID, owner.ID, owner.Role))
	o := &organization{id: org.ID, owner: person{id: owner.ID}}
	for _, name := range []string{"Harbour", "Quay"} {
		made, err := s.CreateSite(ctx, access.CreateSiteInput{Name: name, TimeZone: "Europe/Rome"})
		if err != nil {
			return nil, err
		}
		o.sites = append(o.sites, made.Site.ID)
		site := &made.Site.ID
		if _, err := s.GrantKey(ctx, access.GrantKeyInput{UserID: owner.ID, SiteID: site}); err != nil {
			return nil, err
		}
	}
	for i := range max(1, c.size.doors/c.size.organizations/ports) {
		if err := o.fit(ctx, s, i); err != nil {
			return nil, err
		}
	}
	err = o.invite(ctx, s)
	return o, err
}

// fit makes a device with its doors.
func (o *organization) fit(ctx context.Context, s *access.Service, number int) error {
	site := o.sites[number%len(o.sites)]
	place, err := s.CreateDevice(ctx,
		access.CreateDeviceInput{SiteID: site, Name: fmt.Sprintf("Panel %d", number+1)})
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	_, err = s.Enrol(actor.NewContext(ctx, actor.System("devicelink")), access.EnrolInput{
		ClaimCode: place.ClaimCode, Serial: fmt.Sprintf("CHAOS-%d", number+1), Model: "Panel",
		Firmware: sim.Firmware, PublicKey: public,
	})
	if err != nil {
		return err
	}
	keys, err := serverKeys()
	if err != nil {
		return err
	}
	d := &device{
		org: o.id, site: site,
		identity: client.Identity{
			Device: place.Device.ID, Organization: o.id, LinkURL: devicelink.LinkPath,
			ServerName: "localhost", Key: private, ServerKeys: keys, KeysVersion: 1,
		},
	}
	for port := range ports {
		made, err := s.CreateDoor(ctx, access.CreateDoorInput{
			SiteID: site, Name: fmt.Sprintf("Gate %d.%d", number+1, port+1)})
		if err != nil {
			return err
		}
		d.doors = append(d.doors, made.Door.ID)
		_, err = s.BindDoor(ctx, access.BindDoorInput{
			DoorID: made.Door.ID, DeviceID: place.Device.ID, Port: port + 1})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(d.doors, compareDoors)
	o.devices, o.doors = append(o.devices, d), append(o.doors, d.doors...)
	return nil
}

// invite makes the people who watch, each with other rights.
func (o *organization) invite(ctx context.Context, s *access.Service) error {
	own := o.doors[:min(ownDoors, len(o.doors))]
	auditor, manager := actor.RoleAuditor, actor.RoleManager
	for _, p := range []struct {
		into  *person
		input access.CreateUserInput
	}{
		{&o.auditor, access.CreateUserInput{Name: "Night shift", Role: &auditor}},
		{&o.manager, access.CreateUserInput{Name: "Harbour desk", Role: &manager, SiteIDs: o.sites[:1]}},
		{&o.member, access.CreateUserInput{Name: "Courier"}},
	} {
		p.input.Email = fmt.Sprintf("%p@example.com", p.into)
		made, err := s.CreateUser(ctx, p.input)
		if err != nil {
			return err
		}
		p.into.id = made.User.ID
	}
	visitor, err := s.CreateUser(ctx, access.CreateUserInput{Name: "Visitor", Email: "visitor@example.com"})
	if err != nil {
		return err
	}
	o.visitor = visitor.User.ID
	if _, err := s.GrantKey(ctx, access.GrantKeyInput{UserID: o.member.id, DoorIDs: own}); err != nil {
		return err
	}
	o.member.doors = map[typeid.Door]bool{}
	for _, id := range own {
		o.member.doors[id] = true
	}
	for _, p := range []*person{&o.owner, &o.auditor, &o.manager, &o.member} {
		made, err := s.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "Desk", UserID: &p.id})
		if err != nil {
			return err
		}
		p.token = made.Secret
	}
	return nil
}

// compareDoors orders doors as the API does when one event is about several.
func compareDoors(a, b typeid.Door) int {
	x, y := a.UUID(), b.UUID()
	return slices.Compare(x[:], y[:])
}
