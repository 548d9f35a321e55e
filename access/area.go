package access

import (
	"context"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxOccupancy is the largest limit of an area.
const maxOccupancy = 1_000_000

// CreateAreaInput describes a new area.
type CreateAreaInput struct {
	SiteID         typeid.Site
	Name           string
	OccupancyLimit *int               // nil: none
	LimitMode      *area.LimitMode    // nil: ALERT with a limit, else OFF
	AntiPassback   *area.AntiPassback // nil: OFF
}

// CreateAreaPayload holds the new area.
type CreateAreaPayload struct{ Area *ent.Area }

// CreateArea makes an area. Names are unique in the site. It is empty until somebody passes a door
// that leads into it.
func (s *Service) CreateArea(ctx context.Context, in CreateAreaInput) (*CreateAreaPayload, error) {
	at, err := sitesAt(ctx, WriteAreas)
	if err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.within("occupancyLimit", in.OccupancyLimit, 1, maxOccupancy)
	if err := f.err(); err != nil {
		return nil, err
	}
	if alert := area.LimitModeALERT; in.LimitMode == nil && in.OccupancyLimit != nil {
		in.LimitMode = &alert
	}
	var a *ent.Area
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if _, err := tx.Site.Query().Where(site.ID(in.SiteID), at).ForShare().Only(ctx); err != nil {
			return nil, found(err, "site", "siteId")
		}
		a, err = tx.Area.Create().SetSiteID(in.SiteID).SetName(in.Name).
			SetNillableOccupancyLimit(in.OccupancyLimit).SetNillableLimitMode(in.LimitMode).
			SetNillableAntiPassback(in.AntiPassback).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{
			Type: "area.created", Site: a.SiteID, Data: data("areaId", a.ID),
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateAreaPayload{a}, nil
}

// UpdateAreaInput changes what it holds and leaves the rest.
type UpdateAreaInput struct {
	ID                  typeid.Area
	Name                *string
	OccupancyLimit      *int
	ClearOccupancyLimit *bool // true: no limit any more
	LimitMode           *area.LimitMode
	AntiPassback        *area.AntiPassback
}

// UpdateAreaPayload holds the area as it is now.
type UpdateAreaPayload struct{ Area *ent.Area }

// UpdateArea changes an area. A limit below who is in makes nobody leave: it holds for the next.
func (s *Service) UpdateArea(ctx context.Context, in UpdateAreaInput) (*UpdateAreaPayload, error) {
	at, err := areasAt(ctx, WriteAreas)
	if err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("name", in.Name, 200)
	f.within("occupancyLimit", in.OccupancyLimit, 1, maxOccupancy)
	f.notBoth("clearOccupancyLimit", in.OccupancyLimit != nil, orZero(in.ClearOccupancyLimit))
	if err := f.err(); err != nil {
		return nil, err
	}
	var a *ent.Area
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		before, err := tx.Area.Query().Where(area.ID(in.ID), at, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "area", "id")
		}
		update := tx.Area.UpdateOne(before).SetNillableName(in.Name).
			SetNillableOccupancyLimit(in.OccupancyLimit).SetNillableLimitMode(in.LimitMode).
			SetNillableAntiPassback(in.AntiPassback)
		if orZero(in.ClearOccupancyLimit) {
			update.ClearOccupancyLimit()
		}
		change := changes(update.Mutation())
		if a, err = update.Save(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "area.updated", Site: a.SiteID,
			Data: dataOf(map[string]any{"areaId": a.ID, "changed": change})}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateAreaPayload{a}, nil
}

// DeleteAreaInput names an area.
type DeleteAreaInput struct{ ID typeid.Area }

// DeleteAreaPayload names the area that was.
type DeleteAreaPayload struct{ DeletedID typeid.Area }

// DeleteArea deletes an area, with who is in it. Its doors lead nowhere then.
func (s *Service) DeleteArea(ctx context.Context, in DeleteAreaInput) (*DeleteAreaPayload, error) {
	at, err := areasAt(ctx, WriteAreas)
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		_, err := tx.Door.Query().Where(
			door.Or(door.IntoAreaID(in.ID), door.OutOfAreaID(in.ID)), forChange,
		).Order(door.ByID()).All(ctx)
		if err != nil {
			return nil, found(err, "door", "")
		}
		a, err := tx.Area.Query().Where(area.ID(in.ID), at).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "area", "id")
		}
		if err := tx.Area.DeleteOne(a).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{{
			Type: "area.deleted", Site: a.SiteID, Data: data("areaId", a.ID),
		}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteAreaPayload{in.ID}, nil
}

// SetDoorAreasInput says where a door leads. Who passes it leaves the one area and enters the other.
type SetDoorAreasInput struct {
	DoorID      typeid.Door
	IntoAreaID  *typeid.Area // nil: into none
	OutOfAreaID *typeid.Area // nil: out of none
}

// SetDoorAreasPayload holds the door as it is now.
type SetDoorAreasPayload struct{ Door *ent.Door }

// SetDoorAreas says from which area of its site a door leads into which. It moves nobody.
func (s *Service) SetDoorAreas(
	ctx context.Context, in SetDoorAreasInput,
) (*SetDoorAreasPayload, error) {
	at, err := doorsAt(ctx, WriteAreas)
	if err != nil {
		return nil, err
	}
	if in.IntoAreaID != nil && in.OutOfAreaID != nil && *in.IntoAreaID == *in.OutOfAreaID {
		return nil, Error{CodeBadUserInput, "a door cannot lead into the area that it leads out of",
			"outOfAreaId"}
	}
	var d *ent.Door
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		d, err = tx.Door.Query().Where(door.ID(in.DoorID), at, forChange).Only(ctx)
		if err != nil {
			return nil, found(err, "door", "doorId")
		}
		if err := ofSite(ctx, tx, d.SiteID, "intoAreaId", in.IntoAreaID); err != nil {
			return nil, err
		}
		if err := ofSite(ctx, tx, d.SiteID, "outOfAreaId", in.OutOfAreaID); err != nil {
			return nil, err
		}
		d, err = leadTo(tx.Door.UpdateOne(d), in).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "door.updated", Site: d.SiteID, Door: d.ID,
			Data: data("changed", []string{door.FieldIntoAreaID, door.FieldOutOfAreaID})}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &SetDoorAreasPayload{d}, nil
}

func leadTo(update *ent.DoorUpdateOne, in SetDoorAreasInput) *ent.DoorUpdateOne {
	if in.IntoAreaID == nil {
		update.ClearIntoAreaID()
	}
	if in.OutOfAreaID == nil {
		update.ClearOutOfAreaID()
	}
	return update.SetNillableIntoAreaID(in.IntoAreaID).SetNillableOutOfAreaID(in.OutOfAreaID)
}

// ofSite fails unless the area, if one is named, is of the site.
func ofSite(
	ctx context.Context, tx *ent.Tx, at typeid.Site, field string, id *typeid.Area,
) error {
	if id == nil {
		return nil
	}
	a, err := tx.Area.Query().Where(area.ID(*id)).ForShare().Only(ctx)
	if err != nil {
		return found(err, "area", field)
	}
	if a.SiteID != at {
		return Error{CodeBadUserInput, "the area is at another site", field}
	}
	return nil
}
