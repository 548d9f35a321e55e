package access

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/typeid"
)

// UserAccess is a person who may open a door, and why.
type UserAccess struct {
	User     typeid.User
	Decision *verdict.Verdict
}

// DoorAccess is a door that a person may open, and why.
type DoorAccess struct {
	Door     *ent.Door
	Decision *verdict.Verdict
}

// AccessPage is the part of a list of decisions that begins after an identifier, in their order.
type AccessPage[K, T any] struct {
	Found []T
	More  bool
	// Last is what was looked at last, if that was so much that the page ends before it is full.
	Last K
}

const (
	// maxExamined bounds how many candidates are looked at for one page.
	maxExamined = 1000
	// minBatch and maxBatch bound how many of them at a time. Of fewer, too much of the time goes into
	// statements; of more, Postgres would rather read tables whole.
	minBatch, maxBatch = 10, 150
)

// WhoCanOpen lists the people who may open a door at an instant, and the mode that it is in then.
// Candidates are found by what leads to the door, and each is decided.
func (s *Service) WhoCanOpen(
	ctx context.Context, where typeid.Door, at *time.Time, after typeid.User, limit int,
) (*AccessPage[typeid.User, *UserAccess], verdict.Mode, error) {
	now, err := s.asked(ctx, typeid.User{}, at)
	if err != nil {
		return nil, verdict.Mode{}, err
	}
	visible, err := s.askedOf(ctx, typeid.User{})
	if err != nil {
		return nil, verdict.Mode{}, err
	}
	d, err := s.db.Door.Query().Where(door.ID(where), visible).Only(ctx)
	if err != nil {
		return nil, verdict.Mode{}, found(err, "door", "doorId")
	}
	l := s.newFacts(ctx, s.db, now, free)
	if err := l.loadDoors(ctx, []*ent.Door{d}); err != nil {
		return nil, verdict.Mode{}, err
	}
	mode, err := l.mode(ctx, where)
	if err != nil {
		return nil, verdict.Mode{}, err
	}
	next := func(after typeid.User, most int) ([]typeid.User, error) {
		return pick[typeid.User](ctx, &l, peopleWithKeys,
			l.org, pq.Array(l.targets), uuid.UUID(after.UUID()), now, most)
	}
	switch mode.Mode {
	case door.ModeUNLOCKED:
		next = func(after typeid.User, most int) ([]typeid.User, error) {
			return pick[typeid.User](ctx, &l, activePeople, l.org, uuid.UUID(after.UUID()), most)
		}
	case door.ModeLOCKED, door.ModeLOCKDOWN, door.ModeDISABLED:
		return &AccessPage[typeid.User, *UserAccess]{}, mode, nil
	case door.ModeCONTROLLED:
	}
	page, err := seek(after, limit, next, func(people []typeid.User) ([]*UserAccess, error) {
		return l.whoOpens(ctx, people, where)
	})
	return page, mode, err
}

// DoorsFor lists the doors that a person may open at an instant. Who may not see others may ask about
// themself, and is told of the doors that they see; a manager is told of those of their sites.
func (s *Service) DoorsFor(
	ctx context.Context, who typeid.User, at *time.Time, after typeid.Door, limit int,
) (*AccessPage[typeid.Door, *DoorAccess], error) {
	now, err := s.asked(ctx, who, at)
	if err != nil {
		return nil, err
	}
	l := s.newFacts(ctx, s.db, now, free)
	if err := l.loadPeople(ctx, []typeid.User{who}); err != nil {
		return nil, err
	}
	if len(l.facts.People) == 0 {
		return nil, notFound("user", "userId")
	}
	if l.facts.People[0].Suspended {
		return &AccessPage[typeid.Door, *DoorAccess]{}, nil
	}
	open, err := l.standingOpen(ctx)
	if err != nil {
		return nil, err
	}
	return seek(after, limit,
		func(after typeid.Door, most int) ([]typeid.Door, error) {
			return pick[typeid.Door](ctx, &l, doorsOfHolders, l.org, pq.Array(l.holders),
				uuid.UUID(after.UUID()), now, most,
				pq.Array(open.plans), pq.Array(open.zones), pq.Array(open.calendars))
		},
		func(doors []typeid.Door) ([]*DoorAccess, error) { return l.opensWhich(ctx, who, doors) })
}

// seek looks at candidates in their order until the page is full or there are no more. Most are
// granted as a rule, so it begins with half as many again as the page is long; after that it goes by
// how many of those before were.
func seek[K, T any](
	after K, limit int, next func(after K, most int) ([]K, error), decide func([]K) ([]T, error),
) (*AccessPage[K, T], error) {
	page := &AccessPage[K, T]{}
	for most, examined := limit+limit/2+1, 0; ; {
		candidates, err := next(after, most)
		if err != nil || len(candidates) == 0 {
			return page, err
		}
		granted, err := decide(candidates)
		if err != nil {
			return nil, err
		}
		page.Found = append(page.Found, granted...)
		if len(page.Found) > limit {
			page.Found, page.More = page.Found[:limit], true
			return page, nil
		}
		if len(candidates) < most {
			return page, nil
		}
		after = candidates[len(candidates)-1]
		if examined += len(candidates); examined >= maxExamined {
			page.More, page.Last = true, after
			return page, nil
		}
		missing := limit + 1 - len(page.Found)
		most = min(2*missing*examined/max(len(page.Found), 1)+minBatch, maxBatch, maxExamined-examined)
	}
}

