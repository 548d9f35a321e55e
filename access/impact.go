package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"github.com/cardea/cardea/access/verdict"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/ent/key"
	"github.com/cardea/cardea/typeid"
)

// AccessImpact is what a change would do to access in the coming days.
type AccessImpact struct {
	PeopleLosing  int
	PeopleGaining int
	DoorsAffected int
	IsEstimate    bool
	// ConfirmationToken is what the mutation needs, until ExpiresAt; nil if it needs none.
	ConfirmationToken *string
	ExpiresAt         *time.Time
}

const (
	// impactAhead is how far ahead an impact looks.
	impactAhead = 7 * 24 * time.Hour
	// maxImpactPeople and maxImpactDoors are how many are looked at: of more, as many are drawn.
	maxImpactPeople = 2000
	maxImpactDoors  = 500
)

// Impact tells what a change would do, by today's keys and settings, and changes nothing. A person
// loses access if at some instant of the coming seven days they could open one of the doors
// concerned before the change, from afar or at the door, and could not after it. Who is in an area
// is left out. It takes the right to make the change.
func (s *Service) Impact(ctx context.Context, in AccessChangeInput) (*AccessImpact, error) {
	c, err := s.changeOf(ctx, in)
	if err != nil {
		return nil, err
	}
	i, err := s.assess(ctx, s.db, c)
	if err == nil && i.PeopleLosing > maxUnconfirmed {
		by, _ := actor.FromContext(ctx)
		i.confirmable(s, by, c)
	}
	return i, err
}

// changeOf is the change that is given, once it is clear that the actor may make it, that it makes
// sense and that what it names exists. Fields at fault are told from the argument's name on.
func (s *Service) changeOf(ctx context.Context, in AccessChangeInput) (change, error) {
	given, name, err := in.one()
	if err != nil {
		return nil, errors.Join(Authorize(ctx, ReadAccess), err)
	}
	c, err := s.permitted(ctx, given)
	return c, beneath("change."+name, err)
}

func (s *Service) permitted(ctx context.Context, given any) (change, error) {
	imports, ok := given.(ImportScheduleInput)
	if ok {
		if err := Authorize(ctx, WriteSchedules); err != nil {
			return nil, err
		}
		if imports.ScheduleID == nil {
			return nil, Errors{{CodeBadUserInput, "a new schedule changes nobody's access", "scheduleId"}}
		}
		update, err := s.imported(ctx, imports)
		if err != nil {
			return nil, err
		}
		given = update
	}
	c, _ := given.(change)
	if err := Authorize(ctx, c.right()); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := s.inReach(ctx, s.db, c); err != nil {
		return nil, err
	}
	return c, s.exist(ctx, c.bearing().names)
}

// inReach fails unless the actor's right to a change reaches what it changes.
func (s *Service) inReach(ctx context.Context, db *ent.Client, c change) error {
	switch c := c.(type) {
	case UpdateDoorInput:
		return doorInReach(ctx, db, c.right(), c.ID)
	case DeleteDoorInput:
		return doorInReach(ctx, db, c.right(), c.ID)
	case UpdateKeyInput:
		return s.keyInReach(ctx, db, c.right(), c.ID)
	case SuspendKeyInput:
		return s.keyInReach(ctx, db, c.right(), c.ID)
	case RevokeKeyInput:
		return s.keyInReach(ctx, db, c.right(), c.ID)
	case UpdateUserInput:
		return mayChangeUser(ctx, db, c.ID, c.Role)
	case DeleteUserInput:
		return mayChangeUser(ctx, db, c.ID, nil)
	}
	return nil
}

func doorInReach(ctx context.Context, db *ent.Client, action Action, id typeid.Door) error {
	at, err := doorsAt(ctx, action)
	if err != nil || Everywhere(ctx, action) {
		return err
	}
	_, err = db.Door.Query().Where(door.ID(id), at).Only(ctx)
	return found(err, "door", "id")
}

func (s *Service) keyInReach(
	ctx context.Context, db *ent.Client, action Action, id typeid.Key,
) error {
	visible, err := s.keysFor(ctx, action)
	if err != nil || Everywhere(ctx, action) {
		return err
	}
	k, err := db.Key.Query().Where(key.ID(id), visible).Only(ctx)
	if err != nil {
		return found(err, "key", "id")
	}
	return mayChangeKey(ctx, db, action, k)
}

// exist fails with NOT_FOUND unless all that is named is in the organization.
func (s *Service) exist(ctx context.Context, names []subject) error {
	l := s.newFacts(ctx, s.db, s.now(), free)
	for _, named := range names {
		count, err := pick[int](ctx, &l,
			`SELECT count(*) FROM `+named.table+` WHERE org_id = $1 AND id = ANY ($2)`, l.org, named.ids)
		if err != nil {
			return err
		}
		if count[0] != named.count {
			return notFound(named.noun, named.field)
		}
	}
	return nil
}

// beneath tells fields at fault as those of a part of the input.
func beneath(part string, err error) error {
	var many Errors
	var one Error
	switch {
	case errors.As(err, &many):
		many = slices.Clone(many)
		for i := range many {
			many[i].Field = part + "." + many[i].Field
		}
		return many
	case errors.As(err, &one) && one.Field != "":
		one.Field = part + "." + one.Field
		return one
	}
	return err
}

