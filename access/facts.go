package access

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/area"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/presence"
	"github.com/cardea/cardea/typeid"
)

// hold says whether what is read stays as it is until the transaction ends.
type hold bool

const (
	held hold = true
	free hold = false
)

// policyFor compiles all that bears on some people at some doors at an instant and after it. The
// number of statements does not depend on how many they are. Held, people are locked against change,
// and so are the keys: one that counts its uses against any other reader, so that no use is taken
// twice.
func (s *Service) policyFor(
	ctx context.Context, db *ent.Client, people []typeid.User, doors []*ent.Door, at time.Time, h hold,
) (*verdict.Policy, error) {
	f, err := s.factsFor(ctx, db, people, doors, at, h)
	if err != nil {
		return nil, err
	}
	return verdict.Compile(f), nil
}

// factsFor loads what policyFor compiles.
func (s *Service) factsFor(
	ctx context.Context, db *ent.Client, people []typeid.User, doors []*ent.Door, at time.Time, h hold,
) (verdict.Facts, error) {
	l := s.newFacts(ctx, db, at, h)
	if err := l.loadPeople(ctx, people); err != nil {
		return verdict.Facts{}, err
	}
	if err := l.loadDoors(ctx, doors); err != nil {
		return verdict.Facts{}, err
	}
	return l.complete(ctx)
}

func (s *Service) newFacts(ctx context.Context, db *ent.Client, at time.Time, h hold) factLoader {
	by, _ := actor.FromContext(ctx)
	return factLoader{
		s: s, db: db, org: by.Organization, at: at, hold: h,
		facts: verdict.Facts{
			UserParents: map[typeid.UserGroup]typeid.UserGroup{},
			DoorParents: map[typeid.DoorGroup]typeid.DoorGroup{},
		},
		plans: plans{
			schedules: map[typeid.Schedule]*ent.Schedule{}, sites: map[typeid.Site]*ent.Site{},
			calendars: map[typeid.HolidayCalendar]*ent.HolidayCalendar{},
		},
	}
}

// complete loads what lies between the people and the doors, which have been loaded.
func (l *factLoader) complete(ctx context.Context) (verdict.Facts, error) {
	for _, load := range []func(context.Context) error{
		l.loadKeys, l.loadSharers, l.loadAreas, l.loadTimetables,
	} {
		if err := load(ctx); err != nil {
			return verdict.Facts{}, err
		}
	}
	return l.facts, nil
}

// doorFacts loads what bears on the modes of doors, and on nothing else.
func (s *Service) doorFacts(
	ctx context.Context, db *ent.Client, doors []*ent.Door, at time.Time,
) (verdict.Facts, error) {
	l := s.newFacts(ctx, db, at, free)
	if err := l.loadDoors(ctx, doors); err != nil {
		return verdict.Facts{}, err
	}
	err := l.loadTimetables(ctx)
	return l.facts, err
}

// factLoader gathers facts, one statement after the other.
type factLoader struct {
	s       *Service
	db      *ent.Client
	org     typeid.Organization
	at      time.Time
	hold    hold
	facts   verdict.Facts
	holders []string // people and their groups
	targets []string // doors, their groups and sites
	plans   plans
	revised bearing // whose windows count rather than those of the schedule that it names
}

// loadPeople loads people with the groups that they are in, were or will be, and locks them if they
// are held. That is a statement of its own: one that waits for a lock goes on with what it saw before
// it waited.
func (l *factLoader) loadPeople(ctx context.Context, ids []typeid.User) error {
	args := []any{l.org, pq.Array(ids)}
	if l.hold {
		lock := `SELECT FROM users WHERE org_id = $1 AND id = ANY ((SELECT $2)::uuid[]) ORDER BY id FOR SHARE`
		if err := l.each(ctx, lock, args, func(*sql.Rows) error { return nil }); err != nil {
			return err
		}
	}
	return l.each(ctx, `
		SELECT u.id, u.status <> 'ACTIVE', m.user_group_id, g.parent_id, m.valid_from, m.valid_until
		FROM users u
		LEFT JOIN user_group_members m ON m.org_id = u.org_id AND m.user_id = u.id
		LEFT JOIN user_groups g ON g.org_id = m.org_id AND g.id = m.user_group_id
		WHERE u.org_id = $1 AND u.id = ANY ((SELECT $2)::uuid[]) ORDER BY u.id`, args, l.addPerson)
}

