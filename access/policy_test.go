package access_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/apitoken"
	"github.com/cardea/cardea/ent/application"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/credential"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/grant"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/lockdownplan"
	"github.com/cardea/cardea/ent/rule"
	"github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/session"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/user"
	"github.com/cardea/cardea/ent/usergroup"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/typeid"
)

var roles = []actor.Role{actor.RoleOwner, actor.RoleAdmin, actor.RoleManager, actor.RoleAuditor,
	actor.RoleMember, actor.RoleGuest}

// place is a site, with one of everything that somebody else than whoever is tested has there.
type place struct {
	site    *ent.Site
	door    *ent.Door
	device  *ent.Device
	area    *ent.Area
	key     *ent.Key
	command *ent.Command
	visit   *ent.Visit
	plan    *ent.LockdownPlan
}

// own is what is somebody's, at a site that nobody manages.
type own struct {
	user     typeid.User
	door     *ent.Door
	key      *ent.Key
	command  *ent.Command
	visit    *ent.Visit
	plan     *ent.LockdownPlan
	schedule *ent.Schedule
	group    *ent.UserGroup
	token    *ent.APIToken
	session  *ent.Session
	app      typeid.Application
	grant    typeid.Grant
	card     *ent.Credential
}

// estate is an organization with a manager of the site here, and somebody of every other role.
type estate struct {
	*bench
	here, there place
	other       own // a member who is not tested
	count       int
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	return newEstateOn(setup(t))
}

func newEstateOn(b *bench) *estate {
	b.t.Helper()
	e := &estate{bench: b}
	e.other = e.own(e.memberID)
	e.here, e.there = e.place("Harbour"), e.place("Yard")
	return e
}

func (e *estate) name(noun string) string {
	e.count++
	return fmt.Sprintf("%s %d", noun, e.count)
}

func (e *estate) place(name string) (p place) {
	e.t.Helper()
	made, err := e.access.CreateSite(e.admin, access.CreateSiteInput{Name: name, TimeZone: "UTC"})
	must(e.t, err)
	p.site = made.Site
	d, err := e.access.CreateDoor(e.admin, access.CreateDoorInput{SiteID: p.site.ID, Name: "Gate"})
	must(e.t, err)
	p.door = d.Door
	dev, err := e.access.CreateDevice(e.admin, access.CreateDeviceInput{SiteID: p.site.ID, Name: "Panel"})
	must(e.t, err)
	p.device = dev.Device
	a, err := e.access.CreateArea(e.admin, access.CreateAreaInput{SiteID: p.site.ID, Name: "Hall"})
	must(e.t, err)
	p.area = a.Area
	p.key = e.grant(e.memberID, p.door, nil)
	reason := "a delivery"
	c, err := e.access.UnlockDoor(e.admin,
		access.UnlockDoorInput{DoorID: p.door.ID, OperatorReason: &reason})
	must(e.t, err)
	p.command = c.Command
	p.visit = e.invite(e.admin, e.memberID, p.door)
	p.plan = e.plan(p.door, nil)
	return p
}

