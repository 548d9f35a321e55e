package access

import (
	"context"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/doorgroup"
	"github.com/cardea/cardea/ent/doorgroupdoor"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateDoorGroupInput describes a new group of doors.
type CreateDoorGroupInput struct {
	Name     string
	ParentID *typeid.DoorGroup // nil: part of none
}

// CreateDoorGroupPayload holds the new group.
type CreateDoorGroupPayload struct{ DoorGroup *ent.DoorGroup }

// CreateDoorGroup makes a group of doors. Names are unique in the organization.
func (s *Service) CreateDoorGroup(
	ctx context.Context, in CreateDoorGroupInput,
) (*CreateDoorGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.DoorGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if in.ParentID != nil {
			if _, err := holdDoorParent(ctx, tx, *in.ParentID); err != nil {
				return nil, err
			}
		}
		g, err = tx.DoorGroup.Create().SetName(in.Name).SetNillableParentID(in.ParentID).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "door_group.created", Data: data("groupId", g.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateDoorGroupPayload{g}, nil
}

// UpdateDoorGroupInput changes what it holds and leaves the rest.
type UpdateDoorGroupInput struct {
	ID                typeid.DoorGroup
	Name              *string
	ParentID          *typeid.DoorGroup
	ClearParent       *bool
	ConfirmationToken *string `json:"-"`
}

// UpdateDoorGroupPayload holds the group as it is now.
type UpdateDoorGroupPayload struct{ DoorGroup *ent.DoorGroup }

// UpdateDoorGroup changes a group of doors. Groups nest one level deep.
func (s *Service) UpdateDoorGroup(
	ctx context.Context, in UpdateDoorGroupInput,
) (*UpdateDoorGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	var g *ent.DoorGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if err := in.nest(ctx, tx); err != nil {
			return nil, err
		}
		update := tx.DoorGroup.UpdateOneID(in.ID).SetNillableName(in.Name).
			SetNillableParentID(in.ParentID)
		if orZero(in.ClearParent) {
			update.ClearParentID()
		}
		change := changes(update.Mutation())
		if g, err = update.Save(ctx); err != nil {
			return nil, found(err, "group", "id")
		}
		return []journal.Event{{Type: "door_group.updated",
			Data: dataOf(map[string]any{"groupId": g.ID, "changed": change})}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateDoorGroupPayload{g}, nil
}

// nest fails unless the group may become part of the parent. Both are locked, the one that comes
// first by identifier first, so what is true of them stays true: two changes at once cannot build
// two levels. The doors that are taken from the old parent's keys are locked too.
func (in UpdateDoorGroupInput) nest(ctx context.Context, tx *ent.Tx) error {
	if in.ParentID == nil && !orZero(in.ClearParent) {
		return nil
	}
	ids := []typeid.DoorGroup{in.ID}
	if in.ParentID != nil {
		ids = append(ids, *in.ParentID)
	}
	held, err := tx.DoorGroup.Query().Where(doorgroup.IDIn(ids...), forChange).
		Order(doorgroup.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock groups: %w", err)
	}
	at := func(id typeid.DoorGroup) int {
		return slices.IndexFunc(held, func(g *ent.DoorGroup) bool { return g.ID == id })
	}
	own := at(in.ID)
	switch {
	case own < 0:
		return notFound("group", "id")
	case in.ParentID == nil:
	case at(*in.ParentID) < 0:
		return notFound("group", "parentId")
	case held[at(*in.ParentID)].ParentID != nil:
		return errParentIsPart
	default:
		parts, err := tx.DoorGroup.Query().Where(doorgroup.ParentID(in.ID)).Count(ctx)
		if err != nil {
			return fmt.Errorf("look for parts: %w", err)
		}
		if parts > 0 {
			return errHasParts
		}
	}
	if held[own].ParentID == nil {
		return nil
	}
	return holdDoorsOf(ctx, tx, in.ID)
}

// holdDoorParent locks a group that another is about to become part of.
func holdDoorParent(
	ctx context.Context, tx *ent.Tx, id typeid.DoorGroup,
) (*ent.DoorGroup, error) {
	g, err := holdDoorGroup(ctx, tx, id, "parentId")
	if err == nil && g.ParentID != nil {
		err = errParentIsPart
	}
	return g, err
}

// holdDoorGroup locks a group: nobody else changes what is in it or what it is part of.
func holdDoorGroup(
	ctx context.Context, tx *ent.Tx, id typeid.DoorGroup, field string,
) (*ent.DoorGroup, error) {
	g, err := tx.DoorGroup.Query().Where(doorgroup.ID(id), forChange).Only(ctx)
	return g, found(err, "group", field)
}

// holdDoorsOf locks the doors in a group, as holdDoors does.
func holdDoorsOf(ctx context.Context, tx *ent.Tx, id typeid.DoorGroup) error {
	_, err := tx.Door.Query().Where(forChange, func(q *sql.Selector) {
		m := sql.Table(doorgroupdoor.Table)
		q.Where(sql.In(q.C(door.FieldID), sql.Select(m.C(doorgroupdoor.FieldDoorID)).From(m).
			Where(sql.EQ(m.C(doorgroupdoor.FieldDoorGroupID), id))))
	}).Order(door.ByID()).All(ctx)
	if err != nil {
		return fmt.Errorf("lock doors of group: %w", err)
	}
	return nil
}

// holdDoors locks doors for which keys are about to change, and returns them in the order of their
// identifiers. As with holdUsers, an unlock of one is decided before the change or after it.
func holdDoors(ctx context.Context, tx *ent.Tx, ids []typeid.Door) ([]*ent.Door, error) {
	doors, err := tx.Door.Query().Where(forChange, whose(door.FieldID, ids)).Order(door.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock doors: %w", err)
	}
	if len(doors) != len(ids) {
		return nil, notFound("door", "doorIds")
	}
	return doors, nil
}

// DeleteDoorGroupInput names a group of doors.
type DeleteDoorGroupInput struct {
	ID                typeid.DoorGroup
	ConfirmationToken *string `json:"-"`
}

// DeleteDoorGroupPayload names the group that was.
type DeleteDoorGroupPayload struct{ DeletedID typeid.DoorGroup }

// DeleteDoorGroup deletes a group of doors that has no parts. Keys that name it stay: one that names
// nothing else opens nothing from then on.
func (s *Service) DeleteDoorGroup(
	ctx context.Context, in DeleteDoorGroupInput,
) (*DeleteDoorGroupPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		g, err := tx.DoorGroup.Query().Where(doorgroup.ID(in.ID)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "group", "id")
		}
		if err := holdDoorsOf(ctx, tx, g.ID); err != nil {
			return nil, err
		}
		if err := tx.DoorGroup.DeleteOne(g).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "door_group.deleted", Data: data("groupId", g.ID)}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteDoorGroupPayload{in.ID}, nil
}

// AddDoorGroupDoorsInput names doors and when they are in a group.
type AddDoorGroupDoorsInput struct {
	DoorGroupID typeid.DoorGroup
	DoorIDs     []typeid.Door
	ValidFrom   *time.Time // nil: at once
	ValidUntil  *time.Time // nil: for good
}

// AddDoorGroupDoorsPayload holds the group.
type AddDoorGroupDoorsPayload struct{ DoorGroup *ent.DoorGroup }

// AddDoorGroupDoors adds doors, of any site, to a group. The window takes the place of the one of those
// that are in it; what has the same already is not told of.
func (s *Service) AddDoorGroupDoors(
	ctx context.Context, in AddDoorGroupDoorsInput,
) (*AddDoorGroupDoorsPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	ids, f := distinct("doorIds", in.DoorIDs)
	f.window(in.ValidFrom, in.ValidUntil)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.DoorGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if g, err = holdDoorGroup(ctx, tx, in.DoorGroupID, "doorGroupId"); err != nil {
			return nil, err
		}
		doors, err := holdDoors(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		joining, err := in.replace(ctx, tx, doors)
		if err != nil || len(joining) == 0 {
			return nil, err
		}
		return groupDoorEvents("door_group.door_added", g.ID, joining), nil
	})
	if err != nil {
		return nil, err
	}
	return &AddDoorGroupDoorsPayload{g}, nil
}