// addPerson adds a person of a row, unless it was that of the row before, and a group of theirs.
func (l *factLoader) addPerson(rows *sql.Rows) error {
	var who verdict.Person
	var m verdict.Member
	var whole typeid.UserGroup
	err := rows.Scan(&who.ID, &who.Suspended, &m.Group, &whole,
		optionalTime{&m.From}, optionalTime{&m.Until})
	if n := len(l.facts.People); n == 0 || l.facts.People[n-1].ID != who.ID {
		l.facts.People = append(l.facts.People, who)
		l.holders = append(l.holders, text(who.ID))
	}
	if m.Group.IsZero() {
		return err
	}
	m.User = who.ID
	l.facts.Members = append(l.facts.Members, m)
	l.holders = append(l.holders, text(m.Group))
	if !whole.IsZero() {
		l.facts.UserParents[m.Group] = whole
		l.holders = append(l.holders, text(whole))
	}
	return err
}

// loadDoors takes the doors over, with the lockdowns that they are in, and with the groups that they
// are in, were or will be.
func (l *factLoader) loadDoors(ctx context.Context, doors []*ent.Door) error {
	ids := make([]typeid.Door, len(doors))
	for i, d := range doors {
		ids[i] = d.ID
		l.facts.Doors = append(l.facts.Doors, doorFact(d))
		l.targets = append(l.targets, text(d.ID), text(d.SiteID))
	}
	closed := map[typeid.Door]time.Time{} // until when lockdowns close doors
	err := l.each(ctx, `
		SELECT m.door_id, m.door_group_id, g.parent_id, m.valid_from, m.valid_until
		FROM door_group_doors m
		JOIN door_groups g ON g.org_id = m.org_id AND g.id = m.door_group_id
		WHERE m.org_id = $1 AND m.door_id = ANY ((SELECT $2)::uuid[])
		UNION ALL
		SELECT d.door_id, NULL, NULL, NULL, l.reverts_at
		FROM lockdown_doors d JOIN lockdowns l ON l.org_id = d.org_id AND l.id = d.lockdown_id
		WHERE d.org_id = $1 AND d.door_id = ANY ((SELECT $2)::uuid[]) AND d.released_at IS NULL`,
		[]any{l.org, pq.Array(ids)}, func(rows *sql.Rows) error {
			var d verdict.GroupDoor
			var whole typeid.DoorGroup
			err := rows.Scan(&d.Door, &d.Group, &whole, optionalTime{&d.From}, optionalTime{&d.Until})
			if d.Group.IsZero() {
				closed[d.Door] = longer(closed, d.Door, d.Until)
			} else {
				l.addGroupDoor(d, whole)
			}
			return err
		})
	for i := range l.facts.Doors {
		d := &l.facts.Doors[i]
		d.LockdownUntil, d.Lockdown = closed[d.ID]
	}
	return err
}

func (l *factLoader) addGroupDoor(d verdict.GroupDoor, whole typeid.DoorGroup) {
	l.facts.GroupDoors = append(l.facts.GroupDoors, d)
	l.targets = append(l.targets, text(d.Group))
	if !whole.IsZero() {
		l.facts.DoorParents[d.Group] = whole
		l.targets = append(l.targets, text(whole))
	}
}

// longer is the later end of two lockdowns of a door; zero is no end.
func longer(closed map[typeid.Door]time.Time, id typeid.Door, until time.Time) time.Time {
	if end, known := closed[id]; known && (end.IsZero() || !until.IsZero() && end.After(until)) {
		return end
	}
	return until
}

func doorFact(d *ent.Door) verdict.Door {
	f := verdict.Door{
		ID: d.ID, Site: d.SiteID, Mode: d.Mode, FirstPersonIn: d.FirstPersonIn,
		UnlockSchedule: orZero(d.UnlockScheduleID), Into: orZero(d.IntoAreaID),
		OutOf: orZero(d.OutOfAreaID), OverrideUntil: orZero(d.OverrideUntil),
		FirstInAt: orZero(d.FirstInAt),
	}
	if d.OverrideMode != nil {
		f.Override = door.Mode(*d.OverrideMode)
	}
	return f
}

// loadKeys loads the keys that lead from a holder to a target, with those that they were shared
// from, and what they open, as far as it bears on the doors.
//
// They are read before they are locked. Where one has changed by then, all is read again: its doors of
// before and its times of after would be a key that never was.
func (l *factLoader) loadKeys(ctx context.Context) error {
	for {
		found, err := l.loadChain(ctx)
		if err != nil {
			return err
		}
		still := true
		if l.hold {
			still, err = l.lockKeys(ctx, &found)
		}
		if err != nil || still {
			l.facts.Keys = found.keys
			return err
		}
	}
}

