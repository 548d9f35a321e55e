package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

const explain = `query($u: ID!, $d: ID!, $at: DateTime, $how: AccessManner! = REMOTE) {
	effectiveAccess(userId: $u, doorId: $d, at: $at, manner: $how) {
		granted reason at until rule key { id } mode { mode cause }
		steps { rule effect reason decides key { id } sharedFrom { id } }
		nextChange { at granted reason } offline { granted reason until key { id } } } }`

// days is a schedule that is open from 8 to 18, where its site is.
func (w *world) days(p person) *ent.Schedule {
	w.t.Helper()
	return w.db.Schedule.Create().SetName("Days").SetWindows([]schema.Window{
		{Start: "2026-01-01T08:00:00", End: "2026-01-01T18:00:00", Rule: "FREQ=DAILY"},
	}).SaveX(p.ctx)
}

func TestEffectiveAccess(t *testing.T) {
	t.Parallel()
	w := setup(t)
	site := w.site(w.admin, "Harbour")
	gate, cellar := w.door(w.admin, site, "Gate"), w.door(w.admin, site, "Cellar")
	k := w.key(w.admin, w.member.user, gate)
	plan := w.days(w.admin)
	w.db.Key.UpdateOne(k).SetScheduleID(plan.ID).ExecX(w.admin.ctx)

	day := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC) // in Rome an hour later
	asked := vars{"u": w.member.user.ID, "d": gate.ID, "at": day.Add(9 * time.Hour)}
	seen := w.ask(w.admin, explain, asked).ok()
	const root = "effectiveAccess."
	equal(t, seen.at(root+"granted"), any(true))
	equal(t, seen.text(root+"reason"), "GRANTED_REMOTE")
	equal(t, seen.text(root+"rule"), "KEY")
	equal(t, seen.text(root+"key.id"), k.ID.String())
	equal(t, seen.text(root+"at"), "2027-03-01T09:00:00.000000Z")
	equal(t, seen.text(root+"until"), "2027-03-01T17:00:00.000000Z")
	equal(t, seen.text(root+"nextChange.at"), "2027-03-01T17:00:00.000000Z")
	equal(t, seen.text(root+"nextChange.reason"), "OUTSIDE_SCHEDULE")
	equal(t, seen.text(root+"mode.mode"), "CONTROLLED")
	equal(t, steps(seen), "PERSON PASSES, MODE PASSES, KEY GRANTS GRANTED_REMOTE *")
	equal(t, seen.text(root+"offline.reason"), "UNKNOWN_CREDENTIAL")

	w.db.Credential.Create().SetUserID(w.member.user.ID).SetKind("PIN").SetHint("PIN").
		SetPinHash("x").SaveX(w.admin.ctx)
	w.db.Credential.Create().SetUserID(w.member.user.ID).SetKind("CARD").SetHint("12").
		SetValidUntil(day).SaveX(w.admin.ctx)
	seen = w.ask(w.member, explain, asked).ok()
	equal(t, seen.at(root+"offline.granted"), any(true))
	equal(t, seen.text(root+"offline.until"), "2027-03-01T17:00:00.000000Z")

	// Before it opens, the next change is that it does; the day after a holiday or a year away count.
	seen = w.ask(w.member, explain, vars{"u": w.member.user.ID, "d": gate.ID, "at": day}).ok()
	equal(t, seen.text(root+"reason"), "OUTSIDE_SCHEDULE")
	equal(t, seen.text(root+"nextChange.at"), "2027-03-01T07:00:00.000000Z")
	equal(t, seen.at(root+"nextChange.granted"), any(true))
	equal(t, steps(seen), "PERSON PASSES, MODE PASSES, KEY REFUSES OUTSIDE_SCHEDULE *")

	// What comes after what decides is shown, too.
	w.db.Door.UpdateOne(gate).SetMode("LOCKDOWN").ExecX(w.admin.ctx)
	seen = w.ask(w.member, explain, asked).ok()
	equal(t, steps(seen), "PERSON PASSES, MODE REFUSES LOCKDOWN *, KEY GRANTS GRANTED_REMOTE")
	equal(t, seen.at(root+"key"), nil)
	equal(t, seen.text(root+"offline.reason"), "LOCKDOWN")

	// A key that opens at the door only.
	w.db.Door.UpdateOne(gate).SetMode("CONTROLLED").ExecX(w.admin.ctx)
	w.db.Key.UpdateOne(k).SetRemote(false).ExecX(w.admin.ctx)
	equal(t, w.ask(w.member, explain, asked).ok().text(root+"reason"), "REMOTE_DISABLED")
	asked["how"] = "AT_DOOR"
	equal(t, w.ask(w.member, explain, asked).ok().text(root+"reason"), "GRANTED")

	// Nothing known to come, at a door without a key.
	seen = w.ask(w.member, explain, vars{"u": w.member.user.ID, "d": cellar.ID}).ok()
	equal(t, steps(seen), "PERSON PASSES, MODE PASSES, KEY REFUSES NO_GRANT *")
	equal(t, seen.at(root+"nextChange"), nil)
	equal(t, seen.at(root+"until"), nil)
}