// mode is what a loaded door is in.
func (l factLoader) mode(ctx context.Context, id typeid.Door) (verdict.Mode, error) {
	if err := l.loadTimetables(ctx); err != nil {
		return verdict.Mode{}, err
	}
	mode, _ := verdict.Compile(l.facts).Mode(id, l.at)
	return mode, nil
}

// whoOpens decides for people at the door that l has loaded. It leaves l as it is.
func (l factLoader) whoOpens(
	ctx context.Context, people []typeid.User, where typeid.Door,
) (granted []*UserAccess, err error) {
	if err := l.loadPeople(ctx, people); err != nil {
		return nil, err
	}
	f, err := l.complete(ctx)
	if err != nil {
		return nil, err
	}
	policy := verdict.Compile(f)
	for _, who := range people {
		v := policy.Decide(verdict.Question{Person: who, Door: where, At: l.at})
		if v.Granted {
			granted = append(granted, &UserAccess{who, &v})
		}
	}
	return granted, nil
}

// opensWhich decides for doors and the person that l has loaded. It leaves l as it is.
func (l factLoader) opensWhich(
	ctx context.Context, who typeid.User, doors []typeid.Door,
) (granted []*DoorAccess, err error) {
	visible, err := l.s.doorsFor(ctx, ReadAccess)
	if by, _ := actor.FromContext(ctx); err == nil && who != by.User {
		visible, err = l.s.askedOf(ctx, who)
	}
	if err != nil {
		return nil, err
	}
	rows, err := l.db.Door.Query().Where(visible, whose(door.FieldID, doors)).Order(door.ByID()).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load doors: %w", err)
	}
	if err := l.loadDoors(ctx, rows); err != nil {
		return nil, err
	}
	f, err := l.complete(ctx)
	if err != nil {
		return nil, err
	}
	policy := verdict.Compile(f)
	for _, d := range rows {
		v := policy.Decide(verdict.Question{Person: who, Door: d.ID, At: l.at})
		if v.Granted {
			granted = append(granted, &DoorAccess{d, &v})
		}
	}
	return granted, nil
}

// unlocking is schedules that doors unlock by, each with a time zone and a calendar that sites have.
type unlocking struct {
	plans     []typeid.Schedule
	zones     []string
	calendars []typeid.HolidayCalendar // zero: none
}

func (u *unlocking) add(plan typeid.Schedule, zone string, calendar typeid.HolidayCalendar) {
	u.plans, u.zones = append(u.plans, plan), append(u.zones, zone)
	u.calendars = append(u.calendars, calendar)
}

// standingOpen is the schedules by which doors stand open: there are far fewer than doors.
func (l *factLoader) standingOpen(ctx context.Context) (open unlocking, err error) {
	var all unlocking
	err = l.each(ctx, `
		SELECT p.id, s.time_zone, s.holiday_calendar_id
		FROM (SELECT DISTINCT time_zone, holiday_calendar_id FROM sites WHERE org_id = $1) s
		JOIN schedules p ON p.org_id = $1 AND EXISTS (
			SELECT FROM doors d WHERE d.org_id = $1 AND d.unlock_schedule_id = p.id)`,
		[]any{l.org}, func(rows *sql.Rows) error {
			var plan typeid.Schedule
			var zone string
			var calendar typeid.HolidayCalendar
			err := rows.Scan(&plan, &zone, &calendar)
			all.add(plan, zone, calendar)
			return err
		})
	if err == nil {
		err = l.loadSchedules(ctx, all.plans)
	}
	if err == nil {
		err = l.loadCalendars(ctx, all.calendars)
	}
	for i, id := range all.plans {
		plan, calendar := l.plans.schedules[id], l.plans.calendars[all.calendars[i]]
		if err != nil || plan == nil {
			continue
		}
		var zone *time.Location
		if zone, err = l.s.timetables.zone(all.zones[i]); err != nil {
			continue
		}
		if l.s.timetables.get(plan, zone, calendar, l.at).At(l.at).Open {
			open.add(id, all.zones[i], all.calendars[i])
		}
	}
	return open, err
}

