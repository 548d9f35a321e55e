package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

const impact = `query($change: AccessChangeInput!) { impact(change: $change) {
	peopleLosing peopleGaining doorsAffected isEstimate confirmationToken expiresAt } }`

func TestImpactAndConfirmation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	crew, floor := w.group("Crew", w.crowd(51)...), w.doorGroup(w.admin, "Floor")
	k := w.groupKey(crew, floor, gate)
	w.gather(floor, gate)
	revoke := vars{"change": vars{"revokeKey": vars{"id": k.ID}}}
	seen := w.ask(w.admin, impact, revoke).ok()
	equal(t, seen.at("impact.peopleLosing"), any(51.0))
	equal(t, seen.at("impact.peopleGaining"), any(0.0))
	equal(t, seen.at("impact.doorsAffected"), any(1.0))
	equal(t, seen.at("impact.isEstimate"), any(false))
	token := seen.text("impact.confirmationToken")
	expires, err := time.Parse(time.RFC3339, seen.text("impact.expiresAt"))
	must(t, err)
	if left := time.Until(expires); left <= 9*time.Minute || left > 10*time.Minute {
		t.Errorf("expires in %s", left)
	}

	const revokeKey = `mutation($id: ID!, $token: String) {
		revokeKey(input: {id: $id, confirmationToken: $token}) { key { status } } }`
	refused := w.ask(w.admin, revokeKey, vars{"id": k.ID}).refused(
		"CONFIRMATION_REQUIRED confirmationToken")
	equal(t, refused.Errors[0].Message,
		"removes access for 51 people: ask impact for a confirmation token")
	for _, wrong := range []string{"", "x", token[:len(token)-1], strings.ToLower(token)} {
		w.ask(w.admin, revokeKey, vars{"id": k.ID, "token": wrong}).refused(
			"CONFIRMATION_REQUIRED confirmationToken")
	}
	w.ask(w.admin, `mutation($id: ID!, $token: String) {
		suspendKey(input: {id: $id, confirmationToken: $token}) { key { status } } }`,
		vars{"id": k.ID, "token": token}).refused("CONFIRMATION_REQUIRED confirmationToken")
	w.ask(w.stranger, revokeKey, vars{"id": k.ID, "token": token}).refused("NOT_FOUND id")
	w.ask(w.member, revokeKey, vars{"id": k.ID, "token": token}).refused("NOT_FOUND id")
	equal(t, w.db.Key.GetX(w.admin.ctx, k.ID).RevokedAt == nil, true)
	equal(t, w.ask(w.admin, revokeKey, vars{"id": k.ID, "token": token}).ok().
		text("revokeKey.key.status"), "REVOKED")

	// What is over is lost no more, and few need not be confirmed.
	seen = w.ask(w.admin, impact, revoke).ok()
	equal(t, seen.at("impact.peopleLosing"), any(0.0))
	equal(t, seen.at("impact.confirmationToken"), nil)
	equal(t, seen.at("impact.expiresAt"), nil)
	w.key(w.admin, w.member.user, gate)
	seen = w.ask(w.admin, impact, vars{"change": vars{"updateDoor": vars{"id": gate.ID, "mode": "LOCKED"}}}).ok()
	equal(t, seen.at("impact.peopleLosing"), any(1.0))
	seen = w.ask(w.admin, impact, vars{"change": vars{"updateDoor": vars{"id": gate.ID, "mode": "UNLOCKED"}}}).ok()
	equal(t, seen.at("impact.peopleGaining"), any(52.0)) // the administrator, too
}

