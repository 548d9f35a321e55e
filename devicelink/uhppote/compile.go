package uhppote

import (
	"maps"
	"slices"
	"time"
)

// A list is compiled to cards and profiles. Each card has, for each door, a profile that is true exactly
// when Cardea would let its owner in: for the days of the list alone, so that a controller whose agent
// has gone refuses everybody when the list has ended. No card is good always, and none has a
// profile that is not there: the controllers take that for always.

// plan is what a controller shall have.
type plan struct {
	cards    map[uint32]card
	profiles map[byte]profile // those to be written; the others are there
	owners   map[uint32]Card
	losses   []Loss
	short    bool // profiles were missing that are free once the plan is carried out
}

const (
	firstProfile, lastProfile = 2, 254
	// endsEvery is when the times of lists may end: each list at another minute would change every card.
	endsEvery = 12 * time.Hour
)

// compiler makes a plan.
type compiler struct {
	list   List
	end    time.Time
	there  map[byte]profile // what the controller has
	used   map[byte]bool    // by cards that it has: these are not rewritten
	chosen map[string]byte  // profiles by their times
	lost   map[string]int
	plan   plan
}

// compile makes a plan of a list for a controller that has cards and profiles.
func compile(list List, doors int, cards map[uint32]card, there map[byte]profile) plan {
	c := compiler{
		list: list, end: list.NotAfter.UTC().Truncate(endsEvery), there: there,
		used: usedBy(cards, there), chosen: map[string]byte{}, lost: map[string]int{},
		plan: plan{
			cards: map[uint32]card{}, profiles: map[byte]profile{}, owners: map[uint32]Card{},
		},
	}
	if !c.end.After(list.At) { // a list of less than half a day
		c.end = list.NotAfter
	}
	for port := range list.Sheets {
		if port > doors {
			c.lost[lossDoor]++
		}
	}
	for _, one := range c.tellable() {
		c.add(one, doors)
	}
	for _, what := range slices.Sorted(maps.Keys(c.lost)) {
		c.plan.losses = append(c.plan.losses, Loss{what, c.lost[what]})
	}
	return c.plan
}

// tellable is the cards that a controller can tell from one another, in order.
func (c *compiler) tellable() (all []Card) {
	of := map[uint32][]Card{}
	for _, one := range c.list.Cards {
		n := one.number()
		if n == 0 {
			c.lost[lossFormat]++
			continue
		}
		of[n] = append(of[n], one)
	}
	for _, n := range slices.Sorted(maps.Keys(of)) {
		if len(of[n]) > 1 {
			c.lost[lossClash] += len(of[n])
			continue
		}
		all = append(all, of[n][0])
	}
	return all
}

// add adds a card, if it opens any door.
func (c *compiler) add(one Card, doors int) {
	n := one.number()
	made := card{
		Number: n, From: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), To: day(c.end),
	}
	opens, short := false, false
	for port := 1; port <= doors; port++ {
		times := c.times(one, port)
		if len(times) == 0 {
			continue
		}
		id := c.profile(times)
		made.Doors[port-1] = id
		opens, short = opens || id != 0, short || id == 0
	}
	if short {
		c.lost[lossTimes]++
		c.plan.short = true
	}
	c.plan.owners[n] = one
	if opens {
		c.plan.cards[n] = made
	}
}

// stretch is from a minute through a minute of a day.
type stretch struct {
	day time.Time
	segment
}

// times is when a card opens a door.
func (c *compiler) times(one Card, port int) (all []stretch) {
	for _, span := range c.list.Sheets[port].People[one.User] {
		from, until := later(span.From, one.From), span.Until
		if !one.Until.IsZero() && one.Until.Before(until) {
			until = one.Until
		}
		if until.After(c.end) {
			until = c.end
		}
		if from.After(c.list.At) {
			if whole := from.Truncate(time.Minute); !whole.Equal(from) {
				from = whole.Add(time.Minute)
				c.lost[lossMinutes]++
			}
		} else {
			from = day(c.list.At) // what is past lets nobody in
		}
		if whole := until.Truncate(time.Minute); !whole.Equal(until) {
			until = whole
			c.lost[lossMinutes]++
		}
		all = append(all, stretches(from, until)...)
	}
	return all
}

// stretches cuts a time at midnights.
func stretches(from, until time.Time) (all []stretch) {
	for from.Before(until) {
		today := day(from)
		end := until
		if next := today.AddDate(0, 0, 1); next.Before(end) {
			end = next
		}
		all = append(all, stretch{today, segment{
			int(from.Sub(today) / time.Minute), int(end.Sub(today)/time.Minute) - 1,
		}})
		from = end
	}
	return all
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// profile returns the profile of times: one that is there, or else new ones, each linked to the next;
// 0 if there are not enough.
func (c *compiler) profile(times []stretch) byte {
	chain := chainOf(times)
	key := keyOf(chain)
	if id, chosen := c.chosen[key]; chosen {
		return id
	}
	id := c.find(key)
	if id == 0 {
		id = c.write(chain)
	}
	if id != 0 {
		c.chosen[key] = id
	}
	return id
}

// chainOf puts times into profiles, of a day and three segments each, without numbers.
func chainOf(times []stretch) (chain []profile) {
	for i := 0; i < len(times); {
		p := profile{From: times[i].day, To: times[i].day, Days: everyDay}
		for n := 0; n < len(p.Segments) && i < len(times) && times[i].day.Equal(p.From); n++ {
			p.Segments[n] = times[i].segment
			i++
		}
		chain = append(chain, p)
	}
	return chain
}

var everyDay = [7]bool{true, true, true, true, true, true, true}

func keyOf(chain []profile) string {
	var key []byte
	for _, p := range chain {
		p.ID, p.Linked = 0, 0
		text := setProfile(0, p)
		key = append(key, text[:]...)
	}
	return string(key)
}

// find looks for a chain that is there, whole.
func (c *compiler) find(key string) byte {
	for id := byte(firstProfile); id <= lastProfile; id++ {
		if chain := follow(c.there, id); len(chain) > 0 && c.used[id] && keyOf(chain) == key {
			return id
		}
	}
	return 0
}

// follow is a profile with those that it is linked to.
func follow(there map[byte]profile, id byte) (chain []profile) {
	for p, is := there[id]; is && len(chain) <= lastProfile; p, is = there[p.Linked] {
		chain = append(chain, p)
	}
	return chain
}

// write takes free profiles for a chain, the last of it first.
func (c *compiler) write(chain []profile) byte {
	var free []byte
	for id := byte(firstProfile); id <= lastProfile && len(free) < len(chain); id++ {
		if _, taken := c.plan.profiles[id]; !taken && !c.used[id] {
			free = append(free, id)
		}
	}
	if len(free) < len(chain) {
		return 0
	}
	for i, p := range chain {
		p.ID = free[i]
		if i+1 < len(chain) {
			p.Linked = free[i+1]
		}
		c.plan.profiles[p.ID] = p
	}
	return free[0]
}

// usedBy is the profiles that decide about cards.
func usedBy(cards map[uint32]card, there map[byte]profile) map[byte]bool {
	used := map[byte]bool{}
	for _, one := range cards {
		for _, id := range one.Doors {
			for id >= firstProfile && !used[id] {
				used[id] = true
				id = there[id].Linked
			}
		}
	}
	return used
}
