package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/typeid"
)

// demoSchedules are open by the wall clock of each site.
var demoSchedules = []access.CreateScheduleInput{
	{Name: "Office hours", Windows: []schema.Window{{
		Start: "2026-01-05T08:00:00", End: "2026-01-05T18:00:00",
		Rule: "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", Holidays: schema.HolidaySkip,
	}}},
	{Name: "Nights", Windows: []schema.Window{{
		Start: "2026-01-05T22:00:00", End: "2026-01-06T06:00:00", Rule: "FREQ=DAILY",
	}}},
}

// demoGroups are people who have a key together, for some doors or for all.
var demoGroups = []struct {
	name     string
	people   []string
	doors    []string // none: every door
	schedule string   // none: at any time
	atDoor   bool     // the key does not open from afar
}{
	{name: "Front desk", people: []string{"Front desk badge"}},
	{name: "Night shift", people: []string{"Night shift badge", "Cleaning badge"}, schedule: "Nights"},
	{name: "Workshops", people: []string{"Workshop badge", "Laboratory badge"},
		doors: []string{"Main gate", "Workshop", "Tool store", "Laboratory", "Cold room"}},
	{name: "Deliveries", people: []string{"Courier badge"}, doors: []string{"Loading bay", "Main gate"},
		schedule: "Office hours", atDoor: true},
	{name: "Guests", people: []string{"Visitor badge 1", "Visitor badge 2"},
		doors: []string{"Front door", "Reception"}, schedule: "Office hours"},
}

// addRules says who may open what and when, which door stands open by itself, where people are counted
// and what a lockdown closes.
func (d *demoSeed) addRules(ctx context.Context, s *access.Service) error {
	for _, site := range d.Sites {
		key := access.GrantKeyInput{UserID: d.Admin, SiteID: &site, Shares: new(10)}
		if _, err := s.GrantKey(ctx, key); err != nil {
			return err
		}
	}
	schedules := map[string]typeid.Schedule{}
	for _, plan := range demoSchedules {
		made, err := s.CreateSchedule(ctx, plan)
		if err != nil {
			return err
		}
		schedules[plan.Name] = made.Schedule.ID
	}
	for _, group := range demoGroups {
		key := access.GrantKeyInput{Remote: new(!group.atDoor)}
		if id, timed := schedules[group.schedule]; timed {
			key.ScheduleID = &id
		}
		if err := d.addGroup(ctx, s, group.name, group.people, group.doors, key); err != nil {
			return fmt.Errorf("%s: %w", group.name, err)
		}
	}
	return d.addPlaces(ctx, s, schedules["Office hours"])
}

// addGroup makes a group of people, one of the doors if there are any, and its key or keys.
func (d *demoSeed) addGroup(
	ctx context.Context, s *access.Service, name string, people, doors []string, key access.GrantKeyInput,
) error {
	group, err := s.CreateUserGroup(ctx, access.CreateUserGroupInput{Name: name})
	if err != nil {
		return err
	}
	key.UserGroupID = group.UserGroup.ID
	members := access.AddUserGroupMembersInput{UserGroupID: key.UserGroupID}
	for i, person := range demoPeople {
		if slices.Contains(people, person) {
			members.UserIDs = append(members.UserIDs, d.People[i])
		}
	}
	if _, err := s.AddUserGroupMembers(ctx, members); err != nil {
		return err
	}
	if doors == nil {
		for _, site := range d.Sites {
			key.SiteID = &site
			if _, err := s.GrantKey(ctx, key); err != nil {
				return err
			}
		}
		return nil
	}
	around, err := s.CreateDoorGroup(ctx, access.CreateDoorGroupInput{Name: name})
	if err != nil {
		return err
	}
	key.DoorGroupIDs = []typeid.DoorGroup{around.DoorGroup.ID}
	add := access.AddDoorGroupDoorsInput{DoorGroupID: around.DoorGroup.ID}
	for _, door := range doors {
		add.DoorIDs = append(add.DoorIDs, d.door(door).ID)
	}
	if _, err := s.AddDoorGroupDoors(ctx, add); err != nil {
		return err
	}
	_, err = s.GrantKey(ctx, key)
	return err
}

// addPlaces lets the reception stand open from the first person in, counts who is in the cold room, and
// plans a lockdown.
func (d *demoSeed) addPlaces(
	ctx context.Context, s *access.Service, hours typeid.Schedule,
) error {
	_, err := s.UpdateDoor(ctx, access.UpdateDoorInput{
		ID: d.door("Reception").ID, UnlockScheduleID: &hours, FirstPersonIn: new(true),
	})
	if err != nil {
		return err
	}
	cold := d.door("Cold room")
	area, err := s.CreateArea(ctx, access.CreateAreaInput{
		SiteID: cold.SiteID, Name: "Cold room", OccupancyLimit: new(2),
	})
	if err != nil {
		return err
	}
	_, err = s.SetDoorAreas(ctx, access.SetDoorAreasInput{DoorID: cold.ID, IntoAreaID: &area.Area.ID})
	if err != nil {
		return err
	}
	plan, err := s.CreateLockdownPlan(ctx, access.CreateLockdownPlanInput{
		Name: "Close Harbour House", SiteIDs: d.Sites[:1], RevertSeconds: new(15 * 60),
	})
	if err != nil {
		return err
	}
	d.Plan = plan.LockdownPlan.ID
	return nil
}

// door finds one of the demo's doors by its name.
func (d *demoSeed) door(name string) *ent.Door {
	return d.Doors[slices.IndexFunc(d.Doors, func(door *ent.Door) bool { return door.Name == name })]
}
