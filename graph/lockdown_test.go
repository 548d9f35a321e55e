package graph_test

import (
	"database/sql"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/typeid"
)

const (
	createPlan = `mutation($in: CreateLockdownPlanInput!) { createLockdownPlan(input: $in) { lockdownPlan {
		id name twoPersonTrigger twoPersonRelease revertSeconds triggerGroup { name } releaseGroup { name }
		sites(first: 10) { nodes { name } } doors(first: 10) { nodes { name } }
		lockdowns(first: 5) { nodes { id } } } } }`
	updatePlan = `mutation($in: UpdateLockdownPlanInput!) { updateLockdownPlan(input: $in) {
		lockdownPlan { name triggerGroup { name } sites { nodes { name } } } } }`
	deletePlan      = `mutation($id: ID!) { deleteLockdownPlan(input: {id: $id}) { deletedId } }`
	triggerLockdown = `mutation($id: ID!, $note: String) { triggerLockdown(input: {planId: $id, note: $note}) {
		lockdown { id state note plan { name } requestedBy { kind name } activatedBy { name } requestedAt
			activatedAt revertsAt doorsTotal doorsApplied doorsUnreached
			doors(first: 10, outcome: UNREACHED) { nodes { outcome releasedAt
				door { name effectiveMode { mode } } } } } } }`
	releaseLockdown = `mutation($id: ID!) { releaseLockdown(input: {lockdownId: $id}) { lockdown {
		state releasedBy { name } releasedAt releaseRequestedBy { name } releaseRequestedAt } } }`
)

func (w *world) group(name string, people ...*ent.User) *ent.UserGroup {
	w.t.Helper()
	made, err := w.access.CreateUserGroup(w.admin.ctx, access.CreateUserGroupInput{Name: name})
	must(w.t, err)
	for _, who := range people {
		_, err := w.access.AddUserGroupMembers(w.admin.ctx, access.AddUserGroupMembersInput{
			UserGroupID: made.UserGroup.ID, UserIDs: []typeid.User{who.ID}})
		must(w.t, err)
	}
	return made.UserGroup
}

func TestLockdownPlan(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site, far := w.site(w.admin, "Harbour"), w.site(w.stranger, "Far")
	gate := w.door(w.admin, site, "Gate")
	guards := w.group("Guards", w.member.user)
	in := vars{"name": "Close the harbour", "siteIds": []any{site.ID}, "doorIds": []any{gate.ID, gate.ID},
		"triggerGroupId": guards.ID, "twoPersonRelease": true, "revertSeconds": 3600}
	made := w.ask(w.admin, createPlan, vars{"in": in}).ok()
	id := made.text("createLockdownPlan.lockdownPlan.id")
	equal(t, made.text("createLockdownPlan.lockdownPlan.sites.nodes.0.name"), "Harbour")
	equal(t, made.text("createLockdownPlan.lockdownPlan.doors.nodes.0.name"), "Gate")
	equal(t, made.text("createLockdownPlan.lockdownPlan.triggerGroup.name"), "Guards")
	equal(t, made.at("createLockdownPlan.lockdownPlan.releaseGroup"), nil)
	equal(t, made.at("createLockdownPlan.lockdownPlan.twoPersonRelease"), true)

	w.ask(w.admin, createPlan, vars{"in": in}).refused("CONFLICT name")
	w.ask(w.admin, createPlan, vars{"in": vars{"name": " x", "revertSeconds": 59}}).
		refused("BAD_USER_INPUT name", "BAD_USER_INPUT siteIds", "BAD_USER_INPUT revertSeconds")
	w.ask(w.admin, createPlan, vars{"in": vars{"name": "x", "siteIds": []any{far.ID}}}).
		refused("NOT_FOUND siteIds")
	w.ask(w.stranger, createPlan, vars{"in": vars{"name": "x", "siteIds": []any{far.ID},
		"triggerGroupId": guards.ID}}).refused("NOT_FOUND triggerGroupId")
	w.ask(w.member, createPlan, vars{"in": in}).refused("FORBIDDEN")

	// A member of its group sees it, and what it closes as far as they see that anyway.
	const read = `query($id: ID!) { lockdownPlan(id: $id) { name doors { nodes { name } } }
		lockdownPlans { nodes { id } } node(id: $id) { id } }`
	seen := w.ask(w.member, read, vars{"id": id}).ok()
	equal(t, seen.text("lockdownPlan.name"), "Close the harbour")
	equal(t, len(seen.at("lockdownPlan.doors.nodes").([]any)), 0)
	equal(t, seen.text("lockdownPlans.nodes.0.id"), id)
	equal(t, seen.text("node.id"), id)
	unseen := w.ask(w.stranger, read, vars{"id": id}).ok()
	equal(t, unseen.at("lockdownPlan"), nil)
	equal(t, unseen.at("node"), nil)
	equal(t, len(unseen.at("lockdownPlans.nodes").([]any)), 0)

	change := vars{"id": id, "name": "Close it", "clearTriggerGroup": true}
	w.ask(w.stranger, updatePlan, vars{"in": change}).refused("NOT_FOUND id")
	w.ask(w.member, updatePlan, vars{"in": change}).refused("FORBIDDEN")
	w.ask(w.admin, updatePlan, vars{"in": vars{"id": id, "siteIds": []any{}, "doorIds": []any{}}}).
		refused("BAD_USER_INPUT siteIds")
	w.ask(w.admin, updatePlan, vars{"in": vars{"id": id, "clearRevert": true, "revertSeconds": 60}}).
		refused("BAD_USER_INPUT revertSeconds")
	changed := w.ask(w.admin, updatePlan, vars{"in": change}).ok()
	equal(t, changed.text("updateLockdownPlan.lockdownPlan.name"), "Close it")
	equal(t, changed.at("updateLockdownPlan.lockdownPlan.triggerGroup"), nil)
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().at("lockdownPlan"), nil)

	w.ask(w.stranger, deletePlan, vars{"id": id}).refused("NOT_FOUND id")
	w.ask(w.member, deletePlan, vars{"id": id}).refused("FORBIDDEN")
	equal(t, w.ask(w.admin, deletePlan, vars{"id": id}).ok().text("deleteLockdownPlan.deletedId"), id)
}