// The schedule's end of what is worked out is no change of access.
func TestNextChangeEndsAtTheHorizon(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	always := w.db.Schedule.Create().SetName("Always").SetWindows([]schema.Window{
		{Start: "2026-01-01T00:00:00", End: "2026-01-02T00:00:00", Rule: "FREQ=DAILY"},
	}).SaveX(w.admin.ctx)
	k := w.key(w.admin, w.member.user, gate)
	now := time.Now()
	w.db.Key.UpdateOne(k).SetScheduleID(always.ID).SetValidUntil(now.AddDate(3, 0, 0)).
		ExecX(w.admin.ctx)
	asked := vars{"u": w.member.user.ID, "d": gate.ID}
	equal(t, w.ask(w.admin, explain, asked).ok().at("effectiveAccess.nextChange"), nil)
	end := now.AddDate(0, 6, 0).UTC().Truncate(time.Second)
	w.db.Key.UpdateOne(k).SetValidUntil(end).ExecX(w.admin.ctx)
	seen := w.ask(w.admin, explain, asked).ok()
	equal(t, seen.text("effectiveAccess.nextChange.at"), end.Format("2006-01-02T15:04:05.000000Z"))
	equal(t, seen.text("effectiveAccess.nextChange.reason"), "EXPIRED")
}

func steps(a answer) (text string) {
	a.t.Helper()
	for i, step := range a.at("effectiveAccess.steps").([]any) {
		if i > 0 {
			text += ", "
		}
		s := step.(map[string]any)
		text += fmt.Sprint(s["rule"], " ", s["effect"])
		if s["reason"] != nil {
			text += fmt.Sprint(" ", s["reason"])
		}
		if s["decides"] == true {
			text += " *"
		}
	}
	return text
}

func TestExplainingIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	const who, which = `query($d: ID!) { whoCanOpen(doorId: $d) { nodes { user { id } } } }`,
		`query($u: ID!) { doorsFor(userId: $u) { nodes { door { id } } } }`
	for name, c := range map[string]struct {
		as       person
		query    string
		asked    vars
		refusals []string
	}{
		"a stranger's person": {w.stranger, explain, vars{"u": w.member.user.ID, "d": gate.ID},
			[]string{"NOT_FOUND doorId"}},
		"a stranger's door": {w.admin, explain,
			vars{"u": w.stranger.user.ID, "d": gate.ID}, []string{"NOT_FOUND userId"}},
		"somebody else": {w.member, explain, vars{"u": w.admin.user.ID, "d": gate.ID},
			[]string{"NOT_FOUND userId"}},
		"no such door": {w.admin, explain,
			vars{"u": w.admin.user.ID, "d": typeid.New[typeid.Door]()}, []string{"NOT_FOUND doorId"}},
		"other nouns": {w.admin, explain, vars{"u": gate.ID, "d": w.admin.user.ID},
			[]string{"BAD_USER_INPUT userId", "BAD_USER_INPUT doorId"}},
		"an age ago": {w.admin, explain, vars{"u": w.admin.user.ID, "d": gate.ID,
			"at": "1999-01-01T00:00:00Z"}, []string{"BAD_USER_INPUT at"}},
		"who, stranger":      {w.stranger, who, vars{"d": gate.ID}, []string{"NOT_FOUND doorId"}},
		"who, member":        {w.member, who, vars{"d": gate.ID}, []string{"FORBIDDEN"}},
		"who, no door":       {w.admin, who, vars{"d": w.admin.user.ID}, []string{"BAD_USER_INPUT doorId"}},
		"which, stranger":    {w.stranger, which, vars{"u": w.member.user.ID}, []string{"NOT_FOUND userId"}},
		"which, not oneself": {w.member, which, vars{"u": w.admin.user.ID}, []string{"NOT_FOUND userId"}},
		"which, no person":   {w.admin, which, vars{"u": gate.ID}, []string{"BAD_USER_INPUT userId"}},
		"no page": {w.admin, `query($d: ID!) { whoCanOpen(doorId: $d, first: -1, after: "x") {
			mode { mode } } }`, vars{"d": gate.ID}, []string{"BAD_USER_INPUT first", "BAD_USER_INPUT after"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.ask(c.as, c.query, c.asked)
			a.t = t
			a.refused(c.refusals...)
		})
	}
	w.db.User.UpdateOne(w.member.user).SetRole("GUEST").ExecX(w.admin.ctx)
	w.ask(w.member, explain, vars{"u": w.member.user.ID, "d": gate.ID}).refused("FORBIDDEN")
}

