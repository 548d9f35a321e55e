package access

import (
	"context"
	"time"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/holidaycalendar"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateSiteInput describes a new site.
type CreateSiteInput struct {
	Name     string
	TimeZone string // IANA name, such as Europe/Rome
}

// CreateSitePayload holds the new site.
type CreateSitePayload struct{ Site *ent.Site }

// CreateSite makes a site. Names are unique in the organization.
func (s *Service) CreateSite(ctx context.Context, in CreateSiteInput) (*CreateSitePayload, error) {
	if err := Authorize(ctx, WriteSites); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.timeZone("timeZone", &in.TimeZone)
	if err := f.err(); err != nil {
		return nil, err
	}
	var site *ent.Site
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		site, err = tx.Site.Create().SetName(in.Name).SetTimeZone(in.TimeZone).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "site.created", Site: site.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateSitePayload{site}, nil
}

// UpdateSiteInput changes what it holds and leaves the rest.
type UpdateSiteInput struct {
	ID                   typeid.Site
	Name                 *string
	TimeZone             *string
	HolidayCalendarID    *typeid.HolidayCalendar
	ClearHolidayCalendar bool
}

// UpdateSitePayload holds the site as it is now.
type UpdateSitePayload struct{ Site *ent.Site }

// UpdateSite changes a site. In another time zone or with other holidays, whatever is decided from the
// commit on is decided by them; doors turn within a second (see TurnModes).
func (s *Service) UpdateSite(ctx context.Context, in UpdateSiteInput) (*UpdateSitePayload, error) {
	if err := Authorize(ctx, WriteSites); err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("name", in.Name, 200)
	f.timeZone("timeZone", in.TimeZone)
	f.notBoth("holidayCalendarId", in.HolidayCalendarID != nil, in.ClearHolidayCalendar)
	if err := f.err(); err != nil {
		return nil, err
	}
	var site *ent.Site
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if in.HolidayCalendarID != nil {
			_, err := tx.HolidayCalendar.Query().Where(holidaycalendar.ID(*in.HolidayCalendarID)).
				ForShare().Only(ctx)
			if err != nil {
				return nil, found(err, "holiday calendar", "holidayCalendarId")
			}
		}
		update := tx.Site.UpdateOneID(in.ID).SetNillableName(in.Name).
			SetNillableTimeZone(in.TimeZone).SetNillableHolidayCalendarID(in.HolidayCalendarID)
		if in.ClearHolidayCalendar {
			update.ClearHolidayCalendarID()
		}
		change := changed(update.Mutation())
		if site, err = update.Save(ctx); err != nil {
			return nil, found(err, "site", "id")
		}
		if in.TimeZone != nil || in.HolidayCalendarID != nil || in.ClearHolidayCalendar {
			if err := s.lookAgain(ctx, tx, "site_id = $3", in.ID); err != nil {
				return nil, err
			}
		}
		return []journal.Event{{Type: "site.updated", Site: site.ID, Data: change}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &UpdateSitePayload{site}, nil
}

// DeleteSiteInput names a site.
type DeleteSiteInput struct{ ID typeid.Site }

// DeleteSitePayload names the site that was.
type DeleteSitePayload struct{ DeletedID typeid.Site }

// DeleteSite deletes a site without doors and devices, and the keys that were for all of it.
func (s *Service) DeleteSite(ctx context.Context, in DeleteSiteInput) (*DeleteSitePayload, error) {
	if err := Authorize(ctx, WriteSites); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		if err := found(tx.Site.DeleteOneID(in.ID).Exec(ctx), "site", "id"); err != nil {
			return nil, err
		}
		return []journal.Event{{Type: "site.deleted", Site: in.ID}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteSitePayload{in.ID}, nil
}

// timeZone checks an IANA name; "Local" and offsets are none.
func (f *faults) timeZone(field string, name *string) {
	if name == nil {
		return
	}
	if _, err := time.LoadLocation(*name); err != nil || *name == "" || *name == "Local" {
		f.add(field, "must be an IANA time zone, such as Europe/Rome")
	}
}