// harbour is a site with a door whose device is online, one whose device is not, and a plan.
func (w *world) harbour(change vars) (plan string) {
	w.t.Helper()
	site := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, site, "Gate"), w.door(w.admin, site, "Cellar")
	dev := w.device(w.admin, site)
	w.bind(w.admin, gate, dev, 1)
	w.key(w.admin, w.admin.user, gate, cellar)
	w.connect(w.admin, dev.ID)
	in := vars{"name": "Close the harbour", "siteIds": []any{site.ID}}
	maps.Copy(in, change)
	return w.ask(w.admin, createPlan, vars{"in": in}).ok().text("createLockdownPlan.lockdownPlan.id")
}

func TestLockdown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	guards := w.group("Guards", w.member.user)
	plan := w.harbour(vars{"triggerGroupId": guards.ID, "revertSeconds": 3600})

	w.ask(w.stranger, triggerLockdown, vars{"id": plan}).refused("NOT_FOUND planId")
	w.ask(w.admin, triggerLockdown, vars{"id": plan, "note": strings.Repeat("x", 501)}).
		refused("BAD_USER_INPUT note")
	made := w.ask(w.member, triggerLockdown, vars{"id": plan, "note": "Smoke in the cellar"}).ok()
	id := made.text("triggerLockdown.lockdown.id")
	for path, want := range map[string]any{
		"state": "ACTIVE", "note": "Smoke in the cellar", "plan.name": "Close the harbour",
		"requestedBy.kind": "API_TOKEN", "activatedBy.name": "laptop", "doorsTotal": 2.0,
		"doorsApplied": 1.0, "doorsUnreached": 1.0, "doors.nodes.0.outcome": "UNREACHED",
		"doors.nodes.0.door.name": "Cellar", "doors.nodes.0.door.effectiveMode.mode": "LOCKDOWN",
	} {
		equal(t, made.at("triggerLockdown.lockdown."+path), want)
	}
	equal(t, w.ask(w.admin, triggerLockdown, vars{"id": plan}).ok().
		text("triggerLockdown.lockdown.id"), id)

	const read = `query($id: ID!) { lockdown(id: $id) { state } lockdowns(state: ACTIVE) { nodes { id } }
		node(id: $id) { id } }`
	equal(t, w.ask(w.member, read, vars{"id": id}).ok().text("lockdowns.nodes.0.id"), id)
	unseen := w.ask(w.stranger, read, vars{"id": id}).ok()
	equal(t, unseen.at("lockdown"), nil)
	equal(t, unseen.at("node"), nil)
	equal(t, len(unseen.at("lockdowns.nodes").([]any)), 0)

	w.ask(w.stranger, releaseLockdown, vars{"id": id}).refused("NOT_FOUND lockdownId")
	w.ask(w.member, releaseLockdown, vars{"id": id}).refused("FORBIDDEN")
	w.ask(w.admin, updatePlan, vars{"in": vars{"id": plan, "name": "x"}}).refused("CONFLICT id")
	released := w.ask(w.admin, releaseLockdown, vars{"id": id}).ok()
	equal(t, released.text("releaseLockdown.lockdown.state"), "RELEASED")
	equal(t, released.text("releaseLockdown.lockdown.releasedBy.name"), "laptop")
	equal(t, len(w.ask(w.admin, `{ lockdowns(state: ACTIVE) { nodes { id } } }`).ok().
		at("lockdowns.nodes").([]any)), 0)
}

