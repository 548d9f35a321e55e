package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/access"
	"github.com/cardea/cardea/actor"
	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/command"
	"github.com/cardea/cardea/ent/door"
	"github.com/cardea/cardea/graph/shape"
	"github.com/cardea/cardea/journal"
	"github.com/cardea/cardea/stream"
	"github.com/cardea/cardea/typeid"
)

// maxWatched is how many doors one subscription may be about.
const maxWatched = 1000

// choice is which doors a subscription is about.
type choice struct {
	ids  []typeid.Door // nil: not by identifier
	site *typeid.Site
	own  map[typeid.Door]bool // those that the viewer may see; nil: all
}

func chooseDoors(ids []*typeid.Any, siteID *typeid.Any) (choice, error) {
	site, err := narrow("siteId", siteID, typeid.As[typeid.Site])
	if err != nil || ids == nil {
		return choice{site: site}, err
	}
	c := choice{ids: make([]typeid.Door, len(ids)), site: site}
	for i, id := range ids {
		if c.ids[i], err = typeid.As[typeid.Door](*id); err != nil {
			return choice{}, badInput(fmt.Sprintf("ids.%d", i), err.Error())
		}
	}
	slices.SortFunc(c.ids, compareDoors)
	c.ids = slices.Compact(c.ids)
	if len(c.ids) > maxWatched {
		return choice{}, badInput("ids", fmt.Sprintf("at most %d doors", maxWatched))
	}
	return c, nil
}

func compareDoors(a, b typeid.Door) int {
	x, y := a.UUID(), b.UUID()
	return slices.Compare(x[:], y[:])
}

func (c choice) has(id typeid.Door, site typeid.Site) bool {
	return !id.IsZero() && (c.own == nil || c.own[id]) &&
		(c.site == nil || *c.site == site) &&
		(c.ids == nil || slices.Contains(c.ids, id))
}

// query is what the viewer may see of the choice now.
func (c choice) query(ctx context.Context, r *resolver) (*ent.DoorQuery, error) {
	q, err := r.readDoors(ctx)
	if err != nil {
		return nil, err
	}
	if c.ids != nil {
		q.Where(func(s *sql.Selector) { s.Where(isAny(s.C(door.FieldID), c.ids)) })
	}
	if c.site != nil {
		q.Where(door.SiteID(*c.site))
	}
	return q, nil
}

// doors reads the chosen doors. A door that was named and is not there is NOT_FOUND.
func (c choice) doors(ctx context.Context, r *resolver) ([]*ent.Door, error) {
	q, err := c.query(ctx, r)
	if err != nil {
		return nil, err
	}
	found, err := q.Order(door.ByName(), door.ByID()).Limit(maxWatched + 1).All(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read doors: %w", err)
	case len(found) > maxWatched:
		return nil, badInput("siteId", fmt.Sprintf("more than %d doors: choose", maxWatched))
	case c.ids != nil && len(found) < len(c.ids):
		return nil, access.Error{Code: access.CodeNotFound, Message: "no such door", Field: "ids"}
	}
	return found, nil
}

// doorWatch is the script of a subscription to doors.
type doorWatch struct {
	*resolver
	choice
	org     typeid.Organization
	skip    int64
	was     map[typeid.Door]bool // own, before the viewer's rights changed; nil: they did not
	opening []*ent.Door          // the present; nil if it is not to be told, or was
}