// Every mutation that impact previews takes a token, and asks for it.
func TestEveryPreviewedMutationAsks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	people := w.crowd(51)
	crew, floor := w.group("Crew", people...), w.doorGroup(w.admin, "Floor")
	everyone, house := w.group("Everyone"), w.doorGroup(w.admin, "House")
	w.db.UserGroup.UpdateOne(crew).SetParentID(everyone.ID).ExecX(w.admin.ctx)
	w.db.DoorGroup.UpdateOne(floor).SetParentID(house.ID).ExecX(w.admin.ctx)
	k := w.groupKey(everyone, house)
	w.gather(floor, gate)
	plan := w.always(w.admin)
	w.db.Key.UpdateOne(k).SetScheduleID(plan.ID).ExecX(w.admin.ctx)
	boss := w.db.Key.Create().SetUserID(w.member.user.ID).SaveX(w.admin.ctx)
	w.db.KeyTarget.Create().SetKeyID(boss.ID).SetUserID(w.member.user.ID).SetSiteID(site.ID).
		ExecX(w.admin.ctx)
	cellar := w.door(w.admin, site, "Cellar")
	w.share(boss, people, cellar)
	ids := make([]typeid.User, len(people))
	for i, u := range people {
		ids[i] = u.ID
	}
	for mutation, input := range map[string]vars{
		"revokeKey": {"id": k.ID}, "suspendKey": {"id": k.ID}, "deleteUserGroup": {"id": crew.ID},
		"updateKey":  {"id": k.ID, "validUntil": time.Now().Add(time.Hour).UTC()},
		"updateUser": {"id": w.member.user.ID, "status": "SUSPENDED"},
		"deleteUser": {"id": w.member.user.ID}, "deleteDoorGroup": {"id": floor.ID},
		"updateUserGroup":        {"id": crew.ID, "clearParent": true},
		"updateDoorGroup":        {"id": floor.ID, "clearParent": true},
		"removeUserGroupMembers": {"userGroupId": crew.ID, "userIds": ids},
		"removeDoorGroupDoors":   {"doorGroupId": floor.ID, "doorIds": []any{gate.ID}},
		"updateSchedule":         {"id": plan.ID, "windows": []any{}},
		"importSchedule": {"scheduleId": plan.ID, "siteId": site.ID,
			"ical": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"},
		"updateDoor": {"id": gate.ID, "mode": "DISABLED"}, "deleteDoor": {"id": gate.ID},
	} {
		name := strings.ToUpper(mutation[:1]) + mutation[1:]
		document := fmt.Sprintf(`mutation($input: %sInput!) { %s(input: $input) { __typename } }`,
			name, mutation)
		t.Run(mutation, func(t *testing.T) {
			change := vars{"change": vars{mutation: input}}
			w.ask(w.admin, document, vars{"input": input}).
				refused("CONFIRMATION_REQUIRED confirmationToken")
			for by, want := range map[*person]string{&w.stranger: "NOT_FOUND", &w.member: "FORBIDDEN"} {
				a := w.ask(*by, impact, change)
				if mutation == "revokeKey" { // which members may, if they shared the key
					want = "NOT_FOUND"
				}
				if len(a.Errors) != 1 || a.Errors[0].Extensions.Code != want {
					t.Errorf("got %s, want %s", a.raw, want)
				}
			}
			token := w.ask(w.admin, impact, change).ok().text("impact.confirmationToken")
			if token == "" {
				t.Error("no token")
			}
		})
	}
}

// share gives each of some people a share of a key, for one door.
func (w *world) share(parent *ent.Key, people []*ent.User, d *ent.Door) {
	w.t.Helper()
	for _, u := range people {
		k := w.db.Key.Create().SetUserID(u.ID).SetParentID(parent.ID).SetDepth(1).
			SetSharedByID(*parent.UserID).SaveX(w.admin.ctx)
		w.db.KeyTarget.Create().SetKeyID(k.ID).SetUserID(u.ID).SetDoorID(d.ID).ExecX(w.admin.ctx)
	}
}

func TestImpactOfNonsense(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	far := w.door(w.stranger, w.site(w.stranger, "Far"), "Gate")
	k := w.key(w.admin, w.member.user, gate)
	for name, c := range map[string]struct {
		as       person
		change   vars
		refusals []string
	}{
		"nothing": {w.admin, vars{}, []string{"BAD_USER_INPUT change"}},
		"two": {w.admin, vars{"revokeKey": vars{"id": k.ID}, "suspendKey": vars{"id": k.ID}},
			[]string{"BAD_USER_INPUT change"}},
		"another noun": {w.admin, vars{"revokeKey": vars{"id": gate.ID}},
			[]string{"BAD_USER_INPUT change.revokeKey.id"}},
		"faults": {w.admin, vars{"updateKey": vars{"id": k.ID, "uses": 0, "shares": -1}},
			[]string{"BAD_USER_INPUT change.updateKey.uses", "BAD_USER_INPUT change.updateKey.shares"}},
		"a stranger's schedule": {w.admin, vars{"updateDoor": vars{"id": gate.ID,
			"unlockScheduleId": w.always(w.stranger).ID}},
			[]string{"NOT_FOUND change.updateDoor.unlockScheduleId"}},
		"a stranger's door": {w.admin, vars{"removeDoorGroupDoors": vars{
			"doorGroupId": w.doorGroup(w.admin, "Floor").ID, "doorIds": []any{gate.ID, far.ID}}},
			[]string{"NOT_FOUND change.removeDoorGroupDoors.doorIds"}},
		"a new schedule": {w.admin, vars{"importSchedule": vars{"name": "x", "siteId": gate.SiteID,
			"ical": ""}}, []string{"BAD_USER_INPUT change.importSchedule.scheduleId"}},
		"windows": {w.admin, vars{"updateSchedule": vars{"id": w.always(w.admin).ID,
			"windows": []any{vars{"start": "2027-01-02T00:00:00", "end": "2027-01-01T00:00:00"}}}},
			[]string{"BAD_USER_INPUT change.updateSchedule.windows.0.end"}},
		"a key that is held, not shared": {w.member, vars{"revokeKey": vars{"id": k.ID}},
			[]string{"FORBIDDEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.ask(c.as, impact, vars{"change": c.change})
			a.t = t
			a.refused(c.refusals...)
		})
	}
	w.ask(w.admin, `query($id: ID!) { impact(change: {revokeKey: {id: $id}, suspendKey: {id: $id}}) {
		peopleLosing } }`, vars{"id": k.ID}).refused("GRAPHQL_VALIDATION_FAILED")
}

