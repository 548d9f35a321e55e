package access_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/internal/testenv"
	"github.com/cardea/cardea/typeid"
)

// hardware stands where devicelink.Router stands: it keeps what it is handed.
type hardware struct {
	mu         sync.Mutex
	offline    bool
	dispatched []access.Dispatch
	configured []typeid.Device
	renewed    []typeid.Device
	ended      []typeid.Device
	access     *access.Service
	broken     error
	deaf       map[typeid.Device]bool // those that are told without effect
	stuck      chan struct{}          // if set, not even that, until it is closed
}

func (h *hardware) Dispatch(_ context.Context, d access.Dispatch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.offline {
		return access.ErrDeviceOffline
	}
	h.dispatched = append(h.dispatched, d)
	return nil
}

// Configure does what a link does: it records what the device was told of its doors.
func (h *hardware) Configure(ctx context.Context, id typeid.Device) error {
	h.mu.Lock()
	err, stuck, deaf := h.broken, h.stuck, h.deaf[id]
	if err == nil {
		h.configured = append(h.configured, id)
	}
	h.mu.Unlock()
	if deaf && stuck != nil {
		<-stuck
	}
	if err != nil || deaf {
		return err
	}
	by, _ := actor.FromContext(ctx)
	ctx = actor.NewContext(ctx, actor.Device(by.Organization, id))
	doors, err := h.access.DoorsOf(ctx)
	if err != nil {
		return err
	}
	return h.access.RecordConfigured(ctx, doors)
}

// fail lets no device be told of its doors, until err is nil.
func (h *hardware) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = err
}

// ignore lets devices not read what they are told, until the end that it returns.
func (h *hardware) ignore(devices map[typeid.Device]bool) (end func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deaf, h.stuck = devices, make(chan struct{})
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.stuck != nil {
			close(h.stuck)
		}
		h.deaf, h.stuck = nil, nil
	}
}

func (h *hardware) Renew(_ context.Context, id typeid.Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.renewed = append(h.renewed, id)
	return nil
}

func (h *hardware) Disconnect(_ context.Context, id typeid.Device) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, id)
	return nil
}

// bench is an organization with one door, its device, an administrator with a key to the site and a
// member without.
type bench struct {
	t        *testing.T
	db       *ent.Client
	access   *access.Service
	hardware *hardware
	clock    *clock
	org      typeid.Organization
	admin    context.Context //nolint:containedctx // the actors that the tests act as
	member   context.Context //nolint:containedctx // likewise
	system   context.Context //nolint:containedctx // likewise
	device   context.Context //nolint:containedctx // likewise
	adminID  typeid.User
	memberID typeid.User
	site     *ent.Site
	door     *ent.Door
	dev      *ent.Device
	key      *ent.Key
	read     int64 // the last event that news has told of
}

// clock is an instant that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func setup(t *testing.T) *bench {
	t.Helper()
	return setupOn(t, testenv.Client(t))
}

func setupOn(t *testing.T, db *ent.Client) *bench {
	t.Helper()
	b := &bench{t: t, db: db, hardware: &hardware{}, clock: &clock{now: schema.Now()}}
	b.access = access.New(access.Config{
		DB: b.db, Devices: b.hardware, Now: b.clock.Now, Log: testenv.Logger(t),
	})
	b.hardware.access = b.access
	everywhere := actor.NewContext(t.Context(), actor.System("test"))
	org, admin, err := b.access.CreateOrganization(everywhere, access.CreateOrganizationInput{
		Name: "Harbour", AdminName: "Front desk", AdminEmail: "desk@example.com",
	})
	must(t, err)
	b.org, b.adminID = org.ID, admin.ID
	b.system = actor.NewContext(t.Context(), actor.System("test").Within(org.ID))
	b.admin = actor.NewContext(t.Context(), actor.User(org.ID, admin.ID, admin.Role))
	member, err := b.access.CreateUser(b.admin,
		access.CreateUserInput{Name: "Night shift", Email: "night@example.com"})
	must(t, err)
	b.memberID = member.User.ID
	b.member = actor.NewContext(t.Context(), actor.User(org.ID, b.memberID, actor.RoleMember))
	site, err := b.access.CreateSite(b.admin,
		access.CreateSiteInput{Name: "Quay", TimeZone: "Europe/Rome"})
	must(t, err)
	b.site = site.Site
	b.door = b.newDoor("Gate")
	dev, err := b.access.CreateDevice(b.admin,
		access.CreateDeviceInput{SiteID: b.site.ID, Name: "Panel"})
	must(t, err)
	b.dev = dev.Device
	b.device = actor.NewContext(t.Context(), actor.Device(org.ID, b.dev.ID))
	bound, err := b.access.BindDoor(b.admin,
		access.BindDoorInput{DoorID: b.door.ID, DeviceID: b.dev.ID, Port: 1})
	must(t, err)
	b.door = bound.Door
	key, err := b.access.GrantKey(b.admin,
		access.GrantKeyInput{UserID: b.adminID, SiteID: &b.site.ID})
	must(t, err)
	b.key = key.Key
	return b
}

func (b *bench) newDoor(name string) *ent.Door {
	b.t.Helper()
	d, err := b.access.CreateDoor(b.admin, access.CreateDoorInput{SiteID: b.site.ID, Name: name})
	must(b.t, err)
	return d.Door
}

func (b *bench) unlock(ctx context.Context) *ent.Command {
	b.t.Helper()
	p, err := b.access.UnlockDoor(ctx, access.UnlockDoorInput{DoorID: b.door.ID})
	must(b.t, err)
	return p.Command
}

func (b *bench) link() *access.LinkState {
	b.t.Helper()
	state, err := b.access.OpenLink(b.device, access.OpenLinkInput{LogEpoch: 1, Firmware: "1.0"})
	must(b.t, err)
	return state
}

// events returns the types of the journal's events, oldest first, after a sequence.
func (b *bench) events(after int64) []string {
	b.t.Helper()
	rows := b.db.Event.Query().Where(event.SeqGT(after)).Order(event.BySeq()).AllX(b.system)
	types := make([]string, len(rows))
	for i, row := range rows {
		types[i] = row.Type
	}
	return types
}

func (b *bench) head() int64 {
	b.t.Helper()
	return b.db.JournalHead.GetX(b.system, b.org).Seq
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code access.Code) {
	t.Helper()
	if !access.IsCode(err, code) {
		t.Errorf("got %v, want code %s", err, code)
	}
}
