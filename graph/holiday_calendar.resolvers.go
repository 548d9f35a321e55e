package graph

import (
	"context"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/generated"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

func (r *holidayResolver) Last(ctx context.Context, obj *schema.Holiday) (*string, error) {
	return orNil(obj.Last), nil
}

func (r *holidayCalendarResolver) Ical(ctx context.Context, obj *ent.HolidayCalendar) (string, error) {
	return string(schedule.ExportHolidays(obj.Name, obj.Holidays)), nil
}

func (r *holidayCalendarResolver) Sites(ctx context.Context, obj *ent.HolidayCalendar, first *int, after *string, last *int, before *string) (*shape.Connection[*ent.Site], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return loadersOf(ctx).calendarSites.load(ctx, nested[typeid.HolidayCalendar]{parent: obj.ID, page: p})
}

func (r *mutationResolver) CreateHolidayCalendar(ctx context.Context, input access.CreateHolidayCalendarInput) (*access.CreateHolidayCalendarPayload, error) {
	return r.access.CreateHolidayCalendar(ctx, input)
}

func (r *mutationResolver) UpdateHolidayCalendar(ctx context.Context, input access.UpdateHolidayCalendarInput) (*access.UpdateHolidayCalendarPayload, error) {
	return r.access.UpdateHolidayCalendar(ctx, input)
}

func (r *mutationResolver) DeleteHolidayCalendar(ctx context.Context, input access.DeleteHolidayCalendarInput) (*access.DeleteHolidayCalendarPayload, error) {
	return r.access.DeleteHolidayCalendar(ctx, input)
}

func (r *mutationResolver) ImportHolidayCalendar(ctx context.Context, input access.ImportHolidayCalendarInput) (*access.ImportHolidayCalendarPayload, error) {
	return r.access.ImportHolidayCalendar(ctx, input)
}

func (r *queryResolver) HolidayCalendar(ctx context.Context, id typeid.Any) (*ent.HolidayCalendar, error) {
	return lookup(ctx, id, typeid.As[typeid.HolidayCalendar], loadersOf(ctx).calendars)
}

func (r *queryResolver) HolidayCalendars(ctx context.Context, first *int, after *string, last *int, before *string, search *string) (*shape.Connection[*ent.HolidayCalendar], error) {
	p, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	return r.listCalendars(ctx, p, search)
}

func (r *resolver) Holiday() generated.HolidayResolver { return &holidayResolver{r} }

func (r *resolver) HolidayCalendar() generated.HolidayCalendarResolver {
	return &holidayCalendarResolver{r}
}

type (
	holidayResolver         struct{ *resolver }
	holidayCalendarResolver struct{ *resolver }
)