const replay = `query($change: AccessChangeInput!, $from: DateTime!, $to: DateTime!, $n: Int, $after: Cursor) {
	policyReplay(change: $change, from: $from, to: $to, first: $n, after: $after) {
		examined edges { cursor } pageInfo { hasNextPage endCursor }
		nodes { event { id type outcome reason user { id } } before { granted reason } after { granted reason } } } }`

// past records that somebody was let through, or was not, at some instants.
func (w *world) past(kind string, who *ent.User, d *ent.Door, at ...time.Time) {
	w.t.Helper()
	head := w.db.Event.Query().CountX(w.admin.ctx)
	rows := make([]*ent.EventCreate, len(at))
	for i, at := range at {
		rows[i] = w.db.Event.Create().SetID(typeid.New[typeid.Event]()).SetSeq(int64(1e6 + head + i)).
			SetType("access." + strings.ToLower(kind)).SetOccurredAt(at).SetReceivedAt(schema.Now()).
			SetDelivery("LIVE").SetActorKind("SYSTEM").SetActorID("test").SetUserID(who.ID).
			SetDoorID(d.ID).SetSiteID(d.SiteID).SetMethod("REMOTE").SetSeverity("INFO").
			SetData([]byte("{}")).SetLeafHash(make([]byte, 32))
		if kind == "GRANTED" {
			rows[i].SetOutcome("GRANTED").SetReason("GRANTED_REMOTE")
		} else {
			rows[i].SetOutcome("DENIED").SetReason("NO_GRANT")
		}
	}
	w.db.Event.CreateBulk(rows...).ExecX(w.admin.ctx)
}

func TestPolicyReplay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	plan := w.days(w.admin)
	k := w.key(w.admin, w.member.user, gate)
	w.key(w.admin, w.admin.user, gate)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) // in Rome an hour later
	w.past("GRANTED", w.member.user, gate, day.Add(9*time.Hour), day.Add(20*time.Hour),
		day.Add(45*time.Hour), day.Add(-time.Hour), day.Add(72*time.Hour))
	w.past("GRANTED", w.admin.user, gate, day.Add(21*time.Hour))
	w.past("DENIED", w.member.user, gate, day.Add(4*time.Hour))
	asked := vars{"change": vars{"updateKey": vars{"id": k.ID, "scheduleId": plan.ID}},
		"from": day, "to": day.Add(72 * time.Hour)}
	seen := w.ask(w.admin, replay, asked).ok()
	const root = "policyReplay."
	equal(t, seen.at(root+"examined"), any(5.0))
	equal(t, len(seen.at(root+"nodes").([]any)), 3)
	equal(t, seen.at(root+"pageInfo.hasNextPage"), any(false))
	for i, outcome := range []string{"DENIED", "GRANTED", "GRANTED"} {
		node := fmt.Sprintf("%snodes.%d.", root, i)
		equal(t, seen.text(node+"event.outcome"), outcome)
		equal(t, seen.at(node+"before.granted"), any(true))
		equal(t, seen.text(node+"before.reason"), "GRANTED_REMOTE")
		equal(t, seen.at(node+"after.granted"), any(false))
		equal(t, seen.text(node+"after.reason"), "OUTSIDE_SCHEDULE")
	}
	equal(t, w.db.Key.GetX(w.admin.ctx, k.ID).ScheduleID == nil, true)

	// Page by page, each event is examined once.
	var paged []any
	examined := 0.0
	for asked["n"] = 1; ; asked["after"] = seen.text(root + "pageInfo.endCursor") {
		seen = w.ask(w.admin, replay, asked).ok()
		paged = append(paged, seen.at(root+"nodes").([]any)...)
		examined += seen.at(root + "examined").(float64)
		if seen.at(root+"pageInfo.hasNextPage") == false {
			break
		}
	}
	equal(t, len(paged), 3)
	equal(t, examined, 5.0)
}

