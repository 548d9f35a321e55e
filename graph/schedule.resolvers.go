package graph

import (
	"cmp"
	"context"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *mutationResolver) CreateSchedule(ctx context.Context, input access.CreateScheduleInput) (*access.CreateSchedulePayload, error) {
	return r.access.CreateSchedule(ctx, input)
}

func (r *mutationResolver) UpdateSchedule(ctx context.Context, input access.UpdateScheduleInput) (*access.UpdateSchedulePayload, error) {
	return r.access.UpdateSchedule(ctx, input)
}

func (r *mutationResolver) DeleteSchedule(ctx context.Context, input access.DeleteScheduleInput) (*access.DeleteSchedulePayload, error) {
	return r.access.DeleteSchedule(ctx, input)
}

func (r *mutationResolver) ImportSchedule(ctx context.Context, input access.ImportScheduleInput) (*access.ImportSchedulePayload, error) {
	return r.access.ImportSchedule(ctx, input)
}

func (r *queryResolver) Schedule(ctx context.Context, id typeid.Any) (*ent.Schedule, error) {
	return lookup(ctx, id, typeid.As[typeid.Schedule], loadersOf(ctx).schedules)
}

func (r *queryResolver) Schedules(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*shape.Connection[*ent.Schedule], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listSchedules(ctx, p, search)
}

func (r *scheduleResolver) Ical(ctx context.Context, obj *ent.Schedule) (string, error) {
	return string(schedule.Export(obj.Name, obj.Windows)), nil
}

func (r *scheduleResolver) Keys(ctx context.Context, obj *ent.Schedule, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Key], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).scheduleKeys.load(ctx, nested[typeid.Schedule]{parent: obj.ID, page: p})
}

func (r *scheduleResolver) Doors(ctx context.Context, obj *ent.Schedule, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Door], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).scheduleDoors.load(ctx, nested[typeid.Schedule]{parent: obj.ID, page: p})
}

func (r *scheduleResolver) Next(ctx context.Context, obj *ent.Schedule, siteID typeid.Any, after *time.Time, first int) ([]*shape.OpenSpan, error) {
	return r.openSpans(ctx, obj, siteID, after, first)
}

func (r *scheduleResolver) IsOpen(ctx context.Context, obj *ent.Schedule, siteID typeid.Any, at *time.Time) (bool, error) {
	table, _, from, err := r.timetable(ctx, obj, siteID, "at", at)
	if err != nil {
		return false, err
	}
	return table.At(from).Open, nil
}

func (r *scheduleWindowResolver) Rule(ctx context.Context, obj *schema.Window) (*string, error) {
	return orNil(obj.Rule), nil
}

func (r *scheduleWindowResolver) Holidays(ctx context.Context, obj *schema.Window) (schema.HolidayRule, error) {
	return cmp.Or(obj.Holidays, schema.HolidaySkip), nil
}

func (r *scheduleWindowResolver) Summary(ctx context.Context, obj *schema.Window) (*string, error) {
	return orNil(obj.Summary), nil
}

func (r *resolver) Schedule() generated.ScheduleResolver { return &scheduleResolver{r} }

func (r *resolver) ScheduleWindow() generated.ScheduleWindowResolver {
	return &scheduleWindowResolver{r}
}

type (
	scheduleResolver       struct{ *resolver }
	scheduleWindowResolver struct{ *resolver }
)