// crowd makes people.
func (w *world) crowd(n int) []*ent.User {
	w.t.Helper()
	create := make([]*ent.UserCreate, n)
	for i := range create {
		create[i] = w.db.User.Create().SetName(fmt.Sprintf("Badge %03d", i)).
			SetEmail(fmt.Sprintf("badge%03d@example.com", i))
	}
	return w.db.User.CreateBulk(create...).SaveX(w.admin.ctx)
}

// pages reads a list of decisions to its end, in pages of a length.
func (w *world) pages(p person, query, root, noun string, asked vars) (ids []string) {
	w.t.Helper()
	for {
		seen := w.ask(p, query, asked).ok()
		for _, node := range seen.at(root + ".nodes").([]any) {
			ids = append(ids, dig(w.t, node, noun+".id").(string))
		}
		if seen.at(root+".pageInfo.hasNextPage") == false {
			return ids
		}
		asked["after"] = seen.text(root + ".pageInfo.endCursor")
	}
}

const whoCan = `query($d: ID!, $n: Int, $after: Cursor, $at: DateTime) {
	whoCanOpen(doorId: $d, first: $n, after: $after, at: $at) { mode { mode cause }
		nodes { user { id } decision { granted reason key { id } userGroup { name } doorGroup { name } } }
		edges { cursor node { user { id } } } pageInfo { hasNextPage hasPreviousPage endCursor } } }`

const doorsOf = `query($u: ID!, $n: Int, $after: Cursor, $at: DateTime) {
	doorsFor(userId: $u, first: $n, after: $after, at: $at) {
		nodes { door { id } decision { granted reason key { id } userGroup { name } doorGroup { name } } }
		edges { cursor node { door { id } } } pageInfo { hasNextPage hasPreviousPage endCursor } } }`

// By every way from a person to a door, and no other: whoCanOpen and doorsFor say what
// effectiveAccess says of each.
func TestWhoCanOpenAndDoorsForAgreeWithEffectiveAccess(t *testing.T) {
	t.Parallel()
	w := setup(t)
	e := w.estate()
	for _, d := range e.doors {
		var wanted []string
		for _, u := range e.people {
			if e.opens(u.ID, d.ID) {
				wanted = append(wanted, u.ID.String())
			}
		}
		slices.Sort(wanted)
		for _, length := range []int{2, 100} {
			found := w.pages(w.admin, whoCan, "whoCanOpen", "user", vars{"d": d.ID, "n": length})
			equal(t, fmt.Sprint(d.Name, found), fmt.Sprint(d.Name, wanted))
		}
	}
	granted := 0
	for _, u := range e.people {
		var wanted []string
		for _, d := range e.doors {
			if e.opens(u.ID, d.ID) {
				wanted = append(wanted, d.ID.String())
			}
		}
		slices.Sort(wanted)
		granted += len(wanted)
		for _, length := range []int{1, 100} {
			found := w.pages(w.admin, doorsOf, "doorsFor", "door", vars{"u": u.ID, "n": length})
			equal(t, fmt.Sprint(u.Name, found), fmt.Sprint(u.Name, wanted))
		}
	}
	if granted < 30 {
		t.Errorf("only %d ways through", granted)
	}
}

// estate has people and doors with every way between them.
type estate struct {
	w      *world
	people []*ent.User
	doors  []*ent.Door
	seen   map[string]bool
}