func TestLockdownByTwo(t *testing.T) {
	t.Parallel()
	w := setup(t)
	guards := w.group("Guards", w.member.user)
	plan := w.harbour(vars{"triggerGroupId": guards.ID, "releaseGroupId": guards.ID,
		"twoPersonTrigger": true, "twoPersonRelease": true})
	for _, step := range []struct {
		by    person
		state string
	}{{w.admin, "REQUESTED"}, {w.admin, "REQUESTED"}, {w.member, "ACTIVE"}} {
		equal(t, w.ask(step.by, triggerLockdown, vars{"id": plan}).ok().
			text("triggerLockdown.lockdown.state"), step.state)
	}
	id := w.ask(w.admin, `{ lockdowns { nodes { id } } }`).ok().text("lockdowns.nodes.0.id")
	for _, step := range []struct {
		by    person
		state string
	}{{w.member, "ACTIVE"}, {w.member, "ACTIVE"}, {w.admin, "RELEASED"}} {
		equal(t, w.ask(step.by, releaseLockdown, vars{"id": id}).ok().
			text("releaseLockdown.lockdown.state"), step.state)
	}
}

func TestGuestsTriggerNoLockdown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	by, _ := actor.FromContext(w.member.ctx)
	by.Role = actor.RoleGuest
	guest := w.member
	guest.ctx = actor.NewContext(w.member.ctx, by)
	guards := w.group("Guards", guest.user)
	plan := w.harbour(vars{"triggerGroupId": guards.ID})
	w.asActor(guest, triggerLockdown, vars{"id": plan}).refused("FORBIDDEN")
	w.asActor(guest, `{ lockdowns { nodes { id } } }`).refused("FORBIDDEN")
	w.asActor(guest, releaseLockdown, vars{"id": typeid.New[typeid.Lockdown]()}).refused("FORBIDDEN")
}

// TestLockdownInNeed: it works while every connection of the pool for everything else is held, and
// Redis is gone.
func TestLockdownInNeed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan := w.harbour(nil)
	must(t, w.live.Close())
	defer w.exhaust()()
	began := time.Now()
	made := w.ask(w.admin, triggerLockdown, vars{"id": plan}).ok()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	equal(t, made.text("triggerLockdown.lockdown.state"), "ACTIVE")
	equal(t, made.at("triggerLockdown.lockdown.doorsApplied"), 1.0)
	began = time.Now()
	seen := w.ask(w.admin, `query($id: ID!) { ...all } fragment all on Query {
		lockdown(id: $id) { doorsTotal } ... {
			lockdowns(state: ACTIVE) { nodes { plan { sites { nodes { name } } } } }
			lockdownPlans { nodes { name } } } }`,
		vars{"id": made.text("triggerLockdown.lockdown.id")}).ok()
	equal(t, seen.text("lockdowns.nodes.0.plan.sites.nodes.0.name"), "Harbour")
	w.ask(w.admin, releaseLockdown, vars{"id": made.text("triggerLockdown.lockdown.id")}).ok()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("reading and releasing took %s", took)
	}
}

// exhaust holds every connection of the pool until what it returns is called.
func (w *world) exhaust() (release func()) {
	w.t.Helper()
	held := make([]*sql.Tx, w.pool.Stats().MaxOpenConnections)
	for i := range held {
		tx, err := w.pool.BeginTx(w.t.Context(), nil)
		must(w.t, err)
		held[i] = tx
	}
	return func() {
		for _, tx := range held {
			must(w.t, tx.Rollback())
		}
	}
}

func TestLockdownStatements(t *testing.T) {
	t.Parallel()
	w := setup(t)
	plan := w.harbour(nil)
	for range 4 {
		id := w.ask(w.admin, triggerLockdown, vars{"id": plan}).ok().text("triggerLockdown.lockdown.id")
		w.ask(w.admin, releaseLockdown, vars{"id": id}).ok()
	}
	const query = `query($n: Int) { lockdowns(first: $n) { nodes { doorsTotal doorsApplied
		requestedBy { name } plan { name sites { nodes { name } } doors { nodes { name } } }
		doors(first: 5) { nodes { door { name effectiveMode { mode } } } } } } }`
	few := w.statements(w.admin, query, vars{"n": 1})
	many := w.statements(w.admin, query, vars{"n": 4})
	if len(many) != len(few) {
		t.Errorf("%d and %d statements:\n%s", len(few), len(many), strings.Join(many, "\n"))
	}
}
