package graph_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

// manager makes a manager of sites.
func (w *world) manager(sites ...*ent.Site) person {
	w.t.Helper()
	role, ids := actor.RoleManager, make([]typeid.Site, len(sites))
	for i, s := range sites {
		ids[i] = s.ID
	}
	made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{
		Name: "Night shift", Email: rand.Text() + "@example.com", Role: &role, SiteIDs: ids})
	must(w.t, err)
	token, err := w.access.CreateAPIToken(w.admin.ctx,
		access.CreateAPITokenInput{Name: "phone", UserID: &made.User.ID})
	must(w.t, err)
	by, err := w.access.Authenticate(w.t.Context(), token.Secret)
	must(w.t, err)
	return person{user: made.User, token: token.Token, secret: token.Secret,
		ctx: actor.NewContext(w.t.Context(), by)}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, yard := w.site(w.admin, "Harbour"), w.site(w.admin, "Yard")
	gate, shed := w.door(w.admin, harbour, "Gate"), w.door(w.admin, yard, "Shed")
	foreign := w.site(w.stranger, "Elsewhere")
	const create = `mutation($role: Role, $sites: [ID!]) { createUser(input: {name: "Night shift",
		email: "night@example.com", role: $role, siteIds: $sites}) {
		user { id role managedSites { nodes { name } } } } }`
	w.ask(w.admin, create, vars{"role": "MANAGER"}).refused("BAD_USER_INPUT siteIds")
	w.ask(w.admin, create, vars{"sites": []any{harbour.ID}}).refused("BAD_USER_INPUT siteIds")
	w.ask(w.admin, create, vars{"role": "MANAGER", "sites": []any{foreign.ID}}).
		refused("NOT_FOUND siteIds")
	w.ask(w.member, create, vars{"role": "MANAGER", "sites": []any{harbour.ID}}).refused("FORBIDDEN")
	made := w.ask(w.admin, create, vars{"role": "MANAGER", "sites": []any{harbour.ID}}).ok()
	equal(t, made.text("createUser.user.managedSites.nodes.0.name"), "Harbour")
	id := made.at("createUser.user.id")
	const update = `mutation($id: ID!, $role: Role, $sites: [ID!]) { updateUser(input: {
		id: $id, role: $role, siteIds: $sites}) { user { role managedSites { nodes { name } } } } }`
	both := []any{yard.ID, harbour.ID}
	moved := w.ask(w.admin, update, vars{"id": id, "sites": both}).ok()
	equal(t, len(moved.at("updateUser.user.managedSites.nodes").([]any)), 2)
	w.ask(w.stranger, update, vars{"id": id, "sites": both}).refused("NOT_FOUND id")
	w.ask(w.member, update, vars{"id": id, "sites": both}).refused("FORBIDDEN")
	w.ask(w.admin, update, vars{"id": id, "role": "MEMBER", "sites": both}).
		refused("BAD_USER_INPUT siteIds")
	w.ask(w.admin, `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletedId } }`, vars{"id": id}).ok()

	m := w.manager(harbour)
	seen := w.ask(m, `{ sites { nodes { name } } doors { nodes { name site { name } } }
		users { nodes { name } } viewer { role siteIds permissions { action scope reach } } }`).ok()
	equal(t, len(seen.at("sites.nodes").([]any)), 1)
	equal(t, seen.text("doors.nodes.0.site.name"), "Harbour")
	equal(t, len(seen.at("users.nodes").([]any)), 3)
	equal(t, seen.text("viewer.siteIds.0"), harbour.ID.String())
	reach := map[string]string{}
	for _, p := range seen.at("viewer.permissions").([]any) {
		p := p.(map[string]any)
		reach[p["action"].(string)] = p["scope"].(string) + " " + p["reach"].(string)
	}
	for action, want := range map[string]string{
		"READ_USERS": "USERS_READ ALL", "WRITE_DOORS": "DOORS_WRITE SITES",
		"COMMAND_DOORS": "DOORS_UNLOCK OWN", "WRITE_USERS": "", "WRITE_OWNERS": "",
	} {
		equal(t, reach[action], want)
	}
	const rename = `mutation($id: ID!) { updateDoor(input: {id: $id, name: "Hatch"}) { door { name } } }`
	w.ask(m, rename, vars{"id": gate.ID}).ok()
	w.ask(m, rename, vars{"id": shed.ID}).refused("NOT_FOUND id")
	equal(t, w.ask(m, `query($id: ID!) { door(id: $id) { name } }`, vars{"id": shed.ID}).ok().at("door"), nil)
	equal(t, w.ask(w.admin, `{ viewer { siteIds } }`).ok().at("viewer.siteIds"), nil)
}