// pick runs a statement for the next candidates; its first argument is the organization.
func pick[K any](
	ctx context.Context, l *factLoader, query string, args ...any,
) (ids []K, err error) {
	err = l.each(ctx, query, args, func(rows *sql.Rows) error {
		var id K
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// keyInForce is true of keys k that are worth deciding on at the instant $4: the others refuse whoever
// asks from afar.
const keyInForce = `k.revoked_at IS NULL AND k.suspended_at IS NULL AND k.remote
	AND (k.valid_from IS NULL OR k.valid_from <= $4) AND (k.valid_until IS NULL OR k.valid_until > $4)
	AND (k.uses_left IS NULL OR k.uses_left > 0)`

// peopleWithKeys finds those after $3 who have a key, or are in a group that has one, for one of the
// targets $2. Each way leads to the page's length of them, in their order by an index.
const peopleWithKeys = `
	WITH holder AS MATERIALIZED (
		SELECT DISTINCT t.user_group_id AS id
		FROM key_targets t JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		WHERE t.org_id = $1 AND t.target = ANY ($2::uuid[])
		  AND t.user_group_id IS NOT NULL AND ` + keyInForce + `
	), part AS (
		SELECT id FROM holder
		UNION SELECT g.id FROM holder h JOIN user_groups g ON g.org_id = $1 AND g.parent_id = h.id
	)
	SELECT user_id FROM (
		SELECT c.user_id FROM unnest($2::uuid[]) AS target (id) CROSS JOIN LATERAL (
			SELECT DISTINCT t.user_id
			FROM key_targets t JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
			WHERE t.org_id = $1 AND t.target = target.id
			  AND t.user_id > $3 AND ` + keyInForce + `
			ORDER BY t.user_id LIMIT $5) c
		UNION
		SELECT c.user_id FROM part CROSS JOIN LATERAL (
			SELECT m.user_id FROM user_group_members m
			WHERE m.org_id = $1 AND m.user_group_id = part.id AND m.user_id > $3
			  AND (m.valid_from IS NULL OR m.valid_from <= $4)
			  AND (m.valid_until IS NULL OR m.valid_until > $4)
			ORDER BY m.user_id LIMIT $5) c
	) found ORDER BY user_id LIMIT $5`

// activePeople finds everybody after $2: the door stands open.
const activePeople = `
	SELECT id FROM users WHERE org_id = $1 AND id > $2 AND status = 'ACTIVE' ORDER BY id LIMIT $3`

// none is no identifier, where two that are missing are to be equal.
const none = "00000000-0000-0000-0000-000000000000"

// doorsOfHolders finds those after $3 that keys of the holders $2 are for, and those that may stand
// open for everybody: by their mode, or by a schedule of $6 at sites in the zone beside it in $7 and
// with the calendar beside it in $8.
const doorsOfHolders = `
	WITH target AS MATERIALIZED (
		SELECT DISTINCT t.door_id, t.door_group_id, t.site_id
		FROM key_targets t JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		WHERE t.org_id = $1 AND t.holder = ANY ($2::uuid[])
		  AND ` + keyInForce + `
	), place AS (
		SELECT DISTINCT site_id AS id FROM target WHERE site_id IS NOT NULL
	), part AS (
		SELECT door_group_id AS id FROM target WHERE door_group_id IS NOT NULL
		UNION SELECT g.id FROM target t JOIN door_groups g
		  ON g.org_id = $1 AND g.parent_id = t.door_group_id
	), unlocking AS MATERIALIZED (
		SELECT id, site_id, unlock_schedule_id AS plan FROM doors
		WHERE org_id = $1 AND id > $3 AND unlock_schedule_id IS NOT NULL AND cardinality((SELECT $6)::uuid[]) > 0
	)
	SELECT id FROM (
		SELECT door_id AS id FROM target WHERE door_id > $3
		UNION
		SELECT c.door_id FROM part CROSS JOIN LATERAL (
			SELECT m.door_id FROM door_group_doors m
			WHERE m.org_id = $1 AND m.door_group_id = part.id AND m.door_id > $3
			  AND (m.valid_from IS NULL OR m.valid_from <= $4)
			  AND (m.valid_until IS NULL OR m.valid_until > $4)
			ORDER BY m.door_id LIMIT $5) c
		UNION
		SELECT c.id FROM place CROSS JOIN LATERAL (
			SELECT d.id FROM doors d WHERE d.org_id = $1 AND d.site_id = place.id AND d.id > $3
			ORDER BY d.id LIMIT $5) c
		UNION
		(SELECT d.id FROM doors d WHERE d.org_id = $1 AND d.id > $3
		  AND (d.mode = 'UNLOCKED' OR d.override_mode = 'UNLOCKED')
		ORDER BY d.id LIMIT $5)
		UNION
		(SELECT d.id FROM unlocking d JOIN sites s ON s.org_id = $1 AND s.id = d.site_id
		WHERE (d.plan, s.time_zone, COALESCE(s.holiday_calendar_id, '` + none + `')) IN (
			SELECT plan, zone, COALESCE(calendar, '` + none + `')
			FROM unnest($6::uuid[], $7::text[], $8::uuid[]) AS open (plan, zone, calendar))
		ORDER BY d.id LIMIT $5)
	) found ORDER BY id LIMIT $5`
