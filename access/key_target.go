package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/keytarget"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// A key for more is for a group or a site. All that it lists fits into one event.
const (
	maxKeyDoors      = 200
	maxKeyDoorGroups = 50
)

// targets is what a key opens: doors, groups of doors, and a site with every door that it has and
// will have.
type targets struct {
	doors  []typeid.Door
	groups []typeid.DoorGroup
	site   *typeid.Site
}

// unique returns identifiers in their order, each once.
func unique[K interface {
	comparable
	UUID() [16]byte
}](given []K) []K {
	ids := slices.Clone(given)
	slices.SortFunc(ids, func(a, b K) int {
		x, y := a.UUID(), b.UUID()
		return slices.Compare(x[:], y[:])
	})
	return slices.Compact(ids)
}

func (t targets) check(f *faults) {
	if len(t.doors) == 0 && len(t.groups) == 0 && t.site == nil {
		f.add("doorIds", "give doors, groups of doors or a site")
	}
	if len(t.doors) > maxKeyDoors {
		f.add("doorIds", "at most %d doors", maxKeyDoors)
	}
	if len(t.groups) > maxKeyDoorGroups {
		f.add("doorGroupIds", "at most %d groups", maxKeyDoorGroups)
	}
}

// exist fails with NOT_FOUND unless all of it is in the organization, and at the actor's sites if the
// action reaches no further: of a group, every door. What is deleted before the commit violates a
// foreign key, which says the same.
func (t targets) exist(ctx context.Context, tx *ent.Tx, action Action) error {
	siteThere, err := sitesAt(ctx, action)
	if err != nil {
		return err
	}
	groupThere, err := narrowTo(ctx, action, nil, groupWithin)
	if err != nil {
		return err
	}
	doorThere, err := doorsAt(ctx, action)
	if err != nil {
		return err
	}
	if t.site != nil {
		if _, err := tx.Site.Query().Where(site.ID(*t.site), siteThere).Only(ctx); err != nil {
			return found(err, "site", "siteId")
		}
	}
	if len(t.groups) > 0 {
		groups, err := tx.DoorGroup.Query().Where(whose(doorgroup.FieldID, t.groups), groupThere).Count(ctx)
		if err != nil {
			return fmt.Errorf("count groups: %w", err)
		}
		if groups != len(t.groups) {
			return notFound("group", "doorGroupIds")
		}
	}
	if len(t.doors) > 0 {
		doors, err := tx.Door.Query().Where(whose(door.FieldID, t.doors), doorThere).Count(ctx)
		if err != nil {
			return fmt.Errorf("count doors: %w", err)
		}
		if doors != len(t.doors) {
			return notFound("door", "doorIds")
		}
	}
	return nil
}

// save records what the key opens.
func (t targets) save(ctx context.Context, tx *ent.Tx, k *ent.Key) error {
	return tx.KeyTarget.CreateBulk(t.rows(tx, k)...).Exec(ctx)
}

// rows are the records of what the key opens.
func (t targets) rows(tx *ent.Tx, k *ent.Key) []*ent.KeyTargetCreate {
	rows := make([]*ent.KeyTargetCreate, 0, len(t.doors)+len(t.groups)+1)
	add := func() *ent.KeyTargetCreate {
		row := tx.KeyTarget.Create().SetKeyID(k.ID).SetNillableUserID(k.UserID).
			SetNillableUserGroupID(k.UserGroupID)
		rows = append(rows, row)
		return row
	}
	for _, id := range t.doors {
		add().SetDoorID(id)
	}
	for _, id := range t.groups {
		add().SetDoorGroupID(id)
	}
	if t.site != nil {
		add().SetSiteID(*t.site)
	}
	return rows
}

// told is an event that lists what the key opens.
func (t targets) told(kind string, k *ent.Key) journal.Event {
	e := journal.Event{Type: kind, Key: k.ID, User: orZero(k.UserID), Site: orZero(t.site)}
	if len(t.doors) == 1 {
		e.Door = t.doors[0]
	}
	lists := map[string]any{}
	if len(t.doors) > 0 {
		lists["doorIds"] = t.doors
	}
	if len(t.groups) > 0 {
		lists["doorGroupIds"] = t.groups
	}
	if k.UserGroupID != nil {
		lists["groupId"] = *k.UserGroupID
	}
	e.Data = dataOf(lists)
	return e
}

// targetsOf is what a key opens.
func targetsOf(ctx context.Context, tx *ent.Tx, id typeid.Key) (t targets, err error) {
	rows, err := tx.KeyTarget.Query().Where(keytarget.KeyID(id)).Order(keytarget.ByID()).All(ctx)
	if err != nil {
		return t, fmt.Errorf("load what a key opens: %w", err)
	}
	for _, row := range rows {
		switch {
		case row.DoorID != nil:
			t.doors = append(t.doors, *row.DoorID)
		case row.DoorGroupID != nil:
			t.groups = append(t.groups, *row.DoorGroupID)
		default:
			t.site = row.SiteID
		}
	}
	return t, nil
}
