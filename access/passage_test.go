package access_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/typeid"
)

// ledger is where people are by the plainest reckoning: all passes that are known, and none of them
// undone, in the order in which they happened. The last one counts.
type ledger struct {
	passes     []pass
	number     int
	reset      map[typeid.Area]time.Time
	violations int
}

type pass struct {
	area    typeid.Area
	user    typeid.User
	state   presence.State
	at      time.Time
	number  int // in which it became known
	door    typeid.Door
	command typeid.Command
}

func (l *ledger) of(a typeid.Area, u typeid.User) (history []pass) {
	for _, p := range l.passes {
		if p.area == a && p.user == u {
			history = append(history, p)
		}
	}
	slices.SortFunc(history, func(a, b pass) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.number - b.number
	})
	return history
}

func (l *ledger) state(a typeid.Area, u typeid.User) presence.State {
	history := l.of(a, u)
	if len(history) == 0 {
		return ""
	}
	return history[len(history)-1].state
}

func (l *ledger) count(a typeid.Area, people []member) (n int) {
	for _, m := range people {
		if l.state(a, m.id) == presence.StateIN {
			n++
		}
	}
	return n
}

// add notes a pass, and counts it if the one before it was the same way.
func (l *ledger) add(p pass, checked bool) {
	if p.at.Before(l.reset[p.area]) {
		return
	}
	l.number++
	p.number = l.number
	l.passes = append(l.passes, p)
	history := l.of(p.area, p.user)
	place := slices.Index(history, p)
	if checked && place > 0 && history[place-1].state == p.state {
		l.violations++
	}
}

func (l *ledger) drop(gone func(pass) bool) { l.passes = slices.DeleteFunc(l.passes, gone) }

type member struct {
	id  typeid.User
	ctx context.Context //nolint:containedctx // who they are
}

// way is a door with where it leads.
type way struct {
	door        *ent.Door
	port        int
	into, outOf *ent.Area
}

// play is a yard beside its ledger.
type play struct {
	*yard
	ledger
	t      *rapid.T
	people []member
	ways   []way
	modes  map[typeid.Area]area.AntiPassback
	limit  int // of the hall, enforced
	open   []*ent.Command
}

// TestPresencesAreWhatTheLedgerSays does whatever moves people, in any order.
func TestPresencesAreWhatTheLedgerSays(t *testing.T) {
	t.Parallel()
	y := setupYard(t)
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		rounds++
		p := start(y, t, rounds)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p.step()
			p.compare()
		}
	})
}

func start(y *yard, t *rapid.T, round int) *play {
	y.build(fmt.Sprintf("Hall %d", round), fmt.Sprintf("Vault %d", round))
	p := &play{yard: y, t: t, ways: []way{
		{y.gate, 1, y.hall, nil}, {y.wicket, 2, nil, y.hall}, {y.hatch, 3, y.vault, y.hall},
	}}
	modes := []area.AntiPassback{"OFF", "ALERT", "ENFORCE"}
	p.modes, p.reset = map[typeid.Area]area.AntiPassback{}, map[typeid.Area]time.Time{}
	p.limit = rapid.IntRange(1, 3).Draw(t, "limit")
	enforce := area.LimitModeENFORCE
	for _, a := range []*ent.Area{y.hall, y.vault} {
		mode := rapid.SampledFrom(modes).Draw(t, "mode")
		p.modes[a.ID] = mode
		y.set(a, access.UpdateAreaInput{AntiPassback: &mode})
	}
	y.set(y.hall, access.UpdateAreaInput{OccupancyLimit: &p.limit, LimitMode: &enforce})
	for i := range 3 {
		id, ctx := y.someone(fmt.Sprintf("Guest %d", i))
		p.people = append(p.people, member{id, ctx})
	}
	p.violations = p.violated()
	return p
}

func (p *play) step() {
	who := rapid.SampledFrom(p.people).Draw(p.t, "who")
	by := rapid.SampledFrom(p.ways).Draw(p.t, "by")
	p.clock.Advance(time.Duration(rapid.IntRange(0, 2).Draw(p.t, "seconds")) * time.Second)
	switch rapid.SampledFrom([]string{
		"unlock", "unlock", "unlock", "offline", "end", "end", "report", "late", "no entry", "record",
		"reset", "reset all",
	}).Draw(p.t, "what") {
	case "unlock":
		p.unlock(who, by, false)
	case "offline":
		p.unlock(who, by, true)
	case "end":
		p.end()
	case "report":
		p.tell(access.Report{Port: by.port, Type: "access.granted", User: who.id})
		p.through(who, by, p.now(), typeid.Command{})
	case "late":
		at := p.now().Add(-time.Duration(rapid.IntRange(0, 20).Draw(p.t, "ago")) * time.Second)
		p.tell(access.Report{Port: by.port, Type: "access.granted", User: who.id,
			Delivery: event.DeliveryBUFFERED, OccurredAt: at})
		p.through(who, by, at, typeid.Command{})
	case "no entry":
		p.noEntry(who, by)
	case "record":
		p.record(who, rapid.SampledFrom([]*ent.Area{p.hall, p.vault}).Draw(p.t, "area"))
	case "reset":
		_, err := p.access.ResetAntiPassback(p.admin,
			access.ResetAntiPassbackInput{AreaID: p.hall.ID, UserID: &who.id})
		must(p.yard.t, err)
		p.add(pass{area: p.hall.ID, user: who.id, state: presence.StateUNKNOWN, at: p.now()}, false)
	case "reset all":
		_, err := p.access.ResetAntiPassback(p.admin,
			access.ResetAntiPassbackInput{AreaID: p.hall.ID})
		must(p.yard.t, err)
		p.drop(func(x pass) bool { return x.area == p.hall.ID })
		p.reset[p.hall.ID] = p.now()
	}
}

