package access

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/key"
	entschedule "github.com/cardea/cardea/ent/schedule"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/ent/site"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/typeid"
)

// maxCalendarText bounds an iCalendar text, in bytes: with room for JSON, it fits in one request.
const maxCalendarText = 24 << 10

// CreateScheduleInput describes a new schedule.
type CreateScheduleInput struct {
	Name    string
	Windows []schema.Window
}

// CreateSchedulePayload holds the new schedule.
type CreateSchedulePayload struct{ Schedule *ent.Schedule }

// CreateSchedule makes a schedule. Names are unique in the organization.
func (s *Service) CreateSchedule(
	ctx context.Context, in CreateScheduleInput,
) (*CreateSchedulePayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	var f faults
	f.text("name", in.Name, 200)
	f.schedule("", schedule.CheckWindows(in.Windows))
	if err := f.err(); err != nil {
		return nil, err
	}
	var plan *ent.Schedule
	err := s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		plan, err = tx.Schedule.Create().SetName(in.Name).SetWindows(orEmpty(in.Windows)).Save(ctx)
		if err != nil {
			return nil, err
		}
		return []journal.Event{scheduleEvent("schedule.created", plan.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &CreateSchedulePayload{plan}, nil
}

// UpdateScheduleInput changes what it holds and leaves the rest.
type UpdateScheduleInput struct {
	ID      typeid.Schedule
	Name    *string
	Windows []schema.Window // nil: unchanged; empty: never open

	ConfirmationToken *string `json:"-"`
}

// UpdateSchedulePayload holds the schedule as it is now.
type UpdateSchedulePayload struct{ Schedule *ent.Schedule }

// UpdateSchedule changes a schedule. Whatever is decided from its commit on is decided by the new
// windows; doors that stand unlocked by it turn within a second (see TurnModes).
func (s *Service) UpdateSchedule(
	ctx context.Context, in UpdateScheduleInput,
) (*UpdateSchedulePayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	plan, err := s.updateSchedule(ctx, in, "id")
	if err != nil {
		return nil, err
	}
	return &UpdateSchedulePayload{plan}, nil
}

// updateSchedule applies an input that was checked.
func (s *Service) updateSchedule(
	ctx context.Context, in UpdateScheduleInput, field string,
) (plan *ent.Schedule, err error) {
	err = s.write(ctx, func(tx *ent.Tx) (_ []journal.Event, err error) {
		if err := s.confirm(ctx, tx, in, in.ConfirmationToken); err != nil {
			return nil, err
		}
		update := tx.Schedule.UpdateOneID(in.ID).SetNillableName(in.Name)
		if in.Windows != nil {
			update.SetWindows(in.Windows)
		}
		change := changes(update.Mutation())
		if in.Windows != nil {
			update.AddRevision(1)
		}
		if plan, err = update.Save(ctx); err != nil {
			return nil, found(err, "schedule", field)
		}
		if in.Windows != nil {
			if err := s.lookAgain(ctx, tx, "unlock_schedule_id = $3", in.ID); err != nil {
				return nil, err
			}
		}
		told := scheduleEvent("schedule.updated", plan.ID)
		told.Data, _ = json.Marshal(map[string]any{"scheduleId": plan.ID, "changed": change})
		return []journal.Event{told}, nil
	})
	return plan, err
}

// DeleteScheduleInput names a schedule.
type DeleteScheduleInput struct{ ID typeid.Schedule }

// DeleteSchedulePayload names the schedule that was.
type DeleteSchedulePayload struct{ DeletedID typeid.Schedule }

// DeleteSchedule deletes a schedule that no door and no key uses. Keys that were revoked forget it.
func (s *Service) DeleteSchedule(
	ctx context.Context, in DeleteScheduleInput,
) (*DeleteSchedulePayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	err := s.write(ctx, func(tx *ent.Tx) ([]journal.Event, error) {
		_, err := tx.Schedule.Query().Where(entschedule.ID(in.ID)).ForUpdate().Only(ctx)
		if err != nil {
			return nil, found(err, "schedule", "id")
		}
		err = tx.Key.Update().Where(key.ScheduleID(in.ID), key.RevokedAtNotNil()).
			ClearScheduleID().Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("forget schedule: %w", err)
		}
		if err := tx.Schedule.DeleteOneID(in.ID).Exec(ctx); err != nil {
			return nil, err
		}
		return []journal.Event{scheduleEvent("schedule.deleted", in.ID)}, nil
	})
	if err != nil {
		return nil, err
	}
	return &DeleteSchedulePayload{in.ID}, nil
}

// ImportScheduleInput is an iCalendar text that becomes a schedule's windows.
type ImportScheduleInput struct {
	ScheduleID *typeid.Schedule // whose windows to replace; nil: a new schedule
	Name       *string          // nil: as it is, if there is one
	SiteID     typeid.Site      // in whose time zone the text may be
	Ical       string           // at most 24 KiB

	ConfirmationToken *string `json:"-"`
}

// ImportSchedulePayload holds the schedule as it is now.
type ImportSchedulePayload struct{ Schedule *ent.Schedule }

// ImportSchedule reads windows from an iCalendar text, into a new schedule or in place of the windows
// of one. Nothing is taken of a text with a fault.
func (s *Service) ImportSchedule(
	ctx context.Context, in ImportScheduleInput,
) (*ImportSchedulePayload, error) {
	if err := Authorize(ctx, WriteSchedules); err != nil {
		return nil, err
	}
	update, err := s.imported(ctx, in)
	if err != nil {
		return nil, err
	}
	var plan *ent.Schedule
	if in.ScheduleID != nil {
		plan, err = s.updateSchedule(ctx, update, "scheduleId")
	} else {
		var made *CreateSchedulePayload
		made, err = s.CreateSchedule(ctx, CreateScheduleInput{Name: *in.Name, Windows: update.Windows})
		plan = orZero(made).Schedule
	}
	if err != nil {
		return nil, err
	}
	return &ImportSchedulePayload{plan}, nil
}

// imported is the change that an import makes of a schedule.
func (s *Service) imported(ctx context.Context, in ImportScheduleInput) (UpdateScheduleInput, error) {
	update := UpdateScheduleInput{
		ID: orZero(in.ScheduleID), Name: in.Name, ConfirmationToken: in.ConfirmationToken,
	}
	place, err := s.db.Site.Query().Where(site.ID(in.SiteID)).Only(ctx)
	if err != nil {
		return update, found(err, "site", "siteId")
	}
	var f faults
	f.nameOfImport(in.Name, in.ScheduleID == nil)
	if f.calendar(in.Ical) {
		read, wrong := schedule.Import([]byte(in.Ical), place.TimeZone)
		update.Windows = orEmpty(read)
		f.schedule("ical", wrong)
	}
	return update, f.err()
}

// lookAgain makes the sweep decide anew within a second which modes are in force at doors: those that
// the condition on $3 is true of. So a change that concerns many doors locks them for one statement
// only, and each door tells of its mode in a transaction of its own.
//
// It follows the statement that makes the change: whoever decides a door's mode meanwhile has that
// door locked, or the schedule or calendar against change, so one of the two sees the other.
func (s *Service) lookAgain(ctx context.Context, tx *ent.Tx, condition string, of any) error {
	by, _ := actor.FromContext(ctx)
	_, err := tx.Client().ExecContext(ctx, `UPDATE doors SET effective_until = $2
		WHERE org_id = $1 AND (effective_until IS NULL OR effective_until > $2) AND `+condition,
		by.Organization, s.now(), of)
	if err != nil {
		return fmt.Errorf("look at doors again: %w", err)
	}
	return nil
}

func scheduleEvent(kind string, id typeid.Schedule) journal.Event {
	return journal.Event{Type: kind, Data: data("scheduleId", id)}
}

// schedule adds what package schedule found wrong. Fields are of the input named, or of the whole.
func (f *faults) schedule(input string, wrong []schedule.Fault) {
	for _, w := range wrong {
		field := w.Field
		switch {
		case input != "" && field == "text":
			field = input
		case input != "":
			field = input + "." + field
		}
		f.add(field, "%s", w.Message)
	}
}

func (f *faults) nameOfImport(name *string, required bool) {
	if name == nil && required {
		f.add("name", "is needed for what is new")
	}
	f.optionalText("name", name, 200)
}

func (f *faults) calendar(text string) bool {
	switch {
	case len(text) > maxCalendarText:
		f.add("ical", "must have at most 24 KiB; leave out descriptions and past years")
	case strings.ContainsRune(text, 0):
		f.add("ical", "must be text")
	default:
		return true
	}
	return false
}

// orEmpty is a list that is kept as [] and not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