func (e *estate) opens(u typeid.User, d typeid.Door) bool {
	e.w.t.Helper()
	pair := u.String() + d.String()
	if _, known := e.seen[pair]; !known {
		e.seen[pair] = e.w.ask(e.w.admin, explain, vars{"u": u, "d": d}).ok().
			at("effectiveAccess.granted") == true
	}
	return e.seen[pair]
}

func (w *world) estate() *estate {
	w.t.Helper()
	ctx := w.admin.ctx
	quay, mill := w.site(w.admin, "Quay"), w.site(w.admin, "Mill")
	e := &estate{w: w, people: append(w.crowd(14), w.member.user, w.admin.user), seen: map[string]bool{}}
	for i := range 8 {
		at := quay
		if i > 4 {
			at = mill
		}
		e.doors = append(e.doors, w.door(w.admin, at, fmt.Sprintf("Door %d", i)))
	}
	past, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	whole := w.db.UserGroup.Create().SetName("Harbour").SaveX(ctx)
	part := w.db.UserGroup.Create().SetName("Night shift").SetParentID(whole.ID).SaveX(ctx)
	for i, u := range e.people[:7] {
		m := w.db.UserGroupMember.Create().SetUserGroupID(part.ID).SetUserID(u.ID)
		switch i {
		case 0:
			m.SetValidUntil(past)
		case 1:
			m.SetValidFrom(soon)
		case 2:
			m.SetUserGroupID(whole.ID)
		}
		m.SaveX(ctx)
	}
	floor := w.db.DoorGroup.Create().SetName("Cellars").SaveX(ctx)
	rooms := w.db.DoorGroup.Create().SetName("Cold rooms").SetParentID(floor.ID).SaveX(ctx)
	for i, d := range e.doors[:3] {
		m := w.db.DoorGroupDoor.Create().SetDoorGroupID(rooms.ID).SetDoorID(d.ID)
		if i == 0 {
			m.SetValidUntil(past)
		}
		m.SaveX(ctx)
	}
	nights := w.db.Schedule.Create().SetName("Never").SetWindows(nil).SaveX(ctx)
	key := func(who *ent.User, group *ent.UserGroup, change func(*ent.KeyCreate)) func(func(*ent.KeyTargetCreate)) {
		create := w.db.Key.Create()
		if who != nil {
			create.SetUserID(who.ID)
		} else {
			create.SetUserGroupID(group.ID)
		}
		if change != nil {
			change(create)
		}
		k := create.SaveX(ctx)
		return func(to func(*ent.KeyTargetCreate)) {
			target := w.db.KeyTarget.Create().SetKeyID(k.ID).SetNillableUserID(k.UserID).
				SetNillableUserGroupID(k.UserGroupID)
			to(target)
			target.SaveX(ctx)
		}
	}
	toDoor := func(i int) func(*ent.KeyTargetCreate) {
		return func(c *ent.KeyTargetCreate) { c.SetDoorID(e.doors[i].ID) }
	}
	key(nil, whole, nil)(toDoor(3))
	key(nil, part, nil)(func(c *ent.KeyTargetCreate) { c.SetSiteID(mill.ID) })
	key(e.people[8], nil, nil)(func(c *ent.KeyTargetCreate) { c.SetDoorGroupID(floor.ID) })
	key(e.people[9], nil, nil)(func(c *ent.KeyTargetCreate) { c.SetDoorGroupID(rooms.ID) })
	key(e.people[9], nil, nil)(toDoor(1)) // twice
	key(e.people[10], nil, func(c *ent.KeyCreate) { c.SetRevokedAt(past) })(toDoor(3))
	key(e.people[11], nil, func(c *ent.KeyCreate) { c.SetScheduleID(nights.ID) })(toDoor(3))
	key(e.people[12], nil, func(c *ent.KeyCreate) { c.SetValidUntil(past) })(toDoor(3))
	key(e.people[13], nil, func(c *ent.KeyCreate) { c.SetUses(1).SetUsesLeft(0) })(toDoor(3))
	shared := func(c *ent.KeyCreate) {
		parent := w.db.Key.Query().AllX(ctx)[0]
		c.SetParentID(parent.ID).SetSharedByID(e.people[3].ID)
	}
	key(w.member.user, nil, shared)(toDoor(3))
	w.db.User.UpdateOne(e.people[4]).SetStatus("SUSPENDED").ExecX(ctx)
	w.db.Door.UpdateOne(e.doors[4]).SetMode("UNLOCKED").ExecX(ctx)
	w.db.Door.UpdateOne(e.doors[7]).SetMode("LOCKED").ExecX(ctx)
	return e
}