// assess works out an impact. The number of statements does not depend on how many people and doors
// they are.
func (s *Service) assess(ctx context.Context, db *ent.Client, c change) (*AccessImpact, error) {
	b := c.bearing()
	if b.none() {
		return &AccessImpact{}, nil
	}
	l := s.newFacts(ctx, db, s.now(), free)
	people, ofPeople, err := draw[typeid.User](ctx, &l, b, b.concerned(), maxImpactPeople)
	if err != nil {
		return nil, err
	}
	doors, ofDoors, err := draw[typeid.Door](ctx, &l, b, b.reached(), maxImpactDoors)
	if err != nil || len(people) == 0 || len(doors) == 0 {
		return &AccessImpact{}, err
	}
	before, after, err := l.beforeAndAfter(ctx, c, people, doors)
	if err != nil {
		return nil, err
	}
	compared := comparison{
		before: verdict.Compile(before), after: verdict.Compile(after), from: l.at,
		until: l.at.Add(impactAhead), gives: b.gives, manners: mannersOf(before, after),
	}
	i, err := compared.count(ctx,
		peopleAlike(people, before, after), doorsAlike(doors, before, after))
	if err != nil {
		return nil, err
	}
	i.IsEstimate = len(people) < ofPeople || len(doors) < ofDoors
	i.PeopleLosing = scale(i.PeopleLosing, len(people), ofPeople)
	i.PeopleGaining = scale(i.PeopleGaining, len(people), ofPeople)
	i.DoorsAffected = scale(i.DoorsAffected, len(doors), ofDoors)
	return i, nil
}

// scale tells of all what was counted of some, rounded up.
func scale(count, of, all int) int { return (count*all + of - 1) / of }

// beforeAndAfter loads the facts about people and doors, without areas, and what a change makes of
// them.
func (l *factLoader) beforeAndAfter(
	ctx context.Context, c change, people []typeid.User, doors []typeid.Door,
) (before, after verdict.Facts, err error) {
	rows, err := l.db.Door.Query().Where(whose(door.FieldID, doors)).All(ctx)
	if err != nil {
		return before, after, fmt.Errorf("load doors: %w", err)
	}
	if err := l.loadPeople(ctx, people); err != nil {
		return before, after, err
	}
	if err := l.loadDoors(ctx, rows); err != nil {
		return before, after, err
	}
	joins := c.bearing().joins
	l.holders, l.targets = append(l.holders, joins...), append(l.targets, joins...)
	for _, load := range []func(context.Context) error{l.loadKeys, l.loadSharers, l.loadTimetables} {
		if err := load(ctx); err != nil {
			return before, after, err
		}
	}
	before = l.facts
	c.apply(&l.facts)
	if l.revised = c.bearing(); l.revised.gives { // perhaps another schedule, or other windows
		err = l.loadTimetables(ctx)
	}
	return before, l.facts, err
}

// draw returns what a statement finds, and how much that is. Of more than are wanted it is always
// the same part.
func draw[K any](
	ctx context.Context, l *factLoader, b bearing, query string, most int,
) (ids []K, all int, err error) {
	err = l.each(ctx, query+`
		SELECT id, count(*) OVER () FROM concerned ORDER BY md5(id::text), id LIMIT $4`,
		append(b.arguments(l.org), most), func(rows *sql.Rows) error {
			var id K
			err := rows.Scan(&id, &all)
			ids = append(ids, id)
			return err
		})
	return ids, all, err
}

func (b bearing) arguments(org typeid.Organization) []any {
	also := b.listed
	if also == nil {
		also = pq.Array([]typeid.User{})
	}
	return []any{org, b.names[0].ids, also}
}

// concerned begins a statement about the people whom the change bears on.
func (b bearing) concerned() string {
	return `
	WITH RECURSIVE given AS (SELECT $2::uuid[], $3::uuid[]), family AS (
		SELECT k.id, k.user_id, k.user_group_id FROM keys k
		WHERE k.org_id = $1 AND k.revoked_at IS NULL AND (` + or(b.keys, "FALSE") + `)
		UNION
		SELECT k.id, k.user_id, k.user_group_id FROM family f
		JOIN keys k ON k.org_id = $1 AND k.parent_id = f.id WHERE k.revoked_at IS NULL
	), holder AS (
		SELECT DISTINCT user_group_id AS id FROM family WHERE user_group_id IS NOT NULL
	), concerned (id) AS (
		SELECT user_id FROM family WHERE user_id IS NOT NULL
		UNION SELECT m.user_id FROM user_group_members m
		WHERE m.org_id = $1 AND m.user_group_id IN (SELECT id FROM holder UNION
			SELECT g.id FROM holder h JOIN user_groups g ON g.org_id = $1 AND g.parent_id = h.id)
		UNION (` + or(b.people, "SELECT NULL::uuid WHERE FALSE") + `))`
}

// reached begins a statement about the doors where somebody may gain or lose.
func (b bearing) reached() string {
	return `
	WITH given AS (SELECT $2::uuid[], $3::uuid[]), opened AS (
		SELECT DISTINCT t.target AS id FROM key_targets t
		JOIN keys k ON k.org_id = t.org_id AND k.id = t.key_id
		WHERE t.org_id = $1 AND k.revoked_at IS NULL AND (` + or(b.opens, "FALSE") + `)
	), concerned (id) AS (
		SELECT d.id FROM opened o JOIN doors d ON d.org_id = $1 AND d.id = o.id
		UNION SELECT d.id FROM opened o JOIN doors d ON d.org_id = $1 AND d.site_id = o.id
		UNION SELECT m.door_id FROM opened o
		JOIN door_groups g ON g.org_id = $1 AND o.id IN (g.id, g.parent_id)
		JOIN door_group_doors m ON m.org_id = $1 AND m.door_group_id = g.id
		UNION (` + or(b.doors, "SELECT NULL::uuid WHERE FALSE") + `))`
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}
