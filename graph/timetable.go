package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/access/schedule"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/schema"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/typeid"
)

const (
	maxSpans  = 50
	localTime = "2006-01-02T15:04:05"
	// ahead is how far away a span may begin: what a timetable is sure to know.
	ahead = 366 * 24 * time.Hour
)

// timetable is when a schedule is open at a site that the viewer may see, around an instant: that of
// an argument, or now.
func (r *resolver) timetable(
	ctx context.Context, plan *ent.Schedule, siteID typeid.Any, field string, at *time.Time,
) (*schedule.Timetable, *time.Location, time.Time, error) {
	from := schema.Now()
	if at != nil {
		from = *at
	}
	id, err := narrow("siteId", &siteID, typeid.As[typeid.Site])
	if err == nil && (from.Year() < 1970 || from.Year() > 2199) {
		err = badInput(field, "must be from 1970 to 2199")
	}
	if err != nil {
		return nil, nil, from, err
	}
	place, err := loadersOf(ctx).sites.load(ctx, *id)
	if err != nil {
		return nil, nil, from, err
	}
	if place == nil {
		return nil, nil, from,
			access.Error{Code: access.CodeNotFound, Message: "no such site", Field: "siteId"}
	}
	calendar, err := load(ctx, place.HolidayCalendarID, loadersOf(ctx).calendars)
	if err != nil {
		return nil, nil, from, err
	}
	table, zone, err := r.access.Timetable(plan, place, calendar, from)
	return table, zone, from, err
}

// openSpans lists the times while a schedule is open at a site.
func (r *resolver) openSpans(
	ctx context.Context, plan *ent.Schedule, siteID typeid.Any, after *time.Time, first int,
) ([]*shape.OpenSpan, error) {
	if first < 1 || first > maxSpans {
		return nil, badInput("first", fmt.Sprintf("must be from 1 to %d", maxSpans))
	}
	table, zone, at, err := r.timetable(ctx, plan, siteID, "after", after)
	if err != nil {
		return nil, err
	}
	spans := []*shape.OpenSpan{}
	for end := at.Add(ahead); len(spans) < first && at.Before(end); {
		s := table.At(at)
		if s.Until.IsZero() {
			break
		}
		if s.Open {
			spans = append(spans, &shape.OpenSpan{
				StartsAt: s.Since, EndsAt: s.Until,
				LocalStartsAt: s.Since.In(zone).Format(localTime),
				LocalEndsAt:   s.Until.In(zone).Format(localTime),
			})
		}
		at = s.Until
	}
	return spans, nil
}