func (p *play) now() time.Time { return p.clock.Now().UTC().Truncate(time.Microsecond) }

func (p *play) unlock(who member, by way, offline bool) {
	granted := p.allows(who, by)
	p.hardware.offline = offline
	c := p.pass(who.ctx, by.door)
	p.hardware.offline = false
	if (c.Stage != command.StageREJECTED) != granted {
		p.t.Fatalf("at %s: %s for %v", by.door.Name, c.Stage, c.Reason)
	}
	if !granted {
		if *c.Reason == "ANTI_PASSBACK" {
			p.violations++
		}
		return
	}
	p.through(who, by, p.now(), c.ID)
	if offline {
		p.drop(func(x pass) bool { return x.command == c.ID })
	} else {
		p.open = append(p.open, c)
	}
}

func (p *play) allows(who member, by way) bool {
	if by.outOf != nil && p.modes[by.outOf.ID] == "ENFORCE" &&
		p.ledger.state(by.outOf.ID, who.id) == presence.StateOUT {
		return false
	}
	if by.into == nil {
		return true
	}
	in := p.ledger.state(by.into.ID, who.id) == presence.StateIN
	if in {
		return p.modes[by.into.ID] != "ENFORCE"
	}
	return by.into.ID != p.hall.ID || p.count(p.hall.ID, p.people) < p.limit
}

func (p *play) through(who member, by way, at time.Time, c typeid.Command) {
	for _, side := range []struct {
		area  *ent.Area
		state presence.State
	}{{by.outOf, presence.StateOUT}, {by.into, presence.StateIN}} {
		if side.area != nil {
			p.add(pass{area: side.area.ID, user: who.id, state: side.state, at: at, door: by.door.ID,
				command: c}, p.modes[side.area.ID] != "OFF")
		}
	}
}

// end ends a command that is under way, well or badly.
func (p *play) end() {
	if len(p.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(p.open)-1).Draw(p.t, "command")
	c := p.open[i]
	p.open = slices.Delete(p.open, i, i+1)
	stage := rapid.SampledFrom([]command.Stage{"CONFIRMED", "FAILED", "EXPIRED"}).Draw(p.t, "end")
	p.tell(access.Report{Port: 1, Result: &access.Result{Command: c.ID, Stage: stage}})
	if stage != command.StageCONFIRMED {
		p.drop(func(x pass) bool { return x.command == c.ID })
	}
}

func (p *play) noEntry(who member, by way) {
	p.tell(access.Report{Port: by.port, Type: "access.no_entry", User: who.id})
	for _, a := range []*ent.Area{p.hall, p.vault} {
		history := p.of(a.ID, who.id)
		for _, last := range slices.Backward(history) {
			if last.door == by.door.ID {
				p.drop(func(x pass) bool { return x == last })
				break
			}
		}
	}
}

func (p *play) record(who member, a *ent.Area) {
	state := rapid.SampledFrom([]presence.State{"IN", "OUT"}).Draw(p.t, "state")
	_, err := p.access.RecordPresence(p.admin,
		access.RecordPresenceInput{AreaID: a.ID, UserID: who.id, State: state})
	must(p.yard.t, err)
	if p.ledger.state(a.ID, who.id) != state {
		p.add(pass{area: a.ID, user: who.id, state: state, at: p.now()}, false)
	}
}

func (p *play) compare() {
	for _, a := range []*ent.Area{p.hall, p.vault} {
		seen := map[typeid.User]presence.State{}
		for _, row := range p.db.Presence.Query().Where(presence.AreaID(a.ID)).AllX(p.system) {
			seen[row.UserID] = row.State
		}
		for i, who := range p.people {
			if got, want := seen[who.id], p.ledger.state(a.ID, who.id); got != want {
				p.t.Fatalf("guest %d is %q in %s, want %q", i, got, a.Name, want)
			}
		}
	}
	if got := p.violated(); got != p.violations {
		p.t.Fatalf("%d violations, want %d", got, p.violations)
	}
}

func (p *play) violated() int {
	return p.db.Event.Query().Where(event.Type("antipassback.violated")).CountX(p.system)
}
