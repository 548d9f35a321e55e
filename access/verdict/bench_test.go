package verdict_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// organization is one of usual size as it bears on a guest at the gate: they are in five groups, the
// door in three, and twelve keys lead from the one to the other, half of them by a schedule.
func organization(t *testing.T) verdict.Facts {
	t.Helper()
	office := typeid.New[typeid.Schedule]()
	f := verdict.Facts{
		People: []verdict.Person{{ID: guest}},
		Doors: []verdict.Door{{
			ID: gate, Site: quay, Mode: door.ModeCONTROLLED, UnlockSchedule: office, FirstPersonIn: true,
		}},
		UserParents: map[typeid.UserGroup]typeid.UserGroup{},
		DoorParents: map[typeid.DoorGroup]typeid.DoorGroup{},
		Timetables: map[verdict.Timing]*schedule.Timetable{
			{Schedule: office, Site: quay}: workdays(t, "Europe/Berlin"),
		},
	}
	users, doors := fresh(5, typeid.New[typeid.UserGroup]), fresh(3, typeid.New[typeid.DoorGroup])
	for _, g := range users {
		f.Members = append(f.Members, verdict.Member{Group: g, User: guest, Until: hours(24 * 90)})
	}
	for _, g := range doors {
		f.GroupDoors = append(f.GroupDoors, verdict.GroupDoor{Group: g, Door: gate})
	}
	for i := range 12 {
		k := verdict.Key{
			ID: typeid.New[typeid.Key](), Group: users[i%len(users)], From: hours(-24 * i),
			DoorGroups: []typeid.DoorGroup{doors[i%len(doors)]}, AtDoorOnly: i%3 == 0,
		}
		if i%2 == 0 {
			k.Schedule = office
		}
		if i%4 == 1 {
			k.Until = hours(24 * i)
		}
		f.Keys = append(f.Keys, k)
	}
	return f
}

// manyChanges is as bad as it gets: nothing grants, and what is looked at for Until changes all the
// time without another outcome.
func manyChanges(t *testing.T) verdict.Facts {
	t.Helper()
	f := organization(t)
	for i := range f.Keys {
		k := &f.Keys[i]
		k.AtDoorOnly, k.Schedule = true, typeid.Schedule{}
		k.From, k.Until = hours(i-6), hours(48+i)
	}
	return f
}

func questions() map[string]verdict.Question {
	q := verdict.Question{Person: guest, Door: gate, At: noon, Manner: verdict.Remote}
	night := q
	night.At = noon.Add(10 * time.Hour)
	return map[string]verdict.Question{"day": q, "night": night}
}

func BenchmarkDecide(b *testing.B) {
	t := &testing.T{}
	for _, f := range []struct {
		name  string
		facts verdict.Facts
	}{{"usual", organization(t)}, {"bad", manyChanges(t)}} {
		p := verdict.Compile(f.facts)
		for name, q := range questions() {
			b.Run(f.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Decide(q)
				}
			})
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	for name, f := range map[string]verdict.Facts{"usual": organization(t), "bad": manyChanges(t)} {
		p := verdict.Compile(f)
		for when, q := range questions() {
			q.Credential = &verdict.Credential{Until: hours(5)}
			if n := testing.AllocsPerRun(100, func() { p.Decide(q) }); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, when, n)
			}
		}
		if n := testing.AllocsPerRun(100, func() { p.Mode(gate, noon) }); n != 0 {
			t.Errorf("%s: the mode takes %v allocations", name, n)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, people := range []int{1, 50_000} {
		f := organization(&testing.T{})
		groups := f.Members
		f.People, f.Members = nil, nil
		for _, id := range fresh(people, typeid.New[typeid.User]) {
			f.People = append(f.People, verdict.Person{ID: id})
			for _, m := range groups {
				m.User = id
				f.Members = append(f.Members, m)
			}
		}
		b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verdict.Compile(f)
			}
		})
	}
}
