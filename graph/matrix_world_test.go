package graph_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/typeid"
)

// realm is an organization with everything in it, at two sites, and somebody of every role. All its
// texts are marked (realm.name), so that they are known wherever they turn up.
//
// Keeper, who is nobody's caller, has one of everything at each site. Holder is a member with things
// of their own, all at the site here; guest has a key that holder shared.
type realm struct {
	*matrix
	org   typeid.Organization
	owner person

	admin, manager, idle, auditor, holder, member, guest, keeper, spare person
	expired, revoked, suspended, bare, confined                         person

	here, there place

	schedule, hours, spareSchedule *ent.Schedule // hours are holder's
	calendar, spareCalendar        *ent.HolidayCalendar
	staff, crew, spareCrew         *ent.UserGroup // crew, with holder in it, is part of staff
	house, wing, spareWing         *ent.DoorGroup // wing, with the attic in it, is part of house
	porch, attic                   *ent.Door      // that holder has keys to
	loft                           *ent.Door      // that holder may close, and nothing else
	vacant                         *ent.Site      // with nothing in it
	pin, card, mobile              *ent.Credential
	endpoint                       *ent.WebhookEndpoint
	token                          *ent.APIToken
	ring                           *ent.Passkey
	session, spareSession          *ent.Session
	app                            *ent.Application
	leave                          *ent.Grant // of keeper's, to app
	voice                          person     // holder, by an application
	provider                       *ent.IdentityProvider
	known                          *ent.Identity // keeper, as provider knows them

	own    map[string][]typeid.User // more that is somebody's own, by identifier
	at     map[string][]typeid.Site // more sites that something is at
	things map[string]*thing        // by identifier
}

// place is a site, with one of everything that is at one.
type place struct {
	site                *ent.Site
	gate, cellar        *ent.Door
	device, spareDevice *ent.Device
	hall, yard          *ent.Area
	key, shared         *ent.Key // shared was made from key
	command             *ent.Command
	visit, early        *ent.Visit
	plan, spare, unused *ent.LockdownPlan
	lockdown            *ent.Lockdown
}

// name is a text that nothing else has.
func (m *matrix) name(noun string) string {
	m.count++
	return fmt.Sprintf("%s q%05dq", noun, m.count)
}

func (m *matrix) email() string {
	m.count++
	return fmt.Sprintf("q%05dq@example.com", m.count)
}