// chain is keys with those that they were shared from.
type chain struct {
	keys    []verdict.Key
	ids     []typeid.Key
	changed []time.Time // when they last did
	at      map[typeid.Key]int
	limited bool // one of them counts its uses
}

// loadChain finds the keys. OFFSET 0 has it look at what each of them opens, and not at all the keys
// for a site.
func (l *factLoader) loadChain(ctx context.Context) (chain, error) {
	c := chain{at: map[typeid.Key]int{}}
	err := l.each(ctx, `
		WITH RECURSIVE chain AS (
			SELECT k.id, k.parent_id FROM keys k
			WHERE k.org_id = $1 AND k.id IN (
				SELECT key_id FROM key_targets
				WHERE org_id = $1 AND user_id = ANY ((SELECT $2)::uuid[])
				  AND target = ANY ((SELECT $3)::uuid[])
				UNION ALL SELECT key_id FROM key_targets
				WHERE org_id = $1 AND user_group_id = ANY ((SELECT $2)::uuid[])
				  AND target = ANY ((SELECT $3)::uuid[]))
			UNION
			SELECT k.id, k.parent_id FROM keys k JOIN chain c ON k.org_id = $1 AND k.id = c.parent_id
		)
		SELECT k.id, k.updated_at, k.user_id, k.user_group_id, k.valid_from, k.valid_until,
			k.schedule_id, k.uses, k.uses_left, NOT k.remote, k.suspended_at IS NOT NULL,
			k.revoked_at IS NOT NULL, k.parent_id, k.shared_by_id, t.door_id, t.door_group_id, t.site_id
		FROM chain c JOIN keys k ON k.org_id = $1 AND k.id = c.id LEFT JOIN LATERAL (
			SELECT door_id, door_group_id, site_id, target FROM key_targets
			WHERE org_id = $1 AND key_id = c.id OFFSET 0
		) t ON t.target = ANY ((SELECT $3)::uuid[])`,
		[]any{l.org, pq.Array(once(l.holders)), pq.Array(once(l.targets))}, c.add)
	return c, err
}

// add adds a key with one thing that it opens, or that thing to a key that is there.
func (c *chain) add(rows *sql.Rows) error {
	var k verdict.Key
	var changed time.Time
	var uses, left sql.NullInt64
	var one typeid.Door
	var group typeid.DoorGroup
	var place typeid.Site
	err := rows.Scan(&k.ID, &changed, &k.User, &k.Group, optionalTime{&k.From}, optionalTime{&k.Until},
		&k.Schedule, &uses, &left, &k.AtDoorOnly, &k.Suspended, &k.Revoked, &k.Parent, &k.SharedBy,
		&one, &group, &place)
	i, known := c.at[k.ID]
	if !known {
		k.Limited, k.Uses, k.UsesLeft = left.Valid, int(uses.Int64), int(left.Int64)
		i, c.at[k.ID] = len(c.keys), len(c.keys)
		c.keys, c.ids, c.changed = append(c.keys, k), append(c.ids, k.ID), append(c.changed, changed)
		c.limited = c.limited || k.Limited
	}
	found := &c.keys[i]
	found.Doors, found.DoorGroups = appendID(found.Doors, one), appendID(found.DoorGroups, group)
	found.Sites = appendID(found.Sites, place)
	return err
}

// lockKeys locks the keys, in one order everywhere, and says whether they are still what they were. How
// often they may yet open is what it is now: to take a use is no change of a key.
func (l *factLoader) lockKeys(ctx context.Context, c *chain) (still bool, err error) {
	if len(c.ids) == 0 {
		return true, nil
	}
	query := `SELECT id, updated_at, uses_left FROM keys
		WHERE org_id = $1 AND id = ANY ((SELECT $2)::uuid[]) ORDER BY id FOR `
	if c.limited {
		query += "NO KEY UPDATE"
	} else {
		query += "SHARE"
	}
	locked := 0
	err = l.each(ctx, query, []any{l.org, pq.Array(c.ids)}, func(rows *sql.Rows) error {
		var id typeid.Key
		var changed time.Time
		var left sql.NullInt64
		err := rows.Scan(&id, &changed, &left)
		i := c.at[id]
		c.keys[i].UsesLeft = int(left.Int64)
		if changed.Equal(c.changed[i]) {
			locked++
		}
		return err
	})
	return locked == len(c.ids), err
}

func appendID[T interface{ IsZero() bool }](to []T, id T) []T {
	if id.IsZero() {
		return to
	}
	return append(to, id)
}

