package access_test

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// chain is keys that were shared one from the other, with their holders, as a test draws them.
type chain struct {
	*bench
	t       *rapid.T
	doors   []*ent.Door
	group   *ent.DoorGroup
	plan    *ent.Schedule
	start   time.Time
	keys    []*ent.Key
	holders []typeid.User
}

// TestASharedKeyOpensNoMoreThanItsParent draws chains of shares, within their parents and beyond,
// changes keys of them in whatever way, and looks at every door at many instants: where a key
// opens, the one above it does.
func TestASharedKeyOpensNoMoreThanItsParent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.db.Key.Delete().ExecX(b.system)
	gate, cellar, shed := b.door, b.newDoor("Cellar"), b.newDoor("Shed")
	rome, err := time.LoadLocation(b.site.TimeZone)
	must(t, err)
	start := b.clock.Now().Truncate(time.Hour)
	local := start.In(rome)
	plan := b.db.Schedule.Create().SetName("Rounds").SetWindows([]schema.Window{{
		Start: local.Format(time.DateOnly + "T15:04:05"),
		End:   local.Add(2 * time.Hour).Format(time.DateOnly + "T15:04:05"),
	}}).SaveX(b.system)
	c := chain{
		bench: b, doors: []*ent.Door{gate, cellar, shed}, group: b.newDoorGroup(cellar, shed), plan: plan,
		start: start,
	}
	opened := 0
	rapid.Check(t, func(t *rapid.T) {
		c.t, c.keys, c.holders = t, nil, nil
		c.grant()
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			c.share()
		}
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			c.change()
		}
		opened += c.check()
	})
	if opened == 0 {
		t.Error("no shared key opened anything")
	}
}

// instant is one of the hours around the start; nil in one of three.
func (c *chain) instant(label string) *time.Time {
	if rapid.IntRange(0, 2).Draw(c.t, label+"?") == 0 {
		return nil
	}
	return new(c.start.Add(time.Duration(rapid.IntRange(-2, 4).Draw(c.t, label)) * time.Hour))
}