// done returns what a use case made, as Ent's methods that end in X do.
func done[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

func (m *matrix) realm(owner person, org typeid.Organization) *realm {
	e := &realm{matrix: m, org: org, owner: owner,
		own: map[string][]typeid.User{}, at: map[string][]typeid.Site{}}
	e.calendars()
	e.here.site, e.there.site, e.vacant = e.newSite(), e.newSite(), e.newSite()
	e.newPeople()
	e.groups()
	e.fill(&e.here)
	e.fill(&e.there)
	e.holdings()
	e.lockdowns(&e.here)
	e.lockdowns(&e.there)
	e.closings()
	e.hooks()
	e.applications()
	e.devices.wait()
	e.load()
	return e
}

func (e *realm) newSite() *ent.Site {
	s := done(e.access.CreateSite(e.owner.ctx,
		access.CreateSiteInput{Name: e.name("Quay"), TimeZone: "Europe/Rome"})).Site
	return done(e.access.UpdateSite(e.owner.ctx,
		access.UpdateSiteInput{ID: s.ID, HolidayCalendarID: &e.calendar.ID})).Site
}

// newUser makes a person with a token.
func (e *realm) newUser(role actor.Role, sites ...typeid.Site) person {
	made := done(e.access.CreateUser(e.owner.ctx,
		access.CreateUserInput{Name: e.name("Shift"), Email: e.email(), Role: &role, SiteIDs: sites}))
	return e.newToken(access.CreateAPITokenInput{Name: e.name("Phone"), UserID: &made.User.ID})
}

// newToken is whoever acts by a new token.
func (e *realm) newToken(in access.CreateAPITokenInput) person {
	made := done(e.access.CreateAPIToken(e.owner.ctx, in))
	p := person{token: made.Token, secret: made.Secret}
	p.user = e.db.User.GetX(e.owner.ctx, made.Token.UserID)
	by := done(e.access.Authenticate(e.t.Context(), made.Secret))
	p.ctx = actor.NewContext(e.t.Context(), by)
	return p
}

func (e *realm) newPeople() {
	e.admin, e.auditor = e.newUser(actor.RoleAdmin), e.newUser(actor.RoleAuditor)
	e.manager = e.newUser(actor.RoleManager, e.here.site.ID)
	annexe := e.newSite()
	e.idle = e.newUser(actor.RoleManager, annexe.ID)
	done(e.access.DeleteSite(e.owner.ctx,
		access.DeleteSiteInput{ID: annexe.ID}))
	e.holder, e.member = e.newUser(actor.RoleMember), e.newUser(actor.RoleMember)
	e.keeper, e.spare = e.newUser(actor.RoleMember), e.newUser(actor.RoleMember)

	e.suspended = e.newUser(actor.RoleAdmin)
	status := user.StatusSUSPENDED
	done(e.access.UpdateUser(e.owner.ctx,
		access.UpdateUserInput{ID: e.suspended.user.ID, Status: &status}))
	own := func() access.CreateAPITokenInput { return access.CreateAPITokenInput{Name: e.name("CI")} }
	e.revoked = e.newToken(own())
	done(e.access.RevokeAPIToken(e.owner.ctx,
		access.RevokeAPITokenInput{ID: e.revoked.token.ID}))
	e.expired = e.newToken(own())
	_, err := e.pool.ExecContext(everywhere(e.t), "UPDATE api_tokens SET expires_at = $2 WHERE id = $1",
		e.expired.token.ID, time.Now().Add(-time.Second))
	must(e.t, err)
	bare, confined := own(), own()
	bare.Scopes = []actor.Scope{"organization:read"}
	confined.SiteIDs = []typeid.Site{e.here.site.ID}
	e.bare, e.confined = e.newToken(bare), e.newToken(confined)
	soon := time.Now().Add(time.Hour) // before the token that is to rotate it does
	e.token = e.newToken(access.CreateAPITokenInput{Name: e.name("Hub"), UserID: &e.keeper.user.ID,
		ExpiresAt: &soon}).token
	e.session, e.spareSession = e.newSession(e.keeper), e.newSession(e.keeper)
	e.newSession(e.holder)
	e.ring = e.passkey(e.keeper, e.name("Key ring"))
	e.passkey(e.holder, e.name("Phone"))
}

func (e *realm) newSession(p person) *ent.Session {
	system := actor.NewContext(e.t.Context(), actor.System("test").Within(e.org))
	return done(e.access.StartSession(system, p.user.ID,
		session.MethodEMAIL_CODE, access.Client{Address: "192.0.2.7", UserAgent: e.name("Browser")})).Session
}

func (e *realm) newSchedule() *ent.Schedule {
	return done(e.access.CreateSchedule(e.owner.ctx,
		access.CreateScheduleInput{Name: e.name("Hours"), Windows: []schema.Window{{
			Start: "2026-01-05T00:00:00", End: "2026-01-06T00:00:00", Rule: "FREQ=DAILY",
			Summary: e.name("Shift")}}})).Schedule
}

func (e *realm) newCalendar() *ent.HolidayCalendar {
	return done(e.access.CreateHolidayCalendar(e.owner.ctx,
		access.CreateHolidayCalendarInput{Name: e.name("Feasts"), Holidays: []schema.Holiday{{
			Name: e.name("Feast"), First: "2026-12-25"}}})).HolidayCalendar
}

func (e *realm) calendars() {
	e.schedule, e.hours, e.spareSchedule = e.newSchedule(), e.newSchedule(), e.newSchedule()
	e.calendar, e.spareCalendar = e.newCalendar(), e.newCalendar()
}

func (e *realm) newUserGroup(parent *typeid.UserGroup, people ...person) *ent.UserGroup {
	g := done(e.access.CreateUserGroup(e.owner.ctx,
		access.CreateUserGroupInput{Name: e.name("Crew"), ParentID: parent})).UserGroup
	for _, p := range people {
		done(e.access.AddUserGroupMembers(e.owner.ctx,
			access.AddUserGroupMembersInput{UserGroupID: g.ID, UserIDs: []typeid.User{p.user.ID}}))
	}
	return g
}

func (e *realm) newDoorGroup(parent *typeid.DoorGroup, doors ...*ent.Door) *ent.DoorGroup {
	g := done(e.access.CreateDoorGroup(e.owner.ctx,
		access.CreateDoorGroupInput{Name: e.name("Wing"), ParentID: parent})).DoorGroup
	for _, d := range doors {
		done(e.access.AddDoorGroupDoors(e.owner.ctx,
			access.AddDoorGroupDoorsInput{DoorGroupID: g.ID, DoorIDs: []typeid.Door{d.ID}}))
	}
	return g
}

func (e *realm) newDoor(s *ent.Site) *ent.Door {
	return done(e.access.CreateDoor(e.owner.ctx,
		access.CreateDoorInput{SiteID: s.ID, Name: e.name("Gate")})).Door
}

func (e *realm) newDevice(s *ent.Site) *ent.Device {
	return done(e.access.CreateDevice(e.owner.ctx,
		access.CreateDeviceInput{SiteID: s.ID, Name: e.name("Panel")})).Device
}

func (e *realm) newArea(s *ent.Site) *ent.Area {
	return done(e.access.CreateArea(e.owner.ctx,
		access.CreateAreaInput{SiteID: s.ID, Name: e.name("Hall")})).Area
}

// groups are those of people with holder and keeper in them, and those of doors here.
func (e *realm) groups() {
	e.staff = e.newUserGroup(nil, e.keeper)
	e.crew, e.spareCrew = e.newUserGroup(&e.staff.ID, e.holder, e.keeper), e.newUserGroup(nil, e.keeper)
	e.owns(e.holder, e.staff.ID, e.crew.ID)
	e.attic = e.newDoor(e.here.site)
	e.house = e.newDoorGroup(nil)
	e.wing, e.spareWing = e.newDoorGroup(&e.house.ID, e.attic), e.newDoorGroup(nil)
	e.owns(e.holder, e.house.ID, e.wing.ID)
}

// fill puts keeper's things at a site.
func (e *realm) fill(p *place) {
	as, shares := e.owner.ctx, 2
	p.gate, p.cellar = e.newDoor(p.site), e.newDoor(p.site)
	p.device, p.spareDevice = e.newDevice(p.site), e.newDevice(p.site)
	p.hall, p.yard = e.newArea(p.site), e.newArea(p.site)
	e.bind(e.owner, p.gate, p.device, 1)
	done(e.access.SetDoorAreas(as,
		access.SetDoorAreasInput{DoorID: p.gate.ID, IntoAreaID: &p.hall.ID, OutOfAreaID: &p.yard.ID}))
	done(e.access.UpdateDoor(as, access.UpdateDoorInput{ID: p.cellar.ID,
		UnlockScheduleID: &e.schedule.ID}))
	e.connect(e.owner, p.device.ID)
	done(e.access.AddDoorGroupDoors(as,
		access.AddDoorGroupDoorsInput{DoorGroupID: e.spareWing.ID, DoorIDs: []typeid.Door{p.cellar.ID}}))
	p.key = done(e.access.GrantKey(as, access.GrantKeyInput{
		UserID: e.keeper.user.ID, DoorIDs: []typeid.Door{p.gate.ID}, Shares: &shares,
		ScheduleID: &e.schedule.ID})).Key
	p.shared = e.share(p.key).Key
	e.reaches(p.site, p.key.ID, p.shared.ID)
	whole := done(e.access.GrantKey(as, access.GrantKeyInput{
		UserGroupID: e.spareCrew.ID, SiteID: &p.site.ID})).Key
	wing := done(e.access.GrantKey(as, access.GrantKeyInput{
		UserGroupID: e.spareCrew.ID, DoorGroupIDs: []typeid.DoorGroup{e.spareWing.ID}})).Key
	e.reaches(p.site, whole.ID)
	e.reaches(e.here.site, wing.ID)
	e.reaches(e.there.site, wing.ID)
	p.command = e.unlock(e.keeper, p.gate)
	note := e.name("A parcel")
	done(e.access.UnlockDoor(as,
		access.UnlockDoorInput{DoorID: p.cellar.ID, OperatorReason: &note}))
	done(e.access.RecordPresence(as, access.RecordPresenceInput{
		AreaID: p.hall.ID, UserID: e.keeper.user.ID, State: "IN"}))
	p.visit, p.early = e.visit(e.keeper, p.site, p.gate), e.visit(e.keeper, p.site, p.gate)
}

// lockdowns makes one that is in force, of a plan without a group.
func (e *realm) lockdowns(p *place) {
	vault := e.newDoor(p.site)
	p.plan, p.spare, p.unused = e.plan(nil, vault), e.plan(nil, p.gate), e.plan(nil, p.gate)
	p.lockdown = done(e.access.TriggerLockdown(e.owner.ctx,
		access.TriggerLockdownInput{PlanID: p.plan.ID})).Lockdown
	e.reaches(p.site, p.plan.ID, p.spare.ID, p.unused.ID, p.lockdown.ID)
}

func (e *realm) plan(by *typeid.UserGroup, doors ...*ent.Door) *ent.LockdownPlan {
	in := access.CreateLockdownPlanInput{Name: e.name("Close"), TriggerGroupID: by}
	for _, d := range doors {
		in.DoorIDs = append(in.DoorIDs, d.ID)
	}
	return done(e.access.CreateLockdownPlan(e.owner.ctx, in)).LockdownPlan
}

func (e *realm) share(k *ent.Key) *access.ShareKeyPayload {
	name := e.name("Guest")
	by := actor.NewContext(e.t.Context(), actor.User(e.org, *k.UserID, actor.RoleMember))
	return done(e.access.ShareKey(by,
		access.ShareKeyInput{KeyID: k.ID, Recipient: e.email(), RecipientName: &name}))
}

func (e *realm) unlock(by person, d *ent.Door) *ent.Command {
	return done(e.access.UnlockDoor(by.ctx,
		access.UnlockDoorInput{DoorID: d.ID})).Command
}

// visit is one that a person hosts. Its key is theirs, too: they shared it.
func (e *realm) visit(by person, s *ent.Site, d *ent.Door) *ent.Visit {
	recipient := e.email()
	v := done(e.access.InviteVisitor(e.owner.ctx,
		access.InviteVisitorInput{Name: e.name("Visitor"), Recipient: &recipient, SiteID: s.ID,
			DoorIDs: []typeid.Door{d.ID}, HostID: &by.user.ID, StartsAt: time.Now(),
			EndsAt: time.Now().Add(time.Hour)})).Visit
	e.reaches(s, v.KeyID)
	return v
}

// holdings are what is holder's own, and the guest's.
func (e *realm) holdings() {
	s, shares := e.here.site, 1
	e.porch = e.newDoor(s)
	k := done(e.access.GrantKey(e.owner.ctx, access.GrantKeyInput{
		UserID: e.holder.user.ID, DoorIDs: []typeid.Door{e.porch.ID}, ScheduleID: &e.hours.ID,
		Shares: &shares})).Key
	whole := done(e.access.GrantKey(e.owner.ctx, access.GrantKeyInput{
		UserGroupID: e.staff.ID, DoorGroupIDs: []typeid.DoorGroup{e.house.ID}})).Key
	e.reaches(s, k.ID, whole.ID)
	e.owns(e.holder, s.ID, e.porch.ID, e.attic.ID, e.hours.ID, e.calendar.ID, whole.ID)
	e.unlock(e.holder, e.porch)
	e.visit(e.holder, s, e.porch)

	redeemed := done(e.access.RedeemLink(e.t.Context(),
		strings.TrimPrefix(e.share(k).Link, access.LinkPath)))
	by := done(e.access.Authenticate(e.t.Context(), redeemed.Secret))
	e.guest = person{user: redeemed.Guest, secret: redeemed.Secret,
		ctx: actor.NewContext(e.t.Context(), by)}
	e.owns(e.guest, s.ID, e.porch.ID)
	e.reaches(s, redeemed.Key.ID)
	e.unlock(e.guest, e.porch)
	both := done(e.access.GrantKey(e.owner.ctx, access.GrantKeyInput{UserID: e.keeper.user.ID,
		DoorIDs: []typeid.Door{e.here.cellar.ID}, SiteID: &e.there.site.ID})).Key
	e.reaches(e.here.site, both.ID)
	e.reaches(e.there.site, both.ID)
	e.credentials()
}

// credentials are two of holder's, of which they see one, and one of each kind of keeper's.
func (e *realm) credentials() {
	duress, as := true, e.owner.ctx
	label := func() *string { text := e.name("Label"); return &text }
	done(e.access.CreatePIN(as, access.CreatePINInput{
		UserID: e.holder.user.ID, Label: label(), Duress: &duress}))
	card := func(who person) *ent.Credential {
		e.count++
		return done(e.access.AddCard(as, access.AddCardInput{
			UserID: who.user.ID, Label: label(), Format: "CSN_32", Number: fmt.Sprintf("%08x", e.count)})).Credential
	}
	e.owns(e.holder, card(e.holder).ID)
	e.card = card(e.keeper)
	e.pin = done(e.access.CreatePIN(as, access.CreatePINInput{
		UserID: e.keeper.user.ID, Label: label()})).Credential
	public, _, err := ed25519.GenerateKey(nil)
	must(e.t, err)
	e.mobile = done(e.access.AddMobile(as, access.AddMobileInput{
		UserID: e.keeper.user.ID, Label: label(),
		PublicKey: base64.StdEncoding.EncodeToString(public)})).Credential
}

// closings is a lockdown over both sites by a plan of holder's crew, that is over.
func (e *realm) closings() {
	e.loft = e.newDoor(e.there.site)
	p := e.plan(&e.crew.ID, e.attic, e.loft)
	l := done(e.access.TriggerLockdown(e.owner.ctx,
		access.TriggerLockdownInput{PlanID: p.ID})).Lockdown
	done(e.access.ReleaseLockdown(e.owner.ctx,
		access.ReleaseLockdownInput{LockdownID: l.ID}))
	e.owns(e.holder, p.ID, l.ID)
	e.reaches(e.here.site, p.ID, l.ID)
	e.reaches(e.there.site, p.ID, l.ID)
	done(e.access.OverrideDoorMode(e.owner.ctx,
		access.OverrideDoorModeInput{DoorID: e.there.cellar.ID, Mode: door.OverrideModeLOCKED}))
}

// hooks are an endpoint with what package webhooks would have written.
func (e *realm) hooks() {
	what := e.name("Chat")
	as := e.owner.ctx
	e.endpoint = done(e.access.CreateWebhookEndpoint(as,
		access.CreateWebhookEndpointInput{URL: "https://example.com/" + e.email(), Description: &what})).Endpoint
	e.provider = done(e.access.CreateIdentityProvider(as, access.CreateIdentityProviderInput{
		Name: e.name("Harbour"), Issuer: "https://id.example.com", Client: "doors", ClientSecret: e.name("secret"),
		Domains: []string{"example.com"}})).Provider
	e.known = e.identity(e.provider, e.keeper)
	e.identity(e.provider, e.holder)
	first := e.db.Event.Query().FirstX(as)
	d := e.db.WebhookDelivery.Create().SetEndpointID(e.endpoint.ID).SetEventID(first.ID).
		SetEventSeq(first.Seq).SetState("DELIVERED").SetAttempts(1).SaveX(as)
	e.db.WebhookAttempt.Create().SetDeliveryID(d.ID).SetStartedAt(time.Now()).SetDurationMs(9).
		SetNumber(1).SetErrorClass("timeout").SetResponseBody(e.name("answer")).ExecX(as)
}

// identity is a person as a provider knows them.
func (e *realm) identity(at *ent.IdentityProvider, who person) *ent.Identity {
	return e.db.Identity.Create().SetUserID(who.user.ID).SetProviderID(at.ID).SetIssuer(at.Issuer).
		SetSubject(e.name("Shift")).SetCreatedAt(schema.Now()).SaveX(e.owner.ctx)
}

// applications are one that keeper lets act for them, and one by which holder asks.
func (e *realm) applications() {
	connect := func(who person) (*ent.Application, person) {
		made := done(e.access.CreateApplication(e.owner.ctx, access.CreateApplicationInput{
			Name: e.name("Voice"), Type: application.TypeCONFIDENTIAL, RedirectURIs: []string{back},
			Scopes: access.ApplicationScopes()}))
		through, _ := e.through(made.Application, access.ClientCredentials{
			ID: made.Application.ID.String(), Secret: made.Secret}, who)
		by := done(e.access.Authenticate(e.t.Context(), through.secret))
		through.ctx = actor.NewContext(e.t.Context(), by)
		e.owns(who, made.Application.ID)
		return made.Application, through
	}
	e.app, _ = connect(e.keeper)
	e.leave = e.db.Grant.Query().Where(grant.ApplicationID(e.app.ID)).OnlyX(e.owner.ctx)
	_, e.voice = connect(e.holder)
}

// owns says that things are somebody's own where the database does not say so in one column.
func (e *realm) owns(who person, ids ...fmt.Stringer) {
	for _, id := range ids {
		e.own[id.String()] = append(e.own[id.String()], who.user.ID)
	}
}

// reaches says likewise that things are at a site.
func (e *realm) reaches(s *ent.Site, ids ...fmt.Stringer) {
	for _, id := range ids {
		e.at[id.String()] = append(e.at[id.String()], s.ID)
	}
}
