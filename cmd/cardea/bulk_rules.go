package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// rulesSize is how many rules a bulk load makes beside direct keys; zero for none.
type rulesSize struct {
	userGroups, doorGroups, schedules int
}

// explainSize is one organization that is large in everything that access depends on.
var explainSize = bulkSize{
	organizations: 1, sites: 100, doors: 10_000, users: 50_000, keys: 200_000, events: 200_000,
	rules: rulesSize{userGroups: 500, doorGroups: 300, schedules: 20},
}

// rules are what an organization's keys and doors depend on.
type rules struct {
	schedules  []typeid.Schedule
	userGroups []typeid.UserGroup
	doorGroups []typeid.DoorGroup
}

// loadRules makes groups, schedules and holidays, and then keys of every kind.
func (l *loaded) loadRules(load *copier, size bulkSize, now time.Time, random *rand.Rand) {
	l.loadSchedules(load, size.rules.schedules, now)
	l.loadUserGroups(load, size.rules.userGroups, now, random)
	l.loadDoorGroups(load, size.rules.doorGroups, now, random)
	l.loadAreas(load, now)
	l.loadCards(load, now)
	l.loadKeysOfAllKinds(load, size.keys, now, random)
}

// loadSchedules gives every tenth door one to stand unlocked by, and half of the sites holidays. One
// door in a hundred stands unlocked or locked whatever the time.
func (l *loaded) loadSchedules(load *copier, schedules int, now time.Time) {
	load.table("schedules", []string{"id", "org_id", "name", "windows", "created_at", "updated_at"},
		func(y yield) {
			for i := range schedules {
				l.schedules = append(l.schedules, typeid.New[typeid.Schedule]())
				windows, _ := json.Marshal([]schema.Window{{
					Start: fmt.Sprintf("2026-01-05T%02d:00:00", i%12),
					End:   fmt.Sprintf("2026-01-05T%02d:30:00", i%12+11),
					Rule:  "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
				}})
				y(l.schedules[i], l.org, fmt.Sprintf("Shift %02d", i+1), string(windows), now, now)
			}
		})
	calendar := typeid.New[typeid.HolidayCalendar]()
	load.table("holiday_calendars", []string{"id", "org_id", "name", "holidays", "created_at",
		"updated_at"}, func(y yield) {
		holidays, _ := json.Marshal([]schema.Holiday{{Name: "New year", First: "2026-01-01", Yearly: true}})
		y(calendar, l.org, "Holidays", string(holidays), now, now)
	})
	for i := 0; i < len(l.sites); i += 2 {
		load.run(`UPDATE sites SET holiday_calendar_id = $2 WHERE id = $1`, l.sites[i], calendar)
	}
	for i := 7; i < len(l.doors); i += 100 {
		load.run(`UPDATE doors SET mode = $2, effective_mode = $2 WHERE id = $1`, l.doors[i],
			[]string{"UNLOCKED", "LOCKED"}[i/100%2])
	}
	for i := 0; i < len(l.doors); i += 10 {
		load.run(`UPDATE doors SET unlock_schedule_id = $2 WHERE id = $1`,
			l.doors[i], l.schedules[i/10%schedules])
	}
}

// loadUserGroups makes one group in a hundred for a fifth of all people and the others smaller by
// far. Every fourth is part of a larger one.
func (l *loaded) loadUserGroups(load *copier, groups int, now time.Time, random *rand.Rand) {
	load.table("user_groups", []string{"id", "org_id", "name", "parent_id", "created_at",
		"updated_at"}, func(y yield) {
		for i := range groups {
			l.userGroups = append(l.userGroups, typeid.New[typeid.UserGroup]())
			y(l.userGroups[i], l.org, fmt.Sprintf("Crew %03d", i+1), wholeOf(l.userGroups, i), now, now)
		}
	})
	columns := []string{"id", "org_id", "user_group_id", "user_id", "valid_until"}
	load.table("user_group_members", columns, func(y yield) {
		for i, group := range l.userGroups {
			for n, first := range spread(i, len(l.users), random) {
				y(typeid.New[typeid.UserGroupMember](), l.org, group, l.users[(first+n)%len(l.users)],
					sometimes(random, 20, now.AddDate(0, -1, 0)))
			}
		}
	})
}

func (l *loaded) loadDoorGroups(load *copier, groups int, now time.Time, random *rand.Rand) {
	load.table("door_groups", []string{"id", "org_id", "name", "parent_id", "created_at",
		"updated_at"}, func(y yield) {
		for i := range groups {
			l.doorGroups = append(l.doorGroups, typeid.New[typeid.DoorGroup]())
			y(l.doorGroups[i], l.org, fmt.Sprintf("Zone %03d", i+1), wholeOf(l.doorGroups, i), now, now)
		}
	})
	load.table("door_group_doors", []string{"id", "org_id", "door_group_id", "door_id"},
		func(y yield) {
			for i, group := range l.doorGroups {
				for n, first := range spread(i, len(l.doors)/4, random) {
					y(typeid.New[typeid.DoorGroupDoor](), l.org, group, l.doors[(first*4+n)%len(l.doors)])
				}
			}
		})
}

// wholeOf is the group that the i-th is part of, if it is.
func wholeOf[ID any](groups []ID, i int) any {
	if i%4 != 3 || i < 50 {
		return nil
	}
	return groups[i%10]
}

// spread yields as many numbers as the i-th group has members, out of some, beginning anywhere.
func spread(i, of int, random *rand.Rand) []int {
	share := 1000
	switch {
	case i%100 == 0:
		share = 5
	case i%10 == 0:
		share = 100
	}
	first, all := random.IntN(of), make([]int, max(of/share, 3))
	for n := range all {
		all[n] = first
	}
	return all
}