func (c *chain) some(label string) []typeid.Door {
	var ids []typeid.Door
	for i, d := range c.doors {
		if rapid.Bool().Draw(c.t, label+string(rune('0'+i))) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func (c *chain) maybe(label string) *bool {
	return rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(c.t, label)
}

func (c *chain) schedule(label string) *typeid.Schedule {
	return rapid.SampledFrom([]*typeid.Schedule{nil, &c.plan.ID}).Draw(c.t, label)
}

func (c *chain) uses(label string) *int {
	return rapid.SampledFrom([]*int{nil, new(1), new(2)}).Draw(c.t, label)
}

func (c *chain) grant() {
	u := c.db.User.Create().SetName("Holder").SaveX(c.system)
	in := access.GrantKeyInput{UserID: u.ID, DoorIDs: c.some("door"), ValidFrom: c.instant("from"),
		ValidUntil: c.instant("until"), Uses: c.uses("uses"), Remote: c.maybe("remote"),
		ScheduleID: c.schedule("schedule"), Shares: new(9)}
	if rapid.Bool().Draw(c.t, "group") {
		in.DoorGroupIDs = []typeid.DoorGroup{c.group.ID}
	}
	if rapid.Bool().Draw(c.t, "site") || len(in.DoorIDs)+len(in.DoorGroupIDs) == 0 {
		in.SiteID = &c.site.ID
	}
	if in.ValidFrom != nil && in.ValidUntil != nil && !in.ValidFrom.Before(*in.ValidUntil) {
		in.ValidUntil = nil
	}
	c.keys, c.holders = []*ent.Key{c.grantKey(in)}, []typeid.User{u.ID}
}

// share shares the last key, if what is drawn is within it, and its link is redeemed.
func (c *chain) share() {
	parent := c.keys[len(c.keys)-1]
	by := c.admin
	if rapid.Bool().Draw(c.t, "by the holder") {
		by = c.as(c.holders[len(c.holders)-1])
	}
	made, err := c.access.ShareKey(by, access.ShareKeyInput{
		KeyID: parent.ID, Recipient: "guest@example.com", DoorIDs: c.some("share"),
		ValidFrom: c.instant("share from"), ValidUntil: c.instant("share until"),
		Uses: c.uses("share uses"), Remote: c.maybe("share remote"), Shares: new(2),
	})
	if err != nil {
		if access.IsCode(err, access.CodeBadUserInput) || access.IsCode(err, access.CodeConflict) ||
			access.IsCode(err, access.CodeNotFound) {
			return
		}
		c.t.Fatal(err)
	}
	r, err := c.access.RedeemLink(context.Background(), secretOf(made.Link))
	if access.IsCode(err, access.CodeNotFound) { // over before it began
		return
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.keys, c.holders = append(c.keys, r.Key), append(c.holders, r.Guest.ID)
}

func (c *chain) as(id typeid.User) context.Context {
	return actor.NewContext(context.Background(), actor.User(c.org, id, actor.RoleMember))
}

// change changes one of the keys, or its holder.
func (c *chain) change() {
	i := rapid.IntRange(0, len(c.keys)-1).Draw(c.t, "which")
	id := c.keys[i].ID
	var err error
	switch rapid.IntRange(0, 4).Draw(c.t, "change") {
	case 0:
		_, err = c.access.SuspendKey(c.admin, access.SuspendKeyInput{ID: id})
	case 1:
		_, err = c.access.RevokeKey(c.admin, access.RevokeKeyInput{ID: id})
	case 2:
		_, err = c.access.UpdateKey(c.admin, access.UpdateKeyInput{ID: id,
			ValidFrom: c.instant("new from"), ValidUntil: c.instant("new until"),
			Uses: c.uses("new uses"), Remote: c.maybe("new remote"), ScheduleID: c.schedule("new schedule")})
	case 3:
		c.db.User.UpdateOneID(c.holders[i]).SetStatus("SUSPENDED").ExecX(c.system)
	case 4:
		_, err = c.access.UpdateKey(c.admin, access.UpdateKeyInput{ID: id, ClearValidFrom: true,
			ClearValidUntil: true, ClearUses: true, ClearSchedule: true, Remote: new(true)})
	}
	if err != nil && !access.IsCode(err, access.CodeBadUserInput) &&
		!access.IsCode(err, access.CodeConflict) {
		c.t.Fatal(err)
	}
}

// check returns how often a shared key opened something, and so the one above it did.
func (c *chain) check() (opened int) {
	manners := []access.AccessManner{access.MannerRemote, access.MannerAtDoor}
	for range 5 {
		at := c.start.Add(time.Duration(rapid.IntRange(-150, 270).Draw(c.t, "at")) * time.Minute)
		manner := rapid.SampledFrom(manners).Draw(c.t, "manner")
		for _, d := range c.doors {
			opened += c.compare(d, at, manner)
		}
	}
	return opened
}

func (c *chain) compare(d *ent.Door, at time.Time, manner access.AccessManner) (opened int) {
	above := true
	for i, id := range c.holders {
		decision, err := c.access.EffectiveAccess(c.admin,
			access.AccessQuestion{User: id, Door: d.ID, At: &at, Manner: manner})
		if err != nil {
			c.t.Fatal(err)
		}
		if i > 0 && decision.Granted && !above && !c.suspended(c.holders[i-1]) {
			c.t.Fatalf("%s opens %s at %s, %s; the key above it does not", c.keys[i], d.Name, at, manner)
		}
		if above = decision.Granted; above && i > 0 {
			opened++
		}
	}
	return opened
}

// suspended says that the key above does not open only because its holder is suspended. What an
// administrator shared from it does not depend on them.
func (c *chain) suspended(holder typeid.User) bool {
	return c.db.User.GetX(c.system, holder).Status == "SUSPENDED"
}