// loadSharers loads whoever shared a key: it opens only while they hold its parent.
func (l *factLoader) loadSharers(ctx context.Context) error {
	known := map[typeid.User]bool{}
	for _, p := range l.facts.People {
		known[p.ID] = true
	}
	var more []typeid.User
	for _, k := range l.facts.Keys {
		if !k.SharedBy.IsZero() && !known[k.SharedBy] {
			known[k.SharedBy], more = true, append(more, k.SharedBy)
		}
	}
	if len(more) == 0 {
		return nil
	}
	return l.loadPeople(ctx, more)
}

// loadAreas loads the areas of the doors, where the people are, and how many are in.
func (l *factLoader) loadAreas(ctx context.Context) error {
	var ids []typeid.Area
	for _, d := range l.facts.Doors {
		for _, id := range []typeid.Area{d.Into, d.OutOf} {
			if !id.IsZero() {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	query := l.db.Area.Query().
		Where(whose(area.FieldID, ids))
	if l.hold {
		query.Order(area.ByID()).Where(func(q *entsql.Selector) { forChange(q) })
	}
	areas, err := query.All(ctx)
	if err != nil {
		return fmt.Errorf("load areas: %w", err)
	}
	counts, err := l.countPresent(ctx, ids)
	if err != nil {
		return err
	}
	for _, a := range areas {
		l.facts.Areas = append(l.facts.Areas, verdict.Area{
			ID: a.ID, Limit: orZero(a.OccupancyLimit), LimitMode: a.LimitMode,
			AntiPassback: a.AntiPassback, Count: counts[a.ID],
		})
	}
	people := make([]typeid.User, len(l.facts.People))
	for i, p := range l.facts.People {
		people[i] = p.ID
	}
	seen, err := l.db.Presence.Query().Where(func(q *entsql.Selector) {
		q.Where(anyOf(q.C(presence.FieldAreaID), ids)).Where(anyOf(q.C(presence.FieldUserID), people))
	}).All(ctx)
	if err != nil {
		return fmt.Errorf("load presences: %w", err)
	}
	for _, p := range seen {
		l.facts.Presences = append(l.facts.Presences,
			verdict.Presence{Area: p.AreaID, User: p.UserID, State: p.State})
	}
	return nil
}

func (l *factLoader) countPresent(
	ctx context.Context, areas []typeid.Area,
) (map[typeid.Area]int, error) {
	counts := map[typeid.Area]int{}
	err := l.each(ctx, `
		SELECT area_id, count(*) FROM presences
		WHERE org_id = $1 AND area_id = ANY ((SELECT $2)::uuid[]) AND state = 'IN' GROUP BY area_id`,
		[]any{l.org, pq.Array(areas)}, func(rows *sql.Rows) error {
			var id typeid.Area
			var count int
			err := rows.Scan(&id, &count)
			counts[id] = count
			return err
		})
	return counts, err
}

// each runs a statement that the tenancy rule does not see: its first argument is the organization.
//
// Statements take lists by way of (SELECT $n): Postgres then cannot plan for how long they happen to
// be, sees after a few runs that a plan made once is as good as one made each time, and keeps it. To
// plan one of these costs it more than to run it.
func (l *factLoader) each(
	ctx context.Context, query string, args []any, take func(*sql.Rows) error,
) error {
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("load facts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for err == nil && rows.Next() {
		err = take(rows)
	}
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		return fmt.Errorf("load facts: %w", err)
	}
	return nil
}

// anyOf keeps a statement's text the same however many identifiers there are.
func anyOf[K any](column string, ids []K) *entsql.Predicate {
	return entsql.P(func(b *entsql.Builder) {
		b.Ident(column).WriteString(" = ANY (").Arg(pq.Array(ids)).WriteByte(')')
	})
}

// whose is true of rows with one of some values in a column.
func whose[K any](column string, values []K) func(*entsql.Selector) {
	return func(q *entsql.Selector) { q.Where(anyOf(q.C(column), values)) }
}

// once is each of some identifiers once.
func once(ids []string) []string { return slices.Compact(slices.Sorted(slices.Values(ids))) }

// text is an identifier as Postgres reads it.
func text(id driver.Valuer) string {
	v, _ := id.Value()
	s, _ := v.(string)
	return s
}

func orZero[T any](v *T) (zero T) {
	if v == nil {
		return zero
	}
	return *v
}

// optionalTime scans NULL as the zero time.
type optionalTime struct{ to *time.Time }

// Scan implements sql.Scanner.
func (o optionalTime) Scan(src any) error {
	var t sql.NullTime
	err := t.Scan(src)
	*o.to = t.Time
	return err
}