// each is a value for the first of so many, and none for the others.
func each(i, of int, value any) any {
	if i%of > 0 {
		return nil
	}
	return value
}

// sometimes is a value once in so many times, and else none.
func sometimes(random *rand.Rand, in int, value any) any {
	if random.IntN(in) > 0 {
		return nil
	}
	return value
}

// loadAreas makes the first ten doors of every site lead into an area where no more than so many may
// be, with people in it.
func (l *loaded) loadAreas(load *copier, now time.Time) {
	areas := make([]typeid.Area, len(l.sites))
	columns := []string{"id", "org_id", "site_id", "name", "occupancy_limit", "limit_mode",
		"anti_passback", "created_at", "updated_at"}
	load.table("areas", columns, func(y yield) {
		for i, site := range l.sites {
			areas[i] = typeid.New[typeid.Area]()
			y(areas[i], l.org, site, "Yard", 500, "ENFORCE", "ALERT", now, now)
		}
	})
	load.run(`UPDATE doors d SET into_area_id = a.id FROM areas a WHERE a.site_id = d.site_id
		AND d.org_id = $1 AND d.id IN (SELECT unnest((array_agg(id ORDER BY id))[:10]) FROM doors
			WHERE org_id = $1 GROUP BY site_id)`, l.org)
	columns = []string{"id", "org_id", "area_id", "user_id", "state", "since", "passes"}
	load.table("presences", columns, func(y yield) {
		for i, who := range l.users {
			state := "OUT"
			if i%5 == 0 {
				state = "IN"
			}
			y(typeid.New[typeid.Presence](), l.org, areas[i%len(areas)], who, state, now, "[]")
		}
	})
}

// loadCards gives everybody a card; one in fifty is suspended.
func (l *loaded) loadCards(load *copier, now time.Time) {
	load.table("credentials", []string{"id", "org_id", "user_id", "kind", "hint", "suspended_at",
		"created_at", "updated_at"}, func(y yield) {
		for i, who := range l.users {
			y(typeid.New[typeid.Credential](), l.org, who, "CARD", "…", each(i, 50, now), now, now)
		}
	})
}

// aKey is a key on its way into the tables.
type aKey struct {
	id          typeid.Key
	user        typeid.User
	group       typeid.UserGroup
	parent      typeid.Key
	sharedBy    typeid.User
	depth       int
	door, after int // the first door that it opens, and how many more
}

// keysOfGroup is how many keys each group of people has: one for a site, two for groups of doors and
// the rest for doors.
const keysOfGroup = 6

// loadKeysOfAllKinds gives each user group its keys. Of those of people one in twenty is for a site,
// one in twenty for a group of doors, and the rest are for one to three doors; one in twenty-five was
// shared from the one before, half of these by whom it was shared with.
func (l *loaded) loadKeysOfAllKinds(load *copier, keys int, now time.Time, random *rand.Rand) {
	made := make([]aKey, keys)
	for i := range made {
		k := &made[i]
		k.id, k.door, k.after = typeid.New[typeid.Key](), random.IntN(len(l.doors)), random.IntN(3)
		if i < keysOfGroup*len(l.userGroups) {
			k.group = l.userGroups[i/keysOfGroup]
			continue
		}
		k.user = l.users[random.IntN(len(l.users))]
		if from := made[max(i-1, 0)]; i%50 >= 48 && !from.user.IsZero() {
			k.parent, k.sharedBy, k.depth = from.id, from.user, from.depth+1
			k.door, k.after = from.door, from.after
		}
	}
	l.copyKeys(load, made, now, random)
	l.copyTargets(load, made, random)
}

// copyKeys revokes a tenth and lets a tenth expire; a fifth has a schedule, one in thirty opens only
// so often, one in thirty is suspended, one in fifteen opens at the door alone, and one in forty
// begins tomorrow.
func (l *loaded) copyKeys(load *copier, made []aKey, now time.Time, random *rand.Rand) {
	load.table("keys", []string{"id", "org_id", "user_id", "user_group_id", "parent_id", "shared_by_id",
		"depth", "schedule_id", "valid_from", "valid_until", "uses", "uses_left", "suspended_at",
		"revoked_at", "remote", "shares_left", "created_at", "updated_at"}, func(y yield) {
		for i, k := range made {
			uses := sometimes(random, 30, 10)
			left := uses
			if uses != nil {
				left = random.IntN(4)
			}
			y(k.id, l.org, k.user, k.group, k.parent, k.sharedBy, k.depth,
				sometimes(random, 5, l.schedules[i%len(l.schedules)]),
				sometimes(random, 40, now.AddDate(0, 0, 1)), sometimes(random, 10, now.AddDate(0, 0, -1)),
				uses, left, sometimes(random, 30, now), sometimes(random, 10, now),
				random.IntN(15) > 0, 0, now, now)
		}
	})
}

func (l *loaded) copyTargets(load *copier, made []aKey, random *rand.Rand) {
	load.table("key_targets", []string{"id", "org_id", "key_id", "user_id", "user_group_id", "door_id",
		"door_group_id", "site_id"}, func(y yield) {
		for i, k := range made {
			target := func(door, group, site any) {
				y(typeid.New[typeid.KeyTarget](), l.org, k.id, k.user, k.group, door, group, site)
			}
			turn, ofGroup := i%20, !k.group.IsZero()
			if ofGroup {
				turn = i % keysOfGroup
			}
			switch {
			case turn == 0:
				target(nil, nil, l.sites[random.IntN(len(l.sites))])
			case turn == 1, turn == 2 && ofGroup:
				target(nil, l.doorGroups[random.IntN(len(l.doorGroups))], nil)
			default:
				for n := range k.after + 1 {
					target(l.doors[(k.door+n)%len(l.doors)], nil, nil)
				}
			}
		}
	})
}
