package access

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/device"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/event"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/ent/lockdown"
	"github.com/cardea/cardea/ent/lockdowndoor"
	"github.com/cardea/cardea/ent/predicate"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/ent/visit"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// narrow returns the predicate for an action that knows no sites: none for all, mine for the actor's
// own.
func narrow[P ~func(*sql.Selector)](
	ctx context.Context, action Action, mine func(typeid.User) P,
) (P, error) {
	return narrowTo[P](ctx, action, mine, nil)
}

// narrowTo returns the predicate for an action: none for all, mine for the actor's own, and at for
// what is at sites. What is at the sites that somebody manages comes in addition to what is theirs;
// what a token is confined to is all that is left of it. Mine is nil where nothing is anybody's own.
func narrowTo[P ~func(*sql.Selector)](
	ctx context.Context, action Action, mine func(typeid.User) P, at func([]typeid.Site) P,
) (P, error) {
	reached, err := reach(ctx, action)
	if err != nil {
		return nil, err
	}
	by, _ := actor.FromContext(ctx)
	switch {
	case reached == all:
		return func(*sql.Selector) {}, nil
	case reached == own && by.Confined && at != nil:
		return sql.AndPredicates(mine(by.User), at(by.Sites)), nil
	case reached == own:
		return mine(by.User), nil
	case by.Confined || mine == nil:
		return at(by.Sites), nil
	}
	return sql.OrPredicates(mine(by.User), at(by.Sites)), nil
}

// The functions below return what is at sites.

func siteAt(ids []typeid.Site) predicate.Site {
	return whose(site.FieldID, ids)
}

func doorAt(ids []typeid.Site) predicate.Door {
	return whose(door.FieldSiteID, ids)
}

func deviceAt(ids []typeid.Site) predicate.Device {
	return whose(device.FieldSiteID, ids)
}

func areaAt(ids []typeid.Site) predicate.Area {
	return whose(area.FieldSiteID, ids)
}

func visitAt(ids []typeid.Site) predicate.Visit {
	return whose(visit.FieldSiteID, ids)
}

const doorsAtSites = "SELECT id FROM doors WHERE site_id = ANY (?)"

func presenceAt(ids []typeid.Site) predicate.Presence {
	return func(q *sql.Selector) {
		q.Where(among(q.C(presence.FieldAreaID), "SELECT id FROM areas WHERE site_id = ANY (?)",
			pq.Array(ids)))
	}
}

func commandAt(ids []typeid.Site) predicate.Command {
	return func(q *sql.Selector) {
		q.Where(among(q.C(command.FieldDoorID), doorsAtSites, pq.Array(ids)))
	}
}

func lockdownAt(ids []typeid.Site) predicate.Lockdown {
	return func(q *sql.Selector) {
		q.Where(condition("jsonb_exists_any("+q.C(lockdown.FieldSiteIds)+", ?)", pq.Array(names(ids))))
	}
}

// names are identifiers as JSON has them.
func names(ids []typeid.Site) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}

// lockdownEvents are of all the sites that their data names: siteIds.
var lockdownEvents = []string{"lockdown.requested", "lockdown.activated", "lockdown.release_requested",
	"lockdown.released", "lockdown.lapsed"}

// eventAt is true of what happened there. The events of lockdowns, which are few, are looked up first:
// nothing that reads their data is a condition that an index serves.
func eventAt(org typeid.Organization) func([]typeid.Site) predicate.Event {
	return func(ids []typeid.Site) predicate.Event {
		return func(q *sql.Selector) {
			q.Where(sql.Or(anyOf(q.C(event.FieldSiteID), ids),
				condition(q.C(event.FieldSeq)+` = ANY ((SELECT array_agg(e.seq) FROM events e
					WHERE e.org_id = ? AND e.type = ANY (?)
					  AND jsonb_exists_any(e.data->'siteIds', ?))::bigint[])`,
					org, pq.Array(lockdownEvents), pq.Array(names(ids)))))
		}
	}
}

// SitesOf are the sites that an event is about: the one it happened at, or those that a lockdown touches.
// See eventAt.
func SitesOf(e *journal.Event) []typeid.Site {
	if slices.Contains(lockdownEvents, e.Type) {
		var said struct {
			SiteIDs []typeid.Site `json:"siteIds"`
		}
		if json.Unmarshal(e.Data, &said) == nil && len(said.SiteIDs) > 0 {
			return said.SiteIDs
		}
	}
	if e.Site.IsZero() {
		return nil
	}
	return []typeid.Site{e.Site}
}

func lockdownDoorAt(ids []typeid.Site) predicate.LockdownDoor {
	return func(q *sql.Selector) {
		q.Where(among(q.C(lockdowndoor.FieldDoorID), doorsAtSites, pq.Array(ids)))
	}
}