func TestWhoCanOpenTellsOfTheMode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	k := w.key(w.admin, w.member.user, gate)
	seen := w.ask(w.admin, whoCan, vars{"d": gate.ID}).ok()
	equal(t, len(seen.at("whoCanOpen.nodes").([]any)), 1)
	equal(t, seen.text("whoCanOpen.nodes.0.decision.key.id"), k.ID.String())
	equal(t, seen.text("whoCanOpen.nodes.0.decision.reason"), "GRANTED_REMOTE")
	for mode, people := range map[string]int{"UNLOCKED": 2, "LOCKED": 0, "LOCKDOWN": 0, "DISABLED": 0} {
		w.ask(w.admin, `mutation($d: ID!, $m: DoorMode) { updateDoor(input: {id: $d, mode: $m}) {
			door { id } } }`, vars{"d": gate.ID, "m": mode}).ok()
		seen := w.ask(w.admin, whoCan, vars{"d": gate.ID}).ok()
		equal(t, seen.text("whoCanOpen.mode.mode"), mode)
		equal(t, len(seen.at("whoCanOpen.nodes").([]any)), people)
		equal(t, seen.at("whoCanOpen.pageInfo.hasNextPage"), any(false))
	}
	// One who may ask of themself hears of the doors that they see.
	w.ask(w.admin, `mutation($d: ID!) { updateDoor(input: {id: $d, mode: UNLOCKED}) { door { id } } }`,
		vars{"d": w.door(w.admin, w.site(w.admin, "Quay"), "Shed").ID}).ok()
	w.db.Door.UpdateOne(gate).SetMode("LOCKED").ExecX(w.admin.ctx)
	mine := w.ask(w.member, doorsOf, vars{"u": w.member.user.ID}).ok()
	equal(t, len(mine.at("doorsFor.nodes").([]any)), 0)
	w.db.Door.UpdateOne(gate).SetMode("CONTROLLED").ExecX(w.admin.ctx)
	mine = w.ask(w.member, doorsOf, vars{"u": w.member.user.ID}).ok()
	equal(t, mine.text("doorsFor.nodes.0.door.id"), gate.ID.String())
	equal(t, len(w.ask(w.admin, doorsOf, vars{"u": w.member.user.ID}).ok().
		at("doorsFor.nodes").([]any)), 2)
}

// A page that takes much looking for ends before it is full, and leads on.
func TestWhoCanOpenLooksOnlySoFar(t *testing.T) {
	t.Parallel()
	w := setup(t)
	gate := w.door(w.admin, w.site(w.admin, "Harbour"), "Gate")
	never := w.db.Schedule.Create().SetName("Never").SetWindows(nil).SaveX(w.admin.ctx)
	crowd := w.crowd(1100)
	create := make([]*ent.KeyCreate, len(crowd))
	for i, u := range crowd {
		create[i] = w.db.Key.Create().SetUserID(u.ID)
		if i != 50 && i != 1060 {
			create[i].SetScheduleID(never.ID)
		}
	}
	keys := w.db.Key.CreateBulk(create...).SaveX(w.admin.ctx)
	targets := make([]*ent.KeyTargetCreate, len(keys))
	for i, k := range keys {
		targets[i] = w.db.KeyTarget.Create().SetKeyID(k.ID).SetUserID(*k.UserID).SetDoorID(gate.ID)
	}
	w.db.KeyTarget.CreateBulk(targets...).ExecX(w.admin.ctx)
	_, err := w.pool.ExecContext(t.Context(), "ANALYZE users, keys, key_targets") // not planned for a few
	must(t, err)
	first := w.ask(w.admin, whoCan, vars{"d": gate.ID, "n": 5}).ok()
	equal(t, len(first.at("whoCanOpen.nodes").([]any)), 1)
	equal(t, first.text("whoCanOpen.nodes.0.user.id"), crowd[50].ID.String())
	equal(t, first.at("whoCanOpen.pageInfo.hasNextPage"), any(true))
	second := w.ask(w.admin, whoCan, vars{"d": gate.ID, "n": 5,
		"after": first.text("whoCanOpen.pageInfo.endCursor")}).ok()
	equal(t, second.text("whoCanOpen.nodes.0.user.id"), crowd[1060].ID.String())
	equal(t, second.at("whoCanOpen.pageInfo.hasNextPage"), any(false))
}