// TestManagerWatchesTheirSites: live subscriptions tell a manager of their sites, and end when these
// are others.
func TestManagerWatchesTheirSites(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, yard := w.site(w.admin, "Harbour"), w.site(w.admin, "Yard")
	gate, shed := w.door(w.admin, harbour, "Gate"), w.door(w.admin, yard, "Shed")
	m := w.manager(harbour)
	doors, log := w.connectAs(m), w.connectAs(m)
	doors.start("doors", watch)
	doors.expect("doors", "Gate: present")
	log.start("events", `subscription($after: Cursor) { events(after: $after) {
		event { type site { name } door { name } } } }`, vars{"after": w.now(w.admin)})
	w.rename(shed, "Barn")
	w.rename(gate, "Hatch")
	doors.expect("doors", "Hatch: door.updated")
	first := log.next("events")
	equal(t, dig(t, first, "events.event.site.name"), any("Harbour"))
	equal(t, dig(t, first, "events.event.door.name"), any("Hatch"))
	w.door(w.admin, harbour, "Cellar")
	doors.expect("doors", "Cellar: door.created")
	equal(t, dig(t, log.next("events"), "events.event.type"), any("door.created"))

	start := time.Now()
	_, err := w.access.UpdateUser(w.admin.ctx, access.UpdateUserInput{ID: m.user.ID,
		SiteIDs: []typeid.Site{yard.ID}})
	must(t, err)
	equal(t, doors.failed("doors"), "FORBIDDEN")
	equal(t, log.failed("events"), "FORBIDDEN")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("they lived on for %s", took)
	}
	again := w.connectAs(m)
	again.start("doors", watch)
	again.expect("doors", "Barn: present")
}

// TestScopesAreInTheSchema: every scope of the policy has a name in GraphQL, and no other has.
func TestScopesAreInTheSchema(t *testing.T) {
	t.Parallel()
	var names []string
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, value := range schema.Types["ApiScope"].EnumValues {
		names = append(names, value.Name)
	}
	var want []string
	for _, scope := range access.Scopes() {
		want = append(want, shape.ScopeName(scope))
	}
	slices.Sort(names)
	slices.Sort(want)
	equal(t, strings.Join(names, " "), strings.Join(want, " "))
}

func TestNarrowTokens(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, yard := w.site(w.admin, "Harbour"), w.site(w.admin, "Yard")
	gate, shed := w.door(w.admin, harbour, "Gate"), w.door(w.admin, yard, "Shed")
	const create = `mutation($input: CreateApiTokenInput!) { createApiToken(input: $input) {
		token { id scopes siteIds addresses } secret } }`
	w.ask(w.admin, create, vars{"input": vars{"name": "CI", "scopes": []any{}, "siteIds": []any{},
		"addresses": []any{"quay"}}}).
		refused("BAD_USER_INPUT scopes", "BAD_USER_INPUT siteIds", "BAD_USER_INPUT addresses.0")
	made := w.ask(w.admin, create, vars{"input": vars{"name": "CI",
		"scopes": []any{"DOORS_READ", "DOORS_OPERATE"}, "siteIds": []any{harbour.ID}}}).ok()
	equal(t, made.text("createApiToken.token.scopes.1"), "DOORS_OPERATE")
	equal(t, made.text("createApiToken.token.siteIds.0"), harbour.ID.String())
	equal(t, made.at("createApiToken.token.addresses"), nil)
	ci := person{secret: made.text("createApiToken.secret")}
	equal(t, w.ask(ci, `{ doors { nodes { name } } }`).ok().text("doors.nodes.0.name"), "Gate")
	a := w.ask(ci, `{ users { nodes { name } } }`)
	a.refused("FORBIDDEN")
	if !strings.Contains(a.Errors[0].Message, "users:read") {
		t.Errorf("the scope is not named: %s", a.raw)
	}
	const override = `mutation($id: ID!) { overrideDoorMode(input: {doorId: $id, mode: LOCKED}) {
		door { name } } }`
	w.ask(ci, override, vars{"id": gate.ID}).ok()
	w.ask(ci, override, vars{"id": shed.ID}).refused("NOT_FOUND doorId")
}

func TestRotateAPIToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const rotate = `mutation($id: ID!, $overlap: Int) { rotateApiToken(input: {id: $id,
		overlapSeconds: $overlap}) { token { id previousSecretUntil } secret } }`
	id := w.member.token.ID
	w.ask(w.stranger, rotate, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, rotate, vars{"id": w.admin.token.ID}).refused("NOT_FOUND id")
	w.ask(w.member, rotate, vars{"id": id, "overlap": -1}).refused("BAD_USER_INPUT overlapSeconds")
	auditor := actor.RoleAuditor
	made, err := w.access.CreateUser(w.admin.ctx, access.CreateUserInput{Name: "Ledger",
		Email: "ledger@example.com", Role: &auditor})
	must(t, err)
	token, err := w.access.CreateAPIToken(w.admin.ctx,
		access.CreateAPITokenInput{Name: "phone", UserID: &made.User.ID})
	must(t, err)
	w.ask(person{secret: token.Secret}, rotate, vars{"id": token.Token.ID}).refused("FORBIDDEN")

	w.key(w.admin, w.member.user, w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"))
	socket := w.connectAs(w.member)
	socket.start("doors", watch)
	socket.expect("doors", "Gate: present")
	rotated := w.ask(w.member, rotate, vars{"id": id, "overlap": 60}).ok()
	equal(t, rotated.text("rotateApiToken.token.id"), id.String())
	w.ask(w.member, `{ viewer { role } }`).ok()
	next := person{secret: rotated.text("rotateApiToken.secret")}
	again := w.ask(next, rotate, vars{"id": id}).ok()
	equal(t, w.ask(next, `{ viewer { role } }`).status, 401)
	equal(t, w.ask(w.member, `{ viewer { role } }`).status, 401)
	w.ask(person{secret: again.text("rotateApiToken.secret")}, `{ viewer { role } }`).ok()
	equal(t, socket.failed("doors"), "UNAUTHENTICATED")
}

// TestOverlapEndsSockets: a socket that was opened with the secret from before a rotation ends with the
// overlap, whether it was opened before or after, and though nothing happens meanwhile.
func TestOverlapEndsSockets(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.key(w.admin, w.member.user, w.door(w.admin, w.site(w.admin, "Harbour"), "Gate"))
	before := w.connectAs(w.member)
	before.start("doors", watch)
	before.expect("doors", "Gate: present")
	overlap := 1
	rotated, err := w.access.RotateAPIToken(w.member.ctx,
		access.RotateAPITokenInput{ID: w.member.token.ID, OverlapSeconds: &overlap})
	must(t, err)
	start := time.Now()
	during := w.connectAs(w.member)
	during.start("doors", watch)
	renewed := w.connectAs(person{secret: rotated.Secret})
	renewed.start("doors", watch)
	renewed.expect("doors", "Gate: present")
	for _, c := range []*client{before, during} {
		equal(t, c.closed(), 4403)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("it lived on for %s", took)
		}
	}
	renewed.quiet()
}