// keyAt is true of keys that open anything there.
func keyAt(ids []typeid.Site) predicate.Key {
	at := pq.Array(ids)
	return func(q *sql.Selector) {
		q.Where(among(q.C(key.FieldID), `SELECT t.key_id FROM key_targets t
			JOIN (SELECT s.org_id, s.id FROM sites s WHERE s.id = ANY (?)
				UNION ALL SELECT d.org_id, d.id FROM doors d WHERE d.site_id = ANY (?)
				UNION ALL SELECT m.org_id, unnest(ARRAY[g.id, g.parent_id]) FROM doors d
				JOIN door_group_doors m ON m.org_id = d.org_id AND m.door_id = d.id
				JOIN door_groups g ON g.org_id = m.org_id AND g.id = m.door_group_id
				WHERE d.site_id = ANY (?)) AS place (org_id, id)
			  ON t.org_id = place.org_id
			 AND t.target = place.id`, at, at, at))
	}
}

// keyWithin is true of keys that open nothing elsewhere.
func keyWithin(ids []typeid.Site) predicate.Key {
	at := pq.Array(ids)
	return func(q *sql.Selector) {
		id := q.C(key.FieldID)
		q.Where(condition(`NOT EXISTS (SELECT FROM key_targets t WHERE t.key_id = `+id+` AND (
			t.site_id <> ALL (?)
			OR EXISTS (SELECT FROM doors d WHERE d.id = t.door_id AND d.site_id <> ALL (?))
			OR t.door_group_id IS NOT NULL AND NOT (`+groupWithinSites("t.door_group_id")+`)))`,
			at, at, at, at))
	}
}

// groupWithin is true of groups that have doors there and none elsewhere, parts included.
func groupWithin(ids []typeid.Site) predicate.DoorGroup {
	at := pq.Array(ids)
	return func(q *sql.Selector) {
		q.Where(condition(groupWithinSites(q.C(doorgroup.FieldID)), at, at))
	}
}

// groupWithinSites is groupWithin as SQL. Its arguments are the sites, twice.
func groupWithinSites(id string) string {
	doors := `EXISTS (SELECT FROM door_groups g
		JOIN door_group_doors m ON m.org_id = g.org_id AND m.door_group_id = g.id
		JOIN doors d ON d.org_id = m.org_id AND d.id = m.door_id
		WHERE (g.id = ` + id + ` OR g.parent_id = ` + id + `) AND d.site_id `
	return doors + `= ANY (?)) AND NOT ` + doors + `<> ALL (?))`
}

// plansAt returns the plans that close anything at sites. Organizations have few, and plans list what
// they close as text.
func (s *Service) plansAt(
	ctx context.Context, ids []typeid.Site,
) ([]typeid.LockdownPlan, error) {
	plans, err := s.reserve.LockdownPlan.Query().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load lockdown plans: %w", err)
	}
	var listed []typeid.Door
	for _, p := range plans {
		listed = append(listed, p.DoorIds...)
	}
	there, err := s.reserve.Door.Query().Where(doorAt(ids), whose(door.FieldID, listed)).
		Select(door.FieldID).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load doors: %w", err)
	}
	var found []typeid.LockdownPlan
	for _, p := range plans {
		if common(p.SiteIds, ids) > 0 || common(p.DoorIds, doorIDs(there)) > 0 {
			found = append(found, p.ID)
		}
	}
	return found, nil
}

// planWithin says whether a plan closes nothing but what is at sites.
func planWithin(
	ctx context.Context, tx *ent.Tx, p *ent.LockdownPlan, ids []typeid.Site,
) (bool, error) {
	if common(p.SiteIds, ids) < len(p.SiteIds) {
		return false, nil
	}
	elsewhere, err := tx.Door.Query().Where(door.Not(doorAt(ids)), whose(door.FieldID, p.DoorIds)).
		Count(ctx)
	if err != nil {
		return false, fmt.Errorf("look for doors elsewhere: %w", err)
	}
	return elsewhere == 0, nil
}

// common is how many of some identifiers are among others.
func common[K comparable](ids, others []K) (count int) {
	listed := make(map[K]bool, len(others))
	for _, id := range others {
		listed[id] = true
	}
	for _, id := range ids {
		if listed[id] {
			count++
		}
	}
	return count
}

// doorsAt are the doors that an action reaches which nobody's key gives.
func doorsAt(ctx context.Context, action Action) (predicate.Door, error) {
	return narrowTo(ctx, action, nil, doorAt)
}

// devicesAt, areasAt and sitesAt are likewise.
func devicesAt(ctx context.Context, action Action) (predicate.Device, error) {
	return narrowTo(ctx, action, nil, deviceAt)
}

func areasAt(ctx context.Context, action Action) (predicate.Area, error) {
	return narrowTo(ctx, action, nil, areaAt)
}

func sitesAt(ctx context.Context, action Action) (predicate.Site, error) {
	return narrowTo(ctx, action, nil, siteAt)
}

// commanded are the doors that the actor may give orders to, whether they open or not.
func commanded(ctx context.Context) (predicate.Door, error) {
	return narrowTo(ctx, CommandDoors,
		func(typeid.User) predicate.Door { return func(*sql.Selector) {} }, doorAt)
}
