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
	l.loadKeysOfAllKinds(load, size.keys, now, random)
}

// loadSchedules gives every tenth door one to stand unlocked by, and half of the sites holidays.
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

// sometimes is a value once in so many times, and else none.
func sometimes(random *rand.Rand, in int, value any) any {
	if random.IntN(in) > 0 {
		return nil
	}
	return value
}

// aKey is a key on its way into the tables.
type aKey struct {
	id          typeid.Key
	user        typeid.User
	group       typeid.UserGroup
	parent      typeid.Key
	sharedBy    typeid.User
	door, after int // the first door that it opens, and how many more
}

// loadKeysOfAllKinds gives each user group six keys; of the others one in twenty is for a site, one
// in twenty for a group of doors, one in fifty was shared from the one before, and the rest are for
// one to three doors. A tenth is revoked, a tenth has expired, a fifth has a schedule.
func (l *loaded) loadKeysOfAllKinds(load *copier, keys int, now time.Time, random *rand.Rand) {
	made := make([]aKey, keys)
	load.table("keys", []string{"id", "org_id", "user_id", "user_group_id", "parent_id", "shared_by_id",
		"depth", "schedule_id", "valid_until", "revoked_at", "remote", "shares_left", "created_at",
		"updated_at"}, func(y yield) {
		for i := range made {
			k := &made[i]
			k.id, k.door, k.after = typeid.New[typeid.Key](), random.IntN(len(l.doors)), random.IntN(3)
			depth := 0
			switch {
			case i < 6*len(l.userGroups):
				k.group = l.userGroups[i%len(l.userGroups)]
			case i%50 == 49 && made[i-1].parent.IsZero() && !made[i-1].user.IsZero():
				k.parent, k.sharedBy, depth = made[i-1].id, made[i-1].user, 1
				k.door, k.after = made[i-1].door, made[i-1].after
				fallthrough
			default:
				k.user = l.users[random.IntN(len(l.users))]
			}
			y(k.id, l.org, k.user, k.group, k.parent, k.sharedBy, depth,
				sometimes(random, 5, l.schedules[i%len(l.schedules)]),
				sometimes(random, 10, now.AddDate(0, 0, -1)), sometimes(random, 10, now), true, 0, now, now)
		}
	})
	load.table("key_targets", []string{"id", "org_id", "key_id", "user_id", "user_group_id", "door_id",
		"door_group_id", "site_id"}, func(y yield) {
		for i, k := range made {
			target := func(door, group, site any) {
				y(typeid.New[typeid.KeyTarget](), l.org, k.id, k.user, k.group, door, group, site)
			}
			switch {
			case i%20 == 0 && k.parent.IsZero():
				target(nil, nil, l.sites[random.IntN(len(l.sites))])
			case i%20 == 1 && k.parent.IsZero():
				target(nil, l.doorGroups[random.IntN(len(l.doorGroups))], nil)
			default:
				for n := range k.after + 1 {
					target(l.doors[(k.door+n)%len(l.doors)], nil, nil)
				}
			}
		}
	})
}