// own makes somebody things of their own, whatever their role lets them do.
func (e *estate) own(who typeid.User) (o own) {
	e.t.Helper()
	as := actor.NewContext(e.t.Context(), actor.User(e.org, who, actor.RoleMember))
	o.user, o.door = who, e.newDoor(e.name("Own gate"))
	plan, err := e.access.CreateSchedule(e.admin, access.CreateScheduleInput{Name: e.name("Own hours"),
		Windows: []schema.Window{{Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00"}}})
	must(e.t, err)
	o.schedule = plan.Schedule
	e.grant(who, o.door, &o.schedule.ID)
	o.key = e.grant(who, o.door, nil)
	c, err := e.access.UnlockDoor(as, access.UnlockDoorInput{DoorID: o.door.ID})
	must(e.t, err)
	o.command = c.Command
	o.visit = e.invite(as, who, o.door)
	g, err := e.access.CreateUserGroup(e.admin, access.CreateUserGroupInput{Name: e.name("Own crew")})
	must(e.t, err)
	o.group = g.UserGroup
	_, err = e.access.AddUserGroupMembers(e.admin, access.AddUserGroupMembersInput{
		UserGroupID: o.group.ID, UserIDs: []typeid.User{who}})
	must(e.t, err)
	o.plan = e.plan(o.door, &o.group.ID)
	p, err := e.access.CreateAPIToken(as, access.CreateAPITokenInput{Name: "phone"})
	must(e.t, err)
	o.token = p.Token
	in, err := e.access.StartSession(e.system, who, session.MethodEMAIL_CODE, access.Client{})
	must(e.t, err)
	o.session = in.Session
	o.app, o.grant = e.connect(as, e.name("Voice"))
	o.card = e.card(e.admin, who)
	return o
}

// connect makes an application, and has somebody let it act for them.
func (e *estate) connect(as context.Context, name string) (typeid.Application, typeid.Grant) {
	e.t.Helper()
	app, _ := e.application(name)
	_, err := e.access.GiveGrant(as, access.GiveGrantInput{ApplicationID: app.ID,
		RedirectURI: app.RedirectUris[0], Challenge: challenge})
	must(e.t, err)
	return app.ID, e.db.Grant.Query().Where(grant.ApplicationID(app.ID)).OnlyX(e.admin).ID
}

func (e *estate) seesApplication(ctx context.Context, id typeid.Application) error {
	which, err := e.access.VisibleApplications(ctx)
	return see(err, func() int {
		return e.db.Application.Query().Where(which, application.ID(id)).CountX(ctx)
	})
}

func (e *estate) seesGrant(ctx context.Context, id typeid.Grant) error {
	which, err := e.access.VisibleGrants(ctx)
	return see(err, func() int { return e.db.Grant.Query().Where(which, grant.ID(id)).CountX(ctx) })
}

func (e *estate) grant(to typeid.User, d *ent.Door, hours *typeid.Schedule) *ent.Key {
	e.t.Helper()
	shares := 100
	p, err := e.access.GrantKey(e.admin, access.GrantKeyInput{UserID: to, ScheduleID: hours,
		DoorIDs: []typeid.Door{d.ID}, Shares: &shares})
	must(e.t, err)
	return p.Key
}

func (e *estate) invitation(host typeid.User, d *ent.Door) access.InviteVisitorInput {
	return access.InviteVisitorInput{Name: "Fitter", SiteID: d.SiteID, DoorIDs: []typeid.Door{d.ID},
		StartsAt: e.clock.Now(), EndsAt: e.clock.Now().Add(time.Hour), HostID: &host}
}

func (e *estate) invite(ctx context.Context, host typeid.User, d *ent.Door) *ent.Visit {
	e.t.Helper()
	p, err := e.access.InviteVisitor(ctx, e.invitation(host, d))
	must(e.t, err)
	return p.Visit
}

func (e *estate) plan(d *ent.Door, group *typeid.UserGroup) *ent.LockdownPlan {
	e.t.Helper()
	p, err := e.access.CreateLockdownPlan(e.admin, access.CreateLockdownPlanInput{
		Name: e.name("Close"), DoorIDs: []typeid.Door{d.ID}, TriggerGroupID: group,
		ReleaseGroupID: group})
	must(e.t, err)
	return p.LockdownPlan
}

func (e *estate) card(ctx context.Context, who typeid.User) *ent.Credential {
	e.t.Helper()
	p, err := e.access.AddCard(ctx, e.newCard(who))
	must(e.t, err)
	return p.Credential
}

func (e *estate) newCard(who typeid.User) access.AddCardInput {
	e.count++
	facility := 7
	return access.AddCardInput{UserID: who, Format: access.CardWiegand26, FacilityCode: &facility,
		Number: strconv.Itoa(e.count)}
}

// somebody makes a user of the role and returns them as a token of theirs proves them to be.
func (e *estate) somebody(role actor.Role) (context.Context, own) {
	e.t.Helper()
	in := access.CreateUserInput{Name: "Badge", Email: e.name("badge") + "@example.com", Role: &role}
	in.Email = fmt.Sprintf("badge%d@example.com", e.count)
	if role == actor.RoleManager {
		in.SiteIDs = []typeid.Site{e.here.site.ID}
	}
	made, err := e.access.CreateUser(e.admin, in)
	must(e.t, err)
	token, err := e.access.CreateAPIToken(e.admin,
		access.CreateAPITokenInput{Name: "test", UserID: &made.User.ID})
	must(e.t, err)
	by, err := e.access.Authenticate(e.t.Context(), token.Secret)
	must(e.t, err)
	return actor.NewContext(e.t.Context(), by), e.own(made.User.ID)
}

// probe tries an action by a use case that it guards: on what is the actor's own, on what is at a
// site, or on what is anywhere.
type probe struct {
	mine     func(*estate, context.Context, own) error
	at       func(*estate, context.Context, place) error
	anywhere func(*estate, context.Context) error
}

var errUnseen = errors.New("not seen")

// see fails unless one row is counted, or the rows could not be asked for.
func see(err error, count func() int) error {
	if err == nil && count() == 0 {
		err = errUnseen
	}
	return err
}

func (e *estate) seesDoor(ctx context.Context, id typeid.Door) error {
	p, err := e.access.VisibleDoors(ctx)
	return see(err, func() int { return e.db.Door.Query().Where(p, door.ID(id)).CountX(ctx) })
}

func (e *estate) seesSite(ctx context.Context, id typeid.Site) error {
	p, err := e.access.VisibleSites(ctx)
	return see(err, func() int { return e.db.Site.Query().Where(p, site.ID(id)).CountX(ctx) })
}

func (e *estate) seesUser(ctx context.Context, id typeid.User) error {
	p, err := e.access.VisibleUsers(ctx)
	return see(err, func() int { return e.db.User.Query().Where(p, user.ID(id)).CountX(ctx) })
}

func (e *estate) seesKey(ctx context.Context, id typeid.Key) error {
	p, err := e.access.VisibleKeys(ctx)
	return see(err, func() int { return e.db.Key.Query().Where(p, key.ID(id)).CountX(ctx) })
}

func (e *estate) seesCommand(ctx context.Context, id typeid.Command) error {
	p, err := e.access.VisibleCommands(ctx)
	return see(err, func() int { return e.db.Command.Query().Where(p, command.ID(id)).CountX(ctx) })
}

func (e *estate) seesSession(ctx context.Context, id typeid.Session) error {
	which, err := e.access.VisibleSessions(ctx)
	return see(err, func() int {
		return e.db.Session.Query().Where(which, session.ID(id)).CountX(ctx)
	})
}

func (e *estate) seesToken(ctx context.Context, id typeid.APIToken) error {
	p, err := e.access.VisibleTokens(ctx)
	return see(err, func() int { return e.db.APIToken.Query().Where(p, apitoken.ID(id)).CountX(ctx) })
}

func (e *estate) seesGroup(ctx context.Context, id typeid.UserGroup) error {
	p, err := e.access.VisibleUserGroups(ctx)
	return see(err, func() int { return e.db.UserGroup.Query().Where(p, usergroup.ID(id)).CountX(ctx) })
}

func (e *estate) seesSchedule(ctx context.Context, id typeid.Schedule) error {
	p, err := e.access.VisibleSchedules(ctx)
	return see(err, func() int { return e.db.Schedule.Query().Where(p, schedule.ID(id)).CountX(ctx) })
}

func (e *estate) seesCredential(ctx context.Context, id typeid.Credential) error {
	p, err := e.access.VisibleCredentials(ctx)
	return see(err, func() int {
		return e.db.Credential.Query().Where(p, credential.ID(id)).CountX(ctx)
	})
}

func (e *estate) seesVisit(ctx context.Context, id typeid.Visit) error {
	p, err := e.access.VisibleVisits(ctx)
	return see(err, func() int { return e.db.Visit.Query().Where(p, visit.ID(id)).CountX(ctx) })
}

func (e *estate) seesPlan(ctx context.Context, id typeid.LockdownPlan) error {
	p, err := e.access.VisibleLockdownPlans(ctx)
	return see(err, func() int {
		return e.db.LockdownPlan.Query().Where(p, lockdownplan.ID(id)).CountX(ctx)
	})
}

// trigger closes a plan's door, and opens it again as somebody who may.
func (e *estate) trigger(ctx context.Context, p *ent.LockdownPlan) error {
	made, err := e.access.TriggerLockdown(ctx, access.TriggerLockdownInput{PlanID: p.ID})
	if err == nil {
		_, err := e.access.ReleaseLockdown(e.admin,
			access.ReleaseLockdownInput{LockdownID: made.Lockdown.ID})
		must(e.t, err)
	}
	return err
}

func (e *estate) share(ctx context.Context, k *ent.Key) error {
	_, err := e.access.ShareKey(ctx,
		access.ShareKeyInput{KeyID: k.ID, Recipient: "fitter@example.com"})
	return err
}

// asks whether somebody may open a door.
func (e *estate) asks(ctx context.Context, who typeid.User, d *ent.Door) error {
	_, err := e.access.EffectiveAccess(ctx, access.AccessQuestion{User: who, Door: d.ID})
	return err
}

// orders has a door unlocked; a refusal by the rules is one here.
func (e *estate) orders(ctx context.Context, d *ent.Door) error {
	p, err := e.access.UnlockDoor(ctx, access.UnlockDoorInput{DoorID: d.ID})
	if err == nil && p.Command.Stage == command.StageREJECTED {
		err = errUnseen
	}
	return err
}

// The use cases that are tried.
var probes = map[access.Action]probe{
	access.ReadOrganization: {anywhere: func(_ *estate, ctx context.Context) error {
		return access.Authorize(ctx, access.ReadOrganization) // by itself it guards the one row
	}},
	access.ReadSites: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesSite(ctx, o.door.SiteID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesSite(ctx, p.site.ID) },
	},
	access.ReadDoors: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesDoor(ctx, o.door.ID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesDoor(ctx, p.door.ID) },
	},
	access.ReadUsers: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesUser(ctx, o.user) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesUser(ctx, e.memberID) },
	},
	access.ReadKeys: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesKey(ctx, o.key.ID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesKey(ctx, p.key.ID) },
	},
	access.ReadCommands: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesCommand(ctx, o.command.ID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesCommand(ctx, p.command.ID) },
	},
	access.ReadSessions: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesSession(ctx, o.session.ID) },
		anywhere: func(e *estate, ctx context.Context) error {
			return e.seesSession(ctx, e.other.session.ID)
		},
	},
	access.ReadTokens: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesToken(ctx, o.token.ID) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesToken(ctx, e.other.token.ID) },
	},
	access.ReadDevices: {at: func(e *estate, ctx context.Context, p place) error {
		which, err := e.access.VisibleDevices(ctx)
		return see(err, func() int {
			return e.db.Device.Query().Where(which, device.ID(p.device.ID)).CountX(ctx)
		})
	}},
	access.ReadEvents: {at: func(e *estate, ctx context.Context, p place) error {
		which, err := e.access.VisibleEvents(ctx)
		return see(err, func() int {
			return e.db.Event.Query().Where(which, event.DoorID(p.door.ID)).CountX(ctx)
		})
	}},
	access.ReadGroups: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesGroup(ctx, o.group.ID) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesGroup(ctx, e.other.group.ID) },
	},
	access.ReadSchedules: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesSchedule(ctx, o.schedule.ID) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesSchedule(ctx, e.other.schedule.ID) },
	},
	access.ReadCredentials: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesCredential(ctx, o.card.ID) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesCredential(ctx, e.other.card.ID) },
	},
	access.ReadVisits: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesVisit(ctx, o.visit.ID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesVisit(ctx, p.visit.ID) },
	},
	access.ReadAreas: {at: func(e *estate, ctx context.Context, p place) error {
		which, err := e.access.VisibleAreas(ctx)
		return see(err, func() int {
			return e.db.Area.Query().Where(which, area.ID(p.area.ID)).CountX(ctx)
		})
	}},
	access.ReadLockdowns: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.seesPlan(ctx, o.plan.ID) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.seesPlan(ctx, p.plan.ID) },
	},
	access.ReadAccess: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.asks(ctx, o.user, o.door) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.asks(ctx, e.memberID, p.door) },
	},
	access.ReadWebhooks: {anywhere: func(_ *estate, ctx context.Context) error {
		return access.Authorize(ctx, access.ReadWebhooks) // likewise, all of them
	}},
	access.ReadApplications: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesApplication(ctx, o.app) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesApplication(ctx, e.other.app) },
	},
	access.ReadGrants: {
		mine:     func(e *estate, ctx context.Context, o own) error { return e.seesGrant(ctx, o.grant) },
		anywhere: func(e *estate, ctx context.Context) error { return e.seesGrant(ctx, e.other.grant) },
	},
	access.WriteApplications: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.CreateApplication(ctx, newApplication(e.name("Voice")))
		return err
	}},
	access.WriteGrants: {
		mine: func(e *estate, ctx context.Context, o own) error {
			_, err := e.access.RevokeGrant(ctx, access.RevokeGrantInput{ID: o.grant})
			return err
		},
		anywhere: func(e *estate, ctx context.Context) error {
			_, err := e.access.RevokeGrant(ctx, access.RevokeGrantInput{ID: e.other.grant})
			return err
		},
	},
	access.ReadProviders: {anywhere: func(_ *estate, ctx context.Context) error {
		return access.Authorize(ctx, access.ReadProviders) // likewise, all of them
	}},
	access.WriteOrganization: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.UpdateOrganization(ctx, access.UpdateOrganizationInput{Name: new("Harbour")})
		return err
	}},
	access.WriteProviders: {anywhere: func(e *estate, ctx context.Context) error {
		e.count++
		_, err := e.access.CreateIdentityProvider(ctx, access.CreateIdentityProviderInput{
			Name: "Harbour", Issuer: fmt.Sprintf("https://id.example.com/%d", e.count), Client: "doors",
			ClientSecret: "secret", Domains: []string{"example.com"}})
		return err
	}},
	access.WriteSites: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.CreateSite(ctx,
			access.CreateSiteInput{Name: e.name("Annexe"), TimeZone: "UTC"})
		return err
	}},
	access.WriteDoors: {at: func(e *estate, ctx context.Context, p place) error {
		_, err := e.access.UpdateDoor(ctx, access.UpdateDoorInput{ID: p.door.ID, Name: &p.door.Name})
		return err
	}},
	access.WriteUsers: {anywhere: func(e *estate, ctx context.Context) error {
		e.count++
		_, err := e.access.CreateUser(ctx, access.CreateUserInput{Name: "Cleaner",
			Email: fmt.Sprintf("cleaner%d@example.com", e.count)})
		return err
	}},
	access.WriteOwners: {anywhere: func(e *estate, ctx context.Context) error {
		e.count++
		owner := actor.RoleOwner
		_, err := e.access.CreateUser(ctx, access.CreateUserInput{Name: "Landlord", Role: &owner,
			Email: fmt.Sprintf("landlord%d@example.com", e.count)})
		return err
	}},
	access.WriteKeys: {at: func(e *estate, ctx context.Context, p place) error {
		_, err := e.access.GrantKey(ctx,
			access.GrantKeyInput{UserID: e.memberID, DoorIDs: []typeid.Door{p.door.ID}})
		return err
	}},
	access.WriteDevices: {at: func(e *estate, ctx context.Context, p place) error {
		_, err := e.access.CreateDevice(ctx,
			access.CreateDeviceInput{SiteID: p.site.ID, Name: e.name("Panel")})
		return err
	}},
	access.WriteSessions: {
		mine: func(e *estate, ctx context.Context, o own) error {
			_, err := e.access.EndSession(ctx, access.EndSessionInput{ID: o.session.ID})
			return err
		},
		anywhere: func(e *estate, ctx context.Context) error {
			_, err := e.access.EndSession(ctx, access.EndSessionInput{ID: e.other.session.ID})
			return err
		},
	},
	access.WriteTokens: {
		mine: func(e *estate, ctx context.Context, _ own) error {
			_, err := e.access.CreateAPIToken(ctx, access.CreateAPITokenInput{Name: "tablet"})
			return err
		},
		anywhere: func(e *estate, ctx context.Context) error {
			_, err := e.access.CreateAPIToken(ctx,
				access.CreateAPITokenInput{Name: "tablet", UserID: &e.memberID})
			return err
		},
	},
	access.WriteWebhooks: {anywhere: func(e *estate, ctx context.Context) error {
		e.count++
		_, err := e.access.CreateWebhookEndpoint(ctx, access.CreateWebhookEndpointInput{
			URL: fmt.Sprintf("https://hooks.example.com/%d", e.count)})
		return err
	}},
	access.WriteGroups: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.CreateUserGroup(ctx, access.CreateUserGroupInput{Name: e.name("Crew")})
		return err
	}},
	access.WriteSchedules: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.CreateSchedule(ctx, access.CreateScheduleInput{Name: e.name("Hours"),
			Windows: []schema.Window{{Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00"}}})
		return err
	}},
	access.WriteCredentials: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.AddCard(ctx, e.newCard(e.memberID))
		return err
	}},
	access.WriteVisits: {
		mine: func(e *estate, ctx context.Context, o own) error {
			_, err := e.access.InviteVisitor(ctx, e.invitation(o.user, o.door))
			return err
		},
		at: func(e *estate, ctx context.Context, p place) error {
			_, err := e.access.InviteVisitor(ctx, e.invitation(e.memberID, p.door))
			return err
		},
	},
	access.WriteAreas: {at: func(e *estate, ctx context.Context, p place) error {
		_, err := e.access.CreateArea(ctx, access.CreateAreaInput{SiteID: p.site.ID, Name: e.name("Hall")})
		return err
	}},
	access.WriteLockdowns: {anywhere: func(e *estate, ctx context.Context) error {
		_, err := e.access.CreateLockdownPlan(ctx, access.CreateLockdownPlanInput{
			Name: e.name("Close"), DoorIDs: []typeid.Door{e.door.ID}})
		return err
	}},
	access.TriggerLockdowns: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.trigger(ctx, o.plan) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.trigger(ctx, p.plan) },
	},
	access.ShareKeys: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.share(ctx, o.key) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.share(ctx, p.key) },
	},
	access.CommandDoors: {
		mine: func(e *estate, ctx context.Context, o own) error { return e.orders(ctx, o.door) },
		at:   func(e *estate, ctx context.Context, p place) error { return e.orders(ctx, p.door) },
	},
	access.OperateDoors: {at: func(e *estate, ctx context.Context, p place) error {
		_, err := e.access.OverrideDoorMode(ctx,
			access.OverrideDoorModeInput{DoorID: p.door.ID, Mode: door.OverrideModeCONTROLLED})
		return err
	}},
}

