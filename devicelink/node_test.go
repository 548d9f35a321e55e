package devicelink_test

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/devicelink"
	"github.com/cardea/cardea/devicelink/client"
	"github.com/cardea/cardea/devicelink/linktest"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

const serverName = "doors.example.com"

// town is an organization with a site, an administrator with a key to it, and nodes that serve it.
type town struct {
	t         *testing.T
	db        *ent.Client
	redisURL  string
	namespace string
	office    *access.Service // of no node: it sets the town up
	org       typeid.Organization
	adminID   typeid.User
	admin     context.Context //nolint:containedctx // the actors that the tests act as
	system    context.Context //nolint:containedctx // likewise
	site      typeid.Site
	keys      *devicelink.Keyring // of the nodes that are made from now on
}

func newTown(t *testing.T) *town {
	t.Helper()
	b := &town{t: t, db: testenv.Client(t), keys: goldenServer}
	b.redisURL, b.namespace = testenv.Redis(t)
	b.office = b.node("office", nil).access
	org, admin, err := b.office.CreateOrganization(
		actor.NewContext(t.Context(), actor.System("test")), access.CreateOrganizationInput{
			Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com",
		})
	must(t, err)
	b.org, b.adminID = org.ID, admin.ID
	b.admin = actor.NewContext(t.Context(), actor.User(org.ID, admin.ID, actor.RoleAdmin))
	b.system = actor.NewContext(t.Context(), actor.System("test").Within(org.ID))
	site, err := b.office.CreateSite(b.admin,
		access.CreateSiteInput{Name: "Quay", TimeZone: "Europe/Rome"})
	must(t, err)
	b.site = site.Site.ID
	_, err = b.office.GrantKey(b.admin,
		access.GrantKeyInput{UserID: b.adminID, SiteID: &b.site})
	must(t, err)
	return b
}

// node is one process: its access, its links, its server.
type node struct {
	t        *testing.T
	name     string
	stream   *stream.Stream
	access   *access.Service
	registry *prometheus.Registry
	router   *devicelink.Router
	handler  *devicelink.Handler
	url      string
	stop     func()
}

// node starts a node; redisURL, if given, is another Redis than the town's.
func (b *town) node(name string, redisURL *string) *node {
	b.t.Helper()
	if redisURL == nil {
		redisURL = &b.redisURL
	}
	n := &node{t: b.t, name: name, registry: prometheus.NewRegistry()}
	log := testenv.Logger(b.t).With("node", name)
	var err error
	n.stream, err = stream.Open(b.t.Context(), stream.Config{
		URL: *redisURL, Namespace: b.namespace, Node: name, Log: log,
	})
	must(b.t, err)
	b.t.Cleanup(func() { _ = n.stream.Close() })
	n.router, err = devicelink.NewRouter(devicelink.RouterConfig{
		Stream: n.stream, Node: name, Log: log, Registerer: n.registry,
	})
	must(b.t, err)
	n.access = access.New(access.Config{DB: b.db, Devices: n.router, Log: log})
	n.handler, err = devicelink.NewHandler(devicelink.HandlerConfig{
		Access: n.access, Router: n.router, ServerName: serverName, Keys: b.keys, Log: log,
		Registerer: n.registry,
	})
	must(b.t, err)
	return n
}

// serve starts a node that takes links.
func (b *town) serve(name string) *node {
	b.t.Helper()
	return b.node(name, nil).start()
}

func (n *node) start() *node {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(n.t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- n.handler.Run(ctx) }()
	server := httptest.NewServer(n.handler)
	n.url = server.URL
	n.stop = func() {
		cancel()
		select {
		case err := <-ran:
			ran <- err
			if err != nil {
				n.t.Errorf("run: %v", err)
			}
		case <-time.After(linktest.Patience):
			n.t.Error("the node did not stop")
		}
	}
	n.t.Cleanup(func() {
		n.stop()
		server.Close()
	})
	eventually(n.t, "the node takes links", func() bool { return n.handler.Ready() })
	return n
}

// newDevice makes a place for a device with a door bound to port 1, and enrols a device there.
func (b *town) newDevice(n *node, name string) (client.Identity, *ent.Door) {
	b.t.Helper()
	place, err := b.office.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site, Name: name})
	must(b.t, err)
	created, err := b.office.CreateDoor(b.admin,
		access.CreateDoorInput{SiteID: b.site, Name: name, RelockSeconds: new(1)})
	must(b.t, err)
	bound, err := b.office.BindDoor(b.admin, access.BindDoorInput{
		DoorID: created.Door.ID, DeviceID: place.Device.ID, Port: 1,
	})
	must(b.t, err)
	return linktest.Enrol(b.t, n.url, place.ClaimCode), bound.Door
}

func (b *town) unlock(n *node, d *ent.Door) *ent.Command {
	b.t.Helper()
	p, err := n.access.UnlockDoor(b.admin, access.UnlockDoorInput{DoorID: d.ID})
	must(b.t, err)
	return p.Command
}

// reaches waits until a command has a stage.
func (b *town) reaches(id typeid.Command, stage command.Stage) *ent.Command {
	b.t.Helper()
	var c *ent.Command
	eventually(b.t, "command "+string(stage), func() bool {
		c = b.db.Command.GetX(b.system, id)
		return c.Stage == stage
	})
	return c
}

func (b *town) device(id typeid.Device) *ent.Device {
	return b.db.Device.GetX(b.system, id)
}

// asDevice is the context of what a device does.
func (b *town) asDevice(as client.Identity) context.Context {
	return actor.NewContext(b.t.Context(), actor.Device(b.org, as.Device))
}

func (b *town) online(id typeid.Device) bool {
	return b.device(id).Connectivity == schema.ConnectivityOnline
}

// events lists the types of a device's events, but for those of links and doors being set up.
func (b *town) events(id typeid.Device) []string {
	rows := b.db.Event.Query().Where(event.DeviceID(id)).Order(event.BySeq()).AllX(b.system)
	var types []string
	for _, row := range rows {
		switch row.Type {
		case "device.created", "device.enrolled", "device.connected", "door.bound":
		default:
			types = append(types, row.Type)
		}
	}
	return types
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events\n%v\nwant\n%v", got, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls what another goroutine or process makes true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(linktest.Patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
