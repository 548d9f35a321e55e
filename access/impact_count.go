package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/typeid"
)

// peopleAlike gathers people to whom the same applies: those without a key of their own who are in the
// same groups for the same times. What is decided for one of them is so for all.
func peopleAlike(people []typeid.User, facts ...verdict.Facts) [][]typeid.User {
	applies := notes[typeid.User]{}
	for i, f := range facts {
		for _, p := range f.People {
			applies.add(p.ID, i, p.Suspended)
		}
		for _, m := range f.Members {
			applies.add(m.User, i, m.Group, m.From.UnixMicro(), m.Until.UnixMicro())
		}
		for _, k := range f.Keys {
			applies.add(k.User, k.User)
		}
	}
	return applies.alike(people)
}

// doorsAlike gathers doors likewise: those for which no key is by itself, in the same mode.
func doorsAlike(doors []typeid.Door, facts ...verdict.Facts) [][]typeid.Door {
	applies := notes[typeid.Door]{}
	for i, f := range facts {
		for _, d := range f.Doors {
			same := d
			same.ID, same.Into, same.OutOf = typeid.Door{}, typeid.Area{}, typeid.Area{}
			applies.add(d.ID, i, same)
		}
		for _, m := range f.GroupDoors {
			applies.add(m.Door, i, m.Group, m.From.UnixMicro(), m.Until.UnixMicro())
		}
		for _, k := range f.Keys {
			for _, d := range k.Doors {
				applies.add(d, d)
			}
		}
	}
	return applies.alike(doors)
}

// notes are what applies to things.
type notes[K comparable] map[K][]string

func (n notes[K]) add(to K, what ...any) { n[to] = append(n[to], fmt.Sprint(what...)) }

func (n notes[K]) alike(ids []K) [][]K {
	classes := map[string][]K{}
	for _, id := range ids {
		slices.Sort(n[id])
		all := strings.Join(n[id], "\n")
		classes[all] = append(classes[all], id)
	}
	return slices.Collect(maps.Values(classes))
}

// mannersOf are the manners in which people may be answered differently.
func mannersOf(facts ...verdict.Facts) []verdict.Manner {
	for _, f := range facts {
		if slices.ContainsFunc(f.Keys, func(k verdict.Key) bool { return k.AtDoorOnly }) {
			return []verdict.Manner{verdict.AtDoor, verdict.Remote}
		}
	}
	return []verdict.Manner{verdict.Remote}
}

// comparison is of what is decided before a change and after it, from an instant until another.
type comparison struct {
	before, after *verdict.Policy
	from, until   time.Time
	gives         bool // somebody may gain
	manners       []verdict.Manner
}

// count decides for each sort of people at each sort of door, but for what is known.
func (c *comparison) count(
	ctx context.Context, people [][]typeid.User, doors [][]typeid.Door,
) (*AccessImpact, error) {
	i := &AccessImpact{}
	lost, gained := make([]bool, len(people)), make([]bool, len(people))
	for _, same := range doors {
		if err := ctx.Err(); err != nil { // it may take seconds: nobody waits any more
			return nil, fmt.Errorf("work out impact: %w", err)
		}
		affected := false
		for n, class := range people {
			if affected && lost[n] && (gained[n] || !c.gives) {
				continue
			}
			loses, gains := c.differ(class[0], same[0])
			lost[n], gained[n] = lost[n] || loses, gained[n] || gains
			affected = affected || loses || gains
		}
		if affected {
			i.DoorsAffected += len(same)
		}
	}
	for n, class := range people {
		if lost[n] {
			i.PeopleLosing += len(class)
		}
		if gained[n] {
			i.PeopleGaining += len(class)
		}
	}
	return i, nil
}

// differ says whether a person could open a door at some instant before the change and not after
// it, and the other way round.
func (c *comparison) differ(who typeid.User, where typeid.Door) (loses, gains bool) {
	for _, manner := range c.manners {
		q := verdict.Question{Person: who, Door: where, At: c.from, Manner: manner}
		for q.At.Before(c.until) && !(loses && (gains || !c.gives)) {
			was, is := c.before.Decide(q), c.after.Decide(q)
			loses, gains = loses || was.Granted && !is.Granted, gains || is.Granted && !was.Granted
			q.At = sooner(was.Until, is.Until)
			if q.At.IsZero() {
				break
			}
		}
	}
	return loses, gains
}

// sooner is the first of two instants; a zero one never comes.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