// reaches is how far each role gets with an action: ALL, SITES, OWN or nothing, in the order of roles.
var reaches = map[access.Action][6]string{
	//                        OWNER  ADMIN  MANAGER  AUDITOR MEMBER GUEST
	access.ReadOrganization:  {"ALL", "ALL", "ALL", "ALL", "ALL", "ALL"},
	access.ReadSites:         {"ALL", "ALL", "SITES", "ALL", "OWN", "OWN"},
	access.ReadDoors:         {"ALL", "ALL", "SITES", "ALL", "OWN", "OWN"},
	access.ReadUsers:         {"ALL", "ALL", "ALL", "ALL", "OWN", ""},
	access.ReadKeys:          {"ALL", "ALL", "SITES", "ALL", "OWN", "OWN"},
	access.ReadCommands:      {"ALL", "ALL", "SITES", "ALL", "OWN", "OWN"},
	access.ReadSessions:      {"ALL", "ALL", "OWN", "ALL", "OWN", ""},
	access.ReadTokens:        {"ALL", "ALL", "OWN", "ALL", "OWN", ""},
	access.ReadDevices:       {"ALL", "ALL", "SITES", "ALL", "", ""},
	access.ReadEvents:        {"ALL", "ALL", "SITES", "ALL", "", ""},
	access.ReadGroups:        {"ALL", "ALL", "ALL", "ALL", "OWN", ""},
	access.ReadSchedules:     {"ALL", "ALL", "ALL", "ALL", "OWN", ""},
	access.ReadCredentials:   {"ALL", "ALL", "OWN", "ALL", "OWN", ""},
	access.ReadVisits:        {"ALL", "ALL", "SITES", "ALL", "OWN", ""},
	access.ReadAreas:         {"ALL", "ALL", "SITES", "ALL", "", ""},
	access.ReadLockdowns:     {"ALL", "ALL", "SITES", "ALL", "OWN", ""},
	access.ReadAccess:        {"ALL", "ALL", "SITES", "ALL", "OWN", ""},
	access.ReadWebhooks:      {"ALL", "ALL", "", "ALL", "", ""},
	access.ReadApplications:  {"ALL", "ALL", "OWN", "ALL", "OWN", ""},
	access.ReadGrants:        {"ALL", "ALL", "OWN", "ALL", "OWN", ""},
	access.WriteApplications: {"ALL", "ALL", "", "", "", ""},
	access.WriteGrants:       {"ALL", "ALL", "OWN", "OWN", "OWN", ""},
	access.WriteSites:        {"ALL", "ALL", "", "", "", ""},
	access.WriteDoors:        {"ALL", "ALL", "SITES", "", "", ""},
	access.WriteUsers:        {"ALL", "ALL", "", "", "", ""},
	access.WriteOwners:       {"ALL", "", "", "", "", ""},
	access.WriteKeys:         {"ALL", "ALL", "SITES", "", "", ""},
	access.WriteDevices:      {"ALL", "ALL", "SITES", "", "", ""},
	access.WriteSessions:     {"ALL", "ALL", "OWN", "OWN", "OWN", ""},
	access.WriteTokens:       {"ALL", "ALL", "OWN", "", "OWN", ""},
	access.WriteWebhooks:     {"ALL", "ALL", "", "", "", ""},
	access.ReadProviders:     {"ALL", "ALL", "", "ALL", "", ""},
	access.WriteProviders:    {"ALL", "", "", "", "", ""},
	access.WriteOrganization: {"ALL", "", "", "", "", ""},
	access.WriteGroups:       {"ALL", "ALL", "", "", "", ""},
	access.WriteSchedules:    {"ALL", "ALL", "", "", "", ""},
	access.WriteCredentials:  {"ALL", "ALL", "", "", "", ""},
	access.WriteVisits:       {"ALL", "ALL", "SITES", "", "OWN", ""},
	access.WriteAreas:        {"ALL", "ALL", "SITES", "", "", ""},
	access.WriteLockdowns:    {"ALL", "ALL", "", "", "", ""},
	access.TriggerLockdowns:  {"ALL", "ALL", "SITES", "", "OWN", ""},
	access.ShareKeys:         {"ALL", "ALL", "SITES", "", "OWN", ""},
	access.CommandDoors:      {"OWN", "OWN", "OWN", "", "OWN", "OWN"},
	access.OperateDoors:      {"ALL", "ALL", "SITES", "", "", ""},
}