// watchDoors opens the subscription "doors": authorise, join, read the present.
func (r *resolver) watchDoors(
	ctx context.Context, ids []*typeid.Any, siteID *typeid.Any, after *string,
) (script, *stream.Subscription, error) {
	c, err := chooseDoors(ids, siteID)
	if err != nil {
		return nil, nil, err
	}
	from, err := parsePlace(ctx, after)
	if err != nil {
		return nil, nil, err
	}
	sub, err := r.subscribe(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	w := &doorWatch{resolver: r, choice: c, skip: from.skip}
	w.org, _ = organization(ctx)
	w.opening, err = w.doors(ctx, r)
	if err == nil {
		err = w.learnOwn(ctx)
	}
	if err != nil {
		sub.Close()
		return nil, nil, err
	}
	if after != nil {
		w.opening = nil
	}
	return w, sub, nil
}

// begin sends each door as it is. Their modes are decided together.
func (w *doorWatch) begin(_ context.Context, after int64, send func(any) bool) error {
	cursor, doors := place{after: after}.cursor(w.org), w.opening
	w.opening = nil // a subscription may last for days
	w.present.together(w.org, doors, func() {
		for _, d := range doors {
			if !send(&shape.DoorUpdate{Cursor: cursor, DoorID: d.ID, Door: d}) {
				return
			}
		}
	})
	return nil
}

// share implements script. What the viewer sees tells subscriptions apart; to have it learnt anew is to
// be alone.
func (w *doorWatch) share() (shared, bool) {
	if w.skip > 0 || w.was != nil {
		return shared{}, false
	}
	alike := &doorWatch{resolver: w.resolver, choice: w.choice, org: w.org}
	return shared{script: alike, topics: append(w.topics(), someDoors{}), view: w.view()}, true
}

// topics are of the events that may be of a chosen door.
func (c choice) topics() (all []topic) {
	switch {
	case c.ids != nil:
		for _, id := range c.ids {
			all = append(all, id)
		}
	case c.own != nil:
		for id := range c.own {
			all = append(all, id)
		}
	case c.site != nil:
		all = append(all, *c.site)
	default:
		all = append(all, anyDoor{})
	}
	return all
}

// view writes what the viewer may see, so that what is equal is equal.
func (c choice) view() string {
	if c.own == nil {
		return ""
	}
	var text strings.Builder
	for _, id := range slices.SortedFunc(maps.Keys(c.own), compareDoors) {
		text.WriteString(id.String())
	}
	return text.String() + "."
}

// recheck fails if the viewer may no longer watch what they chose.
func (w *doorWatch) recheck(ctx context.Context) error {
	if err := stillEntitled(ctx); err != nil {
		return err
	}
	_, err := w.doors(ctx, w.resolver)
	if access.IsCode(err, access.CodeNotFound) {
		err = errRights
	}
	if err != nil {
		return err
	}
	w.was = w.own
	return w.learnOwn(ctx)
}

// learnOwn reads which doors the viewer may see, unless that is all.
func (w *doorWatch) learnOwn(ctx context.Context) error {
	if access.Everywhere(ctx, access.ReadDoors) {
		return nil
	}
	q, err := w.query(ctx, w.resolver)
	if err != nil {
		return err
	}
	ids, err := readIDs(ctx, q)
	if err != nil {
		return err
	}
	w.own = make(map[typeid.Door]bool, len(ids))
	for _, id := range ids {
		w.own[id] = true
	}
	return nil
}

// tell returns an update for each chosen door that the event is about. Their cursors differ, so that
// who stops between two of them resumes between them.
func (w *doorWatch) tell(ctx context.Context, e *journal.Event) ([]any, error) {
	concerned, err := w.concerned(ctx, e)
	if err == nil && w.was != nil {
		concerned, err = w.turned(ctx, concerned)
	}
	if err != nil {
		return nil, err
	}
	skip := min(w.skip, int64(len(concerned)))
	w.skip = 0 // it was for the first event only
	items := make([]any, 0, len(concerned))
	for i, update := range concerned[skip:] {
		at := place{after: e.Sequence - 1, skip: skip + int64(i) + 1}
		if at.skip == int64(len(concerned)) {
			at = place{after: e.Sequence}
		}
		update.Cursor, update.Event = at.cursor(w.org), e
		items = append(items, update)
	}
	return items, nil
}

// concerned is an update for each of the chosen doors that an event is about, in a fixed order. A
// door that is gone is told of without its state.
func (w *doorWatch) concerned(
	ctx context.Context, e *journal.Event,
) (updates []*shape.DoorUpdate, err error) {
	chosen := w.has(e.Door, e.Site)
	if !chosen && !isLinkEvent(e) {
		return nil, nil
	}
	doors, err := w.present.doors(ctx, e)
	if err != nil {
		return nil, err
	}
	for _, d := range doors {
		if w.has(d.ID, d.SiteID) {
			updates = append(updates, &shape.DoorUpdate{DoorID: d.ID, Door: d})
		}
	}
	if chosen && len(updates) == 0 {
		updates = append(updates, &shape.DoorUpdate{DoorID: e.Door})
	}
	return updates, nil
}

// turned adds the doors that have come into the viewer's sight, or gone out of it, since their rights
// changed. Whoever resumes later is not told of these again.
func (w *doorWatch) turned(
	ctx context.Context, told []*shape.DoorUpdate,
) ([]*shape.DoorUpdate, error) {
	was := w.was
	w.was = nil
	for _, update := range told {
		was[update.DoorID] = w.own[update.DoorID]
	}
	var come []typeid.Door
	for id := range w.own {
		if !was[id] {
			come = append(come, id)
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(was), compareDoors) {
		if was[id] && !w.own[id] {
			told = append(told, &shape.DoorUpdate{DoorID: id})
		}
	}
	if len(come) == 0 {
		return told, nil
	}
	q, err := w.query(ctx, w.resolver)
	if err != nil {
		return nil, err
	}
	doors, err := q.Where(func(s *sql.Selector) { s.Where(isAny(s.C(door.FieldID), come)) }).
		Order(door.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read doors: %w", err)
	}
	for _, d := range doors {
		told = append(told, &shape.DoorUpdate{DoorID: d.ID, Door: d})
	}
	return told, nil
}

// readIDs returns the identifiers in their order. (Ent's own IDs cannot scan typed ones.)
func readIDs(ctx context.Context, q *ent.DoorQuery) ([]typeid.Door, error) {
	q.Order(door.ByID()).Select(door.FieldID)
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read doors: %w", err)
	}
	ids := make([]typeid.Door, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	return ids, nil
}

// eventWatch is the script of a subscription to events.
type eventWatch struct {
	filter *shape.EventFilter
	topic  []topic
}

// watchEvents opens the subscription "events".
func (r *resolver) watchEvents(
	ctx context.Context, filter *shape.EventFilter, after *string,
) (script, *stream.Subscription, error) {
	f, err := checkFilter(filter)
	if err != nil {
		return nil, nil, err
	}
	if err := access.Authorize(ctx, access.ReadEvents); err != nil {
		return nil, nil, err
	}
	from, err := parsePlace(ctx, after)
	if err != nil {
		return nil, nil, err
	}
	sub, err := r.subscribe(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	return &eventWatch{filter: f, topic: eventTopics(ctx, f)}, sub, nil
}

// eventTopics are the topics of whichever criterion is likely to find the fewest events.
func eventTopics(ctx context.Context, f *shape.EventFilter) []topic {
	by, _ := actor.FromContext(ctx)
	switch {
	case f.DoorIDs != nil:
		return topics(f.DoorIDs)
	case f.UserIDs != nil:
		return topics(f.UserIDs)
	case f.SiteIDs != nil:
		return topics(f.SiteIDs)
	case f.Types != nil:
		return topics(f.Types)
	case access.Everywhere(ctx, access.ReadEvents):
		return []topic{everything{}}
	case by.Confined:
		return topics(by.Sites)
	}
	return append(topics(by.Sites), by.User) // see access.SeesEvent
}

func topics[T any](values []T) []topic {
	all := make([]topic, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

func (*eventWatch) begin(context.Context, int64, func(any) bool) error { return nil }

func (*eventWatch) recheck(ctx context.Context) error { return stillEntitled(ctx) }

func (w *eventWatch) tell(ctx context.Context, e *journal.Event) ([]any, error) {
	if !access.SeesEvent(ctx, e) || !matches(w.filter, e) {
		return nil, nil
	}
	at := place{after: e.Sequence}.cursor(e.Organization)
	return []any{&shape.EventUpdate{Cursor: at, Event: e}}, nil
}

func (w *eventWatch) share() (shared, bool) {
	return shared{script: w, topics: w.topic}, true
}

// errEnded stops following a command that has ended.
var errEnded = errors.New("command has ended")

// commandWatch is the script of a subscription to a command. It knows how far it has told, and lasts no
// longer than the command, so it is not shared.
type commandWatch struct {
	*resolver
	last *ent.Command
}

// watchCommand opens the subscription "command".
func (r *resolver) watchCommand(
	ctx context.Context, named typeid.Any,
) (script, *stream.Subscription, error) {
	id, err := typeid.As[typeid.Command](named)
	if err != nil {
		return nil, nil, badInput("id", err.Error())
	}
	sub, err := r.subscribe(ctx, place{after: stream.Live})
	if err != nil {
		return nil, nil, err
	}
	c, err := r.readCommand(ctx, id)
	if err != nil {
		sub.Close()
		return nil, nil, err
	}
	return &commandWatch{resolver: r, last: c}, sub, nil
}

func (w *commandWatch) begin(_ context.Context, _ int64, send func(any) bool) error {
	if send(w.last) && w.last.EndedAt != nil {
		return errEnded
	}
	return nil
}

func (*commandWatch) recheck(ctx context.Context) error { return stillEntitled(ctx) }

func (w *commandWatch) tell(ctx context.Context, e *journal.Event) (items []any, err error) {
	if e.Command != w.last.ID {
		return nil, nil
	}
	c, err := w.readCommand(ctx, e.Command)
	if err != nil {
		return nil, err
	}
	if c.Stage != w.last.Stage {
		items = append(items, c)
	}
	if w.last = c; c.EndedAt != nil {
		err = errEnded
	}
	return items, err
}

func (*commandWatch) share() (shared, bool) { return shared{}, false }

func (r *resolver) readCommand(ctx context.Context, id typeid.Command) (*ent.Command, error) {
	q, err := r.readCommands(ctx)
	if err != nil {
		return nil, err
	}
	c, err := q.Where(command.ID(id)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, access.Error{Code: access.CodeNotFound, Message: "no such command", Field: "id"}
	}
	if err != nil {
		return nil, fmt.Errorf("read command: %w", err)
	}
	return c, nil
}