// replace records the window of those doors that do not have it, and returns them.
func (in AddDoorGroupDoorsInput) replace(
	ctx context.Context, tx *ent.Tx, doors []*ent.Door,
) ([]*ent.Door, error) {
	now, err := tx.DoorGroupDoor.Query().Where(ofDoorGroup(in.DoorGroupID, in.DoorIDs)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load doors of group: %w", err)
	}
	same := map[typeid.Door]bool{}
	for _, m := range now {
		same[m.DoorID] = sameInstant(m.ValidFrom, in.ValidFrom) &&
			sameInstant(m.ValidUntil, in.ValidUntil)
	}
	var ids []typeid.Door
	var rows []*ent.DoorGroupDoorCreate
	joining := slices.DeleteFunc(doors, func(d *ent.Door) bool { return same[d.ID] })
	for _, d := range joining {
		ids = append(ids, d.ID)
		rows = append(rows, tx.DoorGroupDoor.Create().SetDoorGroupID(in.DoorGroupID).SetDoorID(d.ID).
			SetNillableValidFrom(in.ValidFrom).SetNillableValidUntil(in.ValidUntil))
	}
	if len(joining) == 0 {
		return nil, nil
	}
	_, err = tx.DoorGroupDoor.Delete().Where(ofDoorGroup(in.DoorGroupID, ids)).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("replace doors of group: %w", err)
	}
	return joining, tx.DoorGroupDoor.CreateBulk(rows...).Exec(ctx)
}

