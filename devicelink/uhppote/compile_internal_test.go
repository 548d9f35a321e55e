package uhppote

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/typeid"
)

// monday is when the lists of these tests begin.
var monday = time.Date(2026, 11, 23, 9, 30, 17, 0, time.UTC)

// listOf is a list for so many people with a card each, whose times at four doors are drawn from a few.
func listOf(choices *rand.Rand, people int, at time.Time) List {
	list := List{
		Sequence: 1, At: at, NotAfter: at.Add(24 * time.Hour), Sheets: map[int]verdict.Sheet{},
	}
	var often [][]verdict.Span
	for range 12 {
		often = append(often, spansOf(choices, at))
	}
	for port := 1; port <= ports; port++ {
		list.Sheets[port] = verdict.Sheet{People: map[typeid.User][]verdict.Span{}}
	}
	for i := range people {
		one := Card{
			Credential: typeid.New[typeid.Credential](), User: typeid.New[typeid.User](),
			Format: wiegand26, Facility: 18, Number: uint64(1000 + i),
		}
		if i%10 == 0 {
			one.Until = at.Add(time.Duration(choices.Int64N(int64(30 * time.Hour))))
		}
		list.Cards = append(list.Cards, one)
		for port := 1; port <= ports; port++ {
			if spans := often[choices.IntN(len(often))]; len(spans) > 0 {
				list.Sheets[port].People[one.User] = spans
			}
		}
	}
	return list
}

// spansOf draws some times of a day, in order.
func spansOf(choices *rand.Rand, at time.Time) (spans []verdict.Span) {
	for from := at; choices.IntN(6) > 0; {
		gap := time.Duration(choices.Int64N(int64(5 * time.Hour)))
		until := from.Add(gap + time.Duration(choices.Int64N(int64(5*time.Hour))))
		if until = until.Truncate(time.Second); until.Sub(at) > 24*time.Hour {
			until = at.Add(24 * time.Hour)
		}
		if start := from.Add(gap); start.Before(until) {
			spans = append(spans, verdict.Span{From: start.Truncate(time.Second), Until: until})
		}
		from = until
	}
	return spans
}

// admits is what a controller does with a card: as UT0311 does it in the simulator, a profile that is
// not there lets everybody in.
func admits(cards map[uint32]card, there map[byte]profile, number uint32, port int, at time.Time) bool {
	one, is := cards[number]
	if !is || day(at).Before(one.From) || day(at).After(one.To) {
		return false
	}
	id := one.Doors[port-1]
	if id < firstProfile {
		return id == 1
	}
	minute := at.Hour()*60 + at.Minute()
	for id != 0 {
		p, is := there[id]
		if !is {
			return true
		}
		for _, s := range p.Segments {
			if s != (segment{}) && p.Days[at.Weekday()] && !day(at).Before(p.From) && !day(at).After(p.To) &&
				s.Start <= minute && minute <= s.End {
				return true
			}
		}
		id = p.Linked
	}
	return false
}

// decides is what the list says.
func decides(list List, one Card, port int, at time.Time) bool {
	if !one.Until.IsZero() && !at.Before(one.Until) {
		return false
	}
	return slices.ContainsFunc(list.Sheets[port].People[one.User], func(s verdict.Span) bool {
		return !at.Before(s.From) && at.Before(s.Until)
	})
}

// TestPlanNeverWidens: at every instant of a list, and after it, its plan lets in nobody whom the list
// refuses; and all whom the list lets in, but within a minute of a change, or after its last half day.
// It holds for lists that follow one another on one controller, at each step of the changes too.
func TestPlanNeverWidens(t *testing.T) {
	t.Parallel()
	choices := rand.New(rand.NewPCG(5, 6))
	cards, there := map[uint32]card{}, map[byte]profile{}
	granted := 0
	for round := range 12 {
		list := listOf(choices, 150, monday.Add(time.Duration(round)*97*time.Minute))
		p := compile(list, ports, cards, there)
		wide := func(when string) {
			t.Helper()
			for range 2000 {
				one := list.Cards[choices.IntN(len(list.Cards))]
				port := 1 + choices.IntN(ports)
				at := list.At.Add(time.Duration(choices.Int64N(int64(40 * time.Hour)))).Truncate(time.Second)
				may := decides(list, one, port, at)
				does := admits(cards, there, one.number(), port, at)
				near := may != decides(list, one, port, at.Add(time.Minute)) ||
					may != decides(list, one, port, at.Add(-time.Minute))
				late := at.After(list.NotAfter.Add(-endsEvery))
				if does && !may || may && !does && !near && !late {
					t.Fatalf("%s of list %d at %v: the list says %v, the controller does %v", when, round, at,
						may, does)
				}
				if does {
					granted++
				}
			}
		}
		before := cards
		for id, pr := range p.profiles { // cards that are there must not notice
			for n := range before {
				for port := 1; port <= ports; port++ {
					at := list.At.Add(time.Duration(choices.Int64N(int64(24 * time.Hour))))
					was := admits(before, there, n, port, at)
					old, had := there[id]
					there[id] = pr
					if is := admits(before, there, n, port, at); is != was {
						t.Fatalf("profile %d is written, and card %d is let in: %v", id, n, is)
					}
					if there[id] = old; !had {
						delete(there, id)
					}
				}
				break
			}
			there[id] = pr
		}
		cards = p.cards
		if p.short {
			t.Fatalf("list %d: %+v", round, p.losses)
		}
		wide("after")
	}
	if granted < 1000 {
		t.Errorf("that shows little: %d were let in", granted)
	}
}

