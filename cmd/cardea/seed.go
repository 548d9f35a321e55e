package main

import (
	"context"
	"fmt"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/pool"
	"github.com/cardea/cardea/typeid"
)

// seed fills the database.
func (p program) seed(ctx context.Context, args []string) error {
	flags := p.flags("seed")
	size := flags.String("size", "demo", "demo: one organization with 12 doors; bench: 20 large ones; "+
		"explain: one with groups, schedules and keys of every kind")
	random := flags.Uint64("seed", 1, "decides the choices of a bulk load")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := checkOneOf(*size, "demo", "bench", "explain"); err != nil {
		return fmt.Errorf("-size: %w", err)
	}
	c, db, err := p.openDatabase()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := p.applyMigrations(ctx, db); err != nil {
		return err
	}
	switch *size {
	case "bench":
		return bulkLoad(ctx, db, benchSize, *random, p.stdout)
	case "explain":
		return bulkLoad(ctx, db, explainSize, *random, p.stdout)
	}
	s := access.New(access.Config{DB: pool.Client(db), Secrets: c.Secrets, Log: p.logger(c)})
	demo, err := seedDemo(ctx, s)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(p.stdout, "organization %s\ntoken        %s\n", demo.Organization, demo.Token)
	for _, claim := range demo.Claims {
		_, _ = fmt.Fprintf(p.stdout, "claim code   %s  (%s, for %s)\n",
			claim.Code, claim.Serial, access.ClaimWindow)
	}
	return nil
}

// demoSeed is what a demo organization begins with.
type demoSeed struct {
	Organization typeid.Organization
	Admin        typeid.User
	Token        string // of the administrator
	Claims       []claim
	People       []typeid.User
	Sites        []typeid.Site
	Doors        []*ent.Door
	Plan         typeid.LockdownPlan
}

// claim is the place of a device that has yet to enrol.
type claim struct{ Code, Serial string }

// demoSites has two sites in two time zones, each with three controllers of two doors.
var demoSites = []struct {
	name, zone string
	panels     []demoPanel
}{
	{"Harbour House", "Europe/Rome", []demoPanel{
		{"Ground floor panel", [2]string{"Front door", "Loading bay"}},
		{"First floor panel", [2]string{"Studio", "Archive"}},
		{"Roof panel", [2]string{"Roof terrace", "Plant room"}},
	}},
	{"Mill Works", "America/New_York", []demoPanel{
		{"Gate panel", [2]string{"Main gate", "Reception"}},
		{"Workshop panel", [2]string{"Workshop", "Tool store"}},
		{"Lab panel", [2]string{"Laboratory", "Cold room"}},
	}},
}

type demoPanel struct {
	name  string
	doors [2]string
}

var demoPeople = []string{
	"Front desk badge", "Night shift badge", "Cleaning badge", "Courier badge", "Workshop badge",
	"Laboratory badge", "Visitor badge 1", "Visitor badge 2",
}

// seedDemo makes the demo organization through the use cases, as a client would.
func seedDemo(ctx context.Context, s *access.Service) (*demoSeed, error) {
	system := actor.NewContext(ctx, actor.System("seed"))
	org, admin, err := s.CreateOrganization(system, access.CreateOrganizationInput{
		Name: "Cardea Demo", AdminName: "Demo administrator", AdminEmail: "admin@example.com",
	})
	if err != nil {
		return nil, err
	}
	demo := &demoSeed{Organization: org.ID, Admin: admin.ID}
	ctx = actor.NewContext(ctx, actor.User(org.ID, admin.ID, admin.Role))
	if err := demo.addPeople(ctx, s); err != nil {
		return nil, err
	}
	for i, site := range demoSites {
		made, err := s.CreateSite(ctx, access.CreateSiteInput{Name: site.name, TimeZone: site.zone})
		if err != nil {
			return nil, err
		}
		for j, panel := range site.panels {
			serial := fmt.Sprintf("SIM-%d%02d", i+1, j+1)
			if err := demo.addPanel(ctx, s, made.Site.ID, panel, serial); err != nil {
				return nil, err
			}
		}
		demo.Sites = append(demo.Sites, made.Site.ID)
	}
	if err := demo.addRules(ctx, s); err != nil {
		return nil, err
	}
	token, err := s.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "Demo"})
	if err != nil {
		return nil, err
	}
	demo.Token = token.Secret
	return demo, nil
}

func (d *demoSeed) addPeople(ctx context.Context, s *access.Service) error {
	for i, name := range demoPeople {
		made, err := s.CreateUser(ctx, access.CreateUserInput{
			Name: name, Email: fmt.Sprintf("badge%d@example.com", i+1),
		})
		if err != nil {
			return err
		}
		d.People = append(d.People, made.User.ID)
	}
	return nil
}

func (d *demoSeed) addPanel(
	ctx context.Context, s *access.Service, site typeid.Site, panel demoPanel, serial string,
) error {
	model := "Simulated two-door panel"
	device, err := s.CreateDevice(ctx,
		access.CreateDeviceInput{SiteID: site, Name: panel.name, Model: &model})
	if err != nil {
		return err
	}
	d.Claims = append(d.Claims, claim{Code: device.ClaimCode, Serial: serial})
	for port, name := range panel.doors {
		door, err := s.CreateDoor(ctx, access.CreateDoorInput{SiteID: site, Name: name})
		if err != nil {
			return err
		}
		bound, err := s.BindDoor(ctx, access.BindDoorInput{
			DoorID: door.Door.ID, DeviceID: device.Device.ID, Port: port + 1,
		})
		if err != nil {
			return err
		}
		d.Doors = append(d.Doors, bound.Door)
	}
	return nil
}