// reached is how far somebody gets, by what they succeed with.
func (e *estate) reached(ctx context.Context, action access.Action, o own) string {
	e.t.Helper()
	got := ""
	try := func(reach string, err error) {
		switch {
		case err == nil:
			got = reach
		case !errors.Is(err, errUnseen) && !access.IsCode(err, access.CodeForbidden) &&
			!access.IsCode(err, access.CodeNotFound):
			e.t.Errorf("%s: %v", action, err)
		}
	}
	p := probes[action]
	if p.mine != nil {
		try("OWN", p.mine(e, ctx, o))
	}
	if p.at != nil {
		try("SITES", p.at(e, ctx, e.here))
		try("ALL", p.at(e, ctx, e.there))
	}
	if p.anywhere != nil {
		try("ALL", p.anywhere(e, ctx))
	}
	return got
}

// TestPolicy tries every action as every role.
func TestPolicy(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	for i, role := range roles {
		ctx, o := e.somebody(role)
		for _, action := range actions(t) {
			if got := e.reached(ctx, action, o); got != reaches[action][i] {
				t.Errorf("%s by %s reaches %q, want %q", action, role, got, reaches[action][i])
			}
		}
	}
	device := actor.NewContext(t.Context(), actor.Device(e.org, e.dev.ID))
	for _, action := range actions(t) {
		wantCode(t, access.Authorize(device, action), access.CodeForbidden)
		if err := access.Authorize(t.Context(), action); !errors.Is(err, rule.ErrNoActor) {
			t.Errorf("%s by nobody: %v", action, err)
		}
	}
}

// actions is every constant of type Action, each of which has to be in the tables above.
func actions(t *testing.T) []access.Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	must(t, err)
	var found []access.Action
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Action" {
				name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				must(t, err)
				found = append(found, access.Action(name))
			}
		}
		return true
	})
	for _, action := range found {
		if _, ok := reaches[action]; !ok {
			t.Fatalf("%s is not in the table of what each role reaches", action)
		}
	}
	if len(found) != len(reaches) || len(found) != len(probes) {
		t.Fatalf("%d actions, %d with reaches, %d with a probe: %v", len(found), len(reaches),
			len(probes), slices.Collect(maps.Keys(probes)))
	}
	return found
}
