package access

import (
	"context"
	"encoding/json"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// CreateHolidayCalendarInput describes a new holiday calendar.
type CreateHolidayCalendarInput struct {
	Name     string
	Holidays []schema.Holiday
}

// CreateHolidayCalendarPayload holds the new calendar.
type CreateHolidayCalendarPayload struct{ HolidayCalendar *ent.HolidayCalendar }

// CreateHolidayCalendar makes a holiday calendar. Names are unique in the organization.
func (s *Service) CreateHolidayCalendar(
	ctx context.Context, in CreateHolidayCalendarInput,
) (*CreateHolidayCalendarPayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.schedule("", schedule.CheckHolidays(in.Holidays))
	if err := f.err(); err != nil {
		return nil, err
	}
	var calendar *ent.HolidayCalendar
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		calendar, err = tx.HolidayCalendar.Create().SetName(in.Name).
			SetHolidays(orEmpty(in.Holidays)).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{calendarEvent("holiday_calendar.created", calendar.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateHolidayCalendarPayload{calendar}, nil
}

// UpdateHolidayCalendarInput changes what it holds and leaves the rest.
type UpdateHolidayCalendarInput struct {
	ID       typeid.HolidayCalendar
	Name     *string
	Holidays []schema.Holiday // nil: unchanged; empty: none
}

// UpdateHolidayCalendarPayload holds the calendar as it is now.
type UpdateHolidayCalendarPayload struct{ HolidayCalendar *ent.HolidayCalendar }

// UpdateHolidayCalendar changes a holiday calendar. Whatever is decided from its commit on, at the
// sites that use it, is decided by the new holidays; doors turn within a second (see TurnModes).
func (s *Service) UpdateHolidayCalendar(
	ctx context.Context, in UpdateHolidayCalendarInput,
) (*UpdateHolidayCalendarPayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	var f faults
	f.optionalText("name", in.Name, 200)
	f.schedule("", schedule.CheckHolidays(in.Holidays))
	if err := f.err(); err != nil {
		return nil, err
	}
	calendar, err := s.updateCalendar(ctx, in, "id")
	if err != nil {
		return nil, err
	}
	return &UpdateHolidayCalendarPayload{calendar}, nil
}

// updateCalendar applies an input that was checked.
func (s *Service) updateCalendar(
	ctx context.Context, in UpdateHolidayCalendarInput, field string,
) (calendar *ent.HolidayCalendar, err error) {
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		update := tx.HolidayCalendar.UpdateOneID(in.ID).SetNillableName(in.Name)
		if in.Holidays != nil {
			update.SetHolidays(in.Holidays)
		}
		change := changes(update.Mutation())
		if in.Holidays != nil {
			update.AddRevision(1)
		}
		if calendar, err = update.Save(ctx); err != nil {
			return nil, found(err, "holiday calendar", field)
		}
		if in.Holidays != nil {
			if err := s.lookAgain(ctx, tx, doorsUnderCalendar, in.ID); err != nil {
				return nil, err
			}
		}
		told := calendarEvent("holiday_calendar.updated", calendar.ID)
		told.Data, _ = json.Marshal(map[string]any{"calendarId": calendar.ID, "changed": change})
		return []journal.Event{told}, nil
	})
	return calendar, err
}

// doorsUnderCalendar is true of the doors of the sites that use the calendar $3.
const doorsUnderCalendar = `site_id IN (
	SELECT id FROM sites WHERE org_id = $1 AND holiday_calendar_id = $3)`

// DeleteHolidayCalendarInput names a holiday calendar.
type DeleteHolidayCalendarInput struct{ ID typeid.HolidayCalendar }

// DeleteHolidayCalendarPayload names the calendar that was.
type DeleteHolidayCalendarPayload struct{ DeletedID typeid.HolidayCalendar }

// DeleteHolidayCalendar deletes a holiday calendar that no site uses.
func (s *Service) DeleteHolidayCalendar(
	ctx context.Context, in DeleteHolidayCalendarInput,
) (*DeleteHolidayCalendarPayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		err := tx.HolidayCalendar.DeleteOneID(in.ID).Exec(ctx)
		if err := found(err, "holiday calendar", "id"); err != nil {
			return nil, err
		}
		return []journal.Event{calendarEvent("holiday_calendar.deleted", in.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteHolidayCalendarPayload{in.ID}, nil
}

// ImportHolidayCalendarInput is an iCalendar text that becomes a calendar's holidays.
type ImportHolidayCalendarInput struct {
	HolidayCalendarID *typeid.HolidayCalendar // whose holidays to replace; nil: a new calendar
	Name              *string                 // nil: as it is, if there is one
	Ical              string                  // at most 24 KiB
}

// ImportHolidayCalendarPayload holds the calendar as it is now.
type ImportHolidayCalendarPayload struct{ HolidayCalendar *ent.HolidayCalendar }

// ImportHolidayCalendar reads holidays from an iCalendar text, into a new calendar or in place of the
// holidays of one. Nothing is taken of a text with a fault.
func (s *Service) ImportHolidayCalendar(
	ctx context.Context, in ImportHolidayCalendarInput,
) (*ImportHolidayCalendarPayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	var f faults
	f.nameOfImport(in.Name, in.HolidayCalendarID == nil)
	var holidays []schema.Holiday
	if f.calendar(in.Ical) {
		read, wrong := schedule.ImportHolidays([]byte(in.Ical))
		holidays = orEmpty(read)
		f.schedule("ical", wrong)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	var calendar *ent.HolidayCalendar
	var err error
	if in.HolidayCalendarID != nil {
		calendar, err = s.updateCalendar(ctx, UpdateHolidayCalendarInput{
			ID: *in.HolidayCalendarID, Name: in.Name, Holidays: holidays,
		}, "holidayCalendarId")
	} else {
		var made *CreateHolidayCalendarPayload
		made, err = s.CreateHolidayCalendar(ctx,
			CreateHolidayCalendarInput{Name: *in.Name, Holidays: holidays})
		calendar = orZero(made).HolidayCalendar
	}
	if err != nil {
		return nil, err
	}
	return &ImportHolidayCalendarPayload{calendar}, nil
}

func calendarEvent(kind string, id typeid.HolidayCalendar) journal.Event {
	return journal.Event{Type: kind, Data: data("calendarId", id)}
}