// RemoveDoorGroupDoorsInput names doors that leave a group.
type RemoveDoorGroupDoorsInput struct {
	DoorGroupID typeid.DoorGroup
	DoorIDs     []typeid.Door

	ConfirmationToken *string `json:"-"`
}

// RemoveDoorGroupDoorsPayload holds the group.
type RemoveDoorGroupDoorsPayload struct{ DoorGroup *ent.DoorGroup }

// RemoveDoorGroupDoors removes doors from a group. To remove what is not in it is no error.
func (s *Service) RemoveDoorGroupDoors(
	ctx context.Context, in RemoveDoorGroupDoorsInput,
) (*RemoveDoorGroupDoorsPayload, error) {
	if err := Authorize(ctx, WriteGroups); err != nil {
		return nil, err
	}
	ids, f := distinct("doorIds", in.DoorIDs)
	if err := f.err(); err != nil {
		return nil, err
	}
	var g *ent.DoorGroup
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		if g, err = holdDoorGroup(ctx, tx, in.DoorGroupID, "doorGroupId"); err != nil {
			return nil, err
		}
		doors, err := holdDoors(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		there, err := tx.DoorGroupDoor.Query().Where(ofDoorGroup(g.ID, ids)).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("load doors of group: %w", err)
		}
		if _, err := tx.DoorGroupDoor.Delete().Where(ofDoorGroup(g.ID, ids)).Exec(ctx); err != nil {
			return nil, fmt.Errorf("remove doors of group: %w", err)
		}
		leaving := slices.DeleteFunc(doors, func(d *ent.Door) bool {
			return !slices.ContainsFunc(there, func(m *ent.DoorGroupDoor) bool { return m.DoorID == d.ID })
		})
		return groupDoorEvents("door_group.door_removed", g.ID, leaving), nil
	})
	if err != nil {
		return nil, err
	}
	return &RemoveDoorGroupDoorsPayload{g}, nil
}

// ofDoorGroup is true of the places of some doors in a group.
func ofDoorGroup(id typeid.DoorGroup, doors []typeid.Door) func(*sql.Selector) {
	return func(q *sql.Selector) {
		q.Where(sql.EQ(q.C(doorgroupdoor.FieldDoorGroupID), id)).
			Where(anyOf(q.C(doorgroupdoor.FieldDoorID), doors))
	}
}

// groupDoorEvents tell of each door by itself.
func groupDoorEvents(kind string, id typeid.DoorGroup, doors []*ent.Door) []journal.Event {
	events := make([]journal.Event, len(doors))
	for i, d := range doors {
		events[i] = journal.Event{Type: kind, Site: d.SiteID, Door: d.ID, Data: data("groupId", id)}
	}
	return events
}