// TestManagersAreToldOfLockdowns: a manager is told of the lockdowns that touch their sites, from the
// request to the end, and of no others: by the list, the log and the subscription alike.
func TestManagersAreToldOfLockdowns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	harbour, yard, quay := w.site(w.admin, "Harbour"), w.site(w.admin, "Yard"), w.site(w.admin, "Quay")
	gate, shed := w.door(w.admin, harbour, "Gate"), w.door(w.admin, yard, "Shed")
	yes := true
	plan := func(name string, two *bool, sites []typeid.Site, doors ...*ent.Door) typeid.LockdownPlan {
		in := access.CreateLockdownPlanInput{Name: name, SiteIDs: sites, TwoPersonTrigger: two, TwoPersonRelease: two}
		for _, d := range doors {
			in.DoorIDs = append(in.DoorIDs, d.ID)
		}
		return done(w.access.CreateLockdownPlan(w.admin.ctx, in)).LockdownPlan.ID
	}
	both := plan("Both", &yes, nil, gate, shed)
	elsewhere := plan("Elsewhere", nil, []typeid.Site{quay.ID}, shed)
	alone := plan("Alone", nil, []typeid.Site{harbour.ID})
	m, second := w.manager(harbour), w.administrator(1)
	log := w.connectAs(m)
	log.start("events", `subscription($after: Cursor) { events(after: $after, filter: { types: ["lockdown.requested",
		"lockdown.activated", "lockdown.release_requested", "lockdown.released", "door.updated"] }) {
		event { type data } } }`, vars{"after": w.now(w.admin)})
	all := w.connectAs(m) // of what, is not said: found by their sites
	all.start("all", `subscription { events { event { type data } } }`)
	w.listening(2)
	trigger := func(p person, id typeid.LockdownPlan) typeid.Lockdown {
		return done(w.access.TriggerLockdown(p.ctx, access.TriggerLockdownInput{PlanID: id})).Lockdown.ID
	}
	release := func(p person, id typeid.Lockdown) {
		done(w.access.ReleaseLockdown(p.ctx, access.ReleaseLockdownInput{LockdownID: id}))
	}
	theirs, others := trigger(w.admin, both), trigger(w.admin, elsewhere)
	equal(t, trigger(second, both), theirs)
	release(w.admin, others)
	release(w.admin, theirs)
	release(second, theirs)
	// What a plan comes to close does not change what a lockdown has closed.
	done(w.access.UpdateLockdownPlan(w.admin.ctx, access.UpdateLockdownPlanInput{ID: both,
		DoorIDs: []typeid.Door{shed.ID}}))
	done(w.access.UpdateLockdownPlan(w.admin.ctx, access.UpdateLockdownPlanInput{ID: elsewhere,
		DoorIDs: []typeid.Door{gate.ID}}))
	single := trigger(w.admin, alone)
	w.rename(gate, "Hatch")
	var told []string
	for {
		e := dig(t, log.next("events"), "events.event").(map[string]any)
		if e["type"] == "door.updated" {
			break
		}
		told = append(told, e["type"].(string)+" "+dig(t, e, "data.lockdownId").(string))
	}
	want := []string{"lockdown.requested " + theirs.String(), "lockdown.activated " + theirs.String(),
		"lockdown.release_requested " + theirs.String(), "lockdown.released " + theirs.String(),
		"lockdown.activated " + single.String()}
	equal(t, strings.Join(told, "\n"), strings.Join(want, "\n"))
	told = nil
	for len(told) < len(want) {
		e := dig(t, all.next("all"), "events.event").(map[string]any)
		of, ok := e["data"].(map[string]any)["lockdownId"]
		if ok && e["type"] != "lockdown.door_unreached" {
			told = append(told, fmt.Sprint(e["type"], " ", of))
		}
	}
	equal(t, strings.Join(told, "\n"), strings.Join(want, "\n"))
	logged := w.ask(m, `{ auditLog(filter: { types: ["lockdown.activated"] }) { nodes { data site { name } } } }`).ok()
	equal(t, len(logged.at("auditLog.nodes").([]any)), 2)
	equal(t, logged.text("auditLog.nodes.0.site.name"), "Harbour")
	equal(t, logged.text("auditLog.nodes.1.data.siteIds.1"), yard.ID.String())
	seen := w.ask(m, `{ lockdowns { nodes { id } } }`).ok()
	equal(t, len(seen.at("lockdowns.nodes").([]any)), 2)
	equal(t, seen.text("lockdowns.nodes.0.id"), single.String())
	equal(t, seen.text("lockdowns.nodes.1.id"), theirs.String())
	const one = `query($id: ID!) { lockdown(id: $id) { id } }`
	equal(t, w.ask(m, one, vars{"id": others}).ok().at("lockdown"), nil)
	nobody := w.manager(w.site(w.admin, "Mill"))
	equal(t, len(w.ask(nobody, `{ lockdowns { nodes { id } } }`).ok().at("lockdowns.nodes").([]any)), 0)
	equal(t, len(w.ask(nobody, `{ auditLog(filter: { types: ["lockdown.activated"] }) { nodes { id } } }`).ok().
		at("auditLog.nodes").([]any)), 0)
}