// A page ends after a thousand events, however few of them differ, and its cursor leads on.
func TestPolicyReplayGoesOnPastWhatDoesNotDiffer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	k := w.key(w.admin, w.member.user, gate)
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	w.past("DENIED", w.admin.user, gate, slices.Repeat([]time.Time{day}, 1010)...)
	w.past("GRANTED", w.member.user, gate, day)
	asked := vars{"change": vars{"suspendKey": vars{"id": k.ID}}, "from": day, "to": day.Add(time.Hour)}
	seen := w.ask(w.admin, replay, asked).ok()
	equal(t, seen.at("policyReplay.examined"), any(1000.0))
	equal(t, len(seen.at("policyReplay.nodes").([]any)), 0)
	equal(t, seen.at("policyReplay.pageInfo.hasNextPage"), any(true))
	asked["after"] = seen.text("policyReplay.pageInfo.endCursor")
	seen = w.ask(w.admin, replay, asked).ok()
	equal(t, seen.at("policyReplay.examined"), any(11.0))
	equal(t, seen.text("policyReplay.nodes.0.after.reason"), "KEY_SUSPENDED")
	equal(t, seen.at("policyReplay.pageInfo.hasNextPage"), any(false))
}

// Who opened by right would still, without a key.
func TestPolicyReplayKnowsOperators(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	w.ask(w.admin, `mutation($d: ID!) { unlockDoor(input: {doorId: $d, operatorReason: "courier",
		waitFor: CREATED}) { command { id } } }`, vars{"d": gate.ID}).ok()
	asked := vars{"change": vars{"updateDoor": vars{"id": gate.ID, "mode": "LOCKED"}},
		"from": time.Now().Add(-time.Hour).UTC(), "to": time.Now().Add(time.Hour).UTC()}
	seen := w.ask(w.admin, replay, asked).ok()
	equal(t, seen.at("policyReplay.examined"), any(1.0))
	equal(t, len(seen.at("policyReplay.nodes").([]any)), 0)
	asked["change"] = vars{"updateDoor": vars{"id": gate.ID, "mode": "DISABLED"}}
	seen = w.ask(w.admin, replay, asked).ok()
	equal(t, seen.text("policyReplay.nodes.0.before.reason"), "GRANTED_OVERRIDE")
	equal(t, seen.text("policyReplay.nodes.0.after.reason"), "DOOR_DISABLED")
}

func TestPolicyReplayIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	k := w.key(w.admin, w.member.user, gate)
	now := time.Now().UTC()
	with := func(key string, v any) vars {
		asked := vars{"change": vars{"revokeKey": vars{"id": k.ID}}, "from": now.Add(-time.Hour), "to": now}
		asked[key] = v
		return asked
	}
	w.ask(w.admin, replay, with("", nil)).ok()
	w.ask(w.stranger, replay, with("", nil)).refused("NOT_FOUND change.revokeKey.id")
	w.ask(w.member, replay, with("", nil)).refused("FORBIDDEN")
	w.ask(w.admin, replay, with("to", now.Add(-time.Hour))).refused("BAD_USER_INPUT to")
	w.ask(w.admin, replay, with("from", now.Add(-31*24*time.Hour-time.Second))).
		refused("BAD_USER_INPUT to")
	w.ask(w.admin, replay, with("n", 101)).refused("PAGE_TOO_LONG first")
	w.ask(w.admin, replay, with("after", "x")).refused("BAD_USER_INPUT after")
	w.ask(w.admin, replay, with("change", vars{})).refused("BAD_USER_INPUT change")
}

// However many people and doors, an impact is as many statements.
func TestImpactIsAFewStatements(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate := w.door(w.admin, site, "Gate")
	crew, floor := w.group("Crew", w.crowd(40)...), w.doorGroup(w.admin, "Floor")
	k := w.groupKey(crew, floor)
	w.gather(floor, gate, w.door(w.admin, site, "Cellar"), w.door(w.admin, site, "Shed"))
	asked := vars{"change": vars{"revokeKey": vars{"id": k.ID}}}
	if sent := w.statements(w.admin, impact, asked); len(sent) > 8 {
		t.Errorf("%d statements: %s", len(sent), strings.Join(sent, "\n"))
	}
	// What bears on few is not worked out.
	revoked := w.counter.during(func() {
		_, err := w.access.RevokeKey(w.admin.ctx, access.RevokeKeyInput{ID: k.ID})
		must(t, err)
	})
	for _, statement := range revoked {
		if strings.Contains(statement, "user_group_members") && !strings.Contains(statement, "LIMIT 51") {
			t.Errorf("sent %s", statement)
		}
	}
}