// TestSameListSamePlan: a list that says the same a little later changes nothing at the controller.
func TestSameListSamePlan(t *testing.T) {
	t.Parallel()
	list := listOf(rand.New(rand.NewPCG(7, 8)), 50, monday)
	first := compile(list, ports, nil, nil)
	list.At, list.NotAfter = list.At.Add(time.Minute), list.NotAfter.Add(time.Minute)
	for port, sheet := range list.Sheets {
		for who, spans := range sheet.People {
			if !spans[0].From.After(list.At) {
				spans = slices.Clone(spans)
				spans[0].From = list.At
				list.Sheets[port].People[who] = spans
			}
		}
	}
	again := compile(list, ports, first.cards, first.profiles)
	if len(again.profiles) > 0 || len(again.cards) != len(first.cards) {
		t.Errorf("writes %d profiles", len(again.profiles))
	}
	for n, one := range first.cards {
		if again.cards[n] != one {
			t.Errorf("card %d changes", n)
		}
	}
}

// TestLosses: what cannot be told is refused, and said.
func TestLosses(t *testing.T) {
	t.Parallel()
	who := typeid.New[typeid.User]()
	always := map[typeid.User][]verdict.Span{who: {{From: monday, Until: monday.Add(24 * time.Hour)}}}
	list := List{
		At: monday, NotAfter: monday.Add(24 * time.Hour),
		Sheets: map[int]verdict.Sheet{1: {People: always}, 4: {People: always}},
		Cards: []Card{
			{User: who, Format: wiegand26, Facility: 18, Number: 12345},
			{User: who, Format: csn32, Number: 1812345},
			{User: who, Format: "WIEGAND_37", Facility: 1, Number: 2},
			{User: who, Format: csn32, Number: deletedCard},
			{User: who, Format: csn32, Number: 7, From: monday.Add(90 * time.Second)},
		},
	}
	p := compile(list, 2, nil, nil)
	want := []Loss{{lossClash, 2}, {lossFormat, 2}, {lossMinutes, 1}, {lossDoor, 1}}
	if !slices.Equal(p.losses, want) {
		t.Errorf("lost %+v", p.losses)
	}
	if len(p.cards) != 1 || p.cards[7].Doors[0] == 0 || p.cards[7].Doors[3] != 0 {
		t.Errorf("cards %+v", p.cards)
	}
}

// TestTimesRunOut: a controller has 253 profiles; whose times find none is refused.
func TestTimesRunOut(t *testing.T) {
	t.Parallel()
	list := List{At: monday, NotAfter: monday.Add(24 * time.Hour), Sheets: map[int]verdict.Sheet{
		1: {People: map[typeid.User][]verdict.Span{}}}}
	for i := range 300 {
		who := typeid.New[typeid.User]()
		from := day(monday).Add(600*time.Minute + time.Duration(i)*time.Minute)
		list.Sheets[1].People[who] = []verdict.Span{{From: from, Until: from.Add(30 * time.Minute)}}
		list.Cards = append(list.Cards, Card{User: who, Format: csn32, Number: uint64(1 + i)})
	}
	p := compile(list, ports, nil, nil)
	if len(p.cards) != 253 || !slices.Equal(p.losses, []Loss{{lossTimes, 47}}) || !p.short {
		t.Errorf("%d cards, lost %+v", len(p.cards), p.losses)
	}
}
